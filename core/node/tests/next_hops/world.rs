//! A node between a small kernel and two reflectors far away.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tapway_bgp::config::*;
use tapway_bgp::*;
use tapway_bgp_wire::{
    AfiSafi, Capabilities, Capability, EncodeContext, NextHop, NlriEntry, Open, UpdateBuilder,
    encode_keepalive,
};
use tapway_fib::sim::Kernel;
use tapway_fib::{
    Address, IfIndex, KernelEvent, Key, NextHop as Leg, Object, Route, RouteKind, RouteList,
    RouteNews,
};
use tapway_intent::SourceEvent;
use tapway_model::spec::{InstanceSpec, NicSpec};
use tapway_model::{Family, IfName, Instance, Instant, PeerName, PolicyName, Prefix, SourceName};
use tapway_node::{Action, Event, Node, NodeConfig, Report, Restored, Start, Unresolved};

use crate::beginning::config;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const ETH0: IfIndex = 2;
pub(crate) const ETH1: IfIndex = 3;
pub(crate) const TAP0: IfIndex = 4;
pub(crate) const FAR: &str = "10.9.9.9";
pub(crate) const FARTHER: &str = "10.8.8.8";
pub(crate) const PREFIX: &str = "198.18.0.0/15";

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The static route of somebody else.
pub(crate) fn foreign(to: &str, via: &str, index: IfIndex, metric: u32) -> Route {
    Route {
        table: 254,
        prefix: prefix(to),
        metric,
        kind: RouteKind::Unicast,
        scope: 0,
        next_hops: vec![Leg {
            index,
            via: Some(ip(via)),
            onlink: false,
            weight: 1,
        }],
        prefsrc: None,
        protocol: 4,
    }
}

/// The internal peer `rr1`, or `rr2`, several hops away: what it accepts goes to the kernel.
pub(crate) fn reflector(number: u8) -> PeerConfig {
    PeerConfig {
        name: PeerName::new(&format!("rr{number}")).unwrap(),
        address: PeerAddress::Ip {
            addr: Ipv4Addr::new(192, 0, 2, 100 + number).into(),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Internal,
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: true,
        reach: Reach::Multihop(8),
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        import: PolicyName::new("all").unwrap(),
        export: PolicyName::new("claims").unwrap(),
        install: Some(Install {
            table: 254,
            metric: None,
            prefsrc: None,
        }),
        range: None,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(1_000_000),
        client: false,
        graceful_restart: None,
        disabled: false,
    }
}

/// The guest `web1` on `tap0`, with these addresses and the subnets among them behind it.
pub(crate) fn guest<'a>(claims: impl IntoIterator<Item = &'a &'a str>) -> Arc<Instance> {
    let claims = claims.into_iter().map(|claim| claim.to_string());
    let (routes, addresses) = claims.partition(|claim| claim.contains('/'));
    let nic = NicSpec {
        interface: "tap0".into(),
        addresses,
        routes,
        ..NicSpec::default()
    };
    let spec = InstanceSpec {
        name: "web1".into(),
        nic: vec![nic],
        claim: vec![],
    };
    Arc::new(spec.parse().unwrap())
}

/// A message with these prefixes by this next hop.
pub(crate) fn announcement(next_hop: &str, prefixes: &[&str]) -> Vec<u8> {
    let hop = match ip(next_hop) {
        IpAddr::V4(addr) => NextHop::V4(addr),
        IpAddr::V6(addr) => NextHop::V6(addr),
    };
    let attributes = Attributes {
        local_pref: Some(100),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, hop, prefixes.iter().map(|p| prefix(p)))
        .unwrap();
    bytes
}

/// A message that takes these prefixes back.
pub(crate) fn withdrawal(prefixes: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let entries = prefixes.iter().map(|p| NlriEntry::from(prefix(p)));
    UpdateBuilder::new(&mut bytes, EncodeContext::default()).withdraw(entries);
    bytes
}

pub(crate) fn ends_of_rib() -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in Family::ALL {
        UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(family);
    }
    bytes
}

