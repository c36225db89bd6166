//! Listing what is there, in slices.
//!
//! A host may have a million routes of somebody else. So routes are not listed in full: the kernel
//! gives those of our protocol (strict checking, Linux 4.20), and those of the few protocols that a
//! host's own default routes have; for a default of any other origin it is asked which route it would
//! take towards an address that nothing but a default reaches.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR};
use tapway_sys::netlink::{Config, NetlinkSocket};
use tapway_sys::wake::Waker;

use crate::constants::{
    AF_INET, AF_INET6, AF_UNSPEC, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, RTM_GETADDR, RTM_GETLINK,
    RTM_GETNEIGH, RTM_GETROUTE, RTM_GETRULE,
};
use crate::error::Error;
use crate::exchange::RECEIVE;
use crate::message::{Content, Message, Refusal, Requests, messages};

/// How often a list is begun again because the kernel's changed under it. It says so of links and addresses (Linux 6.18); of rules,
/// routes and neighbours it does not, and yet may leave out a rule or an IPv6 route that stays when one before it goes.
/// So that one list lacks something does not prove that it is gone (`core/fib`).
const TRIES: u8 = if cfg!(test) { 2 } else { 10 };

/// One request and what it asks for.
#[derive(Clone, Debug)]
struct Stage {
    what: &'static str,
    kind: u16,
    /// One object instead of a list; that there is none is no error.
    single: bool,
    body: Body,
}

/// A fixed header and attributes, as sent.
#[derive(Clone, Debug)]
pub(crate) struct Body(Vec<u8>);

impl Emitable for Body {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Body {
    pub(crate) fn header(family: u8, len: usize) -> Body {
        let mut bytes = vec![0; len];
        bytes[0] = family;
        Body(bytes)
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Body {
        let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self
    }
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to take in now.
    More,
    /// There is more to come; the waker tells when.
    Waiting,
    /// Everything was listed.
    Complete,
    /// The kernel's lists changed under each attempt: something may be missing, a link too if `links`.
    Torn { links: bool },
}

/// The number of the stage that lists links.
const LINKS: usize = 0;

/// How much of a scan was whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Torn {
    links: bool,
    others: bool,
}

/// How many buffers may wait to be taken in.
const AHEAD: usize = 16;

/// What the lister hands over, with the number of its scan.
enum Part {
    Buffer(u64, Vec<u8>),
    End(u64, Result<Torn, Error>),
}

/// Scans, listed by a thread: with a million foreign routes in a table the kernel may search for
/// ours for 0.2 s within one system call.
#[derive(Debug)]
pub(crate) struct Scan {
    orders: Sender<u64>,
    parts: Receiver<Part>,
    ready: Arc<Waker>,
    /// The number of the scan that is wanted; the lister gives up any other.
    wanted: Arc<AtomicU64>,
    number: u64,
}

impl Scan {
    /// Opens the socket here, so in the calling thread's network namespace, and starts the lister. It
    /// ends with this value.
    pub(crate) fn open(protocol: u8) -> Result<Scan, Error> {
        let (orders, order) = mpsc::channel();
        let (part, parts) = mpsc::sync_channel(AHEAD);
        let ready = Arc::new(Waker::new().map_err(Error::Open)?);
        let wanted = Arc::new(AtomicU64::new(0));
        let lister = Lister::open(protocol, part, Arc::clone(&ready), Arc::clone(&wanted))?;
        std::thread::Builder::new()
            .name("netlink-scan".to_owned())
            .spawn(move || lister.serve(&order))
            .map_err(Error::Open)?;
        Ok(Scan {
            orders,
            parts,
            ready,
            wanted,
            number: 0,
        })
    }

    /// Becomes readable when there is something to take in.
    pub(crate) fn ready(&self) -> &Waker {
        &self.ready
    }

    /// Forgets that there was something to take in.
    pub(crate) fn quiet(&self) {
        self.ready.clear();
    }

    /// Begins from the start, also in the middle of a scan.
    pub(crate) fn restart(&mut self) {
        self.number += 1;
        self.wanted.store(self.number, Ordering::Relaxed);
        // A lister that has ended is noticed by `step`.
        let _ = self.orders.send(self.number);
    }

    /// Tells the next objects, about `budget` of them: each buffer of the kernel's is told in full.
    pub(crate) fn step(
        &mut self,
        budget: usize,
        mut tell: impl FnMut(&Message<'_>),
    ) -> Result<Progress, Error> {
        self.ready.clear();
        let mut told = 0;
        while told < budget {
            match self.parts.try_recv() {
                Ok(Part::Buffer(number, bytes)) if number == self.number => {
                    for message in messages(&bytes) {
                        told += 1;
                        tell(&message);
                    }
                }
                Ok(Part::End(number, result)) if number == self.number => {
                    return result.map(|torn| match torn.links || torn.others {
                        false => Progress::Complete,
                        true => Progress::Torn { links: torn.links },
                    });
                }
                // Of a scan that was given up.
                Ok(_) => {}
                Err(TryRecvError::Empty) => return Ok(Progress::Waiting),
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::Receive(io::Error::other(
                        "the thread that lists has ended",
                    )));
                }
            }
        }
        self.ready.wake();
        Ok(Progress::More)
    }
}

/// The thread's side.
struct Lister {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
    stages: Vec<Stage>,
    requests: Requests,
    sequence: u32,
    parts: SyncSender<Part>,
    ready: Arc<Waker>,
    wanted: Arc<AtomicU64>,
}

/// Nobody takes parts any more.
struct Deserted;

