//! Peers by range: who connects from one becomes a peer for as long as its session, or what is kept of it, lasts.
//!
//! Who may is decided in `admission.rs`. Whether a range is disabled is kept beside the configuration, like a peer's in the
//! speaker, so that reading the configuration again does not change it.
//!
//! A member that sent more than `prefix_limit` is remembered for a while after, with its back-off; otherwise it would be a
//! new peer a moment later, and be let in again and again. Those that are remembered count for `range_limit`, and make
//! room for others when it is reached: many addresses fill no memory, and keep nobody out.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp::config::{PeerAddress, PeerConfig, Reach};
use tapway_bgp::{DownReason, Endpoint, Event, State};
use tapway_bgp_wire::ErrorCode;
use tapway_model::{Instant, PeerName};

use super::Node;
use super::admission::made_by;
use crate::action::Report;
use crate::speech::bgp_event;

/// How long a member is remembered that sent too many prefixes: longer than any back-off, and than most routers take to
/// come back. Longer where it is to be kept away for longer.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Peers that ranges made.
#[derive(Debug, Default)]
pub(crate) struct Ranged {
    pub(super) peers: BTreeMap<PeerName, PeerConfig>,
    /// Ranges that let nobody in, and what they say to those who come (RFC 9003).
    pub(super) disabled: BTreeMap<PeerName, Option<String>>,
    /// Those that sent too many prefixes, and how long each is remembered.
    pub(super) offenders: BTreeMap<PeerName, Instant>,
    /// When a range last said what.
    pub(super) told: BTreeMap<(PeerName, &'static str), Instant>,
    /// Those that may be over.
    ended: Vec<PeerName>,
}

impl Node {
    /// All peers with their settings: those of the configuration, ranges among them, and those that ranges made.
    pub fn peer_configs(&self) -> impl Iterator<Item = &PeerConfig> {
        self.config.peers.values().chain(self.ranged.peers.values())
    }

    /// The names of all peers that may have a session.
    pub fn peer_names(&self) -> impl Iterator<Item = &PeerName> {
        let peers = self.peer_configs();
        let peers = peers.filter(|peer| !matches!(peer.address, PeerAddress::Range(_)));
        peers.map(|peer| &peer.name)
    }

    /// How many peers a range has made that are still there.
    pub fn members_of(&self, range: &PeerName) -> usize {
        let of_range = |peer: &&PeerConfig| peer.range.as_ref() == Some(range);
        self.ranged.peers.values().filter(of_range).count()
    }

    /// The settings of a peer.
    pub fn peer_config(&self, name: &PeerName) -> Option<&PeerConfig> {
        let made = || self.ranged.peers.get(name);
        self.config.peers.get(name).or_else(made)
    }

    /// Whether a range lets nobody in.
    pub fn is_range_disabled(&self, range: &PeerName) -> bool {
        self.ranged.disabled.contains_key(range)
    }

    /// Whether a peer that is written down is at this place: it comes before every range.
    pub(super) fn is_written_at(&self, at: &PeerAddress) -> bool {
        self.written_among(&self.config.peers, at).is_some()
    }

