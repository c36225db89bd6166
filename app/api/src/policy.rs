//! Policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapway_model::{ClaimKind, InstanceName, NetworkName, PeerName, PolicyName, Prefix, Tag};

use crate::peer::Origin;
use crate::rpki::RpkiState;

/// The body of `PUT /v1/policies/{name}`: a JSON object with the keys of `[policy.NAME]` in the
/// configuration file.
pub type PolicyBody = Value;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// What defines it.
    pub origin: Origin,
    /// Peers that use it: `tor1 import`, `tor1 export`; rules that call it: `edge (rule 2)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
    /// What it does, for a built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its rules, in order; empty for a built-in one.
    pub rules: Vec<Value>,
}

/// The body of `POST /v1/policies/{name}/test`: what the policy would do with routes.
///
/// With prefixes alone the routes that are there are taken: claims, as exported to the peers that use the
/// policy, and what peers sent, as imported. `received`, or a key that describes a claim, asks about a
/// route that need not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// Destinations: 1 to 1000.
    pub prefixes: Vec<Prefix>,
    /// Only the session with this peer. Beside `received`: the route is exported to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// A route as this peer sends it. What no other key says is as in the route that it did send, if it sent
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<PeerName>,
    /// AS_PATH of a received route: `65000 64512 {1 2}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_path: Option<String>,
    /// Standard communities of a received route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communities: Option<Vec<String>>,
    /// Large communities of a received route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_communities: Option<Vec<String>>,
    /// Extended communities of a received route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_communities: Option<Vec<String>>,
    /// MULTI_EXIT_DISC of a received route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    /// LOCAL_PREF of a received route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// ORIGIN of a received route: `igp`, `egp` or `incomplete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Next hop of a received route, or of the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<std::net::IpAddr>,
    /// Whether its origin may announce it, instead of what the RPKI caches say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpki: Option<RpkiState>,
    /// A claim of this kind; `address` when only other keys describe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ClaimKind>,
    /// A claim of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// A claim with these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// A claim in this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Policies, by name, in the place of those in force: bodies as for `PUT`. Nothing is applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<PolicyName, PolicyBody>,
}

/// What a policy would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTested {
    /// Every route that was tried.
    pub items: Vec<TestedRoute>,
    /// Prefixes that no claim and no peer has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Prefix>,
}

/// What a policy would do with one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedRoute {
    /// Destination.
    pub prefix: Prefix,
    /// The route, for people: `anycast claim of web1, exported to tor1`.
    pub route: String,
    /// In which direction.
    pub way: Way,
    /// The peer that sent it, or would be sent it; absent: nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Whether its origin may announce it; absent without VRPs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpki: Option<RpkiState>,
    /// Whether it passes.
    pub accepted: bool,
    /// The policy whose rule decided; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// That rule, from 1; absent for a built-in policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// What changes about a route that passes.
    pub set: PolicyChanges,
    /// Every rule that was looked at, in order.
    pub steps: Vec<TestedRule>,
}

/// In which direction a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Whether what a peer sent counts.
    Import,
    /// Whether a peer is sent it.
    Export,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedRule {
    /// Whose rule.
    pub policy: PolicyName,
    /// Which, from 1.
    pub rule: u32,
    /// How many calls led there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// The first condition that does not hold, by its key; absent: all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// The policy that it called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<PolicyName>,
    /// What it did: `accept`, `reject` or `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What changes about a route. The lists hold all that it then has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each key is named after the attribute that it is about"
)]
pub struct PolicyChanges {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepend: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communities: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_communities: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_communities: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallChanges>,
}

/// What changes about the way of a received route into the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallChanges {
    /// Whether it goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The kernel table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// The metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The preferred source address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefsrc: Option<std::net::IpAddr>,
}
