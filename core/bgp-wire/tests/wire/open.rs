//! OPEN: what is refused and how (RFC 4271 §6.2, RFC 6793, RFC 7607, RFC 9072).

use std::net::Ipv4Addr;

use tapway_bgp_wire::{AfiSafi, Capabilities, Capability, ErrorCode, Open};

use crate::bytes::message;

/// Version 4, AS 65001, hold time 90, 192.0.2.1, and these optional parameters with their length.
fn body(parameters: &[u8]) -> Vec<u8> {
    [&[4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1], parameters].concat()
}

fn open(capabilities: Vec<Capability>) -> Open {
    Open {
        asn: 65001,
        hold_time: 90,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        capabilities: Capabilities(capabilities),
    }
}

fn encoded(open: &Open) -> Vec<u8> {
    let mut out = Vec::new();
    open.encode(&mut out);
    out
}

#[test]
fn what_is_refused() {
    let changed = |at: usize, bytes: &[u8]| {
        let mut body = body(&[0]);
        body[at..at + bytes.len()].copy_from_slice(bytes);
        body
    };
    let rows: Vec<(&str, Vec<u8>, ErrorCode, &[u8])> = vec![
        (
            "version 3",
            changed(0, &[3]),
            ErrorCode::UNSUPPORTED_VERSION,
            &[0, 4],
        ),
        (
            "version 5",
            changed(0, &[5]),
            ErrorCode::UNSUPPORTED_VERSION,
            &[0, 4],
        ),
        ("AS 0", changed(1, &[0, 0]), ErrorCode::BAD_PEER_AS, &[]),
        (
            "hold time 1",
            changed(3, &[0, 1]),
            ErrorCode::UNACCEPTABLE_HOLD_TIME,
            &[],
        ),
        (
            "hold time 2",
            changed(3, &[0, 2]),
            ErrorCode::UNACCEPTABLE_HOLD_TIME,
            &[],
        ),
        (
            "identifier 0.0.0.0",
            changed(5, &[0; 4]),
            ErrorCode::BAD_BGP_ID,
            &[],
        ),
        ("no length of parameters", body(&[]), ErrorCode::OPEN, &[]),
        (
            "parameters cut short",
            body(&[5, 2, 0]),
            ErrorCode::OPEN,
            &[],
        ),
        (
            "more than the parameters",
            body(&[0, 1]),
            ErrorCode::OPEN,
            &[],
        ),
        (
            "a parameter cut short",
            body(&[2, 2, 4]),
            ErrorCode::OPEN,
            &[],
        ),
        ("a lone parameter type", body(&[1, 2]), ErrorCode::OPEN, &[]),
        (
            "authentication",
            body(&[3, 1, 1, 0]),
            ErrorCode::UNSUPPORTED_PARAMETER,
            &[],
        ),
        (
            "parameter 9",
            body(&[2, 9, 0]),
            ErrorCode::UNSUPPORTED_PARAMETER,
            &[],
        ),
        (
            "a capability cut short",
            body(&[4, 2, 2, 1, 4]),
            ErrorCode::OPEN,
            &[],
        ),
        (
            "a lone capability code",
            body(&[3, 2, 1, 1]),
            ErrorCode::OPEN,
            &[],
        ),
        (
            "a four-octet AS of two octets",
            body(&[6, 2, 4, 65, 2, 0, 1]),
            ErrorCode::OPEN,
            &[],
        ),
        (
            "four-octet AS 0",
            body(&[8, 2, 6, 65, 4, 0, 0, 0, 0]),
            ErrorCode::BAD_PEER_AS,
            &[],
        ),
    ];
    for (name, body, code, data) in rows {
        let error = Open::decode(&body).expect_err(name);
        assert_eq!((error.code, error.data.as_slice()), (code, data), "{name}");
    }
    for hold_time in [0, 3, 65535] {
        let good = changed(3, &u16::to_be_bytes(hold_time));
        assert_eq!(Open::decode(&good).unwrap().hold_time, hold_time);
    }
}

#[test]
fn capabilities_may_be_spread_over_parameters_and_repeated() {
    let refresh = [2, 2, 2, 0];
    let family = [2, 6, 1, 4, 0, 2, 0, 1];
    let parameters = [&[20][..], &refresh, &family, &family].concat();
    let decoded = Open::decode(&body(&parameters)).unwrap();
    assert_eq!(
        decoded,
        open(vec![
            Capability::RouteRefresh,
            Capability::MultiProtocol(AfiSafi::IPV6_UNICAST)
        ])
    );
    assert_eq!(
        Open::decode(&body(&[0])).unwrap(),
        open(vec![]),
        "none at all"
    );
    assert_eq!(
        Open::decode(&body(&[2, 2, 0])).unwrap(),
        open(vec![]),
        "an empty parameter"
    );
}

#[test]
fn an_as_number_that_needs_four_octets() {
    let mut wide = open(vec![Capability::FourOctetAs(4_200_000_010)]);
    wide.asn = 4_200_000_010;
    let bytes = encoded(&wide);
    assert_eq!(
        bytes[20..22],
        23456u16.to_be_bytes(),
        "AS_TRANS in the fixed field"
    );
    assert_eq!(Open::decode(&bytes[19..]).unwrap(), wide);
}

#[test]
fn the_bytes_of_a_plain_one() {
    let capabilities = vec![
        Capability::MultiProtocol(AfiSafi::IPV4_UNICAST),
        Capability::FourOctetAs(65001),
    ];
    let parameters = [14, 2, 12, 1, 4, 0, 1, 0, 1, 65, 4, 0, 0, 0xfd, 0xe9];
    assert_eq!(encoded(&open(capabilities)), message(1, &body(&parameters)));
    assert_eq!(encoded(&open(vec![])), message(1, &body(&[0])));
}

#[test]
fn extended_parameters_when_they_are_needed() {
    let raw = |len: usize| Capability::Unknown {
        code: 200,
        value: vec![7; len],
    };
    let fits = encoded(&open(vec![raw(251)]));
    assert_eq!(
        fits[28..31],
        [255, 2, 253],
        "253 bytes of capabilities still fit"
    );
    assert_eq!(Open::decode(&fits[19..]).unwrap(), open(vec![raw(251)]));

    let long = open(vec![raw(252)]);
    let bytes = encoded(&long);
    assert_eq!(bytes[28..35], [255, 255, 1, 1, 2, 0, 254], "RFC 9072");
    assert_eq!(Open::decode(&bytes[19..]).unwrap(), long);

    let many = open(
        (0..=254)
            .map(|n| Capability::Unknown {
                code: 255,
                value: vec![n; 9],
            })
            .collect(),
    );
    let bytes = encoded(&many);
    assert_eq!(
        Open::decode(&bytes[19..]).unwrap(),
        many,
        "255 capabilities"
    );

    // RFC 9072 §2: a length other than 255 before the marker must be accepted, too.
    let short = body(&[4, 255, 0, 5, 2, 0, 2, 2, 0]);
    assert_eq!(
        Open::decode(&short).unwrap(),
        open(vec![Capability::RouteRefresh])
    );
    for cut in 1..5 {
        let parameters = &[255, 255, 0, 5, 2, 0, 2, 2, 0][..9 - cut];
        assert_eq!(
            Open::decode(&body(parameters)).unwrap_err().code,
            ErrorCode::OPEN
        );
    }
}
