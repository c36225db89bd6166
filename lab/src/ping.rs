//! A ping that misses nothing: ICMP echo at a steady pace, with the time of every loss.
//!
//! Raw sockets, opened in the namespace (ICMP: RFC 792, ICMPv6: RFC 4443 §4). Every request carries a
//! token of its pinger and a sequence number of 64 bits, so late and foreign replies are told apart.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::netns::Netns;

/// Time between two requests.
const PACE: Duration = Duration::from_millis(10);

/// How long an answer may take before the request counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// ICMP header, token, sequence number.
const REQUEST: usize = 24;

/// Requests from one namespace to one address, every 10 ms, until stopped.
#[derive(Debug)]
pub struct Pinger {
    stop: Arc<AtomicBool>,
    record: Arc<Mutex<Record>>,
    thread: Option<JoinHandle<()>>,
}

/// What became of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReport {
    /// Requests that were due.
    pub sent: u64,
    /// Requests without an answer in time.
    pub lost: Vec<Loss>,
    /// Answers that came twice.
    pub duplicates: u64,
    /// The longest time without an answered request: from the first lost one of a row to the next
    /// answered one.
    pub longest_gap: Duration,
    /// The longest time that an answer took.
    pub slowest: Duration,
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its number, from 0.
    pub sequence: u64,
    /// When it was due, counted from the first request.
    pub at: Duration,
    /// What the kernel said when it would not send it.
    pub refused: Option<String>,
}

#[derive(Debug, Default)]
struct Record {
    sent: Vec<Sent>,
    duplicates: u64,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    answered: Option<Instant>,
    refused: Option<String>,
}

impl Pinger {
    /// Starts to ping `target` from inside `ns`.
    ///
    /// # Panics
    /// When the socket cannot be opened.
    #[track_caller]
    pub fn start(ns: &Netns, target: IpAddr) -> Pinger {
        let socket = match ns.run_in(|| open(target)) {
            Ok(socket) => socket,
            Err(e) => panic!("{}: cannot ping {target}: {e}", ns.name()),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let record = Arc::new(Mutex::new(Record::default()));
        let echo = Echo::new(target);
        let thread = std::thread::spawn({
            let (stop, record) = (stop.clone(), record.clone());
            move || run(&socket, &echo, &stop, &record)
        });
        Pinger {
            stop,
            record,
            thread: Some(thread),
        }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> usize {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.sent.iter().filter(|s| s.answered.is_some()).count()
    }

    /// How many requests are lost so far.
    pub fn lost(&self) -> usize {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        record
            .sent
            .iter()
            .filter(|s| s.answered.is_none() && now.duration_since(s.at) > PATIENCE)
            .count()
    }

    /// When the first request that was sent after `after` and answered was answered.
    pub fn first_answer(&self, after: Instant) -> Option<Instant> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut later = record.sent.iter().filter(|s| s.at >= after);
        later.find_map(|s| s.answered)
    }

    /// Sends no more, waits for the last answers, and tells what happened.
    pub fn stop(mut self) -> PingReport {
        self.end();
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        report(&record)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Display for PingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} lost", self.lost.len(), self.sent)?;
        if let Some(first) = self.lost.first() {
            write!(
                f,
                ", first {:.3} s after the start, longest gap {} ms",
                first.at.as_secs_f64(),
                self.longest_gap.as_millis()
            )?;
            if let Some(refused) = self.lost.iter().find_map(|l| l.refused.as_ref()) {
                write!(f, " ({refused})")?;
            }
        }
        Ok(())
    }
}

fn report(record: &Record) -> PingReport {
    let Some(start) = record.sent.first().map(|s| s.at) else {
        return PingReport {
            sent: 0,
            lost: Vec::new(),
            duplicates: 0,
            longest_gap: Duration::ZERO,
            slowest: Duration::ZERO,
        };
    };
    let mut lost = Vec::new();
    let (mut longest_gap, mut slowest) = (Duration::ZERO, Duration::ZERO);
    let mut gap_from: Option<Instant> = None;
    for (sequence, sent) in (0_u64..).zip(&record.sent) {
        if let Some(from) = gap_from {
            longest_gap = longest_gap.max(sent.at - from);
        }
        match sent
            .answered
            .filter(|answered| *answered - sent.at < PATIENCE)
        {
            Some(answered) => {
                slowest = slowest.max(answered - sent.at);
                gap_from = None;
            }
            None => {
                lost.push(Loss {
                    sequence,
                    at: sent.at - start,
                    refused: sent.refused.clone(),
                });
                let from = *gap_from.get_or_insert(sent.at);
                longest_gap = longest_gap.max(sent.at + PACE - from);
            }
        }
    }
    PingReport {
        sent: record.sent.len() as u64,
        lost,
        duplicates: record.duplicates,
        longest_gap,
        slowest,
    }
}

fn open(target: IpAddr) -> std::io::Result<Socket> {
    let (domain, protocol) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(1 << 20)?;
    Ok(socket)
}

/// How to write a request and know its reply.
struct Echo {
    to: SockAddr,
    v6: bool,
    token: u64,
}

