//! The connection to one collector, on a thread of its own: names, sockets and waiting are nothing for the loop.
//!
//! ```text
//!  loop --which bytes (as many as its buffer allows)--> thread --socket--> collector
//!  loop <--connected, with the end to put bytes in; failed; lost-- thread
//! ```
//!
//! A collector sends nothing (RFC 7854 §3.2); what it sends all the same is read and thrown away.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use tapway_bmp::CollectorConfig;
use tapway_sys::poll::{Interest, Poller, Ready};
use tapway_sys::tcp::{self, TcpOptions};
use tapway_sys::wake::Waker;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a collector may take no byte while there are some for it.
const STALLED: Duration = Duration::from_secs(90);
/// How long the last bytes may take when a session is over.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// The longest wait between two attempts (RFC 7854 §3.2).
const RETRY_MAX: Duration = Duration::from_secs(720);
/// After a session of this length the next wait is the first one again.
const SETTLED: Duration = Duration::from_secs(300);
/// With fewer waiting bytes than this there is room for what can wait.
const LOW: usize = 512 * 1024;

const WAKE: u64 = 0;
const SOCKET: u64 = 1;

/// What a thread says.
#[derive(Debug)]
pub(super) enum Said {
    /// The connection is open.
    Connected(Feed, SocketAddr),
    /// It could not be opened, or is over; the next attempt comes after this time.
    Down(String, Duration),
}

/// The loop's end of a session: where bytes go in.
#[derive(Debug)]
pub(super) struct Feed {
    bytes: Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// What both ends of a session see.
#[derive(Debug)]
struct Shared {
    /// Bytes that the socket did not take yet.
    waiting: AtomicUsize,
    /// Bytes that it took.
    written: AtomicUsize,
    /// The rest is not to be written.
    abandoned: AtomicBool,
    /// The loop waits for room.
    hungry: AtomicBool,
    waker: Arc<Waker>,
}

impl Feed {
    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    /// Bytes that went out.
    pub(super) fn written(&self) -> usize {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Whether there is room for what can wait; if not the loop is woken when there is. `more` bytes are about to be put in.
    pub(super) fn has_room(&self, more: usize) -> bool {
        let room = || self.waiting() + more < LOW;
        room() || {
            self.shared.hungry.store(true, Ordering::Release);
            room()
        }
    }

    /// Puts bytes in.
    pub(super) fn send(&self, bytes: Vec<u8>) {
        self.shared.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        // When the thread is gone it has said so, and the loop reads it next.
        let _ = self.bytes.send(bytes);
        self.shared.waker.wake();
    }

    /// Ends the session without what still waits.
    pub(super) fn abandon(self) {
        self.shared.abandoned.store(true, Ordering::Release);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.waker.wake();
    }
}

/// The thread, as the loop sees it; it ends with this.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) said: Receiver<Said>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Link {
    /// Begins to connect.
    pub(super) fn start(config: &CollectorConfig, loop_waker: Arc<Waker>) -> io::Result<Link> {
        let waker = Arc::new(Waker::new()?);
        let stop = Arc::new(AtomicBool::new(false));
        // A connection's start and end, and those of the next one.
        let (tell, said) = sync_channel(4);
        let (config, theirs, stopped) = (config.clone(), waker.clone(), stop.clone());
        let work = move || match poller(&theirs) {
            Ok(poller) => Worker {
                config,
                poller,
                waker: theirs,
                stop: stopped,
                loop_waker,
                tell,
            }
            .run(),
            Err(error) => tracing::error!(%error, "a collector cannot be waited for"),
        };
        std::thread::Builder::new()
            .name("bmp".to_owned())
            .spawn(work)?;
        Ok(Link { said, stop, waker })
    }

    /// Lets the thread write its last bytes and end, and waits for that until then.
    pub(super) fn finish(self, deadline: Instant) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && self.said.recv_timeout(left).is_ok()
        {}
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }
}

fn poller(waker: &Waker) -> io::Result<Poller> {
    let poller = Poller::new()?;
    poller.add(waker, WAKE, Interest::READ)?;
    Ok(poller)
}

struct Worker {
    config: CollectorConfig,
    poller: Poller,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    loop_waker: Arc<Waker>,
    tell: SyncSender<Said>,
}

impl Worker {
    fn run(mut self) {
        let mut retry = self.config.retry;
        while !self.stopped() {
            let began = Instant::now();
            let why = match self.connect() {
                Ok((stream, remote)) => self.session(stream, remote),
                Err(error) => error.to_string(),
            };
            if began.elapsed() >= SETTLED {
                retry = self.config.retry;
            }
            if self.stopped() || !self.say(Said::Down(why, retry)) {
                return;
            }
            self.rest(retry);
            retry = (retry * 2).min(RETRY_MAX.max(self.config.retry));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// False: nobody listens any more.
    fn say(&self, said: Said) -> bool {
        let sent = self.tell.send(said).is_ok();
        self.loop_waker.wake();
        sent
    }

    fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut ready = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now())
            && !self.stopped()
        {
            if self.poller.wait(Some(left), &mut ready).is_err() {
                std::thread::sleep(left);
            }
            self.waker.clear();
        }
    }

