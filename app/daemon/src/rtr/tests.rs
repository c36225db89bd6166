//! The thread against a cache of a few lines, over real sockets. Nothing waits longer than it must.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tapway_model::{CacheName, Family};
use tapway_rpki::pdu::{Frame, Pdu};
use tapway_rpki::{CacheState, EventKind, Failure, RpkiState, Serial, Server, Vrp, VrpTable};

use super::*;

/// Far beyond what anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

struct Bed {
    rtr: Rtr,
    waker: Arc<Waker>,
    poller: Poller,
    table: VrpTable,
    kinds: Vec<EventKind>,
}

impl Bed {
    fn new() -> Bed {
        let waker = Arc::new(Waker::new().unwrap());
        let poller = poller(&waker).unwrap();
        Bed {
            rtr: Rtr::new(waker.clone()),
            waker,
            poller,
            table: VrpTable::default(),
            kinds: Vec::new(),
        }
    }

    /// Takes news until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Bed) -> bool) {
        let deadline = now() + DEADLINE;
        let mut ready = Vec::new();
        loop {
            self.waker.clear();
            while let Some(news) = self.rtr.take() {
                self.kinds.extend(news.events.into_iter().map(|e| e.kind));
                if let Some(update) = news.update {
                    self.table = update.table;
                }
            }
            if holds(self) {
                return;
            }
            let left = deadline.since(now());
            assert!(!left.is_zero(), "{what}: {:?}", self.rtr.statuses());
            self.poller.wait(Some(left), &mut ready).unwrap();
        }
    }

    fn state(&self) -> Option<CacheState> {
        self.rtr.statuses().first().map(|s| s.state)
    }

    fn judged(&self) -> RpkiState {
        self.table
            .validate(&"192.0.2.0/24".parse().unwrap(), Some(1))
    }
}

fn config(at: SocketAddr, host: &str) -> CacheConfig {
    CacheConfig {
        name: CacheName::new("near").unwrap(),
        server: Server {
            host: host.to_owned(),
            port: at.port(),
        },
        local_address: None,
        preference: 100,
        refresh: None,
        retry: Some(Duration::from_secs(1)),
        expire: None,
    }
}

/// The next connection and its first question.
fn asked(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let question = question(&mut stream);
    (stream, question)
}

fn question(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while Frame::next(&bytes).unwrap().is_none() {
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    bytes
}

fn say(stream: &mut TcpStream, pdus: &[Pdu<'_>]) {
    let mut bytes = Vec::new();
    for pdu in pdus {
        pdu.write(1, &mut bytes);
    }
    stream.write_all(&bytes).unwrap();
}

fn answer(stream: &mut TcpStream, serial: u32, announce: &[u32]) {
    let mut pdus = vec![Pdu::CacheResponse { session: 1 }];
    pdus.extend(announce.iter().map(|asn| Pdu::Prefix {
        announce: true,
        vrp: Vrp::new("192.0.2.0/24".parse().unwrap(), 24, *asn),
    }));
    pdus.push(Pdu::EndOfData {
        session: 1,
        serial: Serial(serial),
        timing: None,
    });
    say(stream, &pdus);
}

#[test]
fn a_cache_is_asked_lost_and_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut bed = Bed::new();
    // Of a name's addresses the first one may be of a family that nobody listens on.
    bed.rtr.set(vec![config(at, "localhost")]);
    let (mut stream, question_1) = asked(&listener);
    let frame = Frame::next(&question_1).unwrap().unwrap();
    assert_eq!(frame.pdu, Some(Pdu::ResetQuery));
    answer(&mut stream, 5, &[2]);
    bed.until("synced", |bed| bed.state() == Some(CacheState::Synced));
    assert_eq!(bed.judged(), RpkiState::Invalid);
    // News.
    let notify = Pdu::SerialNotify {
        session: 1,
        serial: Serial(6),
    };
    say(&mut stream, &[notify]);
    let query = Some(Pdu::SerialQuery {
        session: 1,
        serial: Serial(5),
    });
    let news = question(&mut stream);
    assert_eq!(Frame::next(&news).unwrap().unwrap().pdu, query);
    answer(&mut stream, 6, &[1]);
    bed.until("news", |bed| bed.judged() == RpkiState::Valid);
    // Lost: what it said stays, and it is asked for what is new.
    drop(stream);
    bed.until("lost", |bed| bed.state() == Some(CacheState::Waiting));
    assert_eq!(bed.judged(), RpkiState::Valid);
    let (stream, question_2) = asked(&listener);
    let query = Some(Pdu::SerialQuery {
        session: 1,
        serial: Serial(6),
    });
    assert_eq!(Frame::next(&question_2).unwrap().unwrap().pdu, query);
    // Not configured any more: closed, and nothing of it counts.
    bed.rtr.set(Vec::new());
    bed.until("gone", |bed| bed.table.is_empty());
    assert_eq!(bed.rtr.statuses(), []);
    let mut stream = stream;
    assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0);
}

