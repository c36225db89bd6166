//! A file that one process holds, with its pid inside for whoever comes second.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Held while the value lives; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct PidLock(#[expect(dead_code, reason = "held, not read")] File);

/// Why the lock was not taken.
#[derive(Debug)]
pub enum PidLockError {
    /// Another process holds it; its pid, when it could be read.
    Taken(Option<u32>),
    /// The system refused.
    Io {
        /// What was tried.
        doing: &'static str,
        /// What came of it.
        error: io::Error,
    },
}

impl PidLock {
    /// Takes the lock in the file at `path`. Its directory is made with `mode` when it is not there. Only
    /// the owner can open the file, and so hold the lock.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be used.
    pub fn take(path: &Path, mode: u32) -> Result<PidLock, PidLockError> {
        let fails = |doing| move |error| PidLockError::Io { doing, error };
        if let Some(dir) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(dir)
                .map_err(fails("cannot make the directory"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(fails("cannot open the lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(PidLockError::Taken(text.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(fails("cannot be locked")(error)),
        }
        // The pid is for people only: a full disk must not keep the daemon from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(PidLock(file))
    }
}
