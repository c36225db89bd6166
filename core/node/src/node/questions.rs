//! What can be asked of the node.

use super::Node;
use crate::config::{Listener, NodeConfig};
use crate::wiring::{ClaimId, Gate};
use alloc::string::String;
use core::net::IpAddr;
use tapway_bgp::{Endpoint, Speaker};
use tapway_fib::{Fib, Key};
use tapway_intent::Intent;
use tapway_model::{Family, Instant, PeerName};

impl Node {
    /// Who owns what.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What the kernel holds.
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    /// What the network is told.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// The configuration in force, with peers and policies of the API.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Where each peer is, or why it cannot be reached.
    pub fn endpoint(&self, peer: &PeerName) -> Option<&Result<Endpoint, String>> {
        self.endpoints.get(peer)
    }

    /// Where we should listen.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The gate of each claim and whether it is announced.
    pub fn claims(&self) -> impl Iterator<Item = (&ClaimId, &Gate, bool)> {
        self.claims
            .states
            .iter()
            .map(|(id, s)| (id, &s.gate, s.announced.is_some()))
    }

    /// The gate of one claim and whether it is announced.
    pub fn claim(&self, id: &ClaimId) -> Option<(&Gate, bool)> {
        let state = self.claims.states.get(id)?;
        Some((&state.gate, state.announced.is_some()))
    }

    /// Since when a claim is announced.
    pub fn announced_since(&self, id: &ClaimId) -> Option<Instant> {
        self.claims.states.get(id)?.announced
    }

    /// Whether this is a gateway address of a network.
    pub fn is_gateway(&self, addr: &IpAddr) -> bool {
        self.gateways.contains(addr)
    }

    /// Sysctls that we changed, with the value they had.
    pub fn old_sysctls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.old_sysctls
            .iter()
            .map(|(path, old)| (path.as_str(), old.as_str()))
    }

    /// Whether every source has spoken and the start-up grace is over.
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// Received routes of a family that share the traffic.
    pub fn imported(&self, family: Family) -> usize {
        self.imports.paths(family)
    }

    /// Whether received routes asked for this kernel object.
    pub fn is_import(&self, key: &Key) -> bool {
        self.fib.is_bulk(key)
    }
}
