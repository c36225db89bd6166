//! The daemon: one thread, one [`Node`], every descriptor of the hot path.
//!
//! A turn waits in epoll, hands what happened to the node (kernel first, then sessions, then requests
//! and sources), and drains the node's actions. Work comes in slices, so that no turn is long.

mod files;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tapway_api::config::SessionEndKind;
use tapway_api::event::Level as ApiLevel;
use tapway_fib::KernelEvent;
use tapway_model::{Family, Instant};
use tapway_netlink::{Monitor, Writer};
use tapway_node::{Action, Event, Level, Node, Report};
use tapway_sys::notify::Notifier;
use tapway_sys::poll::{Poller, Ready};
use tapway_sys::signal::{Signal, Signals};
use tapway_sys::wake::Waker;
use tapway_sys::{clock, memory};

use crate::advertiser::Advertiser;
use crate::connections::Connections;
use crate::goodbye::Goodbye;
use crate::http::{EventSink, Inbox};
use crate::listeners::Listeners;
use crate::monitors::Monitors;
use crate::next_hops::Routes;
use crate::priority::Priority;
use crate::rtr::Rtr;
use crate::settings::Settings;
use crate::sliced::{Budget, Sliced};
use crate::spare::Spare;
use crate::store::Store;
use crate::token;
use crate::writes::Writes;

pub use files::Files;

/// Kernel batches applied in one turn; the rest waits until other input was looked at.
const BATCHES: usize = 4;
/// Notifications taken in one turn.
const NOTIFICATIONS: usize = 1024;
/// Lost links that are acted upon, each by itself, before anything else in one turn.
const LOSSES: usize = 256;
/// Requests of the API taken in one turn.
const CALLS: usize = 64;
/// How often what could not be opened is tried again.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How the loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The kernel stays wired and peers keep our routes for now.
    Restart,
    /// Everything was withdrawn and taken out.
    Gone,
}

/// The parts that the loop is made of.
pub struct Parts {
    /// The agent.
    pub node: Node,
    /// What is in force, and where it came from.
    pub settings: Settings,
    /// Waits.
    pub poller: Poller,
    /// Wakes.
    pub waker: Arc<Waker>,
    /// SIGTERM and the rest.
    pub signals: Signals,
    /// Kernel changes.
    pub writer: Writer,
    /// Kernel notifications.
    pub monitor: Monitor,
    /// The state log.
    pub store: Store,
    /// Requests.
    pub inbox: Inbox,
    /// Watchers.
    pub sink: EventSink,
    /// The source `files`, when configured.
    pub files: Option<Files>,
    /// The RPKI caches.
    pub rtr: Rtr,
    /// Who listens to the speaker.
    pub(crate) monitors: Monitors,
    /// The service manager.
    pub notifier: Notifier,
    /// Time between scans without a reason.
    pub scan_interval: Option<Duration>,
    /// Whether kernel state of an earlier run was found.
    pub warm: bool,
    /// Whether the loop runs before other programs.
    pub realtime: bool,
}

/// The running daemon.
pub struct Daemon {
    pub(crate) node: Node,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) sink: EventSink,
    pub(crate) files: Option<Files>,
    pub(crate) rtr: Rtr,
    pub(crate) monitors: Monitors,
    pub(crate) listeners: Listeners,
    pub(crate) goodbye: Option<Goodbye>,
    pub(crate) started: Instant,
    pub(crate) warm: bool,
    pub(crate) notifier: Notifier,
    pub(crate) poller: Poller,
    waker: Arc<Waker>,
    signals: Signals,
    pub(crate) writer: Writer,
    pub(crate) routes: Routes,
    monitor: Monitor,
    inbox: Inbox,
    pub(crate) connections: Connections,
    advertiser: Advertiser,
    kernel_events: Vec<KernelEvent>,
    monitor_status: tapway_netlink::Status,
    scan_interval: Option<Duration>,
    next_scan: Option<Instant>,
    next_housekeeping: Instant,
    watchdog: Option<Duration>,
    next_watchdog: Option<Instant>,
    realtime: bool,
    writes: Writes,
    /// Kernel batches applied in this turn.
    batches: usize,
    /// There is something to do that needs no waiting.
    pub(crate) more: bool,
    pub(crate) sliced: Sliced,
    spare: Spare,
}

