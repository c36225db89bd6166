//! What operators and programs tell the node to do.

use super::Node;
use crate::action::Level;
use crate::config::RouterSettings;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use tapway_bgp::config::{PeerAddress, PeerConfig, Policy};
use tapway_bgp::{SoftOutcome, SoftReset, Speaker};
use tapway_model::{Instant, Network, PeerName, PolicyName};

/// How a session is reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It stays, and routes are sent again.
    Soft(SoftReset),
    /// It is ended with Cease, Administrative Reset and these words (RFC 9003), and made again; a wait for the next attempt ends.
    Hard(Option<String>),
}

/// Whose sessions were reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetDone {
    /// These.
    pub done: Vec<PeerName>,
    /// Not these: they have none.
    pub no_session: Vec<PeerName>,
    /// These cannot be asked for their routes, as they did not offer route refresh.
    pub no_refresh: Vec<PeerName>,
}

impl Node {
    /// Changes our own settings; sessions are reset only if they must, and nothing is withdrawn but what these settings say. Which
    /// sessions, [`Node::foresee`] tells beforehand.
    pub fn set_router(&mut self, now: Instant, settings: RouterSettings) {
        let old = self.config.router();
        if old == settings {
            return;
        }
        let RouterSettings {
            speaker,
            listen,
            withdraw_without_carrier,
            next_hop_via_default,
        } = settings;
        self.config.speaker = speaker.clone();
        self.config.listen = listen;
        self.config.withdraw_without_carrier = withdraw_without_carrier;
        self.config.next_hop_via_default = next_hop_via_default;
        self.uplinks_dirty |= old.listen != self.config.listen;
        if old.withdraw_without_carrier != withdraw_without_carrier {
            self.refresh_all(now);
        }
        if old.next_hop_via_default != next_hop_via_default {
            self.next_hops.set_via_default(next_hop_via_default);
        }
        self.speaker.set_config(now, speaker);
        self.turn(now);
    }

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
            Some(message) => {
                self.remember_member(now, name);
                self.speaker.disable(now, name, message)
            }
            None => self.speaker.enable(now, name),
        };
        self.turn(now);
        known
    }

    /// Resets the session of a peer, or those of all that a range made. `None`: there is none of this name.
    pub fn reset_peer(&mut self, now: Instant, name: &PeerName, how: Reset) -> Option<ResetDone> {
        let peer = self.peer_config(name)?;
        let names = match &peer.address {
            PeerAddress::Range(_) => {
                let members = self.ranged.peers.values();
                let members = members.filter(|member| member.range.as_ref() == Some(name));
                members.map(|member| member.name.clone()).collect()
            }
            PeerAddress::Ip { .. } | PeerAddress::Interface(_) => Vec::from([name.clone()]),
        };
        let mut all = ResetDone::default();
        for name in names {
            let outcome = match &how {
                Reset::Soft(way) => self.speaker.reset_soft(now, &name, *way),
                Reset::Hard(message) => {
                    self.speaker.reset_hard(now, &name, message.clone());
                    SoftOutcome::Done
                }
            };
            match outcome {
                SoftOutcome::Done => all.done.push(name),
                SoftOutcome::NoSession => all.no_session.push(name),
                SoftOutcome::NoRefresh => all.no_refresh.push(name),
            }
        }
        self.turn(now);
        Some(all)
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
