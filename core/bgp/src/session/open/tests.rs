//! What two OPENs agree on, row by row.

use tapway_bgp_wire::AddPathDirection;

use super::*;
use crate::config::GracefulRestart;
use crate::speaker::tests::net::{Transport, peer_config};

const US: Ourselves = Ourselves {
    asn: 65001,
    router_id: Ipv4Addr::new(192, 0, 2, 1),
    restarting: false,
    forwarding: PerFamily {
        ipv4: false,
        ipv6: false,
    },
};
const THEM: Ourselves = Ourselves {
    asn: 65002,
    router_id: Ipv4Addr::new(192, 0, 2, 2),
    ..US
};

/// Our settings for them, changed; and their OPEN, changed. Through bytes, as in life.
fn agree(
    ours: impl FnOnce(&mut PeerConfig),
    theirs: impl FnOnce(&mut Open),
) -> Result<Negotiated, ErrorCode> {
    let mut config = peer_config(1, Transport::V4);
    ours(&mut config);
    let open = our_open(&US, &config);
    let mut their = our_open(&THEM, &peer_config(0, Transport::V4));
    theirs(&mut their);
    let mut bytes = Vec::new();
    their.encode(&mut bytes);
    let their = Open::decode(&bytes[wire::HEADER_LEN..]).unwrap();
    negotiate(&open, &their, &config, US.asn).map_err(|e| e.code)
}

fn without(open: &mut Open, keep: impl Fn(&Capability) -> bool) {
    open.capabilities.0.retain(|c| keep(c));
}

#[test]
fn all_of_it() {
    let both = agree(|_| {}, |_| {}).unwrap();
    assert!(both.external && both.refresh && both.enhanced_refresh);
    assert!(
        both.decode.four_octet_asn && both.decode.extended_message && both.decode.extended_next_hop
    );
    assert_eq!(
        both.decode.families,
        PerFamily {
            ipv4: true,
            ipv6: true
        }
    );
    assert_eq!(both.hold_time.as_secs(), 90);
    assert_eq!(both.keepalive.as_secs(), 30);
    let restart = both.restart.unwrap();
    assert_eq!(
        restart.families,
        PerFamily {
            ipv4: Some(false),
            ipv6: Some(false)
        }
    );
    assert!(!restart.notification && !restart.restarted);
}

#[test]
fn as_numbers() {
    type Ours = fn(&mut PeerConfig);
    let rows: [(&str, Ours, u32, Result<bool, ErrorCode>); 7] = [
        (
            "number",
            |p| p.asn = PeerAsn::Number(65002),
            65002,
            Ok(true),
        ),
        (
            "other number",
            |p| p.asn = PeerAsn::Number(65003),
            65002,
            Err(ErrorCode::BAD_PEER_AS),
        ),
        (
            "four octets",
            |p| p.asn = PeerAsn::Number(4_200_000_000),
            4_200_000_000,
            Ok(true),
        ),
        ("external", |p| p.asn = PeerAsn::External, 65002, Ok(true)),
        (
            "external, but ours",
            |p| p.asn = PeerAsn::External,
            65001,
            Err(ErrorCode::BAD_PEER_AS),
        ),
        ("internal", |p| p.asn = PeerAsn::Internal, 65001, Ok(false)),
        (
            "internal, but not ours",
            |p| p.asn = PeerAsn::Internal,
            65002,
            Err(ErrorCode::BAD_PEER_AS),
        ),
    ];
    for (what, ours, asn, expected) in rows {
        let got = agree(ours, |open| {
            open.asn = asn;
            without(open, |c| !matches!(c, Capability::FourOctetAs(_)));
            open.capabilities.0.push(Capability::FourOctetAs(asn));
        });
        assert_eq!(got.map(|n| n.external), expected, "{what}");
    }
}

#[test]
fn two_octet_peer() {
    let got = agree(
        |_| {},
        |open| without(open, |c| !matches!(c, Capability::FourOctetAs(_))),
    )
    .unwrap();
    assert!(!got.decode.four_octet_asn && !got.encode.four_octet_asn);
    assert_eq!(got.asn, 65002);
}

#[test]
fn identifiers() {
    let same = |open: &mut Open| open.router_id = US.router_id;
    assert!(
        agree(|_| {}, same).is_ok(),
        "in another AS it may be the same"
    );
    let internal = agree(
        |p| p.asn = PeerAsn::Internal,
        |open| {
            same(open);
            open.asn = US.asn;
            without(open, |c| !matches!(c, Capability::FourOctetAs(_)));
        },
    );
    assert_eq!(internal.unwrap_err(), ErrorCode::BAD_BGP_ID);
}

