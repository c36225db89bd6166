//! The speaker: peers, own routes and policies joined.
//!
//! Every peer is a value of its own ([`peer::Peer`]); what they share, the RIB with it, is in [`shared::Shared`]. An input
//! finds its peer, the peer runs its state machines, and what comes of it waits in `Shared` to be polled.
//! Routes come in by `receive` and `judge`, go out by `export`, `groups` and `send`, to the kernel by `install`; where their
//! next hops are comes in by `next_hops`.

pub(crate) mod action;
pub(crate) mod answer;
mod ask;
mod border;
mod configure;
mod connect;
pub(crate) mod event;
mod export;
mod groups;
mod install;
mod judge;
mod limit;
mod lists;
pub(crate) mod monitor;
pub(crate) mod next_hops;
mod peer;
mod receive;
mod reflect;
mod routes;
mod send;
mod shared;
mod stale;
mod timeout;
mod work;

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Bound;

use tapway_bgp_wire::{ErrorCode, Notification, PerFamily};
use tapway_model::{Instant, PeerName, PolicyName};
use tapway_rpki::{Changed, VrpTable};

use crate::config::{PeerConfig, Policy, Seeds, SpeakerConfig};
use crate::own::AnnouncementId;
use crate::policy::Policies;
use action::{Action, ConnId, ConnInfo, Endpoint, ListenPeer, LocalAddresses, StartKind, Transmit};
use answer::{PeerChange, PeerSummary, SoftOutcome, SoftReset};
use event::{DownReason, Event};
use peer::Peer;
use shared::Shared;

/// The BGP speaker.
#[derive(Clone, Debug)]
pub struct Speaker {
    shared: Shared,
    peers: BTreeMap<PeerName, Peer>,
    /// Settings of peers that may come after a start.
    ranges: Vec<PeerConfig>,
    /// Whose bytes were taken last: the next one's turn is first.
    served: Option<PeerName>,
    /// When something was last told.
    clock: Instant,
}

