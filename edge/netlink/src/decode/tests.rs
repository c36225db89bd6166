//! What is encoded is decoded; what is cut off or garbled is refused, not fatal.

use netlink_packet_core::Emitable;
use tapway_fib::Object;

use super::*;
use crate::encode;

fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn hop(index: IfIndex, via: Option<&str>, weight: u16) -> NextHop {
    NextHop {
        index,
        via: via.map(|a| a.parse().unwrap()),
        onlink: false,
        weight,
    }
}

fn route_to(prefix: &str, metric: u32, next_hops: Vec<NextHop>) -> Route {
    let kind = if next_hops.is_empty() {
        RouteKind::Blackhole
    } else {
        RouteKind::Unicast
    };
    Route {
        table: 90,
        prefix: prefix.parse().unwrap(),
        metric,
        kind,
        scope: 0,
        next_hops,
        prefsrc: None,
        protocol: 112,
    }
}

/// Each object with its message and the decoder of its kind.
fn samples() -> Vec<(Object, Vec<u8>)> {
    let routes = [
        route_to("203.0.113.1", 0, vec![hop(3, None, 1)]),
        route_to("203.0.113.1", 0, vec![hop(3, Some("fe80::1"), 1)]),
        route_to(
            "0.0.0.0/0",
            20,
            vec![hop(3, Some("192.0.2.1"), 1), hop(4, Some("fe80::1"), 256)],
        ),
        route_to(
            "2001:db8::/64",
            20,
            vec![hop(3, Some("fe80::1"), 2), hop(4, Some("fe80::1"), 3)],
        ),
        route_to("::/0", u32::MAX, vec![]),
        Route {
            table: 70_000,
            prefsrc: Some("192.0.2.1".parse().unwrap()),
            ..route_to("10.0.0.0/8", 1, vec![hop(3, None, 1)])
        },
        Route {
            next_hops: vec![NextHop {
                onlink: true,
                ..hop(3, Some("10.0.0.1"), 1)
            }],
            ..route_to("10.0.0.0/8", 1, vec![hop(3, None, 1)])
        },
    ];
    let mut samples: Vec<_> = routes
        .into_iter()
        .map(|r| {
            (
                Object::Route(r.clone()),
                bytes(&encode::route(&r, r.metric)),
            )
        })
        .collect();
    for (addr, len) in [("192.0.2.1", 24), ("fe80::1", 64)] {
        let a = Address {
            index: 3,
            addr: addr.parse().unwrap(),
            len,
            scope: 253,
            flags: 0x202,
            protocol: 112,
        };
        samples.push((Object::Address(a.clone()), bytes(&encode::address(&a))));
        let n = Neighbour {
            index: 3,
            addr: a.addr,
            mac: Some([2; 6]),
            state: 0x80,
            router: false,
            protocol: 112,
        };
        samples.push((Object::Neighbour(n.clone()), bytes(&encode::neighbour(&n))));
    }
    for (family, iif) in [
        (Family::Ipv4, None),
        (Family::Ipv6, Some(IfName::new("tap0").unwrap())),
    ] {
        let r = Rule {
            family,
            priority: 1000,
            table: 300,
            iif,
            protocol: 112,
        };
        samples.push((Object::Rule(r.clone()), bytes(&encode::rule(&r))));
    }
    samples
}

fn decoded(like: &Object, bytes: &[u8]) -> Option<Object> {
    match like {
        Object::Route(_) => route(bytes).map(Object::Route),
        Object::Address(_) => address(bytes).map(Object::Address),
        Object::Neighbour(_) => neighbour(bytes).map(Object::Neighbour),
        Object::Rule(_) => rule(bytes).map(Object::Rule),
        Object::Sysctl(_) => None,
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    for (object, bytes) in samples() {
        assert_eq!(decoded(&object, &bytes), Some(object));
    }
}

#[test]
fn broken_messages_are_no_objects() {
    for (object, good) in samples() {
        for len in 0..good.len() {
            let _ = decoded(&object, &good[..len]);
            let _ = link(&good[..len]);
            let _ = netconf(&good[..len]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut garbled = good.clone();
                garbled[len] = value;
                let _ = decoded(&object, &garbled);
                let _ = link(&garbled);
            }
        }
        assert_eq!(decoded(&object, &[]), None);
    }
}

/// A rule with a selector that [`Rule`] does not have is not mistaken for one without.
#[test]
fn rules_that_select_more_are_not_told() {
    let plain = Rule {
        family: Family::Ipv4,
        priority: 1,
        table: 90,
        iif: None,
        protocol: 0,
    };
    let mut message = encode::rule(&plain);
    message
        .attributes
        .push(RuleAttribute::SuppressPrefixLen(u32::MAX));
    assert_eq!(rule(&bytes(&message)), Some(plain.clone()));
    message.attributes.push(RuleAttribute::FwMark(7));
    assert_eq!(rule(&bytes(&message)), None);
    let mut message = encode::rule(&plain);
    message.header.src_len = 8;
    assert_eq!(rule(&bytes(&message)), None);
    let mut message = encode::rule(&plain);
    message.header.action = RuleAction::Unreachable;
    assert_eq!(rule(&bytes(&message)), None);
}
