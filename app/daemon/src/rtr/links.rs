//! Connections to caches: names to addresses, sockets, bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tapway_model::Instant;
use tapway_rpki::{Action, Caches, ConnId, Server};
use tapway_sys::poll::{Interest, Poller, Ready};
use tapway_sys::tcp::{self, TcpOptions};
use tapway_sys::wake::Waker;

/// Bytes taken from a cache at a time.
const READ: usize = 64 * 1024;
/// Names that are looked up at a time; a resolver that hangs holds no more threads than this.
const LOOKUPS: usize = 8;
/// Addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// What became of a name.
type Resolved = (ConnId, io::Result<Vec<SocketAddr>>);

/// All connections to caches.
pub(super) struct Links {
    links: BTreeMap<ConnId, Link>,
    buffer: Vec<u8>,
    lookups: usize,
    found: Receiver<Resolved>,
    find: SyncSender<Resolved>,
    waker: Arc<Waker>,
}

struct Link {
    local: Option<IpAddr>,
    /// Addresses that were not tried yet, the next one last.
    left: Vec<SocketAddr>,
    /// Absent while the name is looked up.
    stream: Option<TcpStream>,
    connected: bool,
    unsent: Vec<u8>,
}

impl Links {
    pub(super) fn new(waker: Arc<Waker>) -> Links {
        let (find, found) = sync_channel(LOOKUPS);
        Links {
            links: BTreeMap::new(),
            buffer: vec![0; READ],
            lookups: 0,
            found,
            find,
            waker,
        }
    }

    /// Does what the caches ask.
    pub(super) fn act(
        &mut self,
        now: Instant,
        action: Action,
        caches: &mut Caches,
        poller: &Poller,
    ) {
        match action {
            Action::Connect {
                conn,
                server,
                local_address,
                cache: _,
            } => {
                let link = Link {
                    local: local_address,
                    left: Vec::new(),
                    stream: None,
                    connected: false,
                    unsent: Vec::new(),
                };
                self.links.insert(conn, link);
                match server.host.parse::<IpAddr>() {
                    Ok(addr) => {
                        let at = Ok(vec![SocketAddr::new(addr, server.port)]);
                        self.addresses(now, conn, at, caches, poller);
                    }
                    Err(_) => {
                        if let Err(error) = self.look_up(conn, server) {
                            self.addresses(now, conn, Err(error), caches, poller);
                        }
                    }
                }
            }
            Action::Send { conn, bytes } => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.unsent.extend(bytes);
                    self.write(now, conn, caches, poller);
                }
            }
            Action::Close { conn } => {
                if let Some(link) = self.links.remove(&conn)
                    && let Some(stream) = link.stream
                {
                    // What was written still goes out; what did not go out is not worth the wait.
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            Action::Tell(_) => {}
        }
    }

    fn look_up(&mut self, conn: ConnId, server: Server) -> io::Result<()> {
        if self.lookups == LOOKUPS {
            return Err(io::Error::other("the resolver does not answer"));
        }
        let (find, waker) = (self.find.clone(), self.waker.clone());
        std::thread::Builder::new()
            .name("rpki-name".to_owned())
            .spawn(move || {
                let found = (server.host.as_str(), server.port).to_socket_addrs();
                let found = found.map(|all| all.take(ADDRESSES).collect());
                // There is room for each lookup.
                let _ = find.send((conn, found));
                waker.wake();
            })?;
        self.lookups += 1;
        Ok(())
    }

    /// Goes on with what names became known.
    pub(super) fn resolved(&mut self, now: Instant, caches: &mut Caches, poller: &Poller) {
        while let Ok((conn, found)) = self.found.try_recv() {
            self.lookups -= 1;
            self.addresses(now, conn, found, caches, poller);
        }
    }

