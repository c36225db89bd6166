//! Policies as they are told: checked values only.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_bgp_wire::{Community, ExtendedCommunity, LargeCommunity, Origin};
use tapway_model::{ClaimKind, Family, InstanceName, NetworkName, PeerName, PolicyName, Tag};
use tapway_rpki::RpkiState;

use super::community::{AnyOf, Pattern};
use super::path_regex::PathRegex;
use super::prefix_set::PrefixSet;

/// A policy: ordered rules over routes. The first that accepts or rejects decides; no match rejects.
/// The names `claims`, `default-route`, `all` and `none` are built in and cannot be defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All of it must hold.
    pub matches: Match,
    /// Applied when it holds, whatever is decided then.
    pub set: Set,
    /// A policy that is asked then, as if its rules stood here.
    pub call: Option<PolicyName>,
    /// What then, when no called policy decided.
    pub action: Verdict,
}

/// What a rule does with a route that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The route passes.
    Accept,
    /// It does not.
    Reject,
    /// The next rule decides.
    Next,
}

/// Conditions; an empty list or `None` holds for every route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// A prefix that is in the set.
    pub prefixes: PrefixSet,
    /// Of this family.
    pub family: Option<Family>,
    /// A claim of any of these kinds. Never holds for a received route.
    pub kinds: Vec<ClaimKind>,
    /// Of any of these instances. Never holds for a received route.
    pub instances: Vec<InstanceName>,
    /// With any of these tags. Never holds for a received route.
    pub tags: Vec<Tag>,
    /// In any of these networks. Never holds for a received route.
    pub networks: Vec<NetworkName>,
    /// Received from a peer. In an export, a rule without it is for our own routes only.
    pub from_peer: bool,
    /// Received from any of these. Never holds for an own route.
    pub received_from: Vec<PeerName>,
    /// The session that is asked about is with any of these: in an import the sender, in an export the
    /// receiver.
    pub peers: Vec<PeerName>,
    /// Standard communities.
    pub communities: AnyOf,
    /// Large communities.
    pub large_communities: AnyOf,
    /// Extended communities.
    pub extended_communities: AnyOf,
    /// AS_PATH, as it came; empty for an own route.
    pub as_path: PathMatch,
    /// A next hop in one of these prefixes: the received one, or that of the claim or network.
    pub next_hop: PrefixSet,
    /// In any of these states (RFC 6811).
    pub rpki: Vec<RpkiState>,
}

/// Conditions on AS_PATH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathMatch {
    /// It begins with any of these: the neighbouring AS.
    pub first: Vec<u32>,
    /// It ends with any of these: the originating AS.
    pub origin: Vec<u32>,
    /// Any of these is in it.
    pub contains: Vec<u32>,
    /// Its length in the decision process: a set counts one.
    pub length: Option<Lengths>,
    /// Any of these fits its text.
    pub regex: Vec<PathRegex>,
}

/// A range of lengths, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Shortest.
    pub ge: u32,
    /// Longest.
    pub le: u32,
}

/// What is changed in a list: first all are replaced, then some removed, then some added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<C> {
    /// These in the place of all.
    pub replace: Option<Vec<C>>,
    /// Those that fit go.
    pub remove: Vec<Pattern>,
    /// These come.
    pub add: Vec<C>,
}

impl<C> Change<C> {
    /// Whether it leaves everything as it is.
    pub fn is_empty(&self) -> bool {
        self.replace.is_none() && self.remove.is_empty() && self.add.is_empty()
    }
}

impl<C> Default for Change<C> {
    fn default() -> Self {
        Change {
            replace: None,
            remove: Vec::new(),
            add: Vec::new(),
        }
    }
}

/// What a rule changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// LOCAL_PREF; sent to internal peers only.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// AS numbers in front of AS_PATH; sent to external peers only.
    pub prepend: Option<Prepend>,
    /// Standard communities.
    pub communities: Change<Community>,
    /// Large communities.
    pub large_communities: Change<LargeCommunity>,
    /// Extended communities.
    pub extended_communities: Change<ExtendedCommunity>,
    /// The next hop.
    pub next_hop: Option<SetNextHop>,
    /// Where an accepted received route goes in the kernel.
    pub install: InstallChange,
}

/// An AS number in front of AS_PATH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepend {
    /// How often.
    pub count: u8,
    /// Which.
    pub asn: PrependAs,
}

/// Which AS number is put in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrependAs {
    /// Ours.
    Own,
    /// The one that the path begins with; ours when it is empty.
    Last,
    /// This one.
    Number(u32),
}

/// Another next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetNextHop {
    /// Our own address on the session, whatever the claim, the network or the peer's settings say.
    Own,
    /// The one that the route came with.
    Unchanged,
    /// An address for each family; a route of a family without one keeps its next hop.
    Address {
        /// For IPv4 routes.
        ipv4: Option<Ipv4Addr>,
        /// For IPv6 routes.
        ipv6: Option<Ipv6Addr>,
    },
}

/// What is different about the way of a route into the kernel; the peer's settings say the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallChange {
    /// Whether it goes there at all. A peer whose routes are not installed installs none for that.
    pub enabled: Option<bool>,
    /// The kernel table.
    pub table: Option<u32>,
    /// The metric.
    pub metric: Option<u32>,
    /// The preferred source address; none where its family is not the route's.
    pub prefsrc: Option<IpAddr>,
}
