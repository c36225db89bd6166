//! Conflicts: claims of different owners on equal or overlapping prefixes.

use serde::{Deserialize, Serialize};
use tapway_model::{ClaimKind, InstanceName, NetworkName, Prefix, SourceName};

/// A conflict between owners in one routing domain. The holder's claim is in effect; the others' are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The routing domain: a kernel table, `main` or a number.
    pub domain: String,
    /// Whose claim is in effect: who came first.
    pub holder: Party,
    /// Whose claims are not, in the order they came.
    pub others: Vec<Party>,
    /// What to do about it.
    pub remedy: String,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// What it claims.
    pub prefix: Prefix,
    /// How.
    pub kind: ClaimKind,
    /// In which network.
    pub network: NetworkName,
    /// The owner: `nic tap0`.
    pub owner: String,
    /// The instance of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// Sources that tell of the claim.
    pub sources: Vec<SourceName>,
}
