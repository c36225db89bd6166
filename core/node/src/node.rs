//! [`Node`]: the three cores joined.

use crate::action::{Action, Event, Level, Report};
use crate::config::{Listener, NodeConfig};
use crate::forwarding::Forwarding;
use crate::imports::Imports;
use crate::next_hops::NextHops;
use crate::node::ranges::Ranged;
use crate::node::scans::Scans;
use crate::wiring::{ClaimId, Claims, Gate, Rules};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use tapway_bgp::config::PeerAddress;
use tapway_bgp::{ConnId, ConnInfo, Endpoint, Speaker, StartKind, Transmit};
use tapway_fib::{BatchId, Fib, IfIndex, KernelEvent, Key, Outcome};
use tapway_intent::{Intent, OrderRecord, SourceConfig, SourceEvent};
use tapway_model::{
    Family, IfName, Instance, Instant, Network, NetworkName, PeerName, Prefix, SourceName,
};

/// `FRA_PRIORITY` of the rule that looks into the table of a network: before main (32766).
const NETWORK_RULE_PRIORITY: u32 = 30_000;

/// How long received routes of an earlier run are held where graceful restart says nothing.
const RESTART_TIME: Duration = Duration::from_secs(120);

/// The most changes in one batch for the kernel.
const BATCH: usize = 256;

/// What the state directory held.
#[derive(Debug, Default)]
pub struct Restored {
    /// What each source said last.
    pub instances: Vec<(SourceName, Arc<Instance>)>,
    /// The order of owners.
    pub order: Vec<OrderRecord>,
    /// The routes are the last choice, until told otherwise.
    pub draining: bool,
    /// Peers that an operator disabled.
    pub disabled: Vec<PeerName>,
    /// Sysctls that we changed since the host booted, with the value they had.
    pub sysctls: Vec<(String, String)>,
}

/// Whether the daemon ran before on this boot of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The first time, or after a withdrawal.
    Cold,
    /// After a crash, a stop or an upgrade that left the kernel wired.
    Warm,
}

mod admission;
mod claims;
pub(crate) mod commands;
pub(crate) mod foresee;
mod hop_events;
mod next_hops;
mod nics;
mod questions;
mod ranges;
mod scans;
mod turn;
mod uplinks;

/// The agent.
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) networks: BTreeMap<NetworkName, Network>,
    pub(crate) gateways: BTreeSet<IpAddr>,
    pub(crate) intent: Intent,
    pub(crate) fib: Fib,
    pub(crate) speaker: Speaker,
    pub(crate) claims: Claims,
    pub(crate) imports: Imports,
    pub(crate) next_hops: NextHops,
    /// Prefixes whose received routes are to be looked at, though the speaker says nothing new of them.
    imports_due: BTreeSet<Prefix>,
    /// There are more than the last turn took.
    imports_left: bool,
    /// When the last turn was.
    clock: Instant,
    forwarding: Forwarding,
    nic_keys: BTreeMap<IfName, Vec<Key>>,
    nic_counts: BTreeMap<Key, u32>,
    nic_interfaces: BTreeSet<IfName>,
    rule_keys: BTreeSet<Key>,
    pub(crate) endpoints: BTreeMap<PeerName, Result<Endpoint, String>>,
    pub(crate) ranged: Ranged,
    scans: Scans,
    conns: BTreeMap<ConnId, (IpAddr, IfIndex)>,
    listeners: Vec<Listener>,
    advertised: Vec<IfIndex>,
    uplinks_dirty: bool,
    /// Claims whose kernel object went without our doing, until the next batch is through.
    doubtful: BTreeSet<ClaimId>,
    settled: bool,
    pruning: bool,
    /// Silent sources that the operator gave up.
    forgotten: BTreeSet<SourceName>,
    /// Everything was given back: nothing is wanted any more.
    released: bool,
    /// Received routes of an earlier run are held no longer than this.
    held_until: Instant,
    stopping: bool,
    pub(crate) old_sysctls: BTreeMap<String, String>,
    out: VecDeque<Action>,
    reports: VecDeque<Report>,
}

