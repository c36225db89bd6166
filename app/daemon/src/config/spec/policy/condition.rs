//! `match = { … }`: what a rule asks of a route.

use tapway_bgp::config::{Lengths, Match, PathMatch};
use tapway_bgp::policy::{AnyOf, PathRegex, Pattern, PrefixMatch, PrefixSet, RpkiState};
use tapway_model::spec::SpecError;
use tapway_model::{ClaimKind, Family, InstanceName, NetworkName, PeerName, Prefix, Tag};

use super::{MatchSpec, PathSpec};
use crate::config::spec::{community, each, no_word, within, wrong};
use crate::config::value::{NumberOrWord, Numbers, Texts};

impl MatchSpec {
    pub(super) fn parse(&self) -> Result<Match, SpecError> {
        let family = match self.family.as_deref() {
            None => None,
            Some("ipv4-unicast") => Some(Family::Ipv4),
            Some("ipv6-unicast") => Some(Family::Ipv6),
            Some(other) => {
                let known = ["ipv4-unicast", "ipv6-unicast"];
                return Err(wrong("family", no_word(other, "family", &known)));
            }
        };
        let from_peer = match self.from.as_deref() {
            None => false,
            Some("peer") => true,
            Some(other) => {
                return Err(wrong(
                    "from",
                    format!(
                        "{other:?} is not known; write \"peer\" for what peers sent, and received_from for which of them"
                    ),
                ));
            }
        };
        let received_from = each(&self.received_from.0, "received_from", PeerName::new)?;
        if !received_from.is_empty() && !from_peer {
            return Err(wrong(
                "received_from",
                "only what peers sent is received; write from = \"peer\" beside it",
            ));
        }
        let claims = [&self.kind, &self.instance, &self.tag, &self.network];
        let keys = ["kind", "instance", "tag", "network"];
        if from_peer
            && let Some((_, key)) = claims.into_iter().zip(keys).find(|(t, _)| !t.is_empty())
        {
            return Err(wrong(
                key,
                "what a peer sent is no claim, so that this rule never holds; remove this key or from",
            ));
        }
        Ok(Match {
            prefixes: PrefixSet::new(each(&self.prefixes.0, "prefixes", prefix_match)?),
            family,
            kinds: each(&self.kind.0, "kind", claim_kind)?,
            instances: each(&self.instance.0, "instance", InstanceName::new)?,
            tags: each(&self.tag.0, "tag", Tag::new)?,
            networks: each(&self.network.0, "network", NetworkName::new)?,
            from_peer,
            received_from,
            peers: each(&self.peer.0, "peer", PeerName::new)?,
            communities: any_of(
                &self.communities,
                "communities",
                community::standard_pattern,
            )?,
            large_communities: any_of(
                &self.large_communities,
                "large_communities",
                community::large_pattern,
            )?,
            extended_communities: any_of(
                &self.extended_communities,
                "extended_communities",
                community::extended_pattern,
            )?,
            as_path: match &self.as_path {
                Some(spec) => spec.parse().map_err(|e| within("as_path", e))?,
                None => PathMatch::default(),
            },
            next_hop: PrefixSet::new(each(&self.next_hop.0, "next_hop", hop_match)?),
            rpki: each(&self.rpki.0, "rpki", rpki_state)?,
        })
    }
}

fn any_of(
    texts: &Texts,
    key: &str,
    one: fn(&str) -> Result<Pattern, String>,
) -> Result<AnyOf, SpecError> {
    each(&texts.0, key, |text| community::group(text, one)).map(AnyOf)
}

impl PathSpec {
    fn parse(&self) -> Result<PathMatch, SpecError> {
        Ok(PathMatch {
            first: asns(&self.first, "first")?,
            origin: asns(&self.origin, "origin")?,
            contains: asns(&self.contains, "contains")?,
            length: match &self.length {
                None => None,
                Some(NumberOrWord::Number(number)) => {
                    let number = u32::try_from(*number).map_err(|_| {
                        wrong("length", format!("{number} is no length; write 0 or more"))
                    })?;
                    Some(Lengths {
                        ge: number,
                        le: number,
                    })
                }
                Some(NumberOrWord::Word(text)) => {
                    Some(lengths(text).map_err(|e| wrong("length", e))?)
                }
            },
            regex: each(&self.regex.0, "regex", PathRegex::new)?,
        })
    }
}

