//! RFC 7606 row by row: what each malformed attribute costs.

use tapway_bgp_wire::{DecodeContext, ErrorCode, FaultAction, PerFamily, Update};

use crate::bytes::{
    AS_PATH, MP_REACH, NEXT_HOP, NLRI, ORIGIN, attribute, decode, hex, reach, unreach, update,
};

/// What an UPDATE must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Discard(ErrorCode),
    Withdraw(ErrorCode),
    Reset(ErrorCode),
}
use Outcome::{Discard, Good, Reset, Withdraw};

fn outcome(body: &[u8], cx: &DecodeContext) -> Outcome {
    match Update::decode(body, cx) {
        Err(error) => Reset(error.code),
        Ok(update) => {
            let worst = update.faults().iter().max_by_key(|fault| fault.action);
            match worst {
                None => Good,
                Some(fault) if fault.action == FaultAction::AttributeDiscard => {
                    assert!(update.reach().next().is_some(), "routes stay: {update:?}");
                    let code = fault.attribute.expect("an attribute");
                    assert_eq!(
                        update.attributes().get(code),
                        None,
                        "it is gone: {update:?}"
                    );
                    Discard(fault.error)
                }
                Some(fault) => {
                    assert_eq!(reach(&update), Vec::<String>::new());
                    assert!(update.unreach().next().is_some(), "routes go: {update:?}");
                    assert!(update.treated_as_withdraw());
                    Withdraw(fault.error)
                }
            }
        }
    }
}

fn external() -> DecodeContext {
    DecodeContext::default()
}

fn internal() -> DecodeContext {
    DecodeContext {
        internal: true,
        ..external()
    }
}

const LENGTH: ErrorCode = ErrorCode::ATTRIBUTE_LENGTH;
const FLAGS: ErrorCode = ErrorCode::ATTRIBUTE_FLAGS;
const PATH: ErrorCode = ErrorCode::MALFORMED_AS_PATH;

/// One more attribute in a good UPDATE; of ORIGIN, AS_PATH and NEXT_HOP it takes the place.
fn with(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let row = attribute(flags, code, value);
    let mut all: Vec<&[u8]> = vec![ORIGIN, AS_PATH, NEXT_HOP];
    match all.iter().position(|a| a[1] == code) {
        Some(at) => all[at] = &row,
        None => all.push(&row),
    }
    update(&[], &all, NLRI)
}

