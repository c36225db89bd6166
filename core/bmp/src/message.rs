//! Messages (RFC 7854 §4, RFC 8671 §4 and 5, RFC 9069 §4 and 5): written and read.

mod read;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

pub use read::DecodeError;

/// The length of the common header.
pub const HEADER_LEN: usize = 6;
/// The longest message that is read: two BGP messages of 65,535 bytes and what may be around them.
pub const MAX_LEN: usize = 256 * 1024;

/// The version of the protocol.
const VERSION: u8 = 3;

/// Types of messages (RFC 7854 §4.1).
mod kind {
    pub(super) const ROUTE_MONITORING: u8 = 0;
    pub(super) const STATISTICS: u8 = 1;
    pub(super) const PEER_DOWN: u8 = 2;
    pub(super) const PEER_UP: u8 = 3;
    pub(super) const INITIATION: u8 = 4;
    pub(super) const TERMINATION: u8 = 5;
    pub(super) const ROUTE_MIRRORING: u8 = 6;
}

/// Types of information TLVs.
pub mod tlv {
    /// Free text: of initiation, termination, and peer up (RFC 7854 §4.4).
    pub const STRING: u16 = 0;
    /// `sysDescr` of initiation.
    pub const SYS_DESCR: u16 = 1;
    /// `sysName` of initiation.
    pub const SYS_NAME: u16 = 2;
    /// The name of the table, of peer up for the Loc-RIB (RFC 9069 §5.3).
    pub const TABLE_NAME: u16 = 3;
    /// What the operator calls the peer, of peer up (RFC 8671 §6.3.1).
    pub const ADMIN_LABEL: u16 = 4;
    /// The reason of termination, two octets (RFC 7854 §4.5).
    pub const REASON: u16 = 1;
    /// The session was closed by the operator.
    pub const REASON_ADMIN: u16 = 0;
}

/// Flags of the per-peer header.
mod flag {
    /// The address is an IPv6 one.
    pub(super) const IPV6: u8 = 0x80;
    /// After policy.
    pub(super) const POST_POLICY: u8 = 0x40;
    /// AS numbers have two octets.
    pub(super) const TWO_OCTET: u8 = 0x20;
    /// The Adj-RIB-Out (RFC 8671 §4).
    pub(super) const OUT: u8 = 0x10;
}

/// The peer type of the Loc-RIB (RFC 9069 §4.1).
const LOC_RIB: u8 = 3;

/// Whose table a message is about (RFC 7854 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHeader {
    /// It is about the Loc-RIB of this router; the address is unspecified then.
    pub loc_rib: bool,
    /// After policy.
    pub post_policy: bool,
    /// AS numbers in AS_PATH have two octets.
    pub two_octet: bool,
    /// The Adj-RIB-Out, not the Adj-RIB-In.
    pub out: bool,
    /// Which routing domain; 0 is the global one.
    pub distinguisher: u64,
    /// The peer's address.
    pub address: IpAddr,
    /// The peer's AS.
    pub asn: u32,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// When it happened, since 1970; zero: not known.
    pub time: Duration,
}

/// Type, length and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The type; see [`tlv`].
    pub kind: u16,
    /// The value.
    pub value: &'a [u8],
}

/// A number about a peer (RFC 7854 §4.8, RFC 8671 §6.2, RFC 9069 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// A counter of 32 bits.
    Counter(u16, u32),
    /// A gauge of 64 bits.
    Gauge(u16, u64),
    /// A gauge of 64 bits for one family (AFI, SAFI).
    FamilyGauge(u16, (u16, u8), u64),
}

impl Statistic {
    /// Routes in the Adj-RIB-In.
    pub const IN_ROUTES: u16 = 7;
    /// Routes in the Loc-RIB.
    pub const BEST_ROUTES: u16 = 8;
    /// Routes of a family in the Adj-RIB-In.
    pub const FAMILY_IN_ROUTES: u16 = 9;
    /// Routes of a family in the Loc-RIB.
    pub const FAMILY_BEST_ROUTES: u16 = 10;
    /// UPDATEs treated as withdraws (RFC 7606).
    pub const TREATED_AS_WITHDRAW: u16 = 11;
    /// Routes in the Adj-RIB-Out after policy.
    pub const OUT_ROUTES: u16 = 15;
    /// Routes of a family in the Adj-RIB-Out after policy.
    pub const FAMILY_OUT_ROUTES: u16 = 17;
}

