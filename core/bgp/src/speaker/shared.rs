//! What all peers share: own settings and routes, policies, connections by number, and what is to be done.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use tapway_bgp_wire::PerFamily;
use tapway_model::{Family, Instant, PeerName};
use tapway_rpki::VrpTable;

use super::action::{Action, ConnId, StartKind};
use super::event::Event;
use crate::config::SpeakerConfig;
use crate::policy::Policies;
use crate::rib::own::OwnRoutes;
use crate::session::open::Ourselves;
use crate::session::pace::Jitter;

/// The shared part of a speaker.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: SpeakerConfig,
    pub(crate) jitter: Jitter,
    pub(crate) next_conn: u64,
    pub(crate) own: OwnRoutes,
    pub(crate) policies: Policies,
    /// What the RPKI says.
    pub(crate) vrps: VrpTable,
    /// Connections that the shell holds or opens for us.
    pub(crate) conns: BTreeMap<ConnId, PeerName>,
    pub(crate) actions: VecDeque<Action>,
    /// Whether received routes that count changed since last told.
    pub(crate) installable_changed: PerFamily<bool>,
    /// Whether the listeners' view changed since last told.
    pub(crate) listen_changed: bool,
    /// [`Speaker::shutdown`](super::Speaker::shutdown) was called.
    pub(crate) stopped: bool,
    /// The start-up grace is over: End-of-RIB may go out.
    pub(crate) restart_done: bool,
    /// The router is about to go: its routes are the last choice (RFC 8326).
    pub(crate) draining: bool,
    warm: bool,
    preserved: PerFamily<bool>,
    pub(crate) unknown_peers: RateLimit,
}

impl Shared {
    pub(crate) fn new(config: SpeakerConfig, seed: u64) -> Shared {
        Shared {
            config,
            jitter: Jitter::new(seed),
            next_conn: 0,
            own: OwnRoutes::default(),
            policies: Policies::default(),
            vrps: VrpTable::default(),
            conns: BTreeMap::new(),
            actions: VecDeque::new(),
            installable_changed: PerFamily::default(),
            listen_changed: false,
            stopped: false,
            restart_done: false,
            draining: false,
            warm: false,
            preserved: PerFamily::default(),
            unknown_peers: RateLimit::default(),
        }
    }

    pub(crate) fn set_start(&mut self, start: &StartKind) {
        (self.warm, self.preserved) = match start {
            StartKind::Cold => (false, PerFamily::default()),
            StartKind::Warm { preserved } => (true, PerFamily::from_fn(|f| preserved.contains(&f))),
        };
    }

    /// What our OPENs say now. Once the start is over, every later session finds forwarding preserved: it is
    /// the session that was lost then, not the kernel's routes.
    pub(crate) fn ourselves(&self) -> Ourselves {
        Ourselves {
            asn: self.config.asn,
            router_id: self.config.router_id,
            restarting: self.warm && !self.restart_done,
            forwarding: PerFamily::from_fn(|f| self.restart_done || self.preserved[f]),
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if core::mem::take(&mut self.listen_changed) {
            return Some(Action::ListenPeersChanged);
        }
        let family = Family::ALL
            .into_iter()
            .find(|f| self.installable_changed[*f])?;
        self.installable_changed[family] = false;
        Some(Action::InstallableChanged(family))
    }
}

/// Lets one event in ten seconds through and counts the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimit {
    last: Option<Instant>,
    suppressed: u64,
}

const EVENT_INTERVAL: Duration = Duration::from_secs(10);

impl RateLimit {
    /// Whether to tell this one; then with how many that were not told.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.since(last) < EVENT_INTERVAL)
        {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(core::mem::take(&mut self.suppressed))
    }
}
