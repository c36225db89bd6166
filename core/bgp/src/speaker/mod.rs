//! The speaker: peers, own routes and policies joined.
//!
//! Every peer is a value of its own ([`peer::Peer`]); what they share is in [`shared::Shared`]. An input
//! finds its peer, the peer runs its state machines, and what comes of it waits in `Shared` to be polled.

pub(crate) mod action;
pub(crate) mod answer;
mod ask;
mod configure;
mod connect;
pub(crate) mod event;
mod peer;
mod receive;
mod send;
mod shared;
mod stale;
mod timeout;

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use tapway_bgp_wire::{Attributes, ErrorCode, NextHop, Notification};
use tapway_model::{Family, Instant, PeerName, PolicyName, Prefix};
use tapway_rpki::{Changed, VrpTable};

use crate::config::{PeerConfig, Policy, SpeakerConfig};
use crate::policy::Policies;
use crate::rib::own::{Announcement, AnnouncementId};
use action::{Action, ConnId, ConnInfo, Endpoint, ListenPeer, LocalAddresses, StartKind, Transmit};
use answer::{AdvertisedRoute, Installable, NotSent, PeerChange, PeerSummary, ReceivedRoute};
use event::{DownReason, Event};
use peer::Peer;
use shared::Shared;

/// The BGP speaker.
#[derive(Clone, Debug)]
pub struct Speaker {
    shared: Shared,
    peers: BTreeMap<PeerName, Peer>,
    /// Whose bytes were taken last: the next one's turn is first.
    served: Option<PeerName>,
}

impl Speaker {
    /// A speaker without peers. `seed` decides all jitter.
    pub fn new(config: SpeakerConfig, seed: u64, start: StartKind) -> Speaker {
        let mut speaker = Speaker {
            shared: Shared::new(config, seed),
            peers: BTreeMap::new(),
            served: None,
        };
        speaker.set_start(&start);
        speaker
    }

    /// Says how this run began. Only before there is a peer: an OPEN that was sent stands.
    pub fn set_start(&mut self, start: &StartKind) {
        self.shared.set_start(start);
    }

    /// Our own settings.
    pub fn config(&self) -> &SpeakerConfig {
        &self.shared.config
    }

    /// Changes our own settings; all sessions are reset when the AS or the identifier changes.
    pub fn set_config(&mut self, now: Instant, config: SpeakerConfig) {
        let old = core::mem::replace(&mut self.shared.config, config);
        let new = &self.shared.config;
        if (old.asn, old.router_id) == (new.asn, new.router_id) {
            return;
        }
        self.each(now, |peer, shared| {
            let notification = Notification::new(ErrorCode::CEASE_CONFIG_CHANGE);
            peer.stop(shared, now, Some(notification), DownReason::Administrative);
            peer.restart_now(shared, now);
        });
    }

    /// Adds a peer, or changes it; the session is reset only if it must be. A new peer, and one with a new
    /// [`address`](PeerConfig::address), waits for [`Speaker::set_peer_endpoint`].
    pub fn set_peer(&mut self, now: Instant, config: PeerConfig) -> PeerChange {
        match self.peers.entry(config.name.clone()) {
            Entry::Vacant(place) => {
                place.insert(Peer::new(now, config));
                PeerChange::Added
            }
            Entry::Occupied(mut place) => {
                let peer = place.get_mut();
                let change = peer.set_config(&mut self.shared, now, config);
                peer.note_state(&mut self.shared, now);
                change
            }
        }
    }

    /// Ends the session and forgets the peer. False: there was none.
    pub fn remove_peer(&mut self, now: Instant, peer: &PeerName) -> bool {
        let Some(mut gone) = self.peers.remove(peer) else {
            return false;
        };
        let notification = gone.hard(Notification::new(ErrorCode::CEASE_DECONFIGURED));
        gone.stop(
            &mut self.shared,
            now,
            Some(notification),
            DownReason::Administrative,
        );
        gone.forget_routes(&mut self.shared);
        self.shared.listen_changed = true;
        true
    }

    /// Defines policies, or replaces them, all at once; takes effect without resetting a session. Only peers
    /// whose policies differ are looked at again.
    pub fn set_policies(&mut self, now: Instant, policies: impl IntoIterator<Item = Policy>) {
        let changed = self.shared.policies.set(policies);
        self.policies_changed(now, &changed);
    }