pub(crate) struct World {
    pub(crate) kernel: Kernel,
    pub(crate) node: Node,
    pub(crate) now: Instant,
    /// How many questions were put to the kernel.
    pub(crate) asked: usize,
    /// Routes that were written or removed.
    pub(crate) changes: Vec<String>,
    /// How often its tables were searched.
    pub(crate) searched: usize,
    /// What is searched for is found only after the next input.
    pub(crate) slow: bool,
    found: Option<RouteList>,
    /// Searches fail.
    pub(crate) broken: bool,
    /// What was told of next hops.
    pub(crate) told: Vec<String>,
}

impl World {
    /// `eth0` with 198.51.100.1/24, `eth1` with 198.51.101.1/24, `tap0`, and two sessions.
    pub(crate) fn new(via_default: bool) -> World {
        let mut kernel = Kernel::new();
        for name in ["lo", "eth0", "eth1", "tap0"] {
            let index = kernel.add_link(IfName::new(name).unwrap());
            kernel.set_up(index, true);
            kernel.set_carrier(index, true);
        }
        for (index, addr) in [(ETH0, "198.51.100.1"), (ETH1, "198.51.101.1")] {
            let address = Address {
                index,
                addr: ip(addr),
                len: 24,
                scope: 0,
                flags: 0x80,
                protocol: 0,
            };
            kernel.put(&Object::Address(address)).unwrap();
        }
        World::on(kernel, Start::Cold, via_default)
    }

    pub(crate) fn on(kernel: Kernel, start: Start, next_hop_via_default: bool) -> World {
        let config = NodeConfig {
            next_hop_via_default,
            ..config([reflector(1), reflector(2)])
        };
        let now = Instant::from_nanos(1_000_000_000);
        let node = Node::new(now, config, Restored::default(), kernel.scan(), start);
        let mut world = World {
            kernel,
            node,
            now,
            asked: 0,
            changes: Vec::new(),
            searched: 0,
            slow: false,
            found: None,
            broken: false,
            told: Vec::new(),
        };
        world.settle();
        world
    }