    /// Tries all addresses of the collector.
    fn connect(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let server = &self.config.server;
        let local = self.config.local_address;
        let found = (server.host.as_str(), server.port).to_socket_addrs()?;
        let fits = |at: &SocketAddr| local.is_none_or(|l| l.is_ipv4() == at.is_ipv4());
        let mut last = io::Error::other("it has no address of a family that we may use");
        for remote in found.filter(fits).take(8).collect::<Vec<_>>() {
            if self.stopped() {
                break;
            }
            match self.connect_to(remote) {
                Ok(stream) => return Ok((stream, remote)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_to(&mut self, remote: SocketAddr) -> io::Result<TcpStream> {
        let local = self.config.local_address;
        // What the kernel has taken and the collector's has not counts, too.
        let options = TcpOptions {
            user_timeout: Some(STALLED),
            ..TcpOptions::default()
        };
        let fd = tcp::tcp_connect(local, remote, &options)?;
        let stream = TcpStream::from(fd);
        self.poller.add(&stream, SOCKET, Interest::WRITE)?;
        let deadline = Instant::now() + CONNECT;
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.poller.wait(Some(left), &mut ready)?;
            self.waker.clear();
            let event = ready.iter().find(|r| r.token == SOCKET);
            if let Some(event) = event {
                match tcp::connect_error(&stream)? {
                    Some(error) => return Err(error),
                    None if event.write && !event.error => return Ok(stream),
                    None if event.error => return Err(io::ErrorKind::ConnectionAborted.into()),
                    None => {}
                }
            }
            if left.is_zero() || self.stopped() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Writes what the loop puts in, until the session is over. Why it is.
    fn session(&mut self, mut stream: TcpStream, remote: SocketAddr) -> String {
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            hungry: AtomicBool::new(false),
            waker: self.waker.clone(),
        });
        let (bytes, from_loop) = channel();
        let feed = Feed {
            bytes,
            shared: shared.clone(),
        };
        if !self.say(Said::Connected(feed, remote)) {
            return String::new();
        }
        let outcome = self.pump(&mut stream, &shared, &from_loop);
        let _ = stream.shutdown(Shutdown::Write);
        match outcome {
            Ok(()) => "the session was ended here".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn pump(
        &mut self,
        stream: &mut TcpStream,
        shared: &Shared,
        from_loop: &Receiver<Vec<u8>>,
    ) -> io::Result<()> {
        let mut unsent = Unsent::default();
        let mut ready: Vec<Ready> = Vec::new();
        let mut progress = Instant::now();
        let mut ends = None;
        loop {
            if shared.abandoned.load(Ordering::Acquire) {
                return Ok(());
            }
            if self.stopped() && ends.is_none() {
                ends = Some(Instant::now() + LAST_BYTES);
            }
            if unsent.is_empty() {
                match from_loop.try_recv() {
                    Ok(bytes) => {
                        unsent = Unsent { bytes, at: 0 };
                        progress = Instant::now();
                    }
                    Err(TryRecvError::Empty) if ends.is_none() => {}
                    // All is written.
                    Err(_) => return Ok(()),
                }
            }
            let mut blocked = false;
            if !unsent.is_empty() {
                let count = unsent.write(stream)?;
                blocked = count == 0;
                if count > 0 {
                    progress = Instant::now();
                    let before = shared.waiting.fetch_sub(count, Ordering::AcqRel);
                    shared.written.fetch_add(count, Ordering::Relaxed);
                    let left = before - count;
                    if left < LOW && shared.hungry.swap(false, Ordering::AcqRel) {
                        self.loop_waker.wake();
                    }
                }
                if !blocked {
                    continue;
                }
            }
            let interest = Interest {
                read: true,
                write: blocked,
            };
            self.poller.modify(&*stream, SOCKET, interest)?;
            let patience = ends.or(blocked.then(|| progress + STALLED));
            let left = patience.map(|at: Instant| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::Error::other(match ends {
                    Some(_) => "the collector did not take the last bytes".to_owned(),
                    None => format!("the collector took no byte for {} s", STALLED.as_secs()),
                }));
            }
            self.poller.wait(left, &mut ready)?;
            self.waker.clear();
            if ready
                .iter()
                .any(|r| r.token == SOCKET && (r.read || r.error))
            {
                discard(stream)?;
            }
        }
    }
}

/// Reads and throws away.
fn discard(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => Err(io::Error::other("the collector closed the connection")),
        Ok(_) => Ok(()),
        Err(error) if is_later(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Bytes of which some are written.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    at: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// How many the socket took; 0: none for now.
    fn write(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        match stream.write(self.bytes.get(self.at..).unwrap_or_default()) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.at += count;
                Ok(count)
            }
            Err(error) if is_later(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::sockopt::tcp_user_timeout;
    use tapway_bmp::{Server, Tables};
    use tapway_model::CollectorName;

    use super::*;

    #[test]
    fn the_kernel_gives_up_a_collector_that_acknowledges_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let waker = Arc::new(Waker::new().unwrap());
        let mut worker = Worker {
            config: CollectorConfig {
                name: CollectorName::new("noc").unwrap(),
                server: Server {
                    host: at.ip().to_string(),
                    port: at.port(),
                },
                local_address: None,
                tables: Tables::default(),
                statistics: None,
                retry: Duration::from_secs(1),
                buffer: 1 << 20,
            },
            poller: poller(&waker).unwrap(),
            waker: waker.clone(),
            stop: Arc::new(AtomicBool::new(false)),
            loop_waker: waker,
            tell: sync_channel(1).0,
        };
        let (stream, remote) = worker.connect().unwrap();
        assert_eq!(remote, at);
        let milliseconds = tcp_user_timeout(&stream).unwrap();
        assert_eq!(u128::from(milliseconds), STALLED.as_millis());
    }
}
