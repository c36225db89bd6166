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
        let old = self.config.peers.insert(name.clone(), peer.clone());
        // Whether it is on a link of ours may follow from that alone.
        self.next_hops.stale |= old.as_ref().is_some_and(|old| old.reach != peer.reach);
        if matches!(peer.address, PeerAddress::Range(_)) {
            let was = self.speaker.peer(&name).is_some_and(|peer| peer.disabled);
            self.speaker.remove_peer(now, &name);
            self.endpoints.remove(&name);
            self.note_range(old.as_ref(), &peer);
            if was {
                self.ranged.disabled.entry(name).or_insert(None);
            }
        } else {
            let message = self.ranged.disabled.get(&name).cloned();
            self.forget_range(&name);
            self.speaker.set_peer(now, peer);
            if let Some(message) = message {
                self.speaker.disable(now, &name, message);
            }
        }
        self.review_members(now);
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
        let configured = self.config.peers.get(name);
        let is_range = configured.is_some_and(|p| matches!(p.address, PeerAddress::Range(_)));
        let known = match why {
            why if is_range => {
                self.set_range_disabled(now, name, why);
                true
            }
            Some(message) => self.speaker.disable(now, name, message),
            None => self.speaker.enable(now, name),
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
            self.forget_range(name);
            self.review_members(now);
            self.uplinks_dirty = true;
            self.next_hops.stale = true;
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
