//! Which routes pass, and with which attributes.
//!
//! Four policies are built in: `claims` (all own routes, no received one), `default-route` (0.0.0.0/0 and
//! ::/0), `all`, `none`. All others are ordered rules: the first that accepts or rejects decides, and
//! what no rule decides is rejected. A name without a policy rejects everything. A rule may call another
//! policy: its rules are read as if they stood there.
//!
//! What goes in is a [`RouteView`], borrowed from whoever keeps the route; what comes out is a verdict
//! and the [`Modifications`] to be made. Names, prefix sets and regular expressions are made ready when a
//! policy is told, not when a route comes.
//!
//! In an export, a rule without `from = "peer"` and every built-in policy are for own routes only: what one
//! peer sent is never sent to another unless a rule says so. What is reflected ([`Way::Reflect`]) is the other way round: the
//! same rules are for it, and what none of them decides passes, but for `none` and `default-route`.

mod calls;
mod community;
mod eval;
mod modifications;
mod path_regex;
mod prefix_set;
mod route;
pub(crate) mod rule;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{PeerName, PolicyName};

use crate::config::{InstallChange, Policy, Rule, SetNextHop};
pub use calls::{CallError, CallFault, check_calls};
pub use community::{AnyOf, Pattern};
pub use eval::{By, Named, Outcome, Step, StepResult};
pub use modifications::{Modifications, NextHopChange};
pub use path_regex::PathRegex;
pub use prefix_set::{PrefixMatch, PrefixSet};
pub use route::{Context, RouteAttributes, RouteView, Rpki, Source, Way};
pub use tapway_rpki::RpkiState;

/// How many calls may lie inside one another.
pub const MAX_DEPTH: usize = 32;

/// A policy that cannot be defined, because it always exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// All own routes.
    Claims,
    /// 0.0.0.0/0 and ::/0.
    DefaultRoute,
    /// Everything: as an import everything received, as an export all own routes.
    All,
    /// Nothing.
    None,
}

impl BuiltIn {
    /// The names, in the order of the variants.
    pub const NAMES: [&str; 4] = ["claims", "default-route", "all", "none"];

    /// The built-in policy of this name.
    pub fn named(name: &str) -> Option<BuiltIn> {
        Some(match name {
            "claims" => BuiltIn::Claims,
            "default-route" => BuiltIn::DefaultRoute,
            "all" => BuiltIn::All,
            "none" => BuiltIn::None,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        BuiltIn::NAMES[self as usize]
    }
}

/// The policies that are defined.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// By name.
    all: Vec<Compiled>,
}

/// A policy whose calls are resolved.
#[derive(Clone, Debug)]
struct Compiled {
    policy: Policy,
    /// By rule.
    calls: BTreeMap<usize, Target>,
    /// With those of all policies that it calls.
    traits: Traits,
}

/// What must be known of a policy to ask it less often than once for each route and peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// It looks at prefixes, or at what depends on them.
    pub(crate) prefixes: bool,
    /// It looks at RPKI states.
    pub(crate) rpki: bool,
    /// It looks at the peer of the session.
    pub(crate) peers: bool,
    /// It says where routes go in the kernel.
    pub(crate) installs: bool,
    /// It speaks of routes that a peer sent.
    pub(crate) received: bool,
}

impl Traits {
    fn of(policy: &Policy) -> Traits {
        let any = |is: fn(&Rule) -> bool| policy.rules.iter().any(is);
        let rpki = any(|r| !r.matches.rpki.is_empty());
        Traits {
            prefixes: rpki || any(|r| !r.matches.prefixes.is_empty()),
            rpki,
            peers: any(|r| !r.matches.peers.is_empty()),
            installs: any(|r| r.set.install != InstallChange::default()),
            received: any(|r| r.matches.from_peer),
        }
    }

