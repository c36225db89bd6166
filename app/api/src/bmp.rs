//! Collectors that are told routes by the BGP Monitoring Protocol (RFC 7854).

use serde::{Deserialize, Serialize};
use tapway_model::CollectorName;

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collector {
    /// Its name.
    pub name: CollectorName,
    /// Where it is: `bmp.example.org:11019`.
    pub server: String,
    /// What it is told: `adj-rib-in-pre`, `adj-rib-in-post`, `adj-rib-out`, `loc-rib`.
    pub tables: Vec<String>,
    /// What it is doing.
    pub state: CollectorState,
    /// Seconds since it was connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_s: Option<u64>,
    /// Seconds until it is connected to again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_s: Option<u64>,
    /// BMP messages made for it since the daemon started.
    pub messages: u64,
    /// Bytes that it took since the daemon started.
    pub bytes: u64,
    /// Bytes that wait for it.
    pub waiting_bytes: u64,
    /// Bytes that may wait for it.
    pub buffer_bytes: u64,
    /// Sessions since the daemon started.
    pub sessions: u64,
    /// Of these, dropped because it was too slow.
    pub dropped: u64,
    /// What went wrong since it knew everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a collector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectorState {
    /// It cannot be reached, and is tried again later.
    Waiting,
    /// The connection is being made.
    Connecting,
    /// It is told what there is.
    Syncing,
    /// It knows everything.
    Synced,
}
