//! What the speaker asks of the shell, and the words for connections that both use.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tapway_model::{Family, PeerName};

use super::event::Event;
use crate::config::Secret;

/// A TCP connection. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnId {
    /// We connect; numbered by the speaker.
    Outgoing(u64),
    /// The peer connected; numbered by the shell.
    Incoming(u64),
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnId::Outgoing(n) => write!(f, "out-{n}"),
            ConnId::Incoming(n) => write!(f, "in-{n}"),
        }
    }
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end. The scope of a link-local address may be in it, in `ifindex`, or in both.
    pub remote: SocketAddr,
    /// The interface that the connection runs over; 0: unknown.
    pub ifindex: u32,
}

/// Our own addresses on the interface that a session runs over: only those that may be a next hop
/// (never tentative, deprecated, temporary, anycast, a gateway address, unspecified or IPv4-mapped).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalAddresses {
    /// An IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// A global (or unique local) IPv6 address.
    pub v6_global: Option<Ipv6Addr>,
    /// The link-local IPv6 address.
    pub v6_link_local: Option<Ipv6Addr>,
}

/// Where a peer can be reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address and port, with the scope of a link-local address.
    pub remote: SocketAddr,
    /// Our address to connect from; any when absent.
    pub local: Option<IpAddr>,
    /// The interface towards it when it is on one of our links; 0: none or unknown.
    pub ifindex: u32,
}

/// How the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartKind {
    /// Nothing is left of an earlier run.
    #[default]
    Cold,
    /// A restart: peers may still hold our routes.
    Warm {
        /// The families whose forwarding went on meanwhile; sorted.
        preserved: Vec<Family>,
    },
}

/// Socket options of a connection to a peer. All but `bind_ifindex` are also wanted of accepted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// TCP MD5 key (RFC 2385). When it cannot be set, the connection must not be made.
    pub md5: Option<Secret>,
    /// `IP_TTL` / `IPV6_UNICAST_HOPS`.
    pub ttl: u8,
    /// `IP_MINTTL` / `IPV6_MINHOPCOUNT` (RFC 5082).
    pub min_ttl: Option<u8>,
    /// The interface to bind to.
    pub bind_ifindex: Option<u32>,
}

/// What a listener must know of a peer: whom to expect, with which key and TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenPeer {
    /// The peer.
    pub peer: PeerName,
    /// Where it will connect from; the port means nothing.
    pub remote: SocketAddr,
    /// The interface it is on; 0: none or unknown.
    pub ifindex: u32,
    /// TCP MD5 key: to be set on the listener before it listens.
    pub md5: Option<Secret>,
    /// `IP_TTL` of accepted connections.
    pub ttl: u8,
    /// `IP_MINTTL` of accepted connections.
    pub min_ttl: Option<u8>,
}

/// What the shell has to do. In the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; answer with `handle_connected` or `handle_connect_failed`.
    Connect {
        /// Its number.
        conn: ConnId,
        /// For whom.
        peer: PeerName,
        /// Where to.
        remote: SocketAddr,
        /// The address to bind to.
        local: Option<IpAddr>,
        /// Socket options, set before connecting.
        options: ConnectOptions,
    },
    /// Close a connection, or give up opening it. Nothing is to be reported of it any more.
    Close {
        /// Which.
        conn: ConnId,
        /// Bytes to send first, after what is still unsent: as far as the socket takes them at once.
        farewell: Vec<u8>,
    },
    /// Routes of this family that the kernel should have may be others now: see
    /// [`Speaker::take_installable_change`](super::Speaker::take_installable_change). Also that a peer has sent its first ones.
    InstallableChanged(Family),
    /// Something worth telling people.
    Event(Event),
}

/// Bytes for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to write.
    pub conn: ConnId,
    /// Whole messages. If the socket does not take all: keep the rest, call `handle_blocked`, and
    /// `handle_writable` once the rest is written.
    pub bytes: Vec<u8>,
}
