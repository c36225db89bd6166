//! The RIB as a file, when somebody asks for it: made in slices, and only as fast as it is written. The file is there when it is
//! whole, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tapway_api::mrt::MrtDump;
use tapway_api::{ApiError, ErrorCode};
use tapway_bgp::Speaker;
use tapway_bmp::Time;
use tapway_mrt::{Dump, Kind};
use tapway_sys::wake::Waker;

use super::{has_unit, remedy};
use crate::http::{ApiReply, Responder};
use crate::sliced::Budget;

/// Prefixes that are looked at together.
const PAGE: usize = 256;
/// Bytes that are handed over together, or a little more.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait for the disk.
const CHUNKS: usize = 8;

/// What goes to the thread.
enum Part {
    Bytes(Vec<u8>),
    /// That was all: so many routes.
    End(u64),
}

/// A dump under way.
pub(crate) struct Dumping {
    dump: Dump,
    to: SyncSender<Part>,
    /// Made, and not handed over.
    ready: Option<Part>,
    out: Vec<u8>,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// There is more to do.
    More,
    /// The thread wakes the loop when there is room.
    Blocked,
    /// All is handed over; or the thread could not write, and has said so.
    Done,
}

impl Dumping {
    /// Begins; the thread answers when the file is there.
    pub(crate) fn begin(
        time: Time,
        speaker: &Speaker,
        asked: &MrtDump,
        waker: Arc<Waker>,
        responder: Responder,
    ) -> Option<Dumping> {
        let kind = match asked.received {
            true => Kind::Received,
            false => Kind::Used,
        };
        let mut out = Vec::new();
        let dump = Dump::begin(speaker, kind, time.unix, &mut out);
        let (to, parts) = sync_channel(CHUNKS);
        let path = PathBuf::from(&asked.file);
        let work = move || {
            let answer = write(&path, &parts, &waker);
            // The loop may wait for room that there will never be.
            drop(parts);
            waker.wake();
            responder.send(answer.map_err(|error| failed(&path, &error)));
        };
        let started = std::thread::Builder::new()
            .name("mrt-dump".to_owned())
            .spawn(work);
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to write a dump");
            return None;
        }
        Some(Dumping {
            dump,
            to,
            ready: None,
            out,
        })
    }

    /// Goes on for a slice.
    pub(crate) fn go_on(&mut self, speaker: &Speaker) -> Slice {
        let budget = Budget::slice();
        loop {
            if let Some(part) = self.ready.take() {
                let last = matches!(part, Part::End(_));
                match self.to.try_send(part) {
                    Ok(()) if last => return Slice::Done,
                    Ok(()) => {}
                    Err(TrySendError::Full(part)) => {
                        self.ready = Some(part);
                        return Slice::Blocked;
                    }
                    Err(TrySendError::Disconnected(_)) => return Slice::Done,
                }
            }
            let mut more = true;
            while more && self.out.len() < CHUNK {
                if budget.is_spent() {
                    return Slice::More;
                }
                more = self.dump.page(speaker, PAGE, &mut self.out);
            }
            self.ready = Some(match self.out.is_empty() {
                true => Part::End(self.dump.routes()),
                false => Part::Bytes(std::mem::take(&mut self.out)),
            });
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> ApiError {
    let remedy = remedy(error, has_unit());
    let text = format!("cannot write {}: {error}{remedy}", path.display());
    ApiError::new(ErrorCode::Internal, text)
}

/// Writes to a file beside the one that is asked for, which takes its place when it is whole and on the disk.
fn write(path: &Path, parts: &Receiver<Part>, waker: &Waker) -> io::Result<ApiReply> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(name);
    let written = write_beside(&beside, parts, waker).and_then(|routes| {
        fs::rename(&beside, path)?;
        Ok(routes)
    });
    match written {
        Ok(routes) => {
            let (file, s) = (path.display(), if routes == 1 { "" } else { "s" });
            Ok(ApiReply::done(format!("{file}: {routes} route{s}")))
        }
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

fn write_beside(beside: &Path, parts: &Receiver<Part>, waker: &Waker) -> io::Result<u64> {
    // Left by a run that ended in the midst of it; or somebody else's link, in a folder where all may write.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(beside)?;
    loop {
        match parts.recv() {
            Ok(Part::Bytes(bytes)) => {
                waker.wake();
                file.write_all(&bytes)?;
            }
            Ok(Part::End(routes)) => {
                file.sync_all()?;
                return Ok(routes);
            }
            Err(_) => return Err(io::Error::other("the daemon is stopping")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn somebody_elses_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("rib.mrt"), folder.path().join("other"));
        fs::write(&other, "precious").unwrap();
        let beside = format!("{}.{}.part", path.display(), std::process::id());
        symlink(&other, &beside).unwrap();
        let (to, parts) = sync_channel(CHUNKS);
        to.send(Part::Bytes(b"routes".to_vec())).unwrap();
        to.send(Part::End(1)).unwrap();
        write(&path, &parts, &Waker::new().unwrap()).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"precious");
        assert_eq!(fs::read(&path).unwrap(), b"routes");
        assert!(!path.is_symlink() && !Path::new(&beside).exists());
    }
}
