//! Kernel objects as values. Words are the kernel's own (`linux/rtnetlink.h`, `linux/neighbour.h`).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use tapway_model::{Family, IfName, Prefix};

/// A kernel interface index; never 0.
pub type IfIndex = u32;

/// A link of the namespace, ours or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index, unique in the namespace while the link lives.
    pub index: IfIndex,
    /// Name; may change while the index stays.
    pub name: IfName,
    /// Hardware address, when it has one of six bytes.
    pub mac: Option<[u8; 6]>,
    /// `IFF_UP`: administratively up.
    pub up: bool,
    /// `IFF_LOWER_UP`: has carrier.
    pub carrier: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// Bridge or VRF it is a port of.
    pub master: Option<IfIndex>,
    /// `IFLA_INFO_KIND`: "veth", "tun", "bridge", "vxlan", …
    pub kind: Option<String>,
    /// Bytes.
    pub mtu: u32,
}

impl Link {
    /// Whether packets can leave through it.
    pub fn usable(&self) -> bool {
        self.up && self.carrier
    }
}

/// An address on an interface. Key: index, address, prefix length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub index: IfIndex,
    /// The address.
    pub addr: IpAddr,
    /// The length of its connected prefix.
    pub len: u8,
    /// `RT_SCOPE_*`: 0 universe, 253 link, 254 host.
    pub scope: u8,
    /// `IFA_FLAGS`: see [`address_flags`].
    pub flags: u32,
    /// `IFA_PROTO`; 0 when the kernel tells none.
    pub protocol: u8,
}

/// Bits of [`Address::flags`] (`linux/if_addr.h`).
pub mod address_flags {
    /// `IFA_F_SECONDARY` for IPv4, `IFA_F_TEMPORARY` for IPv6.
    pub const TEMPORARY: u32 = 0x01;
    /// `IFA_F_NODAD`
    pub const NODAD: u32 = 0x02;
    /// `IFA_F_DADFAILED`
    pub const DADFAILED: u32 = 0x08;
    /// `IFA_F_DEPRECATED`
    pub const DEPRECATED: u32 = 0x20;
    /// `IFA_F_TENTATIVE`
    pub const TENTATIVE: u32 = 0x40;
    /// `IFA_F_PERMANENT`
    pub const PERMANENT: u32 = 0x80;
    /// `IFA_F_NOPREFIXROUTE`
    pub const NOPREFIXROUTE: u32 = 0x200;
}

/// One way out of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The interface.
    pub index: IfIndex,
    /// The gateway; absent: on-link. For an IPv4 route it may be IPv6 (`RTA_VIA`).
    pub via: Option<IpAddr>,
    /// `RTNH_F_ONLINK`: the gateway need not be on a connected subnet.
    pub onlink: bool,
    /// Weight from 1.
    pub weight: u16,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// `RTN_UNICAST`
    Unicast,
    /// `RTN_BLACKHOLE`
    Blackhole,
    /// `RTN_UNREACHABLE`
    Unreachable,
    /// Anything else the kernel knows, by its number; only ever read.
    Other(u8),
}

/// A route. Key: table, prefix, metric. (The kernel's key also has TOS, which is always 0 here.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Table.
    pub table: u32,
    /// Destination.
    pub prefix: Prefix,
    /// `RTA_PRIORITY`. The kernel turns 0 into 1024 for IPv6, so a wanted IPv6 route never has 0.
    pub metric: u32,
    /// What it does.
    pub kind: RouteKind,
    /// `RT_SCOPE_*`: 253 link for on-link IPv4 routes, else 0.
    pub scope: u8,
    /// Ways out, sorted; empty unless unicast.
    pub next_hops: Vec<NextHop>,
    /// `RTA_PREFSRC`
    pub prefsrc: Option<IpAddr>,
    /// `rtm_protocol`
    pub protocol: u8,
}