    /// The peer at this place, when these were those that are written down.
    pub(super) fn written_among<'p>(
        &self,
        peers: &'p BTreeMap<PeerName, PeerConfig>,
        at: &PeerAddress,
    ) -> Option<&'p PeerConfig> {
        let PeerAddress::Ip { addr, interface } = at else {
            return None;
        };
        peers.values().find(|peer| match &peer.address {
            PeerAddress::Ip { .. } => peer.address == *at,
            PeerAddress::Interface(on) => {
                let endpoint = self.endpoints.get(&peer.name);
                let endpoint = endpoint.and_then(|e| e.as_ref().ok());
                interface.as_ref() == Some(on) && endpoint.is_some_and(|e| e.remote.ip() == *addr)
            }
            PeerAddress::Range(_) => false,
        })
    }

    /// A range became what it is now from what it was, if it was there.
    pub(super) fn note_range(&mut self, old: Option<&PeerConfig>, new: &PeerConfig) {
        let old = old.filter(|old| matches!(old.address, PeerAddress::Range(_)));
        match (old.is_some_and(|old| old.disabled), new.disabled) {
            (false, true) => {
                self.ranged.disabled.insert(new.name.clone(), None);
            }
            (true, false) => {
                self.ranged.disabled.remove(&new.name);
            }
            // What the operator said since stands.
            (false, false) | (true, true) => {}
        }
    }

    /// Lets nobody in by a range, or anybody again.
    pub(super) fn set_range_disabled(
        &mut self,
        now: Instant,
        range: &PeerName,
        why: Option<Option<String>>,
    ) {
        match why {
            Some(message) => self.ranged.disabled.insert(range.clone(), message),
            None => self.ranged.disabled.remove(range),
        };
        self.review_members(now);
    }

    /// A range is no more.
    pub(super) fn forget_range(&mut self, range: &PeerName) {
        self.ranged.disabled.remove(range);
        self.ranged.told.retain(|(name, _), _| name != range);
    }

    pub(super) fn add_member(&mut self, now: Instant, peer: PeerConfig, endpoint: Endpoint) {
        let name = peer.name.clone();
        let on =
            |e: &Result<Endpoint, String>| e.as_ref().is_ok_and(|e| e.ifindex == endpoint.ifindex);
        let first_there = !self.endpoints.values().any(on);
        if endpoint.ifindex != 0 && !matches!(peer.reach, Reach::Multihop(_)) {
            let addr = endpoint.remote.ip();
            self.next_hops.note_peer(addr, Some(endpoint.ifindex));
        }
        self.ranged.peers.insert(name.clone(), peer.clone());
        self.speaker.set_peer(now, peer);
        self.endpoints.insert(name.clone(), Ok(endpoint));
        self.speaker.set_peer_endpoint(now, &name, Some(endpoint));
        if first_there {
            self.update_forwarding();
        }
    }

    /// A member that was disabled in an earlier run is one again, though it has not come yet: it is refused, and can be enabled.
    pub(super) fn remember_member(&mut self, now: Instant, name: &PeerName) {
        if self.peer_config(name).is_some() {
            return;
        }
        let Some(peer) = self.member_called(name) else {
            return;
        };
        self.ranged.peers.insert(name.clone(), peer.clone());
        self.speaker.set_peer(now, peer);
    }

    /// Members follow what is written down now: the settings of their range, whether it is still theirs, and whether a
    /// peer is written down where they are.
    pub(super) fn review_members(&mut self, now: Instant) {
        let members: Vec<PeerConfig> = self.ranged.peers.values().cloned().collect();
        for peer in members {
            let range = self.range_of(&peer.address).map(|(template, _)| template);
            let range = range.filter(|template| Some(&template.name) == peer.range.as_ref());
            let Some(template) = range.filter(|_| !self.is_written_at(&peer.address)) else {
                self.dismiss(now, &peer.name);
                continue;
            };
            if let Some(message) = self.ranged.disabled.get(&template.name) {
                let message = message.clone();
                self.speaker.disable(now, &peer.name, message);
                self.dismiss(now, &peer.name);
                continue;
            }
            let new = made_by(template, peer.name.clone(), peer.address.clone());
            if new != peer {
                self.ranged.peers.insert(new.name.clone(), new.clone());
                self.speaker.set_peer(now, new);
            }
        }
    }

    /// The speaker tells something.
    pub(super) fn take_bgp_event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Down { peer, reason, .. } => {
                if is_over_limit(reason)
                    && let Some(config) = self.ranged.peers.get(peer)
                {
                    let restart = config.prefix_limit.restart.unwrap_or_default();
                    let until = now + restart.max(REMEMBERED);
                    self.ranged.offenders.insert(peer.clone(), until);
                }
                self.note_ended(peer);
            }
            Event::StaleRemoved { peer, .. }
            | Event::StateChanged {
                peer,
                to: State::Active,
                ..
            } => self.note_ended(peer),
            _ => {}
        }
        self.reports.push_back(Report::Event(bgp_event(event)));
    }

    /// A session of this peer ended, or what was kept of it is gone.
    fn note_ended(&mut self, peer: &PeerName) {
        if self.ranged.peers.contains_key(peer) {
            self.ranged.ended.push(peer.clone());
        }
    }

    /// When the first of those that are remembered is forgotten.
    pub(super) fn next_forgotten(&self) -> Option<Instant> {
        self.ranged.offenders.values().min().copied()
    }

    /// Forgets peers that ranges made and that are over.
    pub(super) fn dismiss_ended(&mut self, now: Instant) {
        let ended = &mut self.ranged.ended;
        self.ranged.offenders.retain(|peer, until| {
            let remembered = *until > now;
            if !remembered {
                ended.push(peer.clone());
            }
            remembered
        });
        for name in core::mem::take(&mut self.ranged.ended) {
            let over = self.speaker.peer(&name).is_none_or(|peer| {
                let waits = matches!(peer.state, State::Idle | State::Active);
                waits && !peer.disabled && peer.families.iter().all(|f| f.received == 0)
            });
            if over && !self.ranged.offenders.contains_key(&name) {
                self.dismiss(now, &name);
            }
        }
    }

    pub(super) fn dismiss(&mut self, now: Instant, name: &PeerName) {
        self.ranged.peers.remove(name);
        self.ranged.offenders.remove(name);
        self.speaker.remove_peer(now, name);
        if let Some(Ok(endpoint)) = self.endpoints.remove(name) {
            self.next_hops.note_peer(endpoint.remote.ip(), None);
        }
    }
}

/// Whether a session ended because the peer sent more prefixes than it may (RFC 4486, section 4, subcode 1).
fn is_over_limit(reason: &DownReason) -> bool {
    let ErrorCode { code, subcode } = ErrorCode::CEASE_MAX_PREFIXES;
    matches!(reason, DownReason::Sent(sent) if (sent.code, sent.subcode) == (code, subcode))
}
