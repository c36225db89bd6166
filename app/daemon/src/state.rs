//! The state directory: what must be there again after a restart.
//!
//! `state.log` is a sequence of [`Record`]s, each framed with length and checksum and holding JSON.
//! [`open`] reads it into a [`State`] and starts a thread that appends; the [`Writer`] hands records to
//! it through a bounded queue and never blocks.
//!
//! - **Durability**: records that wait together are written together, with one `fdatasync`; whoever
//!   asked is told when its records are on the disk.
//! - **Damage**: what cannot be read is set aside as `state.log.corrupt-N` and reported with offset
//!   and what was kept. Records behind a damaged place are kept. The daemon starts in any case.
//! - **A disk that fails or is full**: whoever waits is told so; the records stay, and are tried again
//!   until they are written. Meanwhile the queue fills up, and [`Writer::append`] gives records back.
//! - **A directory that cannot be used** (read-only, somebody else's, not there): the same. What can be
//!   read is known; the directory is tried again with the records.
//! - **Growth**: when more than half of the file, and more than 1 MiB, is out of date, the rest is
//!   written to a new file, which replaces the old one.
//! - **Secrets**: only the owner can read the file. A peer's record may hold its password: when it is out
//!   of date, the rest is written to a new file at once.
//! - **One daemon**: the directory is locked; a second one is told the pid of the first.

mod compact;
mod frame;
mod line;
mod load;
mod lock;
mod log;
mod queue;
mod record;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use tapway_document::Problem;

pub use record::{OldSysctl, Record, State};
pub use writer::{Ack, Full, Progress, Writer};

/// Why the state directory cannot be used. Damage to what is in it is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon uses it.
    #[error(
        "{dir}: is in use by another tapwayd{}; stop it, or give this one its own with --state-dir",
        pid.map(|p| format!(" (pid {p})")).unwrap_or_default(),
        dir = dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The other's pid, when it could be read.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("{path}: {doing}: {error}; see that the directory exists and belongs to this user", path = path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What came of it.
        error: io::Error,
    },
}

/// An opened state directory.
#[derive(Debug)]
pub struct Opened {
    /// What was kept.
    pub state: State,
    /// Takes what is to be kept from now on.
    pub writer: Writer,
    /// What was damaged, and where it is now.
    pub problems: Vec<Problem>,
}

/// Opens the directory, made when it is not there, and starts the thread that writes. `progress` is
/// called on that thread when records were written, or could not be.
///
/// # Errors
/// When the directory is in use, or there can be no thread. Never for damaged content, nor for a
/// directory that cannot be used now: the thread goes on trying.
pub fn open(
    dir: &Path,
    capacity: usize,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Opened, OpenError> {
    let (place, state, problems) = match Place::open(dir) {
        Ok((place, loaded)) => (place, loaded.state, loaded.problems),
        Err(error @ OpenError::Locked { .. }) => return Err(error),
        Err(OpenError::Io { .. }) => (
            Place::Closed(dir.to_path_buf()),
            load::look(dir),
            Vec::new(),
        ),
    };
    let writer =
        Writer::start(place, capacity, Box::new(progress)).map_err(|error| OpenError::Io {
            path: dir.to_path_buf(),
            doing: "cannot start a thread",
            error,
        })?;
    Ok(Opened {
        state,
        writer,
        problems,
    })
}

/// Where records go.
enum Place {
    /// The log of a directory that is ours.
    Open {
        log: log::Log,
        #[expect(dead_code, reason = "held, not read")]
        lock: crate::pid_lock::PidLock,
    },
    /// A directory that could not be used.
    Closed(PathBuf),
}

impl Place {
    fn open(dir: &Path) -> Result<(Place, load::Found), OpenError> {
        let lock = lock::take(dir)?;
        let loaded = load::load(dir)?;
        let log = loaded.log;
        Ok((Place::Open { log, lock }, loaded.found))
    }
}

/// The id of this boot of the host, for [`Record::Sysctl`].
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_string())
}

/// What a later record with the same replaces.
pub(crate) fn key(record: &Record) -> Box<str> {
    line::slot(record).0
}

#[cfg(test)]
mod tests;
