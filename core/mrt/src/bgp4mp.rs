//! Messages and changes of state (RFC 6396 §3 and 4.4, RFC 8050 §4.2), with microseconds.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapway_bgp::{ConnInfo, MonitoredSession, State};
use tapway_model::Family;

use crate::record::{begin, finish, kind};

/// BGP4MP_STATE_CHANGE_AS4.
const STATE_CHANGE_AS4: u16 = 5;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer: the LOCAL subtypes.
    Sent,
}

/// Appends a BGP message of a session.
///
/// The subtype says how it is to be read: with AS numbers of two or four octets, with path identifiers or without. Where only
/// one family has path identifiers, that of the message decides: IPv6 when its first attribute is an MP one of IPv6.
pub fn message(
    out: &mut Vec<u8>,
    time: Duration,
    session: &MonitoredSession,
    direction: Direction,
    bytes: &[u8],
) {
    let family = family(bytes);
    let (four, add_path) = match direction {
        Direction::Received => (
            session.decode.four_octet_asn,
            session.decode.add_path[family],
        ),
        Direction::Sent => (
            session.encode.four_octet_asn,
            session.encode.add_path[family],
        ),
    };
    // RFC 6396 §4.4.2 and 4.4.3, RFC 8050 §4.2.
    let subtype = match (direction, add_path, four) {
        (Direction::Received, false, false) => 1,
        (Direction::Received, false, true) => 4,
        (Direction::Sent, false, false) => 6,
        (Direction::Sent, false, true) => 7,
        (Direction::Received, true, false) => 8,
        (Direction::Received, true, true) => 9,
        (Direction::Sent, true, false) => 10,
        (Direction::Sent, true, true) => 11,
    };
    let start = begin_et(out, time, subtype);
    let width = if four { 4 } else { 2 };
    ends(out, session.asn, session.local_asn, &session.ends, width);
    out.extend_from_slice(bytes);
    finish(out, start);
}

/// Appends a change of a session's state; `asn` is the peer's.
pub fn state_change(
    out: &mut Vec<u8>,
    time: Duration,
    asn: u32,
    local_asn: u32,
    between: &ConnInfo,
    change: (State, State),
) {
    let start = begin_et(out, time, STATE_CHANGE_AS4);
    ends(out, asn, local_asn, between, 4);
    out.extend_from_slice(&number(change.0).to_be_bytes());
    out.extend_from_slice(&number(change.1).to_be_bytes());
    finish(out, start);
}

/// The header with microseconds, which count as content (RFC 6396 §3).
fn begin_et(out: &mut Vec<u8>, time: Duration, subtype: u16) -> usize {
    let start = begin(out, time, kind::BGP4MP_ET, subtype);
    out.extend_from_slice(&time.subsec_micros().to_be_bytes());
    start
}

/// Both sides, the peer first (RFC 6396 §4.4.1).
fn ends(out: &mut Vec<u8>, asn: u32, local_asn: u32, between: &ConnInfo, width: usize) {
    for asn in [asn, local_asn] {
        // With two octets there is AS_TRANS for larger ones (RFC 6793 §9).
        let short = u16::try_from(asn).unwrap_or(23456);
        match width {
            2 => out.extend_from_slice(&short.to_be_bytes()),
            _ => out.extend_from_slice(&asn.to_be_bytes()),
        }
    }
    let ifindex = u16::try_from(between.ifindex).unwrap_or(0);
    out.extend_from_slice(&ifindex.to_be_bytes());
    let address = |at: SocketAddr| at.ip().to_canonical();
    let (remote, local) = (address(between.remote), address(between.local));
    let afi: u16 = if remote.is_ipv4() && local.is_ipv4() {
        1
    } else {
        2
    };
    out.extend_from_slice(&afi.to_be_bytes());
    for address in [remote, local] {
        match (address, afi) {
            (IpAddr::V4(v4), 1) => out.extend_from_slice(&v4.octets()),
            (IpAddr::V4(v4), _) => out.extend_from_slice(&v4.to_ipv6_mapped().octets()),
            (IpAddr::V6(v6), _) => out.extend_from_slice(&v6.octets()),
        }
    }
}

/// RFC 6396 §4.4.1.
const fn number(state: State) -> u16 {
    match state {
        State::Idle => 1,
        State::Connect => 2,
        State::Active => 3,
        State::OpenSent => 4,
        State::OpenConfirm => 5,
        State::Established => 6,
    }
}

/// The family that an UPDATE is about: IPv6 when its first attribute is an MP one of IPv6.
fn family(message: &[u8]) -> Family {
    let body = message.get(19..).unwrap_or_default();
    let withdrawn = match body {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return Family::Ipv4,
    };
    // Behind both lengths: flags, code, length, AFI.
    let first = body.get(withdrawn + 4..).unwrap_or_default();
    let afi = match first {
        [flags, 14 | 15, rest @ ..] if flags & 0x10 != 0 => rest.get(2..4),
        [_, 14 | 15, rest @ ..] => rest.get(1..3),
        _ => None,
    };
    match afi {
        Some([0, 2]) => Family::Ipv6,
        _ => Family::Ipv4,
    }
}

#[cfg(test)]
mod tests;