#[test]
fn each_attribute_from_an_external_peer() {
    let rows: &[(&str, u8, u8, &[u8], Outcome)] = &[
        ("ORIGIN incomplete", 0x40, 1, &[2], Good),
        ("ORIGIN of no octet", 0x40, 1, &[], Withdraw(LENGTH)),
        ("ORIGIN of two octets", 0x40, 1, &[0, 0], Withdraw(LENGTH)),
        (
            "ORIGIN 3",
            0x40,
            1,
            &[3],
            Withdraw(ErrorCode::INVALID_ORIGIN),
        ),
        ("ORIGIN optional", 0xc0, 1, &[0], Withdraw(FLAGS)),
        ("ORIGIN not transitive", 0x00, 1, &[0], Withdraw(FLAGS)),
        ("ORIGIN partial", 0x60, 1, &[0], Good),
        ("AS_PATH empty", 0x40, 2, &[], Good),
        ("AS_PATH of a set", 0x40, 2, &[1, 1, 0, 0, 0, 9], Good),
        (
            "AS_PATH of an unknown segment",
            0x40,
            2,
            &[5, 1, 0, 0, 0, 9],
            Withdraw(PATH),
        ),
        (
            "AS_PATH of an empty segment",
            0x40,
            2,
            &[2, 0],
            Withdraw(PATH),
        ),
        (
            "AS_PATH overrun",
            0x40,
            2,
            &[2, 2, 0, 0, 0, 9],
            Withdraw(PATH),
        ),
        (
            "AS_PATH underrun",
            0x40,
            2,
            &[2, 1, 0, 0, 0, 9, 2],
            Withdraw(PATH),
        ),
        (
            "AS_PATH with AS 0",
            0x40,
            2,
            &[2, 2, 0, 0, 0, 9, 0, 0, 0, 0],
            Withdraw(PATH),
        ),
        (
            "AS_PATH of a confederation",
            0x40,
            2,
            &[3, 1, 0, 0, 0, 9],
            Withdraw(PATH),
        ),
        ("AS_PATH optional", 0xc0, 2, &[], Withdraw(FLAGS)),
        (
            "NEXT_HOP of three octets",
            0x40,
            3,
            &[192, 0, 2],
            Withdraw(LENGTH),
        ),
        (
            "NEXT_HOP of sixteen octets",
            0x40,
            3,
            &[1; 16],
            Withdraw(LENGTH),
        ),
        (
            "NEXT_HOP 0.0.0.0",
            0x40,
            3,
            &[0; 4],
            Withdraw(ErrorCode::INVALID_NEXT_HOP),
        ),
        (
            "NEXT_HOP multicast",
            0x40,
            3,
            &[224, 0, 0, 1],
            Withdraw(ErrorCode::INVALID_NEXT_HOP),
        ),
        (
            "NEXT_HOP loopback",
            0x40,
            3,
            &[127, 0, 0, 1],
            Withdraw(ErrorCode::INVALID_NEXT_HOP),
        ),
        ("MED", 0x80, 4, &[0; 4], Good),
        ("MED of three octets", 0x80, 4, &[0; 3], Withdraw(LENGTH)),
        ("MED of no octet", 0x80, 4, &[], Withdraw(LENGTH)),
        ("MED transitive", 0xc0, 4, &[0; 4], Withdraw(FLAGS)),
        (
            "LOCAL_PREF",
            0x40,
            5,
            &[0; 4],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        (
            "LOCAL_PREF of one octet",
            0x40,
            5,
            &[0],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        ("ATOMIC_AGGREGATE", 0x40, 6, &[], Good),
        (
            "ATOMIC_AGGREGATE of one octet",
            0x40,
            6,
            &[0],
            Discard(LENGTH),
        ),
        ("ATOMIC_AGGREGATE optional", 0xc0, 6, &[], Withdraw(FLAGS)),
        ("AGGREGATOR", 0xc0, 7, &[0, 0, 0, 9, 1, 1, 1, 1], Good),
        (
            "AGGREGATOR of two octets' AS",
            0xc0,
            7,
            &[0, 9, 1, 1, 1, 1],
            Discard(LENGTH),
        ),
        ("AGGREGATOR empty", 0xc0, 7, &[], Discard(LENGTH)),
        (
            "AGGREGATOR with AS 0",
            0xc0,
            7,
            &[0, 0, 0, 0, 1, 1, 1, 1],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        (
            "AGGREGATOR well-known",
            0x40,
            7,
            &[0, 0, 0, 9, 1, 1, 1, 1],
            Withdraw(FLAGS),
        ),
        ("COMMUNITIES", 0xc0, 8, &[0; 8], Good),
        (
            "COMMUNITIES of five octets",
            0xc0,
            8,
            &[0; 5],
            Withdraw(LENGTH),
        ),
        ("COMMUNITIES empty", 0xc0, 8, &[], Withdraw(LENGTH)),
        (
            "COMMUNITIES not transitive",
            0x80,
            8,
            &[0; 4],
            Withdraw(FLAGS),
        ),
        (
            "ORIGINATOR_ID",
            0x80,
            9,
            &[1; 4],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        (
            "ORIGINATOR_ID of one octet",
            0x80,
            9,
            &[1],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        (
            "CLUSTER_LIST",
            0x80,
            10,
            &[1; 4],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        (
            "CLUSTER_LIST empty",
            0x80,
            10,
            &[],
            Discard(ErrorCode::OPTIONAL_ATTRIBUTE),
        ),
        ("EXTENDED_COMMUNITIES", 0xc0, 16, &[0; 8], Good),
        (
            "EXTENDED_COMMUNITIES of four octets",
            0xc0,
            16,
            &[0; 4],
            Withdraw(LENGTH),
        ),
        (
            "EXTENDED_COMMUNITIES empty",
            0xc0,
            16,
            &[],
            Withdraw(LENGTH),
        ),
        ("LARGE_COMMUNITIES", 0xc0, 32, &[0; 24], Good),
        (
            "LARGE_COMMUNITIES of eight octets",
            0xc0,
            32,
            &[0; 8],
            Withdraw(LENGTH),
        ),
        ("LARGE_COMMUNITIES empty", 0xc0, 32, &[], Withdraw(LENGTH)),
        ("ONLY_TO_CUSTOMER", 0xc0, 35, &[0, 0, 0, 9], Good),
        (
            "ONLY_TO_CUSTOMER of two octets",
            0xc0,
            35,
            &[0, 9],
            Withdraw(LENGTH),
        ),
        ("AS4_PATH between new speakers", 0xc0, 17, &[9], Good),
        ("AS4_AGGREGATOR between new speakers", 0xc0, 18, &[9], Good),
        ("unknown transitive", 0xc0, 99, &[1, 2, 3], Good),
        ("unknown transitive, empty", 0xc0, 99, &[], Good),
        ("unknown, not transitive", 0x80, 99, &[1], Good),
        (
            "unknown well-known",
            0x40,
            99,
            &[1],
            Reset(ErrorCode::UNRECOGNIZED_WELL_KNOWN),
        ),
    ];
    for (name, flags, code, value, want) in rows {
        assert_eq!(
            outcome(&with(*flags, *code, value), &external()),
            *want,
            "{name}"
        );
    }
}

#[test]
fn each_attribute_from_an_internal_peer() {
    let rows: &[(&str, u8, u8, &[u8], Outcome)] = &[
        ("LOCAL_PREF", 0x40, 5, &[0; 4], Good),
        ("LOCAL_PREF of one octet", 0x40, 5, &[0], Withdraw(LENGTH)),
        ("LOCAL_PREF optional", 0xc0, 5, &[0; 4], Withdraw(FLAGS)),
        ("ORIGINATOR_ID", 0x80, 9, &[1; 4], Good),
        (
            "ORIGINATOR_ID of one octet",
            0x80,
            9,
            &[1],
            Withdraw(LENGTH),
        ),
        ("CLUSTER_LIST", 0x80, 10, &[1; 8], Good),
        (
            "CLUSTER_LIST of five octets",
            0x80,
            10,
            &[1; 5],
            Withdraw(LENGTH),
        ),
        ("CLUSTER_LIST empty", 0x80, 10, &[], Withdraw(LENGTH)),
        (
            "AS_PATH of a confederation",
            0x40,
            2,
            &[3, 1, 0, 0, 0, 9],
            Good,
        ),
    ];
    for (name, flags, code, value, want) in rows {
        assert_eq!(
            outcome(&with(*flags, *code, value), &internal()),
            *want,
            "{name}"
        );
    }
}

#[test]
fn a_missing_mandatory_attribute_withdraws() {
    let all = [ORIGIN, AS_PATH, NEXT_HOP];
    let missing = ErrorCode::MISSING_WELL_KNOWN;
    for without in 0..all.len() {
        let mut attributes = all.to_vec();
        attributes.remove(without);
        let body = update(&[], &attributes, NLRI);
        assert_eq!(
            outcome(&body, &external()),
            Withdraw(missing),
            "without {without}"
        );
    }
    let none = update(&[], &[], NLRI);
    assert_eq!(
        outcome(&none, &external()),
        Withdraw(missing),
        "no attribute at all"
    );
    let mp_only = update(&[], &[MP_REACH, ORIGIN, AS_PATH], &[]);
    assert_eq!(
        outcome(&mp_only, &external()),
        Good,
        "MP_REACH_NLRI has its own next hop"
    );
    let mp_bare = update(&[], &[MP_REACH, ORIGIN], &[]);
    assert_eq!(
        outcome(&mp_bare, &external()),
        Withdraw(missing),
        "but needs AS_PATH"
    );
}

#[test]
fn the_first_of_two_counts() {
    let first = attribute(0x80, 4, &[0, 0, 0, 1]);
    let second = attribute(0x80, 4, &[0, 0, 0, 2]);
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &first, &second], NLRI);
    let decoded = decode(&body).unwrap();
    assert_eq!(decoded.faults().len(), 1);
    assert_eq!(decoded.faults()[0].action, FaultAction::AttributeDiscard);
    assert_eq!(decoded.attributes().decode().med, Some(1));

    let broken = attribute(0x80, 4, &[0]);
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &first, &broken], NLRI);
    assert_eq!(
        decode(&body).unwrap().attributes().decode().med,
        Some(1),
        "a broken second"
    );

    let unknown = attribute(0xc0, 99, &[7]);
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &unknown, &unknown], NLRI);
    assert_eq!(
        decode(&body).unwrap().attributes().decode().unknown.len(),
        1,
        "an unknown one"
    );

    let twice = update(&[], &[MP_REACH, MP_REACH, ORIGIN, AS_PATH], &[]);
    let reset = Reset(ErrorCode::MALFORMED_ATTRIBUTE_LIST);
    assert_eq!(outcome(&twice, &external()), reset, "MP_REACH_NLRI");
    let unreach = attribute(0x80, 15, &[0, 2, 1]);
    let twice = update(&[], &[&unreach, &unreach], &[]);
    assert_eq!(outcome(&twice, &external()), reset, "MP_UNREACH_NLRI");
}

