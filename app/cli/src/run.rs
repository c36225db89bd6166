//! From a command to requests, and from their answers to output and exit code.

use std::collections::BTreeMap;
use std::io::Write;

use clap::CommandFactory;
use serde::Serialize;
use tapway_api::bmp::Collector;
use tapway_api::config::{CheckBody, Checked};
use tapway_api::doctor::Diagnosis;
use tapway_api::drain::Drain;
use tapway_api::endpoint::{self, Method, of};
use tapway_api::explain::Explanation;
use tapway_api::list::List;
use tapway_api::mrt::MrtDump;
use tapway_api::peer::{Disable, Reset};
use tapway_api::policy::PolicyTested;
use tapway_api::rpki::{RpkiAnswer, RpkiCache, RpkiState};
use tapway_api::shutdown::Shutdown;
use tapway_api::status::Status;
use tapway_api::write::Applied;
use tapway_model::spec::InstanceSpec;

use crate::args::{
    AnnouncementCommand, Args, BmpCommand, Command, ConfigCommand, InstanceCommand, ListCommand,
    MrtCommand, Output, PeerCommand, PolicyCommand, PolicyTestArgs, RouteCommand, SourceCommand,
    Switch,
};
use crate::client::Client;
use crate::failure::Failure;
use crate::input::{Text, called_first, instances, objects, policies};
use crate::output::{Answer, print};
use crate::render;
use crate::session::{Query, Session, body, parse};
use crate::style::Style;

/// Instances of one request together have at most this many bytes; the daemon takes 4 MiB.
const MAX_REQUEST: usize = 3 * 1024 * 1024;

/// Carries out a command; answers go to `out`.
pub(crate) fn run(args: Args, out: &mut dyn Write) -> Result<Answer, Failure> {
    if let Command::Completions { shell } = args.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "tapway", &mut script);
        return print(out, &script).map(|()| Answer::Yes);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Output)?;
    let mut session = Session {
        out,
        client: Client::new(args.socket),
        json: args.output == Output::Json,
        style: Style::detect(),
    };
    runtime.block_on(session.run(args.command))
}

