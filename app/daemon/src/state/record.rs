//! What is kept, and how single records make it up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;
use tapway_intent::OrderKey;
use tapway_model::{Instance, InstanceName, PeerName, PolicyName, SourceName};

/// One thing to keep. A later record with the same key replaces an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What a source said, or the order of owners.
    Intent(tapway_intent::Record),
    /// A peer applied through the API, as it was written, or that it is gone.
    Peer(PeerName, Option<Value>),
    /// A peer that an operator disabled, or that it is so no longer.
    Disabled(PeerName, bool),
    /// A policy applied through the API, as it was written, or that it is gone.
    Policy(PolicyName, Option<Value>),
    /// What a sysctl was before we changed it, or that it was put back. The path is below
    /// `/proc/sys/net`.
    Sysctl(String, Option<OldSysctl>),
    /// The router id in use.
    RouterId(Ipv4Addr),
    /// A number that must not go back.
    Counter(String, u64),
}

/// What a sysctl was before we changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldSysctl {
    /// Its value.
    pub value: String,
    /// The boot on which that was; after the next one it means nothing.
    pub boot_id: String,
}

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// What each source said last.
    pub instances: BTreeMap<SourceName, BTreeMap<InstanceName, Arc<Instance>>>,
    /// The order of owners.
    pub order: BTreeMap<OrderKey, u64>,
    /// Peers applied through the API.
    pub peers: BTreeMap<PeerName, Value>,
    /// Peers that an operator disabled.
    pub disabled: BTreeSet<PeerName>,
    /// Policies applied through the API.
    pub policies: BTreeMap<PolicyName, Value>,
    /// Sysctls that were changed.
    pub sysctls: BTreeMap<String, OldSysctl>,
    /// The router id in use.
    pub router_id: Option<Ipv4Addr>,
    /// Numbers that must not go back.
    pub counters: BTreeMap<String, u64>,
}

impl State {
    /// Takes one record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Intent(tapway_intent::Record::Put(source, instance)) => {
                let instances = self.instances.entry(source).or_default();
                instances.insert(instance.name.clone(), instance);
            }
            Record::Intent(tapway_intent::Record::Gone(source, name)) => {
                if let Some(instances) = self.instances.get_mut(&source) {
                    instances.remove(&name);
                    if instances.is_empty() {
                        self.instances.remove(&source);
                    }
                }
            }
            Record::Intent(tapway_intent::Record::Order(order)) => {
                self.order.insert(order.key, order.number);
            }
            Record::Intent(tapway_intent::Record::OrderGone(key)) => {
                self.order.remove(&key);
            }
            Record::Peer(name, value) => set(&mut self.peers, name, value),
            Record::Disabled(name, true) => {
                self.disabled.insert(name);
            }
            Record::Disabled(name, false) => {
                self.disabled.remove(&name);
            }
            Record::Policy(name, value) => set(&mut self.policies, name, value),
            Record::Sysctl(path, old) => set(&mut self.sysctls, path, old),
            Record::RouterId(id) => self.router_id = Some(id),
            Record::Counter(name, value) => {
                self.counters.insert(name, value);
            }
        }
    }

    /// How many records it takes to say it.
    pub fn len(&self) -> usize {
        self.instances.values().map(BTreeMap::len).sum::<usize>()
            + self.order.len()
            + self.peers.len()
            + self.disabled.len()
            + self.policies.len()
            + self.sysctls.len()
            + usize::from(self.router_id.is_some())
            + self.counters.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