/// The monotonic clock as the core's instant.
pub fn now() -> Instant {
    Instant::from_nanos(clock::now())
}

impl Daemon {
    /// Puts the parts together. The descriptors are in the poller already, with the tokens of
    /// [`token`].
    pub fn new(parts: Parts) -> Daemon {
        let started = now();
        let watchdog = Notifier::watchdog_interval();
        Daemon {
            node: parts.node,
            settings: parts.settings,
            store: parts.store,
            sink: parts.sink,
            files: parts.files,
            rtr: parts.rtr,
            monitors: parts.monitors,
            listeners: Listeners::default(),
            goodbye: None,
            started,
            warm: parts.warm,
            notifier: parts.notifier,
            poller: parts.poller,
            waker: parts.waker,
            signals: parts.signals,
            writer: parts.writer,
            routes: Routes::default(),
            monitor: parts.monitor,
            inbox: parts.inbox,
            connections: Connections::new(),
            advertiser: Advertiser::default(),
            kernel_events: Vec::new(),
            monitor_status: tapway_netlink::Status {
                more: true,
                lost: false,
                timeout: None,
            },
            scan_interval: parts.scan_interval,
            next_scan: parts.scan_interval.map(|i| started + i),
            next_housekeeping: started + HOUSEKEEPING,
            watchdog,
            next_watchdog: watchdog.map(|i| started + i),
            realtime: parts.realtime,
            writes: Writes::default(),
            batches: 0,
            more: false,
            sliced: Sliced::default(),
            spare: Spare::default(),
        }
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// When a descriptor of the loop itself fails.
    pub fn run(mut self) -> anyhow::Result<Exit> {
        let mut ready = Vec::new();
        let mut priority = Priority::begin(self.realtime);
        self.drain();
        self.notifier.ready();
        loop {
            if let Some(exit) = self.exit() {
                self.finish_monitors();
                self.sliced.stop();
                self.store.close();
                return Ok(exit);
            }
            let timeout = self.timeout();
            priority.turn(now(), timeout != Some(Duration::ZERO));
            self.poller.wait(timeout, &mut ready)?;
            self.turn(&ready);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if self.more {
            return Some(Duration::ZERO);
        }
        let now = now();
        [
            self.node.poll_timeout(),
            self.advertiser.poll_timeout(),
            self.connections.poll_timeout(),
            self.next_scan,
            self.routes.rests_until,
            self.monitor_timeout(),
            self.next_watchdog,
            self.spare.poll_timeout(),
            self.monitors.collectors.poll_timeout(),
            self.goodbye.as_ref().map(Goodbye::deadline),
            self.listeners
                .needs_care()
                .then_some(self.next_housekeeping),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|deadline| deadline.since(now))
    }

    fn turn(&mut self, ready: &[Ready]) {
        self.more = false;
        self.writes.begin_turn();
        self.batches = 0;
        // The kernel first: a lost link must not wait behind a peer's table.
        if ready.iter().any(|r| r.token == token::MONITOR) || self.monitor_due() {
            for _ in 0..LOSSES {
                self.read_kernel();
                // What is to be written can wait; the next lost link cannot.
                self.transmit();
                if !self.monitor_status.lost {
                    break;
                }
            }
            self.drain();
        }
        for event in ready {
            match event.token {
                token::MONITOR => {}
                token::ROUTES => self.read_routes(),
                token::SEARCH => self.take_found(),
                token::SIGNALS => self.take_signals(),
                token::WAKE => {
                    self.waker.clear();
                }
                t if t & token::CONNECTION != 0 => {
                    self.connections
                        .ready(now(), *event, &mut self.node, &self.poller);
                }
                t if t & token::LISTENER != 0 => self.accept(t),
                _ => {}
            }
            self.transmit();
        }
        self.go_on();
        self.take_calls();
        self.take_source_events();
        self.take_rpki();
        self.store.poll();
        let now = now();
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
        self.drain();
        self.tell_monitors();
        self.housekeeping(now);
    }

    fn monitor_due(&self) -> bool {
        self.monitor_status.more || self.monitor_timeout().is_some_and(|at| at <= now())
    }

    fn monitor_timeout(&self) -> Option<Instant> {
        self.monitor_status.timeout
    }

    fn read_kernel(&mut self) {
        match self
            .monitor
            .read(now(), NOTIFICATIONS, &mut self.kernel_events)
        {
            Ok(status) => self.monitor_status = status,
            Err(error) => {
                // The next read begins a new scan; nothing known is given up for it.
                tracing::error!(%error, "the kernel cannot be followed");
                self.monitor_status = tapway_netlink::Status {
                    more: false,
                    lost: false,
                    timeout: Some(now() + HOUSEKEEPING),
                };
            }
        }
        self.more |= self.monitor_status.more;
        if !self.kernel_events.is_empty() {
            self.node.handle_kernel(now(), self.kernel_events.drain(..));
        }
    }

    fn accept(&mut self, token: u64) {
        // A flood of connections is taken in slices; the rest stays in the backlog.
        for _ in 0..64 {
            let Some(fd) = self.listeners.get(token) else {
                return;
            };
            match tapway_sys::tcp::accept(fd) {
                Ok(Some(accepted)) => {
                    self.connections
                        .accepted(now(), accepted, &mut self.node, &self.poller)
                }
                Ok(None) => return,
                Err(error) => {
                    // Out of descriptors, most likely: the listeners rest until housekeeping.
                    tracing::warn!(%error, "cannot accept connections for now");
                    self.listeners.rest(&self.poller);
                    return;
                }
            }
        }
    }

    fn take_signals(&mut self) {
        while let Some(signal) = self.signals.read() {
            match signal {
                // A goodbye that is under way is finished: half of it would leave peers with our routes.
                Signal::Terminate | Signal::Interrupt if self.goodbye.is_some() => {}
                Signal::Terminate | Signal::Interrupt => {
                    tracing::info!(
                        "stopping; the kernel stays wired and peers keep our routes for the restart time"
                    );
                    self.notifier.stopping();
                    self.goodbye = Some(Goodbye::restart());
                }
                Signal::PowerFail => self.begin_shutdown("the host is going down", None),
                Signal::Hangup => {
                    self.notifier.reloading();
                    let checked = self.reload();
                    self.tell_reload(&checked);
                    self.notifier.ready();
                }
            }
        }
    }

    fn tell_reload(&self, checked: &tapway_api::config::Checked) {
        let name = &checked.name;
        for problem in &checked.problems {
            let place = problem
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let remedy = problem.remedy.as_ref();
            let remedy = remedy.map(|r| format!("; {r}")).unwrap_or_default();
            self.tell(event(
                "config.refused",
                Level::Warning,
                name,
                format!("{place}: {}{remedy}; nothing was changed", problem.message),
            ));
        }
        for end in checked.sessions.iter().filter(|_| checked.loaded) {
            let what = match end.end {
                SessionEndKind::Reset => "is reset by the new settings",
                SessionEndKind::Ended => "ends with the new settings",
            };
            self.tell(event(
                "config.session",
                Level::Info,
                end.peer.as_str(),
                format!("the session {what}: {}", end.why),
            ));
        }
        for line in &checked.needs_restart {
            self.tell(event(
                "config.restart",
                Level::Warning,
                name,
                format!("{line}; it takes effect at the next start"),
            ));
        }
        if checked.loaded {
            let count = checked.changes.len();
            self.tell(event(
                "config.loaded",
                Level::Info,
                name,
                format!("read again; {count} changes"),
            ));
        }
    }

    fn take_calls(&mut self) {
        let budget = Budget::slice();
        for _ in 0..CALLS {
            // Those that are answered in slices wait in the inbox, whose bound is the one that is told.
            if budget.is_spent() || self.sliced.len() >= CALLS {
                break;
            }
            let Some(call) = self.inbox.next_call() else {
                return;
            };
            self.answer(call);
        }
        self.more = true;
    }

    /// What RPKI caches say: routes are judged again where that changed something.
    fn take_rpki(&mut self) {
        let Some(news) = self.rtr.take() else { return };
        if let Some(update) = news.update {
            let now = now();
            self.node
                .speaker_mut()
                .set_vrps(now, update.table, &update.changed);
            self.node.turn(now);
            self.transmit();
        }
        for happened in news.events {
            let level = if happened.kind.is_warning() {
                Level::Warning
            } else {
                Level::Info
            };
            let text = happened.kind.to_string();
            self.tell(event(
                happened.kind.word(),
                level,
                happened.cache.as_str(),
                text,
            ));
        }
        if news.lost > 0 {
            tracing::warn!(lost = news.lost, "RPKI caches did more than could be told");
        }
    }

    /// Does what the node asks, bytes for peers always first, disk and people last.
    pub(crate) fn drain(&mut self) {
        self.act();
        while let Some(report) = self.node.poll_report() {
            match report {
                Report::Record(record) => self.store.record(record),
                Report::Event(event) => self.tell(event),
            }
        }
        self.store.flush();
    }

    fn act(&mut self) {
        loop {
            self.transmit();
            if self.batches == BATCHES {
                self.more = true;
                return;
            }
            let Some(action) = self.node.poll_action(now()) else {
                return;
            };
            match action {
                Action::Kernel(batch) => {
                    self.batches += 1;
                    let outcomes = self.writer.apply(&batch.changes);
                    self.node.handle_outcomes(now(), batch.id, &outcomes);
                }
                // Done at the head of the loop.
                Action::Transmit => {}
                Action::Scan => self.request_scan(),
                Action::Bgp(action) => {
                    self.connections
                        .act(now(), action, &mut self.node, &self.poller)
                }
                Action::Listen(wanted) => self.listeners.set(&wanted, &self.poller),
                Action::Advertise(links) => self.advertiser.set(now(), &links),
                Action::WatchSysctl(path) => self.watch_sysctl(&path),
            }
        }
    }

    fn transmit(&mut self) {
        // Nobody is to hear of what only waits for an answer.
        self.answer_lookups();
        self.begin_search();
        let (connections, poller) = (&mut self.connections, &self.poller);
        let all = self.writes.all_written(&mut self.node, |transmit, node| {
            connections.transmit(now(), transmit, node, poller);
        });
        self.more |= !all;
    }

    fn request_scan(&mut self) {
        self.monitor.request_scan();
        self.monitor_status.more = true;
        self.more = true;
    }

    fn watch_sysctl(&mut self, path: &str) {
        let mut events = Vec::new();
        self.monitor.watch_sysctl(path, &mut events);
        self.node.handle_kernel(now(), events);
    }

    /// Tells the log and the watchers.
    pub(crate) fn tell(&self, event: Event) {
        match event.level {
            Level::Info => {
                tracing::info!(subject = %event.subject, kind = event.kind, "{}", event.text)
            }
            Level::Warning => {
                tracing::warn!(subject = %event.subject, kind = event.kind, "{}", event.text)
            }
        }
        if self.sink.is_watched() {
            self.sink.send(tapway_api::event::Event {
                time_ms: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                level: match event.level {
                    Level::Info => ApiLevel::Info,
                    Level::Warning => ApiLevel::Warning,
                },
                kind: event.kind.to_owned(),
                subject: event.subject,
                text: event.text,
                fields: BTreeMap::new(),
            });
        }
    }

    fn spare_memory(&mut self, now: Instant) {
        let speaker = self.node.speaker();
        let routes = Family::ALL
            .map(|family| speaker.in_use(family))
            .iter()
            .sum();
        self.spare.note(now, routes);
        if self.spare.take_due(now, routes) {
            // So that what rests for some seconds is forgotten.
            self.node.handle_timeout(now);
            self.drain();
            memory::give_back();
        }
    }

    fn housekeeping(&mut self, now: Instant) {
        self.wake_routes(now);
        self.advertiser.send_due(now, self.node.fib());
        self.connections.handle_timeout(now);
        if self.next_scan.is_some_and(|at| at <= now) {
            self.next_scan = self.scan_interval.map(|i| now + i);
            self.request_scan();
            self.more = true;
        }
        if self.next_watchdog.is_some_and(|at| at <= now) {
            self.next_watchdog = self.watchdog.map(|i| now + i);
            self.notifier.watchdog();
        }
        self.spare_memory(now);
        if self.next_housekeeping <= now {
            self.next_housekeeping = now + HOUSEKEEPING;
            self.rest_routes();
            if self.listeners.needs_care() {
                let wanted = self.node.listeners().to_vec();
                self.listeners.set(&wanted, &self.poller);
            }
        }
    }
}

/// An event of the daemon's own.
pub(crate) fn event(kind: &'static str, level: Level, subject: &str, text: String) -> Event {
    Event {
        level,
        kind,
        subject: subject.to_owned(),
        text,
    }
}
