//! Bytes worked out by hand from the RFCs, and a second reader that is not ours.

use alloc::string::ToString;

use bgpkit_parser::models::BgpMessage;
use bgpkit_parser::parser::bmp::messages::{
    BmpMessageBody, BmpPeerType, PeerUpTlvType, PerPeerFlags,
};
use bgpkit_parser::parser::bmp::parse_bmp_msg;

use super::*;

const UPDATE: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0, 0x2d, 2, 0, 0, 0, 0x12, 0x40, 1, 1, 0, 0x40, 2, 4, 2, 0, 0, 0, 0x40, 3, 4, 192, 0, 2, 9, 24,
    203, 0, 113,
];

fn peer() -> PeerHeader {
    PeerHeader {
        loc_rib: false,
        post_policy: false,
        two_octet: false,
        out: false,
        distinguisher: 0,
        address: "192.0.2.1".parse().unwrap(),
        asn: 65001,
        router_id: Ipv4Addr::new(198, 51, 100, 7),
        time: Duration::new(1_700_000_000, 250_000_000),
    }
}

/// The per-peer header of [`peer`] (RFC 7854 §4.2).
const PEER: [u8; 42] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // type, flags, distinguisher
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1, // address
    0, 0, 0xfd, 0xe9, 198, 51, 100, 7, // AS, identifier
    0x65, 0x53, 0xf1, 0x00, 0x00, 0x03, 0xd0, 0x90, // 1,700,000,000 s, 250,000 us
];

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Writes, compares with what it must be, and reads again.
fn exactly(message: &Message<'_>, kind: u8, parts: &[&[u8]]) {
    let body = parts.concat();
    let len = (body.len() + 6) as u32;
    let [a, b, c, d] = len.to_be_bytes();
    let all = [&[3, a, b, c, d, kind][..], &body].concat();
    assert_eq!(encoded(message), all);
    assert_eq!(
        Message::decode(&all),
        Ok(Some((all.len(), message.clone())))
    );
    for end in 0..all.len() {
        assert_eq!(Message::decode(&all[..end]), Ok(None), "{end}");
    }
}

fn read(message: &Message<'_>) -> bgpkit_parser::parser::bmp::messages::BmpMessage {
    parse_bmp_msg(&mut encoded(message).into()).unwrap()
}

#[test]
fn initiation_and_termination() {
    let tlvs = [(1u16, &b"tapway"[..]), (2, b"hv1")].map(|(kind, value)| Tlv { kind, value });
    let bytes = b"\0\x01\0\x06tapway\0\x02\0\x03hv1";
    exactly(&Message::Initiation(tlvs.to_vec()), 4, &[bytes]);
    let tlvs = [(0u16, &b"bye"[..]), (1, &[0, 0])].map(|(kind, value)| Tlv { kind, value });
    let message = Message::Termination(tlvs.to_vec());
    exactly(&message, 5, &[b"\0\0\0\x03bye\0\x01\0\x02\0\0"]);
    assert!(matches!(
        read(&message).message_body,
        BmpMessageBody::TerminationMessage(_)
    ));
}

#[test]
fn route_monitoring_by_every_flag() {
    exactly(
        &Message::RouteMonitoring(peer(), UPDATE),
        0,
        &[&PEER, UPDATE],
    );
    let with = |change: fn(&mut PeerHeader), at: usize, bytes: &[u8]| {
        let mut header = peer();
        change(&mut header);
        let mut expected = PEER;
        expected[at..at + bytes.len()].copy_from_slice(bytes);
        exactly(
            &Message::RouteMonitoring(header, UPDATE),
            0,
            &[&expected, UPDATE],
        );
    };
    with(|p| p.post_policy = true, 1, &[0x40]);
    with(|p| p.two_octet = true, 1, &[0x20]);
    with(|p| p.out = true, 1, &[0x10]);
    with(
        |p| p.address = "2001:db8::5".parse().unwrap(),
        1,
        &[
            0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
        ],
    );
    with(|p| p.distinguisher = 1 << 8, 8, &[1, 0]);
    let mut loc_rib = PEER;
    loc_rib[0] = 3;
    loc_rib[22..26].fill(0);
    let header = PeerHeader {
        loc_rib: true,
        address: Ipv4Addr::UNSPECIFIED.into(),
        ..peer()
    };
    exactly(
        &Message::RouteMonitoring(header, UPDATE),
        0,
        &[&loc_rib, UPDATE],
    );
}

