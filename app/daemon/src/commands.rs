//! Answers to the API's requests.
//!
//! A read is answered from the node's state at once. A write takes effect at once, and is answered when
//! it is on disk. Checks of the host run on a thread of their own.

use std::sync::Arc;

use serde_json::Value;
use tapway_api::list::List;
use tapway_api::peer::{Origin, Peer};
use tapway_api::policy::Policy;
use tapway_api::problem::{Problem, ProblemKind};
use tapway_api::route::RouteQuery;
use tapway_api::status::{DaemonState, KernelCount, PeerCount, SourceCount, Status};
use tapway_api::write::{Applied, AppliedItem, Outcome};
use tapway_api::{ApiError, ErrorCode};
use tapway_bgp::State;
use tapway_fib::Status as FibStatus;
use tapway_intent::{SourceEvent, SourceState};
use tapway_model::{Instance, InstanceName, PeerName, PolicyName, SourceName};

use crate::bmp::CollectorStatus;
use crate::daemon::{Daemon, now};
use crate::doctor;
use crate::http::{ApiReply, ApiRequest, Call, CheckedPolicy, Responder};
use crate::mrt::recorder::Recorder;
use crate::policy_test;
use crate::store::Write;
use crate::views;

type Answer = Result<ApiReply, ApiError>;

impl Daemon {
    /// Answers one request, now or later.
    pub(crate) fn answer(&mut self, call: Call) {
        let Call { request, responder } = call;
        let answer = match request {
            ApiRequest::InstanceApply(instances) => {
                return self.apply_instances(instances, responder);
            }
            ApiRequest::InstanceRemove(name) => return self.remove_instance(name, responder),
            ApiRequest::InstanceList(query) => {
                return self.list(views::instances(&self.node, &query), responder);
            }
            ApiRequest::AnnouncementList(query) => {
                return self.list(views::announcements(&self.node, &query), responder);
            }
            ApiRequest::KernelList => return self.list(views::kernel(&self.node), responder),
            ApiRequest::Plan => {
                return self.list(
                    views::plan(&self.node, self.settings.pending(&self.node)),
                    responder,
                );
            }
            ApiRequest::RouteList(query) => return self.routes(&query, responder),
            ApiRequest::PeerApply(name, value) => return self.apply_peer(&name, value, responder),
            ApiRequest::PeerRemove(name) => return self.remove_peer(&name, responder),
            ApiRequest::PeerDisable(name, body) => {
                return self.disable_peer(&name, Some(body.message), responder);
            }
            ApiRequest::PeerEnable(name) => return self.disable_peer(&name, None, responder),
            ApiRequest::PolicyApply(policy) => return self.apply_policy(*policy, responder),
            ApiRequest::PolicyRemove(name) => return self.remove_policy(&name, responder),
            ApiRequest::SourceForget(name) => return self.forget_source(&name, responder),
            ApiRequest::Doctor => return self.doctor(responder),
            ApiRequest::MrtDump(body) => return self.begin_dump(&body, responder),
            ApiRequest::Drain(body) => return self.set_draining(body.on, responder),
            ApiRequest::Shutdown(body) => {
                let message = body.message.unwrap_or_else(|| "tapway shutdown".to_owned());
                return self.begin_shutdown(&message, Some(responder));
            }
            request => self.ask(request),
        };
        self.drain();
        responder.send(answer);
    }

