//! The open log: appending, and knowing which of its bytes still count.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::frame;
use super::line;
use super::record::Record;

/// First bytes of the file.
pub(super) const MAGIC: &[u8] = b"tapway state log 1\n";

/// The frames that count, by the key of their record.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) live: BTreeMap<Box<str>, Place>,
    pub(super) live_bytes: u64,
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) len: u64,
}

impl Index {
    /// Notes that the record with this key is at `place` now, or gone. True: what is out of date now may
    /// hold a secret.
    pub(super) fn note(&mut self, (key, gone): (Box<str>, bool), place: Place) -> bool {
        let may_be_secret = line::may_be_secret(&key);
        let old = if gone {
            self.live.remove(&key)
        } else {
            self.live_bytes += place.len;
            self.live.insert(key, place)
        };
        self.live_bytes -= old.map_or(0, |p| p.len);
        may_be_secret && old.is_some()
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) dir: PathBuf,
    pub(super) file: File,
    /// Bytes that are known to be good; the next frame goes here.
    pub(super) len: u64,
    pub(super) index: Index,
    /// Out-of-date bytes from which on the next compaction is tried.
    pub(super) compact_at: u64,
    /// Bytes that are out of date may hold a secret.
    pub(super) holds_old_secret: bool,
    /// The name of the file may not be on the disk yet.
    pub(super) dir_is_new: bool,
}

/// Records as bytes, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    notes: Vec<((Box<str>, bool), u64)>,
}

impl Batch {
    /// Adds a record.
    pub(super) fn push(&mut self, record: &Record) -> Result<(), String> {
        let payload = line::encode(record)?;
        if !frame::push(&mut self.bytes, &payload) {
            return Err(format!(
                "a record of {} bytes is too long to keep; at most {} fit",
                payload.len(),
                frame::MAX_PAYLOAD
            ));
        }
        self.notes
            .push((line::slot(record), frame::framed(payload.len())));
        Ok(())
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.notes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Log {
    /// Writes a batch and waits for the disk. After an error the log is as before, and the same
    /// batch can be tried again.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        self.sync_name()?;
        let written = self
            .file
            .write_all_at(&batch.bytes, self.len)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was written in part would be taken for damage at the next start. If this fails
            // as well, it will be, and is reported then.
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        for (slot, len) in &batch.notes {
            let place = Place {
                at: self.len,
                len: *len,
            };
            self.holds_old_secret |= self.index.note(slot.clone(), place);
            self.len += len;
        }
        Ok(())
    }

    /// Brings the name of the file to the disk: what is in a file without a name is lost.
    pub(super) fn sync_name(&mut self) -> io::Result<()> {
        if self.dir_is_new {
            File::open(&self.dir)?.sync_all()?;
            self.dir_is_new = false;
        }
        Ok(())
    }

    /// Bytes that say nothing any more.
    pub(super) fn garbage(&self) -> u64 {
        self.len
            .saturating_sub(MAGIC.len() as u64 + self.index.live_bytes)
    }
}