#[test]
fn hold_times() {
    // Ours, theirs, our keepalive -> hold, keepalive in ms.
    let rows = [
        (90, 180, None, 90_000, 30_000),
        (90, 9, None, 9_000, 3_000),
        (90, 3, None, 3_000, 1_000),
        (90, 0, None, 0, 0),
        (0, 90, None, 0, 0),
        (90, 90, Some(10), 90_000, 10_000),
        (90, 9, Some(10), 9_000, 3_000),
    ];
    for (ours, theirs, keepalive, hold, alive) in rows {
        let got = agree(
            |p| {
                p.hold_time = Duration::from_secs(ours);
                p.keepalive = keepalive.map(Duration::from_secs);
            },
            |open| open.hold_time = theirs,
        )
        .unwrap();
        assert_eq!(
            (got.hold_time.as_millis(), got.keepalive.as_millis()),
            (hold, alive),
            "{ours} {theirs}"
        );
    }
}

#[test]
fn families_are_the_intersection() {
    let v4 = AfiSafi::IPV4_UNICAST;
    type Keep = fn(&Capability) -> bool;
    type Agreed = Result<(bool, bool), ErrorCode>;
    let rows: [(&[Family], Keep, Agreed); 5] = [
        (&Family::ALL, |_| true, Ok((true, true))),
        (&[Family::Ipv6], |_| true, Ok((false, true))),
        (
            &Family::ALL,
            |c| *c != Capability::MultiProtocol(AfiSafi::IPV6_UNICAST),
            Ok((true, false)),
        ),
        // Without any, IPv4 is meant.
        (
            &Family::ALL,
            |c| !matches!(c, Capability::MultiProtocol(_)),
            Ok((true, false)),
        ),
        (
            &[Family::Ipv6],
            |c| !matches!(c, Capability::MultiProtocol(_)),
            Err(ErrorCode::UNSUPPORTED_CAPABILITY),
        ),
    ];
    for (ours, keep, expected) in rows {
        let got = agree(|p| p.families = ours.to_vec(), |open| without(open, keep));
        assert_eq!(
            got.map(|n| (n.decode.families.ipv4, n.decode.families.ipv6)),
            expected,
            "{ours:?}"
        );
    }
    let mut config = peer_config(1, Transport::V4);
    config.families = [Family::Ipv4].into();
    assert!(
        our_open(&US, &config)
            .capabilities
            .contains(&Capability::MultiProtocol(v4))
    );
}

#[test]
fn restart_bits() {
    let mut config = peer_config(1, Transport::V4);
    config.graceful_restart = Some(GracefulRestart {
        time: Duration::from_secs(9999),
        notification: true,
        long_lived: None,
    });
    let us = Ourselves {
        restarting: true,
        forwarding: PerFamily {
            ipv4: true,
            ipv6: false,
        },
        ..US
    };
    let open = our_open(&us, &config);
    let said = open.capabilities.graceful_restart().unwrap();
    assert_eq!(
        (said.restarting, said.notification, said.time),
        (true, true, 4095)
    );
    let bits: Vec<bool> = said.families.iter().map(|f| f.forwarding).collect();
    assert_eq!(bits, [true, false]);

    config.graceful_restart = None;
    assert!(
        our_open(&US, &config)
            .capabilities
            .graceful_restart()
            .is_none()
    );
    assert!(
        agree(|p| p.graceful_restart = None, |_| {})
            .unwrap()
            .restart
            .is_none()
    );
    assert!(
        agree(
            |_| {},
            |open| without(open, |c| !matches!(c, Capability::GracefulRestart(_)))
        )
        .unwrap()
        .restart
        .is_none()
    );
}

#[test]
fn add_paths_need_both() {
    let send = |open: &mut Open| {
        let entry = AddPathFamily {
            family: AfiSafi::IPV6_UNICAST,
            direction: AddPathDirection::Send,
        };
        open.capabilities
            .0
            .push(Capability::AddPath([entry].into()));
    };
    let receive = |p: &mut PeerConfig| p.add_paths.receive = true;
    assert_eq!(
        agree(receive, send).unwrap().decode.add_path,
        PerFamily {
            ipv4: false,
            ipv6: true
        }
    );
    assert_eq!(
        agree(|_| {}, send).unwrap().decode.add_path,
        PerFamily::default()
    );
    assert_eq!(
        agree(receive, |_| {}).unwrap().decode.add_path,
        PerFamily::default()
    );
}
