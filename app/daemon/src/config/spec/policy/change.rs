//! `set = { … }`: what a rule changes about a route.

use tapway_bgp::Origin;
use tapway_bgp::config::{Change, InstallChange, Prepend, PrependAs, Set, SetNextHop};
use tapway_bgp::policy::Pattern;
use tapway_model::spec::SpecError;

use super::{PrependSpec, SetSpec};
use crate::config::spec::address::as_number;
use crate::config::spec::{NextHopSpec, community, each, no_word, within, wrong};
use crate::config::value::{Count, NumberOrWord, Switch, Texts, Word};

impl SetSpec {
    pub(super) fn parse(&self) -> Result<Set, SpecError> {
        let number = |value: Option<i64>, key: &str| match value {
            None => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| wrong(key, format!("{number} does not fit; write 0 to 4294967295"))),
        };
        Ok(Set {
            local_pref: number(self.local_pref, "local_pref")?,
            med: number(self.med, "med")?,
            origin: match &self.origin {
                Some(text) => Some(origin_of(text).map_err(|e| wrong("origin", e))?),
                None => None,
            },
            prepend: self.prepend.as_ref().map(prepend).transpose()?,
            communities: change(
                "communities",
                (
                    &self.communities,
                    &self.remove_communities,
                    &self.add_communities,
                ),
                community::standard,
                community::standard_pattern,
            )?,
            large_communities: change(
                "large_communities",
                (
                    &self.large_communities,
                    &self.remove_large_communities,
                    &self.add_large_communities,
                ),
                community::large,
                community::large_pattern,
            )?,
            extended_communities: change(
                "extended_communities",
                (
                    &self.extended_communities,
                    &self.remove_extended_communities,
                    &self.add_extended_communities,
                ),
                community::extended,
                community::extended_pattern,
            )?,
            next_hop: self.next_hop.as_ref().map(next_hop).transpose()?,
            install: match &self.install {
                None => InstallChange::default(),
                Some(Switch::Flag(enabled)) => InstallChange {
                    enabled: Some(*enabled),
                    ..InstallChange::default()
                },
                Some(Switch::Table(spec)) => spec.parse()?,
            },
        })
    }
}

type Lists<'s> = (&'s Option<Texts>, &'s Texts, &'s Texts);

fn change<C>(
    key: &str,
    (replace, remove, add): Lists<'_>,
    one: fn(&str) -> Result<C, String>,
    pattern: fn(&str) -> Result<Pattern, String>,
) -> Result<Change<C>, SpecError> {
    Ok(Change {
        replace: match replace {
            Some(texts) => Some(each(&texts.0, key, one)?),
            None => None,
        },
        remove: each(&remove.0, &format!("remove_{key}"), pattern)?,
        add: each(&add.0, &format!("add_{key}"), one)?,
    })
}

fn prepend(spec: &Count<PrependSpec>) -> Result<Prepend, SpecError> {
    let own = PrependSpec::default();
    let (count, key, spec) = match spec {
        Count::Number(count) => (*count, "prepend", &own),
        Count::Table(spec) => (spec.count.unwrap_or(1), "prepend.count", spec),
    };
    let asn = match &spec.asn {
        None => PrependAs::Own,
        Some(NumberOrWord::Number(number)) => {
            PrependAs::Number(as_number(*number).map_err(|e| wrong("prepend.asn", e))?)
        }
        Some(NumberOrWord::Word(word)) => match word.as_str() {
            "own" => PrependAs::Own,
            "last" => PrependAs::Last,
            other => {
                return Err(wrong(
                    "prepend.asn",
                    format!(
                        "{other:?} is no AS; write a number without quotes, \"own\" or \"last\""
                    ),
                ));
            }
        },
    };
    match count {
        times @ 0..=25 => Ok(Prepend {
            count: times as u8,
            asn,
        }),
        times => Err(wrong(
            key,
            format!("{times} times is not sensible; write 0 to 25"),
        )),
    }
}

fn next_hop(spec: &Word<NextHopSpec>) -> Result<SetNextHop, SpecError> {
    match spec {
        Word::Word(word) => match word.as_str() {
            "self" => Ok(SetNextHop::Own),
            "unchanged" => Ok(SetNextHop::Unchanged),
            other => Err(wrong(
                "next_hop",
                format!(
                    "{other:?} is not known; write \"self\", \"unchanged\" or {{ ipv4 = \"192.0.2.1\", ipv6 = \"2001:db8::1\" }}"
                ),
            )),
        },
        Word::Table(table) => match table.parse().map_err(|e| within("next_hop", e))? {
            (None, None) => Err(wrong(
                "next_hop",
                "no address is in it; write ipv4, ipv6 or both",
            )),
            (ipv4, ipv6) => Ok(SetNextHop::Address { ipv4, ipv6 }),
        },
    }
}

/// `igp`, `egp` or `incomplete`.
pub(crate) fn origin_of(text: &str) -> Result<Origin, String> {
    match text {
        "igp" => Ok(Origin::Igp),
        "egp" => Ok(Origin::Egp),
        "incomplete" => Ok(Origin::Incomplete),
        other => Err(no_word(other, "origin", &["igp", "egp", "incomplete"])),
    }
}
