//! What the capabilities of one OPEN say together.

use alloc::vec::Vec;
use core::ops::Deref;

use tapway_model::Family;

use super::{
    AddPathDirection, Capability, ExtendedNextHop, GracefulRestart, LongLivedFamily, Role,
};
use crate::AfiSafi;

/// The capabilities of one OPEN, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub Vec<Capability>);

impl Deref for Capabilities {
    type Target = [Capability];

    fn deref(&self) -> &[Capability] {
        &self.0
    }
}

impl Capabilities {
    /// Whether `family` is spoken. IPv4 unicast is when no family is named at all (RFC 4760 §8).
    pub fn multi_protocol(&self, family: Family) -> bool {
        let mut named = self.iter().filter_map(|c| match c {
            Capability::MultiProtocol(family) => Some(*family),
            _ => None,
        });
        match named.next() {
            None => family == Family::Ipv4,
            Some(first) => first == family.into() || named.any(|f| f == family.into()),
        }
    }

    /// The four-octet AS number.
    pub fn four_octet_asn(&self) -> Option<u32> {
        self.iter().find_map(|c| match c {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        })
    }

    /// Whether ROUTE-REFRESH is understood.
    pub fn route_refresh(&self) -> bool {
        self.contains(&Capability::RouteRefresh)
    }

    /// Whether begin and end of a refresh are marked.
    pub fn enhanced_route_refresh(&self) -> bool {
        self.contains(&Capability::EnhancedRouteRefresh)
    }

    /// Whether messages longer than 4096 bytes are understood.
    pub fn extended_message(&self) -> bool {
        self.contains(&Capability::ExtendedMessage)
    }

    /// Whether IPv4 unicast NLRI may have an IPv6 next hop.
    pub fn extended_next_hop(&self) -> bool {
        let wanted = ExtendedNextHop {
            nlri: AfiSafi::IPV4_UNICAST,
            next_hop_afi: 2,
        };
        self.iter().any(|c| match c {
            Capability::ExtendedNextHop(entries) => entries.contains(&wanted),
            _ => false,
        })
    }

    /// Graceful restart. When it is there several times, the last counts (RFC 4724 §3).
    pub fn graceful_restart(&self) -> Option<&GracefulRestart> {
        self.iter().rev().find_map(|c| match c {
            Capability::GracefulRestart(graceful) => Some(graceful),
            _ => None,
        })
    }

    /// What the sender does with several paths of a prefix in `family`.
    pub fn add_path(&self, family: Family) -> Option<AddPathDirection> {
        self.iter().find_map(|c| match c {
            Capability::AddPath(entries) => {
                let entry = entries.iter().find(|e| e.family == family.into())?;
                Some(entry.direction)
            }
            _ => None,
        })
    }

    /// Whether long-lived graceful restart is understood (RFC 9494 §3.1), be it for no family.
    pub fn has_long_lived(&self) -> bool {
        self.iter().any(|c| matches!(c, Capability::LongLived(_)))
    }

    /// The long-lived graceful restart time of `family`.
    pub fn long_lived(&self, family: Family) -> Option<LongLivedFamily> {
        self.iter().find_map(|c| match c {
            Capability::LongLived(entries) => {
                entries.iter().find(|e| e.family == family.into()).copied()
            }
            _ => None,
        })
    }

    /// The roles. Several that differ are for the caller to refuse (RFC 9234 §4.2).
    pub fn roles(&self) -> impl Iterator<Item = Role> + '_ {
        self.iter().filter_map(|c| match c {
            Capability::Role(role) => Some(*role),
            _ => None,
        })
    }
}
