//! Collectors (BMP): which there are, what each is told, and what becomes of slow ones.
//!
//! What is told is made on the loop's thread, in its time left over; bytes are written by a thread for each collector
//! (`link`). What there was before the session is read only as fast as the collector takes it. What happens cannot wait: if
//! more bytes wait than the collector's buffer allows, the session is dropped and counted, and begins anew later. Peers
//! notice nothing of that.

mod link;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapway_bgp::{Report, Speaker, Wants};
use tapway_bmp::{CollectorConfig, Progress, Session, Time, Us};
use tapway_model::{CollectorName, Instant};
use tapway_node::{Event, Level};
use tapway_sys::wake::Waker;

use crate::daemon::event;
use crate::sliced::Budget;
use link::{Feed, Link, Said};

/// All collectors.
pub struct Collectors {
    us: Us,
    loop_waker: Arc<Waker>,
    all: BTreeMap<CollectorName, Collector>,
}

struct Collector {
    config: CollectorConfig,
    link: Option<Link>,
    state: State,
    counts: Counts,
    /// What went wrong since it was connected last.
    error: Option<String>,
}

enum State {
    /// The next attempt is at this time.
    Waiting(Instant),
    Connecting,
    Connected(Box<Connected>),
}

struct Connected {
    since: Instant,
    session: Session,
    feed: Feed,
    /// Not handed over yet.
    out: Vec<u8>,
    /// The speaker could not report everything.
    incomplete: bool,
}

/// What a collector was told, over all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions.
    pub sessions: u64,
    /// Sessions that were dropped because it was too slow.
    pub dropped: u64,
    /// Messages of sessions that are over.
    messages: u64,
    /// Bytes of sessions that are over.
    bytes: u64,
}

/// A collector as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorStatus {
    /// What is configured.
    pub config: CollectorConfig,
    /// What it is doing.
    pub state: CollectorState,
    /// Sessions so far.
    pub sessions: u64,
    /// Sessions that were dropped because it was too slow.
    pub dropped: u64,
    /// Messages written for it.
    pub messages: u64,
    /// Bytes that it took.
    pub bytes: u64,
    /// Bytes that wait for it.
    pub waiting: usize,
    /// What went wrong last, since it had everything.
    pub error: Option<String>,
}

/// What a collector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorState {
    /// It is connected to at this time.
    Waiting(Instant),
    /// The connection is being made.
    Connecting,
    /// It is told what there was before; connected since.
    Syncing(Instant),
    /// It knows everything; connected since.
    Synced(Instant),
}

impl Collectors {
    /// None. `loop_waker` is woken when there is something for the loop to do.
    pub fn new(us: Us, loop_waker: Arc<Waker>) -> Collectors {
        Collectors {
            us,
            loop_waker,
            all: BTreeMap::new(),
        }
    }

    /// These are the collectors from now on. Sessions of others, and of changed ones, end.
    pub fn set(&mut self, time: Time, configs: Vec<CollectorConfig>, speaker: &mut Speaker) {
        let keeps = |c: &Collector| configs.contains(&c.config);
        let names: Vec<_> = self.all.keys().cloned().collect();
        for name in names {
            if !self.all.get(&name).is_some_and(keeps)
                && let Some(collector) = self.all.remove(&name)
            {
                let known = configs.iter().any(|c| c.name == name);
                let why = match known {
                    true => "the collector's configuration changed",
                    false => "the collector was removed from the configuration",
                };
                collector.end(time, speaker, why);
            }
        }
        for config in configs {
            let waker = &self.loop_waker;
            self.all
                .entry(config.name.clone())
                .or_insert_with(|| Collector::start(time.now, config, waker));
        }
    }

    /// The daemon ends: tells all, and waits a little for the bytes to go out.
    pub fn finish(&mut self, time: Time, speaker: &mut Speaker, why: &str) {
        let all = std::mem::take(&mut self.all);
        let links: Vec<_> = all
            .into_values()
            .filter_map(|collector| collector.end(time, speaker, why))
            .collect();
        let deadline = std::time::Instant::now() + Duration::from_secs(1);
        links.into_iter().for_each(|link| link.finish(deadline));
    }

