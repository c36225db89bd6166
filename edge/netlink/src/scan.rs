//! Listing what is there, in slices.
//!
//! A host may have a million routes of somebody else. So routes are not listed in full: the kernel
//! gives those of our protocol (strict checking, Linux 4.20), and those of the few protocols that a
//! host's own default routes have; for a default of any other origin it is asked which route it would
//! take towards an address that nothing but a default reaches.

use std::io;

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR};
use tapway_sys::netlink::{Config, NetlinkSocket};

use crate::constants::{
    AF_INET, AF_INET6, AF_UNSPEC, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, RTM_GETADDR, RTM_GETLINK,
    RTM_GETNEIGH, RTM_GETROUTE, RTM_GETRULE,
};
use crate::error::Error;
use crate::exchange::RECEIVE;
use crate::message::{Answer, Content, Message, Refusal, Requests, messages};

/// How often a list is begun again because the kernel's changed under it.
const TRIES: u8 = 10;

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
struct Body(Vec<u8>);

impl Emitable for Body {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Body {
    fn header(family: u8, len: usize) -> Body {
        let mut bytes = vec![0; len];
        bytes[0] = family;
        Body(bytes)
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Body {
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
    /// There is more.
    More,
    /// Everything was listed.
    Complete,
}

/// A scan: a list of stages, one request under way.
#[derive(Debug)]
pub(crate) struct Scan {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
    stages: Vec<Stage>,
    next: usize,
    asked: bool,
    interrupted: bool,
    tries: u8,
    requests: Requests,
    sequence: u32,
}

impl Scan {
    pub(crate) fn open(protocol: u8) -> Result<Scan, Error> {
        let socket = NetlinkSocket::open(Config {
            receive_buffer: 1 << 20,
            send_buffer: 64 << 10,
        })
        .map_err(Error::Open)?;
        Ok(Scan {
            socket,
            buffer: vec![0; RECEIVE],
            stages: stages(protocol),
            next: 0,
            asked: false,
            interrupted: false,
            tries: 0,
            requests: Requests::default(),
            sequence: 1,
        })
    }

    /// Begins from the start, also in the middle of a scan.
    pub(crate) fn restart(&mut self) {
        self.next = 0;
        self.tries = 0;
        if self.asked {
            // The kernel is in the middle of an answer: throw the rest away with the socket's numbers.
            self.drain();
        }
        self.asked = false;
    }

    /// Tells the next objects, about `budget` of them: each buffer of the kernel's is told in full.
    pub(crate) fn step(
        &mut self,
        budget: usize,
        mut tell: impl FnMut(&Message<'_>),
    ) -> Result<Progress, Error> {
        let mut told = 0;
        while told < budget {
            let Some(stage) = self.stages.get(self.next) else {
                return Ok(Progress::Complete);
            };
            if !self.asked {
                let flags = if stage.single { NLM_F_ACK } else { NLM_F_DUMP };
                self.sequence = self.sequence.wrapping_add(1);
                self.requests.clear(self.sequence);
                self.requests.push(stage.kind, flags, &stage.body);
                let (bytes, _) = self.requests.chunk(0, usize::MAX, 1);
                self.socket.send(bytes).map_err(Error::Send)?;
                self.asked = true;
                self.interrupted = false;
            }
            let bytes = self.socket.recv(&mut self.buffer).map_err(Error::Receive)?;
            let mut end = None;
            for message in messages(bytes).filter(|m| m.sequence == self.sequence) {
                self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.content() {
                    Content::Object(_) => {
                        told += 1;
                        tell(&message);
                    }
                    Content::Ack(answer) | Content::Done(answer) => end = Some(answer),
                    Content::Noop => {}
                }
            }
            if let Some(answer) = end {
                self.asked = false;
                self.end_stage(answer)?;
            }
        }
        Ok(if self.next < self.stages.len() {
            Progress::More
        } else {
            Progress::Complete
        })
    }

    fn end_stage(&mut self, answer: Answer) -> Result<(), Error> {
        let Some(stage) = self.stages.get(self.next) else {
            return Ok(());
        };
        match answer {
            Err(Refusal { errno, message }) if !stage.single => {
                return Err(Error::Dump {
                    what: stage.what,
                    errno,
                    message,
                });
            }
            // What changed meanwhile is told by notifications, so the list need not be whole for ever.
            Ok(()) if self.interrupted && self.tries < TRIES => self.tries += 1,
            _ => {
                self.next += 1;
                self.tries = 0;
            }
        }
        Ok(())
    }

    fn drain(&mut self) {
        loop {
            match self.socket.recv(&mut self.buffer) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // An overrun of answers that nobody wants.
                Err(e) if e.raw_os_error() == Some(crate::constants::errno::ENOBUFS) => {}
                Err(_) => return,
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
