//! One cache: its session and what it says (RFC 8210 §5 to §8).
//!
//! ```text
//!  Resting <-> Waiting -> Connecting -> Asked -> Receiving -> Synced
//!                 ^                       ^------- refresh, notify -|
//!                 '---- whatever fails, at whatever time -----------'
//! ```
//!
//! An answer is gathered and taken as a whole when its End of Data comes, or not at all. What a cache said stays while it
//! is asked anew, cannot be reached or sends nonsense, until the expire interval is over. Here we differ from the
//! RFC's word (§5.1), which has a router forget everything at once when the session id changes: the new set takes the
//! place of the old one in one go, so that no route is without a state in between.

mod answer;

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{CacheName, Family, Instant};

use crate::caches::{Action, ConnId, Shared};
use crate::config::{CacheConfig, Timing};
use crate::event::{EventKind, Failure};
use crate::pdu::{self, Pdu};
use crate::serial::Serial;
use crate::set::{Changes, VrpSet};

/// Records that one answer, and all that a cache says, may have: some times what the whole internet has.
pub const MAX_RECORDS: usize = 2_000_000;
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(30);
/// How long the beginning of an answer, or one more PDU of it, may take.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a whole answer may take.
const ANSWER: Duration = Duration::from_secs(900);
/// The first time between attempts to connect; it doubles up to the retry interval.
const RECONNECT: Duration = Duration::from_secs(1);
/// The shortest time between an answer and the next question, however often the cache says that there is news.
const NEWS: Duration = Duration::from_secs(1);
/// Bytes of an error's text that are kept.
const TEXT: usize = 200;

/// What a cache is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// It is not needed.
    Resting,
    /// It failed, and is asked again later.
    Waiting,
    /// The connection is being made.
    Connecting,
    /// It was asked.
    Asked,
    /// It answers.
    Receiving,
    /// It said everything.
    Synced,
}

impl CacheState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            CacheState::Resting => "resting",
            CacheState::Waiting => "waiting",
            CacheState::Connecting => "connecting",
            CacheState::Asked => "asked",
            CacheState::Receiving => "receiving",
            CacheState::Synced => "synced",
        }
    }
}

/// A cache as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// Its settings.
    pub config: CacheConfig,
    /// What it is doing.
    pub state: CacheState,
    /// The protocol version, once it is agreed on.
    pub version: Option<u8>,
    /// Session and serial of what it said.
    pub session: Option<(u16, Serial)>,
    /// VRPs that it says: IPv4, IPv6.
    pub records: [usize; 2],
    /// When it said so last.
    pub updated: Option<Instant>,
    /// When it is asked next.
    pub next: Option<Instant>,
    /// When what it said does not count any more.
    pub expires: Option<Instant>,
    /// The intervals that hold.
    pub timing: Timing,
    /// What went wrong since it said everything.
    pub failure: Option<Failure>,
}

/// A cache.
#[derive(Debug)]
pub(crate) struct Cache {
    config: CacheConfig,
    phase: Phase,
    /// The version that is spoken, or tried.
    version: u8,
    /// The cache speaks it.
    agreed: bool,
    /// Anything came on this connection.
    heard: bool,
    /// The beginning of a PDU.
    partial: Vec<u8>,
    said: Option<Said>,
    /// Session and serial are not to be built on: the next question is for all.
    anew: bool,
    /// Attempts since it said everything.
    failures: u32,
    failure: Option<Failure>,
    /// What it told, and what holds.
    told: Option<Timing>,
    timing: Timing,
}

/// What a cache said.
#[derive(Debug)]
struct Said {
    session: u16,
    serial: Serial,
    set: VrpSet,
    updated: Instant,
    expires: Instant,
}

#[derive(Debug)]
enum Phase {
    Resting,
    Waiting {
        until: Instant,
    },
    Connecting {
        conn: ConnId,
        until: Instant,
    },
    Asked {
        conn: ConnId,
        until: Instant,
        all: bool,
    },
    Receiving(Receiving),
    Synced {
        conn: ConnId,
        refresh: Instant,
    },
}

#[derive(Debug)]
struct Receiving {
    conn: ConnId,
    /// The next PDU must be there.
    pause: Instant,
    /// All of them must be there.
    until: Instant,
    session: u16,
    all: bool,
    changes: Changes,
    /// Meanwhile it said that there is more.
    news: Option<Serial>,
}

/// When to try again.
enum Again {
    /// The cache answered, wrongly.
    Retry,
    /// It could not be asked.
    Reconnect,
}