    fn ask(&mut self, request: ApiRequest) -> Answer {
        let now = now();
        let node = &self.node;
        Ok(match request {
            ApiRequest::Status => ApiReply::Status(Box::new(self.status())),
            ApiRequest::InstanceShow(name) => {
                let details = views::instance(node, now, &name);
                if details.is_empty() {
                    return Err(ApiError::not_found("instance", name));
                }
                ApiReply::InstanceDetails(List::whole(details))
            }
            ApiRequest::PeerList => ApiReply::Peers(views::peers(node, now, |name| {
                self.settings.peer_origin(name)
            })),
            ApiRequest::PeerShow(name) => {
                let peer = self.peer(&name)?;
                let summary = self.node.speaker().peer(&name);
                let config = self.node.peer_config(&name);
                let config = config.map(|config| self.settings.peer_json(config));
                let detail = views::peer_detail(peer, summary.as_ref(), config.unwrap_or_default());
                ApiReply::Peer(Box::new(detail))
            }
            ApiRequest::PeerReset(name, reset) => ApiReply::done(self.reset_peer(&name, reset)?),
            ApiRequest::PolicyList => ApiReply::Policies(List::whole(self.policies())),
            ApiRequest::PolicyShow(name) => ApiReply::Policy(
                self.policies()
                    .into_iter()
                    .find(|p| p.name == name)
                    .ok_or_else(|| ApiError::not_found("policy", &name))?,
            ),
            ApiRequest::PolicyTest(name, test, given) => {
                let defined = self.settings.policies_in_force();
                let tested = policy_test::test(node.speaker(), defined, given, &name, &test)?;
                ApiReply::PolicyTested(tested)
            }
            ApiRequest::RpkiCaches => {
                ApiReply::RpkiCaches(views::rpki_caches(now, self.rtr.statuses()))
            }
            ApiRequest::BmpList => {
                ApiReply::Collectors(views::collectors(now, &self.monitors.collectors))
            }
            ApiRequest::BmpShow(name) => {
                let all = views::collectors(now, &self.monitors.collectors).items;
                let found = all.into_iter().find(|c| c.name == name);
                ApiReply::Collector(found.ok_or_else(|| ApiError::not_found("collector", &name))?)
            }
            ApiRequest::RpkiState(query) => {
                ApiReply::RpkiAnswer(views::rpki_answer(node.speaker().vrps(), &query))
            }
            ApiRequest::ConflictList => ApiReply::Conflicts(views::conflicts(node)),
            ApiRequest::ProblemList => ApiReply::Problems(List::whole(self.problems())),
            ApiRequest::SourceList => {
                ApiReply::Sources(views::sources(node, now, |name| self.source_place(name)))
            }
            ApiRequest::SourceRefresh(name) => {
                self.source(&name)?;
                if let Some(files) = self.files.as_ref().filter(|f| f.name == name) {
                    files.remote.refresh();
                }
                ApiReply::done(format!("source {name} lists everything again"))
            }
            ApiRequest::Explain(query) => {
                let ways = self.ways(query.prefix);
                let network = query.network.as_ref();
                let explained = self.node.explain_by(now, query.prefix, network, &ways);
                ApiReply::Explanation(Box::new(views::explanation(explained)))
            }
            ApiRequest::ConfigShow => ApiReply::Configuration(self.settings.show()),
            ApiRequest::ConfigCheck(body) => ApiReply::Checked(self.settings.check(&body, node)),
            ApiRequest::ConfigReload => ApiReply::Checked(self.reload()),
            other => {
                return Err(ApiError::new(
                    ErrorCode::Internal,
                    format!("{other:?} reached the wrong place"),
                ));
            }
        })
    }

    fn routes(&mut self, query: &RouteQuery, responder: Responder) {
        let peers = [&query.received, &query.advertised];
        let unknown = peers
            .into_iter()
            .flatten()
            .find_map(|peer| self.peer(peer).err());
        match unknown {
            Some(error) => responder.send(Err(error)),
            None => self.list(views::routes(&self.node, query), responder),
        }
    }

    // Writes.

    /// One instance, now.
    pub(crate) fn apply_now(&mut self, instance: Instance) -> AppliedItem {
        let source = self.settings.api_source();
        let known = self.node.intent().instance(&source, &instance.name);
        let outcome = match known {
            None => Outcome::Created,
            Some(view) if *view.instance == instance => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        };
        let name = instance.name.clone();
        if outcome != Outcome::Unchanged {
            self.node
                .handle_source(now(), &source, SourceEvent::Put(Arc::new(instance)));
        }
        AppliedItem {
            notes: self.notes(&source, &name),
            name: name.to_string(),
            outcome,
        }
    }

    /// All instances of a request are in effect.
    pub(crate) fn applied(&mut self, items: Vec<AppliedItem>, responder: Responder) {
        self.answer_when_kept(ApiReply::Applied(Applied { items }), responder);
    }

    /// What whoever applied an instance should know: what of it is refused.
    fn notes(&self, source: &SourceName, name: &InstanceName) -> Vec<String> {
        let problems = self
            .node
            .intent()
            .problems_of(source, name)
            .map(ToString::to_string);
        let conflicts = self
            .node
            .intent()
            .refused_of(source, name)
            .into_iter()
            .map(|(claim, by)| format!("{claim}: refused, {by} was first"));
        problems.chain(conflicts).collect()
    }

    /// Removes one instance, now.
    pub(crate) fn remove_now(&mut self, name: &InstanceName, responder: Responder) {
        let source = self.settings.api_source();
        if self.node.intent().instance(&source, name).is_none() {
            let others = views::instance(&self.node, now(), name);
            let error = match others.first() {
                None => ApiError::not_found("instance", name),
                Some(other) => ApiError::new(
                    ErrorCode::Conflict,
                    format!(
                        "instance {name} comes from source {}, not from the API",
                        other.instance.source
                    ),
                )
                .with_remedy("remove it there"),
            };
            return responder.send(Err(error));
        }
        self.node
            .handle_source(now(), &source, SourceEvent::Gone(name.clone()));
        self.drain();
        self.answer_when_kept(
            ApiReply::done(format!("instance {name} is removed")),
            responder,
        );
    }