#[test]
fn the_strongest_action_wins() {
    let discard = attribute(0x40, 6, &[1]);
    let withdraw = attribute(0x80, 4, &[1]);
    let reset = attribute(0x40, 99, &[1]);
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &discard, &withdraw], NLRI);
    assert_eq!(outcome(&body, &external()), Withdraw(LENGTH));
    assert_eq!(decode(&body).unwrap().faults().len(), 2, "both are told");
    let body = update(
        &[],
        &[ORIGIN, AS_PATH, NEXT_HOP, &discard, &withdraw, &reset],
        NLRI,
    );
    assert_eq!(
        outcome(&body, &external()),
        Reset(ErrorCode::UNRECOGNIZED_WELL_KNOWN)
    );
}

#[test]
fn all_of_a_mixed_message_is_withdrawn() {
    let med = attribute(0x80, 4, &[1]);
    let gone = attribute(0x80, 15, &[0, 2, 1, 16, 0x20, 1]);
    let attributes = [MP_REACH, &gone, ORIGIN, AS_PATH, NEXT_HOP, &med];
    let body = update(&[8, 10], &attributes, NLRI);
    let decoded = decode(&body).unwrap();
    assert_eq!(reach(&decoded), Vec::<String>::new());
    assert_eq!(
        unreach(&decoded),
        [
            "10.0.0.0/8",
            "2001::/16",
            "198.51.100.0/24",
            "2001:db8:1::/48"
        ]
    );
    assert!(decoded.attributes().is_empty());
}

