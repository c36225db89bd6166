//! Checks of the host that tapway runs on.

use serde::{Deserialize, Serialize};

/// What the checks found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether no check failed.
    pub fn healthy(&self) -> bool {
        self.checks.iter().all(|c| c.status != CheckStatus::Failed)
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable name: `forwarding-ipv4`, `rp-filter`, `port-179`.
    pub name: String,
    /// What it found.
    pub status: CheckStatus,
    /// One sentence.
    pub summary: String,
    /// More, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// All well.
    Ok,
    /// It works, but somebody should look.
    Warning,
    /// Something cannot work.
    Failed,
    /// Could not be looked at.
    Skipped,
}
