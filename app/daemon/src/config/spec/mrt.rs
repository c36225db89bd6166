//! `[mrt]`: recording of messages.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tapway_model::spec::SpecError;

use super::wrong;
use crate::config::value::{duration, duration_text};
use crate::mrt::{MrtConfig, Template};

const ROTATE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(86_400);
/// As the large archives have it.
const EVERY: Duration = Duration::from_secs(15 * 60);
const MAX_MIB: RangeInclusive<i64> = 1..=1_048_576;
const MIB: u64 = 1 << 20;

/// Recording, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "each key is described in docs/monitoring.md and in MrtConfig"
)]
pub struct MrtSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size_mib: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<bool>,
}

impl MrtSpec {
    /// Checks every value; `None` when nothing is written.
    ///
    /// # Errors
    /// The first wrong value, with its key and the remedy.
    pub fn parse(&self) -> Result<Option<MrtConfig>, SpecError> {
        if *self == MrtSpec::default() {
            return Ok(None);
        }
        let Some(file) = &self.file else {
            return Err(wrong(
                "",
                "the key \"file\" is missing; add file = \"/var/log/tapway/updates.%Y%m%d.%H%M.mrt\"",
            ));
        };
        let rotate = match &self.rotate {
            None => EVERY,
            Some(text) => duration(text).map_err(|e| wrong("rotate", e))?,
        };
        if !ROTATE.contains(&rotate) {
            let (least, most) = (duration_text(*ROTATE.start()), duration_text(*ROTATE.end()));
            return Err(wrong("rotate", format!("must be from {least} to {most}")));
        }
        let max_size = match self.max_size_mib {
            None => None,
            Some(mib) if MAX_MIB.contains(&mib) => u64::try_from(mib).ok().map(|mib| mib * MIB),
            Some(_) => {
                let (least, most) = (MAX_MIB.start(), MAX_MIB.end());
                return Err(wrong(
                    "max_size_mib",
                    format!("must be from {least} to {most}"),
                ));
            }
        };
        Ok(Some(MrtConfig {
            file: Template::parse(file).map_err(|e| wrong("file", e))?,
            rotate,
            max_size,
            sent: self.sent.unwrap_or(false),
        }))
    }
}

impl From<&MrtConfig> for MrtSpec {
    fn from(mrt: &MrtConfig) -> MrtSpec {
        MrtSpec {
            file: Some(mrt.file.to_string()),
            rotate: Some(duration_text(mrt.rotate)),
            max_size_mib: mrt.max_size.and_then(|size| i64::try_from(size / MIB).ok()),
            sent: Some(mrt.sent),
        }
    }
}
