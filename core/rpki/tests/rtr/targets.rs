//! What must hold for any bytes at all. The fuzzer calls this, and so does the corpus test.

use std::time::Duration;

use tapway_model::{CacheName, Family, Instant};
use tapway_rpki::pdu::{Frame, Pdu};
use tapway_rpki::{Action, CacheConfig, Caches, ConnId, RpkiState, Serial, Server, Vrp, VrpTable};

/// A byte that says how it comes, and what a cache sends.
pub(crate) fn rtr(data: &[u8]) {
    let Some((&how, stream)) = data.split_first() else {
        return;
    };
    written_again(stream);
    Bed::new(how).run(stream);
}

/// What was read and is written again is read as the same.
fn written_again(mut stream: &[u8]) {
    while let Ok(Some(frame)) = Frame::next(stream) {
        stream = &stream[frame.bytes.len()..];
        let Some(pdu) = frame.pdu else { continue };
        let mut bytes = Vec::new();
        pdu.write(frame.version, &mut bytes);
        match pdu {
            Pdu::Ignored | Pdu::Prefix { vrp: None, .. } => assert!(bytes.is_empty()),
            // Long texts are cut.
            Pdu::ErrorReport { text, .. } if text.len() > 1024 => {}
            pdu => {
                let again = Frame::next(&bytes).expect("a PDU").expect("all of it");
                assert_eq!(again.pdu, Some(pdu));
                assert_eq!(again.bytes.len(), bytes.len());
            }
        }
    }
}

struct Bed {
    caches: Caches,
    now: Instant,
    conn: Option<ConnId>,
    table: VrpTable,
    /// Bytes that come at a time.
    piece: usize,
    /// It has said something before.
    warm: bool,
}

impl Bed {
    fn new(how: u8) -> Bed {
        let mut caches = Caches::new(how.into());
        let config = CacheConfig {
            name: CacheName::new("a").expect("a name"),
            server: Server {
                host: "a".into(),
                port: 323,
            },
            local_address: None,
            preference: 100,
            refresh: None,
            retry: None,
            expire: None,
        };
        caches.set(Instant::ZERO, vec![config]);
        Bed {
            caches,
            now: Instant::ZERO,
            conn: None,
            table: VrpTable::default(),
            piece: usize::from(how >> 1) + 1,
            warm: how & 1 == 1,
        }
    }

    fn run(mut self, stream: &[u8]) {
        self.settle(0);
        if self.warm {
            self.say_something();
        }
        for piece in stream.chunks(self.piece) {
            if let Some(conn) = self.conn {
                self.caches.handle_data(self.now, conn, piece);
            }
            self.settle(piece.len());
        }
        // Whatever it said, it is asked again, and forgotten in the end.
        for _ in 0..40 {
            let Some(next) = self.caches.poll_timeout() else {
                break;
            };
            self.now = next.max(self.now);
            self.caches.handle_timeout(self.now);
            self.settle(0);
        }
        if let Some(conn) = self.conn.take() {
            self.caches.handle_closed(self.now, conn, "over");
            self.settle(0);
        }
        self.now = self.now + Duration::from_secs(172_801);
        self.caches.handle_timeout(self.now);
        self.settle(0);
        assert!(self.table.is_empty());
    }

    /// An answer before the one that is looked at, so that that one builds on it.
    fn say_something(&mut self) {
        let vrp = |text: &str| Vrp::new(text.parse().expect("a prefix"), 24, 64500);
        let mut bytes = Vec::new();
        for pdu in [
            Pdu::CacheResponse { session: 1 },
            Pdu::Prefix {
                announce: true,
                vrp: vrp("192.0.2.0/24"),
            },
            Pdu::EndOfData {
                session: 1,
                serial: Serial(1),
                timing: None,
            },
        ] {
            pdu.write(1, &mut bytes);
        }
        let conn = self.conn.expect("a connection");
        self.caches.handle_data(self.now, conn, &bytes);
        self.settle(bytes.len());
        assert_eq!(self.table.len(Family::Ipv4), 1);
        self.now = self.now + Duration::from_secs(3600);
        self.caches.handle_timeout(self.now);
        self.settle(0);
    }

    /// Does what is to be done: never much for few bytes.
    fn settle(&mut self, bytes: usize) {
        let mut actions = 0;
        while let Some(action) = self.caches.poll_action() {
            actions += 1;
            match action {
                Action::Connect { conn, .. } => {
                    assert_eq!(self.conn, None, "one connection at a time");
                    self.conn = Some(conn);
                    self.caches.handle_connected(self.now, conn);
                }
                Action::Close { conn } => {
                    assert_eq!(self.conn, Some(conn));
                    self.conn = None;
                }
                Action::Send { conn, bytes } => {
                    assert_eq!(self.conn, Some(conn));
                    let frame = Frame::next(&bytes).expect("a PDU").expect("all of it");
                    assert_eq!(frame.bytes.len(), bytes.len());
                }
                Action::Tell(event) => drop(event.kind.to_string()),
            }
        }
        assert!(actions <= 8 + bytes, "{actions} for {bytes} bytes");
        if let Some(update) = self.caches.poll_update() {
            assert!(!update.changed.is_empty());
            self.table = update.table;
        }
        let said: usize = self.caches.statuses().flat_map(|s| s.records).sum();
        let held: usize = Family::ALL.into_iter().map(|f| self.table.len(f)).sum();
        assert_eq!(held, said);
        for prefix in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32"] {
            let prefix = prefix.parse().expect("a prefix");
            let covered = self.table.covering(prefix).next().is_some();
            let state = self.table.validate(&prefix, Some(64500));
            assert_eq!(state != RpkiState::NotFound, covered);
        }
    }
}
