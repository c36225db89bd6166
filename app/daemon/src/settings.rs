//! What is in force and where it came from: the configuration file and what the API applied. For a
//! name that both define, the file wins.

mod applied;
mod differences;
mod policies;
mod reload;
mod router_id;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapway_api::config::{Configuration, Section};
use tapway_api::peer::Origin;
use tapway_api::problem::{Problem as ApiProblem, ProblemKind};
use tapway_api::write::Outcome;
use tapway_api::{ApiError, ErrorCode, Place};
use tapway_bgp::config::{PeerConfig, Policy, Seeds};
use tapway_bmp::CollectorConfig;
use tapway_document::Problem;
use tapway_fib::KernelEvent;
use tapway_model::spec::SpecError;
use tapway_model::{NetworkName, PeerName, PolicyName, SourceName};
use tapway_node::NodeConfig;
use tapway_rpki::CacheConfig;

use crate::args::Args;
use crate::config::spec::{PeerSpec, fits_our_as};
use crate::config::{
    self, Config, Known, Use, broken_calls, cache_value, collector_value, mrt_value, network_value,
    peer_value, policy_exists, policy_value,
};
use crate::mrt::MrtConfig;
use crate::store::Kept;

use applied::ApiPeer;
pub use policies::read_policy;
pub use reload::Change;

/// The configuration file, the command line, and what the API applied.
pub struct Settings {
    path: PathBuf,
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    config: Config,
    api_peers: BTreeMap<PeerName, ApiPeer>,
    api_policies: BTreeMap<PolicyName, Policy>,
    problems: Vec<ApiProblem>,
}

/// What applying a peer or policy did.
pub struct Applied<T> {
    /// To bring into effect; absent when the file wins or nothing differs.
    pub effective: Option<T>,
    /// For the answer.
    pub outcome: Outcome,
    /// For the answer.
    pub notes: Vec<String>,
}

impl Settings {
    /// Reads the file that the command line names. What the API applied in earlier runs is not known
    /// before [`Settings::with_kept`], so names of it are checked there.
    ///
    /// # Errors
    /// Everything that is wrong with it, one line each.
    pub fn load(args: &Args) -> anyhow::Result<Settings> {
        let any = Known {
            any: true,
            ..Known::default()
        };
        let config = config::load(&args.config, &any).map_err(|problems| all(&problems))?;
        Ok(Settings {
            path: args.config.clone(),
            socket: args.socket.clone(),
            state_dir: args.state_dir.clone(),
            config,
            api_peers: BTreeMap::new(),
            api_policies: BTreeMap::new(),
            problems: Vec::new(),
        })
    }

    /// Adds what the API applied in earlier runs. What cannot be used any more is a problem.
    #[must_use]
    pub fn with_kept(mut self, kept: &Kept) -> Settings {
        for (name, value) in &kept.policies {
            match read_policy(name, value.clone()) {
                Ok(policy) => {
                    self.api_policies.insert(name.clone(), policy);
                }
                Err(error) => self
                    .problems
                    .push(kept_problem("policy", name.as_str(), &error)),
            }
        }
        for (name, value) in &kept.peers {
            match self.parse_peer(name, value.clone()) {
                Ok(peer) => {
                    self.api_peers.insert(name.clone(), peer);
                }
                Err(error) => self
                    .problems
                    .push(kept_problem("peer", name.as_str(), &error)),
            }
        }
        // Now every name is known. One that is missing is no reason not to start: what the API defined
        // may be lost, and the other peers are not.
        let known = Known {
            broken: Vec::new(),
            ..self.known_of_api()
        };
        if let Err(problems) = config::load(&self.path, &known) {
            let problems = problems
                .iter()
                .map(|p| problem(ProblemKind::Config, p, None));
            self.problems.extend(problems);
        }
        self.problems.extend(
            kept.problems
                .iter()
                .map(|p| problem(ProblemKind::State, p, None)),
        );
        self
    }

    /// The protocol number of our kernel objects.
    pub fn protocol(&self) -> u8 {
        self.config.router.protocol
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.state_dir.as_deref().unwrap_or(&self.config.state_dir)
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.socket
            .clone()
            .unwrap_or_else(|| self.config.api.socket.clone())
    }

    /// The API's read-only listener.
    pub fn http(&self) -> Option<SocketAddr> {
        self.config.api.http
    }

