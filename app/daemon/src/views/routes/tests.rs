//! Pages of long lists: what is skipped is counted right, and costs little.

use std::net::SocketAddr;
use std::time::Instant as Clock;

use tapway_bgp::config::{
    AddPaths, PeerAddress, PeerAsPath, PeerAsn, PeerConfig, PeerNextHop, PrefixLimit, Reach,
};
use tapway_bgp::{ConnId, ConnInfo, Endpoint, LocalAddresses, NextHop};
use tapway_bgp_wire::{
    AfiSafi, Capabilities, Capability, EncodeContext, Open, UpdateBuilder, encode_keepalive,
};
use tapway_model::{Instant, PolicyName};

use super::*;

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn tor() -> PeerName {
    PeerName::new("tor1").unwrap()
}

fn prefix(number: u32) -> Prefix {
    Prefix::host(std::net::Ipv4Addr::from(0x0a00_0000 + number).into())
}

/// A node with a peer that sent so many routes.
fn node(routes: u32) -> Node {
    let mut node = crate::sliced::tests::node();
    let remote: SocketAddr = "198.51.100.1:40000".parse().unwrap();
    let all = PolicyName::new("all").unwrap();
    let config = PeerConfig {
        name: tor(),
        address: PeerAddress::Ip {
            addr: remote.ip(),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(65001),
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: std::time::Duration::from_secs(90),
        keepalive: None,
        connect_retry: std::time::Duration::from_secs(5),
        passive: true,
        reach: Reach::Direct,
        add_paths: AddPaths::default(),
        next_hop: PeerNextHop::default(),
        import: all.clone(),
        export: all,
        install: None,
        range: None,
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(u32::MAX),
        graceful_restart: None,
        disabled: false,
    };
    let speaker = node.speaker_mut();
    speaker.set_peer(NOW, config);
    let endpoint = Endpoint {
        remote,
        local: None,
        ifindex: 7,
    };
    speaker.set_peer_endpoint(NOW, &tor(), Some(endpoint));
    let conn = ConnId::Incoming(1);
    let info = ConnInfo {
        local: "198.51.100.254:179".parse().unwrap(),
        remote,
        ifindex: 7,
    };
    speaker.handle_accepted(NOW, conn, info);
    speaker.set_local_addresses(NOW, conn, LocalAddresses::default());
    let mut bytes = Vec::new();
    Open {
        asn: 65001,
        hold_time: 90,
        router_id: [192, 0, 2, 2].into(),
        capabilities: Capabilities(vec![
            Capability::MultiProtocol(AfiSafi::from(Family::Ipv4)),
            Capability::FourOctetAs(65001),
        ]),
    }
    .encode(&mut bytes);
    encode_keepalive(&mut bytes);
    let mut attributes = Attributes::default();
    attributes.as_path.prepend(65001, 1);
    let hop = NextHop::V4([198, 51, 100, 1].into());
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, hop, (0..routes).map(prefix))
        .unwrap();
    speaker.handle_data(NOW, conn, &bytes);
    node
}

/// A page of what the peer sent, or of what is in use.
fn page_of(node: &Node, received: bool, offset: u64, limit: u32) -> List<Route> {
    let query = RouteQuery {
        received: received.then(tor),
        offset: Some(offset),
        limit: Some(limit),
        ..RouteQuery::default()
    };
    let mut list = routes(node, &query);
    loop {
        // Every slice is over after what is under way.
        match list.step(node, &|| true) {
            Some(ApiReply::Routes(list)) => return list,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

#[test]
fn a_page_begins_where_it_should() {
    const ROUTES: u32 = 5000;
    let node = node(ROUTES);
    for offset in [
        0, 1, 63, 64, 1023, 1024, 1025, 2048, 4095, 4990, 4999, 5000, 9000,
    ] {
        for received in [true, false] {
            let page = page_of(&node, received, offset, 20);
            assert_eq!(page.total, u64::from(ROUTES));
            let found: Vec<Prefix> = page.items.iter().map(|r| r.prefix).collect();
            let rest = (offset as u32).min(ROUTES)..ROUTES;
            let expected: Vec<Prefix> = rest.take(20).map(prefix).collect();
            assert_eq!(found, expected, "{offset}");
        }
    }
}

/// Not a benchmark, but it prints times:
/// `TAPWAY_ROUTES=1000000 cargo test -p tapway-daemon --lib times_of_pages -- --nocapture`.
#[test]
fn times_of_pages() {
    let count = std::env::var("TAPWAY_ROUTES").map_or(20_000, |n| n.parse().unwrap());
    let node = node(count);
    for offset in [0, count / 2, count - 10] {
        for (received, what) in [(true, "received"), (false, "in use")] {
            let start = Clock::now();
            let page = page_of(&node, received, offset.into(), 10);
            let time = start.elapsed();
            println!("10 of {count} routes {what} behind {offset}: {time:?}");
            assert_eq!(page.items.len(), 10);
            assert_eq!(page.items[0].prefix, prefix(offset));
        }
    }
    let start = Clock::now();
    let query = RouteQuery {
        received: Some(tor()),
        prefix: Some(prefix(count / 2)),
        ..RouteQuery::default()
    };
    let found = routes(&node, &query);
    println!("one prefix of {count}: {:?}", start.elapsed());
    assert_eq!(found.total, 1);
}
