//! The meter: a passive BGP peer that notes when bytes of an UPDATE came.
//!
//! It listens in the router's namespace, takes one session at a time, and stamps each read with the
//! monotonic clock as soon as it returns, before it looks at the bytes. It announces nothing, offers
//! no graceful restart, and answers every KEEPALIVE with one.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_tcp_quickack;
use tapway_bgp_wire::{
    AfiSafi, Capabilities, Capability, DecodeContext, Frame, MAX_LEN_EXTENDED, Message, Open,
    encode_keepalive,
};
use tapway_lab::Netns;
use tapway_model::Prefix;

/// The meter's AS.
pub(crate) const ASN: u32 = 65000;

/// Hold time offered, in seconds: no session ends while a daemon is busy.
const HOLD_TIME: u16 = 240;

/// What came from the measured daemon.
enum Seen {
    /// A session is up.
    Up(Instant),
    /// It ended.
    Down,
    /// An UPDATE.
    Update {
        at: Instant,
        announced: Vec<Prefix>,
        withdrawn: Vec<Prefix>,
    },
}

/// One listening address and what came there.
pub(crate) struct Meter {
    seen: Receiver<Seen>,
    present: BTreeSet<Prefix>,
    last_up: Option<Instant>,
}

impl Meter {
    /// Listens at `address`, port 179, in `ns`, on a thread of its own.
    pub(crate) fn listen(ns: &Netns, address: Ipv4Addr) -> io::Result<Meter> {
        let listener = ns.run_in(|| TcpListener::bind((address, 179)))?;
        let (sender, seen) = channel();
        std::thread::Builder::new()
            .name(format!("meter-{address}"))
            .spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    // How a session ends does not matter here: the daemon is missed soon enough.
                    let _ = session(stream, address, &sender);
                    if sender.send(Seen::Down).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Meter {
            seen,
            present: BTreeSet::new(),
            last_up: None,
        })
    }

    /// Takes in what has come up to now, so that only what comes later is waited for.
    pub(crate) fn settle(&mut self) {
        while let Ok(seen) = self.seen.try_recv() {
            self.take(seen);
        }
    }

    /// How many prefixes the daemon announces.
    pub(crate) fn count(&self) -> usize {
        self.present.len()
    }

    /// When the present session came up.
    pub(crate) fn up_since(&self) -> Option<Instant> {
        self.last_up
    }

    /// Waits until a session is up.
    pub(crate) fn wait_up(&mut self, limit: Duration) -> Option<Instant> {
        self.wait(limit, |meter| meter.last_up.is_some())
    }

    /// Waits until the session has ended.
    pub(crate) fn wait_down(&mut self, limit: Duration) -> Option<Instant> {
        self.wait(limit, |meter| meter.last_up.is_none())
    }

    /// Waits until `prefix` is announced; says when that came.
    pub(crate) fn wait_announced(&mut self, prefix: Prefix, limit: Duration) -> Option<Instant> {
        self.wait(limit, |meter| meter.present.contains(&prefix))
    }

    /// Waits until `prefix` is withdrawn; says when that came.
    pub(crate) fn wait_withdrawn(&mut self, prefix: Prefix, limit: Duration) -> Option<Instant> {
        self.wait(limit, |meter| !meter.present.contains(&prefix))
    }

    /// Waits until `count` prefixes are announced; says when the last of them came.
    pub(crate) fn wait_count(&mut self, count: usize, limit: Duration) -> Option<Instant> {
        self.wait(limit, |meter| meter.present.len() == count)
    }

    fn wait(&mut self, limit: Duration, done: impl Fn(&Meter) -> bool) -> Option<Instant> {
        let end = Instant::now() + limit;
        let mut at = Instant::now();
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(seen) => at = self.take(seen),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
        Some(at)
    }

    fn take(&mut self, seen: Seen) -> Instant {
        match seen {
            Seen::Up(at) => {
                self.last_up = Some(at);
                at
            }
            Seen::Down => {
                self.last_up = None;
                self.present.clear();
                Instant::now()
            }
            Seen::Update {
                at,
                announced,
                withdrawn,
            } => {
                for prefix in withdrawn {
                    self.present.remove(&prefix);
                }
                self.present.extend(announced);
                at
            }
        }
    }
}

/// The OPEN of an IPv4 speaker.
pub(crate) fn open(asn: u32, router_id: Ipv4Addr) -> Vec<u8> {
    let mut out = Vec::new();
    Open {
        asn,
        hold_time: HOLD_TIME,
        router_id,
        capabilities: capabilities(asn),
    }
    .encode(&mut out);
    out
}

fn capabilities(asn: u32) -> Capabilities {
    Capabilities(vec![
        Capability::MultiProtocol(AfiSafi::IPV4_UNICAST),
        Capability::FourOctetAs(asn),
    ])
}

fn session(mut stream: TcpStream, own: Ipv4Addr, sender: &Sender<Seen>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&open(ASN, own))?;
    let mut context = DecodeContext::default();
    let mut buffer = vec![0; 1 << 18];
    let mut filled = 0;
    let mut up = false;
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        let at = Instant::now();
        // A late acknowledgement would hold back a sender that has Nagle's algorithm on.
        set_tcp_quickack(&stream, true)?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut used = 0;
        while let Some((len, frame)) =
            Frame::next(&buffer[used..filled], MAX_LEN_EXTENDED).map_err(io::Error::other)?
        {
            match frame.decode(&context).map_err(io::Error::other)? {
                Message::Open(open) => {
                    context =
                        DecodeContext::negotiated(&capabilities(ASN), &open.capabilities, false);
                    keepalive(&mut stream)?;
                }
                Message::Keepalive => {
                    if !up {
                        up = true;
                        let _ = sender.send(Seen::Up(at));
                    }
                    keepalive(&mut stream)?;
                }
                Message::Update(update) => {
                    let announced: Vec<Prefix> = update
                        .reach()
                        .flat_map(|r| r.nlri.iter().map(|e| e.prefix))
                        .collect();
                    let withdrawn = update
                        .unreach()
                        .flat_map(|n| n.iter().map(|e| e.prefix))
                        .collect();
                    let _ = sender.send(Seen::Update {
                        at,
                        announced,
                        withdrawn,
                    });
                }
                Message::Notification(_) => return Ok(()),
                Message::RouteRefresh(_) => {}
            }
            used += len;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

fn keepalive(stream: &mut TcpStream) -> io::Result<()> {
    let mut out = Vec::new();
    encode_keepalive(&mut out);
    stream.write_all(&out)
}