    /// The source `files`, when configured.
    pub fn files(&self) -> Option<(SourceName, PathBuf)> {
        let files = self.config.source_files.as_ref()?;
        Some((source("files")?, files.path.clone()))
    }

    /// The source that the API is.
    pub fn api_source(&self) -> SourceName {
        source("api").unwrap_or_else(|| unreachable!("`api` is a plain name"))
    }

    /// The RPKI caches.
    pub fn caches(&self) -> Vec<CacheConfig> {
        self.config.caches.values().cloned().collect()
    }

    /// Recording of messages.
    pub fn mrt(&self) -> Option<MrtConfig> {
        self.config.mrt.clone()
    }

    /// The collectors.
    pub fn collectors(&self) -> Vec<CollectorConfig> {
        self.config.collectors.values().cloned().collect()
    }

    /// What the node is told.
    ///
    /// # Errors
    /// When there is no router id to be had.
    pub fn node_config(&self, kept: &Kept, scan: &[KernelEvent]) -> anyhow::Result<NodeConfig> {
        let router_id = match self.config.router.router_id.or(kept.router_id) {
            Some(id) => id,
            None => router_id::choose(scan, &self.peers(), &self.config.networks, self.protocol())?,
        };
        let mut sources: BTreeMap<SourceName, Duration> = BTreeMap::new();
        sources.insert(self.api_source(), self.config.api_grace);
        if let (Some((name, _)), Some(files)) = (self.files(), &self.config.source_files) {
            sources.insert(name, files.grace);
        }
        Ok(NodeConfig {
            speaker: tapway_bgp::config::SpeakerConfig {
                asn: self.config.router.asn,
                router_id,
                cluster_id: self.config.router.cluster_id,
                graceful_restart: self.config.router.graceful_restart,
                decision: self.config.router.decision,
            },
            protocol: self.config.router.protocol,
            listen: self.config.router.listen.clone(),
            networks: self.config.networks.clone(),
            peers: self.peers(),
            policies: self.policies_in_force(),
            sources,
            withdraw_without_carrier: self.config.router.withdraw_without_carrier,
            next_hop_via_default: self.config.router.next_hop_via_default,
            seeds: Seeds {
                jitter: u64::from(std::process::id()) ^ tapway_sys::clock::now(),
                tables: tapway_sys::process::random().context("no random numbers to be had")?,
            },
        })
    }

    /// The peers in force.
    fn peers(&self) -> BTreeMap<PeerName, PeerConfig> {
        self.peers_with(&self.config)
    }

    /// What exists beside the file.
    fn known_of_api(&self) -> Known {
        let of_file: Vec<String> = self
            .config
            .policies
            .iter()
            .map(|p| format!("policy.{}.", p.name))
            .collect();
        let mut broken = broken_calls(&self.policies_in_force());
        broken.retain(|key| !of_file.iter().any(|own| key.starts_with(own)));
        Known {
            broken,
            policies: self.api_policies.keys().cloned().collect(),
            defined: self.api_policies.values().cloned().collect(),
            peers: self.api_peers.keys().cloned().collect(),
            applied: self.api_peers.values().map(|p| p.config.clone()).collect(),
            any: false,
        }
    }

    fn known(&self) -> Known {
        let policies = self.policies_in_force();
        Known {
            policies: policies.iter().map(|p| p.name.clone()).collect(),
            defined: policies,
            peers: self.peers().into_keys().collect(),
            ..Known::default()
        }
    }

    // Peers and policies of the API.

    /// What defines a peer.
    pub fn peer_origin(&self, name: &PeerName) -> Origin {
        if self.config.peers.contains_key(name) {
            Origin::File
        } else {
            Origin::Api
        }
    }

    /// A peer's configuration with every default, secrets hidden.
    pub fn peer_json(&self, peer: &PeerConfig) -> Value {
        peer_value(peer)
    }

