//! What the speaker is told to do: itself, its peers, its policies. Checked values only.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use tapway_bgp_wire::AddPathDirection;
use tapway_model::{Family, IfName, PeerName, PolicyName, Prefix};

pub use crate::policy::rule::{
    Change, InstallChange, Lengths, Match, PathMatch, Policy, Prepend, PrependAs, Rule, Set,
    SetNextHop, Verdict,
};

pub use crate::role::{PeerRole, Role};
pub use tapway_rib::decide::Rules as Decision;

/// The speaker's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerConfig {
    /// Our AS.
    pub asn: u32,
    /// Our BGP identifier; never 0.
    pub router_id: Ipv4Addr,
    /// The cluster of which we are a route reflector (RFC 4456 §7); [`SpeakerConfig::router_id`] when absent.
    pub cluster_id: Option<Ipv4Addr>,
    /// Graceful restart for peers that say nothing of their own.
    pub graceful_restart: Option<GracefulRestart>,
    /// The switches of the decision process.
    pub decision: Decision,
}

impl SpeakerConfig {
    /// What goes into CLUSTER_LIST of what we reflect, and must not be in what we receive.
    pub fn cluster(&self) -> Ipv4Addr {
        self.cluster_id.unwrap_or(self.router_id)
    }
}

/// So many equal routes to one prefix share the traffic at most: more than a router has uplinks, and as many as one route of the
/// kernel is known to take.
pub const MAXIMUM_PATHS: u16 = 256;

/// The switches where nothing is said: RFC 4271, and all equal routes share the traffic.
pub const DECISION: Decision = Decision {
    always_compare_med: false,
    missing_med_is_worst: false,
    ignore_as_path: false,
    ignore_metric: false,
    maximum_paths_external: MAXIMUM_PATHS,
    maximum_paths_internal: MAXIMUM_PATHS,
    multipath_same_as: false,
};

/// Where all that is random comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// Of jitter.
    pub jitter: u64,
    /// Of hash tables that peers fill: nobody else may know it. It changes nothing that is seen.
    pub tables: [u8; 16],
}

impl From<u64> for Seeds {
    /// All from one number: for simulations, whose peers do no harm.
    fn from(seed: u64) -> Seeds {
        let mut tables = [0; 16];
        tables[..8].copy_from_slice(&seed.to_le_bytes());
        Seeds {
            jitter: seed,
            tables,
        }
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

/// Graceful restart (RFC 4724).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// How long a peer should keep our routes; at most 4095 s.
    pub time: Duration,
    /// RFC 8538: a NOTIFICATION, too, is a restart.
    pub notification: bool,
    /// RFC 9494: how long routes are kept beyond that, behind all others: ours by a peer, and a peer's by us at most; 1 s to
    /// [`GracefulRestart::LONG_LIVED_MAX`]. `None`: not at all.
    pub long_lived: Option<Duration>,
}

impl GracefulRestart {
    /// The longest time that the field can say: 24 bits of seconds (RFC 9494 §3.1), 194 days.
    pub const LONG_LIVED_MAX: Duration = Duration::from_secs(0xff_ffff);
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// At an address. `interface` is its scope when the address is link-local.
    Ip {
        /// The peer's address.
        addr: IpAddr,
        /// The scope of a link-local address.
        interface: Option<IfName>,
    },
    /// Unnumbered: at the link-local address that is learned on this interface.
    Interface(IfName),
    /// Nowhere itself: whoever connects from there becomes a peer of its own, with these settings. The speaker
    /// never sees such a one.
    Range(PeerRange),
}

/// Where peers may come from that nobody wrote down one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRange {
    /// Their addresses; at least one prefix.
    pub prefixes: Vec<Prefix>,
    /// How many there may be at a time.
    pub limit: u32,
}

/// The AS a peer must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAsn {
    /// Exactly this.
    Number(u32),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
}

impl PeerAsn {
    /// Whether such a peer is in our AS.
    pub const fn is_internal(self, us: u32) -> bool {
        match self {
            PeerAsn::Number(asn) => asn == us,
            PeerAsn::Internal => true,
            PeerAsn::External => false,
        }
    }
}

/// What is different about AS numbers with one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerAsPath {
    /// The AS that the peer takes for ours; external peers only.
    pub local: Option<LocalAs>,
    /// How many times our own AS may be in the path of what is received.
    pub allow_own: u8,
    /// What is received need not begin with the peer's AS, as it is a route server that leaves itself out (RFC 7947 §2.2.2.1); external
    /// peers only.
    pub any_first: bool,
    /// The peer's AS in the path of what it is sent becomes ours; external peers only.
    pub override_peer: bool,
    /// Private AS numbers do not go to it; external peers only.
    pub remove_private: Option<RemovePrivate>,
}

/// Another AS than ours, on one session (RFC 7705 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAs {
    /// Its number: neither ours nor the peer's.
    pub asn: u32,
    /// What is sent has it alone in front, not ours behind it ("Replace Old AS").
    pub replace: bool,
    /// What is received gets it in front; otherwise "No Prepend Inbound".
    pub prepend: bool,
}

/// What becomes of AS numbers for private use (RFC 6996 §5: 64512 to 65534, 4200000000 to 4294967294) in the path of what is sent.
/// The peer's own stays, so that it finds its loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovePrivate {
    /// All go.
    All,
    /// All go, if there is no other in the path.
    IfAll,
    /// All become ours: the path stays as long as it is.
    Replace,
}

/// How far away a peer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// On the link: sent with TTL 255, and the session ends when the link goes down.
    Direct,
    /// On the link, and packets that come with a TTL below 255 are dropped (RFC 5082).
    TtlSecurity,
    /// Up to this many hops away.
    Multihop(u8),
}

