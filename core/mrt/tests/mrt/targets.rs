//! What must hold for any bytes at all. The fuzzer calls this, and so does the corpus test.
//!
//! A peer sends them to a speaker. What the speaker has then is dumped, and read by a parser that is not ours: it must be the
//! same routes. So must the messages, written as they came.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bgpkit_parser::models::{MetaCommunity, MrtMessage, RibEntry, TableDumpV2Message};
use bgpkit_parser::parser::mrt::mrt_record::parse_mrt_record;
use tapway_bgp::config::*;
use tapway_bgp::*;
use tapway_bgp_wire::{
    AddPathDirection, AddPathFamily, Capabilities, Capability, Frame, Open, encode_keepalive,
};
use tapway_model::{Family, Instant, PeerName, PolicyName};
use tapway_mrt::{Direction, Dump, Kind};

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const TIME: Duration = Duration::from_secs(1_700_000_000);
const CONN: ConnId = ConnId::Incoming(1);
const PEER: [u8; 4] = [198, 51, 100, 1];
const ASN: u32 = 65100;

/// A byte that says what the peer is able to do, and what it sends.
pub(crate) fn mrt(data: &[u8]) {
    routes(data);
}

/// The same; returns how many routes were found again.
pub(crate) fn routes(data: &[u8]) -> usize {
    let Some((&can, sent)) = data.split_first() else {
        return 0;
    };
    let mut speaker = speaker();
    establish(&mut speaker, can);
    let session = session(can);
    messages(&session, sent);
    speaker.handle_data(NOW, CONN, sent);
    while speaker.poll_action().is_some() {}
    for page in [1, 100] {
        dumped(&speaker, page);
    }
    speaker.received(&name()).count()
}

fn name() -> PeerName {
    PeerName::new("p").expect("a name")
}

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

fn info() -> ConnInfo {
    ConnInfo {
        local: "198.51.100.254:179".parse().expect("an address"),
        remote: SocketAddr::new(PEER.into(), 40_000),
        ifindex: 7,
    }
}

/// The bits of what the peer can do.
fn bit(can: u8, n: u8) -> bool {
    can & 1 << n != 0
}

/// What matters to a file of the session.
fn session(can: u8) -> MonitoredSession {
    let mut session = MonitoredSession {
        peer: name(),
        source: SourceId::LOCAL,
        ends: info(),
        asn: ASN,
        local_asn: 65000,
        router_id: [192, 0, 2, 2].into(),
        decode: Default::default(),
        encode: Default::default(),
        our_open: Vec::new(),
        peer_open: Vec::new(),
        since: NOW,
    };
    session.decode.four_octet_asn = !bit(can, 0);
    session.decode.extended_message = bit(can, 1);
    session.decode.add_path.ipv4 = bit(can, 2);
    session.decode.add_path.ipv6 = bit(can, 3);
    session
}

fn establish(speaker: &mut Speaker, can: u8) {
    let policy = |text| PolicyName::new(text).expect("a name");
    let config = PeerConfig {
        name: name(),
        address: PeerAddress::Ip {
            addr: PEER.into(),
            interface: None,
        },
        port: 179,
        local_address: None,
        asn: PeerAsn::Number(ASN),
        families: Family::ALL.to_vec(),
        password: None,
        hold_time: Duration::from_secs(90),
        keepalive: None,
        connect_retry: Duration::from_secs(5),
        passive: true,
        reach: Reach::Direct,
        add_paths: AddPaths {
            receive: true,
            ..AddPaths::default()
        },
        next_hop: PeerNextHop::default(),
        import: policy("all"),
        export: policy("none"),
        install: None,
        range: None,
        client: false,
        role: None,
        as_path: PeerAsPath::default(),
        prefix_limit: PrefixLimit::new(1_000),
        graceful_restart: None,
        disabled: false,
    };
    speaker.set_peer(NOW, config);
    let endpoint = Endpoint {
        remote: info().remote,
        local: None,
        ifindex: 7,
    };
    speaker.set_peer_endpoint(NOW, &name(), Some(endpoint));
    speaker.handle_accepted(NOW, CONN, info());
    speaker.set_local_addresses(NOW, CONN, LocalAddresses::default());
    let mut bytes = Vec::new();
    Open {
        asn: ASN,
        hold_time: 90,
        router_id: [192, 0, 2, 2].into(),
        capabilities: capabilities(can),
    }
    .encode(&mut bytes);
    encode_keepalive(&mut bytes);
    speaker.handle_data(NOW, CONN, &bytes);
    let state = speaker.peer(&name()).map(|peer| peer.state);
    assert_eq!(state, Some(State::Established));
}

