//! A small network: speakers, connections with latency, one clock. Nothing waits; time jumps to what is next.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use tapway_model::{ClaimKind, Domain, Family, Instant, NetworkName, PeerName, PolicyName};

use crate::config::{
    AddPaths, DECISION, GracefulRestart, Install, PeerAddress, PeerAsPath, PeerAsn, PeerConfig,
    PeerNextHop, PrefixLimit, Reach, SpeakerConfig,
};
use crate::*;

pub(crate) const LATENCY: Duration = Duration::from_millis(1);
pub(crate) const IFINDEX: u32 = 7;

/// What the session runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    V4,
    V6,
    LinkLocal,
}

#[derive(Debug)]
enum Delivery {
    Connected(usize, ConnId, ConnInfo),
    Refused(usize, ConnId),
    Accepted(usize, ConnId, ConnInfo),
    Data(usize, ConnId, Vec<u8>),
    Closed(usize, ConnId),
}

impl Delivery {
    fn node(&self) -> usize {
        match self {
            Delivery::Connected(node, ..)
            | Delivery::Refused(node, ..)
            | Delivery::Accepted(node, ..)
            | Delivery::Data(node, ..)
            | Delivery::Closed(node, ..) => *node,
        }
    }
}

pub(crate) struct Node {
    pub(crate) speaker: Speaker,
    pub(crate) addresses: LocalAddresses,
    pub(crate) events: Vec<Event>,
    pub(crate) changed: Vec<Family>,
    /// Accepts connections.
    pub(crate) listens: bool,
    /// Its sockets take no more bytes.
    pub(crate) stalled: bool,
    /// Connections that it asked for.
    pub(crate) connects: Vec<Instant>,
    unsent: Vec<Transmit>,
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// Nothing gets through; TCP sends it again later.
    pub(crate) cut: bool,
    held: Vec<Delivery>,
    /// Connections are neither made nor refused.
    pub(crate) hang: bool,
    /// Nobody learns the own addresses of a connection.
    pub(crate) mute_addresses: bool,
    /// OPENs lose RFC 8950 on their way.
    pub(crate) strip_extended_next_hop: bool,
    queue: BTreeMap<(Instant, u64), Delivery>,
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    counter: u64,
}

pub(crate) fn name(text: &str) -> PeerName {
    PeerName::new(text).unwrap()
}

pub(crate) fn policy_name(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

/// The addresses of the node with this number on the one link.
pub(crate) fn addresses(node: usize) -> LocalAddresses {
    let n = node as u16 + 1;
    LocalAddresses {
        v4: Some(Ipv4Addr::new(198, 51, 100, n as u8)),
        v6_global: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, n].into()),
        v6_link_local: Some([0xfe80, 0, 0, 0, 0, 0, 0, n].into()),
    }
}

pub(crate) fn at(node: usize, transport: Transport, port: u16) -> SocketAddr {
    let all = addresses(node);
    match transport {
        Transport::V4 => (all.v4.unwrap(), port).into(),
        Transport::V6 => (all.v6_global.unwrap(), port).into(),
        Transport::LinkLocal => {
            SocketAddrV6::new(all.v6_link_local.unwrap(), port, 0, IFINDEX).into()
        }
    }
}

pub(crate) fn asn(node: usize) -> u32 {
    65001 + node as u32
}

pub(crate) fn speaker_config(node: usize) -> SpeakerConfig {
    SpeakerConfig {
        asn: asn(node),
        router_id: Ipv4Addr::new(192, 0, 2, node as u8 + 1),
        graceful_restart: None,
        cluster_id: None,
        decision: DECISION,
    }
}

