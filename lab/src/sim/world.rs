//! [`World`]: the pieces, wired together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tapway_bgp::config::{
    AddPaths, GracefulRestart, PeerAddress, PeerAsPath, PeerAsn, PeerConfig, PeerNextHop, Policy,
    PrefixLimit, Reach, SpeakerConfig,
};
use tapway_bgp::{ConnId, Speaker};
use tapway_fib::sim::Kernel;
use tapway_fib::{Address, Change, IfIndex, Object};
use tapway_intent::{OrderRecord, Record as IntentRecord, SourceEvent};
use tapway_model::spec::{InstanceSpec, NicSpec};
use tapway_model::{
    Family, IfName, Instance, InstanceName, Instant, Network, PeerName, PolicyName, Prefix,
    SourceName,
};
use tapway_node::{Event, Listen, Node, NodeConfig, Record, Restored, Start};

use super::Watch;

mod engine;
mod routers;

pub use routers::Other;
use routers::Router;

/// The hypervisor's address on the link to the router.
pub const HOST_ADDR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);
/// Its IPv6 address there.
const HOST_ADDR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x11);
/// The router's address on that link.
pub const ROUTER_ADDR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// How long bytes are under way.
const DELAY: Duration = Duration::from_millis(1);

/// Settings of a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Seeds the speakers' jitter.
    pub seed: u64,
    /// Sources of the hypervisor and their grace.
    pub sources: BTreeMap<SourceName, Duration>,
    /// Networks beside `default`.
    pub networks: Vec<Network>,
    /// The router announces an IPv4 default route, which goes to the hypervisor's kernel.
    pub router_announces_default: bool,
    /// Routers beside the first one.
    pub others: Vec<Other>,
    /// Policies of the hypervisor.
    pub policies: Vec<Policy>,
}

impl Default for WorldConfig {
    fn default() -> Self {
        WorldConfig {
            seed: 1,
            sources: [
                (name("files"), Duration::from_secs(30)),
                (name("api"), Duration::ZERO),
            ]
            .into(),
            networks: Vec::new(),
            router_announces_default: false,
            others: Vec::new(),
            policies: Vec::new(),
        }
    }
}

/// A router by its place, and its end of a connection.
type RouterConn = (usize, ConnId);

#[derive(Clone, Debug)]
enum Packet {
    ToHost(ConnId, Vec<u8>),
    ToRouter(RouterConn, Vec<u8>),
    HostClosed(ConnId),
    RouterClosed(RouterConn),
}

/// What a disk holds that keeps every record in order.
#[derive(Clone, Debug, Default)]
struct Kept {
    instances: BTreeMap<(SourceName, InstanceName), Arc<Instance>>,
    order: BTreeMap<tapway_intent::OrderKey, u64>,
    sysctls: BTreeMap<String, String>,
}

/// A hypervisor, its kernel and disk, and its routers.
pub struct World {
    config: WorldConfig,
    /// The virtual time.
    pub now: Instant,
    /// The hypervisor's kernel: other programs are played by its methods; call [`World::settle`] after.
    pub kernel: Kernel,
    node: Option<Node>,
    /// The first one comes first.
    routers: Vec<Router>,
    packets: BTreeMap<(Instant, u64), Packet>,
    serial: u64,
    pairs: BTreeMap<ConnId, RouterConn>,
    eth0: IfIndex,
    kept: Kept,
    unkept: VecDeque<Record>,
    /// Records stay in memory until this is false again: a crash loses them.
    pub disk_stuck: bool,
    /// Every change that the node made to the kernel since it was last emptied.
    pub changes: Vec<Change>,
    /// Every event since it was last emptied.
    pub events: Vec<Event>,
    /// What must hold at every moment.
    pub watch: Watch,
}

