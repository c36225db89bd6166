//! Reading the log at the start, and setting aside what cannot be read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tapway_document::Problem;

use super::OpenError;
use super::compact::{NEW, first_compaction};
use super::frame::{Piece, framed, pieces};
use super::line::{decode, slot};
use super::log::{Index, Log, MAGIC, Place};
use super::record::State;

const NAME: &str = "state.log";

/// Damaged logs that are kept at most.
const SET_ASIDE: u32 = 100;

/// A log that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) log: Log,
    pub(super) found: Found,
}

/// What was found in it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: State,
    pub(super) problems: Vec<Problem>,
}

/// What can be read of a log that cannot be written, or nothing.
pub(super) fn look(dir: &Path) -> State {
    fs::read(log_path(dir))
        .map(|bytes| read(&bytes).state)
        .unwrap_or_default()
}

/// The path of the log in a state directory.
pub(super) fn log_path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Reads the log of a locked directory.
pub(super) fn load(dir: &Path) -> Result<Loaded, OpenError> {
    let path = log_path(dir);
    let mut problems = Vec::new();
    // A compaction that was not finished.
    let _ = fs::remove_file(dir.join(NEW));
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(move_aside(dir, &format!("cannot be read: {error}")));
            Vec::new()
        }
    };
    // Less than the first bytes: the very first start was interrupted.
    if MAGIC.starts_with(&bytes) {
        bytes.clear();
    }
    let mut read = read(&bytes);
    if read.records == 0 && !read.damage.is_empty() {
        problems.push(move_aside(dir, "holds nothing that this version can read"));
        bytes.clear();
        read = Read::default();
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| OpenError::Io {
            path: path.clone(),
            doing: "cannot open the state log",
            error,
        })?;
    if let Err(error) = close_to_others(&file) {
        let path = path.display().to_string();
        let problem = Problem::new(
            path,
            format!("others may read it, and it may hold passwords: {error}"),
        );
        problems.push(problem.with_remedy("chmod 600, and make it this user's"));
    }
    if !read.damage.is_empty() {
        problems.push(set_aside(dir, &bytes, &read));
    }
    let len = match read.damage.last() {
        Some(tail) if tail.end == bytes.len() => tail.start,
        _ => bytes.len(),
    };
    let repaired = repair(&file, &bytes, len);
    // Damage that is still in the file is written out of it.
    let anew = read.damage.iter().any(|range| range.end <= len) || repaired.is_err();
    if let Err(error) = repaired {
        let problem = Problem::new(
            path.display().to_string(),
            format!("cannot be repaired: {error}"),
        );
        problems.push(problem.with_remedy("it is tried again while the daemon runs"));
    }
    Ok(Loaded {
        log: Log {
            dir: dir.to_path_buf(),
            file,
            len: len.max(MAGIC.len()) as u64,
            index: read.index,
            compact_at: if anew { 0 } else { first_compaction() },
            holds_old_secret: read.old_secret,
            dir_is_new: bytes.is_empty(),
        },
        found: Found {
            state: read.state,
            problems,
        },
    })
}

/// The log holds passwords of peers. It is made so; somebody may have changed it, or copied it back.
fn close_to_others(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Writes the first bytes of a new log, and cuts off a damaged tail.
fn repair(file: &File, bytes: &[u8], len: usize) -> io::Result<()> {
    if bytes.is_empty() {
        file.set_len(0)?;
        file.write_all_at(MAGIC, 0)?;
        return file.sync_all();
    }
    if len < bytes.len() {
        file.set_len(len as u64)?;
        return file.sync_all();
    }
    Ok(())
}

/// What the bytes of a log say.
#[derive(Debug, Default)]
struct Read {
    state: State,
    index: Index,
    /// What is out of date may hold a secret.
    old_secret: bool,
    /// Bytes that say nothing, in order.
    damage: Vec<Range<usize>>,
    /// Why the first record that has a good checksum was not understood.
    reason: Option<String>,
    /// Records understood.
    records: usize,
    /// Of those, the ones behind a damaged place.
    behind: usize,
}

fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let start = if bytes.starts_with(MAGIC) {
        MAGIC.len()
    } else {
        0
    };
    for piece in pieces(bytes, start) {
        match piece {
            Piece::Frame { at, payload } => match decode(payload) {
                Ok(record) => {
                    let len = framed(payload.len());
                    let place = Place { at: at as u64, len };
                    read.old_secret |= read.index.note(slot(&record), place);
                    read.state.apply(record);
                    read.records += 1;
                    read.behind += usize::from(!read.damage.is_empty());
                }
                Err(reason) => {
                    let end = at + framed(payload.len()) as usize;
                    read.damage.push(at..end);
                    read.reason.get_or_insert(reason);
                }
            },
            Piece::Damage(range) => read.damage.push(range),
        }
    }
    read
}

/// Keeps the damaged bytes in a file of their own, and says so.
fn set_aside(dir: &Path, bytes: &[u8], read: &Read) -> Problem {
    let total: usize = read.damage.iter().map(Range::len).sum();
    let first = read.damage.first().map_or(0, |r| r.start);
    let aside = match free_name(dir) {
        Some(to) => match write_aside(&to, bytes, &read.damage) {
            Ok(()) => format!("they are kept in {}", to.display()),
            Err(e) => format!("they could not be kept in {}: {e}", to.display()),
        },
        None => format!("they are not kept: there are {SET_ASIDE} such files already"),
    };
    let why = match &read.reason {
        Some(reason) => format!("not understood ({reason})"),
        None => "damaged".to_string(),
    };
    Problem::new(
        log_path(dir).display().to_string(),
        format!(
            "{total} bytes from offset {first} on are {why}; {} records before them and {} behind were read",
            read.records - read.behind,
            read.behind
        ),
    )
    .with_remedy(aside)
}

fn write_aside(to: &Path, bytes: &[u8], ranges: &[Range<usize>]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    for range in ranges {
        file.write_all(&bytes[range.clone()])?;
    }
    file.sync_all()
}

/// Renames the whole log away, and says so.
fn move_aside(dir: &Path, why: &str) -> Problem {
    let path = log_path(dir);
    let moved = match free_name(dir) {
        Some(to) => match fs::rename(&path, &to) {
            Ok(()) => format!("it is {} now", to.display()),
            Err(e) => format!("it could not be renamed: {e}"),
        },
        None => format!("it is not kept: there are {SET_ASIDE} such files already"),
    };
    Problem::new(path.display().to_string(), why).with_remedy(format!(
        "{moved}; the state begins empty, and the sources tell again"
    ))
}

fn free_name(dir: &Path) -> Option<PathBuf> {
    (1..=SET_ASIDE)
        .map(|n| dir.join(format!("{NAME}.corrupt-{n}")))
        .find(|path| fs::symlink_metadata(path).is_err())
}
