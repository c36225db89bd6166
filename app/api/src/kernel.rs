//! Kernel objects that tapway put there, wants there, or found in the way.

use serde::{Deserialize, Serialize};

/// A kernel object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelObject {
    /// What it is.
    pub kind: KernelKind,
    /// As `ip` would write it: `203.0.113.1 dev tap0 proto 112 metric 10`; a sysctl as `path = value`.
    pub object: String,
    /// Whether it is there.
    pub status: KernelStatus,
    /// What it is for: a claim, a gateway, a received default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What the kernel said, or what is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The value that a sysctl had before; `tapway shutdown` puts it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_value: Option<String>,
}

/// What a kernel object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelKind {
    /// A sysctl.
    Sysctl,
    /// An address.
    Address,
    /// A policy rule.
    Rule,
    /// A route.
    Route,
    /// A permanent neighbour.
    Neighbour,
}

/// Whether a kernel object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelStatus {
    /// Wanted and there.
    InPlace,
    /// Wanted, not there: about to be added, or its interface is missing.
    Missing,
    /// Wanted, there with other values: about to be replaced.
    Differs,
    /// Wanted, refused by the kernel.
    Failed,
    /// Wanted, but a foreign object has its key; it is left alone.
    Foreign,
    /// Ours and not wanted: removed when the start-up grace is over.
    Leftover,
}