    fn apply_peer(&mut self, name: &PeerName, value: Value, responder: Responder) {
        let applied = match self.settings.apply_peer(name, value.clone()) {
            Ok(applied) => applied,
            Err(error) => return responder.send(Err(error)),
        };
        if let Some(peer) = applied.effective {
            self.node.set_peer(now(), peer);
            self.drain();
        }
        self.store.write(Write::Peer(name.clone(), Some(value)));
        let item = AppliedItem {
            name: name.to_string(),
            outcome: applied.outcome,
            notes: applied.notes,
        };
        self.answer_when_kept(ApiReply::Applied(Applied { items: vec![item] }), responder);
    }

    fn remove_peer(&mut self, name: &PeerName, responder: Responder) {
        if let Err(error) = self.settings.remove_peer(name) {
            return responder.send(Err(error));
        }
        if self.settings.peer_origin(name) != Origin::File {
            self.node.remove_peer(now(), name);
            self.drain();
            self.store.write(Write::Disabled(name.clone(), false));
        }
        self.store.write(Write::Peer(name.clone(), None));
        self.answer_when_kept(ApiReply::done(format!("peer {name} is removed")), responder);
    }

    /// Disables a peer with a message for it, or enables it.
    fn disable_peer(
        &mut self,
        name: &PeerName,
        message: Option<Option<String>>,
        responder: Responder,
    ) {
        if let Err(error) = self.peer(name) {
            return responder.send(Err(error));
        }
        let now = now();
        let disabled = message.is_some();
        match message {
            Some(message) => self.node.disable_peer(now, name, message),
            None => self.node.enable_peer(now, name),
        };
        self.drain();
        self.store.write(Write::Disabled(name.clone(), disabled));
        let done = if disabled {
            format!("peer {name} is disabled until it is enabled")
        } else {
            format!("peer {name} is enabled")
        };
        self.answer_when_kept(ApiReply::done(done), responder);
    }

    /// Makes our routes the last choice, or ends that.
    fn set_draining(&mut self, on: bool, responder: Responder) {
        let changed = self.node.set_draining(now(), on);
        self.drain();
        self.store.write(Write::Draining(on));
        let done = match (changed, on) {
            (true, true) => "all routes are announced as the last choice until `tapway drain off`",
            (true, false) => "all routes are announced as usual again",
            (false, true) => "they are the last choice already",
            (false, false) => "they are announced as usual already",
        };
        self.answer_when_kept(ApiReply::done(done), responder);
    }

    fn apply_policy(&mut self, checked: CheckedPolicy, responder: Responder) {
        let CheckedPolicy { value, policy } = checked;
        let name = policy.name.clone();
        let applied = match self.settings.apply_policy(policy) {
            Ok(applied) => applied,
            Err(error) => return responder.send(Err(error)),
        };
        if let Some(policy) = applied.effective {
            self.node.set_policies(now(), vec![policy]);
            self.drain();
        }
        self.store.write(Write::Policy(name.clone(), Some(value)));
        let item = AppliedItem {
            name: name.to_string(),
            outcome: applied.outcome,
            notes: applied.notes,
        };
        self.answer_when_kept(ApiReply::Applied(Applied { items: vec![item] }), responder);
    }

    fn remove_policy(&mut self, name: &PolicyName, responder: Responder) {
        let user = self
            .node
            .config()
            .peers
            .values()
            .find(|p| p.import == *name || p.export == *name);
        if let Some(peer) = user {
            let error = ApiError::new(
                ErrorCode::Conflict,
                format!("peer {} uses policy {name}", peer.name),
            )
            .with_remedy("give the peer another policy first");
            return responder.send(Err(error));
        }
        if let Some(caller) = self.settings.callers(name).first() {
            let error = ApiError::new(
                ErrorCode::Conflict,
                format!("policy {caller} calls policy {name}"),
            )
            .with_remedy("take the call out of it first");
            return responder.send(Err(error));
        }
        if let Err(error) = self.settings.remove_policy(name) {
            return responder.send(Err(error));
        }
        match self.settings.policy_in_force(name) {
            Some(of_file) => self.node.set_policies(now(), vec![of_file]),
            None => {
                self.node.remove_policy(now(), name);
            }
        }
        self.drain();
        self.store.write(Write::Policy(name.clone(), None));
        self.answer_when_kept(
            ApiReply::done(format!("policy {name} is removed")),
            responder,
        );
    }

