//! Writing the log anew without what is out of date.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use super::load::log_path;
use super::log::{Index, Log, MAGIC, Place};

/// The new file until it replaces the old one.
pub(super) const NEW: &str = "state.log.new";

/// Out-of-date bytes below which it is not worth it.
const WORTH_IT: u64 = 1 << 20;

/// When the first compaction is tried.
pub(super) fn first_compaction() -> u64 {
    WORTH_IT
}

impl Log {
    /// Writes the log anew if enough of it is out of date, or something that may be secret. When that
    /// fails, the old file stays in use, and it is tried again: after another MiB, or a secret at once.
    pub(super) fn compact(&mut self) -> io::Result<()> {
        let garbage = self.garbage();
        let much = garbage >= self.compact_at && (self.compact_at == 0 || garbage > self.len / 2);
        if !much && !self.holds_old_secret {
            return Ok(());
        }
        let result = self.rewrite();
        self.compact_at = match &result {
            Ok(()) => WORTH_IT,
            Err(_) => {
                let _ = fs::remove_file(self.dir.join(NEW));
                garbage + WORTH_IT
            }
        };
        result
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let path = self.dir.join(NEW);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        let mut live: Vec<(&Box<str>, &Place)> = self.index.live.iter().collect();
        live.sort_by_key(|(_, place)| place.at);
        let mut index = Index::default();
        let mut len = MAGIC.len() as u64;
        let mut out = BufWriter::with_capacity(256 << 10, &file);
        out.write_all(MAGIC)?;
        let mut frame = Vec::new();
        for (key, place) in live {
            frame.resize(usize::try_from(place.len).unwrap_or(usize::MAX), 0);
            self.file.read_exact_at(&mut frame, place.at)?;
            out.write_all(&frame)?;
            let moved = Place {
                at: len,
                len: place.len,
            };
            let _ = index.note((key.clone(), false), moved);
            len += place.len;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(&path, log_path(&self.dir))?;
        // From here on the new file is the log.
        self.dir_is_new = true;
        self.file = file;
        self.index = index;
        self.len = len;
        self.holds_old_secret = false;
        self.sync_name()
    }
}
