//! Stopping for good: withdraw, unwire, end.

use serde::{Deserialize, Serialize};

/// The body of `POST /v1/shutdown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Sent to every peer with Cease, Administrative Shutdown (RFC 9003); at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
