//! Events: what happens, as a stream of JSON lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened: one line of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// How much it matters.
    pub level: Level,
    /// A stable word pair: `claim.announced`, `peer.up`, `kernel.repaired`. `watch.lost` says that
    /// this watcher was too slow; its field `lost` is the number of events it did not get.
    pub kind: String,
    /// What it is about: a prefix, a peer, an interface.
    pub subject: String,
    /// A sentence for people.
    pub text: String,
    /// More, for programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Part of normal work.
    Info,
    /// Somebody should look.
    Warning,
}

/// Kind of the event that tells a slow watcher how much it missed.
pub const LOST: &str = "watch.lost";