/// The settings for the other of two nodes; its name is `peer`.
pub(crate) fn peer_config(other: usize, transport: Transport) -> PeerConfig {
    PeerConfig {
        name: name("peer"),
        address: PeerAddress::Ip {
            addr: at(other, transport, 179).ip(),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(asn(other)),
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: false,
        reach: Reach::Direct,
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        import: policy_name("all"),
        export: policy_name("claims"),
        install: None,
        range: None,
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(100_000),
        graceful_restart: Some(GracefulRestart {
            time: Duration::from_secs(120),
            notification: false,
            long_lived: None,
        }),
        disabled: false,
    }
}

/// A restart that kept forwarding in both families.
pub(crate) fn warm() -> StartKind {
    StartKind::Warm {
        preserved: Family::ALL.to_vec(),
    }
}

pub(crate) fn install() -> Option<Install> {
    Some(Install {
        table: 254,
        metric: None,
        prefsrc: None,
    })
}

pub(crate) fn announcement(prefix: &str) -> Announcement {
    Announcement {
        id: AnnouncementId {
            domain: Domain::MAIN,
            prefix: prefix.parse().unwrap(),
        },
        kind: ClaimKind::Address,
        network: NetworkName::new("default").unwrap(),
        peers: None,
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: None,
    }
}

/// Two nodes that know each other as `peer`. `change` may alter the settings of each; the link is still down.
pub(crate) fn pair(
    transport: Transport,
    change: impl Fn(usize, &mut SpeakerConfig, &mut PeerConfig),
) -> Net {
    let mut net = Net {
        now: Instant::from_nanos(1_000_000_000),
        nodes: Vec::new(),
        cut: false,
        held: Vec::new(),
        hang: false,
        mute_addresses: false,
        strip_extended_next_hop: false,
        queue: BTreeMap::new(),
        ends: BTreeMap::new(),
        counter: 0,
    };
    for node in 0..2 {
        let mut config = speaker_config(node);
        let mut peer = peer_config(1 - node, transport);
        change(node, &mut config, &mut peer);
        let mut speaker = Speaker::new(config, node as u64, StartKind::Cold);
        speaker.set_restart_done(net.now);
        assert_eq!(speaker.set_peer(net.now, peer), PeerChange::Added);
        net.nodes.push(Node {
            speaker,
            addresses: addresses(node),
            events: Vec::new(),
            changed: Vec::new(),
            listens: true,
            stalled: false,
            connects: Vec::new(),
            unsent: Vec::new(),
        });
    }
    net
}

/// Two nodes with default settings, and the session up.
pub(crate) fn established(
    transport: Transport,
    change: impl Fn(usize, &mut SpeakerConfig, &mut PeerConfig),
) -> Net {
    let mut net = pair(transport, change);
    net.link_up(transport);
    net.run(Duration::from_secs(20));
    assert_eq!(net.states(), [State::Established; 2]);
    net
}

impl Speaker {
    /// What should be in the kernel of all that was received.
    pub(crate) fn installable(&self, family: Family) -> Vec<Installable> {
        let routes = self.peers().flat_map(|peer| {
            let prefixes = self.received(&peer.name).map(|r| r.prefix);
            prefixes.collect::<Vec<_>>()
        });
        let all: BTreeSet<_> = routes.filter(|p| p.family() == family).collect();
        all.into_iter()
            .flat_map(|prefix| self.installable_to(prefix))
            .collect()
    }
}

impl Net {
    /// Both learn where the other is.
    pub(crate) fn link_up(&mut self, transport: Transport) {
        for node in 0..self.nodes.len() {
            self.reach(node, transport);
        }
    }

    pub(crate) fn reach(&mut self, node: usize, transport: Transport) {
        let endpoint = Endpoint {
            remote: at(1 - node, transport, 179),
            local: None,
            ifindex: IFINDEX,
        };
        self.nodes[node]
            .speaker
            .set_peer_endpoint(self.now, &name("peer"), Some(endpoint));
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.nodes
            .iter()
            .map(|n| n.speaker.peer(&name("peer")).unwrap().state)
            .collect()
    }

    pub(crate) fn peer(&self, node: usize) -> PeerSummary {
        self.nodes[node].speaker.peer(&name("peer")).unwrap()
    }

    pub(crate) fn speaker(&mut self, node: usize) -> &mut Speaker {
        &mut self.nodes[node].speaker
    }

    pub(crate) fn announce(&mut self, node: usize, prefix: &str) {
        let now = self.now;
        self.speaker(node).announce(now, announcement(prefix));
    }

    pub(crate) fn withdraw(&mut self, node: usize, prefix: &str) {
        let now = self.now;
        assert!(self.speaker(node).withdraw(now, &announcement(prefix).id));
    }

    /// The prefixes that the node has received, with a mark on stale ones.
    pub(crate) fn received(&self, node: usize) -> Vec<alloc::string::String> {
        let mark = |r: ReceivedRoute| {
            let mark = match (r.stale, r.long_lived_stale) {
                (_, true) => " long-lived stale",
                (true, false) => " stale",
                (false, false) => "",
            };
            alloc::format!("{}{mark}", r.prefix)
        };
        self.nodes[node]
            .speaker
            .received(&name("peer"))
            .map(mark)
            .collect()
    }

    pub(crate) fn take_events(&mut self, node: usize) -> Vec<Event> {
        core::mem::take(&mut self.nodes[node].events)
    }

    /// Like `kill -9` and a new process: its connections close, nothing is said.
    pub(crate) fn replace(&mut self, node: usize, start: StartKind, config: PeerConfig) {
        self.let_go(node, true);
        let own = self.nodes[node].speaker.config().clone();
        let mut speaker = Speaker::new(own, 77, start);
        speaker.set_peer(self.now, config);
        self.nodes[node].speaker = speaker;
        self.nodes[node].unsent.clear();
    }

    /// Like a power cut and a new start: the other side does not even see its connections close.
    pub(crate) fn forget(&mut self, node: usize, start: StartKind, config: PeerConfig) {
        self.let_go(node, false);
        self.replace(node, start, config);
    }

    /// What was cut is whole again.
    pub(crate) fn mend(&mut self) {
        self.cut = false;
        for delivery in core::mem::take(&mut self.held) {
            self.later(delivery);
        }
    }

    /// All connections break; both sides see it.
    pub(crate) fn break_connections(&mut self) {
        self.held.clear();
        self.queue.retain(|_, d| !matches!(d, Delivery::Data(..)));
        for ((node, conn), _) in core::mem::take(&mut self.ends) {
            self.later(Delivery::Closed(node, conn));
        }
    }

    fn let_go(&mut self, node: usize, tell: bool) {
        // Numbers begin anew: nothing that was for the old process may reach the new one.
        self.queue.retain(|_, d| d.node() != node);
        self.held.retain(|d| d.node() != node);
        let mine: Vec<_> = self
            .ends
            .keys()
            .filter(|(n, _)| *n == node)
            .copied()
            .collect();
        for end in mine {
            if let Some(far) = self.ends.remove(&end) {
                self.ends.remove(&far);
                if tell {
                    self.later(Delivery::Closed(far.0, far.1));
                }
            }
        }
    }

    /// The link as the kernel sees it goes down on one node.
    pub(crate) fn link_down(&mut self, node: usize) {
        let now = self.now;
        self.speaker(node).handle_link_down(now, IFINDEX);
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let timer = self
                .nodes
                .iter()
                .filter_map(|n| n.speaker.poll_timeout())
                .min();
            let arrival = self.queue.keys().next().map(|(at, _)| *at);
            let Some(next) = timer
                .into_iter()
                .chain(arrival)
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            let due: BTreeSet<_> = self
                .queue
                .range(..=(self.now, u64::MAX))
                .map(|(k, _)| *k)
                .collect();
            for key in due {
                if let Some(delivery) = self.queue.remove(&key) {
                    self.deliver(delivery);
                    self.settle();
                }
            }
            for node in &mut self.nodes {
                node.speaker.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Does what the speakers want done now.
    pub(crate) fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            loop {
                let now = self.now;
                if let Some(action) = self.speaker(node).poll_action() {
                    self.act(node, action);
                } else if let Some(transmit) = self.speaker(node).poll_transmit(now) {
                    self.write(node, transmit);
                } else {
                    break;
                }
            }
        }
    }

    /// The sockets take bytes again.
    pub(crate) fn unstall(&mut self, node: usize) {
        self.nodes[node].stalled = false;
        for transmit in core::mem::take(&mut self.nodes[node].unsent) {
            let (now, conn) = (self.now, transmit.conn);
            self.write(node, transmit);
            self.speaker(node).handle_writable(now, conn);
        }
    }

    fn write(&mut self, node: usize, transmit: Transmit) {
        if self.nodes[node].stalled {
            let (now, conn) = (self.now, transmit.conn);
            assert!(
                self.nodes[node].unsent.iter().all(|t| t.conn != conn),
                "written to while blocked"
            );
            self.nodes[node].unsent.push(transmit);
            self.speaker(node).handle_blocked(now, conn);
            return;
        }
        if let Some(far) = self.ends.get(&(node, transmit.conn)).copied() {
            let mut bytes = transmit.bytes;
            if self.strip_extended_next_hop {
                // Another code in its place: a capability that nobody knows.
                let capability = [5, 6, 0, 1, 0, 1, 0, 2];
                if let Some(at) = bytes.windows(8).position(|w| w == capability) {
                    bytes[at] = 199;
                }
            }
            self.later(Delivery::Data(far.0, far.1, bytes));
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Connect {
                conn,
                remote,
                options,
                ..
            } => {
                assert_eq!(options.ttl, 255);
                self.nodes[node].connects.push(self.now);
                self.connect(node, conn, remote);
            }
            Action::Close { conn, farewell } => {
                if let Some(far) = self.ends.remove(&(node, conn)) {
                    self.ends.remove(&far);
                    if !farewell.is_empty() {
                        self.later(Delivery::Data(far.0, far.1, farewell));
                    }
                    self.later(Delivery::Closed(far.0, far.1));
                }
            }
            Action::Event(event) => self.nodes[node].events.push(event),
            Action::InstallableChanged(family) => {
                let node = &mut self.nodes[node];
                node.changed.push(family);
                while node.speaker.take_installable_change(family).is_some() {}
            }
        }
    }

    fn connect(&mut self, node: usize, conn: ConnId, remote: SocketAddr) {
        let owns = |a: &LocalAddresses| match remote.ip() {
            IpAddr::V4(addr) => a.v4 == Some(addr),
            IpAddr::V6(addr) => a.v6_global == Some(addr) || a.v6_link_local == Some(addr),
        };
        let far = self
            .nodes
            .iter()
            .position(|n| owns(&n.addresses) && n.listens);
        if self.hang {
            return;
        }
        let Some(far) = far.filter(|_| !self.cut) else {
            return self.later(Delivery::Refused(node, conn));
        };
        let transport = match remote.ip() {
            IpAddr::V4(_) => Transport::V4,
            IpAddr::V6(a) if a.is_unicast_link_local() => Transport::LinkLocal,
            IpAddr::V6(_) => Transport::V6,
        };
        self.counter += 1;
        let far_conn = ConnId::Incoming(self.counter);
        let local = at(node, transport, 40000 + self.counter as u16);
        self.ends.insert((node, conn), (far, far_conn));
        self.ends.insert((far, far_conn), (node, conn));
        self.later(Delivery::Accepted(
            far,
            far_conn,
            ConnInfo {
                local: remote,
                remote: local,
                ifindex: IFINDEX,
            },
        ));
        self.later(Delivery::Connected(
            node,
            conn,
            ConnInfo {
                local,
                remote,
                ifindex: IFINDEX,
            },
        ));
    }

    fn later(&mut self, delivery: Delivery) {
        if self.cut && matches!(delivery, Delivery::Data(..) | Delivery::Closed(..)) {
            return self.held.push(delivery);
        }
        self.counter += 1;
        self.queue
            .insert((self.now + LATENCY, self.counter), delivery);
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Connected(node, conn, info) => {
                if self.ends.contains_key(&(node, conn)) {
                    self.nodes[node].speaker.handle_connected(now, conn, info);
                    self.tell_addresses(node, conn);
                }
            }
            Delivery::Refused(node, conn) => {
                self.nodes[node]
                    .speaker
                    .handle_connect_failed(now, conn, "connection refused");
            }
            Delivery::Accepted(node, conn, info) => {
                self.nodes[node].speaker.handle_accepted(now, conn, info);
                self.tell_addresses(node, conn);
            }
            Delivery::Data(node, conn, bytes) => {
                // In pieces, as TCP may.
                let cut = bytes.len() / 3;
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    self.nodes[node].speaker.handle_data(now, conn, piece);
                }
            }
            Delivery::Closed(node, conn) => {
                self.nodes[node]
                    .speaker
                    .handle_closed(now, conn, "closed by the peer")
            }
        }
    }

    fn tell_addresses(&mut self, node: usize, conn: ConnId) {
        if self.mute_addresses {
            return;
        }
        let (now, addresses) = (self.now, self.nodes[node].addresses);
        self.speaker(node).set_local_addresses(now, conn, addresses);
    }

    /// Somebody who is no peer connects, or writes to a connection.
    pub(crate) fn stranger(&mut self, node: usize, remote: SocketAddr) {
        self.counter += 1;
        let conn = ConnId::Incoming(self.counter);
        let now = self.now;
        let info = ConnInfo {
            local: at(node, Transport::V4, 179),
            remote,
            ifindex: IFINDEX,
        };
        self.speaker(node).handle_accepted(now, conn, info);
    }
}

/// The text of the last reason for a session's end.
pub(crate) fn last_down(net: &Net, node: usize) -> alloc::string::String {
    net.peer(node)
        .last_down
        .map(|(_, reason)| reason.to_string())
        .unwrap_or_default()
}