impl Speaker {
    /// A speaker without peers.
    pub fn new(config: SpeakerConfig, seeds: impl Into<Seeds>, start: StartKind) -> Speaker {
        let mut speaker = Speaker {
            shared: Shared::new(config, seeds.into()),
            peers: BTreeMap::new(),
            ranges: Vec::new(),
            served: None,
            clock: Instant::default(),
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

    /// Adds a peer, or changes it; the session is reset only if it must be. A new peer, and one with a new
    /// [`address`](PeerConfig::address), waits for [`Speaker::set_peer_endpoint`].
    pub fn set_peer(&mut self, now: Instant, config: PeerConfig) -> PeerChange {
        let change = match self.peers.entry(config.name.clone()) {
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
        };
        self.follow_installed();
        self.work(now, work::SLICE);
        change
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
        self.work(now, work::SLICE);
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
        let Shared {
            groups,
            rib,
            policies,
            ..
        } = &mut self.shared;
        groups.export_changed(rib, groups::exports_by(policies, changed));
        self.each(now, |peer, shared| {
            if shared.policies.reaches(&peer.config.import, changed) {
                peer.judge_again(shared);
            }
            if shared.policies.reaches(&peer.config.export, changed) {
                peer.regroup(shared);
            }
        });
    }

    /// What the RPKI says from now on. Only what may be judged otherwise is looked at again, and only for peers whose
    /// policies ask; no session is reset.
    pub fn set_vrps(&mut self, now: Instant, table: VrpTable, changed: &Changed) {
        self.shared.vrps = table;
        let Shared {
            groups,
            rib,
            policies,
            ..
        } = &mut self.shared;
        groups.export_changed(rib, |key| policies.looks_at_rpki(&key.export));
        let changed = Arc::new(changed.clone());
        self.each(now, |peer, shared| {
            if shared.policies.looks_at_rpki(&peer.config.import) {
                peer.judge_where(shared, &changed);
            }
        });
    }

    /// What the RPKI says.
    pub fn vrps(&self) -> &VrpTable {
        &self.shared.vrps
    }

    /// Lets the session come up again. False: no such peer.
    pub fn enable(&mut self, now: Instant, peer: &PeerName) -> bool {
        self.with(now, peer, |peer, shared| peer.enable(shared, now))
            .is_some()
    }

    /// Takes the session down until enabled. False: no such peer.
    pub fn disable(&mut self, now: Instant, peer: &PeerName, message: Option<String>) -> bool {
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

    /// Sends all routes again, asks for the peer's, or both; the session stays.
    pub fn reset_soft(&mut self, now: Instant, peer: &PeerName, way: SoftReset) -> SoftOutcome {
        self.with(now, peer, |peer, _| peer.reset_soft(way))
            .unwrap_or(SoftOutcome::NoSession)
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

    /// Time has passed, or long work is to go on.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.shared.looks_on = false;
        self.each(now, |peer, shared| {
            if peer.next_timeout().is_some_and(|at| at <= now) {
                peer.timeout(shared, now);
            }
        });
    }

    /// Says by which settings peers may come that are not known yet: nobody can tell when all of them have sent their first
    /// routes. Before [`Speaker::set_restart_done`].
    pub fn set_ranges(&mut self, ranges: Vec<PeerConfig>) {
        self.ranges = ranges;
    }

    /// The start-up grace is over, or every source has spoken: End-of-RIB may be sent. Once is enough. To peers that are told
    /// what others sent it goes after a warm start only when these have sent their first routes, or the restart time is over
    /// (RFC 4724 §4.1, the Selection_Deferral_Timer).
    pub fn set_restart_done(&mut self, now: Instant) {
        self.shared.restart_done = true;
        let peers = self.peers.values().map(|p| &p.config);
        let restart = peers.chain(&self.ranges).filter_map(|p| p.graceful_restart);
        let longest = restart.map(|restart| restart.time).max();
        if let Some(time) = longest.filter(|_| self.shared.is_warm()) {
            self.shared.deferral_ends = Some(now + time);
            self.shared.deferred_until = self.shared.deferral_ends;
        }
        self.look_for_first_routes(now);
    }

    /// What first routes lead to may have to be looked for: until it is found they are not complete.
    fn defer_again(&mut self) {
        self.shared.deferred_until = self.shared.deferral_ends;
    }

    /// Looks who has not sent its first routes, while that matters.
    fn look_for_first_routes(&mut self, now: Instant) {
        let Some(until) = self.shared.deferred_until else {
            return;
        };
        let to_come = |family| {
            let of_range = |p: &PeerConfig| p.families.contains(&family);
            self.peers.values().any(|p| p.first_routes_to_come(family))
                || self.ranges.iter().any(of_range)
        };
        let seeks = self.shared.rib.seeks_next_hops();
        let to_come = PerFamily::from_fn(|family| now < until && (seeks || to_come(family)));
        if to_come == PerFamily::default() {
            self.shared.deferred_until = None;
        }
        self.shared.first_to_come = to_come;
        let peers = self.peers.values().map(|p| &p.config);
        self.shared.reflects = peers.chain(&self.ranges).any(|p| p.client);
    }

    /// Makes our routes the last choice of all peers, or ends that: they go out with GRACEFUL_SHUTDOWN, to
    /// internal peers with LOCAL_PREF 0 (RFC 8326 §4). False: nothing changed.
    pub fn set_draining(&mut self, now: Instant, draining: bool) -> bool {
        if self.shared.draining == draining {
            return false;
        }
        self.shared.draining = draining;
        let Shared { groups, rib, .. } = &mut self.shared;
        groups.export_changed(rib, |_| true);
        self.clock = now;
        true
    }

    /// Whether our routes are the last choice.
    pub fn draining(&self) -> bool {
        self.shared.draining
    }

    /// Withdraws everything and ends all sessions for good (Cease/Administrative Shutdown with `message`, RFC
    /// 9003; as a Hard Reset where RFC 8538 was agreed on).
    pub fn shutdown(&mut self, now: Instant, message: Option<String>) {
        self.shared.stopped = true;
        let own: Vec<AnnouncementId> = self.shared.own.iter().map(|a| a.id).collect();
        for id in own {
            self.shared.own.remove(&id);
            self.shared.remove_own(&id);
        }
        self.each(now, |peer, shared| {
            peer.withdraw_all(shared);
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
        self.transmit_to(|_, _| true)
    }

    /// The same for those peers alone that are still to be told that something is gone: withdraws are soon done also where much is
    /// to be announced.
    pub fn poll_withdraw(&mut self, _now: Instant) -> Option<Transmit> {
        self.transmit_to(Peer::owes_withdraws)
    }

    fn transmit_to(&mut self, whom: impl Fn(&Peer, &Shared) -> bool) -> Option<Transmit> {
        let served = self.served.clone();
        let after = served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        for whole_round in [false, true] {
            let from = if whole_round { Bound::Unbounded } else { after };
            for (name, peer) in self
                .peers
                .range_mut::<PeerName, _>((from, Bound::Unbounded))
            {
                if whom(peer, &self.shared)
                    && let Some(transmit) = peer.transmit(&mut self.shared)
                {
                    self.served = Some(name.clone());
                    return Some(transmit);
                }
            }
        }
        None
    }

    /// When [`Speaker::handle_timeout`] must be called at the latest. At once, while long work is under way: it is done in
    /// slices, one with each call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let work = self.shared.has_work().then_some(self.clock);
        let timers = self.peers.values().filter_map(Peer::next_timeout);
        let deferral = self.shared.deferred_until;
        timers.chain(work).chain(deferral).min()
    }

    /// All peers, by name.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        self.peers.values().map(|p| p.summary(&self.shared.rib))
    }

    /// One peer.
    pub fn peer(&self, peer: &PeerName) -> Option<PeerSummary> {
        self.peers.get(peer).map(|p| p.summary(&self.shared.rib))
    }

    /// The settings of a peer.
    pub fn peer_config(&self, peer: &PeerName) -> Option<&PeerConfig> {
        self.peers.get(peer).map(|p| &p.config)
    }

    /// Whose connection one from `remote` is, which came in on the link `ifindex` (0: unknown): the same link-local
    /// address may be a peer's on each of several links. `None`: nobody's who may come now.
    pub fn listen_peer_at(&self, remote: IpAddr, ifindex: u32) -> Option<ListenPeer> {
        let mut peers = self.peers.values();
        peers.find_map(|peer| peer.listen_at(remote, ifindex))
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
        self.work(now, work::SLICE);
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
        self.work(now, work::SLICE);
    }
}

#[cfg(test)]
pub(crate) mod tests;
