//! What `[mrt]` says.

use std::time::Duration;

use super::Template;

/// Continuous recording of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MrtConfig {
    /// Names of files.
    pub file: Template,
    /// How long a file is written to.
    pub rotate: Duration,
    /// Bytes beyond which another one is begun; `None`: no limit.
    pub max_size: Option<u64>,
    /// Messages that we send are recorded, too.
    pub sent: bool,
}
