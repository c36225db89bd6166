//! One daemon per state directory.

use std::path::Path;

use super::OpenError;
use crate::pid_lock::{PidLock, PidLockError};

/// Makes the directory if need be and locks it.
pub(super) fn take(dir: &Path) -> Result<PidLock, OpenError> {
    let path = dir.join("lock");
    PidLock::take(&path, 0o700).map_err(|error| match error {
        PidLockError::Taken(pid) => OpenError::Locked {
            dir: dir.to_path_buf(),
            pid,
        },
        PidLockError::Io { doing, error } => OpenError::Io { path, doing, error },
    })
}
