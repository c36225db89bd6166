//! Policies that call policies: which reach which, and what is wrong with that.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use tapway_model::PolicyName;

use super::rule::Policy;
use super::{BuiltIn, MAX_DEPTH};

/// Most rules that one route may have to be compared with; calls multiply.
const MAX_RULES: u64 = 1_000_000;

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The policy that calls.
    pub policy: PolicyName,
    /// Its rule, from 0.
    pub rule: usize,
    /// What is wrong.
    pub fault: CallFault,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// There is no policy of this name.
    Unknown(PolicyName),
    /// The policy comes back to itself, this way.
    Circle(Vec<PolicyName>),
    /// It leads through more than [`MAX_DEPTH`] calls.
    Deep,
    /// It leads to more than a million rules.
    Long,
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallFault::Unknown(name) => write!(f, "there is no policy {name}"),
            CallFault::Circle(names) => {
                for name in names {
                    write!(f, "{name} calls ")?;
                }
                let first = names.first().map_or("", PolicyName::as_str);
                write!(
                    f,
                    "{first}: a policy cannot come back to itself; remove one of the calls"
                )
            }
            CallFault::Deep => write!(
                f,
                "more than {MAX_DEPTH} calls lie inside one another; write some of the rules where they are called"
            ),
            CallFault::Long => write!(
                f,
                "a route would have to be compared with more than {MAX_RULES} rules; call fewer policies"
            ),
        }
    }
}

/// How deep and how long a policy is, its calls included.
#[derive(Clone, Copy)]
struct Extent {
    depth: usize,
    rules: u64,
}

/// Everything that is wrong between these policies. `exists` says which names are defined elsewhere.
pub fn check_calls<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    exists: impl Fn(&PolicyName) -> bool,
) -> Vec<CallError> {
    let policies: BTreeMap<&PolicyName, &Policy> =
        policies.into_iter().map(|p| (&p.name, p)).collect();
    let mut check = Check {
        policies: &policies,
        exists: &exists,
        done: BTreeMap::new(),
        way: Vec::new(),
        errors: Vec::new(),
    };
    for name in policies.keys() {
        check.extent(name);
    }
    check.errors
}

struct Check<'a> {
    policies: &'a BTreeMap<&'a PolicyName, &'a Policy>,
    exists: &'a dyn Fn(&PolicyName) -> bool,
    done: BTreeMap<&'a PolicyName, Extent>,
    /// The calls that led here.
    way: Vec<&'a PolicyName>,
    errors: Vec<CallError>,
}

impl<'a> Check<'a> {
    fn extent(&mut self, name: &'a PolicyName) -> Extent {
        if let Some(extent) = self.done.get(name) {
            return *extent;
        }
        let Some(policy) = self.policies.get(name).copied() else {
            return Extent { depth: 0, rules: 1 };
        };
        self.way.push(name);
        let mut extent = Extent {
            depth: 0,
            rules: policy.rules.len() as u64,
        };
        for (at, rule) in policy.rules.iter().enumerate() {
            let Some(called) = &rule.call else { continue };
            if let Some(fault) = self.called(called, &mut extent) {
                self.errors.push(CallError {
                    policy: name.clone(),
                    rule: at,
                    fault,
                });
            }
        }
        self.way.pop();
        self.done.insert(name, extent);
        extent
    }

    fn called(&mut self, called: &'a PolicyName, extent: &mut Extent) -> Option<CallFault> {
        if let Some(start) = self.way.iter().position(|n| *n == called) {
            let circle = self.way[start..].iter().map(|n| (*n).clone()).collect();
            return Some(CallFault::Circle(circle));
        }
        let known = self.policies.contains_key(called)
            || BuiltIn::named(called.as_str()).is_some()
            || (self.exists)(called);
        if !known {
            return Some(CallFault::Unknown(called.clone()));
        }
        if self.way.len() > MAX_DEPTH {
            return Some(CallFault::Deep);
        }
        let inner = self.extent(called);
        // Where it begins, not everywhere above.
        let deep = inner.depth == MAX_DEPTH;
        let rules = extent.rules.saturating_add(inner.rules);
        let long = extent.rules.max(inner.rules) <= MAX_RULES && rules > MAX_RULES;
        extent.depth = extent.depth.max(inner.depth + 1);
        extent.rules = rules;
        match (deep, long) {
            (true, _) => Some(CallFault::Deep),
            (_, true) => Some(CallFault::Long),
            _ => None,
        }
    }
}
