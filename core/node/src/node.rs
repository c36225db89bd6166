//! [`Node`]: the three cores joined.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::config::{PeerAddress, PeerConfig, Policy};
use tapway_bgp::{
    Announcement, AnnouncementId, ConnId, ConnInfo, Endpoint, Speaker, StartKind, Transmit,
};
use tapway_fib::{BatchId, Fib, IfIndex, KernelEvent, Key, LinkChange, Notice, Object, Outcome};
use tapway_intent::{Change, Effective, Intent, OrderRecord, SourceConfig, SourceEvent};
use tapway_model::{
    Domain, Family, IfName, Instance, Instant, Network, NetworkName, PeerName, PolicyName,
    SourceName,
};

use crate::action::{Action, Event, Level, Record};
use crate::config::{Listener, NodeConfig};
use crate::describe::{describe, key_subject};
use crate::forwarding::Forwarding;
use crate::imports::Imports;
use crate::uplink::{self, Unfit};
use crate::wiring::{self, ClaimId, Claims, Gate, Rules};

/// `FRA_PRIORITY` of the rule that looks into the table of a network: before main (32766).
const NETWORK_RULE_PRIORITY: u32 = 30_000;

/// The most changes in one batch for the kernel.
const BATCH: usize = 256;

/// What the state directory held.
#[derive(Debug, Default)]
pub struct Restored {
    /// What each source said last.
    pub instances: Vec<(SourceName, Arc<Instance>)>,
    /// The order of owners.
    pub order: Vec<OrderRecord>,
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

/// The agent.
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) networks: BTreeMap<NetworkName, Network>,
    pub(crate) gateways: BTreeSet<IpAddr>,
    pub(crate) intent: Intent,
    pub(crate) fib: Fib,
    pub(crate) speaker: Speaker,
    pub(crate) claims: Claims,
    imports: Imports,
    forwarding: Forwarding,
    nic_keys: BTreeMap<IfName, Vec<Key>>,
    nic_counts: BTreeMap<Key, u32>,
    nic_interfaces: BTreeSet<IfName>,
    rule_keys: BTreeSet<Key>,
    pub(crate) endpoints: BTreeMap<PeerName, Result<Endpoint, String>>,
    conns: BTreeMap<ConnId, (IpAddr, IfIndex)>,
    listeners: Vec<Listener>,
    advertised: Vec<IfIndex>,
    uplinks_dirty: bool,
    settled: bool,
    stopping: bool,
    pub(crate) old_sysctls: BTreeMap<String, String>,
    out: VecDeque<Action>,
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
        for (path, old) in &restored.sysctls {
            fib.record_old_sysctl(path, old.clone());
        }
        for event in scan {
            fib.handle_event(now, event);
        }
        let mut node = Node {
            speaker: Speaker::new(config.speaker.clone(), config.seed, StartKind::Cold),
            networks: BTreeMap::new(),
            gateways: BTreeSet::new(),
            intent,
            fib,
            claims: Claims::default(),
            imports: Imports::default(),
            forwarding: Forwarding::default(),
            nic_keys: BTreeMap::new(),
            nic_counts: BTreeMap::new(),
            nic_interfaces: BTreeSet::new(),
            rule_keys: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            conns: BTreeMap::new(),
            listeners: Vec::new(),
            advertised: Vec::new(),
            uplinks_dirty: true,
            settled: false,
            stopping: false,
            old_sysctls: restored.sysctls.into_iter().collect(),
            out: VecDeque::new(),
            config,
        };
        node.index_networks();
        node.take_changes(now);
        node.speaker = Speaker::new(
            node.config.speaker.clone(),
            node.config.seed,
            node.start_kind(start),
        );
        for policy in node.config.policies.clone() {
            node.speaker.set_policy(now, policy);
        }
        for peer in node.config.peers.clone().into_values() {
            node.speaker.set_peer(now, peer);
        }
        // What is wired already is announced before the first session is even up.
        let wired: Vec<ClaimId> = node.claims.states.keys().copied().collect();
        for id in wired {
            node.gate(id, now);
        }
        node.turn(now);
        node
    }

    /// A family's forwarding was preserved when every route that its claims want is there already.
    fn start_kind(&self, start: Start) -> StartKind {
        if start == Start::Cold {
            return StartKind::Cold;
        }
        let preserved = Family::ALL
            .into_iter()
            .filter(|family| {
                self.claims
                    .states
                    .iter()
                    .filter(|((_, prefix), _)| prefix.family() == *family)
                    .all(|(_, state)| match &state.gate {
                        Gate::Kernel(key) => self.fib.in_sync(key),
                        Gate::Open | Gate::Shut(_) => true,
                    })
            })
            .collect();
        StartKind::Warm { preserved }
    }

    // In.

    /// A source spoke.
    pub fn handle_source(&mut self, now: Instant, source: &SourceName, event: SourceEvent) {
        self.intent.handle_source(now, source, event);
        self.turn(now);
    }

    /// The operator drops what a silent source said last.
    pub fn forget_source(&mut self, now: Instant, source: &SourceName) {
        self.intent.forget(now, source);
        self.turn(now);
    }

    /// The kernel spoke.
    pub fn handle_kernel(&mut self, now: Instant, events: impl IntoIterator<Item = KernelEvent>) {
        for event in events {
            self.fib.handle_event(now, event);
        }
        self.turn(now);
    }

    /// What became of a batch.
    pub fn handle_outcomes(&mut self, now: Instant, batch: BatchId, outcomes: &[Outcome]) {
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
        self.turn(now);
    }

    // Commands.

    /// Adds or changes a peer.
    pub fn set_peer(&mut self, now: Instant, peer: PeerConfig) {
        self.config.peers.insert(peer.name.clone(), peer.clone());
        self.speaker.set_peer(now, peer);
        self.uplinks_dirty = true;
        self.turn(now);
    }

    /// Ends a peer. False when there is none of this name.
    pub fn remove_peer(&mut self, now: Instant, name: &PeerName) -> bool {
        let known = self.config.peers.remove(name).is_some();
        if known {
            self.speaker.remove_peer(now, name);
            self.endpoints.remove(name);
            self.uplinks_dirty = true;
            self.turn(now);
        }
        known
    }

    /// Adds or changes a policy.
    pub fn set_policy(&mut self, now: Instant, policy: Policy) {
        self.config.policies.retain(|p| p.name != policy.name);
        self.config.policies.push(policy.clone());
        self.speaker.set_policy(now, policy);
        self.turn(now);
    }

    /// Removes a policy. False when there is none of this name.
    pub fn remove_policy(&mut self, now: Instant, name: &PolicyName) -> bool {
        let before = self.config.policies.len();
        self.config.policies.retain(|p| &p.name != name);
        if self.config.policies.len() == before {
            return false;
        }
        self.speaker.remove_policy(now, name);
        self.turn(now);
        true
    }

    /// The networks of a reloaded configuration.
    pub fn set_networks(&mut self, now: Instant, networks: Vec<Network>) {
        self.config.networks = networks.clone();
        self.index_networks();
        self.intent.set_networks(networks);
        self.turn(now);
    }

    /// The speaker, for commands to its peers (enable, disable, reset). Call [`Node::turn`] afterwards.
    pub fn speaker_mut(&mut self) -> &mut Speaker {
        &mut self.speaker
    }

    /// Withdraws everything and says goodbye; [`Node::unwire`] comes after the sessions are closed.
    pub fn shutdown(&mut self, now: Instant, message: &str) {
        self.stopping = true;
        self.speaker.shutdown(now, Some(message.to_string()));
        self.turn(now);
    }

    /// Takes all of ours out of the kernel.
    pub fn unwire(&mut self, now: Instant) {
        self.stopping = true;
        self.fib.release();
        self.turn(now);
    }

    // Out.

    /// The next thing to do. Drain [`Node::poll_transmit`] before each call: bytes that withdraw must be
    /// on their way before the kernel changes that they announce.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if let Some(action) = self.out.pop_front() {
            return Some(action);
        }
        self.fib.poll_batch(now, BATCH).map(Action::Kernel)
    }

    /// Bytes for a connection.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.speaker.poll_transmit(now)
    }

    /// When to call [`Node::handle_timeout`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.intent.poll_timeout(),
            self.fib.poll_timeout(),
            self.speaker.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // Questions.

    /// Who owns what.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What the kernel holds.
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    /// What the network is told.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// The configuration in force, with peers and policies of the API.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Where each peer is, or why it cannot be reached.
    pub fn endpoint(&self, peer: &PeerName) -> Option<&Result<Endpoint, String>> {
        self.endpoints.get(peer)
    }

    /// Where we should listen.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The gate of each claim and whether it is announced.
    pub fn claims(&self) -> impl Iterator<Item = (&ClaimId, &Gate, bool)> {
        self.claims
            .states
            .iter()
            .map(|(id, s)| (id, &s.gate, s.announced))
    }

    /// The gate of one claim and whether it is announced.
    pub fn claim(&self, id: &ClaimId) -> Option<(&Gate, bool)> {
        self.claims.states.get(id).map(|s| (&s.gate, s.announced))
    }

    /// Whether this is a gateway address of a network.
    pub fn is_gateway(&self, addr: &IpAddr) -> bool {
        self.gateways.contains(addr)
    }

    /// Sysctls that we changed, with the value they had.
    pub fn old_sysctls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.old_sysctls
            .iter()
            .map(|(path, old)| (path.as_str(), old.as_str()))
    }

    /// Whether every source has spoken and the start-up grace is over.
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// Whether received routes asked for this kernel object.
    pub fn is_import(&self, key: &Key) -> bool {
        self.imports.has(key)
    }

    // Inside.

    /// Carries every change through until nothing moves.
    pub fn turn(&mut self, now: Instant) {
        loop {
            let mut moved = self.take_changes(now);
            moved |= self.take_notices(now);
            if core::mem::take(&mut self.uplinks_dirty) {
                self.update_uplinks(now);
                moved = true;
            }
            moved |= self.take_bgp();
            if !moved {
                break;
            }
        }
        while let Some(record) = self.intent.poll_record() {
            self.out.push_back(Action::Record(Record::Intent(record)));
        }
        if !self.settled && self.intent.settled(now) {
            self.settled = true;
            self.fib.allow_prune();
            self.speaker.set_restart_done(now);
            self.event(
                Level::Info,
                "start.settled",
                "tapwayd",
                "every source has spoken or had its grace; leftovers are pruned".into(),
            );
        }
    }

    fn take_changes(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(change) = self.intent.poll_change() {
            moved = true;
            match change {
                Change::Prefix(domain, prefix) => self.refresh((domain, prefix), now),
                Change::Nic(name) => self.refresh_nic(&name),
                // Only what people see changed: conflicts, problems, sources.
                Change::Report => {}
                Change::Networks => {
                    self.refresh_all_nics();
                    let ids: Vec<ClaimId> = self.claims.states.keys().copied().collect();
                    for id in ids {
                        self.refresh(id, now);
                    }
                    self.uplinks_dirty = true;
                }
            }
        }
        moved
    }

    fn take_notices(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(notice) = self.fib.poll_notice() {
            moved = true;
            self.take_notice(notice, now);
        }
        moved
    }

    fn take_notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::InSync(key) | Notice::OutOfSync(key) => {
                for id in self.claims.of_gate(&key) {
                    self.gate(id, now);
                }
                if self.forwarding.waits_for(&key) {
                    self.forwarding.update(&mut self.fib);
                }
            }
            Notice::Repaired(key) => {
                let text = format!(
                    "{} was removed by somebody else and has been put back",
                    describe(&key, &self.fib)
                );
                self.event(Level::Warning, "kernel.repaired", &key_subject(&key), text);
            }
            Notice::Failed {
                key,
                errno,
                message,
                attempts,
            } => {
                if attempts <= 1 {
                    let reason = message.unwrap_or_else(|| format!("errno {errno}"));
                    let text = format!(
                        "the kernel refused {}: {reason}; it is tried again",
                        describe(&key, &self.fib)
                    );
                    self.event(Level::Warning, "kernel.failed", &key_subject(&key), text);
                }
            }
            Notice::Foreign { key } => {
                let text = format!(
                    "somebody else's object is where {} should be; it is left alone",
                    describe(&key, &self.fib)
                );
                self.event(Level::Warning, "kernel.foreign", &key_subject(&key), text);
                for id in self.claims.of_gate(&key) {
                    self.gate(id, now);
                }
            }
            Notice::Link(change) => self.take_link(change, now),
            Notice::AddressesChanged(index) | Notice::RouterNeighbour { index, .. } => {
                self.uplinks_dirty |= !self.is_guest_link(index);
            }
            Notice::ForeignDefaultChanged(family) => {
                self.forwarding.update(&mut self.fib);
                self.import(family);
            }
            Notice::SysctlUnknown { path } => self.out.push_back(Action::WatchSysctl(path)),
            Notice::SysctlChanged {
                path,
                old,
                new,
                ours,
            } => {
                let text = format!("net.{} was {old}, now {new}", path.replace('/', "."));
                self.event(Level::Info, "kernel.sysctl", &path, text);
                if ours {
                    self.old_sysctls.insert(path.clone(), old.clone());
                    self.out
                        .push_back(Action::Record(Record::Sysctl { path, old }));
                }
            }
            Notice::ScanNeeded => self.out.push_back(Action::Scan),
        }
    }

    fn take_link(&mut self, change: LinkChange, now: Instant) {
        let mut names: Vec<IfName> = Vec::new();
        match &change {
            LinkChange::Renamed { from, to, .. } => names.extend([from.clone(), to.clone()]),
            LinkChange::Gone { index, name } => {
                names.push(name.clone());
                self.speaker.handle_link_down(now, *index);
            }
            LinkChange::Down(index) | LinkChange::Carrier(index, false) => {
                names.extend(self.fib.link(*index).map(|l| l.name.clone()));
                self.speaker.handle_link_down(now, *index);
            }
            LinkChange::New(index)
            | LinkChange::Up(index)
            | LinkChange::Carrier(index, true)
            | LinkChange::Changed(index) => {
                names.extend(self.fib.link(*index).map(|l| l.name.clone()))
            }
        }
        for name in names {
            // A guest's interface is no uplink: thousands of them come and go.
            self.uplinks_dirty |= !self.nic_interfaces.contains(&name) || self.is_uplink(&name);
            for id in self.claims.of_interface(&name) {
                self.refresh(id, now);
            }
            if self.is_wired_interface(&name) {
                self.refresh_all_nics_on(&name);
            }
        }
    }

    fn take_bgp(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.speaker.poll_action() {
            moved = true;
            match action {
                tapway_bgp::Action::InstallableChanged(family) => self.import(family),
                tapway_bgp::Action::ListenPeersChanged => self.uplinks_dirty = true,
                tapway_bgp::Action::Event(event) => {
                    self.out.push_back(Action::Event(bgp_event(&event)))
                }
                action
                @ (tapway_bgp::Action::Connect { .. } | tapway_bgp::Action::Close { .. }) => {
                    if let tapway_bgp::Action::Close { conn, .. } = &action {
                        self.conns.remove(conn);
                    }
                    self.out.push_back(Action::Bgp(action));
                }
            }
        }
        moved
    }

    /// Works out again what one claim needs, and announces or withdraws it.
    fn refresh(&mut self, id: ClaimId, now: Instant) {
        let rules = self.rules();
        let Some(effective) = self.intent.effective(id.0, &id.1) else {
            self.withdraw(id, "no source claims it any more", now);
            self.claims.remove(id, &mut self.fib);
            return;
        };
        let wired = wiring::wire(
            &effective,
            self.networks.get(&effective.network),
            &self.fib,
            rules,
        );
        if let Gate::Shut(reason) = &wired.gate {
            let text = format!("{reason}");
            self.withdraw(id, &text, now);
        }
        self.claims.set(id, wired, &mut self.fib);
        self.gate(id, now);
    }

    /// Announces a claim whose gate is open, withdraws one whose gate is shut.
    fn gate(&mut self, id: ClaimId, now: Instant) {
        let Some(state) = self.claims.states.get(&id) else {
            return;
        };
        let open = match &state.gate {
            Gate::Open => true,
            Gate::Kernel(key) => self.fib.in_sync(key),
            Gate::Shut(_) => false,
        };
        if open && !self.stopping {
            if let Some(effective) = self.intent.effective(id.0, &id.1) {
                let announcement = self.announcement(id, &effective);
                let new = !state.announced;
                self.speaker.announce(now, announcement);
                if let Some(state) = self.claims.states.get_mut(&id) {
                    state.announced = true;
                }
                if new {
                    self.event(
                        Level::Info,
                        "claim.announced",
                        &wiring::subject(&id),
                        "wired and announced".into(),
                    );
                }
            }
        } else if !open {
            self.withdraw(id, "its kernel object is gone", now);
        }
    }

    fn withdraw(&mut self, id: ClaimId, reason: &str, now: Instant) {
        let Some(state) = self.claims.states.get_mut(&id) else {
            return;
        };
        if !core::mem::take(&mut state.announced) {
            return;
        }
        self.speaker.withdraw(
            now,
            &AnnouncementId {
                domain: id.0,
                prefix: id.1,
            },
        );
        self.event(
            Level::Info,
            "claim.withdrawn",
            &wiring::subject(&id),
            reason.to_string(),
        );
    }

    fn announcement(&self, id: ClaimId, effective: &Effective) -> Announcement {
        let network = self.networks.get(&effective.network);
        let of_network = network.and_then(|n| match id.1.family() {
            Family::Ipv4 => n.next_hop_v4.map(IpAddr::V4),
            Family::Ipv6 => n.next_hop_v6.map(IpAddr::V6),
        });
        let here = || {
            effective
                .holders
                .iter()
                .filter(|h| wiring::is_here(h.state))
        };
        Announcement {
            id: AnnouncementId {
                domain: id.0,
                prefix: id.1,
            },
            kind: effective.kind,
            network: effective.network.clone(),
            peers: network.and_then(|n| n.peers.clone()).map(Into::into),
            instances: here()
                .flat_map(|h| h.instances.iter().map(|(_, name)| name.clone()))
                .collect(),
            tags: here().flat_map(|h| h.tags.iter().cloned()).collect(),
            next_hop: here().find_map(|h| h.next_hop).or(of_network),
        }
    }

    /// Gateway addresses on the interface of one NIC (or the bridge of its network).
    fn refresh_nic(&mut self, name: &IfName) {
        let rules = self.rules();
        let mut objects: Vec<Object> = Vec::new();
        if let Some(nic) = self.intent.nic(name) {
            if self.nic_interfaces.insert(name.clone()) {
                self.forwarding.need(&mut self.fib);
                self.uplinks_dirty |= self.is_uplink(name);
            }
            if let Some(network) = self.networks.get(&nic.network) {
                let on = network.bridge.as_ref().unwrap_or(name);
                if let Some(link) = self.fib.link_named(on) {
                    objects = wiring::gateway(network, link.index, rules);
                }
            }
        } else if self.nic_interfaces.remove(name) {
            self.uplinks_dirty |= self.fib.link_named(name).is_some();
        }
        let keys: Vec<Key> = objects.iter().map(Object::key).collect();
        let old = if keys.is_empty() {
            self.nic_keys.remove(name)
        } else {
            self.nic_keys.insert(name.clone(), keys.clone())
        };
        // Several NICs of one bridge share its gateway addresses, so they are counted.
        for object in objects {
            *self.nic_counts.entry(object.key()).or_insert(0) += 1;
            self.fib.set_want(object);
        }
        for key in old.into_iter().flatten() {
            if let Some(count) = self.nic_counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.nic_counts.remove(&key);
                    self.fib.unwant(&key);
                }
            }
        }
    }

    fn is_guest_link(&self, index: IfIndex) -> bool {
        self.fib.link(index).is_some_and(|link| {
            self.nic_interfaces.contains(&link.name) && !self.is_uplink(&link.name)
        })
    }

    /// Whether a peer is reached over this interface, or configured on it.
    fn is_uplink(&self, name: &IfName) -> bool {
        let index = self.fib.link_named(name).map(|l| l.index);
        self.endpoints
            .values()
            .flatten()
            .any(|e| Some(e.ifindex) == index)
            || self.config.peers.values().any(|peer| match &peer.address {
                PeerAddress::Interface(on)
                | PeerAddress::Ip {
                    interface: Some(on),
                    ..
                } => on == name,
                PeerAddress::Ip {
                    interface: None, ..
                } => false,
            })
    }

    fn refresh_all_nics(&mut self) {
        let names: Vec<IfName> = self.nic_interfaces.iter().cloned().collect();
        for name in names {
            self.refresh_nic(&name);
        }
    }

    fn is_wired_interface(&self, name: &IfName) -> bool {
        self.nic_interfaces.contains(name)
            || self
                .networks
                .values()
                .any(|n| n.bridge.as_ref() == Some(name))
    }

    fn refresh_all_nics_on(&mut self, name: &IfName) {
        if self.nic_interfaces.contains(name) {
            self.refresh_nic(name);
        } else {
            self.refresh_all_nics();
        }
    }

    fn import(&mut self, family: Family) {
        let routes = if self.stopping {
            Vec::new()
        } else {
            self.speaker.installable(family)
        };
        if routes.iter().any(|route| route.prefix.len() != 0) {
            // A router for others forwards, even without a guest of its own.
            self.forwarding.need(&mut self.fib);
        }
        self.imports
            .set(family, &routes, self.config.protocol, &mut self.fib);
    }

    /// Where peers are now, what to listen on, and which of our addresses sessions use.
    fn update_uplinks(&mut self, now: Instant) {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let mut changed: Vec<(PeerName, Option<Endpoint>)> = Vec::new();
        for (name, peer) in &self.config.peers {
            let endpoint = uplink::endpoint(peer, &self.fib, &unfit);
            if self.endpoints.get(name) != Some(&endpoint) {
                changed.push((name.clone(), endpoint.clone().ok()));
                self.endpoints.insert(name.clone(), endpoint);
            }
        }
        let guests = self.guest_interfaces();
        let peers = self
            .config
            .peers
            .iter()
            .map(|(name, peer)| (peer, self.endpoints.get(name).and_then(|e| e.as_ref().ok())));
        let listeners = uplink::listeners(&self.config.listen, peers, &guests, &self.fib, &unfit);
        let advertised = uplink::advertised_on(self.config.peers.values(), &self.fib);
        if listeners != self.listeners {
            self.listeners.clone_from(&listeners);
            self.out.push_back(Action::Listen(listeners));
        }
        if advertised != self.advertised {
            self.advertised.clone_from(&advertised);
            self.out.push_back(Action::Advertise(advertised));
        }
        for (name, endpoint) in changed {
            self.speaker.set_peer_endpoint(now, &name, endpoint);
        }
        let conns: Vec<(ConnId, IpAddr, IfIndex)> =
            self.conns.iter().map(|(c, (a, i))| (*c, *a, *i)).collect();
        for (conn, local, ifindex) in conns {
            let addresses = self.local_addresses(local, ifindex);
            self.speaker.set_local_addresses(now, conn, addresses);
        }
    }

    fn local_addresses(&self, local: IpAddr, ifindex: IfIndex) -> tapway_bgp::LocalAddresses {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        uplink::local_addresses(local, ifindex, &self.fib, &unfit)
    }

    fn guest_interfaces(&self) -> BTreeSet<IfName> {
        let bridges = self.networks.values().filter_map(|n| n.bridge.clone());
        self.nic_interfaces.iter().cloned().chain(bridges).collect()
    }

    fn index_networks(&mut self) {
        self.networks = self
            .config
            .networks
            .iter()
            .map(|n| (n.name.clone(), n.clone()))
            .collect();
        if let Ok(name) = NetworkName::new("default") {
            self.networks
                .entry(name.clone())
                .or_insert_with(|| Network::with_defaults(name));
        }
        self.gateways = self
            .networks
            .values()
            .flat_map(|n| n.gateway.iter().copied())
            .collect();
        let mut rules = BTreeSet::new();
        let tables: BTreeSet<Domain> = self
            .networks
            .values()
            .map(|n| n.domain)
            .filter(|d| *d != Domain::MAIN)
            .collect();
        for (table, family) in tables.into_iter().flat_map(|t| Family::ALL.map(|f| (t, f))) {
            let rule = Object::Rule(tapway_fib::Rule {
                family,
                priority: NETWORK_RULE_PRIORITY,
                table: table.0,
                iif: None,
                protocol: self.config.protocol,
            });
            rules.insert(rule.key());
            self.fib.set_want(rule);
        }
        for key in core::mem::replace(&mut self.rule_keys, rules).difference(&self.rule_keys) {
            self.fib.unwant(key);
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            protocol: self.config.protocol,
            withdraw_without_carrier: self.config.withdraw_without_carrier,
        }
    }

    fn event(&mut self, level: Level, kind: &'static str, subject: &str, text: String) {
        self.out.push_back(Action::Event(Event {
            level,
            kind,
            subject: subject.to_string(),
            text,
        }));
    }
}