    /// Removes a policy. Peers that still name it reject everything. False: there was none.
    pub fn remove_policy(&mut self, now: Instant, name: &PolicyName) -> bool {
        let removed = self.shared.policies.remove(name);
        if removed {
            self.policies_changed(now, &[name.clone()].into());
        }
        removed
    }

    /// The policies that are defined.
    pub fn policies(&self) -> &Policies {
        &self.shared.policies
    }

    fn policies_changed(&mut self, now: Instant, changed: &BTreeSet<PolicyName>) {
        if changed.is_empty() {
            return;
        }
        self.each(now, |peer, shared| {
            if shared.policies.reaches(&peer.config.import, changed) {
                peer.judge_again(shared);
            }
            if shared.policies.reaches(&peer.config.export, changed) {
                peer.touch_all(shared);
            }
        });
    }

    /// What the RPKI says from now on. Only what may be judged otherwise is looked at again, and only for peers whose
    /// policies ask; no session is reset.
    pub fn set_vrps(&mut self, now: Instant, table: VrpTable, changed: &Changed) {
        self.shared.vrps = table;
        self.each(now, |peer, shared| {
            if shared.policies.looks_at_rpki(&peer.config.import) {
                peer.judge_where(shared, |prefix| changed.covers(prefix));
            }
            if shared.policies.looks_at_rpki(&peer.config.export) {
                peer.touch_all(shared);
            }
        });
    }

    /// What the RPKI says.
    pub fn vrps(&self) -> &VrpTable {
        &self.shared.vrps
    }

    /// Lets the session come up again. False: no such peer.
    pub fn enable(&mut self, now: Instant, peer: &PeerName) -> bool {
        self.shared.listen_changed = true;
        self.with(now, peer, |peer, shared| peer.enable(shared, now))
            .is_some()
    }

    /// Takes the session down until enabled. False: no such peer.
    pub fn disable(&mut self, now: Instant, peer: &PeerName, message: Option<String>) -> bool {
        self.shared.listen_changed = true;
        self.with(now, peer, |peer, shared| peer.disable(shared, now, message))
            .is_some()
    }

    /// Closes the session; it comes back by itself. False: no such peer.
    pub fn reset_hard(&mut self, now: Instant, peer: &PeerName, message: Option<String>) -> bool {
        self.with(now, peer, |peer, shared| {
            peer.reset_hard(shared, now, message.as_deref())
        })
        .is_some()
    }

    /// Sends all routes again and asks for the peer's. False: no such peer, or not established.
    pub fn reset_soft(&mut self, now: Instant, peer: &PeerName) -> bool {
        self.with(now, peer, |peer, shared| peer.reset_soft(shared))
            .unwrap_or(false)
    }

    /// Where the peer can be reached now; `None`: nowhere (link down, link-local address not learned yet).
    /// A direct session ends at once with `None`; one over several hops stays until its hold time. Nothing
    /// is connected, and nobody accepted, before this was told.
    pub fn set_peer_endpoint(&mut self, now: Instant, peer: &PeerName, endpoint: Option<Endpoint>) {
        self.with(now, peer, |peer, shared| {
            peer.set_endpoint(shared, now, endpoint)
        });
    }

    /// A link went down: direct sessions over it end at once. They come back when the endpoint is told
    /// again, even if it is the same one, or, when nobody says that it is gone, by themselves.
    pub fn handle_link_down(&mut self, now: Instant, ifindex: u32) {
        self.each(now, |peer, shared| peer.link_down(shared, now, ifindex));
    }

    /// Our own addresses on the connection's interface; may change at any time. Nothing is announced on
    /// a connection before this was told.
    pub fn set_local_addresses(&mut self, now: Instant, conn: ConnId, addresses: LocalAddresses) {
        self.with_conn(now, conn, |peer, shared| {
            peer.set_addresses(shared, conn, addresses)
        });
    }

