//! What is wrong, where, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something wrong in a file, for a person to mend. Shown as
/// `/etc/tapway/instances.d/web1.toml:4:14: nic[0].addresses[1]: 203.0.113.1/24 has host bits set; …`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
pub struct Problem {
    /// The file, or the name of what stood for one (`request body`).
    pub file: String,
    /// Line, from 1. Absent when the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Path of the key: names joined by dots, positions from 0 in brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do, where the reason does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem of the whole file.
    pub fn new(file: impl Into<String>, reason: impl fmt::Display) -> Problem {
        Problem {
            file: file.into(),
            line: None,
            column: None,
            key: None,
            reason: reason.to_string(),
            remedy: None,
        }
    }

    /// The same, with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl fmt::Display) -> Problem {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// The same, at a line and column, both from 1.
    #[must_use]
    pub fn at(mut self, (line, column): (u32, u32)) -> Problem {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The same, at a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Problem {
        self.key = Some(key.into()).filter(|k| !k.is_empty());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.reason)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}
