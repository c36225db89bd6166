//! A route as the body of a request (`linux/rtnetlink.h`), without a copy in between: there may be a million of them.

use std::net::IpAddr;

use netlink_packet_core::Emitable;
use tapway_fib::{NextHop, Route, RouteKind};
use tapway_model::Family;

use crate::constants::{AF_INET, AF_INET6};

/// `sizeof(struct rtattr)`
const ATTRIBUTE: usize = 4;
/// `sizeof(struct rtnexthop)`
const NEXT_HOP: usize = 8;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;

const RTN_UNSPEC: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;

/// Any scope, when a route is removed (`fib_table_delete`).
const RT_SCOPE_NOWHERE: u8 = 255;
const RTNH_F_ONLINK: u8 = 4;

/// The body of `RTM_NEWROUTE` and `RTM_DELROUTE`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteRequest<'a> {
    pub(super) route: &'a Route,
    pub(super) metric: u32,
    /// With all that the route says, not the key alone.
    pub(super) whole: bool,
}

impl RouteRequest<'_> {
    fn is_v4(&self) -> bool {
        self.route.prefix.family() == Family::Ipv4
    }

    /// Writes the message to whatever takes or counts it.
    fn write(&self, to: &mut impl Sink) {
        let Route { prefix, table, .. } = *self.route;
        let family = if self.is_v4() { AF_INET } else { AF_INET6 };
        let (scope, kind) = match self.whole {
            true => (self.route.scope, kind(self.route.kind)),
            false => (RT_SCOPE_NOWHERE, RTN_UNSPEC),
        };
        let small_table = u8::try_from(table).unwrap_or(0);
        let protocol = self.route.protocol;
        to.put(&[
            family,
            prefix.len(),
            0,
            0,
            small_table,
            protocol,
            scope,
            kind,
        ]);
        let onlink = match self.route.next_hops.as_slice() {
            [only] if self.whole && only.onlink => RTNH_F_ONLINK,
            _ => 0,
        };
        to.put(&u32::from(onlink).to_ne_bytes());
        attribute(to, RTA_DST, |to| address(to, prefix.addr()));
        number(to, RTA_TABLE, table);
        if self.metric != 0 {
            number(to, RTA_PRIORITY, self.metric);
        }
        if self.whole {
            self.write_ways(to);
        }
    }

    fn write_ways(&self, to: &mut impl Sink) {
        if let Some(prefsrc) = self.route.prefsrc {
            attribute(to, RTA_PREFSRC, |to| address(to, prefsrc));
        }
        match self.route.next_hops.as_slice() {
            [] => {}
            [only] => {
                number(to, RTA_OIF, only.index);
                self.write_gateway(to, only);
            }
            several => attribute(to, RTA_MULTIPATH, |to| {
                for hop in several {
                    self.write_next_hop(to, hop);
                }
            }),
        }
    }

    fn write_next_hop(&self, to: &mut impl Sink, hop: &NextHop) {
        let mut count = Count(NEXT_HOP);
        self.write_gateway(&mut count, hop);
        let len = u16::try_from(count.0).unwrap_or(u16::MAX);
        // The kernel counts weights from 0.
        let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        to.put(&len.to_ne_bytes());
        to.put(&[if hop.onlink { RTNH_F_ONLINK } else { 0 }, weight]);
        to.put(&hop.index.to_ne_bytes());
        self.write_gateway(to, hop);
    }

    fn write_gateway(&self, to: &mut impl Sink, hop: &NextHop) {
        match hop.via {
            None => {}
            // RFC 8950: an IPv4 route with an IPv6 next hop.
            Some(IpAddr::V6(via)) if self.is_v4() => attribute(to, RTA_VIA, |to| {
                to.put(&u16::from(AF_INET6).to_ne_bytes());
                to.put(&via.octets());
            }),
            Some(via) => attribute(to, RTA_GATEWAY, |to| address(to, via)),
        }
    }
}

impl Emitable for RouteRequest<'_> {
    fn buffer_len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.write(&mut Fill { buffer, at: 0 });
    }
}

const fn kind(kind: RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast => RTN_UNICAST,
        RouteKind::Blackhole => RTN_BLACKHOLE,
        RouteKind::Unreachable => RTN_UNREACHABLE,
        RouteKind::Other(number) => number,
    }
}

fn address(to: &mut impl Sink, addr: IpAddr) {
    match addr {
        IpAddr::V4(addr) => to.put(&addr.octets()),
        IpAddr::V6(addr) => to.put(&addr.octets()),
    }
}

fn number<S: Sink>(to: &mut S, kind: u16, value: u32) {
    attribute(to, kind, |to| to.put(&value.to_ne_bytes()));
}

/// An attribute with its length, padded to four bytes.
fn attribute<S: Sink>(to: &mut S, kind: u16, value: impl FnOnce(&mut S)) {
    let start = to.len();
    to.put(&[0; 2]);
    to.put(&kind.to_ne_bytes());
    value(to);
    let len = to.len() - start;
    to.set_length(start, u16::try_from(len).unwrap_or(u16::MAX));
    to.put(&[0; 3][..len.next_multiple_of(ATTRIBUTE) - len]);
}

/// What bytes are written to.
trait Sink {
    fn len(&self) -> usize;
    fn put(&mut self, bytes: &[u8]);
    fn set_length(&mut self, at: usize, len: u16);
}

struct Count(usize);

impl Sink for Count {
    fn len(&self) -> usize {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn set_length(&mut self, _at: usize, _len: u16) {}
}

struct Fill<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Sink for Fill<'_> {
    fn len(&self) -> usize {
        self.at
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.buffer[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    fn set_length(&mut self, at: usize, len: u16) {
        self.buffer[at..at + 2].copy_from_slice(&len.to_ne_bytes());
    }
}
