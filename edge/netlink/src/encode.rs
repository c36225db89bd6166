//! Objects as the bodies of requests.

mod route;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use route::RouteRequest;
use tapway_fib::{Address, Neighbour, Route, Rule, address_flags};
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
pub(crate) fn route(route: &Route, metric: u32) -> RouteRequest<'_> {
    RouteRequest {
        route,
        metric,
        whole: true,
    }
}

/// A route to remove: whatever of this protocol is at the key, with any next hop.
///
/// The kernel takes IPv4 metric 0 for any metric, and removes the lowest.
pub(crate) fn route_key(route: &Route, metric: u32) -> RouteRequest<'_> {
    RouteRequest {
        route,
        metric,
        whole: false,
    }
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
