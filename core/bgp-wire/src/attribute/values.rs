//! Decoded attributes: what policy and the decision process read, and what is sent.

use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

use super::{AsPath, AttributeCode, AttributeFlags, Community, ExtendedCommunity, LargeCommunity};

/// ORIGIN. Lower is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// From an interior protocol, or configured.
    #[default]
    Igp,
    /// From EGP.
    Egp,
    /// By other means.
    Incomplete,
}

impl Origin {
    pub(crate) const fn from_code(code: u8) -> Option<Origin> {
        Some(match code {
            0 => Origin::Igp,
            1 => Origin::Egp,
            2 => Origin::Incomplete,
            _ => return None,
        })
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Origin::Igp => 0,
            Origin::Egp => 1,
            Origin::Incomplete => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        })
    }
}

/// AGGREGATOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// The AS of the router that aggregated.
    pub asn: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
}

/// An optional transitive attribute that is not known here, kept to be passed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownAttribute {
    /// Its flags as received. It is sent with the partial flag.
    pub flags: AttributeFlags,
    /// Its type code.
    pub code: AttributeCode,
    /// Its content.
    pub value: Vec<u8>,
}

/// Which of the known optional transitive attributes came with the partial flag; they keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialSet(u64);

impl PartialSet {
    /// Adds one. Codes above 63 are unknown here and have their flags in [`UnknownAttribute`].
    pub(crate) const fn insert(&mut self, code: AttributeCode) {
        if code.0 < 64 {
            self.0 |= 1 << code.0;
        }
    }

    /// Whether it is in the set.
    pub const fn contains(self, code: AttributeCode) -> bool {
        code.0 < 64 && self.0 & 1 << code.0 != 0
    }
}

/// The attributes of a route, without its next hop, which is beside the NLRI
/// ([`Reach`](crate::Reach), [`UpdateBuilder::announce`](crate::UpdateBuilder::announce)).
///
/// The default is what a route of our own has inside the AS: ORIGIN igp, an empty AS_PATH, nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH; AS4_PATH has been merged in.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; internal peers only.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR; AS4_AGGREGATOR has been merged in.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES.
    pub communities: Vec<Community>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST (RFC 4456), nearest first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// EXTENDED_COMMUNITIES.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// LARGE_COMMUNITIES.
    pub large_communities: Vec<LargeCommunity>,
    /// ONLY_TO_CUSTOMER (RFC 9234).
    pub only_to_customer: Option<u32>,
    /// Optional transitive attributes that are not known here, by code.
    pub unknown: Vec<UnknownAttribute>,
    /// Known ones that came with the partial flag.
    pub partial: PartialSet,
}
