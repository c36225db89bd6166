//! The next hop of a route towards a peer: one that every router accepts, or none.
//!
//! RFC 4271 §5.1.3, RFC 2545 §3, RFC 8950. Of an own route in this order: its own (of its claim or network), the
//! peer's setting, our address on the session's interface. A reflected route keeps its own (RFC 4456 §10).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_bgp_wire::NextHop;
use tapway_model::Family;

use crate::config::PeerNextHop;
use crate::speaker::action::LocalAddresses;

/// What the choice depends on besides the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Our own addresses.
    pub(crate) ours: LocalAddresses,
    /// The interface, when both ends of the session have link-local addresses.
    pub(crate) link_local: Option<u32>,
    /// The peer's address, where a route may name it as its next hop.
    pub(crate) peer: Option<IpAddr>,
    /// The peer takes IPv4 routes with an IPv6 next hop (RFC 8950).
    pub(crate) extended: bool,
    /// What the peer's settings say.
    pub(crate) configured: PeerNextHop,
}

impl Link {
    /// A link to a peer at an address; what nothing depends on is left out.
    pub(crate) fn new(
        mut ours: LocalAddresses,
        peer: IpAddr,
        ifindex: u32,
        extended: bool,
        configured: PeerNextHop,
    ) -> Link {
        let is_link_local = matches!(peer, IpAddr::V6(a) if a.is_unicast_link_local());
        let link_local = is_link_local.then_some(ifindex);
        if !is_link_local {
            ours.v6_link_local = None;
        }
        Link {
            ours,
            link_local,
            peer: Some(peer),
            extended,
            configured,
        }
    }
}

/// The next hop for a route of `family`, or why there is none.
pub(crate) fn choose(
    family: Family,
    explicit: Option<IpAddr>,
    link: &Link,
) -> Result<NextHop, &'static str> {
    if let Some(addr) = explicit {
        return fixed(family, addr, link);
    }
    if let Some(addr) = link.configured.address(family) {
        return fixed(family, addr, link);
    }
    match family {
        Family::Ipv4 => match link.ours.v4 {
            Some(addr) => Ok(NextHop::V4(addr)),
            None if link.extended => own_v6(link),
            None => Err(
                "no IPv4 address on the session's interface, and the peer does not take IPv6 next hops for \
                         IPv4 routes (RFC 8950); add an address, set next_hop, or turn extended next hops on at the peer",
            ),
        },
        Family::Ipv6 => own_v6(link),
    }
}

/// A next hop that somebody wrote down.
fn fixed(family: Family, addr: IpAddr, link: &Link) -> Result<NextHop, &'static str> {
    if link.peer == Some(addr) {
        return Err("the next hop is the peer itself");
    }
    match (family, addr) {
        (Family::Ipv4, IpAddr::V4(addr)) if usable_v4(addr) => Ok(NextHop::V4(addr)),
        (Family::Ipv4, IpAddr::V6(_)) if !link.extended => {
            Err("the next hop is IPv6, and the peer does not take that for IPv4 routes (RFC 8950)")
        }
        (_, IpAddr::V6(addr)) if addr.is_unicast_link_local() => match link.link_local {
            Some(_) => Ok(NextHop::LinkLocal(addr)),
            None => Err("the next hop is link-local, and the session is not"),
        },
        (_, IpAddr::V6(addr)) if usable_v6(addr) => Ok(NextHop::V6(addr)),
        (Family::Ipv6, IpAddr::V4(_)) => {
            Err("the next hop is IPv4, and IPv6 routes need an IPv6 one")
        }
        _ => Err("the next hop is no unicast address"),
    }
}

/// The next hop that a received route keeps, heard of on an interface. A link-local one means something on that link alone.
pub(crate) fn keep(
    family: Family,
    next_hop: NextHop,
    ifindex: u32,
    link: &Link,
) -> Result<NextHop, &'static str> {
    if link.peer == Some(next_hop.addr()) {
        return Err("the next hop is the peer itself");
    }
    let same_link = ifindex != 0 && link.link_local == Some(ifindex);
    match (family, next_hop) {
        (Family::Ipv4, NextHop::V4(_)) => Ok(next_hop),
        (Family::Ipv6, NextHop::V4(_)) => {
            Err("the next hop is IPv4, and IPv6 routes need an IPv6 one")
        }
        (Family::Ipv4, _) if !link.extended => {
            Err("the next hop is IPv6, and the peer does not take that for IPv4 routes (RFC 8950)")
        }
        (_, NextHop::LinkLocal(_)) if !same_link => {
            Err("the next hop is link-local, and the peer is not on that link")
        }
        (_, NextHop::V6WithLinkLocal { global, .. }) if !same_link => Ok(NextHop::V6(global)),
        _ => Ok(next_hop),
    }
}

/// Our IPv6 address. Only on link-local sessions does the peer surely know which link it belongs to.
fn own_v6(link: &Link) -> Result<NextHop, &'static str> {
    match (link.ours.v6_global, link.ours.v6_link_local) {
        (Some(global), Some(link_local)) if link.link_local.is_some() => {
            Ok(NextHop::V6WithLinkLocal { global, link_local })
        }
        (None, Some(link_local)) if link.link_local.is_some() => Ok(NextHop::LinkLocal(link_local)),
        (Some(global), _) => Ok(NextHop::V6(global)),
        _ => Err(
            "no usable IPv6 address on the session's interface; add a global one or set next_hop",
        ),
    }
}

/// Whether a router could forward to it.
pub(crate) fn usable(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => usable_v4(addr),
        IpAddr::V6(addr) => usable_v6(addr),
    }
}

fn usable_v4(addr: Ipv4Addr) -> bool {
    !addr.is_unspecified() && !addr.is_multicast() && !addr.is_broadcast() && !addr.is_loopback()
}

fn usable_v6(addr: Ipv6Addr) -> bool {
    !addr.is_unspecified()
        && !addr.is_multicast()
        && !addr.is_loopback()
        && addr.to_ipv4_mapped().is_none()
}

#[cfg(test)]
mod tests;