impl Session<'_> {
    async fn run(&mut self, command: Command) -> Result<Answer, Failure> {
        match command {
            Command::Status => {
                let answer = self.get(endpoint::STATUS, render::status::render).await?;
                Ok(healthy(answer, |s: &Status| s.healthy))
            }
            Command::Instance(command) => self.instance(command).await,
            Command::Peer(command) => self.peer(command).await,
            Command::Policy(command) => self.policy(command).await,
            Command::Route(command) => self.routes(command).await,
            Command::Rpki { prefix: None, .. } => {
                let answer = self.get(endpoint::RPKI, render::rpki::caches).await?;
                let fails = |list: &List<RpkiCache>| list.items.iter().any(|c| c.error.is_some());
                Ok(healthy(answer, |list| !fails(list)))
            }
            Command::Rpki { prefix, asn } => {
                let mut query = Query::new(endpoint::RPKI_STATE);
                query.add("prefix", prefix);
                query.add("asn", asn);
                let answer = self.get(query.path(), render::rpki::answer).await?;
                Ok(healthy(answer, |a: &RpkiAnswer| {
                    a.state != Some(RpkiState::Invalid)
                }))
            }
            Command::Mrt(MrtCommand::Dump { file, received }) => {
                // The daemon's folder is another one.
                let file = std::path::absolute(&file).unwrap_or(file);
                let file = file.to_string_lossy().into_owned();
                self.client.wait_long();
                let body = MrtDump { file, received };
                self.act(Method::Post, endpoint::MRT_DUMP, &body).await
            }
            Command::Bmp(BmpCommand::List) => {
                let answer = self.get(endpoint::BMP, render::bmp::list).await?;
                let fails = |list: &List<Collector>| list.items.iter().any(|c| c.error.is_some());
                Ok(healthy(answer, |list| !fails(list)))
            }
            Command::Bmp(BmpCommand::Show { name }) => {
                let path = endpoint::of(endpoint::BMP_COLLECTOR, name.as_str());
                let answer = self.get(&path, render::bmp::show).await?;
                Ok(healthy(answer, |c: &Collector| c.error.is_none()))
            }
            Command::Announcement(AnnouncementCommand::List {
                prefix,
                network,
                page,
            }) => {
                let mut query = Query::new(endpoint::ANNOUNCEMENTS);
                query.add("prefix", prefix);
                query.add("network", network);
                self.pages(query, page, render::announcement::list).await
            }
            Command::Conflict(ListCommand::List) => {
                self.get_yes(endpoint::CONFLICTS, render::conflict::list)
                    .await
            }
            Command::Problem(ListCommand::List) => {
                self.get_yes(endpoint::PROBLEMS, render::problem::list)
                    .await
            }
            Command::Source(command) => self.source(command).await,
            Command::Kernel(ListCommand::List) => {
                self.get_yes(endpoint::KERNEL, render::kernel::list).await
            }
            Command::Plan => self.get_yes(endpoint::PLAN, render::plan::render).await,
            Command::Explain { prefix, network } => {
                let mut query = Query::new(endpoint::EXPLAIN);
                query.add("prefix", Some(prefix));
                query.add("network", network);
                let answer = self.get(query.path(), render::explain::render).await?;
                Ok(healthy(answer, |e: &Explanation| e.first_broken.is_none()))
            }
            Command::Doctor => {
                let answer = self.get(endpoint::DOCTOR, render::doctor::render).await?;
                Ok(healthy(answer, Diagnosis::healthy))
            }
            Command::Watch => self.watch().await,
            Command::Config(command) => self.config(command).await,
            Command::Drain { state } => {
                let on = state == Switch::On;
                self.act(Method::Put, endpoint::DRAIN, &Drain { on }).await
            }
            Command::Shutdown { message } => {
                self.act(Method::Post, endpoint::SHUTDOWN, &Shutdown { message })
                    .await
            }
            // Needs no daemon; `run` has done it.
            Command::Completions { .. } => Ok(Answer::Yes),
        }
    }

    async fn instance(&mut self, command: InstanceCommand) -> Result<Answer, Failure> {
        match command {
            InstanceCommand::List { source, page } => {
                let mut query = Query::new(endpoint::INSTANCES);
                query.add("source", source);
                self.pages(query, page, render::instance::list).await
            }
            InstanceCommand::Show { name } => {
                let path = of(endpoint::INSTANCE, &name);
                self.get_yes(&path, render::instance::show).await
            }
            InstanceCommand::Apply { files } => self.apply_instances(&instances(&files)?).await,
            InstanceCommand::Remove { names } => {
                for name in &names {
                    self.act(Method::Delete, &of(endpoint::INSTANCE, name), &())
                        .await?;
                }
                Ok(Answer::Yes)
            }
        }
    }

    async fn peer(&mut self, command: PeerCommand) -> Result<Answer, Failure> {
        use Method::{Delete, Post};
        use endpoint::{PEER, PEER_DISABLE, PEER_ENABLE, PEER_RESET};
        let path = |template, name: &tapway_model::PeerName| of(template, name.as_str());
        match command {
            PeerCommand::List => self.get_yes(endpoint::PEERS, render::peer::list).await,
            PeerCommand::Show { name } => {
                self.get_yes(&path(PEER, &name), render::peer::show).await
            }
            PeerCommand::Apply { name, file } => {
                let name = name.as_ref().map(|n| n.as_str());
                let text = Text::read(&file)?;
                let all = objects(&text, "peer", name)?;
                let tables = name.is_none().then_some("peer");
                self.apply_objects(PEER, all, &text, tables).await
            }
            PeerCommand::Remove { name } => self.act(Delete, &path(PEER, &name), &()).await,
            PeerCommand::Reset {
                name,
                hard,
                inbound,
                outbound,
                message,
            } => {
                let kind = PeerCommand::reset_kind(hard, inbound, outbound);
                self.act(Post, &path(PEER_RESET, &name), &Reset { kind, message })
                    .await
            }
            PeerCommand::Disable { name, message } => {
                self.act(Post, &path(PEER_DISABLE, &name), &Disable { message })
                    .await
            }
            PeerCommand::Enable { name } => self.act(Post, &path(PEER_ENABLE, &name), &()).await,
        }
    }

    async fn policy(&mut self, command: PolicyCommand) -> Result<Answer, Failure> {
        let path = |name: &str| of(endpoint::POLICY, name);
        match command {
            PolicyCommand::List => self.get_yes(endpoint::POLICIES, render::policy::list).await,
            PolicyCommand::Show { name } => self.get_yes(&path(&name), render::policy::show).await,
            PolicyCommand::Apply { name, file } => {
                let text = Text::read(&file)?;
                let all = called_first(objects(&text, "policy", name.as_deref())?);
                let tables = name.is_none().then_some("policy");
                self.apply_objects(endpoint::POLICY, all, &text, tables)
                    .await
            }
            PolicyCommand::Remove { name } => self.act(Method::Delete, &path(&name), &()).await,
            PolicyCommand::Test(args) => self.test_policy(*args).await,
        }
    }

    async fn test_policy(&mut self, args: PolicyTestArgs) -> Result<Answer, Failure> {
        let text = args.file.as_deref().map(Text::read).transpose()?;
        let defined = match &text {
            Some(text) => policies(text)?,
            None => BTreeMap::new(),
        };
        let path = of(endpoint::POLICY_TEST, args.policy.as_str());
        let render = if args.rules {
            render::policy::tested_with_rules
        } else {
            render::policy::tested
        };
        let question = args.question(defined);
        let answer = self.ask(Method::Post, &path, &question, render).await;
        let answer = answer.map_err(|failure| match (&failure, &text) {
            (Failure::Refused(refused), Some(text)) => {
                let place = refused.error.place.as_ref();
                let key = place.and_then(|p| p.key.as_deref()).unwrap_or_default();
                match key.strip_prefix("policies.") {
                    Some(rest) => {
                        let whole = format!("policy.{rest}");
                        text.locate(failure, |_| whole.clone())
                    }
                    None => failure,
                }
            }
            _ => failure,
        })?;
        Ok(healthy(answer, |tested: &PolicyTested| {
            tested.missing.is_empty() && tested.items.iter().all(|route| route.accepted)
        }))
    }

    async fn routes(&mut self, command: RouteCommand) -> Result<Answer, Failure> {
        let RouteCommand::List {
            received,
            advertised,
            best,
            prefix,
            family,
            page,
        } = command;
        let mut query = Query::new(endpoint::ROUTES);
        query.add("received", received);
        query.add("advertised", advertised);
        query.add("best", best.then_some(true));
        query.add("prefix", prefix);
        query.add("family", family);
        // There may be a million: one page, and its footer says how many there are.
        query.add("limit", page.limit);
        query.add("offset", page.offset);
        self.get_yes(query.path(), render::route::list).await
    }

    async fn source(&mut self, command: SourceCommand) -> Result<Answer, Failure> {
        let (template, name) = match &command {
            SourceCommand::List => {
                return self.get_yes(endpoint::SOURCES, render::source::list).await;
            }
            SourceCommand::Refresh { name } => (endpoint::SOURCE_REFRESH, name),
            SourceCommand::Forget { name } => (endpoint::SOURCE_FORGET, name),
        };
        self.act(Method::Post, &of(template, name.as_str()), &())
            .await
    }

    async fn config(&mut self, command: ConfigCommand) -> Result<Answer, Failure> {
        match command {
            ConfigCommand::Show => self.get_yes(endpoint::CONFIG, render::config::show).await,
            ConfigCommand::Reload => self.check(endpoint::CONFIG_RELOAD, &()).await,
            ConfigCommand::Check { file } => {
                let text = file.map(|file| Text::read(&file)).transpose()?;
                let (text, name) = text.map(|t| (t.text, t.name)).unzip();
                self.check(endpoint::CONFIG_CHECK, &CheckBody { text, name })
                    .await
            }
        }
    }

    async fn apply_instances(&mut self, specs: &[InstanceSpec]) -> Result<Answer, Failure> {
        let mut all = Applied::default();
        for body in bodies(specs)? {
            let bytes = self
                .client
                .ask(Method::Post, endpoint::INSTANCES, body)
                .await?;
            all.items
                .extend(parse::<Applied>(endpoint::INSTANCES, &bytes)?.items);
        }
        self.print_applied(&all)
    }

    /// Applies what a text holds: `[tables.NAME]`, or the keys of one object.
    async fn apply_objects(
        &mut self,
        template: &str,
        objects: Vec<(String, serde_json::Value)>,
        text: &Text,
        tables: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut all = Applied::default();
        for (name, value) in objects {
            let path = of(template, &name);
            let answer = self.client.ask(Method::Put, &path, body(&value)?).await;
            let bytes = answer.map_err(|failure| {
                text.locate(failure, |key| match (tables, key) {
                    (None, key) => key.to_owned(),
                    (Some(kind), "") => format!("{kind}.{name}"),
                    (Some(kind), key) => format!("{kind}.{name}.{key}"),
                })
            })?;
            all.items.extend(parse::<Applied>(&path, &bytes)?.items);
        }
        self.print_applied(&all)
    }

    fn print_applied(&mut self, all: &Applied) -> Result<Answer, Failure> {
        if self.json {
            print(self.out, &body(all)?)?;
        } else {
            print(self.out, render::write::applied(all, self.style).as_bytes())?;
        }
        Ok(Answer::Yes)
    }

    async fn check(&mut self, path: &str, request: &impl Serialize) -> Result<Answer, Failure> {
        let answer = self
            .ask(Method::Post, path, request, render::config::checked)
            .await?;
        Ok(healthy(answer, |c: &Checked| c.ok))
    }

    async fn watch(&mut self) -> Result<Answer, Failure> {
        let mut lines = self.client.stream(endpoint::EVENTS).await?;
        loop {
            let bytes = lines.next().await?;
            if self.json {
                print(self.out, &bytes)?;
                continue;
            }
            for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                let event = parse(endpoint::EVENTS, line)?;
                print(self.out, render::event::line(&event, self.style).as_bytes())?;
            }
        }
    }
}

fn healthy<T>(answer: Option<T>, healthy: impl Fn(&T) -> bool) -> Answer {
    Answer::from_health(answer.is_none_or(|a| healthy(&a)))
}

/// Arrays of instances, none longer than the daemon takes.
fn bodies(specs: &[InstanceSpec]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut all = Vec::new();
    let mut current: Vec<u8> = b"[".to_vec();
    for spec in specs {
        let one = body(spec)?;
        if current.len() > 1 {
            if current.len() + one.len() > MAX_REQUEST {
                current.push(b']');
                all.push(std::mem::replace(&mut current, b"[".to_vec()));
            } else {
                current.push(b',');
            }
        }
        current.extend(one);
    }
    current.push(b']');
    all.push(current);
    Ok(all)
}

#[cfg(test)]
mod tests;
