//! Policies, row by row.

mod bytes;
mod calls;
mod conditions;
mod sets;

use alloc::vec::Vec;

use tapway_bgp_wire::{AsPath, Attributes, Community, ExtendedCommunity, LargeCommunity, NextHop};
use tapway_model::{InstanceName, PeerName, Tag};

use super::rule::{Match, Rule, Set, Verdict};
use super::*;
use crate::own::Announcement;
use crate::speaker::tests::net::{announcement, name, policy_name};

const ASN: u32 = 64612;

fn own() -> Announcement {
    let mut own = announcement("203.0.113.7/32");
    own.instances = [InstanceName::new("web1").unwrap()].into();
    own.tags = [Tag::new("dns").unwrap()].into();
    own
}

/// `65000 64512`, three communities of each kind, next hop 192.0.2.1.
fn attributes() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([65000, 64512]),
        med: Some(5),
        local_pref: Some(120),
        communities: [9, 8, 64612 << 16 | 90].map(Community).into(),
        large_communities: [1, 2, 3]
            .map(|local2| LargeCommunity {
                global: 64612,
                local1: 1,
                local2,
            })
            .into(),
        extended_communities: [1, 2, 3]
            .map(|n| ExtendedCommunity([0, 2, 0xfc, 0x64, 0, 0, 0, n]))
            .into(),
        ..Attributes::default()
    }
}

fn hop() -> NextHop {
    NextHop::V4([192, 0, 2, 1].into())
}

/// Received from `tor1`.
fn received<'a>(prefix: &str, peer: &'a PeerName, attributes: &'a Attributes) -> RouteView<'a> {
    RouteView::received(
        prefix.parse().unwrap(),
        peer,
        hop(),
        RouteAttributes::Values(attributes),
    )
}

fn import(peer: &PeerName) -> Context<'_> {
    Context {
        way: Way::Import,
        peer: Some(peer),
        asn: ASN,
    }
}

fn export(peer: &PeerName) -> Context<'_> {
    Context {
        way: Way::Export,
        ..import(peer)
    }
}

fn policy(name: &str, rules: impl Into<Vec<Rule>>) -> Policy {
    Policy {
        name: policy_name(name),
        rules: rules.into(),
    }
}

/// A policy `p` with these rules.
fn policies(rules: impl Into<Vec<Rule>>) -> Policies {
    let mut policies = Policies::default();
    policies.set([policy("p", rules)]);
    policies
}

fn rule(matches: Match, set: Set, action: Verdict) -> Rule {
    Rule {
        matches,
        set,
        call: None,
        action,
    }
}

fn call(name: &str, action: Verdict) -> Rule {
    Rule {
        call: Some(policy_name(name)),
        ..rule(Match::default(), Set::default(), action)
    }
}

fn within(prefix: &str, ge: u8, le: u8) -> PrefixSet {
    PrefixSet::new(
        [PrefixMatch {
            prefix: prefix.parse().unwrap(),
            ge,
            le,
        }]
        .into(),
    )
}

fn exactly(values: &[u32]) -> AnyOf {
    let one = |v: &u32| Vec::from([Pattern::exactly(Community(*v))]);
    AnyOf(values.iter().map(one).collect())
}
