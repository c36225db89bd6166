//! Policies.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapway_model::PolicyName;

use crate::peer::Origin;

/// The body of `PUT /v1/policies/{name}`: a JSON object with the keys of `[policy.NAME]` in the
/// configuration file.
pub type PolicyBody = Value;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// What defines it.
    pub origin: Origin,
    /// Peers that use it: `tor1 import`, `tor1 export`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
    /// What it does, for a built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its rules, in order; empty for a built-in one.
    pub rules: Vec<Value>,
}