    fn addresses(
        &mut self,
        now: Instant,
        conn: ConnId,
        found: io::Result<Vec<SocketAddr>>,
        caches: &mut Caches,
        poller: &Poller,
    ) {
        // It may have been given up meanwhile.
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let found = found.and_then(|mut all| {
            let family = |at: &SocketAddr| link.local.is_none_or(|l| l.is_ipv4() == at.is_ipv4());
            all.retain(family);
            if all.is_empty() {
                return Err(io::Error::other(
                    "it has no address of a family that we may use",
                ));
            }
            Ok(all)
        });
        match found {
            Ok(mut all) => {
                all.reverse();
                link.left = all;
                self.connect(now, conn, caches, poller, io::ErrorKind::NotFound.into());
            }
            Err(error) => self.failed(now, conn, &error, caches),
        }
    }

    /// Tries the next address; `error` is what the last one said.
    fn connect(
        &mut self,
        now: Instant,
        conn: ConnId,
        caches: &mut Caches,
        poller: &Poller,
        mut error: io::Error,
    ) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        while let Some(at) = link.left.pop() {
            let begun = tcp::tcp_connect(link.local, at, &TcpOptions::default()).and_then(|fd| {
                poller.add(&fd, conn.0, Interest::WRITE)?;
                Ok(TcpStream::from(fd))
            });
            match begun {
                Ok(stream) => {
                    link.stream = Some(stream);
                    return;
                }
                Err(why) => error = why,
            }
        }
        self.failed(now, conn, &error, caches);
    }

    fn failed(&mut self, now: Instant, conn: ConnId, error: &io::Error, caches: &mut Caches) {
        self.links.remove(&conn);
        caches.handle_connect_failed(now, conn, &error.to_string());
    }

    /// A socket is ready.
    pub(super) fn ready(
        &mut self,
        now: Instant,
        event: &Ready,
        caches: &mut Caches,
        poller: &Poller,
    ) {
        let conn = ConnId(event.token);
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let Some(stream) = &link.stream else { return };
        if !link.connected {
            match tcp::connect_error(stream) {
                Ok(None) if event.write && !event.error => {
                    link.connected = true;
                    let _ = poller.modify(stream, conn.0, Interest::READ);
                    caches.handle_connected(now, conn);
                }
                Ok(None) if !event.error => {}
                // One that is over without a reason is over all the same.
                Ok(None) => {
                    link.stream = None;
                    let error = io::ErrorKind::ConnectionAborted.into();
                    self.connect(now, conn, caches, poller, error);
                }
                Ok(Some(error)) | Err(error) => {
                    link.stream = None;
                    self.connect(now, conn, caches, poller, error);
                }
            }
            return;
        }
        if event.write {
            self.write(now, conn, caches, poller);
        }
        if event.read {
            self.read(now, conn, caches);
        }
    }

    fn read(&mut self, now: Instant, conn: ConnId, caches: &mut Caches) {
        let Some(stream) = self.links.get_mut(&conn).and_then(|l| l.stream.as_mut()) else {
            return;
        };
        match stream.read(&mut self.buffer) {
            Ok(0) => self.lost(now, conn, "the cache closed it", caches),
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                caches.handle_data(now, conn, bytes);
            }
            Err(error) if is_later(&error) => {}
            Err(error) => self.lost(now, conn, &error.to_string(), caches),
        }
    }

    fn write(&mut self, now: Instant, conn: ConnId, caches: &mut Caches, poller: &Poller) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let Some(stream) = &mut link.stream else {
            return;
        };
        while !link.unsent.is_empty() {
            match stream.write(&link.unsent) {
                Ok(count) => drop(link.unsent.drain(..count)),
                Err(error) if is_later(&error) => break,
                Err(error) => {
                    let why = error.to_string();
                    return self.lost(now, conn, &why, caches);
                }
            }
        }
        let interest = Interest {
            read: true,
            write: !link.unsent.is_empty(),
        };
        let _ = poller.modify(stream, conn.0, interest);
    }

    fn lost(&mut self, now: Instant, conn: ConnId, why: &str, caches: &mut Caches) {
        self.links.remove(&conn);
        caches.handle_closed(now, conn, why);
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
