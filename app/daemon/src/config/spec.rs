//! Peers, policies and networks as people and programs write them, in the configuration file or
//! through the API, and their way into checked values.
//!
//! Pure and independent of the format: a wrong value is a [`SpecError`] with the key inside the
//! object; whoever knows the text adds the place. Written back from the checked values, every default
//! is spelled out and every secret is `***`.

mod address;
mod bmp;
mod community;
mod mrt;
mod network;
mod peer;
mod policy;
mod rpki;
mod server;
mod write;
mod write_policy;

use std::fmt::Display;

use tapway_model::spec::SpecError;

use super::value::NotYet;

pub(crate) use address::{as_number, listen_address};
pub use bmp::{CollectorSpec, table_words};
pub(crate) use community::{extended, extended_text, large, large_text, standard, standard_text};
pub use mrt::MrtSpec;
pub use network::{NetworkSpec, NextHopSpec};
pub(crate) use peer::fits_our_as;
pub use peer::{
    AddPathsSpec, GracefulRestartSpec, InstallSpec, Password, PeerNextHopSpec, PeerSpec,
    SendPathsSpec, graceful_restart,
};
pub(crate) use policy::origin_of;
pub use policy::{
    BUILT_IN_POLICIES, MatchSpec, PathSpec, PolicySpec, PrependSpec, RuleSpec, SetSpec, policy_name,
};
pub use rpki::CacheSpec;
pub(crate) use write::graceful_restart_spec;

/// What a shown secret looks like; never taken for one.
pub(crate) const HIDDEN: &str = "***";

pub(crate) fn wrong(key: impl Into<String>, reason: impl Display) -> SpecError {
    SpecError {
        key: key.into(),
        reason: reason.to_string(),
    }
}

/// A word that is none of the known ones: which was meant, or which there are.
pub(crate) fn no_word(found: &str, what: &str, known: &[&str]) -> String {
    if let Some(meant) = tapway_document::nearest(found, known) {
        return format!("{found:?} is no {what}; did you mean {meant:?}?");
    }
    let quoted: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
    let list = match quoted.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        all => all.join(", "),
    };
    format!("{found:?} is no {what}; write {list}")
}

/// The same error, seen from outside the object at `path`.
pub fn within(path: &str, mut error: SpecError) -> SpecError {
    error.key = match error.key.as_str() {
        "" => path.to_string(),
        key if key.starts_with('[') => format!("{path}{key}"),
        key => format!("{path}.{key}"),
    };
    error
}

/// Refuses the first key that asks for something this version does not do.
pub(crate) fn refuse(keys: &[(&str, Option<NotYet>, &str)]) -> Result<(), SpecError> {
    for (key, value, what) in keys {
        if *value == Some(NotYet::On) {
            return Err(wrong(
                *key,
                format!("this version of tapway has no {what} yet; remove the key"),
            ));
        }
    }
    Ok(())
}

/// Parses each text of a list, naming the place of a wrong one.
pub(crate) fn each<T, E: Display>(
    texts: &[String],
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, SpecError> {
    texts
        .iter()
        .enumerate()
        .map(|(i, text)| parse(text).map_err(|e| wrong(format!("{key}[{i}]"), e)))
        .collect()
}
