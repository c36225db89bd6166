//! Making this host the last choice of the network before maintenance (RFC 8326).

use serde::{Deserialize, Serialize};

/// The body of `PUT /v1/drain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// True: all routes are announced with GRACEFUL_SHUTDOWN, and with LOCAL_PREF 0 to internal peers. False: as
    /// usual.
    pub on: bool,
}