impl World {
    /// A world whose daemon runs, with an established session.
    pub fn new(config: WorldConfig) -> World {
        let mut kernel = Kernel::new();
        let lo = kernel.add_link(ifname("lo"));
        let eth0 = kernel.add_link(ifname("eth0"));
        for index in [lo, eth0] {
            kernel.set_up(index, true);
            kernel.set_carrier(index, true);
        }
        for (addr, len) in [(IpAddr::V4(HOST_ADDR), 24), (IpAddr::V6(HOST_ADDR6), 64)] {
            let address = Address {
                index: eth0,
                addr,
                len,
                scope: 0,
                flags: 0x80,
                protocol: 0,
            };
            kernel
                .put(&Object::Address(address))
                .expect("eth0 is there");
        }
        for path in ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"] {
            kernel.set_sysctl(path, "0");
        }
        let mut world = World {
            routers: routers::all(&config),
            watch: Watch::new(&config.networks),
            config,
            now: Instant::from_nanos(1_000_000_000),
            kernel,
            node: None,
            packets: BTreeMap::new(),
            serial: 0,
            pairs: BTreeMap::new(),
            eth0,
            kept: Kept::default(),
            unkept: VecDeque::new(),
            disk_stuck: false,
            changes: Vec::new(),
            events: Vec::new(),
        };
        world.start(Start::Cold);
        world.advance(Duration::from_secs(5));
        world
    }

    /// The running daemon.
    ///
    /// # Panics
    /// When it does not run.
    pub fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("the daemon runs")
    }

    /// The daemon, when it runs.
    pub fn running(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Whether the daemon runs.
    pub fn is_running(&self) -> bool {
        self.node.is_some()
    }

    /// Starts the daemon with what the disk kept.
    pub fn start(&mut self, start: Start) {
        self.watch.scanned();
        // Messages from before the monitor's socket was opened are nobody's.
        while self.kernel.poll_event().is_some() {}
        let restored = Restored {
            draining: false,
            disabled: Vec::new(),
            instances: self
                .kept
                .instances
                .iter()
                .map(|((s, _), i)| (s.clone(), i.clone()))
                .collect(),
            order: self
                .kept
                .order
                .iter()
                .map(|(key, number)| OrderRecord {
                    key: key.clone(),
                    number: *number,
                })
                .collect(),
            sysctls: self.kept.sysctls.clone().into_iter().collect(),
        };
        let node = Node::new(
            self.now,
            self.node_config(),
            restored,
            self.kernel.scan(),
            start,
        );
        self.node = Some(node);
        self.settle();
    }

    /// The daemon dies: sockets close, what was not on disk is lost, the kernel stays.
    pub fn kill(&mut self) {
        self.node = None;
        self.watch.closed(None);
        self.unkept.clear();
        for (host, router) in std::mem::take(&mut self.pairs) {
            self.packets.retain(
                |_, p| !matches!(p, Packet::ToHost(c, _) | Packet::HostClosed(c) if *c == host),
            );
            self.send(Packet::RouterClosed(router));
        }
        self.settle();
    }

    /// A source says something.
    pub fn say(&mut self, source: &str, event: SourceEvent) {
        let now = self.now;
        self.node().handle_source(now, &name(source), event);
        self.settle();
    }

    /// The operator drops what a source has not repeated.
    pub fn forget(&mut self, source: &str) {
        let now = self.now;
        self.node().forget_source(now, &name(source));
        self.settle();
    }

    /// What the disk has of what sources said.
    pub fn kept(&self) -> impl Iterator<Item = (&SourceName, &Arc<Instance>)> {
        self.kept.instances.iter().map(|((s, _), i)| (s, i))
    }

    /// A source lists exactly these.
    pub fn list(&mut self, source: &str, instances: &[Instance]) {
        self.say(source, SourceEvent::Begin);
        for instance in instances {
            self.say(source, SourceEvent::Put(Arc::new(instance.clone())));
        }
        self.say(source, SourceEvent::Complete);
    }

    /// Makes an interface that is up with carrier.
    pub fn plug(&mut self, interface: &str) -> IfIndex {
        let index = self.kernel.add_link(ifname(interface));
        self.kernel.set_up(index, true);
        self.kernel.set_carrier(index, true);
        self.settle();
        index
    }

    /// The index of an interface.
    pub fn index(&self, interface: &str) -> Option<IfIndex> {
        self.kernel
            .links()
            .find(|l| l.name.as_str() == interface)
            .map(|l| l.index)
    }

    /// The session's link goes down or comes up.
    pub fn set_uplink(&mut self, up: bool) {
        self.kernel.set_carrier(self.eth0, up);
        self.settle();
        if !up {
            for (host, router) in std::mem::take(&mut self.pairs) {
                let _ = host;
                self.send(Packet::RouterClosed(router));
            }
        }
        self.settle();
    }

    /// Whether the session's link has carrier.
    pub fn has_uplink(&self) -> bool {
        self.kernel.link(self.eth0).is_some_and(|l| l.carrier)
    }

    /// The router announces these too, or withdraws them.
    pub fn router_has(&mut self, prefixes: impl IntoIterator<Item = Prefix>, announced: bool) {
        for prefix in prefixes {
            let mut announcement = default_route();
            announcement.id.prefix = prefix;
            if announced {
                self.routers[0].speaker.announce(self.now, announcement);
            } else {
                self.routers[0].speaker.withdraw(self.now, &announcement.id);
            }
        }
        self.settle();
    }

    /// The hypervisor takes all that the router sends.
    pub fn import_all(&mut self) {
        let now = self.now;
        let tor = self.node().speaker().peer_config(&peer("tor")).cloned();
        if let Some(mut tor) = tor {
            tor.import = policy("all");
            self.node().set_peer(now, tor);
        }
        self.settle();
    }

    /// The first router.
    pub fn router(&self) -> &Speaker {
        &self.routers[0].speaker
    }

    /// Our routes in the kernel, by prefix.
    pub fn wired(&self) -> BTreeSet<Prefix> {
        let ours = self.kernel.objects().filter_map(|o| match o {
            Object::Route(r) if r.protocol == 112 => Some(r.prefix),
            _ => None,
        });
        ours.collect()
    }

    fn node_config(&self) -> NodeConfig {
        NodeConfig {
            speaker: speaker_config(64612, HOST_ADDR),
            protocol: 112,
            listen: Listen::Never,
            networks: self.config.networks.clone(),
            peers: routers::peers(&self.config),
            policies: self.config.policies.clone(),
            sources: self.config.sources.clone(),
            withdraw_without_carrier: true,
            next_hop_via_default: false,
            seeds: self.config.seed.into(),
        }
    }
}

