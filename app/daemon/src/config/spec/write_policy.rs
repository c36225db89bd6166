//! Policies back to specs.

use tapway_bgp::config::{
    Change, InstallChange, Lengths, Match, PathMatch, Policy, Prepend, PrependAs, Rule, Set,
    SetNextHop, Verdict,
};
use tapway_bgp::policy::{AnyOf, Pattern, PrefixMatch, PrefixSet};
use tapway_model::{Domain, Family};

use super::community;
use super::write::{table, texts};
use super::{
    InstallSpec, MatchSpec, NextHopSpec, PathSpec, PolicySpec, PrependSpec, RuleSpec, SetSpec,
};
use crate::config::value::{Count, NumberOrWord, Numbers, Switch, Texts, Word};

impl From<&Policy> for PolicySpec {
    fn from(policy: &Policy) -> PolicySpec {
        PolicySpec {
            rules: policy.rules.iter().map(RuleSpec::from).collect(),
        }
    }
}

impl From<&Rule> for RuleSpec {
    fn from(rule: &Rule) -> RuleSpec {
        let verdict = match rule.action {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Next => "next",
        };
        RuleSpec {
            matches: Some(MatchSpec::from(&rule.matches)).filter(|m| *m != MatchSpec::default()),
            set: Some(SetSpec::from(&rule.set)).filter(|s| *s != SetSpec::default()),
            call: rule.call.as_ref().map(ToString::to_string),
            action: Some(verdict.into()),
        }
    }
}

impl From<&Match> for MatchSpec {
    fn from(matches: &Match) -> MatchSpec {
        MatchSpec {
            prefixes: prefixes(&matches.prefixes, prefix_text),
            family: matches.family.as_ref().map(Family::to_string),
            from: matches.from_peer.then(|| "peer".into()),
            received_from: texts(&matches.received_from),
            peer: texts(&matches.peers),
            kind: texts(&matches.kinds),
            instance: texts(&matches.instances),
            tag: texts(&matches.tags),
            network: texts(&matches.networks),
            communities: groups(&matches.communities, community::standard_pattern_text),
            large_communities: groups(&matches.large_communities, community::large_pattern_text),
            extended_communities: groups(
                &matches.extended_communities,
                community::extended_pattern_text,
            ),
            as_path: Some(PathSpec::from(&matches.as_path)).filter(|p| *p != PathSpec::default()),
            next_hop: prefixes(&matches.next_hop, |hop| hop.prefix.to_string()),
            rpki: texts(&matches.rpki),
        }
    }
}

impl From<&PathMatch> for PathSpec {
    fn from(path: &PathMatch) -> PathSpec {
        let numbers = |asns: &[u32]| Numbers(asns.iter().copied().map(i64::from).collect());
        let regex = path.regex.iter().map(|r| r.written().to_string());
        PathSpec {
            first: numbers(&path.first),
            origin: numbers(&path.origin),
            contains: numbers(&path.contains),
            length: path.length.map(|Lengths { ge, le }| match (ge, le) {
                (ge, le) if ge == le => NumberOrWord::Number(ge.into()),
                (ge, u32::MAX) => NumberOrWord::Word(format!("ge {ge}")),
                (0, le) => NumberOrWord::Word(format!("le {le}")),
                (ge, le) => NumberOrWord::Word(format!("ge {ge} le {le}")),
            }),
            regex: Texts(regex.collect()),
        }
    }
}

impl From<&Set> for SetSpec {
    fn from(set: &Set) -> SetSpec {
        let (communities, remove_communities, add_communities) = lists(
            &set.communities,
            |c| Pattern::exactly(*c),
            community::standard_pattern_text,
        );
        let (large_communities, remove_large_communities, add_large_communities) = lists(
            &set.large_communities,
            |c| Pattern::exactly(*c),
            community::large_pattern_text,
        );
        let (extended_communities, remove_extended_communities, add_extended_communities) = lists(
            &set.extended_communities,
            |c| Pattern::exactly(*c),
            community::extended_pattern_text,
        );
        SetSpec {
            local_pref: set.local_pref.map(i64::from),
            med: set.med.map(i64::from),
            origin: set.origin.map(|origin| origin.to_string()),
            prepend: set.prepend.map(prepend),
            communities,
            remove_communities,
            add_communities,
            large_communities,
            remove_large_communities,
            add_large_communities,
            extended_communities,
            remove_extended_communities,
            add_extended_communities,
            next_hop: set.next_hop.map(next_hop),
            install: install(&set.install),
        }
    }
}

fn prepend(prepend: Prepend) -> Count<PrependSpec> {
    let asn = match prepend.asn {
        PrependAs::Own => return Count::Number(prepend.count.into()),
        PrependAs::Last => NumberOrWord::Word("last".into()),
        PrependAs::Number(asn) => NumberOrWord::Number(asn.into()),
    };
    Count::Table(PrependSpec {
        count: Some(prepend.count.into()),
        asn: Some(asn),
    })
}

fn next_hop(next_hop: SetNextHop) -> Word<NextHopSpec> {
    match next_hop {
        SetNextHop::Own => Word::Word("self".into()),
        SetNextHop::Unchanged => Word::Word("unchanged".into()),
        SetNextHop::Address { ipv4, ipv6 } => Word::Table(NextHopSpec {
            ipv4: ipv4.map(|a| a.to_string()),
            ipv6: ipv6.map(|a| a.to_string()),
        }),
    }
}

fn install(change: &InstallChange) -> Option<Switch<InstallSpec>> {
    let spec = InstallSpec {
        table: change.table.map(|t| table(Domain(t))),
        metric: change.metric.map(i64::from),
        prefsrc: change.prefsrc.map(|a| a.to_string()),
    };
    match change.enabled {
        Some(enabled) => Some(Switch::Flag(enabled)),
        None => Some(Switch::Table(spec)).filter(|_| *change != InstallChange::default()),
    }
}

fn prefixes(set: &PrefixSet, text: impl Fn(&PrefixMatch) -> String) -> Texts {
    Texts(set.written().iter().map(text).collect())
}

fn prefix_text(matched: &PrefixMatch) -> String {
    let PrefixMatch { prefix, ge, le } = matched;
    if (*ge, *le) == (prefix.len(), prefix.len()) {
        prefix.to_string()
    } else {
        format!("{prefix} ge {ge} le {le}")
    }
}

fn groups(any_of: &AnyOf, text: impl Fn(&Pattern) -> String) -> Texts {
    let group = |group: &Vec<Pattern>| {
        let words: Vec<String> = group.iter().map(&text).collect();
        words.join(" ")
    };
    Texts(any_of.0.iter().map(group).collect())
}

fn lists<C>(
    change: &Change<C>,
    pattern: impl Fn(&C) -> Pattern,
    text: impl Fn(&Pattern) -> String,
) -> (Option<Texts>, Texts, Texts) {
    let exact = |all: &Vec<C>| Texts(all.iter().map(|c| text(&pattern(c))).collect());
    let remove = Texts(change.remove.iter().map(&text).collect());
    (
        change.replace.as_ref().map(exact),
        remove,
        exact(&change.add),
    )
}