    fn with(self, other: Traits) -> Traits {
        Traits {
            prefixes: self.prefixes || other.prefixes,
            rpki: self.rpki || other.rpki,
            peers: self.peers || other.peers,
            installs: self.installs || other.installs,
            received: self.received || other.received,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    BuiltIn(BuiltIn),
    /// By its place among all.
    Defined(usize),
    Missing,
}

impl Policies {
    /// Defines policies or replaces them, all at once. Returns the names of those that differ. A built-in
    /// name is never looked up here.
    pub fn set(&mut self, policies: impl IntoIterator<Item = Policy>) -> BTreeSet<PolicyName> {
        let mut changed = BTreeSet::new();
        for policy in policies {
            let name = policy.name.clone();
            let compiled = Compiled {
                policy,
                calls: BTreeMap::new(),
                traits: Traits::default(),
            };
            match self.find(&name) {
                Ok(at) if self.all[at].policy == compiled.policy => continue,
                Ok(at) => self.all[at] = compiled,
                Err(at) => self.all.insert(at, compiled),
            }
            changed.insert(name);
        }
        if !changed.is_empty() {
            self.link();
        }
        changed
    }

    /// Removes one. False: there was none.
    pub fn remove(&mut self, name: &PolicyName) -> bool {
        let found = self.find(name);
        if let Ok(at) = found {
            self.all.remove(at);
            self.link();
        }
        found.is_ok()
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.all.iter().map(|compiled| &compiled.policy)
    }

    /// The policy of this name, for many routes.
    pub fn named(&self, name: &PolicyName) -> Named<'_> {
        Named {
            policies: self,
            target: self.target(name),
        }
    }

    /// Whether a policy is one of `wanted`, or calls one, at once or through others.
    pub fn reaches(&self, name: &PolicyName, wanted: &BTreeSet<PolicyName>) -> bool {
        self.any(name, |name, _| wanted.contains(name))
    }

    /// Whether a policy, or one that it calls, can make an address the next hop.
    pub(crate) fn sets_next_hop(&self, name: &PolicyName, addr: IpAddr) -> bool {
        let sets = |rule: &Rule| match rule.set.next_hop {
            Some(SetNextHop::Address { ipv4, ipv6 }) => match addr {
                IpAddr::V4(addr) => ipv4 == Some(addr),
                IpAddr::V6(addr) => ipv6 == Some(addr),
            },
            _ => false,
        };
        self.any(name, |_, policy| {
            policy.is_some_and(|p| p.rules.iter().any(sets))
        })
    }

    /// Whether a policy, or one that it calls, speaks of routes that this peer sent.
    pub(crate) fn passes_on(&self, name: &PolicyName, sender: &PeerName) -> bool {
        let of_sender = |rule: &Rule| {
            let from = &rule.matches.received_from;
            rule.matches.from_peer && (from.is_empty() || from.contains(sender))
        };
        self.any(name, |_, policy| {
            policy.is_some_and(|p| p.rules.iter().any(of_sender))
        })
    }

    /// Whether a policy, or one that it calls, can leave a route its next hop.
    pub(crate) fn keeps_next_hop(&self, name: &PolicyName) -> bool {
        self.says_next_hop(name, SetNextHop::Unchanged)
    }

    /// Whether a policy, or one that it calls, can make our own address the next hop of a route.
    pub(crate) fn takes_next_hop(&self, name: &PolicyName) -> bool {
        self.says_next_hop(name, SetNextHop::Own)
    }

    fn says_next_hop(&self, name: &PolicyName, next_hop: SetNextHop) -> bool {
        let says = |rule: &Rule| rule.set.next_hop == Some(next_hop);
        self.any(name, |_, policy| {
            policy.is_some_and(|p| p.rules.iter().any(says))
        })
    }

    /// Whether something holds for a policy or one that it calls, at once or through others.
    fn any(
        &self,
        name: &PolicyName,
        mut holds: impl FnMut(&PolicyName, Option<&Policy>) -> bool,
    ) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = Vec::from([name]);
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            let policy = self.find(name).ok().map(|at| &self.all[at].policy);
            if holds(name, policy) {
                return true;
            }
            let rules = policy.map_or(&[][..], |policy| &policy.rules);
            next.extend(rules.iter().filter_map(|rule| rule.call.as_ref()));
        }
        false
    }

    /// Whether a policy, or one that it calls, looks at RPKI states.
    pub fn looks_at_rpki(&self, name: &PolicyName) -> bool {
        self.traits(self.target(name)).rpki
    }

    fn traits(&self, target: Target) -> Traits {
        match target {
            Target::Defined(at) => self.all[at].traits,
            Target::BuiltIn(policy) => Traits {
                prefixes: policy == BuiltIn::DefaultRoute,
                ..Traits::default()
            },
            Target::Missing => Traits::default(),
        }
    }

    fn find(&self, name: &PolicyName) -> Result<usize, usize> {
        self.all.binary_search_by(|c| c.policy.name.cmp(name))
    }

    fn target(&self, name: &PolicyName) -> Target {
        match (BuiltIn::named(name.as_str()), self.find(name)) {
            (Some(policy), _) => Target::BuiltIn(policy),
            (None, Ok(at)) => Target::Defined(at),
            (None, Err(_)) => Target::Missing,
        }
    }

    /// Resolves all calls anew.
    fn link(&mut self) {
        for at in 0..self.all.len() {
            let calls = self.all[at].policy.rules.iter().enumerate();
            let calls = calls.filter_map(|(i, rule)| Some((i, self.target(rule.call.as_ref()?))));
            self.all[at].calls = calls.collect();
            self.all[at].traits = Traits::of(&self.all[at].policy);
        }
        // Until they have gone through all calls.
        let mut moved = true;
        while core::mem::take(&mut moved) {
            for at in 0..self.all.len() {
                let old = self.all[at].traits;
                let called = self.all[at].calls.values();
                let new = called.fold(old, |sum, target| sum.with(self.traits(*target)));
                moved |= new != old;
                self.all[at].traits = new;
            }
        }
    }
}

#[cfg(test)]
mod tests;
