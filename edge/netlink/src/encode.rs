//! Objects as the bodies of requests.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use std::net::IpAddr;

use tapway_fib::{Address, Neighbour, NextHop, Route, RouteKind, Rule, address_flags};
use tapway_model::Family;

pub(crate) const fn family(family: Family) -> AddressFamily {
    match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    }
}

/// An address to add.
pub(crate) fn address(address: &Address) -> AddressMessage {
    let mut message = address_key(address);
    message.header.scope = address.scope.into();
    // The kernel sets all other flags itself.
    let flags = address.flags & (address_flags::NODAD | address_flags::NOPREFIXROUTE);
    message
        .attributes
        .push(AddressAttribute::Flags(AddressFlags::from_bits_retain(
            flags,
        )));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::from(
            address.protocol,
        )));
    message
}

/// An address to remove.
pub(crate) fn address_key(address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(Family::of(&address.addr));
    message.header.prefix_len = address.len;
    message.header.index = address.index;
    message.attributes = vec![
        AddressAttribute::Local(address.addr),
        AddressAttribute::Address(address.addr),
    ];
    message
}

/// A route to add, with this metric instead of its own.
pub(crate) fn route(route: &Route, metric: u32) -> RouteMessage {
    let mut message = route_base(route, metric);
    message.header.kind = kind(route.kind);
    message.header.scope = route.scope.into();
    if let Some(prefsrc) = route.prefsrc {
        message
            .attributes
            .push(RouteAttribute::PrefSource(prefsrc.into()));
    }
    let v4 = route.prefix.family() == Family::Ipv4;
    match route.next_hops.as_slice() {
        [] => {}
        [only] => {
            if only.onlink {
                message.header.flags |= RouteFlags::Onlink;
            }
            message.attributes.push(RouteAttribute::Oif(only.index));
            message.attributes.extend(gateway(v4, only));
        }
        several => {
            message.attributes.push(RouteAttribute::MultiPath(
                several.iter().map(|hop| next_hop(v4, hop)).collect(),
            ));
        }
    }
    message
}

/// A route to remove: whatever of this protocol is at the key, with any next hop.
///
/// The kernel takes IPv4 metric 0 for any metric, and removes the lowest.
pub(crate) fn route_key(route: &Route, metric: u32) -> RouteMessage {
    let mut message = route_base(route, metric);
    message.header.kind = RouteType::Unspec;
    // Nowhere: any scope (`fib_table_delete`).
    message.header.scope = RouteScope::NoWhere;
    message
}

fn route_base(route: &Route, metric: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.prefix.family()),
        destination_prefix_length: route.prefix.len(),
        table: u8::try_from(route.table).unwrap_or(0),
        protocol: route.protocol.into(),
        ..RouteHeader::default()
    };
    message.attributes.reserve_exact(6);
    message
        .attributes
        .push(RouteAttribute::Destination(route.prefix.addr().into()));
    message.attributes.push(RouteAttribute::Table(route.table));
    if metric != 0 {
        message.attributes.push(RouteAttribute::Priority(metric));
    }
    message
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Other(number) => number.into(),
    }
}

fn next_hop(v4: bool, hop: &NextHop) -> RouteNextHop {
    let mut message = RouteNextHop::default();
    if hop.onlink {
        message.flags = RouteNextHopFlags::Onlink;
    }
    // The kernel counts from 0.
    message.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    message.interface_index = hop.index;
    message.attributes.extend(gateway(v4, hop));
    message
}

fn gateway(v4: bool, hop: &NextHop) -> Option<RouteAttribute> {
    hop.via.map(|via| match via {
        // RFC 8950: an IPv4 route with an IPv6 next hop.
        IpAddr::V6(_) if v4 => RouteAttribute::Via(via.into()),
        _ => RouteAttribute::Gateway(via.into()),
    })
}

/// A neighbour to add.
pub(crate) fn neighbour(neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = neighbour_key(neighbour);
    message.header.state = neighbour.state.into();
    if let Some(mac) = neighbour.mac {
        message
            .attributes
            .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    }
    message
        .attributes
        .push(NeighbourAttribute::Protocol(neighbour.protocol.into()));
    message
}

/// A neighbour to remove or to ask for.
pub(crate) fn neighbour_key(neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(Family::of(&neighbour.addr));
    message.header.ifindex = neighbour.index;
    message
        .attributes
        .push(NeighbourAttribute::Destination(neighbour.addr.into()));
    message
}

/// A rule to add or to remove.
pub(crate) fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(rule.family);
    message.header.action = RuleAction::ToTable;
    message.header.table = u8::try_from(rule.table).unwrap_or(0);
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Protocol(rule.protocol.into()),
    ];
    if let Some(iif) = &rule.iif {
        message
            .attributes
            .push(RuleAttribute::Iifname(iif.as_str().to_owned()));
    }
    message
}