impl Kept {
    fn take(&mut self, record: Record) {
        match record {
            Record::Intent(IntentRecord::Put(source, instance)) => {
                self.instances
                    .insert((source, instance.name.clone()), instance);
            }
            Record::Intent(IntentRecord::Gone(source, instance)) => {
                self.instances.remove(&(source, instance));
            }
            Record::Intent(IntentRecord::Order(record)) => {
                self.order.insert(record.key, record.number);
            }
            Record::Intent(IntentRecord::OrderGone(key)) => {
                self.order.remove(&key);
            }
            Record::Sysctl { path, old } => {
                self.sysctls.insert(path, old);
            }
        }
    }
}

fn default_route() -> tapway_bgp::Announcement {
    tapway_bgp::Announcement {
        id: tapway_bgp::AnnouncementId {
            domain: tapway_model::Domain::MAIN,
            prefix: Prefix::DEFAULT_V4,
        },
        kind: tapway_model::ClaimKind::Route,
        network: tapway_model::NetworkName::new("default").expect("a plain name"),
        peers: None,
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: None,
    }
}

fn speaker_config(asn: u32, router_id: Ipv4Addr) -> SpeakerConfig {
    SpeakerConfig {
        asn,
        router_id,
        graceful_restart: Some(graceful_restart()),
        cluster_id: None,
        decision: tapway_bgp::config::DECISION,
    }
}

fn graceful_restart() -> GracefulRestart {
    GracefulRestart {
        time: Duration::from_secs(120),
        notification: false,
        long_lived: None,
    }
}

fn peer_config(name: &str, addr: IpAddr, asn: u32, passive: bool) -> PeerConfig {
    PeerConfig {
        name: peer(name),
        address: PeerAddress::Ip {
            addr,
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(asn),
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive,
        reach: Reach::Direct,
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        import: policy("default-route"),
        export: policy("claims"),
        install: (!passive).then_some(tapway_bgp::config::Install {
            table: 254,
            metric: None,
            prefsrc: None,
        }),
        range: None,
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(100_000),
        graceful_restart: Some(graceful_restart()),
        disabled: false,
    }
}

fn name(text: &str) -> SourceName {
    SourceName::new(text).expect("a plain name")
}

fn peer(text: &str) -> PeerName {
    PeerName::new(text).expect("a plain name")
}

fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).expect("a plain name")
}

fn ifname(text: &str) -> IfName {
    IfName::new(text).expect("a plain name")
}

/// A prefix from its text.
///
/// # Panics
/// When it is none.
pub fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

/// An instance with one NIC that has a MAC and these addresses.
///
/// # Panics
/// When a value is wrong.
pub fn instance(name: &str, interface: &str, addresses: &[&str]) -> Instance {
    let nic = NicSpec {
        interface: interface.to_owned(),
        mac: Some("52:54:00:00:00:01".to_owned()),
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
        ..NicSpec::default()
    };
    InstanceSpec {
        name: name.to_owned(),
        nic: vec![nic],
        claim: Vec::new(),
    }
    .parse()
    .expect("a good instance")
}
