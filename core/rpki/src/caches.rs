//! All caches together: who is asked, and what they say.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use tapway_model::{CacheName, Instant};

use crate::cache::{Cache, CacheStatus};
use crate::config::{CacheConfig, Server};
use crate::event::{Event, EventKind};
use crate::table::{Changed, VrpTable};

/// A connection. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect, and say what came of it.
    Connect {
        /// By this number.
        conn: ConnId,
        /// The cache.
        cache: CacheName,
        /// Where to.
        server: Server,
        /// From this address.
        local_address: Option<IpAddr>,
    },
    /// Write.
    Send {
        /// Where.
        conn: ConnId,
        /// All of it. Few bytes, and never more while they wait.
        bytes: Vec<u8>,
    },
    /// Write what waits and close; or give up connecting. Nothing more is to be said of the connection.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Tell people.
    Tell(Event),
}

/// A new table.
#[derive(Clone, Debug)]
pub struct Update {
    /// All of it.
    pub table: VrpTable,
    /// What differs from the one before.
    pub changed: Changed,
}

/// All caches.
#[derive(Debug)]
pub struct Caches {
    all: BTreeMap<CacheName, Cache>,
    shared: Shared,
    /// As it was told last.
    table: VrpTable,
}

/// What the caches share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) actions: VecDeque<Action>,
    next_conn: u64,
    jitter: u64,
    /// What a cache says changed since the table was made.
    pub(crate) dirty: bool,
}

impl Shared {
    pub(crate) fn conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn tell(&mut self, cache: &CacheName, kind: EventKind) {
        self.act(Action::Tell(Event {
            cache: cache.clone(),
            kind,
        }));
    }

    /// Up to a quarter less, so that routers that lost a cache together do not come back together.
    pub(crate) fn jittered(&mut self, delay: Duration) -> Duration {
        // splitmix64
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = u32::try_from((z ^ (z >> 31)) % 256).unwrap_or(0);
        delay - delay * share / 1024
    }
}

impl Caches {
    /// No caches. `seed` decides all jitter.
    pub fn new(seed: u64) -> Caches {
        Caches {
            all: BTreeMap::new(),
            shared: Shared {
                actions: VecDeque::new(),
                next_conn: 0,
                jitter: seed,
                dirty: false,
            },
            table: VrpTable::default(),
        }
    }

    /// These are the caches from now on. One that stays keeps its connection unless it is elsewhere now; what it said
    /// counts on. What one said that is gone does not.
    pub fn set(&mut self, now: Instant, configs: Vec<CacheConfig>) {
        let mut old = core::mem::take(&mut self.all);
        for config in configs {
            let cache = match old.remove(&config.name) {
                Some(mut cache) => {
                    cache.set_config(&mut self.shared, now, config);
                    cache
                }
                None => Cache::new(config),
            };
            self.all.insert(cache.name().clone(), cache);
        }
        for (_, mut gone) in old {
            gone.remove(&mut self.shared);
        }
        self.go_on(now);
    }

    /// A connection asked for is open.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) {
        self.with(now, conn, |cache, shared| cache.connected(shared, now));
    }

    /// A connection asked for could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId, why: &str) {
        self.with(now, conn, |cache, shared| {
            cache.unreachable(shared, now, why)
        });
    }

    /// Bytes came.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        self.with(now, conn, |cache, shared| cache.data(shared, now, bytes));
    }

    /// The connection ended. The shell has let go of it already.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, why: &str) {
        self.with(now, conn, |cache, shared| cache.closed(shared, now, why));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for cache in self.all.values_mut() {
            cache.timeout(&mut self.shared, now);
        }
        self.go_on(now);
    }

    /// When [`Caches::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.all.values().filter_map(Cache::next_timeout).min()
    }

    /// What the shell has to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.shared.actions.pop_front()
    }

    /// What the caches say together, when it changed since it was told last. Takes time with many VRPs.
    pub fn poll_update(&mut self) -> Option<Update> {
        if !core::mem::take(&mut self.shared.dirty) {
            return None;
        }
        let table = VrpTable::union(self.all.values().filter_map(Cache::set));
        let changed = table.changed_from(&self.table);
        if changed.is_empty() {
            return None;
        }
        self.table = table.clone();
        Some(Update { table, changed })
    }

    /// How the caches fare, by name.
    pub fn statuses(&self) -> impl Iterator<Item = CacheStatus> + '_ {
        self.all.values().map(Cache::status)
    }

    fn with(&mut self, now: Instant, conn: ConnId, f: impl FnOnce(&mut Cache, &mut Shared)) {
        let cache = self.all.values_mut().find(|c| c.conn() == Some(conn));
        // Whoever was told to close may still say what came before.
        if let Some(cache) = cache {
            f(cache, &mut self.shared);
            self.go_on(now);
        }
    }

    /// Lets rest whom nobody needs, and wakes whom somebody does (RFC 8210 §10): a cache is needed while all that
    /// are preferred to it fail.
    fn go_on(&mut self, now: Instant) {
        let best = self
            .all
            .values()
            .filter(|c| !c.fails())
            .map(|c| c.preference())
            .min();
        let synced = self
            .all
            .values()
            .filter(|c| c.is_synced())
            .map(|c| c.preference())
            .min();
        for cache in self.all.values_mut() {
            let preference = cache.preference();
            if synced.is_some_and(|s| s < preference) {
                cache.rest(&mut self.shared);
            } else if best.is_none_or(|b| b >= preference) {
                cache.wake(now);
            }
            cache.begin(&mut self.shared, now);
        }
    }
}

#[cfg(test)]
mod tests;