impl Lister {
    fn open(
        protocol: u8,
        parts: SyncSender<Part>,
        ready: Arc<Waker>,
        wanted: Arc<AtomicU64>,
    ) -> Result<Lister, Error> {
        let socket = NetlinkSocket::open(Config {
            receive_buffer: 1 << 20,
            send_buffer: 64 << 10,
        })
        .map_err(Error::Open)?;
        let (buffer, stages) = (vec![0; RECEIVE], stages(protocol));
        Ok(Lister {
            socket,
            buffer,
            stages,
            requests: Requests::default(),
            sequence: 1,
            parts,
            ready,
            wanted,
        })
    }

    fn serve(mut self, orders: &Receiver<u64>) {
        while let Ok(number) = orders.recv() {
            let Ok(result) = self.list(number) else {
                return;
            };
            if self.hand_over(Part::End(number, result)).is_err() {
                return;
            }
        }
    }

    fn hand_over(&self, part: Part) -> Result<(), Deserted> {
        self.parts.send(part).map_err(|_| Deserted)?;
        self.ready.wake();
        Ok(())
    }

    fn list(&mut self, number: u64) -> Result<Result<Torn, Error>, Deserted> {
        let mut torn = Torn::default();
        for stage in 0..self.stages.len() {
            let mut interrupted = true;
            for _ in 0..TRIES {
                interrupted = match self.list_stage(number, stage)? {
                    Ok(interrupted) => interrupted,
                    Err(e) => return Ok(Err(e)),
                };
                if !interrupted {
                    break;
                }
            }
            torn.links |= interrupted && stage == LINKS;
            torn.others |= interrupted && stage != LINKS;
        }
        Ok(Ok(torn))
    }

    /// Whether the kernel's list changed under it.
    fn list_stage(&mut self, number: u64, stage: usize) -> Result<Result<bool, Error>, Deserted> {
        let Stage {
            what,
            kind,
            single,
            body,
        } = &self.stages[stage];
        self.sequence = self.sequence.wrapping_add(1);
        self.requests.clear(self.sequence);
        self.requests
            .push(*kind, if *single { NLM_F_ACK } else { NLM_F_DUMP }, body);
        let (bytes, _) = self.requests.chunk(0, usize::MAX, 1);
        if let Err(e) = self.socket.send(bytes) {
            return Ok(Err(Error::Send(e)));
        }
        let mut interrupted = false;
        loop {
            let bytes = match self.socket.recv(&mut self.buffer) {
                Ok(bytes) => bytes,
                Err(e) => return Ok(Err(Error::Receive(e))),
            };
            let mut end = None;
            for message in messages(bytes).filter(|m| m.sequence == self.sequence) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                if let Content::Ack(answer) | Content::Done(answer) = message.content() {
                    end = Some(answer);
                }
            }
            // The rest of a scan that is given up is read all the same: the kernel lists one at a time.
            if self.wanted.load(Ordering::Relaxed) == number {
                let part = Part::Buffer(number, bytes.to_vec());
                self.hand_over(part)?;
            }
            match end {
                None => {}
                Some(Err(Refusal { errno, message })) if !single => {
                    return Ok(Err(Error::Dump {
                        what,
                        errno,
                        message,
                    }));
                }
                Some(_) => return Ok(Ok(interrupted)),
            }
        }
    }
}

/// Links before what is on them.
fn stages(protocol: u8) -> Vec<Stage> {
    let list = |what, kind, body| Stage {
        what,
        kind,
        single: false,
        body,
    };
    let mut stages = vec![
        list(
            "links",
            RTM_GETLINK,
            Body::header(AF_UNSPEC, 16)
                .attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes()),
        ),
        list("addresses", RTM_GETADDR, Body::header(AF_UNSPEC, 8)),
    ];
    for family in [AF_INET, AF_INET6] {
        stages.push(list("rules", RTM_GETRULE, Body::header(family, 12)));
        let mut protocols = vec![protocol];
        protocols.extend(HOST_PROTOCOLS.into_iter().filter(|p| *p != protocol));
        stages.extend(
            protocols
                .into_iter()
                .map(|p| list("routes", RTM_GETROUTE, routes_of(family, p))),
        );
        stages.push(Stage {
            what: "the default route",
            kind: RTM_GETROUTE,
            single: true,
            body: best_default(family),
        });
    }
    for family in [AF_INET, AF_INET6] {
        stages.push(list("neighbours", RTM_GETNEIGH, Body::header(family, 12)));
    }
    stages
}

/// Who sets a host's own default routes: `RTPROT_BOOT`, `_STATIC`, `_RA`, `_DHCP`.
const HOST_PROTOCOLS: [u8; 4] = [3, 4, 9, 16];

/// struct rtmsg, filtered by protocol.
fn routes_of(family: u8, protocol: u8) -> Body {
    let mut body = Body::header(family, 12);
    body.0[5] = protocol;
    body
}

/// "Which route would it be towards this address?" The addresses are of blocks that are reserved and
/// in no routing table: 240.0.0.0/4 (RFC 1112 §4) and 4000::/3 (RFC 4291 §2.4).
fn best_default(family: u8) -> Body {
    const RTA_DST: u16 = 1;
    const RTM_F_FIB_MATCH: u32 = 0x2000;
    let mut body = Body::header(family, 12);
    body.0[8..12].copy_from_slice(&RTM_F_FIB_MATCH.to_ne_bytes());
    if family == AF_INET {
        body.0[1] = 32;
        body.attribute(RTA_DST, &[240, 0, 0, 1])
    } else {
        body.0[1] = 128;
        body.attribute(
            RTA_DST,
            &[0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        )
    }
}

#[cfg(test)]
mod tests;