#[test]
fn nobody_is_there() {
    // A port that nobody listens on: it is bound and not listening.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let mut bed = Bed::new();
    bed.rtr.set(vec![config(at, "127.0.0.1")]);
    bed.until("refused", |bed| !bed.kinds.is_empty());
    let [EventKind::Failed { failure, .. }, ..] = bed.kinds.as_slice() else {
        panic!("{:?}", bed.kinds);
    };
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure}");
    let shown = bed.rtr.statuses()[0].failure.as_ref().unwrap().to_string();
    assert!(shown.contains("refused"), "{shown}");
    // A name that cannot be.
    let mut nameless = config(at, "127.0.0.1");
    nameless.server.host = "name.invalid".to_owned();
    bed.kinds.clear();
    bed.rtr.set(vec![nameless]);
    bed.until("no such name", |bed| !bed.kinds.is_empty());
    // An address of the other family.
    let mut other = config(at, "localhost");
    other.server.host = "127.0.0.1".to_owned();
    other.local_address = Some("::1".parse().unwrap());
    bed.kinds.clear();
    bed.rtr.set(vec![other]);
    let other_family = |kind: &EventKind| kind.to_string().contains("no address of a family");
    bed.until("other family", |bed| bed.kinds.iter().any(other_family));
}

#[test]
fn a_large_set_comes_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut bed = Bed::new();
    bed.rtr.set(vec![config(at, "127.0.0.1")]);
    let (mut stream, _) = asked(&listener);
    let mut bytes = Vec::new();
    Pdu::CacheResponse { session: 1 }.write(1, &mut bytes);
    for n in 0..100_000u32 {
        let addr = std::net::Ipv4Addr::from(n << 8);
        let prefix = tapway_model::Prefix::truncated(addr.into(), 24);
        let vrp = Vrp::new(prefix, 24, n + 1);
        Pdu::Prefix {
            announce: true,
            vrp,
        }
        .write(1, &mut bytes);
    }
    Pdu::EndOfData {
        session: 1,
        serial: Serial(1),
        timing: None,
    }
    .write(1, &mut bytes);
    stream.write_all(&bytes).unwrap();
    bed.until("all", |bed| !bed.table.is_empty());
    assert_eq!(bed.table.len(Family::Ipv4), 100_000);
}

#[test]
fn a_loop_that_is_busy_misses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut bed = Bed::new();
    bed.rtr.set(vec![config(at, "127.0.0.1")]);
    let (mut stream, _) = asked(&listener);
    answer(&mut stream, 1, &[2]);
    for serial in [2, 3] {
        let notify = Pdu::SerialNotify {
            session: 1,
            serial: Serial(serial),
        };
        say(&mut stream, &[notify]);
        // It asks after it has taken the last answer, of which nobody took the news.
        question(&mut stream);
        let announce: &[u32] = if serial == 2 { &[3] } else { &[1] };
        answer(&mut stream, serial, announce);
    }
    bed.until("all of it", |bed| bed.judged() == RpkiState::Valid);
    assert_eq!(bed.table.len(Family::Ipv4), 3);
    let synced = |kind: &&EventKind| matches!(kind, EventKind::Synced { .. });
    assert_eq!(bed.kinds.iter().filter(synced).count(), 3);
}