impl Node {
    /// A node that knows its configuration, what was persisted, and the kernel as one scan found it
    /// (from `ScanBegin` to `ScanEnd`). What the kernel already holds is adopted without a change.
    pub fn new(
        now: Instant,
        config: NodeConfig,
        restored: Restored,
        scan: Vec<KernelEvent>,
        start: Start,
    ) -> Node {
        let mut intent = Intent::new(now);
        intent.set_networks(config.networks.clone());
        for (name, grace) in &config.sources {
            intent.set_source(name.clone(), SourceConfig { grace: *grace });
        }
        intent.restore_order(restored.order);
        for (source, instance) in restored.instances {
            intent.restore(source, instance);
        }
        let mut fib = Fib::new(config.protocol);
        let mut out = VecDeque::new();
        for (path, old) in &restored.sysctls {
            fib.record_old_sysctl(path, old.clone());
            // Known, it can be put back, also when nothing wants it in this run.
            out.push_back(Action::WatchSysctl(path.clone()));
        }
        for event in scan {
            fib.handle_event(now, event);
        }
        let mut node = Node {
            speaker: Speaker::new(config.speaker.clone(), config.seeds, StartKind::Cold),
            networks: BTreeMap::new(),
            gateways: BTreeSet::new(),
            intent,
            fib,
            claims: Claims::default(),
            imports: Imports::default(),
            next_hops: NextHops::new(config.protocol, config.next_hop_via_default),
            imports_due: BTreeSet::new(),
            imports_left: false,
            clock: now,
            forwarding: Forwarding::default(),
            nic_keys: BTreeMap::new(),
            nic_counts: BTreeMap::new(),
            nic_interfaces: BTreeSet::new(),
            rule_keys: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            ranged: Ranged::default(),
            scans: Scans::default(),
            conns: BTreeMap::new(),
            listeners: Vec::new(),
            advertised: Vec::new(),
            uplinks_dirty: true,
            doubtful: BTreeSet::new(),
            settled: false,
            pruning: false,
            forgotten: BTreeSet::new(),
            released: false,
            held_until: now
                + config
                    .speaker
                    .graceful_restart
                    .map_or(RESTART_TIME, |g| g.time),
            stopping: false,
            old_sysctls: restored.sysctls.into_iter().collect(),
            out,
            reports: VecDeque::new(),
            config,
        };
        node.speaker.follow_next_hops();
        node.imports.adopt(&mut node.fib);
        node.index_networks(now);
        // That there are links is no news before anybody claims anything.
        node.take_notices(now);
        // What is wired already is announced before the first session is even up.
        node.take_changes(now);
        node.speaker.set_start(&node.start_kind(start));
        node.speaker.set_draining(now, restored.draining);
        node.speaker.set_policies(now, node.config.policies.clone());
        for peer in node.config.peers.clone().into_values() {
            if matches!(peer.address, PeerAddress::Range(_)) {
                node.note_range(None, &peer);
            } else {
                node.speaker.set_peer(now, peer);
            }
        }
        // Before anything leads to them: not even a handshake is begun.
        for peer in &restored.disabled {
            node.disable_peer(now, peer, None);
        }
        node.turn(now);
        node
    }

    /// A family's forwarding was preserved when routes of its claims are there. Single ones that went
    /// meanwhile are put back before the first OPEN is sent; when all are gone, something took them.
    pub(super) fn start_kind(&self, start: Start) -> StartKind {
        if start == Start::Cold {
            return StartKind::Cold;
        }
        let preserved = Family::ALL
            .into_iter()
            .filter(|family| {
                let of_family = self
                    .claims
                    .states
                    .iter()
                    .filter(|((_, p), _)| p.family() == *family);
                let mut keys = of_family.filter_map(|(_, state)| match &state.gate {
                    Gate::Kernel(key) => Some(key),
                    Gate::Open | Gate::Shut(_) => None,
                });
                let first = keys.next();
                first.is_none_or(|key| {
                    self.fib.in_sync(key) || keys.any(|key| self.fib.in_sync(key))
                })
            })
            .collect();
        StartKind::Warm { preserved }
    }

    /// A source spoke.
    pub fn handle_source(&mut self, now: Instant, source: &SourceName, event: SourceEvent) {
        self.intent.handle_source(now, source, event);
        self.turn(now);
    }

    /// The operator drops what a silent source said last.
    pub fn forget_source(&mut self, now: Instant, source: &SourceName) {
        self.intent.forget(now, source);
        self.forgotten.insert(source.clone());
        self.turn(now);
    }