#[test]
fn another_parser_reads_the_same_route() {
    let header = PeerHeader {
        post_policy: true,
        out: true,
        ..peer()
    };
    let message = read(&Message::RouteMonitoring(header, UPDATE));
    let known = message.per_peer_header.unwrap();
    assert_eq!(known.peer_type, BmpPeerType::Global);
    assert_eq!(
        (known.peer_ip, known.peer_asn.to_u32()),
        (header.address, 65001)
    );
    assert_eq!(known.timestamp, 1_700_000_000.25);
    let PerPeerFlags::PeerFlags(flags) = known.peer_flags else {
        panic!("{known:?}");
    };
    assert!(flags.is_post_policy() && flags.is_adj_rib_out());
    let BmpMessageBody::RouteMonitoring(route) = message.message_body else {
        panic!("no route");
    };
    let BgpMessage::Update(update) = route.bgp_message else {
        panic!("no update");
    };
    let prefixes: Vec<_> = update
        .announced_prefixes
        .iter()
        .map(|p| p.to_string())
        .collect();
    assert_eq!(prefixes, ["203.0.113.0/24"]);
}

#[test]
fn peer_up_with_both_opens() {
    let open = |asn: u8| {
        let mut open = [0xff; 29];
        open[16..].copy_from_slice(&[0, 29, 1, 4, 0xfd, asn, 0, 90, 192, 0, 2, asn, 0]);
        open
    };
    let (ours, theirs) = (open(1), open(2));
    let up = PeerUp {
        local: "192.0.2.2".parse().unwrap(),
        local_port: 179,
        remote_port: 40001,
        sent_open: &ours,
        received_open: &theirs,
    };
    let label = Tlv {
        kind: tlv::ADMIN_LABEL,
        value: b"tor1",
    };
    let message = Message::PeerUp(peer(), up, [label].to_vec());
    let local = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2, 0, 179, 0x9c, 0x41,
    ];
    let tail = b"\0\x04\0\x04tor1";
    exactly(&message, 3, &[&PEER, &local, &ours, &theirs, tail]);
    let BmpMessageBody::PeerUpNotification(read) = read(&message).message_body else {
        panic!("no peer up");
    };
    assert_eq!((read.local_port, read.remote_port), (179, 40001));
    let labels: Vec<_> = read.tlvs.iter().map(|t| t.info_type).collect();
    assert_eq!(labels, [PeerUpTlvType::AdminLabel]);
    for (open, asn) in [(&read.sent_open, 0xfd01), (&read.received_open, 0xfd02)] {
        let BgpMessage::Open(open) = open else {
            panic!("no open");
        };
        assert_eq!(open.asn.to_u32(), asn);
    }
}

#[test]
fn peer_down_for_every_reason() {
    let mut cease = [0xff; 21].to_vec();
    cease[16..].copy_from_slice(&[0, 21, 3, 6, 2]);
    for (down, number, data) in [
        (PeerDown::LocalNotification(&cease), 1, &cease[..]),
        (PeerDown::LocalEvent(2), 2, &[0, 2]),
        (PeerDown::RemoteNotification(&cease), 3, &cease),
        (PeerDown::Remote, 4, &[]),
        (PeerDown::Deconfigured, 5, &[]),
        (
            PeerDown::LocRib(b"\0\x03\0\x06global"),
            6,
            b"\0\x03\0\x06global",
        ),
    ] {
        let message = Message::PeerDown(peer(), down);
        exactly(&message, 2, &[&PEER, &[number], data]);
        let BmpMessageBody::PeerDownNotification(read) = read(&message).message_body else {
            panic!("no peer down");
        };
        assert_eq!(u8::from(read.reason), number);
    }
}