/// A speaker's event in words.
fn bgp_event(event: &tapway_bgp::Event) -> Event {
    use tapway_bgp::Event as E;
    let (level, kind, subject, text) = match event {
        E::StateChanged { peer, from, to } => (
            Level::Info,
            "peer.state",
            peer.to_string(),
            format!("{from} -> {to}"),
        ),
        E::Established {
            peer,
            asn,
            router_id,
        } => (
            Level::Info,
            "peer.up",
            peer.to_string(),
            format!("established with AS {asn}, router id {router_id}"),
        ),
        E::Down {
            peer,
            was_established,
            reason,
        } => {
            let level = if *was_established {
                Level::Warning
            } else {
                Level::Info
            };
            (level, "peer.down", peer.to_string(), reason.to_string())
        }
        E::UnknownPeer { remote, suppressed } => (
            Level::Warning,
            "peer.unknown",
            remote.to_string(),
            format!(
                "closed a connection from {remote}, which is no peer ({suppressed} more since the last report)"
            ),
        ),
        E::BadUpdate {
            peer,
            text,
            suppressed,
        } => (
            Level::Warning,
            "peer.bad-update",
            peer.to_string(),
            format!("{text} ({suppressed} more since the last report)"),
        ),
        E::Conflict {
            peer,
            kept,
            refused,
        } => (
            Level::Warning,
            "claim.conflict",
            refused.to_string(),
            format!("{peer} has {kept} already; {refused} is not announced to it"),
        ),
        E::CannotEncode { peer, text } => {
            (Level::Warning, "peer.cannot-encode", peer.to_string(), text.clone())
        }
        E::EndOfRibSent { peer, family } => (
            Level::Info,
            "peer.end-of-rib",
            peer.to_string(),
            format!("sent End-of-RIB for {family}"),
        ),
        E::EndOfRibReceived { peer, family } => (
            Level::Info,
            "peer.end-of-rib",
            peer.to_string(),
            format!("received End-of-RIB for {family}"),
        ),
        E::StaleKept {
            peer,
            family,
            routes,
        } => (
            Level::Warning,
            "peer.stale",
            peer.to_string(),
            format!("{routes} routes of {family} are kept while it restarts"),
        ),
        E::StaleRemoved {
            peer,
            family,
            routes,
        } => (
            Level::Info,
            "peer.stale",
            peer.to_string(),
            format!("{routes} stale routes of {family} are gone"),
        ),
        E::RefreshRequested { peer, family } => (
            Level::Info,
            "peer.refresh",
            peer.to_string(),
            format!("asked for {family} again"),
        ),
    };
    Event {
        level,
        kind,
        subject,
        text,
    }
}