fn asns(numbers: &Numbers, key: &str) -> Result<Vec<u32>, SpecError> {
    let one = |(i, number): (usize, &i64)| {
        // Numbers that nobody may have may still be in a path.
        let asn = u32::try_from(*number).ok().filter(|asn| *asn > 0);
        asn.ok_or_else(|| {
            wrong(
                format!("{key}[{i}]"),
                format!("{number} is no AS number; they go from 1 to 4294967295"),
            )
        })
    };
    numbers.0.iter().enumerate().map(one).collect()
}

/// `ge 2`, `le 5` or both.
fn lengths(text: &str) -> Result<Lengths, String> {
    let example = "\"ge 2 le 5\"";
    let (ge, le) = bounds::<u32>(text.split_ascii_whitespace(), example)?;
    match (ge, le) {
        (None, None) => Err(format!("it says nothing; write a number or like {example}")),
        (ge, le) => {
            let (ge, le) = (ge.unwrap_or(0), le.unwrap_or(u32::MAX));
            if ge > le {
                return Err(format!("no length fits; {ge} is more than {le}"));
            }
            Ok(Lengths { ge, le })
        }
    }
}

fn rpki_state(text: &str) -> Result<RpkiState, String> {
    let known = RpkiState::ALL.map(RpkiState::word);
    RpkiState::from_word(text).ok_or_else(|| no_word(text, "RPKI state", &known))
}

fn claim_kind(text: &str) -> Result<ClaimKind, String> {
    match text {
        "address" => Ok(ClaimKind::Address),
        "route" => Ok(ClaimKind::Route),
        "anycast" => Ok(ClaimKind::Anycast),
        "transparent" => Ok(ClaimKind::Transparent),
        "guest-bgp" => Ok(ClaimKind::GuestBgp),
        other => {
            let known = ["address", "route", "anycast", "transparent", "guest-bgp"];
            Err(no_word(other, "kind of claim", &known))
        }
    }
}

type Bounds<T> = (Option<T>, Option<T>);

/// `ge 24`, `le 32` or both, in any order.
fn bounds<'t, T: std::str::FromStr>(
    mut words: impl Iterator<Item = &'t str>,
    example: &str,
) -> Result<Bounds<T>, String> {
    let (mut ge, mut le) = (None, None);
    while let Some(word) = words.next() {
        let bound = match word {
            "ge" => &mut ge,
            "le" => &mut le,
            _ => return Err(format!("{word:?} is not known here; write like {example}")),
        };
        match words.next().and_then(|w| w.parse().ok()) {
            Some(length) if bound.is_none() => *bound = Some(length),
            _ => return Err(format!("{word} wants one length; write like {example}")),
        }
    }
    Ok((ge, le))
}

/// `203.0.113.0/24`, `203.0.113.0/24 ge 32`, `203.0.113.0/24 le 28` or both.
fn prefix_match(text: &str) -> Result<PrefixMatch, String> {
    let mut words = text.split_ascii_whitespace();
    let prefix: Prefix = words
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|e: tapway_model::PrefixError| e.to_string())?;
    let max = prefix.family().bits();
    let (ge, le) = match bounds(words, &format!("\"{prefix} ge 24 le 32\""))? {
        (None, None) => (prefix.len(), prefix.len()),
        (ge, le) => (ge.unwrap_or(prefix.len()), le.unwrap_or(max)),
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

/// An address, or a prefix with all its addresses.
fn hop_match(text: &str) -> Result<PrefixMatch, String> {
    let prefix: Prefix = text
        .parse()
        .map_err(|e: tapway_model::PrefixError| e.to_string())?;
    let host = prefix.family().bits();
    Ok(PrefixMatch {
        prefix,
        ge: host,
        le: host,
    })
}
