//! Reading the configuration again: what differs, what takes effect, which sessions that ends, what needs a restart.

use std::collections::BTreeMap;

use tapway_api::config::{CheckBody, Checked, SessionEnd, SessionEndKind};
use tapway_api::problem::{Problem as ApiProblem, ProblemKind};
use tapway_bgp::config::{PeerConfig, Policy, SpeakerConfig};
use tapway_bmp::CollectorConfig;
use tapway_document::Problem;
use tapway_model::{Network, PeerName, PolicyName};
use tapway_node::{Foreseen, Node, NodeConfig, RouterSettings};
use tapway_rpki::CacheConfig;

use super::differences::{compare, named};
use super::{Settings, problem};
use crate::config::{self, Config};
use crate::mrt::MrtConfig;

/// What a reload brings into effect.
#[derive(Debug)]
pub struct Change {
    /// Our own settings.
    pub router: RouterSettings,
    /// New or changed.
    pub peers: Vec<PeerConfig>,
    /// Gone.
    pub removed_peers: Vec<PeerName>,
    /// New or changed.
    pub policies: Vec<Policy>,
    /// Gone.
    pub removed_policies: Vec<PolicyName>,
    /// All of them.
    pub networks: Vec<Network>,
    /// All of them.
    pub caches: Vec<CacheConfig>,
    /// All of them.
    pub collectors: Vec<CollectorConfig>,
    /// Recording of messages.
    pub mrt: Option<MrtConfig>,
}

impl Settings {
    /// Checks a text, or the daemon's own file: what is wrong with it, what differs, and which sessions a reload would end.
    pub fn check(&self, body: &CheckBody, node: &Node) -> Checked {
        let name = body
            .name
            .clone()
            .unwrap_or_else(|| self.path.display().to_string());
        let result = match &body.text {
            Some(text) => config::check(&name, text, &self.known_of_api()),
            None => config::load(&self.path, &self.known_of_api()),
        };
        let mut checked = self.checked(name, &result);
        if let Ok(config) = &result {
            checked.sessions = self.sessions(config, node);
        }
        checked
    }

    /// What a reload would do; `None`: the file says what is in force.
    pub fn pending(&self, node: &Node) -> Option<Checked> {
        let checked = self.check(&CheckBody::default(), node);
        let nothing = checked.ok
            && checked.changes.is_empty()
            && checked.needs_restart.is_empty()
            && checked.sessions.is_empty();
        (!nothing).then_some(checked)
    }

    /// Reads the file again. A file with a mistake changes nothing.
    pub fn reload(&mut self, node: &Node) -> (Checked, Option<Change>) {
        let name = self.path.display().to_string();
        let result = config::load(&self.path, &self.known_of_api());
        let mut checked = self.checked(name, &result);
        self.problems.retain(|p| p.kind != ProblemKind::Config);
        match result {
            Ok(config) => {
                checked.sessions = self.sessions(&config, node);
                self.take_over(config);
                checked.loaded = true;
                (checked, Some(self.change(node.config())))
            }
            Err(problems) => {
                self.problems.extend(
                    problems
                        .iter()
                        .map(|p| problem(ProblemKind::Config, p, None)),
                );
                (checked, None)
            }
        }
    }

    /// What only a restart changes stays as it is until then, so that it is reported again.
    fn take_over(&mut self, config: Config) {
        let restart = config.router.graceful_restart;
        for peer in self.api_peers.values_mut() {
            *peer = peer.with_default(restart);
        }
        let mut router = config.router.clone();
        router.protocol = self.config.router.protocol;
        self.config = Config {
            router,
            source_files: self.config.source_files.clone(),
            api_grace: self.config.api_grace,
            state_dir: self.config.state_dir.clone(),
            api: self.config.api.clone(),
            ..config
        };
    }

    /// The sessions that would end with this configuration.
    fn sessions(&self, config: &Config, node: &Node) -> Vec<SessionEnd> {
        let peers = self.peers_with(config);
        let router = router_settings(config, node.config().speaker.clone());
        let ends = node.foresee(&peers, &router).into_iter();
        ends.map(session_end).collect()
    }

    /// The peers that would be in force with this configuration.
    pub(super) fn peers_with(&self, config: &Config) -> BTreeMap<PeerName, PeerConfig> {
        let restart = config.router.graceful_restart;
        let api = self.api_peers.iter();
        let mut peers: BTreeMap<_, _> = api
            .map(|(name, peer)| (name.clone(), peer.with_default(restart).config))
            .collect();
        peers.extend(config.peers.clone());
        peers
    }

    fn change(&self, node: &NodeConfig) -> Change {
        let peers = self.peers();
        let policies = self.policies_in_force();
        Change {
            router: router_settings(&self.config, node.speaker.clone()),
            removed_peers: node
                .peers
                .keys()
                .filter(|name| !peers.contains_key(*name))
                .cloned()
                .collect(),
            peers: peers
                .into_values()
                .filter(|p| node.peers.get(&p.name) != Some(p))
                .collect(),
            removed_policies: node
                .policies
                .iter()
                .map(|p| &p.name)
                .filter(|n| !policies.iter().any(|p| p.name == **n))
                .cloned()
                .collect(),
            policies: policies
                .into_iter()
                .filter(|p| !node.policies.contains(p))
                .collect(),
            networks: self.config.networks.clone(),
            caches: self.caches(),
            collectors: self.collectors(),
            mrt: self.mrt(),
        }
    }

    fn checked(&self, name: String, result: &Result<Config, Vec<Problem>>) -> Checked {
        let mut checked = Checked {
            name,
            ok: result.is_ok(),
            ..Checked::default()
        };
        match result {
            Ok(config) => {
                compare(&self.config, config, &mut checked);
                self.compare_applied(config, &mut checked);
            }
            Err(problems) => {
                checked.problems = problems
                    .iter()
                    .map(|p| problem(ProblemKind::Config, p, None))
                    .collect::<Vec<ApiProblem>>();
            }
        }
        checked
    }

    /// Peers of the API that follow a default of the file.
    fn compare_applied(&self, config: &Config, checked: &mut Checked) {
        let restart = config.router.graceful_restart;
        let of_file = |name: &PeerName| {
            config.peers.contains_key(name) || self.config.peers.contains_key(name)
        };
        let own = self.api_peers.iter().filter(|(name, _)| !of_file(name));
        let own: BTreeMap<_, _> = own.collect();
        let new: BTreeMap<_, _> = own
            .iter()
            .map(|(name, peer)| (*name, peer.with_default(restart)))
            .collect();
        let old = own.into_iter().map(|(name, peer)| (name, peer.clone()));
        named("peer", old.collect(), new, &mut checked.changes);
    }
}

/// Our own settings with this configuration, where these of the speaker are in force: a router id that is not written stays.
fn router_settings(config: &Config, now: SpeakerConfig) -> RouterSettings {
    let router = &config.router;
    RouterSettings {
        speaker: SpeakerConfig {
            asn: router.asn,
            router_id: router.router_id.unwrap_or(now.router_id),
            cluster_id: router.cluster_id,
            graceful_restart: router.graceful_restart,
            decision: router.decision,
        },
        listen: router.listen.clone(),
        withdraw_without_carrier: router.withdraw_without_carrier,
        next_hop_via_default: router.next_hop_via_default,
    }
}

fn session_end(end: Foreseen) -> SessionEnd {
    SessionEnd {
        peer: end.peer,
        end: match end.comes_back {
            true => SessionEndKind::Reset,
            false => SessionEndKind::Ended,
        },
        why: end.why,
    }
}
