//! Short ways to write instances and networks in tests.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{
    ClaimKind, Domain, GuestBgp, Instance, Instant, Network, Nic, NicState, OwnClaim, Prefix,
    SourceName,
};

use crate::{Change, Intent, SourceConfig, SourceEvent};

pub(super) fn p(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(super) fn ps(texts: &[&str]) -> Vec<Prefix> {
    texts.iter().map(|text| p(text)).collect()
}

pub(super) fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

pub(super) fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

pub(super) fn nic(interface: &str, addresses: &[&str]) -> Nic {
    Nic {
        interface: interface.parse().unwrap(),
        mac: None,
        network: "default".parse().unwrap(),
        addresses: ps(addresses),
        routes: Vec::new(),
        anycast: Vec::new(),
        transparent: Vec::new(),
        guest_bgp: None,
        tags: Vec::new(),
        state: NicState::Running,
    }
}

pub(super) fn guest(prefixes: &[&str]) -> Option<GuestBgp> {
    Some(GuestBgp {
        asn: None,
        prefixes: ps(prefixes),
    })
}

pub(super) fn instance(name: &str, nics: Vec<Nic>, claims: Vec<OwnClaim>) -> Arc<Instance> {
    Arc::new(Instance {
        name: name.parse().unwrap(),
        nics,
        claims,
    })
}

/// An instance `name` with one NIC.
pub(super) fn one(name: &str, nic: Nic) -> Arc<Instance> {
    instance(name, Vec::from([nic]), Vec::new())
}

pub(super) fn own(owner: &str, network: &str, prefix: &str, kind: ClaimKind) -> OwnClaim {
    OwnClaim {
        by_network: owner == "network",
        network: network.parse().unwrap(),
        prefix: p(prefix),
        kind,
        next_hop: None,
    }
}

pub(super) fn network(name: &str, domain: Domain) -> Network {
    Network {
        domain,
        ..Network::with_defaults(name.parse().unwrap())
    }
}

/// An intent with the sources `files` and `api`, each with 30 s of grace.
pub(super) fn intent() -> Intent {
    let mut intent = Intent::new(at(0));
    for name in ["files", "api"] {
        intent.set_source(source(name), SourceConfig::default());
    }
    intent
}

impl Intent {
    pub(super) fn say(&mut self, seconds: u64, name: &str, event: SourceEvent) {
        self.handle_source(at(seconds), &source(name), event);
    }

    pub(super) fn put1(&mut self, name: &str, instance: Arc<Instance>) {
        self.say(1, name, SourceEvent::Put(instance));
    }

    pub(super) fn gone1(&mut self, name: &str, instance: &str) {
        self.say(1, name, SourceEvent::Gone(instance.parse().unwrap()));
    }

    /// What counts in the main table, as text: prefix, kind, holders, flags.
    pub(super) fn text(&self) -> Vec<String> {
        self.effective_all()
            .map(|effective| {
                let mut line = alloc::format!("{} {}", effective.prefix, effective.kind);
                for holder in &effective.holders {
                    line += &alloc::format!(" {}", holder.owner);
                    if let Some(via) = holder.via {
                        line += &alloc::format!(" via {via}");
                    }
                    if holder.stale {
                        line += " stale";
                    }
                }
                for (flag, word) in [
                    (effective.announce, " announce"),
                    (effective.shared, " shared"),
                ] {
                    line += if flag { word } else { "" };
                }
                line
            })
            .collect()
    }

    /// Conflicts as text.
    pub(super) fn conflict_text(&self) -> Vec<String> {
        self.conflicts()
            .iter()
            .map(|conflict| {
                let mut line = alloc::format!("{} {}", conflict.kept.owner, conflict.prefix);
                for refused in &conflict.refused {
                    line += &alloc::format!(" | {} {}", refused.owner, refused.prefix);
                }
                line
            })
            .collect()
    }

    pub(super) fn problem_text(&self) -> Vec<String> {
        self.problems().map(ToString::to_string).collect()
    }

    pub(super) fn changes(&mut self) -> Vec<Change> {
        core::iter::from_fn(|| self.poll_change()).collect()
    }

    pub(super) fn records(&mut self) -> Vec<crate::Record> {
        core::iter::from_fn(|| self.poll_record()).collect()
    }
}
