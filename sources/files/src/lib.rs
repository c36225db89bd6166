//! The source `files`: a watched directory with one instance per TOML file.
//!
//! [`run`] watches on a thread of its own and says what it finds as [`FileEvent`]s. The rules:
//!
//! - Files whose name ends with `.toml` count; names that start with `.` or `#` do not, nor do the
//!   backup and temporary names of editors.
//! - A file is read when its writer closes it, when it is renamed into place, or linked; never half-way.
//! - A broken file is reported, and what it said last stays until it is mended or deleted. After a
//!   restart, that is what [`Config::remembered`] holds of it.
//! - A name that two files use belongs to the first; the second is a problem.
//! - A directory that vanished, or cannot be read, is a dead source: nothing is withdrawn. An empty
//!   directory is a live source that has nothing.
//! - A file that an editor renames to a backup name has [`BACKUP_GRACE`] to come back before it counts
//!   as deleted.
//!
//! This crate touches the watched directory and nothing else, and never writes.

mod check;
mod config;
mod control;
mod directory;
mod event;
mod parse;
mod run;
mod shelf;
mod watch;
mod way;

pub use check::check;
pub use config::{Config, FILE_LIMIT};
pub use control::{Control, Remote, control};
pub use event::{Closed, FileEvent};
pub use parse::parse;
pub use run::{BACKUP_GRACE, run};
