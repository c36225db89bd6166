//! `[policy.NAME]`.

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{Match, Policy, PrefixMatch, Rule, Set, Verdict};
use tapway_model::spec::SpecError;
use tapway_model::{ClaimKind, Family, InstanceName, NetworkName, PolicyName, Prefix, Tag};

use super::{each, refuse, within, wrong};
use crate::config::value::{NotYet, Texts};

/// Policies that exist without being written and cannot be written.
pub const BUILT_IN_POLICIES: [&str; 4] = ["claims", "default-route", "all", "none"];

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
    /// Attributes to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetSpec>,
    /// `accept`, `reject` or `next`.
    pub action: String,
}

/// Conditions, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/guide.md and in Match"
)]
pub struct MatchSpec {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub prefixes: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
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
    #[serde(skip_serializing)]
    pub from: Option<NotYet>,
}

/// Attributes to set, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/guide.md and in Set"
)]
pub struct SetSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communities: Option<Texts>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub add_communities: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepend: Option<i64>,
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
        let action = match self.action.as_str() {
            "accept" => Verdict::Accept,
            "reject" => Verdict::Reject,
            "next" => Verdict::Next,
            other => {
                return Err(wrong(
                    "action",
                    format!("{other:?} is no action; write \"accept\", \"reject\" or \"next\""),
                ));
            }
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
            action,
        })
    }
}

impl MatchSpec {
    fn parse(&self) -> Result<Match, SpecError> {
        refuse(&[("from", self.from, "rules for what other peers sent")])?;
        let family = match self.family.as_deref() {
            None => None,
            Some("ipv4-unicast") => Some(Family::Ipv4),
            Some("ipv6-unicast") => Some(Family::Ipv6),
            Some(other) => {
                return Err(wrong(
                    "family",
                    format!("{other:?} is no family; write \"ipv4-unicast\" or \"ipv6-unicast\""),
                ));
            }
        };
        Ok(Match {
            prefixes: each(&self.prefixes.0, "prefixes", prefix_match)?,
            family,
            kinds: each(&self.kind.0, "kind", claim_kind)?,
            instances: each(&self.instance.0, "instance", InstanceName::new)?,
            tags: each(&self.tag.0, "tag", Tag::new)?,
            networks: each(&self.network.0, "network", NetworkName::new)?,
            communities: each(&self.communities.0, "communities", community)?,
        })
    }
}

impl SetSpec {
    fn parse(&self) -> Result<Set, SpecError> {
        let number = |value: Option<i64>, key: &str| match value {
            None => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| wrong(key, format!("{number} does not fit; write 0 to 4294967295"))),
        };
        let prepend = match self.prepend.unwrap_or(0) {
            times @ 0..=25 => u8::try_from(times).unwrap_or(0),
            times => {
                return Err(wrong(
                    "prepend",
                    format!("{times} times is not sensible; write 0 to 25"),
                ));
            }
        };
        Ok(Set {
            communities: match &self.communities {
                Some(texts) => Some(each(&texts.0, "communities", community)?),
                None => None,
            },
            add_communities: each(&self.add_communities.0, "add_communities", community)?,
            med: number(self.med, "med")?,
            local_pref: number(self.local_pref, "local_pref")?,
            prepend,
        })
    }
}

fn claim_kind(text: &str) -> Result<ClaimKind, String> {
    match text {
        "address" => Ok(ClaimKind::Address),
        "route" => Ok(ClaimKind::Route),
        "anycast" => Ok(ClaimKind::Anycast),
        "transparent" => Ok(ClaimKind::Transparent),
        "guest-bgp" => Ok(ClaimKind::GuestBgp),
        other => Err(format!(
            "{other:?} is no kind of claim; write \"address\", \"route\", \"anycast\", \"transparent\" or \"guest-bgp\""
        )),
    }
}

/// `203.0.113.0/24`, `203.0.113.0/24 ge 32`, `203.0.113.0/24 le 28` or both.
fn prefix_match(text: &str) -> Result<PrefixMatch, String> {
    let mut words = text.split_ascii_whitespace();
    let prefix: Prefix = words
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|e: tapway_model::PrefixError| e.to_string())?;
    let (mut ge, mut le) = (None, None);
    while let Some(word) = words.next() {
        let bound = match word {
            "ge" => &mut ge,
            "le" => &mut le,
            _ => {
                return Err(format!(
                    "{word:?} is not known here; write like \"{prefix} ge 24 le 32\""
                ));
            }
        };
        let length = words.next().and_then(|w| w.parse::<u8>().ok());
        match length {
            Some(length) if bound.is_none() => *bound = Some(length),
            _ => {
                return Err(format!(
                    "{word} wants one length; write like \"{prefix} ge 24 le 32\""
                ));
            }
        }
    }
    let max = prefix.family().bits();
    let (ge, le) = match (ge, le) {
        (None, None) => (prefix.len(), prefix.len()),
        (Some(ge), None) => (ge, max),
        (None, Some(le)) => (prefix.len(), le),
        (Some(ge), Some(le)) => (ge, le),
    };
    if prefix.len() <= ge && ge <= le && le <= max {
        Ok(PrefixMatch { prefix, ge, le })
    } else {
        Err(format!(
            "no length fits; it must hold that {} <= ge <= le <= {max}",
            prefix.len()
        ))
    }
}

/// Communities with names (RFC 1997, RFC 7999, RFC 8326, RFC 3765).
pub(super) const NAMED_COMMUNITIES: [(&str, u32); 6] = [
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
    ("blackhole", 0xffff_029a),
    ("graceful-shutdown", 0xffff_0000),
];

fn community(text: &str) -> Result<u32, String> {
    if let Some((_, value)) = NAMED_COMMUNITIES.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let half = |t: &str| {
        let plain = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        t.parse::<u16>().ok().filter(|_| plain).map(u32::from)
    };
    text.split_once(':')
        .and_then(|(high, low)| Some(half(high)? << 16 | half(low)?))
        .ok_or_else(|| {
            format!("{text:?} is no community; write two numbers up to 65535 like \"64612:90\", or a name like \"no-export\"")
        })
}