    fn forget_source(&mut self, name: &SourceName, responder: Responder) {
        if let Err(error) = self.source(name) {
            return responder.send(Err(error));
        }
        self.node.forget_source(now(), name);
        self.drain();
        self.answer_when_kept(
            ApiReply::done(format!("what source {name} said last is forgotten")),
            responder,
        );
    }

    /// The network does not wait for the disk; whoever asked does.
    fn answer_when_kept(&mut self, reply: ApiReply, responder: Responder) {
        self.store
            .when_kept(move |kept| responder.send(kept.map(|()| reply)));
    }

    // Questions that need more than the node.

    fn peer(&self, name: &PeerName) -> Result<Peer, ApiError> {
        let missing = || ApiError::not_found("peer", name);
        let config = self.node.peer_config(name).ok_or_else(missing)?;
        let origin = self.settings.peer_origin(config.known_as());
        views::peer(&self.node, now(), config, origin).ok_or_else(missing)
    }

    fn source(&self, name: &SourceName) -> Result<(), ApiError> {
        let known = self.node.intent().sources(now()).any(|s| s.name == *name);
        if known {
            Ok(())
        } else {
            Err(ApiError::not_found("source", name))
        }
    }

    fn source_place(&self, name: &SourceName) -> Option<String> {
        let files = self.files.as_ref().filter(|f| f.name == *name);
        files.map(|f| f.path.display().to_string())
    }

    fn policies(&self) -> Vec<Policy> {
        self.settings.policies(self.node.config())
    }

    fn problems(&self) -> Vec<Problem> {
        let files = self.files.iter().flat_map(|files| {
            files.problems.values().map(|problem| {
                crate::settings::problem(ProblemKind::File, problem, Some(&files.name))
            })
        });
        let listeners = self.listeners.failed().map(|(addr, why)| Problem {
            kind: ProblemKind::Peer,
            subject: addr.to_string(),
            message: format!("cannot listen for peers: {why}"),
            place: None,
            source: None,
            remedy: Some("tapway doctor".to_owned()),
        });
        let peers = self.node.config().peers.keys().filter_map(|name| {
            let why = self.node.endpoint(name)?.as_ref().err()?;
            Some(Problem {
                kind: ProblemKind::Peer,
                subject: name.to_string(),
                message: why.clone(),
                place: None,
                source: None,
                remedy: None,
            })
        });
        let sources = self
            .node
            .intent()
            .sources(now())
            .filter_map(|source| match source.state {
                SourceState::Dead { reason, .. } => Some(Problem {
                    kind: ProblemKind::Source,
                    subject: source.name.to_string(),
                    message: format!(
                        "source {} is dead: {reason}; what it said last stays",
                        source.name
                    ),
                    place: None,
                    source: Some(source.name.clone()),
                    remedy: Some(format!(
                        "bring it back, or `tapway source forget {}`",
                        source.name
                    )),
                }),
                _ => None,
            });
        files
            .chain(self.rpki_problems())
            .chain(self.monitor_problems())
            .chain(self.settings.problems().iter().cloned())
            .chain(self.store.problem())
            .chain(sources)
            .chain(listeners)
            .chain(peers)
            .chain(views::peer_problems(&self.node, now()))
            .chain(views::claim_problems(&self.node))
            .chain(views::kernel_problems(&self.node))
            .chain(self.scan_problem())
            .chain(self.search_problem())
            .collect()
    }

    /// Scans of the kernel that are never whole.
    fn scan_problem(&self) -> Option<Problem> {
        let message = self.node.torn_scans(now())?;
        Some(Problem {
            kind: ProblemKind::Kernel,
            subject: "scan".to_owned(),
            message,
            place: None,
            source: None,
            remedy: Some(doctor::CALM.to_owned()),
        })
    }

    /// Collectors that fail, and files that cannot be written.
    fn monitor_problems(&self) -> Vec<Problem> {
        let failing = |status: CollectorStatus| {
            let name = status.config.name;
            let error = status.error?;
            Some(Problem {
                kind: ProblemKind::Bmp,
                subject: name.to_string(),
                message: format!("BMP collector {name}: {error}"),
                place: None,
                source: None,
                remedy: Some(format!("tapway bmp show {name}")),
            })
        };
        let recorder = self.monitors.recorder.as_ref();
        let recording = recorder.and_then(Recorder::problem).map(|message| Problem {
            kind: ProblemKind::Mrt,
            subject: "mrt".to_owned(),
            message: format!("MRT: {message}"),
            place: None,
            source: None,
            remedy: Some("make room, or mend [mrt] file and reload".to_owned()),
        });
        let collectors = self.monitors.collectors.statuses();
        collectors.filter_map(failing).chain(recording).collect()
    }

