//! `[policy.NAME]`.

mod change;
mod condition;

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{Match, Policy, Rule, Set, Verdict};
use tapway_bgp::policy::BuiltIn;
use tapway_model::PolicyName;
use tapway_model::spec::SpecError;

use super::network::NextHopSpec;
use super::peer::InstallSpec;
use super::{no_word, within, wrong};
use crate::config::value::{Count, NumberOrWord, Numbers, Switch, Texts, Word};
pub(crate) use change::origin_of;

/// Policies that exist without being written and cannot be written.
pub const BUILT_IN_POLICIES: [&str; 4] = BuiltIn::NAMES;

/// A policy, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// Ordered rules.
    pub rules: Vec<RuleSpec>,
}

/// One rule, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Conditions; every route when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<MatchSpec>,
    /// What is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetSpec>,
    /// A policy whose rules come here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// `accept`, `reject` or `next`; may be left out beside `call`, and is `next` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Conditions, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/policy.md and in Match"
)]
pub struct MatchSpec {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub prefixes: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub received_from: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub peer: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub kind: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub instance: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub tag: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub network: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub communities: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub large_communities: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub extended_communities: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_path: Option<PathSpec>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub next_hop: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub rpki: Texts,
}

/// Conditions on AS_PATH, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/policy.md and in PathMatch"
)]
pub struct PathSpec {
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub first: Numbers,
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub origin: Numbers,
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub contains: Numbers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<NumberOrWord>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub regex: Texts,
}

/// What is changed, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/policy.md and in Set"
)]
pub struct SetSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepend: Option<Count<PrependSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communities: Option<Texts>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub remove_communities: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub add_communities: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large_communities: Option<Texts>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub remove_large_communities: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub add_large_communities: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_communities: Option<Texts>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub remove_extended_communities: Texts,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub add_extended_communities: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<Word<NextHopSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<Switch<InstallSpec>>,
}

/// `prepend = { count = …, asn = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrependSpec {
    /// How often; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// A number, `own` or `last`; `own` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<NumberOrWord>,
}

/// The name of a policy, built in or not.
///
/// # Errors
/// When it is no name.
pub fn policy_name(text: &str) -> Result<PolicyName, String> {
    PolicyName::new(text).map_err(|e| e.to_string())
}

impl PolicySpec {
    /// Checks every value.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self, name: PolicyName) -> Result<Policy, SpecError> {
        if BUILT_IN_POLICIES.contains(&name.as_str()) {
            return Err(wrong(
                "",
                format!(
                    "the policy {name} is built in and cannot be defined; give yours another name"
                ),
            ));
        }
        let rules = self
            .rules
            .iter()
            .enumerate()
            .map(|(i, rule)| rule.parse().map_err(|e| within(&format!("rules[{i}]"), e)))
            .collect::<Result<_, _>>()?;
        Ok(Policy { name, rules })
    }
}

impl RuleSpec {
    fn parse(&self) -> Result<Rule, SpecError> {
        let call = match &self.call {
            Some(text) => Some(policy_name(text).map_err(|e| wrong("call", e))?),
            None => None,
        };
        Ok(Rule {
            matches: match &self.matches {
                Some(spec) => spec.parse().map_err(|e| within("match", e))?,
                None => Match::default(),
            },
            set: match &self.set {
                Some(spec) => spec.parse().map_err(|e| within("set", e))?,
                None => Set::default(),
            },
            action: self.action(call.is_some())?,
            call,
        })
    }

    fn action(&self, calls: bool) -> Result<Verdict, SpecError> {
        match self.action.as_deref() {
            Some("accept") => Ok(Verdict::Accept),
            Some("reject") => Ok(Verdict::Reject),
            Some("next") => Ok(Verdict::Next),
            Some(other) => {
                let known = ["accept", "reject", "next"];
                Err(wrong("action", no_word(other, "action", &known)))
            }
            None if calls => Ok(Verdict::Next),
            None => Err(wrong(
                "",
                "the key \"action\" is missing; add action = \"accept\", \"reject\" or \"next\", or call a policy",
            )),
        }
    }
}
