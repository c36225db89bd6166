//! A speaker with own routes and peers made of bytes, dumped; read by a parser that is not ours.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::SocketAddr;

use bgpkit_parser::models::{MrtMessage, TableDumpV2Message};
use bgpkit_parser::parser::mrt::mrt_record::parse_mrt_record;
use tapway_bgp::config::*;
use tapway_bgp::*;
use tapway_bgp_wire::{
    AddPathDirection, AddPathFamily, AfiSafi, Capabilities, Capability, EncodeContext, NlriEntry,
    Open, UpdateBuilder, encode_keepalive,
};
use tapway_model::{ClaimKind, Domain, Instant, NetworkName, PeerName, PolicyName};

use super::*;

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const TIME: Duration = Duration::from_secs(1_700_000_000);

fn speaker() -> Speaker {
    let config = SpeakerConfig {
        asn: 65000,
        router_id: [192, 0, 2, 1].into(),
        graceful_restart: None,
        cluster_id: None,
        decision: tapway_bgp::config::Decision::default(),
    };
    Speaker::new(config, 7, StartKind::Cold)
}

fn claim(speaker: &mut Speaker, prefix: &str, next_hop: Option<&str>) {
    let announcement = Announcement {
        id: AnnouncementId {
            domain: Domain::MAIN,
            prefix: prefix.parse().unwrap(),
        },
        kind: ClaimKind::Address,
        network: NetworkName::new("default").unwrap(),
        peers: None,
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: next_hop.map(|a| a.parse().unwrap()),
    };
    speaker.announce(NOW, announcement);
}

fn dumped(speaker: &Speaker, kind: Kind, page: usize) -> (Vec<u8>, u64) {
    let mut out = Vec::new();
    let mut dump = Dump::begin(speaker, kind, TIME, &mut out);
    while dump.page(speaker, page, &mut out) {}
    (out, dump.routes())
}