    /// The kernel spoke.
    pub fn handle_kernel(&mut self, now: Instant, events: impl IntoIterator<Item = KernelEvent>) {
        for event in events {
            self.note_scan(now, &event);
            self.note_ways(now, &event);
            self.fib.handle_event(now, event);
        }
        self.turn(now);
    }

    /// What became of a batch.
    pub fn handle_outcomes(&mut self, now: Instant, batch: BatchId, outcomes: &[Outcome]) {
        self.note_own_routes(now, batch);
        self.fib.handle_outcomes(now, batch, outcomes);
        self.turn(now);
    }

    /// A connection that the speaker asked for is up.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {
        self.conns.insert(conn, (info.local.ip(), info.ifindex));
        let addresses = self.local_addresses(info.local.ip(), info.ifindex);
        self.speaker.set_local_addresses(now, conn, addresses);
        self.speaker.handle_connected(now, conn, info);
        self.turn(now);
    }

    /// A connection that the speaker asked for failed.
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId, reason: &str) {
        self.speaker.handle_connect_failed(now, conn, reason);
        self.turn(now);
    }

    /// Somebody connected to us.
    pub fn handle_accepted(&mut self, now: Instant, conn: ConnId, info: ConnInfo) {
        self.conns.insert(conn, (info.local.ip(), info.ifindex));
        let addresses = self.local_addresses(info.local.ip(), info.ifindex);
        self.speaker.handle_accepted(now, conn, info);
        self.speaker.set_local_addresses(now, conn, addresses);
        self.turn(now);
    }

    /// Bytes from a connection.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        self.speaker.handle_data(now, conn, bytes);
        self.turn(now);
    }

    /// A connection ended.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, reason: &str) {
        self.conns.remove(&conn);
        self.speaker.handle_closed(now, conn, reason);
        self.turn(now);
    }

    /// The socket takes no more, or takes again.
    pub fn handle_blocked(&mut self, now: Instant, conn: ConnId, blocked: bool) {
        if blocked {
            self.speaker.handle_blocked(now, conn);
        } else {
            self.speaker.handle_writable(now, conn);
        }
        self.turn(now);
    }

    /// A moment that [`Node::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.intent.handle_timeout(now);
        self.speaker.handle_timeout(now);
        self.take_found(now);
        self.tell_hop_counts(now);
        self.turn(now);
    }

    /// The next thing to do. Drain [`Node::poll_withdraw`] before each call: bytes that withdraw must be
    /// on their way before the kernel changes that they announce.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        loop {
            if let Some(action) = self.out.pop_front() {
                return Some(action);
            }
            if let Some(batch) = self.fib.poll_batch(now, BATCH) {
                return Some(Action::Kernel(batch));
            }
            // Working out the batch, or the bytes to send, may have had something to tell.
            let mut told = self.take_notices(now);
            for id in core::mem::take(&mut self.doubtful) {
                told = true;
                self.gate(id, now);
            }
            told |= self.take_bgp(now);
            if self.forwarding.answered() {
                told = true;
                self.update_forwarding();
            }
            if !told {
                return None;
            }
            self.turn(now);
            if self.out.is_empty() {
                return Some(Action::Transmit);
            }
        }
    }

    /// The next thing to keep or to tell, in the order in which it happened. Drained in every turn, it holds
    /// no more than what one turn makes.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Bytes for a connection.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.speaker.poll_transmit(now)
    }

    /// The same for peers that are to be told that something is gone; there is nothing when [`Node::poll_transmit`] has nothing.
    pub fn poll_withdraw(&mut self, now: Instant) -> Option<Transmit> {
        self.speaker.poll_withdraw(now)
    }

    /// When to call [`Node::handle_timeout`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.intent.poll_timeout(),
            self.fib.poll_timeout(),
            self.speaker.poll_timeout(),
            Family::ALL
                .into_iter()
                .any(|f| self.imports.holds(f))
                .then_some(self.held_until),
            self.imports_left.then_some(self.clock),
            self.next_hops.poll_timeout(self.clock),
            self.next_hops.told.poll_timeout(),
            self.next_forgotten(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            protocol: self.config.protocol,
            withdraw_without_carrier: self.config.withdraw_without_carrier,
        }
    }

    pub(super) fn event(&mut self, level: Level, kind: &'static str, subject: &str, text: String) {
        self.reports.push_back(Report::Event(Event {
            level,
            kind,
            subject: subject.to_string(),
            text,
        }));
    }
}