impl Cache {
    pub(crate) fn new(config: CacheConfig) -> Cache {
        Cache {
            told: None,
            timing: config.timing(None),
            config,
            phase: Phase::Resting,
            version: pdu::VERSION,
            agreed: false,
            heard: false,
            partial: Vec::new(),
            said: None,
            anew: false,
            failures: 0,
            failure: None,
        }
    }

    pub(crate) fn name(&self) -> &CacheName {
        &self.config.name
    }

    pub(crate) fn preference(&self) -> u8 {
        self.config.preference
    }

    /// What it says.
    pub(crate) fn set(&self) -> Option<&VrpSet> {
        self.said.as_ref().map(|said| &said.set)
    }

    /// Its present connection.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match &self.phase {
            Phase::Resting | Phase::Waiting { .. } => None,
            Phase::Connecting { conn, .. }
            | Phase::Asked { conn, .. }
            | Phase::Synced { conn, .. }
            | Phase::Receiving(Receiving { conn, .. }) => Some(*conn),
        }
    }

    /// Whether others are needed in its place.
    pub(crate) fn fails(&self) -> bool {
        self.failures > 0
    }

    /// Whether others are not needed: it said everything, and can be asked.
    pub(crate) fn is_synced(&self) -> bool {
        self.failures == 0 && self.said.is_some() && self.conn().is_some()
    }

    pub(crate) fn set_config(&mut self, shared: &mut Shared, now: Instant, config: CacheConfig) {
        let old = core::mem::replace(&mut self.config, config);
        let new = &self.config;
        let moved = (&old.server, old.local_address) != (&new.server, new.local_address);
        let paced = (old.refresh, old.retry, old.expire) != (new.refresh, new.retry, new.expire);
        if moved && !matches!(self.phase, Phase::Resting) {
            // What the old one said counts until the new one has said everything.
            self.hang_up(shared);
            self.version = pdu::VERSION;
            self.anew = true;
            self.failures = 0;
            self.failure = None;
            self.phase = Phase::Waiting { until: now };
        }
        if paced {
            self.timing = self.config.timing(self.told);
            if let Some(said) = &mut self.said {
                said.expires = said.updated + self.timing.expire;
                if let Phase::Synced { refresh, .. } = &mut self.phase {
                    *refresh = said.updated + self.timing.refresh;
                }
            }
        }
    }

    /// It is not configured any more.
    pub(crate) fn remove(&mut self, shared: &mut Shared) {
        self.hang_up(shared);
        shared.dirty |= self.said.take().is_some();
    }

    /// It is not needed.
    pub(crate) fn rest(&mut self, shared: &mut Shared) {
        if matches!(self.phase, Phase::Resting) && self.said.is_none() {
            return;
        }
        self.remove(shared);
        self.phase = Phase::Resting;
        self.failures = 0;
        self.failure = None;
        shared.tell(&self.config.name, EventKind::Rests);
    }

    /// It is needed.
    pub(crate) fn wake(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Resting) {
            self.phase = Phase::Waiting { until: now };
        }
    }

    /// Connects when it is time.
    pub(crate) fn begin(&mut self, shared: &mut Shared, now: Instant) {
        if let Phase::Waiting { until } = self.phase
            && until <= now
        {
            let conn = shared.conn();
            self.agreed = false;
            self.heard = false;
            self.partial = Vec::new();
            self.phase = Phase::Connecting {
                conn,
                until: now + CONNECT,
            };
            shared.act(Action::Connect {
                conn,
                cache: self.config.name.clone(),
                server: self.config.server.clone(),
                local_address: self.config.local_address,
            });
        }
    }

    pub(crate) fn connected(&mut self, shared: &mut Shared, now: Instant) {
        if let Phase::Connecting { conn, .. } = self.phase {
            self.ask(shared, now, conn);
        }
    }

    pub(crate) fn unreachable(&mut self, shared: &mut Shared, now: Instant, why: &str) {
        self.failed(
            shared,
            now,
            Failure::Unreachable(why.to_owned()),
            Again::Reconnect,
        );
    }

    pub(crate) fn closed(&mut self, shared: &mut Shared, now: Instant, why: &str) {
        if self.agreed {
            // It may come back as something newer.
            self.version = pdu::VERSION;
        } else if !self.heard {
            // Some end the connection when they do not know the version (RFC 8210 §7).
            self.version = pdu::VERSION - self.version;
        }
        self.phase = Phase::Waiting { until: now };
        self.failed(
            shared,
            now,
            Failure::Closed(why.to_owned()),
            Again::Reconnect,
        );
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Resting => None,
            Phase::Waiting { until }
            | Phase::Connecting { until, .. }
            | Phase::Asked { until, .. }
            | Phase::Synced { refresh: until, .. } => Some(*until),
            Phase::Receiving(r) => Some(r.pause.min(r.until)),
        };
        let expires = self.said.as_ref().map(|said| said.expires);
        [phase, expires].into_iter().flatten().min()
    }

    pub(crate) fn timeout(&mut self, shared: &mut Shared, now: Instant) {
        match &self.phase {
            Phase::Connecting { until, .. } if *until <= now => {
                self.unreachable(shared, now, "no answer within 30 s");
            }
            Phase::Asked { until, .. } if *until <= now => {
                self.silent(shared, now, "no answer to a question within 60 s");
            }
            Phase::Receiving(r) if r.until <= now => {
                self.silent(shared, now, "an answer was not at its end after 15 minutes");
            }
            Phase::Receiving(r) if r.pause <= now => {
                self.silent(shared, now, "silent for 60 s in the middle of an answer");
            }
            Phase::Synced { conn, refresh } if *refresh <= now => {
                let conn = *conn;
                self.ask(shared, now, conn);
            }
            _ => {}
        }
        if let Some(old) = self.said.take_if(|said| said.expires <= now) {
            let records = count(&old.set);
            shared.dirty = true;
            shared.tell(&self.config.name, EventKind::Expired { records });
            // What is new counts from what is gone.
            let builds_on_it = match &self.phase {
                Phase::Asked { all, .. } | Phase::Receiving(Receiving { all, .. }) => !all,
                _ => false,
            };
            if builds_on_it {
                self.silent(shared, now, "an answer came too late for what it builds on");
            }
        }
    }

    fn silent(&mut self, shared: &mut Shared, now: Instant, what: &'static str) {
        self.failed(shared, now, Failure::Silent(what), Again::Retry);
    }

    /// Asks for what is new, or for all.
    fn ask(&mut self, shared: &mut Shared, now: Instant, conn: ConnId) {
        let known = self.said.as_ref().filter(|_| !self.anew);
        let question = match known {
            Some(said) => Pdu::SerialQuery {
                session: said.session,
                serial: said.serial,
            },
            None => Pdu::ResetQuery,
        };
        self.phase = Phase::Asked {
            conn,
            until: now + PAUSE,
            all: known.is_none(),
        };
        let mut bytes = Vec::new();
        question.write(self.version, &mut bytes);
        shared.act(Action::Send { conn, bytes });
    }

    fn failed(&mut self, shared: &mut Shared, now: Instant, failure: Failure, again: Again) {
        self.hang_up(shared);
        let again = match again {
            Again::Retry => self.timing.retry,
            Again::Reconnect => {
                let doubled = RECONNECT * 2u32.pow(self.failures.min(12));
                doubled.min(self.timing.retry)
            }
        };
        let again = shared.jittered(again);
        self.failures += 1;
        if self.failure.as_ref() != Some(&failure) {
            let event = EventKind::Failed {
                failure: failure.clone(),
                again,
                kept: self.said.as_ref().map_or(0, |said| count(&said.set)),
            };
            shared.tell(&self.config.name, event);
        }
        self.failure = Some(failure);
        self.phase = Phase::Waiting { until: now + again };
    }

    fn hang_up(&mut self, shared: &mut Shared) {
        if let Some(conn) = self.conn() {
            shared.act(Action::Close { conn });
        }
        self.partial = Vec::new();
    }

    pub(crate) fn status(&self) -> CacheStatus {
        let (state, next) = match &self.phase {
            Phase::Resting => (CacheState::Resting, None),
            Phase::Waiting { until } => (CacheState::Waiting, Some(*until)),
            Phase::Connecting { .. } => (CacheState::Connecting, None),
            Phase::Asked { .. } => (CacheState::Asked, None),
            Phase::Receiving(_) => (CacheState::Receiving, None),
            Phase::Synced { refresh, .. } => (CacheState::Synced, Some(*refresh)),
        };
        let said = self.said.as_ref();
        CacheStatus {
            config: self.config.clone(),
            state,
            version: self.agreed.then_some(self.version),
            session: said.map(|said| (said.session, said.serial)),
            records: Family::ALL.map(|family| said.map_or(0, |said| said.set.len(family))),
            updated: said.map(|said| said.updated),
            next,
            expires: said.map(|said| said.expires),
            timing: self.timing,
            failure: self.failure.clone(),
        }
    }
}

fn count(set: &VrpSet) -> usize {
    Family::ALL.into_iter().map(|family| set.len(family)).sum()
}
