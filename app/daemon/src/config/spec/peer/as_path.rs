//! `local_asn`, `allow_own_as`, `enforce_first_as`, `as_override` and `remove_private_as` of a peer.

use serde::{Deserialize, Serialize};
use tapway_bgp::config::{LocalAs, PeerAsPath, RemovePrivate, Role};
use tapway_model::spec::SpecError;

use super::super::address::as_number;
use super::{PeerSpec, wrong};
use crate::config::value::Count;

/// `local_asn = { asn = …, replace = …, prepend = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalAsnSpec {
    /// The AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<i64>,
    /// It alone is in front of what is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
    /// It is put in front of what is received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepend: Option<bool>,
}

/// The words of `remove_private_as`.
const REMOVE_PRIVATE: [(&str, RemovePrivate); 3] = [
    ("all", RemovePrivate::All),
    ("if-all", RemovePrivate::IfAll),
    ("replace", RemovePrivate::Replace),
];

impl PeerSpec {
    pub(super) fn as_path(&self) -> Result<PeerAsPath, SpecError> {
        Ok(PeerAsPath {
            local: self.local_asn.as_ref().map(local_asn).transpose()?,
            allow_own: self.allow_own_as.map_or(Ok(0), allow_own_as)?,
            any_first: !self.enforce_first_as.unwrap_or_else(|| {
                // A route server leaves itself out of the path (RFC 7947 §2.2.2.1).
                self.role.as_deref() != Some(Role::RouteServerClient.name())
            }),
            override_peer: self.as_override.unwrap_or(false),
            remove_private: self
                .remove_private_as
                .as_deref()
                .map(remove_private_as)
                .transpose()?,
        })
    }
}

fn local_asn(spec: &Count<LocalAsnSpec>) -> Result<LocalAs, SpecError> {
    let table = match spec {
        Count::Number(asn) => &LocalAsnSpec {
            asn: Some(*asn),
            ..LocalAsnSpec::default()
        },
        Count::Table(table) => table,
    };
    let key = match spec {
        Count::Number(_) => "local_asn",
        Count::Table(_) => "local_asn.asn",
    };
    let asn = table.asn.ok_or_else(|| {
        wrong(
            "local_asn",
            "it is not said which AS the peer takes for ours; add asn = 64999",
        )
    })?;
    Ok(LocalAs {
        asn: as_number(asn).map_err(|e| wrong(key, e))?,
        replace: table.replace.unwrap_or(false),
        prepend: table.prepend.unwrap_or(true),
    })
}

fn allow_own_as(times: i64) -> Result<u8, SpecError> {
    match u8::try_from(times) {
        Ok(times @ 1..=10) => Ok(times),
        _ => Err(wrong(
            "allow_own_as",
            format!(
                "our AS cannot be allowed {times} times in a path; write 1 to 10, or remove the key"
            ),
        )),
    }
}

fn remove_private_as(word: &str) -> Result<RemovePrivate, SpecError> {
    let found = REMOVE_PRIVATE.iter().find(|(known, _)| *known == word);
    found.map(|(_, how)| *how).ok_or_else(|| {
        wrong(
            "remove_private_as",
            format!(
                "{word:?} is not known; write \"all\", \"if-all\" (only from paths without others) or \"replace\" (by ours)"
            ),
        )
    })
}

/// `local_asn`, spelled out.
pub(crate) fn local_asn_spec(local: LocalAs) -> Count<LocalAsnSpec> {
    Count::Table(LocalAsnSpec {
        asn: Some(local.asn.into()),
        replace: Some(local.replace),
        prepend: Some(local.prepend),
    })
}

/// `remove_private_as`.
pub(crate) fn remove_private_word(how: RemovePrivate) -> String {
    let found = REMOVE_PRIVATE.iter().find(|(_, known)| *known == how);
    found.map_or_else(String::new, |(word, _)| (*word).to_owned())
}