#[test]
fn lengths_that_do_not_agree() {
    let list = ErrorCode::MALFORMED_ATTRIBUTE_LIST;
    let good = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI);
    let reset = |at: usize, value: u8| {
        let mut body = good.clone();
        body[at] = value;
        outcome(&body, &external())
    };
    assert_eq!(
        reset(0, 0xff),
        Reset(list),
        "withdrawn routes longer than the message"
    );
    assert_eq!(
        reset(2, 0xff),
        Reset(list),
        "attributes longer than the message"
    );
    for short in [&[][..], &[0], &[0, 0], &[0, 0, 0]] {
        assert_eq!(outcome(short, &external()), Reset(list), "{short:?}");
    }

    // RFC 7606 §4: the total length is believed, the attribute's is not.
    for cut in [&[0x80, 4, 9, 0, 0][..], &[0x80, 4], &[0x80], &[0x90, 4, 0]] {
        let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, cut], NLRI);
        assert_eq!(outcome(&body, &external()), Withdraw(list), "{cut:?}");
    }
    for mp in [14, 15] {
        let cut = [0x80, mp, 200, 0, 2, 1];
        let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &cut], NLRI);
        assert_eq!(
            outcome(&body, &external()),
            Reset(list),
            "NLRI are lost in {mp}"
        );
    }
}

