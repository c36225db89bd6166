//! `add_paths` and `next_hop` of a peer: how many paths go out, and where they lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{AddPaths, NextHopTo, PeerNextHop, SendPaths};
use tapway_model::spec::SpecError;

use super::super::network::NextHopSpec;
use super::super::{within, wrong};
use super::PeerSpec;
use crate::config::value::{Switch, Word};

/// `add_paths = { receive = …, send = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPathsSpec {
    /// Take several paths of a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive: Option<bool>,
    /// Send several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Switch<SendPathsSpec>>,
}

/// `send = { max = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendPathsSpec {
    /// So many; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

impl SendPathsSpec {
    fn parse(&self) -> Result<SendPaths, SpecError> {
        let Some(max) = self.max else {
            return Ok(SendPaths::All);
        };
        match u16::try_from(max) {
            Ok(max @ 1..=256) => Ok(SendPaths::Best(max)),
            _ => Err(wrong(
                "add_paths.send.max",
                format!("{max} paths cannot be sent; write 1 to 256, or send = true for all"),
            )),
        }
    }
}

/// Nothing when nothing is offered; one word where one says all.
pub(crate) fn add_paths_spec(add_paths: AddPaths) -> Option<Word<AddPathsSpec>> {
    let word = match (add_paths.receive, add_paths.send) {
        (false, None) => return None,
        (true, None) => "receive",
        (false, Some(SendPaths::All)) => "send",
        (true, Some(SendPaths::All)) => "both",
        (receive, Some(SendPaths::Best(max))) => {
            let max = Some(max.into());
            return Some(Word::Table(AddPathsSpec {
                receive: Some(receive),
                send: Some(Switch::Table(SendPathsSpec { max })),
            }));
        }
    };
    Some(Word::Word(word.into()))
}

/// `next_hop = { ipv4 = …, ipv6 = … }`: an address, `self` or `unchanged`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerNextHopSpec {
    /// Of IPv4 routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// Of IPv6 routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
}

/// The words, for either family.
fn word<A>(text: &str) -> Option<NextHopTo<A>> {
    match text {
        "self" => Some(NextHopTo::Own),
        "unchanged" => Some(NextHopTo::Unchanged),
        _ => None,
    }
}

impl PeerNextHopSpec {
    fn parse(&self) -> Result<PeerNextHop, SpecError> {
        let is_word = |text: &String| word::<IpAddr>(text).is_some();
        let addresses = NextHopSpec {
            ipv4: self.ipv4.clone().filter(|text| !is_word(text)),
            ipv6: self.ipv6.clone().filter(|text| !is_word(text)),
        };
        let (ipv4, ipv6): (Option<Ipv4Addr>, Option<Ipv6Addr>) = addresses.parse()?;
        Ok(PeerNextHop {
            ipv4: of_family(self.ipv4.as_deref(), ipv4),
            ipv6: of_family(self.ipv6.as_deref(), ipv6),
        })
    }
}

fn of_family<A>(text: Option<&str>, addr: Option<A>) -> NextHopTo<A> {
    match addr {
        Some(addr) => NextHopTo::Address(addr),
        None => text.and_then(word).unwrap_or_default(),
    }
}

fn text<A: ToString>(next_hop: &NextHopTo<A>) -> String {
    match next_hop {
        NextHopTo::Own => "self".to_owned(),
        NextHopTo::Unchanged => "unchanged".to_owned(),
        NextHopTo::Address(addr) => addr.to_string(),
    }
}

impl From<&PeerNextHop> for Word<PeerNextHopSpec> {
    /// One word where both families have the same.
    fn from(next_hop: &PeerNextHop) -> Word<PeerNextHopSpec> {
        let (ipv4, ipv6) = (text(&next_hop.ipv4), text(&next_hop.ipv6));
        match ipv4 == ipv6 {
            true => Word::Word(ipv4),
            false => Word::Table(PeerNextHopSpec {
                ipv4: Some(ipv4),
                ipv6: Some(ipv6),
            }),
        }
    }
}

impl PeerSpec {
    pub(super) fn add_paths(&self) -> Result<AddPaths, SpecError> {
        let all = Some(SendPaths::All);
        let (receive, send) = match &self.add_paths {
            None => (false, None),
            Some(Word::Word(word)) => match word.as_str() {
                "receive" => (true, None),
                "send" => (false, all),
                "both" => (true, all),
                other => {
                    return Err(wrong(
                        "add_paths",
                        format!(
                            "{other:?} is not known; write \"receive\", \"send\", \"both\" or {{ receive = true, send = {{ max = 8 }} }}"
                        ),
                    ));
                }
            },
            Some(Word::Table(table)) => {
                let send = match &table.send {
                    None | Some(Switch::Flag(false)) => None,
                    Some(Switch::Flag(true)) => all,
                    Some(Switch::Table(spec)) => Some(spec.parse()?),
                };
                (table.receive.unwrap_or(false), send)
            }
        };
        Ok(AddPaths { receive, send })
    }

    pub(super) fn next_hop(&self) -> Result<PeerNextHop, SpecError> {
        let both = |text: &str| {
            Some(PeerNextHop {
                ipv4: word(text)?,
                ipv6: word(text)?,
            })
        };
        match &self.next_hop {
            None => Ok(PeerNextHop::default()),
            Some(Word::Word(text)) => both(text).ok_or_else(|| {
                wrong(
                    "next_hop",
                    format!(
                        "{text:?} is not known; write \"self\", \"unchanged\" or {{ ipv4 = \"192.0.2.1\", ipv6 = \"2001:db8::1\" }}"
                    ),
                )
            }),
            Some(Word::Table(table)) => table.parse().map_err(|e| within("next_hop", e)),
        }
    }
}
