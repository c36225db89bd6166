//! What only shows when policies are seen together with each other and with the peers that use them.

use std::collections::BTreeMap;

use tapway_bgp::config::{Policy, Rule, SetNextHop};
use tapway_bgp::policy::{self, CallFault};
use tapway_model::PolicyName;
use tapway_model::spec::SpecError;

use super::spec::wrong;
use super::{Known, policy_exists};

/// Calls of what is not there, of itself, or without end.
pub(super) fn check_calls(all: &[&Policy], known: &Known) -> Vec<SpecError> {
    let exists = |name: &PolicyName| known.any || known.policies.contains(name);
    let faults = policy::check_calls(all.iter().copied(), exists);
    let errors = faults.into_iter().map(|error| {
        let key = format!("policy.{}.rules[{}].call", error.policy, error.rule);
        let reason = match &error.fault {
            CallFault::Unknown(name) => policy_exists(name, known).err(),
            _ => None,
        };
        wrong(key, reason.unwrap_or_else(|| error.fault.to_string()))
    });
    errors.collect()
}

/// The calls that are broken between these policies, by key.
pub(crate) fn broken_calls(all: &[Policy]) -> Vec<String> {
    let known = Known {
        policies: all.iter().map(|p| p.name.clone()).collect(),
        ..Known::default()
    };
    let all: Vec<&Policy> = all.iter().collect();
    check_calls(&all, &known)
        .into_iter()
        .map(|e| e.key)
        .collect()
}

/// What `new` policies break about calls, with those that they replace or join, `old`; what was broken before is
/// not their doing.
///
/// # Errors
/// The first call that cannot be, keys beginning with `policy.NAME`.
pub(crate) fn check_new(old: &[Policy], new: &[Policy]) -> Result<(), SpecError> {
    let check = |all: &[&Policy]| {
        let known = Known {
            policies: all.iter().map(|p| p.name.clone()).collect(),
            ..Known::default()
        };
        check_calls(all, &known)
    };
    let before: Vec<&Policy> = old.iter().collect();
    let stays = |policy: &&Policy| !new.iter().any(|n| n.name == policy.name);
    let after: Vec<&Policy> = old.iter().filter(stays).chain(new).collect();
    let before = check(&before);
    match check(&after)
        .into_iter()
        .find(|error| !before.contains(error))
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Conditions on peers that are not there.
pub(super) fn check_peers(policies: &[Policy], known: &Known) -> Vec<SpecError> {
    let mut errors = Vec::new();
    for policy in policies {
        for (at, rule) in policy.rules.iter().enumerate() {
            for (key, peers) in [
                ("peer", &rule.matches.peers),
                ("received_from", &rule.matches.received_from),
            ] {
                let missing = peers
                    .iter()
                    .position(|peer| !known.any && !known.peers.contains(peer));
                if let Some(i) = missing {
                    let peer = &peers[i];
                    errors.push(wrong(
                        format!("policy.{}.rules[{at}].match.{key}[{i}]", policy.name),
                        format!("there is no peer {peer}; define [peer.{peer}] or remove the name"),
                    ));
                }
            }
        }
    }
    errors
}

/// What a peer uses a policy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// For what it sends.
    Import,
    /// For what it is sent.
    Export,
}

impl Use {
    /// The key that names the policy.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Use::Import => "import",
            Use::Export => "export",
        }
    }

    /// Whether a policy, with all that it calls, makes sense here.
    ///
    /// # Errors
    /// The first rule that does not, with the remedy.
    pub(crate) fn check(self, policy: &PolicyName, all: &[&Policy]) -> Result<(), String> {
        let all: BTreeMap<&PolicyName, &Policy> = all.iter().map(|p| (&p.name, *p)).collect();
        let mut seen = vec![policy];
        let mut at = 0;
        while let Some(name) = seen.get(at).copied() {
            at += 1;
            let Some(policy) = all.get(name) else {
                continue;
            };
            for (i, rule) in policy.rules.iter().enumerate() {
                if let Some(fault) = self.fault(rule) {
                    return Err(format!("rule {} of policy {name} {fault}", i + 1));
                }
                seen.extend(
                    rule.call
                        .iter()
                        .filter(|called| !seen.contains(called))
                        .collect::<Vec<_>>(),
                );
            }
        }
        Ok(())
    }

    fn fault(self, rule: &Rule) -> Option<String> {
        match self {
            Use::Import => {
                let word = match rule.set.next_hop? {
                    SetNextHop::Own => "self",
                    SetNextHop::Unchanged => "unchanged",
                    SetNextHop::Address { .. } => return None,
                };
                Some(format!(
                    "sets next_hop = {word:?}, which means something only to what is sent; write an address there, or use another policy"
                ))
            }
            Use::Export => None,
        }
    }
}
