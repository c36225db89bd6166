//! RPKI: caches, and whether an AS may announce a prefix.

use serde::{Deserialize, Serialize};
use tapway_model::{CacheName, Prefix};

/// Whether the origin of a route may announce it (RFC 6811).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RpkiState {
    /// A VRP allows it.
    Valid,
    /// VRPs cover it, and none allows it.
    Invalid,
    /// No VRP covers it.
    NotFound,
}

/// An RPKI cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpkiCache {
    /// Its name.
    pub name: CacheName,
    /// Where it is: `rpki.example.org:323`.
    pub server: String,
    /// Caches with the smallest number are used together, the others only while all of those fail.
    pub preference: u8,
    /// What it is doing.
    pub state: CacheState,
    /// The protocol version that it speaks: 0 or 1; absent before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// The session that its serial number is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u16>,
    /// The serial number of what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// VRPs for IPv4 that it says.
    pub ipv4: u64,
    /// VRPs for IPv6 that it says.
    pub ipv6: u64,
    /// Seconds since it said so last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_s: Option<u64>,
    /// Seconds until it is asked or connected to again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_s: Option<u64>,
    /// Seconds until what it said does not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// The refresh interval that holds.
    pub refresh_s: u64,
    /// The retry interval that holds.
    pub retry_s: u64,
    /// The expire interval that holds.
    pub expire_s: u64,
    /// What went wrong since it said everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a cache is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheState {
    /// It is not needed: one that is preferred to it is there.
    Resting,
    /// It failed, and is asked again later.
    Waiting,
    /// The connection is being made.
    Connecting,
    /// It was asked.
    Asked,
    /// It answers.
    Receiving,
    /// It said everything.
    Synced,
}

/// Which prefix is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpkiQuery {
    /// The prefix of a route.
    pub prefix: Prefix,
    /// The AS that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
}

/// What the caches say together of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpkiAnswer {
    /// The prefix that was asked about.
    pub prefix: Prefix,
    /// The AS that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Whether that AS may announce it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RpkiState>,
    /// The VRPs that cover it, those of the longest prefixes first.
    pub vrps: Vec<RpkiVrp>,
}

/// A validated ROA payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpkiVrp {
    /// What it is about.
    pub prefix: Prefix,
    /// The longest prefix inside it that is allowed.
    pub max_length: u8,
    /// Who may announce it; 0: nobody.
    pub asn: u32,
    /// Whether it allows what was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allows: Option<bool>,
}
