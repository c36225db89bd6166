//! The plan: what would change now, without doing it.

use serde::{Deserialize, Serialize};

use crate::config::Checked;

/// What would change, in the order it would be done. Empty when all is as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One change each.
    pub lines: Vec<PlanLine>,
    /// What `tapway config reload` would do, and to which sessions; absent when the file says what is in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Checked>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    /// What would be changed.
    pub kind: PlanKind,
    /// The change as a command: `ip route add …`, `sysctl -w …`, `announce 203.0.113.1/32`.
    pub command: String,
    /// Why it is not done already: the grace, a missing interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a line of the plan would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanKind {
    /// The kernel.
    Kernel,
    /// The guard of the guests' traffic.
    Guard,
    /// What is announced.
    Announcement,
    /// BGP listeners.
    Listener,
}
