//! What operators and programs tell the node to do.

use super::Node;
use crate::action::Level;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tapway_bgp::Speaker;
use tapway_bgp::config::{PeerAddress, PeerConfig, Policy};
use tapway_model::{Instant, Network, PeerName, PolicyName};

impl Node {
    /// Adds or changes a peer.
    pub fn set_peer(&mut self, now: Instant, peer: PeerConfig) {
        let name = peer.name.clone();
        let is_range = matches!(peer.address, PeerAddress::Range(_));
        self.config.peers.insert(name.clone(), peer.clone());
        if is_range {
            self.speaker.remove_peer(now, &name);
            self.endpoints.remove(&name);
        } else {
            self.speaker.set_peer(now, peer);
        }
        self.update_range(now, &name);
        self.uplinks_dirty = true;
        self.turn(now);
    }

    /// Takes a peer's session down until it is enabled; of a range: those of all that it made, and it makes no others
    /// meanwhile. False when there is none of this name.
    pub fn disable_peer(&mut self, now: Instant, name: &PeerName, message: Option<String>) -> bool {
        self.set_disabled(now, name, Some(message))
    }

    /// Lets a peer's session come up again. False when there is none of this name.
    pub fn enable_peer(&mut self, now: Instant, name: &PeerName) -> bool {
        self.set_disabled(now, name, None)
    }

    fn set_disabled(&mut self, now: Instant, name: &PeerName, why: Option<Option<String>>) -> bool {
        let range = self.config.peers.get_mut(name);
        let range = range.filter(|peer| matches!(peer.address, PeerAddress::Range(_)));
        let known = match (range, why) {
            (Some(range), why) => {
                range.disabled = why.is_some();
                self.update_range(now, name);
                true
            }
            (None, Some(message)) => self.speaker.disable(now, name, message),
            (None, None) => self.speaker.enable(now, name),
        };
        self.turn(now);
        known
    }

    /// Ends a peer. False when there is none of this name.
    pub fn remove_peer(&mut self, now: Instant, name: &PeerName) -> bool {
        let known = self.config.peers.remove(name).is_some();
        if known {
            self.speaker.remove_peer(now, name);
            self.endpoints.remove(name);
            self.update_range(now, name);
            self.uplinks_dirty = true;
            self.turn(now);
        }
        known
    }

    /// Adds or changes policies, all at once: they may call each other.
    pub fn set_policies(&mut self, now: Instant, policies: Vec<Policy>) {
        let known = &mut self.config.policies;
        known.retain(|old| !policies.iter().any(|new| new.name == old.name));
        known.extend_from_slice(&policies);
        self.speaker.set_policies(now, policies);
        self.turn(now);
    }

    /// Removes a policy. False when there is none of this name.
    pub fn remove_policy(&mut self, now: Instant, name: &PolicyName) -> bool {
        let before = self.config.policies.len();
        self.config.policies.retain(|p| &p.name != name);
        if self.config.policies.len() == before {
            return false;
        }
        self.speaker.remove_policy(now, name);
        self.turn(now);
        true
    }

    /// Makes all our routes the last choice of the network, or ends that. False: nothing changed.
    pub fn set_draining(&mut self, now: Instant, draining: bool) -> bool {
        let changed = self.speaker.set_draining(now, draining);
        if changed {
            let text = if draining {
                "all routes are announced as the last choice (GRACEFUL_SHUTDOWN)"
            } else {
                "all routes are announced as usual again"
            };
            self.event(Level::Info, "drain", "tapwayd", text.to_string());
            self.turn(now);
        }
        changed
    }

    /// The networks of a reloaded configuration.
    pub fn set_networks(&mut self, now: Instant, networks: Vec<Network>) {
        self.config.networks = networks.clone();
        self.index_networks(now);
        self.intent.set_networks(networks);
        self.turn(now);
    }

    /// The speaker, for commands to its peers (enable, disable, reset). Call [`Node::turn`] afterwards.
    pub fn speaker_mut(&mut self) -> &mut Speaker {
        &mut self.speaker
    }

    /// Withdraws everything and says goodbye; [`Node::unwire`] comes after the sessions are closed.
    pub fn shutdown(&mut self, now: Instant, message: &str) {
        self.stopping = true;
        self.speaker.shutdown(now, Some(message.to_string()));
        self.turn(now);
    }

    /// Takes all of ours out of the kernel.
    pub fn unwire(&mut self, now: Instant) {
        self.stopping = true;
        self.released = true;
        self.fib.release();
        self.turn(now);
    }
}
