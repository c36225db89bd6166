//! Next hops, of the NEXT_HOP attribute and of MP_REACH_NLRI (RFC 2545, RFC 4760, RFC 8950).

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A global IPv6 address.
    V6(Ipv6Addr),
    /// A global and a link-local IPv6 address.
    V6WithLinkLocal {
        /// The global address.
        global: Ipv6Addr,
        /// The link-local address.
        link_local: Ipv6Addr,
    },
    /// Only a link-local address. Sent as 16 octets; received also as 32 with `::` or with
    /// the same address in the global's place.
    LinkLocal(Ipv6Addr),
}

impl NextHop {
    /// Of the next hop field of MP_REACH_NLRI: 4, 16 or 32 octets.
    pub(crate) fn from_field(field: &[u8]) -> Option<NextHop> {
        if let Ok(octets) = <[u8; 4]>::try_from(field) {
            return Some(NextHop::V4(octets.into()));
        }
        let (&first, rest) = field.split_first_chunk::<16>()?;
        let first = Ipv6Addr::from(first);
        let alone = |addr: Ipv6Addr| match addr.is_unicast_link_local() {
            true => NextHop::LinkLocal(addr),
            false => NextHop::V6(addr),
        };
        if rest.is_empty() {
            return Some(alone(first));
        }
        let second = Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?);
        Some(
            match (
                first.is_unicast_link_local(),
                second.is_unicast_link_local(),
            ) {
                (true, true) => NextHop::LinkLocal(second),
                (false, true) if first.is_unspecified() => NextHop::LinkLocal(second),
                (false, true) => NextHop::V6WithLinkLocal {
                    global: first,
                    link_local: second,
                },
                // Some send `::` in the second place when they have only one address.
                _ => alone(first),
            },
        )
    }

    /// Appends the next hop field of MP_REACH_NLRI, without its length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            NextHop::V4(addr) => out.extend_from_slice(&addr.octets()),
            NextHop::V6(addr) | NextHop::LinkLocal(addr) => out.extend_from_slice(&addr.octets()),
            NextHop::V6WithLinkLocal { global, link_local } => {
                out.extend_from_slice(&global.octets());
                out.extend_from_slice(&link_local.octets());
            }
        }
    }

    /// Octets of the field: 4, 16 or 32.
    pub(crate) const fn field_len(&self) -> usize {
        match self {
            NextHop::V4(_) => 4,
            NextHop::V6(_) | NextHop::LinkLocal(_) => 16,
            NextHop::V6WithLinkLocal { .. } => 32,
        }
    }

    /// The address that names it: the global one where there is one.
    pub const fn addr(&self) -> IpAddr {
        match *self {
            NextHop::V4(addr) => IpAddr::V4(addr),
            NextHop::V6(addr) | NextHop::LinkLocal(addr) => IpAddr::V6(addr),
            NextHop::V6WithLinkLocal { global, .. } => IpAddr::V6(global),
        }
    }

    /// Its link-local address: what to forward to on the session's interface.
    pub const fn link_local(&self) -> Option<Ipv6Addr> {
        match *self {
            NextHop::LinkLocal(addr)
            | NextHop::V6WithLinkLocal {
                link_local: addr, ..
            } => Some(addr),
            NextHop::V4(_) | NextHop::V6(_) => None,
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextHop::V6WithLinkLocal { global, link_local } => write!(f, "{global} ({link_local})"),
            other => other.addr().fmt(f),
        }
    }
}
