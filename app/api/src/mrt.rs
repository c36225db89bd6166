//! Files in the format of MRT (RFC 6396).

use serde::{Deserialize, Serialize};

/// The body of `POST /v1/mrt/dump`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MrtDump {
    /// Where to: a path that begins with `/`, on the daemon's host. The file is replaced when the new one is whole.
    pub file: String,
    /// All routes that peers sent, as they came; else those that count, as import made them, with our own.
    #[serde(default)]
    pub received: bool,
}