    /// What the sessions need.
    pub fn wants(&self) -> Wants {
        let mut wants = Wants::default();
        for collector in self.all.values() {
            if let State::Connected(_) = collector.state {
                let tables = collector.config.tables;
                wants.received |= tables.received;
                wants.imported |= tables.imported;
                wants.sent |= tables.sent;
                // Peer Up and Peer Down are told whatever the tables are.
                wants.sessions = true;
            }
        }
        wants
    }

    /// Takes what the threads say. `prepare` is told what a new session needs before it begins.
    pub fn listen(
        &mut self,
        time: Time,
        speaker: &mut Speaker,
        prepare: impl Fn(&mut Speaker, Wants),
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for (name, collector) in &mut self.all {
            while let Some(said) = collector.link.as_ref().and_then(|l| l.said.try_recv().ok()) {
                match said {
                    Said::Connected(feed, remote) => {
                        prepare(speaker, wants_of(&collector.config));
                        collector.connected(time, speaker, &self.us, feed);
                        events.push(event(
                            "bmp.connected",
                            Level::Info,
                            name.as_str(),
                            format!("connected to {remote}; it is told everything"),
                        ));
                    }
                    Said::Down(why, retry) => {
                        events.extend(collector.down(time, speaker, why, retry));
                    }
                }
            }
        }
        events
    }

    /// Tells all what the speaker reports.
    pub fn report(&mut self, time: Time, report: &Report) {
        for collector in self.all.values_mut() {
            if let State::Connected(connected) = &mut collector.state {
                let Connected {
                    session,
                    out,
                    incomplete,
                    ..
                } = &mut **connected;
                *incomplete |= !session.report(time, report, out);
            }
        }
    }

    /// Goes on with what there was before, within a slice, and hands bytes over. What happened; and whether there is more to do
    /// at once.
    pub fn work(&mut self, time: Time, speaker: &mut Speaker) -> (Vec<Event>, bool) {
        let budget = Budget::slice();
        let (mut events, mut more) = (Vec::new(), false);
        for (name, collector) in &mut self.all {
            let State::Connected(connected) = &mut collector.state else {
                continue;
            };
            let buffer = collector.config.buffer;
            let went_on = connected.work(time, speaker, &budget);
            more |= went_on == Work::More;
            let waiting = connected.feed.waiting() + connected.out.len();
            let why = if went_on == Work::Changed {
                "the router's AS or identifier changed; it is told everything anew".to_owned()
            } else if connected.incomplete {
                "more happened at once than could be reported; it is told everything anew"
                    .to_owned()
            } else if waiting > buffer {
                collector.counts.dropped += 1;
                format!(
                    "it is too slow: {waiting} bytes waited, {buffer} may (buffer_mib); the session is dropped, and it is told everything anew"
                )
            } else {
                if !connected.out.is_empty() {
                    connected.feed.send(std::mem::take(&mut connected.out));
                }
                if connected.session.is_synced() {
                    collector.error = None;
                }
                continue;
            };
            collector.drop_session(time, speaker);
            events.push(event(
                "bmp.dropped",
                Level::Warning,
                name.as_str(),
                why.clone(),
            ));
            collector.error = Some(why);
        }
        (events, more)
    }

