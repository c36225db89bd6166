//! Payloads of messages as objects. `None`: not one that can be told, or broken.

use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags, RouteType, RouteVia,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use std::net::IpAddr;

use tapway_fib::{Address, IfIndex, Link, Neighbour, NextHop, Route, RouteKind, Rule};
use tapway_model::{Family, IfName, Prefix};

use crate::constants::{
    AF_UNSPEC, IFF_LOOPBACK, IFF_LOWER_UP, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, NETCONFA_IFINDEX,
};
use crate::message::{attribute, attributes, text, u32_at};

/// `sizeof(struct ifinfomsg)`
const LINK_HEADER: usize = 16;

const fn family(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::Ipv4),
        AddressFamily::Inet6 => Some(Family::Ipv6),
        _ => None,
    }
}

/// The index in a link message of any family but the bridge's and the like, which tell of ports.
pub(crate) fn link_index(payload: &[u8]) -> Option<IfIndex> {
    (*payload.first()? == AF_UNSPEC)
        .then(|| u32_at(payload, 4))
        .flatten()
}

/// A link.
pub(crate) fn link(payload: &[u8]) -> Option<Link> {
    let index = link_index(payload)?;
    let flags = u32_at(payload, 8)?;
    let (mut name, mut mac, mut mtu, mut master, mut kind) = (None, None, 0, None, None);
    for (number, value) in attributes(payload.get(LINK_HEADER..)?) {
        match number {
            IFLA_IFNAME => name = IfName::new(&text(value)).ok(),
            IFLA_ADDRESS => mac = value.try_into().ok(),
            IFLA_MTU => mtu = u32_at(value, 0)?,
            IFLA_MASTER => master = u32_at(value, 0),
            IFLA_LINKINFO => kind = attribute(value, IFLA_INFO_KIND).map(text),
            _ => {}
        }
    }
    Some(Link {
        index,
        name: name?,
        mac,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        master,
        kind,
        mtu,
    })
}

/// An address.
pub(crate) fn address(payload: &[u8]) -> Option<Address> {
    let message = AddressMessage::parse(payload).ok()?;
    family(message.header.family)?;
    let (mut local, mut peer, mut protocol) = (None, None, 0);
    let mut flags = u32::from(message.header.flags.bits());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(addr) => local = Some(*addr),
            AddressAttribute::Address(addr) => peer = Some(*addr),
            AddressAttribute::Flags(bits) => flags = bits.bits(),
            AddressAttribute::Protocol(number) => protocol = u8::from(*number),
            _ => {}
        }
    }
    Some(Address {
        index: message.header.index,
        addr: local.or(peer)?,
        len: message.header.prefix_len,
        scope: message.header.scope.into(),
        flags,
        protocol,
    })
}

/// A route of the FIB; no route of a cache, of the host's own addresses, or with selectors that
/// [`Route`] cannot hold.
pub(crate) fn route(payload: &[u8]) -> Option<Route> {
    let message = RouteMessage::parse(payload).ok()?;
    let header = &message.header;
    let family = family(header.address_family)?;
    if header.tos != 0
        || header.source_prefix_length != 0
        || header.flags.contains(RouteFlags::Cloned)
    {
        return None;
    }
    let kind = match header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Unspec
        | RouteType::Local
        | RouteType::Broadcast
        | RouteType::Anycast
        | RouteType::Multicast => {
            return None;
        }
        other => RouteKind::Other(other.into()),
    };
    let mut dst = Prefix::default_of(family).addr();
    let (mut table, mut metric, mut prefsrc, mut index) = (u32::from(header.table), 0, None, None);
    let mut via = None;
    let mut next_hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(addr) => dst = ip(addr)?,
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Priority(number) => metric = *number,
            RouteAttribute::PrefSource(addr) => prefsrc = ip(addr),
            RouteAttribute::Oif(number) => index = Some(*number),
            RouteAttribute::MultiPath(hops) => {
                next_hops.extend(hops.iter().map(|hop| NextHop {
                    index: hop.interface_index,
                    via: hop.attributes.iter().find_map(gateway),
                    onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
                    weight: u16::from(hop.hops) + 1,
                }));
            }
            other => via = via.or_else(|| gateway(other)),
        }
    }
    if let Some(index) = index
        && next_hops.is_empty()
    {
        next_hops.push(NextHop {
            index,
            via,
            onlink: header.flags.contains(RouteFlags::Onlink),
            weight: 1,
        });
    }
    if kind != RouteKind::Unicast {
        // IPv6 says that what goes nowhere goes to lo.
        next_hops.clear();
    }
    next_hops.sort();
    Some(Route {
        table,
        prefix: Prefix::new(dst, header.destination_prefix_length).ok()?,
        metric,
        kind,
        scope: header.scope.into(),
        next_hops,
        prefsrc,
        protocol: header.protocol.into(),
    })
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(addr) => ip(addr),
        RouteAttribute::Via(RouteVia::Inet(addr)) => Some(IpAddr::V4(*addr)),
        RouteAttribute::Via(RouteVia::Inet6(addr)) => Some(IpAddr::V6(*addr)),
        _ => None,
    }
}

fn ip(addr: &RouteAddress) -> Option<IpAddr> {
    match addr {
        RouteAddress::Inet(addr) => Some(IpAddr::V4(*addr)),
        RouteAddress::Inet6(addr) => Some(IpAddr::V6(*addr)),
        _ => None,
    }
}

/// A neighbour; no proxy entry and no bridge's.
pub(crate) fn neighbour(payload: &[u8]) -> Option<Neighbour> {
    let message = NeighbourMessage::parse(payload).ok()?;
    family(message.header.family)?;
    if message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let (mut addr, mut mac, mut protocol) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => {
                addr = Some(IpAddr::V4(*a))
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => {
                addr = Some(IpAddr::V6(*a))
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            NeighbourAttribute::Protocol(number) => protocol = u8::from(*number),
            _ => {}
        }
    }
    Some(Neighbour {
        index: message.header.ifindex,
        addr: addr?,
        mac,
        state: message.header.state.into(),
        router: message.header.flags.contains(NeighbourFlags::Router),
        protocol,
    })
}

/// A rule that does nothing but look up a table, for everything or for what comes in by one
/// interface; others cannot be told as a [`Rule`].
pub(crate) fn rule(payload: &[u8]) -> Option<Rule> {
    let message = RuleMessage::parse(payload).ok()?;
    let header = &message.header;
    let family = family(header.family)?;
    if header.action != RuleAction::ToTable
        || header.flags.contains(RuleFlags::Invert)
        || (header.src_len, header.dst_len, header.tos) != (0, 0, 0)
    {
        return None;
    }
    let mut rule = Rule {
        family,
        priority: 0,
        table: header.table.into(),
        iif: None,
        protocol: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => rule.priority = *number,
            RuleAttribute::Table(number) => rule.table = *number,
            RuleAttribute::Iifname(name) => rule.iif = Some(IfName::new(name).ok()?),
            RuleAttribute::Protocol(number) => rule.protocol = u8::from(*number),
            // Always there; all ones: no suppression.
            RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => return None,
        }
    }
    Some(rule)
}

/// The family and interface (or `NETCONFA_IFINDEX_ALL`, `_DEFAULT`) of a netconf message.
pub(crate) fn netconf(payload: &[u8]) -> Option<(u8, i32)> {
    // struct netconfmsg is one byte, padded.
    let index = attribute(payload.get(4..)?, NETCONFA_IFINDEX)?;
    Some((*payload.first()?, u32_at(index, 0)?.cast_signed()))
}

#[cfg(test)]
mod tests;
