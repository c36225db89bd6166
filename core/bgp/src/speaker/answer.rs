//! Answers to questions: for display, `explain`, the API and the node.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use tapway_bgp_wire::{ExtendedCommunity, LargeCommunity, NextHop, Origin};
use tapway_model::{Family, Instant, NetworkName, PeerName, PolicyName, Prefix};

use super::action::{ConnId, ConnInfo};
use super::event::{DownReason, Notification};
use crate::config::{Install, Role};
use crate::own::AnnouncementId;
use crate::session::fsm::State;

/// What telling a peer's settings did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// There was no peer of that name.
    Added,
    /// Nothing differs.
    Unchanged,
    /// Taken over without touching the session.
    Applied,
    /// The session had to be closed; it comes back with the new settings.
    Reset,
}

/// What a soft reset does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftReset {
    /// The peer is asked to send all its routes again (RFC 2918).
    In,
    /// All routes are sent to the peer again.
    Out,
    /// Both.
    Both,
}

/// What came of a soft reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftOutcome {
    /// It is done, or under way.
    Done,
    /// Nothing was done: there is no such peer, or it has no session.
    NoSession,
    /// The peer cannot be asked: it did not offer route refresh. What is sent to it is sent again, when that was wanted.
    NoRefresh,
}

/// What of other settings ends a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// A setting of the peer that is in the OPEN or the socket, by its name in a configuration.
    Peer(&'static str),
    /// One of our own.
    Router(&'static str),
    /// The peer has sent more than it may then.
    OverLimit {
        /// Routes of this family.
        family: Family,
        /// So many.
        routes: usize,
        /// It may send so many.
        limit: u32,
    },
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResetCause::Peer(key) => write!(f, "{key} differs"),
            ResetCause::Router(key) => write!(f, "{key} of [router] differs"),
            ResetCause::OverLimit {
                family,
                routes,
                limit,
            } => write!(
                f,
                "it has sent {routes} {family} prefixes, and prefix_limit is {limit} now"
            ),
        }
    }
}

/// Messages and bytes of a peer since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub refresh: u64,
    /// Prefixes in UPDATEs: announced.
    pub announced: u64,
    /// Prefixes in UPDATEs: withdrawn.
    pub withdrawn: u64,
    /// Bytes of all messages.
    pub bytes: u64,
}

impl Counters {
    /// Messages of all kinds.
    pub fn messages(&self) -> u64 {
        self.open + self.update + self.notification + self.keepalive + self.refresh
    }
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedSummary {
    /// The peer's AS.
    pub asn: u32,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// The AS is not ours.
    pub external: bool,
    /// Hold time; zero: none.
    pub hold_time: Duration,
    /// Keepalive interval; zero: none.
    pub keepalive: Duration,
    /// AS numbers of four octets.
    pub four_octet_as: bool,
    /// Route refresh (RFC 2918).
    pub route_refresh: bool,
    /// Enhanced route refresh (RFC 7313).
    pub enhanced_refresh: bool,
    /// Messages of up to 65,535 bytes (RFC 8654).
    pub extended_messages: bool,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Families in which the peer may send several paths of a prefix (RFC 7911).
    pub add_path_receive: Vec<Family>,
    /// Families in which we send several.
    pub add_path_send: Vec<Family>,
    /// The peer's graceful restart time, when it offered any.
    pub peer_restart_time: Option<Duration>,
    /// Families whose routes we keep while the peer restarts.
    pub peer_restart_families: Vec<Family>,
    /// NOTIFICATIONs are a restart, too (RFC 8538).
    pub notification_restart: bool,
    /// The peer understands routes that are kept long (RFC 9494).
    pub long_lived: bool,
    /// The peer said that it restarted (R bit).
    pub peer_restarted: bool,
    /// What we are to the peer (RFC 9234).
    pub role: Option<Role>,
    /// The peer said the role that belongs to ours.
    pub role_confirmed: bool,
}

/// One family of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilySummary {
    /// Which.
    pub family: Family,
    /// Both sides offer it on the present session.
    pub negotiated: bool,
    /// Routes received.
    pub received: usize,
    /// Of these, accepted by import.
    pub accepted: usize,
    /// Of these, kept from before the peer's restart or until its refresh is over.
    pub stale: usize,
    /// Until when those are kept, beyond the restart time (RFC 9494).
    pub kept_until: Option<Instant>,
    /// So many have been sent that there was a warning of the limit.
    pub near_limit: bool,
    /// Routes announced to the peer.
    pub advertised: usize,
    /// Prefixes that still have to be looked at.
    pub pending: usize,
    /// End-of-RIB was received on this session.
    pub end_of_rib_received: bool,
    /// End-of-RIB was sent on this session.
    pub end_of_rib_sent: bool,
}

