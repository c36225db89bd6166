//! Answers of requests that change something. They are sent when the change is on disk.

use serde::{Deserialize, Serialize};

/// The answer of an apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// What became of each object, in the order of the request.
    pub items: Vec<AppliedItem>,
}

/// What became of one applied object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedItem {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Something to know about it: a conflict, or that the configuration file's definition wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and differs now.
    Changed,
    /// It was there and is the same.
    Unchanged,
}

/// The answer of any other request that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, as one sentence.
    pub text: String,
}