    /// A connection asked for is open.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {
        self.with_conn(now, conn, |peer, shared| {
            peer.connected(shared, now, conn, info)
        });
    }

    /// A connection asked for could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId, why: &str) {
        self.handle_closed(now, conn, why);
    }

    /// Somebody connected. One that is no peer is closed.
    pub fn handle_accepted(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {
        let name = self
            .peers
            .iter()
            .find(|(_, p)| p.is_at(&info))
            .map(|(n, _)| n.clone());
        if let Some(name) = name {
            self.with(now, &name, |peer, shared| {
                peer.accept(shared, now, conn, info)
            });
            return;
        }
        let shared = &mut self.shared;
        shared.actions.push_back(Action::Close {
            conn,
            farewell: Vec::new(),
        });
        if let Some(suppressed) = shared.unknown_peers.pass(now) {
            shared.tell(Event::UnknownPeer {
                remote: info.remote.ip().to_canonical(),
                suppressed,
            });
        }
    }

    /// Bytes came.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        self.with_conn(now, conn, |peer, shared| {
            peer.data(shared, now, conn, bytes)
        });
    }

    /// The peer closed, or the connection broke. The shell has let go of it already.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, why: &str) {
        let Some(name) = self.shared.conns.remove(&conn) else {
            return;
        };
        self.with(now, &name, |peer, shared| {
            peer.disconnected(shared, now, conn, why)
        });
    }

    /// The socket did not take all of the last [`Transmit`].
    pub fn handle_blocked(&mut self, now: Instant, conn: ConnId) {
        self.with_conn(now, conn, |peer, _| {
            if let Some(session) = peer.slot(conn).and_then(|s| peer.session_mut(s)) {
                session.set_blocked(now);
            }
        });
    }

    /// The rest of the last [`Transmit`] is written.
    pub fn handle_writable(&mut self, now: Instant, conn: ConnId) {
        self.with_conn(now, conn, |peer, _| {
            if let Some(session) = peer.slot(conn).and_then(|s| peer.session_mut(s)) {
                session.set_writable();
            }
        });
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.each(now, |peer, shared| {
            if peer.next_timeout().is_some_and(|at| at <= now) {
                peer.timeout(shared, now);
            }
        });
    }

    /// Announces a route, or changes it.
    pub fn announce(&mut self, _now: Instant, announcement: Announcement) {
        let id = announcement.id;
        if self.shared.stopped || !self.shared.own.set(announcement) {
            return;
        }
        for peer in self.peers.values_mut() {
            peer.touch(id.prefix);
        }
        if self.shared.own.of_prefix(&id.prefix).len() > 1
            && let Some(announcement) = self.shared.own.get(&id).cloned()
        {
            for peer in self.peers.values() {
                peer.tell_conflict(&mut self.shared, &announcement);
            }
        }
    }

    /// Withdraws a route. False: it was not announced.
    pub fn withdraw(&mut self, _now: Instant, id: &AnnouncementId) -> bool {
        if !self.shared.own.remove(id) {
            return false;
        }
        let gone = self.shared.own.of_prefix(&id.prefix).is_empty();
        for peer in self.peers.values_mut() {
            if gone {
                peer.gone(id.prefix);
            } else {
                peer.touch(id.prefix);
            }
        }
        true
    }

    /// All own routes, in order of their prefixes.
    pub fn announcements(&self) -> impl Iterator<Item = &Announcement> {
        self.shared.own.iter()
    }

    /// The start-up grace is over, or every source has spoken: End-of-RIB may be sent. Once is enough.
    pub fn set_restart_done(&mut self, _now: Instant) {
        self.shared.restart_done = true;
    }

    /// Makes our routes the last choice of all peers, or ends that: they go out with GRACEFUL_SHUTDOWN, to
    /// internal peers with LOCAL_PREF 0 (RFC 8326 §4). False: nothing changed.
    pub fn set_draining(&mut self, now: Instant, draining: bool) -> bool {
        if self.shared.draining == draining {
            return false;
        }
        self.shared.draining = draining;
        self.each(now, |peer, shared| peer.touch_all(shared));
        true
    }

    /// Whether our routes are the last choice.
    pub fn draining(&self) -> bool {
        self.shared.draining
    }

    /// Withdraws everything and ends all sessions for good (Cease/Administrative Shutdown with `message`, RFC
    /// 9003; as a Hard Reset where RFC 8538 was agreed on).
    pub fn shutdown(&mut self, now: Instant, message: Option<String>) {
        self.shared.own.clear();
        self.shared.stopped = true;
        self.each(now, |peer, shared| {
            peer.withdraw_all();
            peer.shut_down(shared, now, message.as_deref());
            peer.disabled_message.clone_from(&message);
        });
    }

    /// What the shell has to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.shared.poll_action()
    }

    /// Bytes to write next, peers in turn. Nothing for a connection that is blocked.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit> {
        let served = self.served.clone();
        let after = served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        for whole_round in [false, true] {
            let from = if whole_round { Bound::Unbounded } else { after };
            for (name, peer) in self
                .peers
                .range_mut::<PeerName, _>((from, Bound::Unbounded))
            {
                if let Some(transmit) = peer.transmit(&mut self.shared) {
                    self.served = Some(name.clone());
                    return Some(transmit);
                }
            }
        }
        None
    }

    /// When [`Speaker::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::next_timeout).min()
    }

    /// All peers, by name.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        self.peers.values().map(Peer::summary)
    }

    /// One peer.
    pub fn peer(&self, peer: &PeerName) -> Option<PeerSummary> {
        self.peers.get(peer).map(Peer::summary)
    }

    /// The settings of a peer.
    pub fn peer_config(&self, peer: &PeerName) -> Option<&PeerConfig> {
        self.peers.get(peer).map(|p| &p.config)
    }

    /// Whom listeners must expect now.
    pub fn listen_peers(&self) -> Vec<ListenPeer> {
        self.peers.values().filter_map(Peer::listen).collect()
    }

    /// What a peer sent; in order.
    pub fn received(&self, peer: &PeerName) -> impl Iterator<Item = ReceivedRoute> {
        self.peers.get(peer).into_iter().flat_map(Peer::received)
    }

    /// What a peer sent to one prefix: next hop and attributes.
    pub fn received_to(
        &self,
        peer: &PeerName,
        prefix: Prefix,
    ) -> impl Iterator<Item = (NextHop, &Attributes)> {
        let peer = self.peers.get(peer).into_iter();
        peer.flat_map(move |peer| peer.received_to(prefix))
    }

    /// Own routes to one prefix.
    pub fn announcements_to(&self, prefix: &Prefix) -> &[Announcement] {
        self.shared.own.of_prefix(prefix)
    }

    /// What a peer was sent; in order.
    pub fn advertised(&self, peer: &PeerName) -> impl Iterator<Item = AdvertisedRoute> {
        self.peers.get(peer).into_iter().flat_map(Peer::advertised)
    }

    /// Where an announcement stands towards a peer.
    pub fn why_not_sent(&self, peer: &PeerName, id: &AnnouncementId) -> NotSent {
        let Some(peer) = self.peers.get(peer) else {
            return NotSent::NoSuchPeer;
        };
        match self.shared.own.get(id) {
            Some(announcement) => peer.why_not_sent(&self.shared, announcement),
            None => NotSent::NotAnnounced,
        }
    }

    /// The received routes that should be in the kernel: of every prefix the best equal ones; sorted.
    pub fn installable(&self, family: Family) -> Vec<Installable> {
        ask::installable(self.peers.values(), family)
    }

    /// Whether peers that install routes of this family may still send their first ones: routes that an
    /// earlier run put in the kernel should stay meanwhile. Ends with their End-of-RIB, which is told as
    /// [`Action::InstallableChanged`]. A peer that never comes never ends it: bound the wait.
    pub fn awaits_first_routes(&self, family: Family) -> bool {
        self.peers.values().any(|p| p.awaits_first_routes(family))
    }

    /// Does something with one peer and tells its change of state.
    fn with<T>(
        &mut self,
        now: Instant,
        name: &PeerName,
        f: impl FnOnce(&mut Peer, &mut Shared) -> T,
    ) -> Option<T> {
        let peer = self.peers.get_mut(name)?;
        let result = f(peer, &mut self.shared);
        peer.note_state(&mut self.shared, now);
        Some(result)
    }

    fn with_conn(&mut self, now: Instant, conn: ConnId, f: impl FnOnce(&mut Peer, &mut Shared)) {
        if let Some(name) = self.shared.conns.get(&conn).cloned() {
            self.with(now, &name, f);
        }
    }

    fn each(&mut self, now: Instant, mut f: impl FnMut(&mut Peer, &mut Shared)) {
        for peer in self.peers.values_mut() {
            f(peer, &mut self.shared);
            peer.note_state(&mut self.shared, now);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
