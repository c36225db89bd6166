//! BGP connections: sockets, what is still to be written on them, and who they belong to.
//!
//! Nothing here knows BGP: bytes go between sockets and the node.

mod last_words;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use tapway_bgp::{Action, ConnId, ConnInfo, Transmit};
use tapway_fib::IfIndex;
use tapway_model::Instant;
use tapway_node::Node;
use tapway_sys::poll::{Interest, Poller, Ready};
use tapway_sys::tcp::{self, TcpOptions};

use crate::token;
use last_words::LastWords;

/// The most bytes taken from one connection in one turn.
const READ_BUDGET: usize = 64 * 1024;

struct Conn {
    stream: TcpStream,
    token: u64,
    /// Not known to be connected yet.
    connecting: bool,
    /// The interface that was asked for, or that it came in on.
    ifindex: IfIndex,
    /// Bytes that the socket did not take.
    unsent: Vec<u8>,
    interest: Interest,
}

/// All BGP connections.
#[derive(Default)]
pub struct Connections {
    conns: BTreeMap<ConnId, Conn>,
    by_token: BTreeMap<u64, ConnId>,
    next_token: u64,
    next_incoming: u64,
    buffer: Vec<u8>,
    last_words: LastWords,
}

impl Connections {
    /// No connections.
    pub fn new() -> Connections {
        Connections {
            buffer: vec![0; READ_BUDGET],
            ..Connections::default()
        }
    }

    /// Does what the speaker asks.
    pub fn act(&mut self, now: Instant, action: Action, node: &mut Node, poller: &Poller) {
        match action {
            Action::Connect {
                conn,
                remote,
                local,
                options,
                peer: _,
            } => {
                let ifindex = options.bind_ifindex.unwrap_or(0);
                let device = node.fib().link(ifindex).map(|link| link.name.to_string());
                let options = TcpOptions {
                    md5: options.md5.as_ref().map(|key| key.expose().as_bytes()),
                    ttl: options.ttl,
                    min_ttl: options.min_ttl,
                    bind_device: device.as_deref(),
                    user_timeout: None,
                };
                let added = tcp::tcp_connect(local, remote, &options)
                    .and_then(|fd| self.add(conn, fd, ifindex, true, poller));
                if let Err(error) = added {
                    node.handle_connect_failed(now, conn, &error.to_string());
                }
            }
            Action::Close { conn, farewell } => {
                if let Some(mut conn) = self.remove(conn) {
                    // Nothing is read any more. The acknowledgements of a peer without TTL security
                    // must come through, or it never hears that this is over.
                    let _ = tcp::set_min_ttl(&conn.stream, 0);
                    conn.unsent.extend(farewell);
                    self.last_words
                        .say(now, conn.stream, conn.token, conn.unsent, poller);
                }
            }
            Action::InstallableChanged(_) | Action::Event(_) => {}
        }
    }

    /// A connection came in on a listener.
    pub fn accepted(
        &mut self,
        now: Instant,
        accepted: tcp::Accepted,
        node: &mut Node,
        poller: &Poller,
    ) {
        if let Err(farewell) = node.admit(now, accepted.peer, accepted.arrived.unwrap_or(0)) {
            return self.refuse(now, accepted.fd, farewell, poller);
        }
        let remote = accepted.peer.ip();
        let arrived = accepted.ifindex.unwrap_or(0);
        let peer = node.speaker().listen_peer_at(remote, arrived);
        if let Some(peer) = &peer {
            let options = TcpOptions {
                ttl: peer.ttl,
                min_ttl: peer.min_ttl,
                ..TcpOptions::default()
            };
            if let Err(error) = tcp::configure_accepted(&accepted.fd, &options) {
                tracing::warn!(%remote, %error, "closed a connection whose TTL could not be set");
                return;
            }
        }
        self.next_incoming += 1;
        let conn = ConnId::Incoming(self.next_incoming);
        let ifindex = peer.map_or(arrived, |p| p.ifindex);
        if let Err(error) = self.add(conn, accepted.fd, arrived, false, poller) {
            // The peer finds it closed, and tries again.
            tracing::warn!(%remote, %error, "closed a connection that could not be waited for");
            return;
        }
        let info = ConnInfo {
            local: accepted.local,
            remote: accepted.peer,
            ifindex,
        };
        node.handle_accepted(now, conn, info);
    }

    /// Closes a connection that is not wanted now, with these last words.
    fn refuse(&mut self, now: Instant, fd: OwnedFd, farewell: Vec<u8>, poller: &Poller) {
        self.next_token += 1;
        let token = token::CONNECTION | self.next_token;
        let stream = TcpStream::from(fd);
        let _ = tcp::set_min_ttl(&stream, 0);
        if poller.add(&stream, token, Interest::READ).is_ok() {
            self.last_words.say(now, stream, token, farewell, poller);
        }
    }