/// A peer as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSummary {
    /// Its name.
    pub name: PeerName,
    /// State of the connection that is furthest.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Since when it is established.
    pub established_since: Option<Instant>,
    /// Administratively down.
    pub disabled: bool,
    /// The operator's message for that.
    pub disabled_message: Option<String>,
    /// It can be reached: the node named an endpoint.
    pub reachable: bool,
    /// The connection in use.
    pub connection: Option<(ConnId, ConnInfo)>,
    /// What was agreed on; only in OpenConfirm and Established.
    pub negotiated: Option<NegotiatedSummary>,
    /// Messages in.
    pub received: Counters,
    /// Messages out.
    pub sent: Counters,
    /// Times it was established.
    pub established_count: u64,
    /// Malformed UPDATEs survived.
    pub bad_updates: u64,
    /// Why the last session or attempt ended, and when.
    pub last_down: Option<(Instant, DownReason)>,
    /// The last NOTIFICATION received.
    pub last_received: Option<(Instant, Notification)>,
    /// The last NOTIFICATION sent.
    pub last_sent: Option<(Instant, Notification)>,
    /// When we connect, or start over, next.
    pub next_attempt: Option<Instant>,
    /// Until when its connections are refused, as it sent more than it may.
    pub refused_until: Option<Instant>,
    /// Until when the peer is expected back with its routes kept.
    pub restarting_until: Option<Instant>,
    /// The configured families.
    pub families: Vec<FamilySummary>,
}

/// Why a received route does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The import policy rejects it; by that rule, or because none matches.
    Policy {
        /// Which policy.
        policy: PolicyName,
        /// Which rule, from 0.
        rule: Option<usize>,
    },
    /// Our AS is in its AS_PATH.
    AsLoop,
    /// Our identifier is its ORIGINATOR_ID: it has come back to us (RFC 4456 §8).
    OwnOriginator,
    /// Our cluster identifier is in its CLUSTER_LIST: our cluster has reflected it already (RFC 4456 §8).
    OwnCluster,
    /// Its AS_PATH does not begin with the peer's AS.
    FirstAs,
    /// A route leak (RFC 9234 §5): by ONLY_TO_CUSTOMER this AS gave it to its customers only, and here it comes from a customer, from
    /// a client of our route server, or from a peer that is not this AS.
    RouteLeak(u32),
    /// Its next hop is ourselves.
    OwnNextHop,
    /// Its next hop cannot be one: no unicast address, or link-local on a link that is not known.
    BadNextHop,
}

/// A route in a peer's Adj-RIB-In.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRoute {
    /// The prefix.
    pub prefix: Prefix,
    /// The path identifier, when negotiated (RFC 7911).
    pub path_id: Option<u32>,
    /// The next hop.
    pub next_hop: NextHop,
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH as text: `65000 65001 {65002 65003}`.
    pub as_path: String,
    /// MULTI_EXIT_DISC as received.
    pub med: Option<u32>,
    /// LOCAL_PREF as received.
    pub local_pref: Option<u32>,
    /// COMMUNITIES as received.
    pub communities: Vec<u32>,
    /// LARGE_COMMUNITIES as received.
    pub large_communities: Vec<LargeCommunity>,
    /// EXTENDED_COMMUNITIES as received.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// ORIGINATOR_ID as received (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST as received, nearest first (RFC 4456).
    pub cluster_list: Vec<Ipv4Addr>,
    /// ONLY_TO_CUSTOMER as received (RFC 9234).
    pub only_to_customer: Option<u32>,
    /// Why it does not count; `None`: accepted.
    pub refused: Option<Refusal>,
    /// The metric of its next hop after import; `None`: refused, or the next hop cannot be reached, and then it is not
    /// eligible (RFC 4271 §9.1.2.1).
    pub metric: Option<u32>,
    /// Its next hop after import, where that is another one.
    pub used_next_hop: Option<NextHop>,
    /// The decision process has chosen it for its prefix.
    pub best: bool,
    /// Kept from before the peer's restart, or until its refresh is over.
    pub stale: bool,
    /// The same, beyond the restart time: behind all others (RFC 9494).
    pub long_lived_stale: bool,
}