/// Peer, prefix and path of each route, and what is said of it, as another parser reads it.
fn read(mut bytes: &[u8]) -> Vec<String> {
    let (mut peers, mut lines) = (None, Vec::new());
    while !bytes.is_empty() {
        let record = parse_mrt_record(&mut bytes).unwrap();
        assert_eq!(record.common_header.timestamp, 1_700_000_000);
        let MrtMessage::TableDumpV2Message(message) = record.message else {
            panic!("another record");
        };
        match message {
            TableDumpV2Message::PeerIndexTable(table) => peers = Some(table),
            TableDumpV2Message::RibAfi(rib) => {
                let peers = peers.as_ref().unwrap();
                for entry in &rib.rib_entries {
                    let peer = peers.get_peer_by_id(&entry.peer_index).unwrap();
                    let path = entry
                        .path_id
                        .map(|id| format!(" path {id}"))
                        .unwrap_or_default();
                    let hop = entry.attributes.next_hop().or_else(|| {
                        entry
                            .attributes
                            .get_reachable_nlri()
                            .map(|n| n.next_hop_addr())
                    });
                    lines.push(format!(
                        "{} AS{} {}{path} by {} {}",
                        peer.peer_ip,
                        peer.peer_asn,
                        rib.prefix,
                        hop.map(|h| h.to_string()).unwrap_or_default(),
                        entry.attributes.as_path().unwrap()
                    ));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    lines
}

/// Adds an established peer; returns its connection.
fn peer(speaker: &mut Speaker, number: u8, add_path: bool, import: &str) -> ConnId {
    let addr = [198, 51, 100, number];
    let name = PeerName::new(&format!("p{number}")).unwrap();
    let config = PeerConfig {
        address: PeerAddress::Ip {
            addr: addr.into(),
            interface: None,
        },
        asn: PeerAsn::Number(65100),
        add_paths: AddPaths {
            receive: true,
            ..AddPaths::default()
        },
        import: PolicyName::new(import).unwrap(),
        ..peer_config(name.clone())
    };
    speaker.set_peer(NOW, config);
    let remote = SocketAddr::new(addr.into(), 40_000);
    let endpoint = Endpoint {
        remote,
        local: None,
        ifindex: 7,
    };
    speaker.set_peer_endpoint(NOW, &name, Some(endpoint));
    let conn = ConnId::Incoming(number.into());
    let info = ConnInfo {
        local: "198.51.100.254:179".parse().unwrap(),
        remote,
        ifindex: 7,
    };
    speaker.handle_accepted(NOW, conn, info);
    speaker.set_local_addresses(NOW, conn, LocalAddresses::default());
    let mut capabilities = Vec::from([
        Capability::MultiProtocol(AfiSafi::from(Family::Ipv4)),
        Capability::MultiProtocol(AfiSafi::from(Family::Ipv6)),
        Capability::FourOctetAs(65100),
    ]);
    if add_path {
        capabilities.push(Capability::AddPath(Vec::from([AddPathFamily {
            family: AfiSafi::from(Family::Ipv4),
            direction: AddPathDirection::Send,
        }])));
    }
    let mut bytes = Vec::new();
    Open {
        asn: 65100,
        hold_time: 90,
        router_id: [192, 0, 2, 100 + number].into(),
        capabilities: Capabilities(capabilities),
    }
    .encode(&mut bytes);
    encode_keepalive(&mut bytes);
    speaker.handle_data(NOW, conn, &bytes);
    assert_eq!(speaker.peer(&name).unwrap().state, State::Established);
    conn
}

fn announce(
    speaker: &mut Speaker,
    conn: ConnId,
    add_path: bool,
    hop: NextHop,
    all: &[(&str, u32)],
) {
    let mut cx = EncodeContext::default();
    cx.add_path[Family::Ipv4] = add_path;
    let mut attributes = Attributes::default();
    attributes.as_path.prepend(65100, 1);
    let entries = all.iter().map(|(prefix, path_id)| NlriEntry {
        prefix: prefix.parse().unwrap(),
        path_id: *path_id,
    });
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, cx)
        .announce(&attributes, hop, entries)
        .unwrap();
    speaker.handle_data(NOW, conn, &bytes);
}

#[test]
fn own_routes_byte_for_byte() {
    let mut speaker = speaker();
    claim(&mut speaker, "203.0.113.0/24", Some("192.0.2.9"));
    let (bytes, routes) = dumped(&speaker, Kind::Used, 100);
    assert_eq!(routes, 1);
    let table = [
        0x65, 0x53, 0xf1, 0x00, 0, 13, 0, 1, 0, 0, 0, 21, // header
        192, 0, 2, 1, 0, 0, 0, 1, // collector, view, peers
        2, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0xfd, 0xe8,
    ];
    let record = [
        0x65, 0x53, 0xf1, 0x00, 0, 13, 0, 2, 0, 0, 0, 32, // header
        0, 0, 0, 0, 24, 203, 0, 113, 0, 1, // sequence, prefix, entries
        0, 0, 0x65, 0x53, 0xf1, 0x00, 0, 14, // peer, time, length
        0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 9,
    ];
    assert_eq!(bytes, [&table[..], &record].concat());
}

#[test]
fn another_parser_reads_all_of_it() {
    let mut speaker = speaker();
    claim(&mut speaker, "2001:db8:1::/64", None);
    let first = peer(&mut speaker, 1, false, "all");
    let second = peer(&mut speaker, 2, false, "none");
    let v4 = |n: u8| NextHop::V4([198, 51, 100, n].into());
    let v6: NextHop = NextHop::V6("2001:db8::5".parse().unwrap());
    announce(
        &mut speaker,
        first,
        false,
        v4(1),
        &[("10.0.0.0/8", 0), ("0.0.0.0/0", 0)],
    );
    announce(&mut speaker, first, false, v6, &[("2001:db8:2::/48", 0)]);
    announce(&mut speaker, second, false, v4(2), &[("10.0.0.0/8", 0)]);
    let used = [
        "198.51.100.1 AS65100 0.0.0.0/0 by 198.51.100.1 65100",
        "198.51.100.1 AS65100 10.0.0.0/8 by 198.51.100.1 65100",
        "0.0.0.0 AS65000 2001:db8:1::/64 by :: ",
        "198.51.100.1 AS65100 2001:db8:2::/48 by 2001:db8::5 65100",
    ];
    for page in [1, 2, 100] {
        let (bytes, routes) = dumped(&speaker, Kind::Used, page);
        assert_eq!(read(&bytes), used, "{page}");
        assert_eq!(routes, 4);
    }
    let (bytes, _) = dumped(&speaker, Kind::Received, 1);
    let received = [
        used[0],
        used[1],
        "198.51.100.2 AS65100 10.0.0.0/8 by 198.51.100.2 65100",
        used[3],
    ];
    assert_eq!(read(&bytes), received);
}

#[test]
fn path_identifiers_are_kept_apart() {
    let mut speaker = speaker();
    let conn = peer(&mut speaker, 1, true, "all");
    let hop = NextHop::V4([198, 51, 100, 1].into());
    announce(
        &mut speaker,
        conn,
        true,
        hop,
        &[("10.0.0.0/8", 3), ("10.0.0.0/8", 9)],
    );
    let (bytes, routes) = dumped(&speaker, Kind::Received, 10);
    assert_eq!(routes, 2);
    let table = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize + 12;
    assert_eq!(bytes[table + 4..table + 8], [0, 13, 0, 8]);
    assert_eq!(
        read(&bytes),
        [
            "198.51.100.1 AS65100 10.0.0.0/8 path 3 by 198.51.100.1 65100",
            "198.51.100.1 AS65100 10.0.0.0/8 path 9 by 198.51.100.1 65100",
        ]
    );
}

fn peer_config(name: PeerName) -> PeerConfig {
    let all = PolicyName::new("all").unwrap();
    PeerConfig {
        name,
        address: PeerAddress::Ip {
            addr: IpAddr::V4([0; 4].into()),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::External,
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
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
        prefix_limit: PrefixLimit::new(100_000),
        graceful_restart: None,
        disabled: false,
    }
}
