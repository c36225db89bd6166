//! Collectors over real sockets, with a speaker that has no peers of its own. Nothing waits longer than it must.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use tapway_bgp::config::SpeakerConfig;
use tapway_bgp::{
    Announcement, AnnouncementId, ConnInfo, MonitoredSession, SourceId, Speaker, StartKind,
};
use tapway_bmp::{Message, Server, Tables};
use tapway_model::{ClaimKind, Domain, NetworkName, PeerName, Prefix};
use tapway_sys::poll::{Interest, Poller};

use super::*;
use crate::monitors::time;

/// Far beyond what anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often is looked at what wakes nobody.
const LOOK: Duration = Duration::from_millis(20);

struct Bed {
    collectors: Collectors,
    speaker: Speaker,
    waker: Arc<Waker>,
    poller: Poller,
    events: Vec<Event>,
    /// The most that ever waited.
    most: usize,
}

impl Bed {
    fn new() -> Bed {
        let waker = Arc::new(Waker::new().unwrap());
        let poller = Poller::new().unwrap();
        poller.add(&*waker, 0, Interest::READ).unwrap();
        let us = Us {
            name: "hv1".to_owned(),
            description: "tapway".to_owned(),
        };
        let config = SpeakerConfig {
            asn: 65000,
            router_id: [192, 0, 2, 1].into(),
            graceful_restart: None,
            decision: tapway_bgp::config::Decision::default(),
            cluster_id: None,
        };
        Bed {
            collectors: Collectors::new(us, waker.clone()),
            speaker: Speaker::new(config, 7, StartKind::Cold),
            waker,
            poller,
            events: Vec::new(),
            most: 0,
        }
    }

    fn set(&mut self, configs: Vec<CollectorConfig>) {
        self.collectors.set(time(), configs, &mut self.speaker);
    }

    /// What the loop does in a turn.
    fn turn(&mut self) -> bool {
        let (time, speaker) = (time(), &mut self.speaker);
        let begun = self.collectors.listen(time, speaker, |speaker, more| {
            speaker.set_monitor(speaker.monitor().and(more));
        });
        while let Some(report) = speaker.poll_report() {
            self.collectors.report(time, &report);
        }
        let (dropped, more) = self.collectors.work(time, speaker);
        self.events.extend(begun);
        self.events.extend(dropped);
        let waiting = self.collectors.statuses().map(|s| s.waiting).max();
        self.most = self.most.max(waiting.unwrap_or_default());
        more
    }

    /// Turns until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Bed) -> bool) {
        let deadline = time().now + DEADLINE;
        let mut ready = Vec::new();
        loop {
            self.waker.clear();
            let more = self.turn();
            if holds(self) {
                return;
            }
            let left = deadline.since(time().now);
            assert!(!left.is_zero(), "{what}: {:?}", self.status());
            // Not everything wakes the loop: that bytes are written does not, while it has nothing more to do.
            let left = if more { Duration::ZERO } else { left.min(LOOK) };
            self.poller.wait(Some(left), &mut ready).unwrap();
        }
    }

    fn status(&self) -> CollectorStatus {
        self.collectors.statuses().next().unwrap()
    }

    fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|e| e.kind).collect()
    }

    fn announce(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let announcement = Announcement {
                id: id(number),
                kind: ClaimKind::Address,
                network: NetworkName::new("default").unwrap(),
                peers: None,
                instances: Vec::new(),
                tags: Vec::new(),
                next_hop: None,
            };
            self.speaker.announce(time().now, announcement);
        }
    }
}

fn id(number: u32) -> AnnouncementId {
    AnnouncementId {
        domain: Domain::MAIN,
        prefix: Prefix::host(Ipv4Addr::from(0x0a00_0000 + number).into()),
    }
}

fn config(at: SocketAddr, tables: Tables) -> CollectorConfig {
    CollectorConfig {
        name: CollectorName::new("noc").unwrap(),
        server: Server {
            host: at.ip().to_string(),
            port: at.port(),
        },
        local_address: None,
        tables,
        statistics: None,
        retry: Duration::from_secs(1),
        buffer: 1 << 20,
    }
}