    /// A connection is ready.
    pub fn ready(&mut self, now: Instant, ready: Ready, node: &mut Node, poller: &Poller) {
        let Some(&id) = self.by_token.get(&ready.token) else {
            self.last_words.ready(ready.token, &mut self.buffer, poller);
            return;
        };
        if self.conns.get(&id).is_some_and(|c| c.connecting) {
            if ready.write {
                self.connected(now, id, node, poller);
            }
            return;
        }
        if ready.write {
            self.flush(now, id, node, poller);
        }
        if ready.read {
            self.read(now, id, node);
        }
    }

    /// Writes what the speaker has to say on one connection.
    pub fn transmit(&mut self, now: Instant, transmit: Transmit, node: &mut Node, poller: &Poller) {
        let Some(conn) = self.conns.get_mut(&transmit.conn) else {
            return;
        };
        if !conn.unsent.is_empty() || conn.connecting {
            conn.unsent.extend(transmit.bytes);
            return;
        }
        match write_all_now(&mut conn.stream, &transmit.bytes) {
            Ok(written) if written == transmit.bytes.len() => {}
            Ok(written) => {
                conn.unsent.extend(&transmit.bytes[written..]);
                set_interest(conn, Interest::BOTH, poller);
                node.handle_blocked(now, transmit.conn, true);
            }
            Err(error) => self.closed(now, transmit.conn, &error.to_string(), node),
        }
    }

    fn add(
        &mut self,
        id: ConnId,
        fd: OwnedFd,
        ifindex: IfIndex,
        connecting: bool,
        poller: &Poller,
    ) -> io::Result<()> {
        self.next_token += 1;
        let token = token::CONNECTION | self.next_token;
        let interest = if connecting {
            Interest::WRITE
        } else {
            Interest::READ
        };
        let stream = TcpStream::from(fd);
        poller.add(&stream, token, interest)?;
        self.by_token.insert(token, id);
        self.conns.insert(
            id,
            Conn {
                stream,
                token,
                connecting,
                ifindex,
                unsent: Vec::new(),
                interest,
            },
        );
        Ok(())
    }

    /// Whether a peer may still be reading our last words.
    pub fn lingers(&self) -> bool {
        !self.last_words.is_empty()
    }

    /// When to call [`Connections::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last_words.poll_timeout()
    }

    /// Gives up on peers that do not take our last words.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.last_words.handle_timeout(now);
    }

    fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.conns.remove(&id)?;
        self.by_token.remove(&conn.token);
        Some(conn)
    }

    fn connected(&mut self, now: Instant, id: ConnId, node: &mut Node, poller: &Poller) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        let ends = match tcp::connect_error(&conn.stream) {
            Ok(None) => both_ends(&conn.stream),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match ends {
            Ok((local, remote)) => {
                conn.connecting = false;
                set_interest(conn, Interest::READ, poller);
                let ifindex = conn.ifindex;
                node.handle_connected(
                    now,
                    id,
                    ConnInfo {
                        local,
                        remote,
                        ifindex,
                    },
                );
            }
            Err(error) => {
                self.remove(id);
                node.handle_connect_failed(now, id, &error.to_string());
            }
        }
    }

    fn read(&mut self, now: Instant, id: ConnId, node: &mut Node) {
        let mut taken = 0;
        while taken < READ_BUDGET {
            let Some(conn) = self.conns.get_mut(&id) else {
                return;
            };
            match conn.stream.read(&mut self.buffer) {
                Ok(0) => return self.closed(now, id, "the peer closed it", node),
                Ok(count) => {
                    taken += count;
                    node.handle_data(now, id, &self.buffer[..count]);
                    if count < self.buffer.len() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.closed(now, id, &e.to_string(), node),
            }
        }
    }

    fn flush(&mut self, now: Instant, id: ConnId, node: &mut Node, poller: &Poller) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        if conn.unsent.is_empty() {
            return;
        }
        match write_all_now(&mut conn.stream, &conn.unsent) {
            Ok(written) => {
                conn.unsent.drain(..written);
                if conn.unsent.is_empty() {
                    set_interest(conn, Interest::READ, poller);
                    node.handle_blocked(now, id, false);
                }
            }
            Err(error) => self.closed(now, id, &error.to_string(), node),
        }
    }

    fn closed(&mut self, now: Instant, id: ConnId, reason: &str, node: &mut Node) {
        self.remove(id);
        node.handle_closed(now, id, reason);
    }
}

fn both_ends(stream: &TcpStream) -> io::Result<(SocketAddr, SocketAddr)> {
    Ok((stream.local_addr()?, stream.peer_addr()?))
}

fn set_interest(conn: &mut Conn, interest: Interest, poller: &Poller) {
    if conn.interest != interest {
        conn.interest = interest;
        if let Err(error) = poller.modify(&conn.stream, conn.token, interest) {
            tracing::error!(%error, "cannot change what a connection waits for");
        }
    }
}

/// Writes until the socket takes no more; says how much it took.
fn write_all_now(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