/// A route in a peer's Adj-RIB-Out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedRoute {
    /// The prefix.
    pub prefix: Prefix,
    /// The path identifier, when negotiated (RFC 7911).
    pub path_id: Option<u32>,
    /// The next hop.
    pub next_hop: NextHop,
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH as text; empty towards internal peers.
    pub as_path: String,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; internal peers only.
    pub local_pref: Option<u32>,
    /// COMMUNITIES.
    pub communities: Vec<u32>,
    /// LARGE_COMMUNITIES.
    pub large_communities: Vec<LargeCommunity>,
    /// EXTENDED_COMMUNITIES.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST, nearest first (RFC 4456).
    pub cluster_list: Vec<Ipv4Addr>,
    /// ONLY_TO_CUSTOMER (RFC 9234).
    pub only_to_customer: Option<u32>,
}

/// Where an announcement stands towards a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The peer has it, with this next hop.
    Sent(NextHop),
    /// It will be sent as soon as the connection takes it.
    Pending,
    /// There is no such announcement.
    NotAnnounced,
    /// There is no such peer.
    NoSuchPeer,
    /// The session is not up.
    SessionDown(State),
    /// The session does not carry the family.
    FamilyNotNegotiated(Family),
    /// The network names its peers, and this is none of them.
    NotForPeer(NetworkName),
    /// The export policy rejects it; by that rule, or because none matches.
    Filtered {
        /// Which policy.
        policy: PolicyName,
        /// Which rule, from 0.
        rule: Option<usize>,
    },
    /// The same prefix of another domain was announced first.
    Conflict(AnnouncementId),
    /// There is no next hop that the peer would accept: why.
    NoNextHop(&'static str),
}

/// Where the best route to a prefix, which another peer sent, stands towards a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPassed {
    /// The peer has it, or another one to the prefix, with this next hop.
    Sent(NextHop),
    /// It will be sent as soon as the connection takes it.
    Pending,
    /// The peer sent it itself.
    ItsOwn,
    /// The session is not up.
    SessionDown(State),
    /// The session does not carry the family.
    FamilyNotNegotiated(Family),
    /// Both are in our AS, and we are the reflector of neither (RFC 4271 §9.2, RFC 4456 §6).
    Internal,
    /// The export policy rejects it; by that rule, or because none matches.
    Filtered {
        /// Which policy.
        policy: PolicyName,
        /// Which rule, from 0.
        rule: Option<usize>,
    },
    /// There is no next hop that the peer would accept: why.
    NoNextHop(&'static str),
    /// A well-known community, or its AS_PATH, keeps it here (RFC 1997, RFC 5065 §4).
    Confined,
    /// By our role it is not for such a peer (RFC 9234 §5).
    Role(Role),
    /// It is kept long, and the peer does not understand that (RFC 9494 §4.3).
    LongLivedStale,
    /// Its attributes do not fit into a message to the peer.
    TooLong,
}

/// A received route that the kernel should have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installable {
    /// The prefix.
    pub prefix: Prefix,
    /// From whom.
    pub peer: PeerName,
    /// The next hop; IPv4 routes may have IPv6 ones.
    pub next_hop: IpAddr,
    /// The interface of the next hop; 0: whichever the kernel finds.
    pub ifindex: u32,
    /// Where it goes in the kernel.
    pub install: Install,
    /// Kept from before the peer's restart.
    pub stale: bool,
}