/// A permanent neighbour, or a learned one that is only read. Key: index, address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface.
    pub index: IfIndex,
    /// The address.
    pub addr: IpAddr,
    /// `NDA_LLADDR`
    pub mac: Option<[u8; 6]>,
    /// `NUD_PERMANENT` (0x80) is the only state we write.
    pub state: u16,
    /// `NTF_ROUTER` (0x80): the neighbour said it is a router.
    pub router: bool,
    /// `NDA_PROTOCOL`; 0 when the kernel tells none.
    pub protocol: u8,
}

/// A policy rule. Key: all fields but the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Family.
    pub family: Family,
    /// `FRA_PRIORITY`
    pub priority: u32,
    /// `FRA_TABLE`
    pub table: u32,
    /// `FRA_IIFNAME`
    pub iif: Option<IfName>,
    /// `FRA_PROTOCOL`
    pub protocol: u8,
}

/// A sysctl below `net`. Key: the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// `ipv4/conf/all/forwarding`: as under `/proc/sys/net`, never with `..`.
    pub path: String,
    /// Its value without the newline.
    pub value: String,
}

/// Any object that tapway may put into the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A sysctl.
    Sysctl(Sysctl),
    /// An address.
    Address(Address),
    /// A policy rule.
    Rule(Rule),
    /// A route.
    Route(Route),
    /// A permanent neighbour.
    Neighbour(Neighbour),
}

/// What makes an object the same object. The order of the variants is the order of additions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Path.
    Sysctl(String),
    /// Interface, address, length.
    Address(IfIndex, IpAddr, u8),
    /// Family, priority, table, input interface.
    Rule(Family, u32, u32, Option<IfName>),
    /// Table, prefix, metric.
    Route(u32, Prefix, u32),
    /// Interface, address.
    Neighbour(IfIndex, IpAddr),
}

impl Object {
    /// The key of this object.
    pub fn key(&self) -> Key {
        match self {
            Object::Sysctl(s) => Key::Sysctl(s.path.clone()),
            Object::Address(a) => Key::Address(a.index, a.addr, a.len),
            Object::Rule(r) => Key::Rule(r.family, r.priority, r.table, r.iif.clone()),
            Object::Route(r) => Key::Route(r.table, r.prefix, r.metric),
            Object::Neighbour(n) => Key::Neighbour(n.index, n.addr),
        }
    }
}

/// One change to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Put this object there, where nothing with its key is.
    Add(Object),
    /// Put this object in the place of ours with the same key.
    Replace(Object),
    /// Remove ours. The whole object, because some kernel deletions match on more than the key.
    Remove(Object),
}

/// What became of one [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or it was so already (removing what is gone).
    Done,
    /// The kernel refused.
    Failed {
        /// A positive `errno`.
        errno: i32,
        /// The extended acknowledgement's text, if the kernel gave one.
        message: Option<String>,
    },
}

/// Something the kernel told us: a notification, or one line of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// A full scan begins. Everything that is not seen until its end is gone.
    ScanBegin,
    /// The scan is over and consistent. (A scan that broke off is begun again with `ScanBegin`.)
    ScanEnd,
    /// The scan that was begun is given up: it proves nothing.
    ScanTorn,
    /// Notifications were lost (ENOBUFS): what is known may be wrong. The shell begins a scan by itself.
    Overrun,
    /// A link is there or changed.
    Link(Link),
    /// A link is gone.
    LinkGone(IfIndex),
    /// An object is there or changed; ours or foreign. Sysctls only where the shell was asked to watch.
    Present(Object),
    /// An object is gone.
    Absent(Object),
}

/// What another program did to a route of the kernel's. Only of use to whoever must know where the kernel sends packets: the
/// reconciler is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteNews {
    /// It is there, or another than before.
    Present(Route),
    /// It is gone.
    Absent(Route),
    /// Something changed that routes depend on.
    Changed,
    /// What happened was too much to be told.
    Lost,
}

/// The address `fe80::/10` part of rule 7: whether an address is IPv6 link-local.
pub fn is_link_local(addr: &IpAddr) -> bool {
    matches!(addr, IpAddr::V6(a) if is_link_local_v6(a))
}

fn is_link_local_v6(addr: &Ipv6Addr) -> bool {
    addr.is_unicast_link_local()
}