#[test]
fn without_reachable_nlri_a_fault_resets() {
    let med = attribute(0x80, 4, &[1]);
    let body = update(&[8, 10], &[&med], &[]);
    let error = decode(&body).unwrap_err();
    assert_eq!(error.code, LENGTH);
    assert_eq!(error.data, med, "the attribute is told");
    assert_eq!(
        error.to_string(),
        "UPDATE Message Error: Attribute Length Error: MULTI_EXIT_DISC: it has not four octets"
    );
    let discard = attribute(0x40, 6, &[1]);
    let body = update(&[8, 10], &[&discard], &[]);
    assert_eq!(
        unreach(&decode(&body).unwrap()),
        ["10.0.0.0/8"],
        "a discard does not"
    );
    let empty = attribute(
        0x80,
        14,
        &[
            0, 2, 1, 16, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
        ],
    );
    let body = update(&[], &[&empty, ORIGIN, AS_PATH, &med], &[]);
    assert_eq!(
        outcome(&body, &external()),
        Reset(LENGTH),
        "an empty MP_REACH_NLRI reaches nothing"
    );
}

#[test]
fn nlri_of_wrong_length_reset() {
    let network = ErrorCode::INVALID_NETWORK;
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP];
    for (name, nlri) in [
        ("a length above 32", &[33, 10, 0, 0, 0, 0][..]),
        ("a prefix cut short", &[24, 10, 0]),
        ("only a length", &[8]),
    ] {
        assert_eq!(
            outcome(&update(&[], &attributes, nlri), &external()),
            Reset(network),
            "{name}"
        );
        assert_eq!(
            outcome(&update(nlri, &[], &[]), &external()),
            Reset(network),
            "{name}, gone"
        );
    }
    let mut ids = external();
    ids.add_path.ipv4 = true;
    let body = update(&[], &attributes, &[0, 0, 0, 1]);
    assert_eq!(
        outcome(&body, &ids),
        Reset(network),
        "only a path identifier"
    );
    let med = attribute(0x80, 4, &[1]);
    let body = update(
        &[],
        &[ORIGIN, AS_PATH, NEXT_HOP, &med],
        &[0, 0, 0, 1, 8, 10, 0, 0, 0, 2, 8, 10],
    );
    let decoded = Update::decode(&body, &ids).unwrap();
    assert_eq!(unreach(&decoded), ["10.0.0.0/8 #1", "10.0.0.0/8 #2"]);
}