    /// Takes a peer from the API.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn apply_peer(
        &mut self,
        name: &PeerName,
        value: Value,
    ) -> Result<Applied<PeerConfig>, ApiError> {
        let peer = self.parse_peer(name, value).map_err(invalid)?;
        self.forget_unusable("peer", name.as_str());
        let outcome = outcome(
            self.api_peers.insert(name.clone(), peer.clone()).as_ref(),
            &peer,
        );
        if self.peer_origin(name) == Origin::File {
            let note = format!(
                "[peer.{name}] in {} wins; this is kept and takes effect when that is removed",
                self.path.display()
            );
            return Ok(Applied {
                effective: None,
                outcome,
                notes: vec![note],
            });
        }
        Ok(Applied {
            effective: Some(peer.config),
            outcome,
            notes: Vec::new(),
        })
    }

    /// Forgets a peer of the API.
    ///
    /// # Errors
    /// When the API applied none of this name.
    pub fn remove_peer(&mut self, name: &PeerName) -> Result<(), ApiError> {
        let unusable = self.forget_unusable("peer", name.as_str());
        match self.api_peers.remove(name) {
            Some(_) => Ok(()),
            None if unusable => Ok(()),
            None if self.peer_origin(name) == Origin::File => {
                Err(self.of_file("peer", name.as_str()))
            }
            None => Err(ApiError::not_found("peer", name)),
        }
    }

    /// Forgets that what the API applied in an earlier run could not be used; whether it was so.
    fn forget_unusable(&mut self, what: &str, name: &str) -> bool {
        let (before, subject) = (self.problems.len(), format!("{what} {name}"));
        self.problems
            .retain(|p| p.kind != ProblemKind::State || p.subject != subject);
        self.problems.len() < before
    }

    fn of_file(&self, what: &str, name: &str) -> ApiError {
        ApiError::new(
            ErrorCode::Conflict,
            format!("{what} {name} is defined by {}", self.path.display()),
        )
        .with_remedy("remove it there, then `tapway config reload`")
    }

    fn parse_peer(&self, name: &PeerName, value: Value) -> Result<ApiPeer, SpecError> {
        let spec: PeerSpec = from_value(value)?;
        let follows_restart = spec.graceful_restart.is_none();
        let peer = spec.parse(
            name.clone(),
            self.config.router.graceful_restart,
            &config::secret_file,
        )?;
        fits_our_as(&peer, Some(self.config.router.asn))?;
        let known = self.known();
        let all: Vec<&Policy> = known.defined.iter().collect();
        for (way, policy) in [(Use::Import, &peer.import), (Use::Export, &peer.export)] {
            policy_exists(policy, &known)
                .and_then(|()| way.check(policy, &all))
                .map_err(|reason| SpecError {
                    key: way.key().to_owned(),
                    reason,
                })?;
        }
        let peers = self.peers();
        let mut others = peers.values().filter(|other| other.name != *name);
        match others.find_map(|other| config::between(&peer, other)) {
            Some(error) => Err(error),
            None => Ok(ApiPeer {
                config: peer,
                follows_restart,
            }),
        }
    }

    // For display.

    /// Problems of the configuration and of what was kept.
    pub fn problems(&self) -> &[ApiProblem] {
        &self.problems
    }

    /// The configuration in force, section by section.
    pub fn show(&self) -> Configuration {
        let section = |kind: &str, name: Option<&str>, origin, overridden, value| Section {
            kind: kind.to_owned(),
            name: name.map(str::to_owned),
            origin,
            overridden,
            value,
        };
        let whole = self.config.redacted();
        let mut sections = vec![section(
            "router",
            None,
            Origin::File,
            false,
            whole["router"].clone(),
        )];
        sections.extend(self.config.peers.values().map(|p| {
            section(
                "peer",
                Some(p.name.as_str()),
                Origin::File,
                false,
                peer_value(p),
            )
        }));
        sections.extend(self.api_peers.values().map(|p| &p.config).map(|p| {
            let overridden = self.config.peers.contains_key(&p.name);
            section(
                "peer",
                Some(p.name.as_str()),
                Origin::Api,
                overridden,
                peer_value(p),
            )
        }));
        let default = NetworkName::new("default").ok();
        sections.extend(self.config.networks.iter().map(|n| {
            let written = whole["network"].get(n.name.as_str()).is_some();
            let origin = if !written && Some(&n.name) == default.as_ref() {
                Origin::BuiltIn
            } else {
                Origin::File
            };
            section(
                "network",
                Some(n.name.as_str()),
                origin,
                false,
                network_value(n),
            )
        }));
        sections.extend(self.config.policies.iter().map(|p| {
            section(
                "policy",
                Some(p.name.as_str()),
                Origin::File,
                false,
                policy_value(p),
            )
        }));
        sections.extend(self.api_policies.values().map(|p| {
            let overridden = self.config.policies.iter().any(|f| f.name == p.name);
            section(
                "policy",
                Some(p.name.as_str()),
                Origin::Api,
                overridden,
                policy_value(p),
            )
        }));
        sections.extend(self.config.caches.values().map(|c| {
            section(
                "rpki",
                Some(c.name.as_str()),
                Origin::File,
                false,
                cache_value(c),
            )
        }));
        sections.extend(
            self.config
                .mrt
                .iter()
                .map(|m| section("mrt", None, Origin::File, false, mrt_value(m))),
        );
        sections.extend(self.config.collectors.values().map(|c| {
            section(
                "bmp",
                Some(c.name.as_str()),
                Origin::File,
                false,
                collector_value(c),
            )
        }));
        if let Some(sources) = whole.get("source").and_then(Value::as_object) {
            sections.extend(sources.iter().map(|(name, value)| {
                section("source", Some(name), Origin::File, false, value.clone())
            }));
        }
        sections.push(section(
            "api",
            None,
            Origin::File,
            false,
            json!({ "socket": self.socket(), "http": self.http() }),
        ));
        Configuration {
            file: Some(self.path.display().to_string()),
            sections,
        }
    }
}