impl Echo {
    fn new(target: IpAddr) -> Echo {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Echo {
            to: SockAddr::from(SocketAddr::new(target, 0)),
            v6: target.is_ipv6(),
            token: u64::from(std::process::id()) << 32 | u64::from(number),
        }
    }

    fn request(&self, sequence: u64) -> [u8; REQUEST] {
        let mut bytes = [0; REQUEST];
        bytes[0] = if self.v6 { 128 } else { 8 };
        bytes[4..6].copy_from_slice(&self.token.to_be_bytes()[6..]);
        bytes[6..8].copy_from_slice(&sequence.to_be_bytes()[6..]);
        bytes[8..16].copy_from_slice(&self.token.to_be_bytes());
        bytes[16..24].copy_from_slice(&sequence.to_be_bytes());
        // The kernel fills in the checksum of ICMPv6 (RFC 3542 §3.1), not that of ICMP.
        if !self.v6 {
            let sum: u32 = bytes
                .chunks(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            let folded = (folded & 0xffff) + (folded >> 16);
            bytes[2..4].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        }
        bytes
    }

    /// The sequence number of the request that this packet answers. IPv4 raw sockets give the IP
    /// header too.
    fn sequence(&self, packet: &[u8]) -> Option<u64> {
        let icmp = if self.v6 {
            packet
        } else {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            packet.get(header..)?
        };
        let reply = if self.v6 { 129 } else { 0 };
        let token = icmp.get(8..16)?;
        if icmp[0] != reply || token != self.token.to_be_bytes() {
            return None;
        }
        Some(u64::from_be_bytes(icmp.get(16..24)?.try_into().ok()?))
    }
}

fn run(socket: &Socket, echo: &Echo, stop: &AtomicBool, record: &Mutex<Record>) {
    let mut due = Instant::now();
    let mut last = None;
    loop {
        let now = Instant::now();
        match last {
            None if stop.load(Ordering::Relaxed) => last = Some(now + PATIENCE),
            None if now >= due => {
                send(socket, echo, record);
                due += PACE;
            }
            Some(end) if now >= end || all_answered(record) => return,
            _ => {}
        }
        let until = last.unwrap_or(due).saturating_duration_since(now);
        let timeout = Timespec::try_from(until.min(PACE)).ok();
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        if poll(&mut fds, timeout.as_ref()).is_ok_and(|n| n > 0) {
            receive(socket, echo, record);
        }
    }
}

fn all_answered(record: &Mutex<Record>) -> bool {
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record
        .sent
        .iter()
        .all(|s| s.answered.is_some() || s.refused.is_some())
}

fn send(socket: &Socket, echo: &Echo, record: &Mutex<Record>) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = echo.request(record.sent.len() as u64);
    let at = Instant::now();
    let refused = socket.send_to(&bytes, &echo.to).err();
    record.sent.push(Sent {
        at,
        answered: None,
        refused: refused.map(|e| e.to_string()),
    });
}

fn receive(mut socket: &Socket, echo: &Echo, record: &Mutex<Record>) {
    let mut packet = [0; 512];
    while let Ok(length) = socket.read(&mut packet) {
        let now = Instant::now();
        let Some(sequence) = echo.sequence(&packet[..length]) else {
            continue;
        };
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        let Record { sent, duplicates } = &mut *record;
        match usize::try_from(sequence).ok().and_then(|i| sent.get_mut(i)) {
            Some(sent) if sent.answered.is_none() => sent.answered = Some(now),
            Some(_) => *duplicates += 1,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_losses() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let row = |n: u32, answered: Option<Duration>| Sent {
            at: start + PACE * n,
            answered: answered.map(|after| start + PACE * n + after),
            refused: None,
        };
        let after = |mark| match mark {
            '1' => Some(ms(1)),
            'l' => Some(PATIENCE),
            _ => None,
        };
        for (pattern, lost, gap) in [
            ("", 0, ms(0)),
            ("111", 0, ms(0)),
            ("101", 1, ms(10)),
            ("1001011", 3, ms(20)),
            ("0001", 3, ms(30)),
            ("1100", 2, ms(20)),
            ("1l01", 2, ms(20)),
        ] {
            let sent = (0..)
                .zip(pattern.chars())
                .map(|(n, mark)| row(n, after(mark)))
                .collect();
            let report = report(&Record {
                sent,
                duplicates: 0,
            });
            assert_eq!(
                (report.lost.len(), report.longest_gap),
                (lost, gap),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_request_is_well_formed() {
        let echo = Echo {
            to: SockAddr::from(SocketAddr::from(([192, 0, 2, 1], 0))),
            v6: false,
            token: 0x0102_0304_0506_0708,
        };
        let bytes = echo.request(9);
        let sum: u32 = bytes
            .chunks(2)
            .map(|p| u32::from(u16::from_be_bytes([p[0], p[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "checksum (RFC 1071)");
        let mut reply = vec![0x45; 20];
        reply.extend(bytes);
        assert_eq!(echo.sequence(&reply), None, "a request is no reply");
        reply[20] = 0;
        assert_eq!(echo.sequence(&reply), Some(9));
        assert_eq!(echo.sequence(&reply[..30]), None);
    }
}