fn capabilities(can: u8) -> Capabilities {
    let families = Family::ALL.map(|family| Capability::MultiProtocol(family.into()));
    let mut all = Vec::from(families);
    if !bit(can, 0) {
        all.push(Capability::FourOctetAs(ASN));
    }
    if bit(can, 1) {
        all.push(Capability::ExtendedMessage);
    }
    for (n, family) in [(2, Family::Ipv4), (3, Family::Ipv6)] {
        if bit(can, n) {
            all.push(Capability::AddPath(vec![AddPathFamily {
                family: family.into(),
                direction: AddPathDirection::Send,
            }]));
        }
    }
    Capabilities(all)
}

/// Each message as a record of its own, which has exactly the message at its end.
fn messages(session: &MonitoredSession, mut sent: &[u8]) {
    while let Ok(Some((len, frame))) = Frame::next(sent, session.decode.max_len()) {
        for direction in [Direction::Received, Direction::Sent] {
            let mut out = Vec::new();
            tapway_mrt::message(&mut out, TIME, session, direction, frame.bytes());
            assert!(out.ends_with(frame.bytes()));
            let length = u32::from_be_bytes(out[8..12].try_into().expect("four octets"));
            assert_eq!(length as usize + 12, out.len());
            let read = parse_mrt_record(&mut &out[..]);
            // The other parser may refuse the message, never the record around it.
            if frame.decode(&session.decode).is_ok()
                && let Ok(record) = read
            {
                assert!(matches!(record.message, MrtMessage::Bgp4Mp(_)));
            }
        }
        sent = &sent[len..];
    }
}

/// Prefix and path identifier of each route, with what is compared of its attributes.
type Routes = BTreeMap<(String, u32), (String, Option<u32>, usize)>;

fn dumped(speaker: &Speaker, page: usize) {
    let mut out = Vec::new();
    let mut dump = Dump::begin(speaker, Kind::Received, TIME, &mut out);
    while dump.page(speaker, page, &mut out) {}
    let mut want = Routes::new();
    for route in speaker.received(&name()) {
        let key = (route.prefix.to_string(), route.path_id.unwrap_or(0));
        want.insert(
            key,
            (route.origin.to_string(), route.med, route.communities.len()),
        );
    }
    assert_eq!(dump.routes(), want.len() as u64);
    assert_eq!(read(&out), want);
}

fn read(mut bytes: &[u8]) -> Routes {
    let mut routes = Routes::new();
    let mut peers = None;
    while !bytes.is_empty() {
        let record = parse_mrt_record(&mut bytes).expect("a record");
        let MrtMessage::TableDumpV2Message(message) = record.message else {
            panic!("another record");
        };
        match message {
            TableDumpV2Message::PeerIndexTable(table) => {
                assert_eq!(peers.replace(table), None, "one table");
            }
            TableDumpV2Message::RibAfi(rib) => {
                let peers = peers.as_ref().expect("it is in front");
                for entry in &rib.rib_entries {
                    let by = peers
                        .get_peer_by_id(&entry.peer_index)
                        .expect("one of them");
                    assert_eq!(by.peer_ip, IpAddr::from(PEER));
                    let key = (rib.prefix.prefix.to_string(), entry.path_id.unwrap_or(0));
                    assert_eq!(routes.insert(key, described(entry)), None);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    routes
}

fn described(entry: &RibEntry) -> (String, Option<u32>, usize) {
    let attributes = &entry.attributes;
    let origin = attributes.origin().to_string().to_lowercase();
    let communities = attributes.iter_communities();
    let standard = communities.filter(|c| matches!(c, MetaCommunity::Plain(_)));
    let med = attributes.multi_exit_discriminator();
    (origin, med, standard.count())
}
