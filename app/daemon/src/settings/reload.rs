//! Reading the configuration again: what differs, what takes effect, what needs a restart.

use tapway_api::config::{CheckBody, Checked};
use tapway_api::problem::{Problem as ApiProblem, ProblemKind};
use tapway_bgp::config::{PeerConfig, Policy};
use tapway_bmp::CollectorConfig;
use tapway_document::Problem;
use tapway_model::{CacheName, CollectorName, Network, PeerName, PolicyName};
use tapway_node::NodeConfig;
use tapway_rpki::CacheConfig;

use super::{Settings, problem};
use crate::config::{self, Config};
use crate::mrt::MrtConfig;

/// What a reload brings into effect.
#[derive(Debug, Default)]
pub struct Change {
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
    /// Checks a text, or the daemon's own file.
    pub fn check(&self, body: &CheckBody) -> Checked {
        let name = body
            .name
            .clone()
            .unwrap_or_else(|| self.path.display().to_string());
        let result = match &body.text {
            Some(text) => config::check(&name, text, &self.known_of_api()),
            None => config::load(&self.path, &self.known_of_api()),
        };
        self.checked(name, &result)
    }

    /// Reads the file again. A file with a mistake changes nothing.
    pub fn reload(&mut self, node: &NodeConfig) -> (Checked, Option<Change>) {
        let name = self.path.display().to_string();
        let result = config::load(&self.path, &self.known_of_api());
        let mut checked = self.checked(name, &result);
        self.problems.retain(|p| p.kind != ProblemKind::Config);
        match result {
            Ok(config) => {
                // What only a restart changes stays as it is until then, so that it is reported again.
                self.config = Config {
                    router: self.config.router.clone(),
                    source_files: self.config.source_files.clone(),
                    api_grace: self.config.api_grace,
                    state_dir: self.config.state_dir.clone(),
                    api: self.config.api.clone(),
                    ..config
                };
                checked.loaded = true;
                (checked, Some(self.change(node)))
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

    fn change(&self, node: &NodeConfig) -> Change {
        let peers = self.peers();
        let policies = self.policies_in_force();
        Change {
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
            Ok(config) => self.compare(config, &mut checked),
            Err(problems) => {
                checked.problems = problems
                    .iter()
                    .map(|p| problem(ProblemKind::Config, p, None))
                    .collect::<Vec<ApiProblem>>();
            }
        }
        checked
    }

    fn compare(&self, new: &Config, checked: &mut Checked) {
        let mut say = |text: String| checked.changes.push(text);
        for (name, peer) in &new.peers {
            match self.config.peers.get(name) {
                None => say(format!("peer {name}: new")),
                Some(old) if old != peer => say(format!("peer {name}: changed")),
                Some(_) => {}
            }
        }
        for name in self
            .config
            .peers
            .keys()
            .filter(|n| !new.peers.contains_key(*n))
        {
            say(format!("peer {name}: gone"));
        }
        for network in &new.networks {
            match self.config.networks.iter().find(|n| n.name == network.name) {
                None => say(format!("network {}: new", network.name)),
                Some(old) if old != network => say(format!("network {}: changed", network.name)),
                Some(_) => {}
            }
        }
        for gone in self
            .config
            .networks
            .iter()
            .filter(|o| !new.networks.iter().any(|n| n.name == o.name))
        {
            say(format!("network {}: gone", gone.name));
        }
        for policy in &new.policies {
            match self.config.policies.iter().find(|p| p.name == policy.name) {
                None => say(format!("policy {}: new", policy.name)),
                Some(old) if old != policy => say(format!("policy {}: changed", policy.name)),
                Some(_) => {}
            }
        }
        for gone in self
            .config
            .policies
            .iter()
            .filter(|o| !new.policies.iter().any(|n| n.name == o.name))
        {
            say(format!("policy {}: gone", gone.name));
        }
        for (name, cache) in &new.caches {
            match self.config.caches.get(name) {
                None => say(format!("rpki {name}: new")),
                Some(old) if old != cache => say(format!("rpki {name}: changed")),
                Some(_) => {}
            }
        }
        let kept = |name: &&CacheName| !new.caches.contains_key(*name);
        for name in self.config.caches.keys().filter(kept) {
            say(format!("rpki {name}: gone"));
        }
        for (name, collector) in &new.collectors {
            match self.config.collectors.get(name) {
                None => say(format!("bmp {name}: new")),
                Some(old) if old != collector => say(format!("bmp {name}: changed")),
                Some(_) => {}
            }
        }
        let kept = |name: &&CollectorName| !new.collectors.contains_key(*name);
        for name in self.config.collectors.keys().filter(kept) {
            say(format!("bmp {name}: gone"));
        }
        match (&self.config.mrt, &new.mrt) {
            (None, Some(_)) => say("mrt: new".to_owned()),
            (Some(_), None) => say("mrt: gone".to_owned()),
            (old, new) if old != new => say("mrt: changed".to_owned()),
            _ => {}
        }
        let mut restart = |what: &str, differs: bool| {
            if differs {
                checked.needs_restart.push(format!("{what} changed"));
            }
        };
        restart("[router]", new.router != self.config.router);
        restart(
            "[source]",
            new.source_files != self.config.source_files || new.api_grace != self.config.api_grace,
        );
        restart("[api]", new.api != self.config.api);
        restart("state_dir", new.state_dir != self.config.state_dir);
    }
}