    /// When statistics are due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |c: &Collector| match &c.state {
            State::Connected(connected) => connected.session.poll_timeout(),
            _ => None,
        };
        self.all.values().filter_map(due).min()
    }

    /// All collectors, by name.
    pub fn statuses(&self) -> impl Iterator<Item = CollectorStatus> {
        self.all.values().map(Collector::status)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

const fn wants_of(config: &CollectorConfig) -> Wants {
    Wants {
        received: config.tables.received,
        imported: config.tables.imported,
        sent: config.tables.sent,
        sessions: true,
        states: false,
    }
}

impl Collector {
    fn start(now: Instant, config: CollectorConfig, loop_waker: &Arc<Waker>) -> Collector {
        let (link, state, error) = match Link::start(&config, loop_waker.clone()) {
            Ok(link) => (Some(link), State::Connecting, None),
            Err(error) => {
                let why = format!("no thread for it: {error}; change its section to try again");
                (None, State::Waiting(now), Some(why))
            }
        };
        Collector {
            config,
            link,
            state,
            counts: Counts::default(),
            error,
        }
    }

    fn connected(&mut self, time: Time, speaker: &mut Speaker, us: &Us, feed: Feed) {
        self.drop_session(time, speaker);
        let mut out = Vec::new();
        let CollectorConfig {
            tables, statistics, ..
        } = self.config;
        let session = Session::begin(time, speaker, us, tables, statistics, &mut out);
        self.counts.sessions += 1;
        self.state = State::Connected(Box::new(Connected {
            since: time.now,
            session,
            feed,
            out,
            incomplete: false,
        }));
    }

    /// The connection is over, or could not be made.
    fn down(
        &mut self,
        time: Time,
        speaker: &mut Speaker,
        why: String,
        retry: Duration,
    ) -> Option<Event> {
        let was_connected = matches!(self.state, State::Connected(_));
        self.drop_session(time, speaker);
        self.state = State::Waiting(time.now + retry);
        // A collector that cannot be reached is told once; that a session was dropped is told already.
        let told = self.error.is_some();
        if was_connected || !told {
            self.error = Some(why.clone());
        }
        let (kind, level) = match was_connected {
            true => ("bmp.lost", Level::Warning),
            false if told => return None,
            false => ("bmp.failed", Level::Warning),
        };
        let name = self.config.name.as_str();
        let text = format!("{why}; tried again in {} s", retry.as_secs());
        Some(event(kind, level, name, text))
    }

    /// Lets go of the session, if there is one, with all that waits for it.
    fn drop_session(&mut self, time: Time, speaker: &mut Speaker) {
        let state = std::mem::replace(&mut self.state, State::Waiting(time.now));
        if let State::Connected(connected) = state {
            let Connected { session, feed, .. } = *connected;
            self.counts.messages += session.messages();
            self.counts.bytes += feed.written() as u64;
            session.end(time, speaker, None, &mut Vec::new());
            feed.abandon();
        }
    }

    /// Tells the collector that this is the end; its thread writes that and ends.
    fn end(self, time: Time, speaker: &mut Speaker, why: &str) -> Option<Link> {
        if let State::Connected(connected) = self.state {
            let Connected {
                session,
                feed,
                mut out,
                ..
            } = *connected;
            session.end(time, speaker, Some(why), &mut out);
            feed.send(out);
        }
        self.link
    }

    fn status(&self) -> CollectorStatus {
        let (state, messages, bytes, waiting) = match &self.state {
            State::Waiting(at) => (CollectorState::Waiting(*at), 0, 0, 0),
            State::Connecting => (CollectorState::Connecting, 0, 0, 0),
            State::Connected(connected) => {
                let Connected {
                    since,
                    session,
                    feed,
                    out,
                    ..
                } = &**connected;
                let state = match session.is_synced() {
                    true => CollectorState::Synced(*since),
                    false => CollectorState::Syncing(*since),
                };
                let waiting = feed.waiting() + out.len();
                (state, session.messages(), feed.written() as u64, waiting)
            }
        };
        CollectorStatus {
            config: self.config.clone(),
            state,
            sessions: self.counts.sessions,
            dropped: self.counts.dropped,
            messages: self.counts.messages + messages,
            bytes: self.counts.bytes + bytes,
            waiting,
            error: self.error.clone(),
        }
    }
}

/// What came of a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// There is more, and room for it.
    More,
    /// Nothing to do now.
    Idle,
    /// The router is another one.
    Changed,
}

impl Connected {
    fn work(&mut self, time: Time, speaker: &mut Speaker, budget: &Budget) -> Work {
        self.session.handle_timeout(time, speaker, &mut self.out);
        while self.session.has_more(speaker) {
            // The thread wakes the loop when there is room again.
            if !self.feed.has_room(self.out.len()) {
                return Work::Idle;
            }
            if budget.is_spent() {
                return Work::More;
            }
            match self.session.sync(time, speaker, &mut self.out) {
                Progress::More => {}
                Progress::Idle => return Work::Idle,
                Progress::Changed => return Work::Changed,
            }
        }
        Work::Idle
    }
}

#[cfg(test)]
mod tests;
