//! Caches that answer well, badly or not at all, on a clock of our own.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use tapway_model::{Family, Prefix};

use super::*;
use crate::cache::CacheState;
use crate::config::Timing;
use crate::pdu::{ErrorCode, Frame, Pdu};
use crate::serial::Serial;
use crate::state::RpkiState;
use crate::vrp::Vrp;

mod bad;
mod session;
mod several;

fn vrp(prefix: &str, asn: u32) -> Vrp {
    let prefix: Prefix = prefix.parse().unwrap();
    Vrp::new(prefix, prefix.len(), asn).unwrap()
}

const A: &str = "192.0.2.0/24";
const B: &str = "198.51.100.0/24";

fn config(name: &str, preference: u8) -> CacheConfig {
    CacheConfig {
        name: CacheName::new(name).unwrap(),
        server: Server {
            host: name.to_owned(),
            port: 323,
        },
        local_address: None,
        preference,
        refresh: None,
        retry: None,
        expire: None,
    }
}

use alloc::borrow::ToOwned;

/// What the shell was told, in short.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Connect(ConnId, String),
    Asked(ConnId, Query),
    Error(ConnId, ErrorCode),
    Close(ConnId),
    Told(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Query {
    All(u8),
    News(u8, u16, u32),
}

struct Bed {
    caches: Caches,
    now: Instant,
    table: VrpTable,
}

impl Bed {
    fn new(configs: impl Into<Vec<CacheConfig>>) -> Bed {
        let mut bed = Bed {
            caches: Caches::new(7),
            now: Instant::ZERO,
            table: VrpTable::default(),
        };
        bed.caches.set(bed.now, configs.into());
        bed
    }

    /// Everything that is to be done.
    fn done(&mut self) -> Vec<Did> {
        let mut all = Vec::new();
        while let Some(action) = self.caches.poll_action() {
            all.push(match action {
                Action::Connect { conn, cache, .. } => Did::Connect(conn, cache.to_string()),
                Action::Close { conn } => Did::Close(conn),
                Action::Tell(event) => Did::Told(format!("{}: {}", event.cache, event.kind)),
                Action::Send { conn, bytes } => {
                    let frame = Frame::next(&bytes).unwrap().unwrap();
                    assert_eq!(frame.bytes.len(), bytes.len(), "one PDU at a time");
                    match frame.pdu {
                        Some(Pdu::ResetQuery) => Did::Asked(conn, Query::All(frame.version)),
                        Some(Pdu::SerialQuery { session, serial }) => {
                            Did::Asked(conn, Query::News(frame.version, session, serial.0))
                        }
                        Some(Pdu::ErrorReport { code, .. }) => Did::Error(conn, code),
                        other => panic!("a router does not say {other:?}"),
                    }
                }
            });
        }
        if let Some(update) = self.caches.poll_update() {
            self.table = update.table;
        }
        all
    }

    /// The same without what people are told.
    fn acts(&mut self) -> Vec<Did> {
        let mut all = self.done();
        all.retain(|did| !matches!(did, Did::Told(_)));
        all
    }

    fn told(&mut self) -> Vec<String> {
        let all = self.done().into_iter();
        all.filter_map(|did| match did {
            Did::Told(text) => Some(text),
            _ => None,
        })
        .collect()
    }

    /// The connection that is asked for, opened.
    fn open(&mut self) -> ConnId {
        let done = self.acts();
        let Some(Did::Connect(conn, _)) = done.last() else {
            panic!("nobody connects: {done:?}");
        };
        self.caches.handle_connected(self.now, *conn);
        *conn
    }

    fn say(&mut self, conn: ConnId, version: u8, pdus: &[Pdu<'_>]) {
        let mut bytes = Vec::new();
        for pdu in pdus {
            pdu.write(version, &mut bytes);
        }
        self.caches.handle_data(self.now, conn, &bytes);
    }

    /// An answer.
    fn answer(&mut self, conn: ConnId, session: u16, serial: u32, content: &[(bool, Vrp)]) {
        let mut pdus = vec![Pdu::CacheResponse { session }];
        pdus.extend(content.iter().map(|(announce, vrp)| Pdu::Prefix {
            announce: *announce,
            vrp: Some(*vrp),
        }));
        pdus.push(end(session, serial));
        self.say(conn, 1, &pdus);
    }

    /// A cache that is connected and said `content`.
    fn synced(content: &[Vrp]) -> (Bed, ConnId) {
        let mut bed = Bed::new([config("a", 100)]);
        let conn = bed.open();
        let content: Vec<_> = content.iter().map(|vrp| (true, *vrp)).collect();
        bed.answer(conn, 1, 10, &content);
        bed.done();
        (bed, conn)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.caches.handle_timeout(self.now);
    }

    fn states(&self) -> Vec<CacheState> {
        self.caches.statuses().map(|s| s.state).collect()
    }

    /// How AS 1 fares with the two prefixes.
    fn judged(&mut self) -> [RpkiState; 2] {
        self.done();
        [A, B].map(|p| self.table.validate(&p.parse().unwrap(), Some(1)))
    }
}

fn end(session: u16, serial: u32) -> Pdu<'static> {
    Pdu::EndOfData {
        session,
        serial: Serial(serial),
        timing: Some(Timing::default()),
    }
}
