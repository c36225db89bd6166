//! A node that others connect to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tapway_bgp::config::*;
use tapway_bgp::*;
use tapway_bgp_wire::{
    AsPath, Attributes, EncodeContext, Frame, MAX_LEN, NextHop, Notification, UpdateBuilder,
};
use tapway_fib::sim::Kernel;
use tapway_fib::{Address, IfIndex, Object};
use tapway_intent::SourceEvent;
use tapway_model::spec::{InstanceSpec, NicSpec};
use tapway_model::{Family, IfName, Instant, PeerName, PolicyName, Prefix, SourceName};
use tapway_node::{Node, Report, Restored, Start};

use crate::beginning;

pub(crate) const NOW: Instant = Instant::from_nanos(1_000_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The links of every world here, after `lo`.
pub(crate) const ETH0: IfIndex = 2;
pub(crate) const TAP0: IfIndex = 3;
pub(crate) const BR0: IfIndex = 4;

pub(crate) fn n(text: &str) -> PeerName {
    PeerName::new(text).unwrap()
}

pub(crate) fn ifname(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

pub(crate) fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

pub(crate) fn peer(name: &str, address: PeerAddress, reach: Reach) -> PeerConfig {
    PeerConfig {
        name: n(name),
        address,
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(65002),
        families: vec![Family::Ipv4],
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: false,
        reach,
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        import: policy("all"),
        export: policy("claims"),
        install: None,
        range: None,
        prefix_limit: PrefixLimit::new(2),
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        graceful_restart: None,
        disabled: false,
    }
}

pub(crate) fn at(addr: &str) -> PeerAddress {
    PeerAddress::Ip {
        addr: addr.parse().unwrap(),
        interface: None,
    }
}

pub(crate) fn range(name: &str, prefix: &str, limit: u32, reach: Reach) -> PeerConfig {
    let prefixes = vec![prefix.parse().unwrap()];
    let range = PeerRange { prefixes, limit };
    peer(name, PeerAddress::Range(range), reach)
}

pub(crate) fn edge() -> PeerConfig {
    range("edge", "198.51.100.0/24", 10, Reach::Direct)
}

pub(crate) fn put(kernel: &mut Kernel, index: IfIndex, addr: &str, len: u8) {
    let address = Address {
        index,
        addr: addr.parse().unwrap(),
        len,
        scope: 0,
        flags: 0x80,
        protocol: 0,
    };
    kernel.put(&Object::Address(address)).unwrap();
}

/// Links with these names, up, after `lo`.
pub(crate) fn kernel<'a>(links: impl IntoIterator<Item = &'a str>) -> Kernel {
    let mut kernel = Kernel::new();
    for name in ["lo"].into_iter().chain(links) {
        let index = kernel.add_link(ifname(name));
        kernel.set_up(index, true);
        kernel.set_carrier(index, true);
    }
    kernel
}

pub(crate) fn node_in(kernel: &Kernel, peers: Vec<PeerConfig>, restored: Restored) -> Node {
    let config = beginning::config(peers);
    Node::new(NOW, config, restored, kernel.scan(), Start::Cold)
}

pub(crate) fn small_kernel() -> Kernel {
    let mut kernel = kernel(["eth0", "tap0", "br0"]);
    put(&mut kernel, ETH0, "198.51.100.1", 24);
    kernel
}

pub(crate) fn node(peers: Vec<PeerConfig>) -> Node {
    node_in(&small_kernel(), peers, Restored::default())
}

/// A guest's NIC on `tap0` comes.
pub(crate) fn guest(node: &mut Node) {
    let nic = NicSpec {
        interface: "tap0".into(),
        addresses: vec!["10.3.0.1".into()],
        ..NicSpec::default()
    };
    let spec = InstanceSpec {
        name: "web1".into(),
        nic: vec![nic],
        claim: vec![],
    };
    let instance = Arc::new(spec.parse().unwrap());
    let source = SourceName::new("api").unwrap();
    node.handle_source(NOW, &source, SourceEvent::Put(instance));
}

/// Somebody at `remote` connects, over the link `arrived`, and speaks BGP if let in. Returns the first NOTIFICATION that
/// comes back, if any does.
pub(crate) fn dial(
    node: &mut Node,
    now: Instant,
    conn: u64,
    remote: &str,
    arrived: IfIndex,
) -> Option<Notification> {
    let remote = SocketAddr::new(remote.parse().unwrap(), 4000);
    if let Err(farewell) = node.admit(now, remote, arrived) {
        return notification(&farewell);
    }
    let local: SocketAddr = "198.51.100.1:179".parse().unwrap();
    let info = ConnInfo {
        local,
        remote,
        ifindex: 0,
    };
    let conn = ConnId::Incoming(conn);
    node.handle_accepted(now, conn, info);
    let own = SpeakerConfig {
        asn: 65002,
        router_id: Ipv4Addr::new(192, 0, 2, 2),
        graceful_restart: None,
        decision: tapway_bgp::config::Decision::default(),
        cluster_id: None,
    };
    let mut other = Speaker::new(own, 2, StartKind::Cold);
    let us = PeerConfig {
        asn: PeerAsn::Number(65001),
        passive: true,
        ..peer("us", at("198.51.100.1"), Reach::Multihop(64))
    };
    other.set_peer(now, us);
    let endpoint = Endpoint {
        remote: local,
        local: None,
        ifindex: 0,
    };
    other.set_peer_endpoint(now, &n("us"), Some(endpoint));
    let mirrored = ConnInfo {
        local: remote,
        remote: local,
        ifindex: 0,
    };
    other.handle_accepted(now, conn, mirrored);
    for _ in 0..6 {
        while let Some(sent) = node.poll_transmit(now) {
            if sent.conn == conn {
                other.handle_data(now, conn, &sent.bytes);
            }
        }
        if let Some(farewell) = closed(node, now).remove(&conn) {
            return notification(&farewell);
        }
        while let Some(sent) = other.poll_transmit(now) {
            node.handle_data(now, conn, &sent.bytes);
        }
    }
    None
}

/// Connections that the node closed, with its last words.
pub(crate) fn closed(node: &mut Node, now: Instant) -> BTreeMap<ConnId, Vec<u8>> {
    let mut all = BTreeMap::new();
    while let Some(action) = node.poll_action(now) {
        if let tapway_node::Action::Bgp(Action::Close { conn, farewell }) = action {
            all.insert(conn, farewell);
        }
    }
    all
}

pub(crate) fn notification(bytes: &[u8]) -> Option<Notification> {
    let (_, frame) = Frame::next(bytes, MAX_LEN).unwrap()?;
    Some(Notification::decode(frame.body()).unwrap())
}

pub(crate) fn states(node: &Node) -> Vec<(String, State)> {
    let peers = node.speaker().peers();
    peers.map(|p| (p.name.to_string(), p.state)).collect()
}

pub(crate) fn up(node: &Node) -> Vec<String> {
    let up = states(node).into_iter();
    let up = up.filter(|(_, state)| *state == State::Established);
    up.map(|(name, _)| name).collect()
}

pub(crate) fn events(node: &mut Node, kind: &str) -> Vec<String> {
    std::iter::from_fn(|| node.poll_report())
        .filter_map(|report| match report {
            Report::Event(event) if event.kind == kind => Some(event.text),
            Report::Event(_) | Report::Record(_) => None,
        })
        .collect()
}

/// The peer sends more prefixes than it may. Returns what it is told.
pub(crate) fn exceed(node: &mut Node, now: Instant, conn: u64, next_hop: &str) -> Notification {
    let mut bytes = Vec::new();
    let attributes = Attributes {
        as_path: AsPath::sequence([65002]),
        ..Attributes::default()
    };
    let prefixes = (0..5).map(|i| format!("10.0.{i}.0/24").parse::<Prefix>().unwrap());
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(
            &attributes,
            NextHop::V4(next_hop.parse().unwrap()),
            prefixes,
        )
        .unwrap();
    let conn = ConnId::Incoming(conn);
    node.handle_data(now, conn, &bytes);
    notification(&closed(node, now)[&conn]).unwrap()
}

pub(crate) fn after(time: Duration) -> Instant {
    NOW + time
}

pub(crate) fn run_to(node: &mut Node, until: Instant) {
    while let Some(at) = node.poll_timeout().filter(|at| *at <= until) {
        node.handle_timeout(at);
        closed(node, at);
    }
}
