//! `prefix_limit` of a peer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapway_bgp::config::PrefixLimit;
use tapway_model::spec::SpecError;

use super::wrong;
use crate::config::value::{Count, duration, duration_text};

/// Prefixes when nothing is said.
const MAX: u32 = 100_000;
/// The longest that a peer can be kept away.
const RESTART_MAX: Duration = Duration::from_secs(24 * 3600);

/// `prefix_limit = { max = …, warning = …, restart = … }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixLimitSpec {
    /// Received prefixes of a family beyond which the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// From so many percent on it is warned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<i64>,
    /// When a session that ended is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
}

pub(super) fn prefix_limit(
    spec: Option<&Count<PrefixLimitSpec>>,
) -> Result<PrefixLimit, SpecError> {
    let spec = match spec {
        None => return Ok(PrefixLimit::new(MAX)),
        Some(Count::Number(limit)) => return Ok(PrefixLimit::new(max("prefix_limit", *limit)?)),
        Some(Count::Table(spec)) => spec,
    };
    Ok(PrefixLimit {
        max: spec.max.map_or(Ok(MAX), |m| max("prefix_limit.max", m))?,
        warning: spec.warning.map_or(Ok(PrefixLimit::WARNING), warning)?,
        restart: spec.restart.as_deref().map(restart).transpose()?,
    })
}

fn max(key: &str, limit: i64) -> Result<u32, SpecError> {
    u32::try_from(limit)
        .ok()
        .filter(|l| *l > 0)
        .ok_or_else(|| wrong(key, format!("{limit} is no limit; write 1 to 4294967295")))
}

fn warning(percent: i64) -> Result<u8, SpecError> {
    match u8::try_from(percent) {
        Ok(percent @ 1..=100) => Ok(percent),
        _ => Err(wrong(
            "prefix_limit.warning",
            format!("{percent} is no share of the limit in percent; write 1 to 100"),
        )),
    }
}

fn restart(text: &str) -> Result<Duration, SpecError> {
    let key = "prefix_limit.restart";
    let time = duration(text).map_err(|e| wrong(key, e))?;
    match (Duration::from_secs(1)..=RESTART_MAX).contains(&time) {
        true => Ok(time),
        false => Err(wrong(
            key,
            "must be from 1s to 24h; without the key it is tried again after 1s, and later each time",
        )),
    }
}

impl From<PrefixLimit> for Count<PrefixLimitSpec> {
    fn from(limit: PrefixLimit) -> Count<PrefixLimitSpec> {
        Count::Table(PrefixLimitSpec {
            max: Some(limit.max.into()),
            warning: Some(limit.warning.into()),
            restart: limit.restart.map(duration_text),
        })
    }
}
