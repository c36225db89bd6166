//! What a codec makes of an UPDATE, in one form for all of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::message::{Attribute, read_attributes};

/// What becomes of the message (RFC 7606 §2). The order is that of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Accept,
    Discard,
    Withdraw,
    Reset,
}

/// Address, length, path identifier.
pub(crate) type Entry = (IpAddr, u8, u32);

/// What one codec read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) action: Action,
    /// With their next hops.
    pub(crate) reach: Vec<(Entry, IpAddr)>,
    pub(crate) unreach: Vec<Entry>,
    /// By code: the partial flag and the content, with AS numbers of four octets.
    pub(crate) attributes: BTreeMap<u8, (bool, Vec<u8>)>,
    /// What was wrong, for people.
    pub(crate) text: String,
}

impl Reading {
    /// One that says nothing but what becomes of the message.
    pub(crate) fn bare(action: Action, text: impl ToString) -> Reading {
        Reading {
            action,
            reach: Vec::new(),
            unreach: Vec::new(),
            attributes: BTreeMap::new(),
            text: text.to_string(),
        }
    }

    /// Takes over a block of attributes without those of routes.
    pub(crate) fn set_attributes(&mut self, block: &[u8]) {
        let (all, cut) = read_attributes(block);
        assert!(
            !cut,
            "a codec wrote an attribute that is longer than its block"
        );
        let kept = all.iter().filter(|a| !matches!(a.code, 14 | 15));
        // Of several the first counts; not all leave out the others.
        for attribute in kept {
            let first = self.attributes.entry(attribute.code);
            first.or_insert_with(|| content(attribute));
        }
    }

    /// What is compared: all but prefixes that mean nothing in routing, in one order.
    pub(crate) fn sorted(mut self) -> Reading {
        self.reach.retain(|(entry, _)| is_unicast(entry));
        self.unreach.retain(is_unicast);
        self.reach.sort_unstable();
        self.unreach.sort_unstable();
        self
    }
}

fn content(attribute: &Attribute<'_>) -> (bool, Vec<u8>) {
    (attribute.flags & 0x20 != 0, attribute.value.to_vec())
}

/// Whether it means something in unicast routing. Which others are passed over is each codec's choice (RFC 4271 §6.3).
fn is_unicast((addr, len, _): &Entry) -> bool {
    match addr {
        // One that reaches into 224/3, too, but for the default route.
        IpAddr::V4(addr) => {
            let host = u32::MAX.checked_shr((*len).into()).unwrap_or(0);
            *len == 0 || addr.to_bits() | host < 0xe000_0000
        }
        IpAddr::V6(addr) => {
            let mapped = *len >= 96 && addr.to_ipv4_mapped().is_some();
            !mapped && !addr.is_multicast() && !addr.is_unicast_link_local()
        }
    }
}

/// The address that names a next hop of two: the global one, unless there is none.
pub(crate) fn next_hop(first: IpAddr, link_local: Option<Ipv6Addr>) -> IpAddr {
    match (first, link_local) {
        (IpAddr::V6(addr), Some(second))
            if second.is_unicast_link_local()
                && (addr.is_unspecified() || addr.is_unicast_link_local()) =>
        {
            second.into()
        }
        _ => first,
    }
}
