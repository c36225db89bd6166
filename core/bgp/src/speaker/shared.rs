//! What all peers share: own settings and routes, policies, connections by number, and what is to be done.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{Attributes, NextHop, NlriEntry, PerFamily, RawAttributes};
use tapway_model::{Family, Instant, PeerName, Prefix};
use tapway_rib::{AttrId, Import, Rib, SourceId};
use tapway_rpki::VrpTable;

use super::action::{Action, ConnId, StartKind};
use super::event::Event;
use super::export::Origin;
use super::groups::Groups;
use super::judge::Judging;
use super::monitor::Monitor;
use super::next_hops;
use crate::config::{Seeds, SpeakerConfig};
use crate::own::{AnnouncementId, OwnRoutes};
use crate::policy::Policies;
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
    /// All routes.
    pub(crate) rib: Rib,
    /// The attributes of own routes in the RIB.
    own_block: AttrId,
    /// Whose routes a source's are.
    pub(crate) sources: BTreeMap<SourceId, Origin>,
    classes: u32,
    pub(crate) groups: Groups,
    /// Routes that are to be judged again.
    pub(crate) judging: VecDeque<Judging>,
    /// Some peer has nothing to be sent of what was looked at, and more is to be looked at.
    pub(crate) looks_on: bool,
    /// Connections that the shell holds or opens for us.
    pub(crate) conns: BTreeMap<ConnId, PeerName>,
    pub(crate) actions: VecDeque<Action>,
    /// A peer sent all its first routes, which is not told yet.
    pub(crate) first_routes: PerFamily<bool>,
    /// It was told that routes for the kernel changed, and they have not all been taken since.
    changes_told: PerFamily<bool>,
    /// [`Speaker::shutdown`](super::Speaker::shutdown) was called.
    pub(crate) stopped: bool,
    /// The start-up grace is over: End-of-RIB may go out.
    pub(crate) restart_done: bool,
    /// After a warm start: until then, End-of-RIB waits for the first routes of the peers, where those are passed on.
    pub(crate) deferred_until: Option<Instant>,
    /// It waits no longer than this, even if it begins to wait again.
    pub(crate) deferral_ends: Option<Instant>,
    /// Families of which some peer has not sent its first routes then.
    pub(crate) first_to_come: PerFamily<bool>,
    /// Whether there are clients of a reflector then.
    pub(crate) reflects: bool,
    /// The router is about to go: its routes are the last choice (RFC 8326).
    pub(crate) draining: bool,
    warm: bool,
    preserved: PerFamily<bool>,
    pub(crate) unknown_peers: RateLimit,
    pub(crate) monitor: Monitor,
}

impl Shared {
    pub(crate) fn new(config: SpeakerConfig, seeds: Seeds) -> Shared {
        let mut rib = Rib::new(seeds.tables);
        rib.set_rules(config.decision);
        next_hops::take_for_near(&mut rib);
        let mut block = Vec::new();
        Attributes::default().encode(true, &mut block);
        let next_hop = NextHop::V4(Ipv4Addr::UNSPECIFIED);
        let own_block = rib.intern(RawAttributes::new(&block), next_hop);
        Shared {
            config,
            jitter: Jitter::new(seeds.jitter),
            next_conn: 0,
            own: OwnRoutes::default(),
            policies: Policies::default(),
            vrps: VrpTable::default(),
            rib,
            own_block,
            sources: BTreeMap::new(),
            classes: 0,
            groups: Groups::default(),
            judging: VecDeque::new(),
            looks_on: false,
            conns: BTreeMap::new(),
            actions: VecDeque::new(),
            first_routes: PerFamily::default(),
            changes_told: PerFamily::default(),
            stopped: false,
            restart_done: false,
            deferred_until: None,
            deferral_ends: None,
            first_to_come: PerFamily::default(),
            reflects: false,
            draining: false,
            warm: false,
            preserved: PerFamily::default(),
            unknown_peers: RateLimit::default(),
            monitor: Monitor::default(),
        }
    }

    pub(crate) fn set_start(&mut self, start: &StartKind) {
        (self.warm, self.preserved) = match start {
            StartKind::Cold => (false, PerFamily::default()),
            StartKind::Warm { preserved } => (true, PerFamily::from_fn(|f| preserved.contains(&f))),
        };
    }

    /// Whether an earlier run left routes in the kernel.
    pub(crate) const fn is_warm(&self) -> bool {
        self.warm
    }

    /// A class for a new source.
    pub(crate) fn next_class(&mut self) -> u32 {
        self.classes = self.classes.wrapping_add(1);
        self.classes
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

    /// Takes over other settings.
    pub(crate) fn set_config(&mut self, config: SpeakerConfig) {
        self.rib.set_rules(config.decision);
        self.config = config;
    }

    /// Puts an own route into the RIB: before all that peers send, and behind so many of ours to its prefix.
    pub(crate) fn place_own(&mut self, id: &AnnouncementId, behind: usize) {
        let import = Import::Accepted {
            attributes: self.own_block,
            weight: OWN_WEIGHT.saturating_sub(u16::try_from(behind).unwrap_or(OWN_WEIGHT)),
        };
        self.rib
            .insert(SourceId::LOCAL, entry(id), self.own_block, import);
    }

    /// One of several own routes to a prefix is gone: the others take their places.
    pub(crate) fn move_up_own(&mut self, prefix: &Prefix) {
        let all = self.own.of_prefix(prefix).iter();
        let ids: Vec<AnnouncementId> = all.map(|a| a.id).collect();
        for (behind, id) in ids.iter().enumerate() {
            self.place_own(id, behind);
        }
    }

    /// Takes an own route out of the RIB.
    pub(crate) fn remove_own(&mut self, id: &AnnouncementId) {
        self.rib.withdraw(SourceId::LOCAL, entry(id));
    }

    /// Whether something is left to be done that does not wait for anything.
    pub(crate) fn has_work(&self) -> bool {
        self.rib.has_work() || !self.judging.is_empty() || self.looks_on
    }

    /// All prefixes whose routes go to the kernel are to be looked at again.
    pub(crate) fn follow_again(&mut self) {
        for family in Family::ALL {
            self.rib.follow_again(family);
        }
    }

    /// A prefix whose routes for the kernel may have changed.
    pub(crate) fn take_changed(&mut self, family: Family) -> Option<Prefix> {
        let prefix = self.rib.take_changed(family);
        self.changes_told[family] = prefix.is_some();
        prefix
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let family = Family::ALL.into_iter().find(|f| {
            let told = self.changes_told[*f];
            self.first_routes[*f] || !told && self.rib.has_changed(*f)
        })?;
        if !core::mem::take(&mut self.first_routes[family]) {
            self.changes_told[family] = true;
        }
        Some(Action::InstallableChanged(family))
    }
}

/// The weight of own routes (the first to each prefix): before everything that a peer sends.
const OWN_WEIGHT: u16 = 32_768;

/// The place of an own route in the RIB: domains stand in for path identifiers.
fn entry(id: &AnnouncementId) -> NlriEntry {
    NlriEntry {
        prefix: id.prefix,
        path_id: id.domain.0,
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
