//! Messages and changes of state, recorded as they happen.
//!
//! ```text
//!  loop --records (16 MiB at most wait)--> thread --file--> disk
//!  loop <--cannot be written; can again-- thread
//! ```
//!
//! What cannot be written, or does not fit into what may wait, is lost and counted. A write that fails leaves a file that ends with
//! a whole record. One that does not, as a run before ended in the midst of it, is left alone: behind that nobody could
//! read anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tapway_bgp::{Report, Wants};
use tapway_bgp_wire::{Frame, MAX_LEN_EXTENDED};
use tapway_bmp::Time;
use tapway_mrt::{Direction, message, state_change};
use tapway_node::{Event, Level};
use tapway_sys::wake::Waker;

use super::{MrtConfig, has_unit, remedy};
use crate::daemon::event;

/// Bytes that may wait for the disk.
const WAITING: usize = 16 << 20;

/// Records what happens.
#[derive(Debug)]
pub struct Recorder {
    config: MrtConfig,
    to: Sender<Chunk>,
    thread: JoinHandle<()>,
    said: Receiver<Result<(), String>>,
    shared: Arc<Shared>,
    /// Not handed over yet.
    out: Vec<u8>,
    records: u64,
    error: Option<String>,
    /// It was told that records are lost since they last were not.
    overrun: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
}

/// Whole records, and when they were made.
#[derive(Debug)]
struct Chunk {
    time: Duration,
    bytes: Vec<u8>,
    records: u64,
}

impl Recorder {
    /// Begins to record; nothing is written before the thread of one that recorded `before` has ended.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        config: MrtConfig,
        before: Option<JoinHandle<()>>,
        loop_waker: Arc<Waker>,
    ) -> io::Result<Recorder> {
        let (to, from_loop) = channel();
        // Changes from bad to good and back: the newest ones matter, and those that do not fit are told with the next chunk.
        let (tell, said) = sync_channel(8);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            config: config.clone(),
            file: None,
            last: None,
            failing: None,
            tell,
            loop_waker,
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("mrt".to_owned())
            .spawn(move || {
                // Two that write to one file would tear each other's records. Its panic was told.
                if let Some(before) = before {
                    let _ = before.join();
                }
                writer.run(&from_loop);
            })?;
        Ok(Recorder {
            config,
            to,
            thread,
            said,
            shared,
            out: Vec::new(),
            records: 0,
            error: None,
            overrun: false,
        })
    }

    /// What is configured.
    pub fn config(&self) -> &MrtConfig {
        &self.config
    }

    /// What is to be reported for it.
    pub fn wants(&self) -> Wants {
        Wants {
            received: true,
            imported: false,
            sent: self.config.sent,
            sessions: false,
            states: true,
        }
    }

    /// Records what the speaker reports.
    pub fn report(&mut self, time: Time, report: &Report) {
        let out = &mut self.out;
        match report {
            Report::State {
                asn,
                local_asn,
                ends: Some(ends),
                from,
                to,
                ..
            } => {
                let asn = asn.unwrap_or(0);
                state_change(out, time.unix, asn, *local_asn, ends, (*from, *to));
                self.records += 1;
            }
            Report::Received {
                session,
                message: bytes,
                ..
            } => {
                message(out, time.unix, session, Direction::Received, bytes);
                self.records += 1;
            }
            Report::Sent { session, messages } if self.config.sent => {
                let mut rest = &messages[..];
                while let Ok(Some((length, frame))) = Frame::next(rest, MAX_LEN_EXTENDED) {
                    message(out, time.unix, session, Direction::Sent, frame.bytes());
                    self.records += 1;
                    rest = rest.get(length..).unwrap_or_default();
                }
            }
            Report::Lost => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Hands over what was recorded. What is worth telling.
    pub fn flush(&mut self, time: Time) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(said) = self.said.try_recv() {
            let error = said.err();
            let (kind, level, text) = match &error {
                Some(error) => ("mrt.failed", Level::Warning, error.clone()),
                None => (
                    "mrt.mended",
                    Level::Info,
                    "records are written again".to_owned(),
                ),
            };
            self.error = error;
            events.push(event(kind, level, "mrt", text));
        }
        if self.out.is_empty() {
            return events;
        }
        let (bytes, records) = (
            std::mem::take(&mut self.out),
            std::mem::take(&mut self.records),
        );
        let waiting = self.shared.waiting.load(Ordering::Acquire);
        if waiting + bytes.len() > WAITING {
            self.shared.lost.fetch_add(records, Ordering::Relaxed);
            if !std::mem::replace(&mut self.overrun, true) {
                let text = format!("the disk is too slow: {waiting} bytes wait; records are lost");
                events.push(event("mrt.lost", Level::Warning, "mrt", text));
            }
            return events;
        }
        self.overrun = false;
        self.shared.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        // When the thread is gone nothing can be written any more, and the count of what waits says so.
        let _ = self.to.send(Chunk {
            time: time.unix,
            bytes,
            records,
        });
        events
    }

    /// Records no more. The thread that still writes what it was given, and then ends.
    pub fn retire(self) -> JoinHandle<()> {
        self.thread
    }

    /// Lets the thread write what it was given, and waits for that until then.
    pub fn finish(self, deadline: std::time::Instant) {
        let Recorder { to, said, .. } = self;
        drop(to);
        while let Some(left) = deadline.checked_duration_since(std::time::Instant::now())
            && said.recv_timeout(left).is_ok()
        {}
    }

    /// What is wrong, as a sentence.
    pub fn problem(&self) -> Option<String> {
        let lost = self.lost();
        match (&self.error, lost) {
            (Some(error), _) => Some(format!("{error}; {lost} records are lost so far")),
            (None, 0) => None,
            (None, _) => Some(format!("{lost} records were lost since recording began")),
        }
    }

    /// Records that are in files.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Records that are not.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

struct Writer {
    config: MrtConfig,
    file: Option<Current>,
    /// The file that was written to last.
    last: Option<PathBuf>,
    failing: Option<String>,
    tell: SyncSender<Result<(), String>>,
    loop_waker: Arc<Waker>,
    shared: Arc<Shared>,
}

/// The file that is written to.
struct Current {
    file: File,
    path: PathBuf,
    /// The start of its time, in intervals.
    interval: u64,
    /// Bytes of whole records.
    length: u64,
}

impl Writer {
    fn run(mut self, from_loop: &Receiver<Chunk>) {
        while let Ok(chunk) = from_loop.recv() {
            let outcome = self.write(&chunk);
            self.shared
                .waiting
                .fetch_sub(chunk.bytes.len(), Ordering::AcqRel);
            let count = match outcome {
                Ok(()) => &self.shared.written,
                Err(_) => &self.shared.lost,
            };
            count.fetch_add(chunk.records, Ordering::Relaxed);
            self.say(outcome.err());
        }
    }

    /// Tells when it begins to fail, fails in another way, or does not any more.
    fn say(&mut self, error: Option<String>) {
        if error == self.failing {
            return;
        }
        let said = error.clone().map_or(Ok(()), Err);
        if self.tell.try_send(said).is_ok() {
            self.failing = error;
            self.loop_waker.wake();
        }
    }

    fn write(&mut self, chunk: &Chunk) -> Result<(), String> {
        let seconds = self.config.rotate.as_secs().max(1);
        let interval = chunk.time.as_secs() / seconds;
        let size = chunk.bytes.len() as u64;
        let full = |current: &Current| {
            let limit = self.config.max_size.unwrap_or(u64::MAX);
            current.length > 0 && current.length.saturating_add(size) > limit
        };
        let begun = self.file.take_if(|c| c.interval != interval || full(c));
        let current = match &mut self.file {
            Some(current) => current,
            none => {
                let start = Duration::from_secs(interval * seconds);
                let name = self.config.file.at(start);
                let again = begun.filter(|b| b.interval == interval);
                let wanted = Wanted {
                    name: &name,
                    full: again.map(|b| b.path),
                    whole: self.last.as_deref(),
                    limit: self.config.max_size,
                    size,
                };
                let opened = open(&wanted).map_err(|(path, e)| {
                    let remedy = remedy(&e, has_unit());
                    format!("cannot open {}: {e}{remedy}", path.display())
                })?;
                self.last = Some(opened.path.clone());
                none.insert(Current { interval, ..opened })
            }
        };
        match current.file.write_all(&chunk.bytes) {
            Ok(()) => {
                current.length += size;
                Ok(())
            }
            Err(error) => {
                let text = format!("cannot write {}: {error}", current.path.display());
                // The file ends with a whole record, whatever went into it.
                let _ = current.file.set_len(current.length);
                self.file = None;
                Err(text)
            }
        }
    }
}

/// Where a chunk is to go.
struct Wanted<'a> {
    name: &'a Path,
    /// The file that was full.
    full: Option<PathBuf>,
    /// One that is known to end with a whole record.
    whole: Option<&'a Path>,
    limit: Option<u64>,
    /// The chunk's length.
    size: u64,
}

