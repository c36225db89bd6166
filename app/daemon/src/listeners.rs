//! Sockets that listen for peers. Keys are on a socket before it is told to the loop; a socket whose
//! keys cannot be set is not there at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use tapway_model::{IfName, Prefix};
use tapway_node::{Listener, PeerKey};
use tapway_sys::poll::{Interest, Poller};
use tapway_sys::tcp;

use crate::token;

/// Connections that the kernel keeps for us: every peer of a large fabric may dial at once.
const BACKLOG: i32 = 1024;

struct Open {
    fd: OwnedFd,
    token: u64,
    device: Option<IfName>,
    keys: Vec<PeerKey>,
    min_ttl: u8,
}

/// All listeners.
#[derive(Default)]
pub struct Listeners {
    open: BTreeMap<SocketAddr, Open>,
    next_token: u64,
    /// What could not be opened, and why.
    failed: BTreeMap<SocketAddr, String>,
    resting: bool,
}

impl Listeners {
    /// Listens on exactly these.
    pub fn set(&mut self, wanted: &[Listener], poller: &Poller) {
        self.open.retain(|addr, open| {
            let same = |w: &&Listener| w.addr == *addr && w.device == open.device;
            wanted.iter().any(|w| same(&w))
        });
        let before = std::mem::take(&mut self.failed);
        if std::mem::take(&mut self.resting) {
            for open in self.open.values() {
                let _ = poller.modify(&open.fd, open.token, Interest::READ);
            }
        }
        for listener in wanted {
            if let Err(error) = self.open_one(listener, poller) {
                let text = if error.kind() == std::io::ErrorKind::AddrInUse {
                    "another program listens there; `tapway doctor` says which".to_owned()
                } else {
                    error.to_string()
                };
                if before.get(&listener.addr) != Some(&text) {
                    tracing::warn!(addr = %listener.addr, "cannot listen for peers: {text}");
                }
                self.open.remove(&listener.addr);
                self.failed.insert(listener.addr, text);
            }
        }
    }

    fn open_one(&mut self, wanted: &Listener, poller: &Poller) -> std::io::Result<()> {
        if let Some(open) = self.open.get_mut(&wanted.addr) {
            for gone in open
                .keys
                .iter()
                .filter(|k| !wanted.keys.iter().any(|w| w.from == k.from))
            {
                set_key(&open.fd, gone.from, None)?;
            }
            for key in wanted.keys.iter().filter(|k| !open.keys.contains(k)) {
                set_key(&open.fd, key.from, Some(key.password.expose().as_bytes()))?;
            }
            open.keys.clone_from(&wanted.keys);
            if open.min_ttl != wanted.min_ttl {
                tcp::set_min_ttl(&open.fd, wanted.min_ttl)?;
                open.min_ttl = wanted.min_ttl;
            }
            return Ok(());
        }
        let device = wanted.device.as_ref().map(IfName::as_str);
        let fd = tcp::tcp_listen(wanted.addr, device, BACKLOG, |fd| {
            tcp::set_min_ttl(fd, wanted.min_ttl)?;
            wanted
                .keys
                .iter()
                .try_for_each(|key| set_key(fd, key.from, Some(key.password.expose().as_bytes())))
        })?;
        self.next_token += 1;
        let token = token::LISTENER | self.next_token;
        poller.add(&fd, token, Interest::READ)?;
        self.open.insert(
            wanted.addr,
            Open {
                fd,
                token,
                device: wanted.device.clone(),
                keys: wanted.keys.clone(),
                min_ttl: wanted.min_ttl,
            },
        );
        Ok(())
    }

    /// The socket with this token.
    pub fn get(&self, token: u64) -> Option<&OwnedFd> {
        self.open
            .values()
            .find(|open| open.token == token)
            .map(|open| &open.fd)
    }

    /// Where we could not, and why.
    pub fn failed(&self) -> impl Iterator<Item = (&SocketAddr, &str)> {
        self.failed.iter().map(|(addr, why)| (addr, why.as_str()))
    }

    /// Whether [`Listeners::set`] should be called again soon: another program was in the way, an
    /// address was not there yet, or the sockets rest.
    pub fn needs_care(&self) -> bool {
        !self.failed.is_empty() || self.resting
    }

    /// Takes no connections until [`Listeners::set`] is called again; the kernel keeps them.
    pub fn rest(&mut self, poller: &Poller) {
        self.resting = true;
        for open in self.open.values() {
            let _ = poller.modify(&open.fd, open.token, Interest::NONE);
        }
    }
}

fn set_key(fd: impl AsFd, from: Prefix, key: Option<&[u8]>) -> std::io::Result<()> {
    tcp::set_md5_key(fd, from.addr(), from.len(), key)
}