/// How a session ended (RFC 7854 §4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerDown<'a> {
    /// The router sent this NOTIFICATION.
    LocalNotification(&'a [u8]),
    /// The router closed it because of this event of the state machine; 0: none that has a number.
    LocalEvent(u16),
    /// The peer sent this NOTIFICATION.
    RemoteNotification(&'a [u8]),
    /// The peer closed it, or the connection broke.
    Remote,
    /// The collector is not told of this peer any more.
    Deconfigured,
    /// The Loc-RIB is not told any more (RFC 9069 §5.3); TLVs follow.
    LocRib(&'a [u8]),
}

/// What is known of a session that is up (RFC 7854 §4.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUp<'a> {
    /// The router's address.
    pub local: IpAddr,
    /// The router's port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
    /// The OPEN that the router sent.
    pub sent_open: &'a [u8],
    /// The OPEN that the peer sent.
    pub received_open: &'a [u8],
}

/// Part of a mirrored message (RFC 7854 §4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorTlv<'a> {
    /// The message follows as it came.
    BgpMessage(&'a [u8]),
    /// It was malformed and treated as RFC 7606 says.
    Errored,
    /// Messages were lost.
    Lost,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A table changed like this UPDATE says.
    RouteMonitoring(PeerHeader, &'a [u8]),
    /// Numbers about a peer.
    Statistics(PeerHeader, Vec<Statistic>),
    /// A session ended.
    PeerDown(PeerHeader, PeerDown<'a>),
    /// A session is up.
    PeerUp(PeerHeader, PeerUp<'a>, Vec<Tlv<'a>>),
    /// The first message: who the router is.
    Initiation(Vec<Tlv<'a>>),
    /// The last message: why nothing follows.
    Termination(Vec<Tlv<'a>>),
    /// A message exactly as it came.
    RouteMirroring(PeerHeader, Vec<MirrorTlv<'a>>),
}

impl Message<'_> {
    /// Appends it to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[VERSION, 0, 0, 0, 0, self.kind()]);
        match self {
            Message::RouteMonitoring(peer, update) => {
                peer.encode(out);
                out.extend_from_slice(update);
            }
            Message::Statistics(peer, all) => {
                peer.encode(out);
                put32(out, all.len());
                all.iter().for_each(|one| one.encode(out));
            }
            Message::PeerDown(peer, reason) => {
                peer.encode(out);
                reason.encode(out);
            }
            Message::PeerUp(peer, up, tlvs) => {
                peer.encode(out);
                put_address(out, up.local);
                out.extend_from_slice(&up.local_port.to_be_bytes());
                out.extend_from_slice(&up.remote_port.to_be_bytes());
                out.extend_from_slice(up.sent_open);
                out.extend_from_slice(up.received_open);
                put_tlvs(out, tlvs);
            }
            Message::Initiation(tlvs) | Message::Termination(tlvs) => put_tlvs(out, tlvs),
            Message::RouteMirroring(peer, tlvs) => {
                peer.encode(out);
                for tlv in tlvs {
                    let (kind, value) = match tlv {
                        MirrorTlv::BgpMessage(message) => (0, *message),
                        MirrorTlv::Errored => (1, &[0, 0][..]),
                        MirrorTlv::Lost => (1, &[0, 1][..]),
                    };
                    put_tlvs(out, &[Tlv { kind, value }]);
                }
            }
        }
        let len = (out.len() - start) as u32;
        out[start + 1..start + 5].copy_from_slice(&len.to_be_bytes());
    }

    const fn kind(&self) -> u8 {
        match self {
            Message::RouteMonitoring(..) => kind::ROUTE_MONITORING,
            Message::Statistics(..) => kind::STATISTICS,
            Message::PeerDown(..) => kind::PEER_DOWN,
            Message::PeerUp(..) => kind::PEER_UP,
            Message::Initiation(_) => kind::INITIATION,
            Message::Termination(_) => kind::TERMINATION,
            Message::RouteMirroring(..) => kind::ROUTE_MIRRORING,
        }
    }
}

impl PeerHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        let set = |on: bool, flag: u8| if on { flag } else { 0 };
        let flags = match self.loc_rib {
            true => 0,
            false => {
                set(self.address.is_ipv6(), flag::IPV6)
                    | set(self.post_policy, flag::POST_POLICY)
                    | set(self.two_octet, flag::TWO_OCTET)
                    | set(self.out, flag::OUT)
            }
        };
        out.extend_from_slice(&[set(self.loc_rib, LOC_RIB), flags]);
        out.extend_from_slice(&self.distinguisher.to_be_bytes());
        put_address(out, self.address);
        out.extend_from_slice(&self.asn.to_be_bytes());
        out.extend_from_slice(&self.router_id.octets());
        let seconds = u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&self.time.subsec_micros().to_be_bytes());
    }
}

impl Statistic {
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Statistic::Counter(kind, count) => {
                put_tlvs(
                    out,
                    &[Tlv {
                        kind,
                        value: &count.to_be_bytes(),
                    }],
                );
            }
            Statistic::Gauge(kind, count) => {
                put_tlvs(
                    out,
                    &[Tlv {
                        kind,
                        value: &count.to_be_bytes(),
                    }],
                );
            }
            Statistic::FamilyGauge(kind, (afi, safi), count) => {
                out.extend_from_slice(&kind.to_be_bytes());
                out.extend_from_slice(&11u16.to_be_bytes());
                out.extend_from_slice(&afi.to_be_bytes());
                out.push(safi);
                out.extend_from_slice(&count.to_be_bytes());
            }
        }
    }
}

impl PeerDown<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let event;
        let (reason, data) = match *self {
            PeerDown::LocalNotification(message) => (1, message),
            PeerDown::LocalEvent(number) => {
                event = number.to_be_bytes();
                (2, &event[..])
            }
            PeerDown::RemoteNotification(message) => (3, message),
            PeerDown::Remote => (4, &[][..]),
            PeerDown::Deconfigured => (5, &[][..]),
            PeerDown::LocRib(tlvs) => (6, tlvs),
        };
        out.push(reason);
        out.extend_from_slice(data);
    }
}

/// Sixteen octets, an IPv4 address in the last four (RFC 7854 §4.2).
fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => out.extend_from_slice(&Ipv6Addr::octets(&v6)),
    }
}

/// Writes TLVs; what does not fit into one is cut off.
fn put_tlvs(out: &mut Vec<u8>, tlvs: &[Tlv<'_>]) {
    for tlv in tlvs {
        let value = tlv.value.get(..usize::from(u16::MAX)).unwrap_or(tlv.value);
        out.extend_from_slice(&tlv.kind.to_be_bytes());
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value);
    }
}

fn put32(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests;