    /// The session with a reflector comes up.
    pub(crate) fn establish(&mut self, number: u8) {
        let local: SocketAddr = "198.51.100.1:179".parse().unwrap();
        let remote = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 100 + number).into(), 4000);
        let conn = ConnId::Incoming(number.into());
        let info = ConnInfo {
            local,
            remote,
            ifindex: 0,
        };
        self.node.handle_accepted(self.now, conn, info);
        let mut bytes = Vec::new();
        let families = Family::ALL.map(|f| Capability::MultiProtocol(AfiSafi::from(f)));
        let capabilities = families
            .into_iter()
            .chain([Capability::FourOctetAs(65001)])
            .collect();
        Open {
            asn: 65001,
            hold_time: 90,
            router_id: [192, 0, 2, 100 + number].into(),
            capabilities: Capabilities(capabilities),
        }
        .encode(&mut bytes);
        encode_keepalive(&mut bytes);
        self.feed(number, &bytes);
    }

    pub(crate) fn both() -> World {
        World::with(false)
    }

    pub(crate) fn with(via_default: bool) -> World {
        let mut world = World::new(via_default);
        world.establish(1);
        world.establish(2);
        world
    }

    /// A peer sends something; nothing is drained yet.
    pub(crate) fn hear(&mut self, number: u8, bytes: &[u8]) {
        let conn = ConnId::Incoming(number.into());
        self.node.handle_data(self.now, conn, bytes);
    }

    pub(crate) fn feed(&mut self, number: u8, bytes: &[u8]) {
        self.hear(number, bytes);
        self.settle();
    }

    /// Answers what the kernel is asked now as it is; how many addresses that were.
    pub(crate) fn answer_lookups(&mut self) -> Option<usize> {
        let asked = self.node.poll_lookups(self.now)?;
        let count = asked.len();
        let answers: Vec<_> = asked.iter().map(|a| (*a, self.kernel.lookup(*a))).collect();
        self.node.handle_lookups(self.now, answers);
        Some(count)
    }

    pub(crate) fn keep_alive(&mut self, number: u8) {
        let mut bytes = Vec::new();
        encode_keepalive(&mut bytes);
        self.hear(number, &bytes);
    }

    pub(crate) fn end_of_rib(&mut self, number: u8) {
        self.feed(number, &ends_of_rib());
    }

    pub(crate) fn announce(&mut self, number: u8, next_hop: &str, prefixes: &[&str]) {
        self.feed(number, &announcement(next_hop, prefixes));
    }

    pub(crate) fn withdraw(&mut self, number: u8, prefixes: &[&str]) {
        self.feed(number, &withdrawal(prefixes));
    }

    /// Does what a shell does, in its order.
    pub(crate) fn settle(&mut self) {
        if let Some(found) = self.found.take() {
            self.node.handle_found(self.now, Ok(found));
        }
        loop {
            while let Some(asked) = self.node.poll_lookups(self.now) {
                self.asked += asked.len();
                let kernel = &self.kernel;
                let answers: Vec<_> = asked.iter().map(|a| (*a, kernel.lookup(*a))).collect();
                self.node.handle_lookups(self.now, answers);
            }
            self.answer_search();
            while self.node.poll_transmit(self.now).is_some() {}
            while let Some(report) = self.node.poll_report() {
                self.take_report(report);
            }
            if let Some(event) = self.kernel.poll_event() {
                let news = match &event {
                    KernelEvent::Present(Object::Route(r)) => Some(RouteNews::Present(r.clone())),
                    KernelEvent::Absent(Object::Route(r)) => Some(RouteNews::Absent(r.clone())),
                    _ => None,
                };
                self.node.handle_routes(self.now, news);
                self.node.handle_kernel(self.now, [event]);
                continue;
            }
            match self.node.poll_action(self.now) {
                Some(Action::Kernel(batch)) => {
                    let shown = batch.changes.iter().map(ToString::to_string);
                    self.changes.extend(shown.filter(|c| c.contains("route")));
                    let outcomes: Vec<_> =
                        batch.changes.iter().map(|c| self.kernel.apply(c)).collect();
                    self.node.handle_outcomes(self.now, batch.id, &outcomes);
                }
                Some(Action::Scan) => {
                    let scan = self.kernel.scan();
                    self.node.handle_kernel(self.now, scan);
                }
                Some(_) => {}
                None if self.node.poll_timeout().is_some_and(|at| at <= self.now) => {
                    self.node.handle_timeout(self.now);
                }
                None => return,
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        if let Report::Event(Event {
            kind,
            subject,
            text,
            ..
        }) = report
            && kind.starts_with("next-hop.")
        {
            self.told.push(format!("{kind} {subject}: {text}"));
        }
    }

    fn answer_search(&mut self) {
        while let Some(search) = self.node.poll_search(self.now) {
            self.searched += 1;
            if self.broken {
                self.node.handle_found(self.now, Err("no buffer".into()));
                continue;
            }
            let found = self.kernel.search(&search);
            if self.slow {
                self.found = Some(found);
                return;
            }
            self.node.handle_found(self.now, Ok(found));
        }
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.node.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// The guest has these claims now.
    pub(crate) fn claim(&mut self, claims: &[&str]) {
        let source = SourceName::new("api").unwrap();
        let event = SourceEvent::Put(guest(claims));
        self.node.handle_source(self.now, &source, event);
        self.settle();
    }

    pub(crate) fn scan(&mut self) {
        let scan = self.kernel.scan();
        self.node.handle_kernel(self.now, scan);
    }

    pub(crate) fn put(&mut self, route: Route) {
        self.kernel.put(&Object::Route(route)).unwrap();
        self.settle();
    }

    pub(crate) fn delete(&mut self, route: &Route) {
        let key = Key::Route(route.table, route.prefix, route.metric);
        assert!(self.kernel.delete(&key));
        self.settle();
    }

    /// Our routes: `prefix via gateway dev index …`.
    pub(crate) fn installed(&self) -> Vec<String> {
        let ours = self.kernel.objects().filter_map(|object| match object {
            Object::Route(r) if r.protocol == 112 => Some(r),
            _ => None,
        });
        let text = |r: &Route| {
            let legs: Vec<String> = r
                .next_hops
                .iter()
                .map(|leg| format!(" via {} dev {}", leg.via.unwrap(), leg.index))
                .collect();
            format!("{}{}", r.prefix, legs.concat())
        };
        ours.map(text).collect()
    }

    pub(crate) fn unresolved(&self, next_hop: &str) -> Option<Unresolved> {
        self.node.next_hop(&ip(next_hop))?.clone().err()
    }

    /// Everything that [`DEBOUNCE`] and the rest after a round of questions put off.
    pub(crate) fn wait(&mut self) {
        self.settle();
        self.advance(200 * MILLISECOND);
    }
}
