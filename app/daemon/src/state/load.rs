//! Reading the log at the start, and setting aside what cannot be read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::OpenError;
use super::compact::{NEW, first_compaction};
use super::frame::{Piece, framed, pieces};
use super::line::{decode, slot};
use super::log::{Index, Log, MAGIC, Place};
use super::record::State;

const NAME: &str = "state.log";

/// Damaged logs that are kept at most.
const SET_ASIDE: u32 = 100;

/// What was found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) log: Log,
    pub(super) notices: Vec<String>,
}

/// The path of the log in a state directory.
pub(super) fn log_path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Reads the log of a locked directory.
pub(super) fn load(dir: &Path) -> Result<Loaded, OpenError> {
    let path = log_path(dir);
    let mut notices = Vec::new();
    // A compaction that was not finished.
    let _ = fs::remove_file(dir.join(NEW));
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            notices.push(move_aside(dir, &format!("cannot be read ({error})")));
            Vec::new()
        }
    };
    if is_of_another_version(&bytes) {
        notices.push(move_aside(dir, "was written by another version of tapway"));
        bytes.clear();
    }
    let fails = |doing| {
        let path = path.clone();
        move |error| OpenError::Io { path, doing, error }
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fails("cannot open the state log"))?;
    let read = read(&bytes);
    let len = match read.damage.last() {
        Some(tail) if tail.end == bytes.len() => tail.start,
        _ => bytes.len(),
    };
    if !read.damage.is_empty() {
        notices.push(set_aside(dir, &bytes, &read));
    }
    let mut log = Log {
        dir: dir.to_path_buf(),
        file,
        len: len as u64,
        index: read.index,
        compact_at: first_compaction(),
    };
    // Without the first bytes, or with damage in between, the file is written anew soon.
    if !bytes.starts_with(MAGIC) {
        log.len = log.len.max(MAGIC.len() as u64);
        log.compact_at = 0;
    } else if read.damage.iter().any(|range| range.end != bytes.len()) {
        log.compact_at = 0;
    }
    repair(&log.file, &bytes, len).unwrap_or_else(|error| {
        notices.push(format!("{}: cannot be repaired: {error}; it is tried again later", path.display()));
    });
    Ok(Loaded {
        state: read.state,
        log,
        notices,
    })
}

/// Writes the first bytes of a new log, and cuts off a damaged tail.
fn repair(file: &File, bytes: &[u8], len: usize) -> io::Result<()> {
    if len < MAGIC.len() {
        file.set_len(0)?;
        file.write_all_at(MAGIC, 0)?;
        return file.sync_all();
    }
    if len < bytes.len() {
        file.set_len(len as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

fn is_of_another_version(bytes: &[u8]) -> bool {
    let common = b"tapway state log ";
    bytes.starts_with(common)
        && !bytes.starts_with(MAGIC)
        && bytes.len() > MAGIC.len()
        && bytes[common.len()..].iter().take(8).any(|b| *b == b'\n')
        && bytes[common.len()].is_ascii_digit()
        && bytes[common.len()] != b'1'
}

/// What the bytes of a log say.
#[derive(Debug, Default)]
struct Read {
    state: State,
    index: Index,
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
    let start = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
    for piece in pieces(bytes, start) {
        match piece {
            Piece::Frame { at, payload } => match decode(payload) {
                Ok(record) => {
                    let len = framed(payload.len());
                    read.index.note(slot(&record), Place { at: at as u64, len });
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
fn set_aside(dir: &Path, bytes: &[u8], read: &Read) -> String {
    let total: usize = read.damage.iter().map(Range::len).sum();
    let first = read.damage.first().map_or(0, |r| r.start);
    let kept = match free_name(dir) {
        Some(to) => write_aside(&to, bytes, &read.damage)
            .map(|()| format!("they are kept in {}", to.display()))
            .unwrap_or_else(|e| format!("they could not be kept in {}: {e}", to.display())),
        None => format!("they are not kept, there are {SET_ASIDE} such files already"),
    };
    let why = match &read.reason {
        Some(reason) => format!("damaged or not understood ({reason})"),
        None => "damaged".to_string(),
    };
    format!(
        "{}: {total} bytes from offset {first} on are {why}; {kept}; {} records before and {} behind were read",
        log_path(dir).display(),
        read.records - read.behind,
        read.behind
    )
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
fn move_aside(dir: &Path, why: &str) -> String {
    let path = log_path(dir);
    let moved = match free_name(dir) {
        Some(to) => fs::rename(&path, &to)
            .map(|()| format!("it is {} now", to.display()))
            .unwrap_or_else(|e| format!("it cannot be renamed: {e}")),
        None => format!("it is not kept, there are {SET_ASIDE} such files already"),
    };
    format!("{}: {why}; {moved}; the state begins empty, and the sources will tell again", path.display())
}

fn free_name(dir: &Path) -> Option<PathBuf> {
    (1..=SET_ASIDE)
        .map(|n| dir.join(format!("{NAME}.corrupt-{n}")))
        .find(|path| fs::symlink_metadata(path).is_err())
}