/// A problem of a text, for the API.
pub(crate) fn problem(
    kind: ProblemKind,
    problem: &Problem,
    source: Option<&SourceName>,
) -> ApiProblem {
    ApiProblem {
        kind,
        subject: problem.file.clone(),
        message: problem.reason.clone(),
        place: Some(Place {
            file: Some(problem.file.clone()),
            line: problem.line,
            column: problem.column,
            key: problem.key.clone(),
        }),
        source: source.cloned(),
        remedy: problem.remedy.clone(),
    }
}

/// `tapwayd --check`: every problem of the configuration and of the instance files.
pub fn check_and_print(args: &Args) -> ExitCode {
    let examined = config::examine_file(&args.config, &Known::default());
    examined.problems.iter().for_each(|p| eprintln!("{p}"));
    let mut good = 0usize;
    let mut bad = examined.problems.len();
    if let Some(files) = &examined.source_files {
        match tapway_source_files::check(&files.path) {
            Ok((well, problems)) => {
                good = well;
                bad += problems.len();
                problems.iter().for_each(|p| eprintln!("{p}"));
            }
            Err(error) => {
                bad += 1;
                eprintln!(
                    "{}: {error}; make the directory, or correct path under [source.files]",
                    files.path.display()
                );
            }
        }
    }
    let Some(config) = examined.config.filter(|_| bad == 0) else {
        return ExitCode::FAILURE;
    };
    println!(
        "{}: good; {} peers, {} networks, {good} instance files",
        args.config.display(),
        config.peers.len(),
        config.networks.len()
    );
    ExitCode::SUCCESS
}

fn all(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(
        "the configuration cannot be used:\n  {}",
        lines.join("\n  ")
    )
}

fn source(name: &str) -> Option<SourceName> {
    SourceName::new(name).ok()
}

fn outcome<T: PartialEq>(old: Option<&T>, new: &T) -> Outcome {
    match old {
        None => Outcome::Created,
        Some(old) if old == new => Outcome::Unchanged,
        Some(_) => Outcome::Changed,
    }
}

pub(crate) fn invalid(error: SpecError) -> ApiError {
    ApiError::invalid(error.key, error.reason)
}

/// Unknown keys and wrong types, with the key where serde tells it.
pub(crate) fn from_value<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, SpecError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let (reason, remedy) = tapway_document::reword(&error.into_inner().to_string());
        SpecError {
            key: if path == "." { String::new() } else { path },
            reason: remedy.map_or_else(|| reason.clone(), |remedy| format!("{reason}; {remedy}")),
        }
    })
}

fn kept_problem(what: &str, name: &str, error: &SpecError) -> ApiProblem {
    ApiProblem {
        kind: ProblemKind::State,
        subject: format!("{what} {name}"),
        message: format!(
            "{what} {name}, applied through the API, cannot be used any more: {error}"
        ),
        place: None,
        source: None,
        remedy: Some(format!("apply it again, or `tapway {what} remove {name}`")),
    }
}

#[cfg(test)]
mod tests;