const BEST: Tables = Tables {
    received: false,
    imported: false,
    sent: false,
    best: true,
};
const RECEIVED: Tables = Tables {
    received: true,
    imported: false,
    sent: false,
    best: false,
};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Words for all messages until the other side closes, or `last` was said.
fn hear(stream: &mut TcpStream, last: &str) -> Vec<String> {
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        while let Some((length, message)) = Message::decode(&bytes).unwrap() {
            words.push(match &message {
                Message::RouteMonitoring(_, update) if update.len() == 23 => "end v4".to_owned(),
                Message::RouteMonitoring(_, update) if update.len() == 29 => "end v6".to_owned(),
                Message::RouteMonitoring(_, update) => format!("routes {}", update.len()),
                Message::PeerUp(peer, ..) if peer.loc_rib => "up best".to_owned(),
                Message::PeerUp(..) => "up".to_owned(),
                Message::PeerDown(..) => "down".to_owned(),
                Message::Initiation(_) => "begin".to_owned(),
                Message::Termination(_) => "over".to_owned(),
                other => format!("{other:?}"),
            });
            bytes.drain(..length);
            if words.last().is_some_and(|word| word == last) {
                return words;
            }
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return words,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A session that the speaker does not know: what it reports is made here.
fn session() -> Arc<MonitoredSession> {
    Arc::new(MonitoredSession {
        peer: PeerName::new("tor1").unwrap(),
        source: SourceId::LOCAL,
        ends: ConnInfo {
            local: "192.0.2.1:179".parse().unwrap(),
            remote: "192.0.2.2:40000".parse().unwrap(),
            ifindex: 0,
        },
        asn: 65001,
        local_asn: 65000,
        router_id: [192, 0, 2, 2].into(),
        decode: Default::default(),
        encode: Default::default(),
        our_open: open(),
        peer_open: open(),
        since: time().now,
    })
}

fn open() -> Vec<u8> {
    let mut message = vec![0xff; 29];
    message[16..].copy_from_slice(&[0, 29, 1, 4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 2, 0]);
    message
}

/// An UPDATE that withdraws much.
fn large_update() -> Vec<u8> {
    let mut message = vec![0xff; 4096];
    message[16..19].copy_from_slice(&[0x10, 0x00, 2]);
    message
}

#[test]
fn a_collector_hears_everything_and_the_end() {
    let (listener, at) = listener();
    let mut bed = Bed::new();
    bed.announce(0..3);
    bed.set(vec![config(at, BEST)]);
    assert_eq!(bed.status().state, CollectorState::Connecting);
    let mut stream = accept(&listener);
    bed.until("synced", |bed| {
        matches!(bed.status().state, CollectorState::Synced(_))
    });
    assert_eq!(bed.kinds(), ["bmp.connected"]);
    let heard = hear(&mut stream, "end v6");
    assert_eq!(heard[..2], ["begin", "up best"]);
    assert!(heard.contains(&"end v4".to_owned()), "{heard:?}");
    bed.announce(3..4);
    bed.until("told", |bed| bed.status().messages == 6);
    let same = bed.collectors.statuses().map(|s| s.config).collect();
    bed.set(same);
    assert_eq!(bed.status().sessions, 1, "nothing changed");
    bed.set(Vec::new());
    assert!(bed.collectors.is_empty());
    let heard = hear(&mut stream, "");
    assert_eq!(heard[1..], ["down", "over"]);
    assert!(heard[0].starts_with("routes"), "{heard:?}");
}

#[test]
fn one_that_never_reads_is_dropped_and_counted() {
    let (listener, at) = listener();
    let mut bed = Bed::new();
    bed.set(vec![config(at, RECEIVED)]);
    let mut stream = accept(&listener);
    bed.until("synced", |bed| {
        matches!(bed.status().state, CollectorState::Synced(_))
    });
    let tor1 = session();
    bed.collectors.report(time(), &Report::Up(tor1.clone()));
    bed.turn();
    bed.until("written", |bed| bed.status().waiting == 0);
    let report = Report::Received {
        session: tor1,
        message: large_update(),
        faulty: false,
    };
    // The kernel takes some MiB for the other side; then it is full here.
    let mut told = 0;
    while bed.status().dropped == 0 {
        for _ in 0..16 {
            bed.collectors.report(time(), &report);
            told += 1;
        }
        bed.turn();
        assert!(told < 100_000, "never dropped: {:?}", bed.status());
    }
    let status = bed.status();
    assert!(bed.most <= (1 << 20) + 17 * 4200, "{} waited", bed.most);
    assert_eq!(status.waiting, 0, "nothing is kept");
    let error = status.error.unwrap();
    assert!(error.starts_with("it is too slow: "), "{error}");
    assert_eq!(bed.kinds(), ["bmp.connected", "bmp.dropped"]);
    // Reports go nowhere now, and nothing of them is kept.
    bed.collectors.report(time(), &report);
    assert_eq!(bed.status().waiting, 0);
    assert_eq!(bed.collectors.wants(), Wants::default());
    // It hears what was written before, and then begins anew.
    assert_eq!(hear(&mut stream, "up"), ["begin", "up"]);
    drop(stream);
    let mut stream = accept(&listener);
    bed.until("synced again", |bed| {
        matches!(bed.status().state, CollectorState::Synced(_))
    });
    assert_eq!(hear(&mut stream, "begin"), ["begin"]);
    let status = bed.status();
    assert_eq!((status.sessions, status.dropped), (2, 1));
    assert_eq!(status.error, None);
}

#[test]
fn what_there_was_goes_as_fast_as_the_collector_takes_it() {
    const ROUTES: u32 = 300_000;
    let (listener, at) = listener();
    let mut bed = Bed::new();
    bed.announce(0..ROUTES);
    bed.set(vec![config(at, BEST)]);
    let mut stream = accept(&listener);
    // Nothing is read until nothing more is written.
    let mut before = u64::MAX;
    bed.until("full", |bed| {
        let status = bed.status();
        let full = status.waiting > 256 << 10 && status.bytes == before;
        before = status.bytes;
        full || matches!(status.state, CollectorState::Synced(_))
    });
    // Meanwhile some go, and one comes.
    for number in 0..1000 {
        assert!(bed.speaker.withdraw(time().now, &id(number)));
    }
    bed.announce(ROUTES..ROUTES + 1);
    let reader = std::thread::spawn(move || {
        let mut bytes = 0;
        for word in hear(&mut stream, "over") {
            bytes += word
                .strip_prefix("routes ")
                .map_or(0, |len| len.parse::<usize>().unwrap());
        }
        bytes
    });
    bed.until("synced", |bed| {
        let status = bed.status();
        matches!(status.state, CollectorState::Synced(_)) && status.waiting == 0
    });
    assert!(bed.most < 1 << 20, "{} waited", bed.most);
    assert_eq!(bed.status().dropped, 0);
    bed.set(Vec::new());
    let bytes = reader.join().unwrap();
    assert!(bytes >= (ROUTES as usize - 1000) * 5, "{bytes}");
}

#[test]
fn one_that_is_not_there_is_told_once() {
    let (listener, at) = listener();
    drop(listener);
    let mut bed = Bed::new();
    bed.set(vec![config(at, BEST)]);
    bed.until("refused twice", |bed| {
        // The second wait is longer than the first one.
        matches!(bed.status().state, CollectorState::Waiting(next) if next.since(time().now) > Duration::from_millis(1100))
    });
    assert_eq!(bed.kinds(), ["bmp.failed"]);
    let error = bed.status().error.unwrap();
    assert!(error.contains("refused"), "{error}");
    let listener = TcpListener::bind(at).unwrap();
    let stream = accept(&listener);
    bed.until("synced", |bed| {
        matches!(bed.status().state, CollectorState::Synced(_))
    });
    assert_eq!(bed.status().error, None);
    drop(stream);
    bed.until("lost", |bed| bed.kinds().contains(&"bmp.lost"));
    let error = bed.status().error.unwrap();
    assert!(
        error.contains("closed") || error.contains("reset"),
        "{error}"
    );
}

#[test]
fn the_last_words_are_written_before_the_daemon_ends() {
    let (listener, at) = listener();
    let mut bed = Bed::new();
    bed.announce(0..3);
    bed.set(vec![config(at, BEST)]);
    let mut stream = accept(&listener);
    bed.until("synced", |bed| {
        matches!(bed.status().state, CollectorState::Synced(_))
    });
    bed.collectors
        .finish(time(), &mut bed.speaker, "tapwayd is stopping");
    // All is in the socket already: nobody else has to do anything for it.
    let heard = hear(&mut stream, "");
    assert_eq!(heard[heard.len() - 2..], ["down", "over"]);
}
