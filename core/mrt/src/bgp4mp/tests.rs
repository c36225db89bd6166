//! Bytes worked out by hand from the RFCs, and a second reader that is not ours.

use alloc::vec::Vec;

use bgpkit_parser::models::{Bgp4MpEnum, BgpState, MrtMessage};
use bgpkit_parser::parser::mrt::mrt_record::parse_mrt_record;
use tapway_bgp::SourceId;
use tapway_model::{Instant, PeerName};

use super::*;

const TIME: Duration = Duration::new(1_700_000_000, 250_000_000);

fn session(local: &str, remote: &str) -> MonitoredSession {
    MonitoredSession {
        peer: PeerName::new("tor1").unwrap(),
        source: SourceId::LOCAL,
        ends: ConnInfo {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            ifindex: 7,
        },
        asn: 65001,
        local_asn: 4_200_000_000,
        router_id: [192, 0, 2, 2].into(),
        decode: Default::default(),
        encode: Default::default(),
        our_open: Vec::new(),
        peer_open: Vec::new(),
        since: Instant::ZERO,
    }
}

fn v4() -> MonitoredSession {
    session("192.0.2.1:179", "192.0.2.2:40000")
}

/// UPDATE: withdraw 203.0.113.0/24.
const WITHDRAW: [u8; 27] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0, 27, 2, 0, 4, 24, 203, 0, 113, 0, 0,
];

fn written(session: &MonitoredSession, direction: Direction, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, TIME, session, direction, bytes);
    out
}

#[test]
fn a_message_byte_for_byte() {
    let head = [
        0x65, 0x53, 0xf1, 0x00, 0, 17, 0, 4, 0, 0, 0, 51, 0x00, 0x03, 0xd0, 0x90, // header
        0, 0, 0xfd, 0xe9, 0xfa, 0x56, 0xea, 0x00, 0, 7, 0, 1, // ASes, interface, AFI
        192, 0, 2, 2, 192, 0, 2, 1,
    ];
    let record = written(&v4(), Direction::Received, &WITHDRAW);
    assert_eq!(record, [&head[..], &WITHDRAW].concat());
    let theirs = parse_mrt_record(&mut &record[..]).unwrap();
    assert_eq!(theirs.common_header.timestamp, 1_700_000_000);
    assert_eq!(theirs.common_header.microsecond_timestamp, Some(250_000));
    let MrtMessage::Bgp4Mp(Bgp4MpEnum::Message(message)) = theirs.message else {
        panic!("no message");
    };
    assert_eq!(message.peer_asn.to_u32(), 65001);
    assert_eq!(message.local_asn.to_u32(), 4_200_000_000);
    assert_eq!(message.peer_ip, v4().ends.remote.ip());
}

#[test]
fn two_octets_have_as_trans_and_ipv6_has_its_addresses() {
    let mut old = session("[2001:db8::1]:179", "[2001:db8::2]:40000");
    old.decode.four_octet_asn = false;
    let record = written(&old, Direction::Received, &WITHDRAW);
    assert_eq!(record[6..8], [0, 1]);
    assert_eq!(record[16..24], [0xfd, 0xe9, 0x5b, 0xa0, 0, 7, 0, 2]);
    assert_eq!(record[24..26], [0x20, 0x01]);
    assert_eq!((record[39], record[55]), (2, 1));
    assert_eq!(record.len(), 16 + 8 + 32 + 27);
}

#[test]
fn the_subtype_says_how_to_read_it() {
    let mut session = v4();
    session.decode.add_path[Family::Ipv6] = true;
    session.encode.add_path[Family::Ipv4] = true;
    // UPDATE with MP_UNREACH_NLRI of IPv6, and the same with an extended length.
    let v6 = [
        &[0xff; 16][..],
        &[0, 29, 2, 0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1],
    ]
    .concat();
    let long = [
        &[0xff; 16][..],
        &[0, 30, 2, 0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1],
    ]
    .concat();
    let subtype = |direction, bytes: &[u8]| written(&session, direction, bytes)[7];
    assert_eq!(subtype(Direction::Received, &WITHDRAW), 4);
    assert_eq!(subtype(Direction::Received, &v6), 9);
    assert_eq!(subtype(Direction::Received, &long), 9);
    assert_eq!(subtype(Direction::Sent, &WITHDRAW), 11);
    assert_eq!(subtype(Direction::Sent, &v6), 7);
    let mut old = session.clone();
    (old.decode.four_octet_asn, old.encode.four_octet_asn) = (false, false);
    assert_eq!(written(&old, Direction::Received, &v6)[7], 8);
    assert_eq!(written(&old, Direction::Sent, &v6)[7], 6);
    assert_eq!(written(&old, Direction::Sent, &WITHDRAW)[7], 10);
}

#[test]
fn a_change_of_state() {
    let mut out = Vec::new();
    let change = (State::OpenConfirm, State::Established);
    state_change(&mut out, TIME, 65001, 65000, &v4().ends, change);
    assert_eq!(out[4..12], [0, 17, 0, 5, 0, 0, 0, 28]);
    assert_eq!(out[36..], [0, 5, 0, 6]);
    let theirs = parse_mrt_record(&mut &out[..]).unwrap();
    let MrtMessage::Bgp4Mp(Bgp4MpEnum::StateChange(change)) = theirs.message else {
        panic!("no change");
    };
    assert_eq!(
        (change.old_state, change.new_state),
        (BgpState::OpenConfirm, BgpState::Established)
    );
}