/// Opens the first of `name`, `name.1`, `name.2` and so on that has room and ends with a whole record, and that is not before
/// the one that was full.
fn open(wanted: &Wanted<'_>) -> Result<Current, (PathBuf, io::Error)> {
    let Wanted {
        name, full, size, ..
    } = wanted;
    if let Some(folder) = name.parent() {
        fs::create_dir_all(folder).map_err(|e| (folder.to_path_buf(), e))?;
    }
    let mut number = 0u32;
    let mut seen = full.is_none();
    loop {
        let path = match number {
            0 => name.to_path_buf(),
            _ => {
                let mut text = name.as_os_str().to_owned();
                text.push(format!(".{number}"));
                text.into()
            }
        };
        number += 1;
        if !seen {
            seen = full.as_ref() == Some(&path);
            if number < 100_000 {
                continue;
            }
        }
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        let file = opened.map_err(|e| (path.clone(), e))?;
        let length = file.metadata().map_err(|e| (path.clone(), e))?.len();
        let has_room = |limit| length == 0 || length + size <= limit;
        let known = wanted.whole == Some(&path);
        if wanted.limit.is_none_or(has_room)
            && (known || ends_whole(&path, length).map_err(|e| (path.clone(), e))?)
        {
            return Ok(Current {
                file,
                path,
                interval: 0,
                length,
            });
        }
    }
}

/// Whether a file of this length is made of whole records: a header of 12 octets has the length of the rest last (RFC 6396 §2).
fn ends_whole(path: &Path, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let file = File::open(path)?;
    let mut at = 0;
    while at + 12 <= length {
        let mut rest = [0; 4];
        file.read_exact_at(&mut rest, at + 8)?;
        at += 12 + u64::from(u32::from_be_bytes(rest));
    }
    Ok(at == length)
}

#[cfg(test)]
mod tests;
