//! The speaker: peers, own routes and policies joined.

pub(crate) mod action;
pub(crate) mod answer;
pub(crate) mod event;

use alloc::string::String;
use alloc::vec::Vec;

use tapway_model::{Family, Instant, PeerName, PolicyName};

use crate::config::{PeerConfig, Policy, SpeakerConfig};
use crate::rib::own::{Announcement, AnnouncementId};
use action::{Action, ConnId, ConnInfo, Endpoint, ListenPeer, LocalAddresses, StartKind, Transmit};
use answer::{AdvertisedRoute, Installable, NotSent, PeerChange, PeerSummary, ReceivedRoute};

/// The BGP speaker.
#[derive(Clone, Debug)]
pub struct Speaker {
    config: SpeakerConfig,
}

#[expect(unused_variables, reason = "bodies follow")]
impl Speaker {
    /// A speaker without peers. `seed` decides all jitter.
    pub fn new(config: SpeakerConfig, seed: u64, start: StartKind) -> Speaker {
        Speaker { config }
    }
    /// Changes our own settings; all sessions are reset when AS or identifier change.
    pub fn set_config(&mut self, now: Instant, config: SpeakerConfig) {}
    /// Our own settings.
    pub fn config(&self) -> &SpeakerConfig {
        &self.config
    }
    /// Adds a peer, or changes it; the session is reset only if it must be.
    pub fn set_peer(&mut self, now: Instant, config: PeerConfig) -> PeerChange {
        PeerChange::Unchanged
    }
    /// Ends the session and forgets the peer. False: there was none.
    pub fn remove_peer(&mut self, now: Instant, peer: &PeerName) -> bool {
        false
    }
    /// Defines a policy, or replaces it.
    pub fn set_policy(&mut self, now: Instant, policy: Policy) {}
    /// Removes a policy. Peers that still name it reject everything.
    pub fn remove_policy(&mut self, now: Instant, name: &PolicyName) -> bool {
        false
    }
    /// The policies that are defined.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        core::iter::empty()
    }
    /// Lets the session come up again. False: no such peer.
    pub fn enable(&mut self, now: Instant, peer: &PeerName) -> bool {
        false
    }
    /// Takes the session down until enabled. False: no such peer.
    pub fn disable(&mut self, now: Instant, peer: &PeerName, message: Option<String>) -> bool {
        false
    }
    /// Closes the session; it comes back by itself. False: no such peer.
    pub fn reset_hard(&mut self, now: Instant, peer: &PeerName, message: Option<String>) -> bool {
        false
    }
    /// Sends all routes again and asks for the peer's. False: no such peer, or not established.
    pub fn reset_soft(&mut self, now: Instant, peer: &PeerName) -> bool {
        false
    }
    /// Where the peer can be reached now; `None`: nowhere (link down, link-local address not learned yet).
    /// A direct session ends at once with `None`; one over several hops stays until its hold time.
    pub fn set_peer_endpoint(&mut self, now: Instant, peer: &PeerName, endpoint: Option<Endpoint>) {}
    /// A link went down: direct sessions over it end at once.
    pub fn handle_link_down(&mut self, now: Instant, ifindex: u32) {}
    /// Our own addresses on the connection's interface. Nothing is announced on it before this was told.
    pub fn set_local_addresses(&mut self, now: Instant, conn: ConnId, addresses: LocalAddresses) {}
    /// A connection asked for is open.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {}
    /// A connection asked for could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId, why: &str) {}
    /// Somebody connected.
    pub fn handle_accepted(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {}
    /// Bytes came.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {}
    /// The peer closed, or the connection broke.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, why: &str) {}
    /// The socket did not take all of the last [`Transmit`].
    pub fn handle_blocked(&mut self, now: Instant, conn: ConnId) {}
    /// The rest of the last [`Transmit`] is written.
    pub fn handle_writable(&mut self, now: Instant, conn: ConnId) {}
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {}
    /// Announces a route, or changes it.
    pub fn announce(&mut self, now: Instant, announcement: Announcement) {}
    /// Withdraws a route. False: it was not announced.
    pub fn withdraw(&mut self, now: Instant, id: &AnnouncementId) -> bool {
        false
    }
    /// All own routes.
    pub fn announcements(&self) -> impl Iterator<Item = &Announcement> {
        core::iter::empty()
    }
    /// The start-up grace is over, or every source has spoken: End-of-RIB may be sent.
    pub fn set_restart_done(&mut self, now: Instant) {}
    /// Withdraws everything and ends all sessions (Cease/Administrative Shutdown, RFC 9003).
    pub fn shutdown(&mut self, now: Instant, message: Option<String>) {}
    /// What the shell has to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }
    /// Bytes to write next. Nothing for a connection that is blocked.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        None
    }
    /// When [`Speaker::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// All peers, by name.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        core::iter::empty()
    }
    /// One peer.
    pub fn peer(&self, peer: &PeerName) -> Option<PeerSummary> {
        None
    }
    /// The settings of a peer.
    pub fn peer_config(&self, peer: &PeerName) -> Option<&PeerConfig> {
        None
    }
    /// Whom listeners must expect.
    pub fn listen_peers(&self) -> Vec<ListenPeer> {
        Vec::new()
    }
    /// What a peer sent; in order.
    pub fn received(&self, peer: &PeerName) -> impl Iterator<Item = ReceivedRoute> {
        core::iter::empty()
    }
    /// What a peer was sent; in order.
    pub fn advertised(&self, peer: &PeerName) -> impl Iterator<Item = AdvertisedRoute> {
        core::iter::empty()
    }
    /// Where an announcement stands towards a peer.
    pub fn why_not_sent(&self, peer: &PeerName, id: &AnnouncementId) -> NotSent {
        NotSent::NoSuchPeer
    }
    /// The received routes that should be in the kernel: of every prefix the best equal ones; sorted.
    pub fn installable(&self, family: Family) -> Vec<Installable> {
        Vec::new()
    }
    /// Whether peers that install routes of this family may still send their first ones: routes that an
    /// earlier run put in the kernel should stay meanwhile. Ends with their End-of-RIB.
    pub fn awaits_first_routes(&self, family: Family) -> bool {
        false
    }
}