#[test]
fn statistics_of_every_kind() {
    let all = [
        Statistic::Counter(Statistic::TREATED_AS_WITHDRAW, 3),
        Statistic::Gauge(Statistic::IN_ROUTES, 1 << 33),
        Statistic::FamilyGauge(Statistic::FAMILY_IN_ROUTES, (2, 1), 5),
    ];
    let message = Message::Statistics(peer(), all.to_vec());
    let bytes = [
        0, 0, 0, 3, 0, 11, 0, 4, 0, 0, 0, 3, 0, 7, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 9, 0, 11, 0, 2,
        1, 0, 0, 0, 0, 0, 0, 0, 5,
    ];
    exactly(&message, 1, &[&PEER, &bytes]);
    let BmpMessageBody::StatsReport(read) = read(&message).message_body else {
        panic!("no statistics");
    };
    assert_eq!(read.stats_count, 3);
}

#[test]
fn mirrored_messages() {
    let tlvs = [MirrorTlv::Errored, MirrorTlv::BgpMessage(UPDATE)];
    let message = Message::RouteMirroring(peer(), tlvs.to_vec());
    let head = [0, 1, 0, 2, 0, 0, 0, 0, 0, 45];
    exactly(&message, 6, &[&PEER, &head, UPDATE]);
    let message = Message::RouteMirroring(peer(), [MirrorTlv::Lost].to_vec());
    exactly(&message, 6, &[&PEER, &[0, 1, 0, 2, 0, 1]]);
}

#[test]
fn what_is_no_message_is_said() {
    let whole = encoded(&Message::RouteMonitoring(peer(), UPDATE));
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        Message::decode(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 4), DecodeError::Version(4));
    assert_eq!(with(1, 1), DecodeError::Length((1 << 24) + 93));
    assert_eq!(with(4, 5), DecodeError::Length(5));
    assert_eq!(with(5, 7), DecodeError::Kind(7));
    assert_eq!(
        with(6, 4),
        DecodeError::Unknown {
            what: "peer type",
            number: 4
        }
    );
    // Cut inside the per-peer header, and inside each kind's own fields.
    for (kind, of) in [
        (1, "statistics"),
        (2, "reason"),
        (3, "addresses"),
        (6, "TLVs"),
    ] {
        let cut = [&[3, 0, 0, 0, 48, kind][..], &PEER].concat();
        let expected = match kind {
            // Nothing is mirrored by no TLV.
            6 => continue,
            _ => DecodeError::Short(of),
        };
        assert_eq!(Message::decode(&cut), Err(expected));
    }
    let short = [&[3, 0, 0, 0, 20, 0][..], &PEER[..14]].concat();
    let expected = DecodeError::Short("addresses");
    assert_eq!(Message::decode(&short), Err(expected));
}

#[test]
fn no_bytes_do_harm() {
    let mut cease = [0xff; 21].to_vec();
    cease[16..].copy_from_slice(&[0, 21, 3, 6, 2]);
    let up = PeerUp {
        local: "192.0.2.2".parse().unwrap(),
        local_port: 179,
        remote_port: 40001,
        sent_open: &cease,
        received_open: &cease,
    };
    let label = Tlv {
        kind: tlv::ADMIN_LABEL,
        value: b"tor1",
    };
    let all = [
        Message::RouteMonitoring(peer(), UPDATE),
        Message::Statistics(peer(), [Statistic::Counter(11, 3)].to_vec()),
        Message::PeerDown(peer(), PeerDown::LocalNotification(&cease)),
        Message::PeerUp(peer(), up, [label].to_vec()),
        Message::Initiation([label].to_vec()),
        Message::RouteMirroring(peer(), [MirrorTlv::BgpMessage(UPDATE)].to_vec()),
    ];
    let mut dice = 7u32;
    let mut draw = |sides: usize| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 8) as usize % sides
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = encoded(&all[draw(all.len())]);
        for _ in 0..=draw(3) {
            let at = draw(bytes.len());
            bytes[at] = draw(256) as u8;
        }
        match Message::decode(&bytes) {
            // What is read can be written, and is read again as the same.
            Ok(Some((length, message))) => {
                assert!(length <= bytes.len());
                let again = encoded(&message);
                assert_eq!(Message::decode(&again), Ok(Some((again.len(), message))));
                read += 1;
            }
            Ok(None) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
}
