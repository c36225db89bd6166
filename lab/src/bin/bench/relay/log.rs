//! What a peer of the daemon received: the bytes as they came, and when.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::net::sockopt::set_tcp_quickack;
use tapway_bgp_wire::{DecodeContext, Frame, MAX_LEN_EXTENDED, Message, Update};

use super::count::{self, Count};

/// Of one read.
const READ: usize = 1 << 18;

/// All that came on a session.
#[derive(Debug, Default)]
pub(crate) struct Log {
    bytes: Vec<u8>,
    /// The end of each read, and its time.
    reads: Vec<(usize, Instant)>,
    /// Where the messages end that are counted.
    counted: usize,
    /// What they had.
    pub(crate) count: Count,
    /// Why nothing more comes.
    pub(crate) ended: Option<String>,
}

impl Log {
    /// Takes in what a read gave.
    pub(crate) fn push(&mut self, at: Instant, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.reads.push((self.bytes.len(), at));
        self.counted += count::messages(&self.bytes[self.counted..], &mut self.count);
    }

    /// When something came last.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.reads.last().map(|(_, at)| *at)
    }

    /// Shows every UPDATE from the offset `from` on, with the time of the read that completed it; says where they
    /// end.
    ///
    /// # Errors
    /// What no session survives, or what `see` says.
    pub(crate) fn updates(
        &self,
        from: usize,
        mut see: impl FnMut(Instant, &Update) -> Result<(), String>,
    ) -> Result<usize, String> {
        let context = DecodeContext::default();
        let mut at = from;
        let mut reads = self.reads.partition_point(|(end, _)| *end <= from);
        while let Some((len, frame)) =
            Frame::next(&self.bytes[at..], MAX_LEN_EXTENDED).map_err(|e| e.to_string())?
        {
            at += len;
            while self.reads.get(reads).is_some_and(|(end, _)| *end < at) {
                reads += 1;
            }
            match frame.decode(&context).map_err(|e| e.to_string())? {
                Message::Update(update) => see(self.reads[reads].1, &update)?,
                Message::Notification(reason) => return Err(format!("it sent {reason:?}")),
                Message::Open(_) | Message::Keepalive | Message::RouteRefresh(_) => {}
            }
        }
        Ok(at)
    }
}

/// A session that only reads.
pub(crate) struct Reader {
    log: Arc<Mutex<Log>>,
    stream: TcpStream,
}

impl Reader {
    /// Reads on a thread of its own until the session ends, or more than `most` bytes have come.
    pub(crate) fn start(stream: TcpStream, most: usize) -> std::io::Result<Reader> {
        let log = Arc::new(Mutex::new(Log {
            bytes: Vec::with_capacity(most.min(1 << 24)),
            ..Log::default()
        }));
        let (shared, mut reading) = (Arc::clone(&log), stream.try_clone()?);
        std::thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                let mut buffer = vec![0; READ];
                let reason = loop {
                    let read = reading.read(&mut buffer);
                    let at = Instant::now();
                    // A late acknowledgement would hold back a sender that has Nagle's algorithm on.
                    let _ = set_tcp_quickack(&reading, true);
                    match read {
                        Ok(0) => break "the session ended".to_string(),
                        Ok(len) => {
                            let mut log = lock(&shared);
                            log.push(at, &buffer[..len]);
                            if log.bytes.len() > most {
                                break format!("more than {most} bytes came");
                            }
                        }
                        Err(error) => break format!("the session ended: {error}"),
                    }
                };
                lock(&shared).ended = Some(reason);
            })?;
        Ok(Reader { log, stream })
    }

    /// What has come up to now. Nothing is taken in while this is held.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Ends the thread.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
