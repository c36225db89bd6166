//! BGP routes: received, sent, best.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tapway_model::{Family, PeerName, Prefix};

use crate::list::Page;
use crate::rpki::RpkiState;

/// Which routes are wanted. At most one of `received`, `advertised` and `best`; without any, the
/// best route of every prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteQuery {
    /// What this peer sent, before the import policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<PeerName>,
    /// What this peer was sent, after the export policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<PeerName>,
    /// The best route of every prefix.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub best: bool,
    /// Only this prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// Only this family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// At most this many items; 1000 when absent, at most 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Skip this many items first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

impl RouteQuery {
    /// The page that is wanted.
    pub fn page(&self) -> Page {
        Page::new(self.limit, self.offset)
    }
}

/// A BGP route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination.
    pub prefix: Prefix,
    /// The peer that sent it, or was sent it; absent for a claim of ours among the best routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Add-path identifier (RFC 7911).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_id: Option<u32>,
    /// Next hop; two for IPv6 with a global and a link-local one.
    pub next_hops: Vec<String>,
    /// AS_PATH as text: `65000 64612 {1 2}`; empty for our own routes.
    pub as_path: String,
    /// `igp`, `egp` or `incomplete`.
    pub origin: String,
    /// LOCAL_PREF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    /// How far away the next hop is: the metric of the kernel's route to it, 0 on a link of this host. Absent for what was not
    /// received, was rejected, or has a next hop that nothing leads to or that is still being searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Communities: `64612:90`, or a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,
    /// Large communities: `64612:1:2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub large_communities: Vec<String>,
    /// Extended communities: `rt:64612:100`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_communities: Vec<String>,
    /// Who brought it into our AS, when a reflector has passed it on (RFC 4456).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originator_id: Option<Ipv4Addr>,
    /// The clusters that have reflected it, nearest first (RFC 4456).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_list: Vec<Ipv4Addr>,
    /// Other attributes, as text: `only to customer 65000` (RFC 9234).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// Whether its origin may announce it; absent for what was not received, and without VRPs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpki: Option<RpkiState>,
    /// The owner of the claim, for a route of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What became of it.
    pub state: RouteState,
    /// Whether it is the best for its prefix.
    pub best: bool,
    /// Whether it is in the kernel.
    pub installed: bool,
    /// Whether it is kept from the session before this one (graceful restart).
    pub stale: bool,
    /// Whether it is kept beyond the restart time, behind all others (RFC 9494).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long_lived_stale: bool,
    /// Why it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds since it came or changed; absent when not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

/// What became of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteState {
    /// Received and accepted, or one of our own.
    Accepted,
    /// Rejected by the import policy.
    Rejected,
    /// Unusable: nothing leads to its next hop, or our AS is in its path.
    Unusable,
    /// Sent.
    Sent,
}
