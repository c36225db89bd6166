//! The end of a connection on which something was still to be said.
//!
//! Closed with bytes of the peer unread, a socket is reset (RFC 1122, section 4.2.2.13), and the peer may
//! lose our NOTIFICATION to the error. So our side is only half closed, and what the peer sends is read and
//! thrown away until it closes its side, or until it had its time.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tapway_model::Instant;
use tapway_sys::poll::{Interest, Poller};

use super::write_all_now;

/// How long a peer has to take our last words and to close its side.
const LINGER: Duration = Duration::from_secs(1);
/// The most connections that are kept so; those beyond are closed at once.
const MOST: usize = 1024;

struct Ending {
    stream: TcpStream,
    unsent: Vec<u8>,
    deadline: Instant,
}

/// Connections that end, by token.
#[derive(Default)]
pub(super) struct LastWords {
    ending: BTreeMap<u64, Ending>,
}

impl LastWords {
    /// Says `unsent` on a connection that nobody else looks at any more. It is in the poller as `token`.
    pub(super) fn say(
        &mut self,
        now: Instant,
        stream: TcpStream,
        token: u64,
        unsent: Vec<u8>,
        poller: &Poller,
    ) {
        if unsent.is_empty() {
            return;
        }
        let mut ending = Ending {
            stream,
            unsent,
            deadline: now + LINGER,
        };
        if ending.write(token, poller) && self.ending.len() < MOST {
            self.ending.insert(token, ending);
        }
    }

    /// The peer took or sent something, or closed its side.
    pub(super) fn ready(&mut self, token: u64, buffer: &mut [u8], poller: &Poller) {
        let Some(ending) = self.ending.get_mut(&token) else {
            return;
        };
        if !ending.write(token, poller) || !ending.discard(buffer) {
            self.ending.remove(&token);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ending.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ending.values().map(|ending| ending.deadline).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.ending.retain(|_, ending| ending.deadline > now);
    }
}

impl Ending {
    /// Writes what the socket takes, and closes our side behind the last byte. False: it is broken.
    fn write(&mut self, token: u64, poller: &Poller) -> bool {
        if self.unsent.is_empty() {
            return true;
        }
        let Ok(written) = write_all_now(&mut self.stream, &self.unsent) else {
            return false;
        };
        self.unsent.drain(..written);
        let interest = if self.unsent.is_empty() {
            if self.stream.shutdown(Shutdown::Write).is_err() {
                return false;
            }
            Interest::READ
        } else {
            Interest::BOTH
        };
        poller.modify(&self.stream, token, interest).is_ok()
    }

    /// Throws away one buffer of what came. False: the peer is through.
    fn discard(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read(buffer) {
            Ok(count) => count > 0,
            Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}
