//! Gateway addresses on the interfaces of NICs, and the rules of their networks.

use super::{NETWORK_RULE_PRIORITY, Node};
use crate::wiring::{self};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use tapway_bgp::Endpoint;
use tapway_bgp::config::{PeerAddress, PeerConfig};
use tapway_fib::{IfIndex, Key, Object};
use tapway_model::{Domain, Family, IfName, Instant, Network, NetworkName, PeerName};

impl Node {
    /// Gateway addresses on the interface of one NIC (or the bridge of its network).
    pub(super) fn refresh_nic(&mut self, name: &IfName) {
        let rules = self.rules();
        let mut objects: Vec<Object> = Vec::new();
        let network = self.intent.nic(name).map(|nic| nic.network.clone());
        if let Some(network) = network.filter(|_| !self.released) {
            if self.nic_interfaces.insert(name.clone()) {
                if self.forwarding.need(&mut self.fib) {
                    self.update_forwarding();
                }
                self.uplinks_dirty |= self.is_uplink(name);
            }
            if let Some(network) = self.networks.get(&network) {
                let on = network.bridge.as_ref().unwrap_or(name);
                if let Some(link) = self.fib.link_named(on) {
                    objects = wiring::gateway(network, link.index, rules);
                }
            }
        } else if self.nic_interfaces.remove(name) {
            self.uplinks_dirty |= self.is_uplink(name);
        }
        let keys: Vec<Key> = objects.iter().map(Object::key).collect();
        let old = if keys.is_empty() {
            self.nic_keys.remove(name)
        } else {
            self.nic_keys.insert(name.clone(), keys.clone())
        };
        // Several NICs of one bridge share its gateway addresses, so they are counted.
        for object in objects {
            *self.nic_counts.entry(object.key()).or_insert(0) += 1;
            self.fib.set_want(object);
        }
        for key in old.into_iter().flatten() {
            if let Some(count) = self.nic_counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.nic_counts.remove(&key);
                    self.fib.unwant(&key);
                }
            }
        }
    }

    /// Whether news of this interface can change where peers are or where to listen. A guest's interface
    /// cannot: thousands of them come and go, and none may cost a look at all others.
    pub(super) fn matters_to_peers(&self, index: IfIndex) -> bool {
        let Some(link) = self.fib.link(index) else {
            return self
                .endpoints
                .values()
                .flatten()
                .any(|e| e.ifindex == index);
        };
        if self.is_uplink(&link.name) {
            return true;
        }
        let open =
            |e: &Result<Endpoint, String>| e.as_ref().is_ok_and(|e| e.ifindex == 0) || e.is_err();
        let is_range = |peer: &PeerConfig| matches!(peer.address, PeerAddress::Range(_));
        !self.nic_interfaces.contains(&link.name)
            && (self.endpoints.values().any(open) || self.config.peers.values().any(is_range))
    }

    /// Whether a peer is reached over this interface, or configured on it.
    pub(super) fn is_uplink(&self, name: &IfName) -> bool {
        let index = self.fib.link_named(name).map(|l| l.index);
        self.endpoints
            .values()
            .flatten()
            .any(|e| Some(e.ifindex) == index)
            || self.config.peers.values().any(|peer| match &peer.address {
                PeerAddress::Interface(on)
                | PeerAddress::Ip {
                    interface: Some(on),
                    ..
                } => on == name,
                PeerAddress::Ip {
                    interface: None, ..
                }
                | PeerAddress::Range(_) => false,
            })
    }

    pub(super) fn refresh_all_nics(&mut self) {
        let names: Vec<IfName> = self.nic_interfaces.iter().cloned().collect();
        for name in names {
            self.refresh_nic(&name);
        }
    }

    /// Refreshes the NICs that the state of this interface matters to.
    pub(super) fn refresh_nics_on(&mut self, name: &IfName) {
        let is_bridge = |n: &Network| n.bridge.as_ref() == Some(name);
        if self.networks.values().any(is_bridge) {
            self.refresh_all_nics();
        } else if self.nic_interfaces.contains(name) {
            self.refresh_nic(name);
        }
    }

    pub(super) fn index_networks(&mut self, now: Instant) {
        self.networks = self
            .config
            .networks
            .iter()
            .map(|n| (n.name.clone(), n.clone()))
            .collect();
        if let Ok(name) = NetworkName::new("default") {
            self.networks
                .entry(name.clone())
                .or_insert_with(|| Network::with_defaults(name));
        }
        let seen_by = self.networks.values().filter_map(|n| n.peers.clone());
        let seen_by: Vec<Arc<[PeerName]>> = seen_by.map(Into::into).collect();
        self.speaker.expect_peer_lists(now, seen_by);
        self.gateways = self
            .networks
            .values()
            .flat_map(|n| n.gateway.iter().copied())
            .collect();
        let mut rules = BTreeSet::new();
        let tables: BTreeSet<Domain> = self
            .networks
            .values()
            .map(|n| n.domain)
            .filter(|d| *d != Domain::MAIN)
            .collect();
        for (table, family) in tables.into_iter().flat_map(|t| Family::ALL.map(|f| (t, f))) {
            let rule = Object::Rule(tapway_fib::Rule {
                family,
                priority: NETWORK_RULE_PRIORITY,
                table: table.0,
                iif: None,
                protocol: self.config.protocol,
            });
            rules.insert(rule.key());
            self.fib.set_want(rule);
        }
        for key in core::mem::replace(&mut self.rule_keys, rules).difference(&self.rule_keys) {
            self.fib.unwant(key);
        }
    }
}
