//! One policy, one route: the answer.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use tapway_bgp_wire::Community;
use tapway_model::Prefix;

use super::BuiltIn;
use crate::config::{Match, Rule, Set, Verdict};
use crate::rib::own::Announcement;

/// A route in front of a policy.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A route of our own.
    Own(&'a Announcement),
    /// A received one.
    Received {
        /// Its prefix.
        prefix: Prefix,
        /// Its communities.
        communities: &'a [Community],
    },
}

/// What a policy says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes, with these attributes. For a received route `communities` holds all that it then has,
    /// if a rule touched them.
    Accepted(Set),
    /// It does not.
    Rejected {
        /// By which rule, from 0; absent: none matched, or the policy has no rules.
        rule: Option<usize>,
    },
}

impl Subject<'_> {
    fn prefix(&self) -> Prefix {
        match self {
            Subject::Own(announcement) => announcement.id.prefix,
            Subject::Received { prefix, .. } => *prefix,
        }
    }
}

pub(super) fn built_in(policy: BuiltIn, subject: &Subject<'_>) -> Outcome {
    let passes = match policy {
        BuiltIn::Claims => matches!(subject, Subject::Own(_)),
        BuiltIn::DefaultRoute => subject.prefix().len() == 0,
        BuiltIn::All => true,
        BuiltIn::None => false,
    };
    if passes {
        Outcome::Accepted(Set::default())
    } else {
        Outcome::Rejected { rule: None }
    }
}

pub(super) fn rules(rules: &[Rule], subject: &Subject<'_>) -> Outcome {
    let mut set = Set::default();
    for (index, rule) in rules.iter().enumerate() {
        if !matches(&rule.matches, subject, &set) {
            continue;
        }
        match rule.action {
            Verdict::Reject => return Outcome::Rejected { rule: Some(index) },
            Verdict::Accept => {
                apply(&rule.set, subject, &mut set);
                return Outcome::Accepted(set);
            }
            Verdict::Next => apply(&rule.set, subject, &mut set),
        }
    }
    Outcome::Rejected { rule: None }
}

/// The communities of the route as the rules so far have left them.
fn communities<'a>(subject: &Subject<'_>, set: &'a Set) -> Cow<'a, [u32]> {
    match (&set.communities, subject) {
        (Some(all), _) => Cow::Borrowed(all),
        (None, Subject::Own(_)) => Cow::Borrowed(&[]),
        (None, Subject::Received { communities, .. }) => {
            Cow::Owned(communities.iter().map(|c| c.0).collect())
        }
    }
}

fn matches(wanted: &Match, subject: &Subject<'_>, set: &Set) -> bool {
    let prefix = subject.prefix();
    let in_list = |m: &crate::config::PrefixMatch| {
        m.prefix.contains(&prefix) && (m.ge..=m.le).contains(&prefix.len())
    };
    let common = (wanted.prefixes.is_empty() || wanted.prefixes.iter().any(in_list))
        && wanted.family.is_none_or(|f| f == prefix.family())
        && (wanted.communities.is_empty() || {
            let has = communities(subject, set);
            wanted.communities.iter().any(|c| has.contains(c))
        });
    let of_claim = match subject {
        Subject::Own(own) => {
            (wanted.kinds.is_empty() || wanted.kinds.contains(&own.kind))
                && (wanted.instances.is_empty()
                    || wanted.instances.iter().any(|i| own.instances.contains(i)))
                && (wanted.tags.is_empty() || wanted.tags.iter().any(|t| own.tags.contains(t)))
                && (wanted.networks.is_empty() || wanted.networks.contains(&own.network))
        }
        Subject::Received { .. } => {
            wanted.kinds.is_empty()
                && wanted.instances.is_empty()
                && wanted.tags.is_empty()
                && wanted.networks.is_empty()
        }
    };
    common && of_claim
}

/// Adds the attributes of one rule to those of the rules before it.
fn apply(rule: &Set, subject: &Subject<'_>, set: &mut Set) {
    if rule.communities.is_some() || !rule.add_communities.is_empty() {
        let mut all: Vec<u32> = match &rule.communities {
            Some(all) => all.clone(),
            None => communities(subject, set).into_owned(),
        };
        all.extend_from_slice(&rule.add_communities);
        all.sort_unstable();
        all.dedup();
        set.communities = Some(all);
    }
    set.med = rule.med.or(set.med);
    set.local_pref = rule.local_pref.or(set.local_pref);
    set.prepend = set.prepend.saturating_add(rule.prepend);
}