    /// Caches that fail, and policies that ask although there is nobody who could answer.
    fn rpki_problems(&self) -> Vec<Problem> {
        let problem = |subject: &str, message: String, remedy: &str| Problem {
            kind: ProblemKind::Rpki,
            subject: subject.to_owned(),
            message,
            place: None,
            source: None,
            remedy: Some(remedy.to_owned()),
        };
        let mut problems = Vec::new();
        for status in self.rtr.statuses() {
            if let Some(failure) = &status.failure {
                let name = status.config.name.as_str();
                let message = format!("RPKI cache {name}: {failure}");
                problems.push(problem(name, message, "tapway rpki"));
            }
        }
        if self.settings.caches().is_empty() {
            problems.extend(self.settings.asks_rpki().iter().map(|policy| {
                let message = format!(
                    "policy {policy} looks at RPKI states, and there is no cache: every route is not-found"
                );
                problem(policy.as_str(), message, "add [rpki.NAME] with server = \"…\"")
            }));
        }
        problems
    }

    fn status(&self) -> Status {
        let now = now();
        let node = &self.node;
        let mut peers = PeerCount::default();
        let mut received_routes = 0;
        let mut concerns = Vec::new();
        for peer in node.speaker().peers() {
            peers.total += 1;
            peers.disabled += u64::from(peer.disabled);
            peers.established += u64::from(peer.state == State::Established);
            received_routes += peer.families.iter().map(|f| f.received as u64).sum::<u64>();
            if !peer.disabled && peer.state != State::Established {
                concerns.push(format!("peer {} is {}", peer.name, peer.state));
            }
        }
        let mut sources = SourceCount::default();
        let mut grace_left = None;
        for source in node.intent().sources(now) {
            sources.total += 1;
            grace_left = grace_left.max(Some(source.grace_left));
            if source.state != SourceState::Live {
                sources.stale += 1;
                concerns.push(format!("source {} is not live", source.name));
            }
        }
        let (in_place, wanted) = node.fib().bulk_at_rest();
        let mut kernel = KernelCount {
            wanted: wanted as u64,
            in_place: in_place as u64,
            ..KernelCount::default()
        };
        for (_, status) in node.fib().states() {
            kernel.wanted += 1;
            match status {
                FibStatus::InSync => kernel.in_place += 1,
                FibStatus::Failed { .. } | FibStatus::Foreign => kernel.failed += 1,
                _ => {}
            }
        }
        if let Some(why) = self.store.trouble() {
            concerns.push(format!("nothing is kept across restarts: {why}"));
        }
        let problems = self.problems().len() as u64;
        let conflicts = node.intent().conflicts().len() as u64;
        if problems > 0 {
            concerns.push(format!("{problems} problems"));
        }
        if conflicts > 0 {
            concerns.push(format!("{conflicts} conflicts"));
        }
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state: if self.goodbye.is_some() {
                DaemonState::Stopping
            } else if node.settled() {
                DaemonState::Running
            } else {
                DaemonState::Grace
            },
            healthy: concerns.is_empty(),
            concerns,
            uptime_s: now.since(self.started).as_secs(),
            warm_start: self.warm,
            draining: node.speaker().draining(),
            asn: node.config().speaker.asn,
            router_id: node.config().speaker.router_id,
            grace_left_s: grace_left
                .filter(|g| !g.is_zero())
                .map(|g| g.as_secs().max(1)),
            instances: node.intent().instances().count() as u64,
            claims: node.claims().count() as u64,
            announcements: node.claims().filter(|(_, _, announced)| *announced).count() as u64,
            conflicts,
            problems,
            received_routes,
            peers,
            sources,
            kernel,
        }
    }

    fn doctor(&mut self, responder: Responder) {
        let failed = self
            .listeners
            .failed()
            .map(|(addr, why)| (*addr, why.to_owned()))
            .collect();
        let not_kept = self.store.trouble().map(str::to_owned);
        let mut facts = doctor::Facts::of(&self.node, failed, not_kept);
        facts.torn_scans = self.node.torn_scans(now());
        facts.rpki = self
            .rpki_problems()
            .into_iter()
            .map(|p| p.message)
            .collect();
        facts.rpki_caches = self.rtr.statuses().len();
        let started = std::thread::Builder::new()
            .name("doctor".to_owned())
            .spawn(move || {
                responder.send(Ok(ApiReply::Diagnosis(doctor::diagnose(&facts))));
            });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for the checks");
        }
    }
}