/// The next hop of what is sent to a peer in one family, where the claim and the network say nothing. What is reflected keeps
/// its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextHopTo<A> {
    /// Our address on the session.
    #[default]
    Own,
    /// Received routes keep theirs; own ones have our address.
    Unchanged,
    /// This one.
    Address(A),
}

impl<A: Into<IpAddr> + Copy> NextHopTo<A> {
    fn address(&self) -> Option<IpAddr> {
        match self {
            NextHopTo::Address(addr) => Some((*addr).into()),
            NextHopTo::Own | NextHopTo::Unchanged => None,
        }
    }
}

/// The next hops of what is sent to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerNextHop {
    /// Of IPv4 routes.
    pub ipv4: NextHopTo<Ipv4Addr>,
    /// Of IPv6 routes.
    pub ipv6: NextHopTo<Ipv6Addr>,
}

impl PeerNextHop {
    /// The address that is to be the next hop, if one is written.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.ipv4.address(),
            Family::Ipv6 => self.ipv6.address(),
        }
    }

    /// Whether received routes keep theirs.
    pub fn is_unchanged(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4 == NextHopTo::Unchanged,
            Family::Ipv6 => self.ipv6 == NextHopTo::Unchanged,
        }
    }
}

/// Whether add-path (RFC 7911) is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddPaths {
    /// We can receive several paths of a prefix.
    pub receive: bool,
    /// We can send several.
    pub send: Option<SendPaths>,
}

/// How many paths of a prefix a peer is sent at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendPaths {
    /// All that can be used.
    All,
    /// So many, the best ones; at least 1.
    Best(u16),
}

impl AddPaths {
    /// What our OPEN offers.
    pub(crate) fn direction(&self) -> Option<AddPathDirection> {
        match (self.receive, self.send.is_some()) {
            (true, true) => Some(AddPathDirection::Both),
            (true, false) => Some(AddPathDirection::Receive),
            (false, true) => Some(AddPathDirection::Send),
            (false, false) => None,
        }
    }
}

/// Where accepted received routes go in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Install {
    /// The kernel table.
    pub table: u32,
    /// The metric; absent: behind every default of the host's own.
    pub metric: Option<u32>,
    /// The preferred source address.
    pub prefsrc: Option<IpAddr>,
}

/// A secret: shown as `"***"` everywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The password itself, for the system call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

/// How many prefixes of one family a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLimit {
    /// Beyond so many the session is ended; at least 1.
    pub max: u32,
    /// From so many percent of them on it is warned; 1 to 100.
    pub warning: u8,
    /// When a session that was ended is tried again, and the peer let in; `None`: after the back-off, as after any error.
    pub restart: Option<Duration>,
}

impl PrefixLimit {
    /// [`PrefixLimit::warning`] where nothing is said.
    pub const WARNING: u8 = 75;

    /// So many, a warning before, and the back-off after.
    pub const fn new(max: u32) -> PrefixLimit {
        PrefixLimit {
            max,
            warning: PrefixLimit::WARNING,
            restart: None,
        }
    }

    /// So many are worth a warning: at least 1.
    pub fn warn_at(&self) -> u32 {
        let share = u64::from(self.max) * u64::from(self.warning);
        u32::try_from(share.div_ceil(100)).unwrap_or(self.max)
    }
}

/// A fabric peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its name.
    pub name: PeerName,
    /// Where it is.
    pub address: PeerAddress,
    /// The range that made it.
    pub range: Option<PeerName>,
    /// Its TCP port when we connect; 179 by default.
    pub port: u16,
    /// Our address for the session.
    pub local_address: Option<IpAddr>,
    /// Its AS.
    pub asn: PeerAsn,
    /// The families offered; at least one, sorted.
    pub families: Vec<Family>,
    /// TCP MD5 (RFC 2385); 1 to 80 bytes.
    pub password: Option<Secret>,
    /// Offered hold time: 0 (never) or at least 3 s.
    pub hold_time: Duration,
    /// Keepalive interval; a third of the negotiated hold time when absent.
    pub keepalive: Option<Duration>,
    /// `ConnectRetryTime`, before jitter and back-off.
    pub connect_retry: Duration,
    /// Never connect, only accept.
    pub passive: bool,
    /// How far away it may be.
    pub reach: Reach,
    /// Add-path.
    pub add_paths: AddPaths,
    /// Next hops of what is sent.
    pub next_hop: PeerNextHop,
    /// While it is in our AS: we are its route reflector (RFC 4456).
    pub client: bool,
    /// While it is in another AS: what we are to it (RFC 9234).
    pub role: Option<PeerRole>,
    /// What is different about AS numbers.
    pub as_path: PeerAsPath,
    /// What of the received routes counts.
    pub import: PolicyName,
    /// What is sent.
    pub export: PolicyName,
    /// Whether and where accepted routes go to the kernel.
    pub install: Option<Install>,
    /// How many prefixes of one family it may send.
    pub prefix_limit: PrefixLimit,
    /// Graceful restart for this peer; `None`: off.
    pub graceful_restart: Option<GracefulRestart>,
    /// Administratively down.
    pub disabled: bool,
}

impl PeerConfig {
    /// What the peer takes for our AS, when `router` is ours.
    pub fn our_as(&self, router: u32) -> u32 {
        self.as_path.local.map_or(router, |local| local.asn)
    }

    /// Whether it is in our AS, `router`.
    pub fn is_internal(&self, router: u32) -> bool {
        self.as_path.local.is_none() && self.asn.is_internal(router)
    }

    /// What networks and policies call it: by its range when one made it.
    pub fn known_as(&self) -> &PeerName {
        self.range.as_ref().unwrap_or(&self.name)
    }
}
