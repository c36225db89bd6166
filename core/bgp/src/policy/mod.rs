//! Which routes pass, and with which attributes.
//!
//! Four policies are built in: `claims` (all own routes, no received one), `default-route` (0.0.0.0/0 and
//! ::/0), `all`, `none`. All others are ordered rules: the first that accepts or rejects decides, and
//! what no rule decides is rejected. A name without a policy rejects everything.

mod eval;

use alloc::collections::BTreeMap;

use tapway_model::PolicyName;

use crate::config::Policy;
pub use eval::{Outcome, Subject};

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
}

/// The policies that are defined, by name.
#[derive(Clone, Debug, Default)]
pub struct Policies(BTreeMap<PolicyName, Policy>);

impl Policies {
    /// Defines a policy or replaces it. False: nothing changed. A built-in name is never looked up here.
    pub fn set(&mut self, policy: Policy) -> bool {
        if self.0.get(&policy.name) == Some(&policy) {
            return false;
        }
        self.0.insert(policy.name.clone(), policy);
        true
    }

    /// Removes one. False: there was none.
    pub fn remove(&mut self, name: &PolicyName) -> bool {
        self.0.remove(name).is_some()
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.0.values()
    }

    /// What the policy of this name does with a route.
    pub fn evaluate(&self, name: &PolicyName, subject: &Subject<'_>) -> Outcome {
        match (BuiltIn::named(name.as_str()), self.0.get(name)) {
            (Some(policy), _) => eval::built_in(policy, subject),
            (None, Some(policy)) => eval::rules(&policy.rules, subject),
            (None, None) => Outcome::Rejected { rule: None },
        }
    }
}

#[cfg(test)]
mod tests;