#[test]
fn multiprotocol_attributes_of_wrong_form_reset() {
    let optional = ErrorCode::OPTIONAL_ATTRIBUTE;
    let next_hop = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let reach =
        |next_hop: &[u8], rest: &[u8]| [&[0, 2, 1, next_hop.len() as u8], next_hop, rest].concat();
    let rows: Vec<(&str, u8, u8, Vec<u8>, Outcome)> = vec![
        ("empty", 0x80, 14, vec![], Reset(optional)),
        ("four octets", 0x80, 14, vec![0, 2, 1, 0], Reset(optional)),
        (
            "no next hop",
            0x80,
            14,
            vec![0, 2, 1, 0, 0],
            Reset(optional),
        ),
        (
            "next hop overrun",
            0x80,
            14,
            vec![0, 2, 1, 16, 0, 0],
            Reset(optional),
        ),
        (
            "an IPv4 next hop",
            0x80,
            14,
            reach(&[1; 4], &[0, 0]),
            Reset(optional),
        ),
        (
            "a next hop of 24 octets",
            0x80,
            14,
            reach(&[1; 24], &[0, 0]),
            Reset(optional),
        ),
        (
            "a length above 128",
            0x80,
            14,
            reach(&next_hop, &[0, 129]),
            Reset(optional),
        ),
        (
            "a prefix cut short",
            0x80,
            14,
            reach(&next_hop, &[0, 32, 1]),
            Reset(optional),
        ),
        (
            "transitive",
            0xc0,
            14,
            reach(&next_hop, &[0, 0]),
            Reset(FLAGS),
        ),
        (
            "an unspecified next hop",
            0x80,
            14,
            reach(&[0; 16], &[0, 0]),
            Withdraw(ErrorCode::INVALID_NEXT_HOP),
        ),
        ("good", 0x80, 14, reach(&next_hop, &[0, 0]), Good),
        (
            "another family",
            0x80,
            14,
            vec![0, 25, 70, 4, 1, 1, 1, 1, 0, 2, 33],
            Good,
        ),
        (
            "another family, bad flags",
            0xc0,
            14,
            vec![0, 25, 70, 4, 1, 1, 1, 1, 0],
            Reset(FLAGS),
        ),
        (
            "unreach of two octets",
            0x80,
            15,
            vec![0, 2],
            Reset(optional),
        ),
        (
            "unreach of a length above 128",
            0x80,
            15,
            vec![0, 2, 1, 129],
            Reset(optional),
        ),
        ("unreach well-known", 0x40, 15, vec![0, 2, 1], Reset(FLAGS)),
        (
            "unreach of another family",
            0x80,
            15,
            vec![0, 25, 70, 255],
            Good,
        ),
    ];
    for (name, flags, code, value, want) in rows {
        let mp = attribute(flags, code, &value);
        let body = update(&[], &[&mp, ORIGIN, AS_PATH], &[]);
        assert_eq!(outcome(&body, &external()), want, "{name}");
    }
}

#[test]
fn ipv4_by_an_ipv6_next_hop_must_be_agreed_on() {
    let value = hex("0001 01 10 20010db8000000000000000000000009 00 18c63364");
    let mp = attribute(0x80, 14, &value);
    let body = update(&[], &[&mp, ORIGIN, AS_PATH], &[]);
    assert_eq!(
        outcome(&body, &external()),
        Reset(ErrorCode::OPTIONAL_ATTRIBUTE)
    );
    let agreed = DecodeContext {
        extended_next_hop: true,
        ..external()
    };
    let decoded = Update::decode(&body, &agreed).unwrap();
    assert_eq!(reach(&decoded), ["198.51.100.0/24 via 2001:db8::9"]);
}

#[test]
fn the_path_must_begin_with_the_peer_where_that_is_asked() {
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI);
    let of = |asn| DecodeContext {
        first_as: Some(asn),
        ..external()
    };
    assert_eq!(outcome(&body, &of(65001)), Good);
    assert_eq!(outcome(&body, &of(65002)), Withdraw(PATH));
    assert_eq!(
        outcome(&with(0x40, 2, &[]), &of(65001)),
        Withdraw(PATH),
        "an empty one does not"
    );
    let set = with(0x40, 2, &[1, 1, 0, 0, 0xfd, 0xe9]);
    assert_eq!(outcome(&set, &of(65001)), Withdraw(PATH), "a set does not");
}

#[test]
fn a_family_that_was_not_negotiated_is_ignored() {
    let body = update(&[8, 10], &[MP_REACH, ORIGIN, AS_PATH, NEXT_HOP], NLRI);
    for (ipv4, ipv6, want, ignored) in [
        (
            true,
            false,
            vec!["198.51.100.0/24 via 192.0.2.1"],
            "ipv6-unicast",
        ),
        (
            false,
            true,
            vec!["2001:db8:1::/48 via 2001:db8::1"],
            "ipv4-unicast",
        ),
    ] {
        let cx = DecodeContext {
            families: PerFamily { ipv4, ipv6 },
            ..external()
        };
        let decoded = Update::decode(&body, &cx).unwrap();
        assert_eq!(reach(&decoded), want);
        let told: Vec<String> = decoded.ignored().map(|family| family.to_string()).collect();
        assert_eq!(told, [ignored]);
        assert_eq!(decoded.unreach().count(), usize::from(ipv4));
    }
}
