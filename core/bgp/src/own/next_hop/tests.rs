//! Which next hop, row by row.

use alloc::vec::Vec;

use super::*;
use crate::config::NextHopTo;
use crate::speaker::tests::net::{IFINDEX, addresses};

const PEER_V4: &str = "198.51.100.2";
const PEER_V6: &str = "2001:db8::2";
const PEER_LL: &str = "fe80::2";

struct Row {
    what: &'static str,
    family: Family,
    peer: &'static str,
    explicit: Option<&'static str>,
    change: fn(&mut Link),
    expected: Result<NextHop, &'static str>,
}

fn v4(text: &str) -> NextHop {
    NextHop::V4(text.parse().unwrap())
}

fn v6(text: &str) -> NextHop {
    NextHop::V6(text.parse().unwrap())
}

fn rows() -> Vec<Row> {
    use Family::{Ipv4, Ipv6};
    let pair = NextHop::V6WithLinkLocal {
        global: "2001:db8::1".parse().unwrap(),
        link_local: "fe80::1".parse().unwrap(),
    };
    let alone = NextHop::LinkLocal("fe80::1".parse().unwrap());
    let row = |what, family, peer, explicit, change, expected| Row {
        what,
        family,
        peer,
        explicit,
        change,
        expected,
    };
    Vec::from([
        row("own", Ipv4, PEER_V4, None, |_| {}, Ok(v4("198.51.100.1"))),
        row(
            "own over v6",
            Ipv4,
            PEER_V6,
            None,
            |_| {},
            Ok(v4("198.51.100.1")),
        ),
        row(
            "own over link-local",
            Ipv4,
            PEER_LL,
            None,
            |_| {},
            Ok(v4("198.51.100.1")),
        ),
        row(
            "v4 missing",
            Ipv4,
            PEER_V6,
            None,
            |l| l.ours.v4 = None,
            Err("RFC 8950"),
        ),
        row(
            "v4 missing, extended",
            Ipv4,
            PEER_V6,
            None,
            |l| {
                l.ours.v4 = None;
                l.extended = true
            },
            Ok(v6("2001:db8::1")),
        ),
        row(
            "v4 missing, extended, link-local",
            Ipv4,
            PEER_LL,
            None,
            |l| {
                l.ours.v4 = None;
                l.extended = true
            },
            Ok(pair),
        ),
        row(
            "v4 there, extended",
            Ipv4,
            PEER_LL,
            None,
            |l| l.extended = true,
            Ok(v4("198.51.100.1")),
        ),
        row(
            "v6 over v4",
            Ipv6,
            PEER_V4,
            None,
            |_| {},
            Ok(v6("2001:db8::1")),
        ),
        row(
            "v6 over v6: global alone",
            Ipv6,
            PEER_V6,
            None,
            |_| {},
            Ok(v6("2001:db8::1")),
        ),
        row(
            "v6 over link-local: both",
            Ipv6,
            PEER_LL,
            None,
            |_| {},
            Ok(pair),
        ),
        row(
            "link-local alone",
            Ipv6,
            PEER_LL,
            None,
            |l| l.ours.v6_global = None,
            Ok(alone),
        ),
        row(
            "link-local alone not over v4",
            Ipv6,
            PEER_V4,
            None,
            |l| l.ours.v6_global = None,
            Err("add a global one"),
        ),
        row(
            "link-local alone not over v6",
            Ipv6,
            PEER_V6,
            None,
            |l| l.ours.v6_global = None,
            Err("add a global one"),
        ),
        row(
            "nothing at all",
            Ipv6,
            PEER_LL,
            None,
            |l| l.ours = LocalAddresses::default(),
            Err("no usable IPv6"),
        ),
        row(
            "explicit wins",
            Ipv4,
            PEER_V4,
            Some("192.0.2.9"),
            |l| l.configured.ipv4 = NextHopTo::Address([9, 9, 9, 9].into()),
            Ok(v4("192.0.2.9")),
        ),
        row(
            "peer's setting",
            Ipv4,
            PEER_V4,
            None,
            |l| l.configured.ipv4 = NextHopTo::Address([9, 9, 9, 9].into()),
            Ok(v4("9.9.9.9")),
        ),
        row(
            "peer's setting of the other family",
            Ipv6,
            PEER_V4,
            None,
            |l| l.configured.ipv4 = NextHopTo::Address([9, 9, 9, 9].into()),
            Ok(v6("2001:db8::1")),
        ),
        row(
            "explicit v6",
            Ipv6,
            PEER_LL,
            Some("2001:db8::9"),
            |_| {},
            Ok(v6("2001:db8::9")),
        ),
        row(
            "explicit v6 for v4",
            Ipv4,
            PEER_V4,
            Some("2001:db8::9"),
            |_| {},
            Err("does not take that"),
        ),
        row(
            "explicit v6 for v4, extended",
            Ipv4,
            PEER_V4,
            Some("2001:db8::9"),
            |l| l.extended = true,
            Ok(v6("2001:db8::9")),
        ),
        row(
            "explicit v4 for v6",
            Ipv6,
            PEER_V4,
            Some("192.0.2.9"),
            |_| {},
            Err("is IPv4"),
        ),
        row(
            "explicit link-local, same link",
            Ipv6,
            PEER_LL,
            Some("fe80::9"),
            |_| {},
            Ok(NextHop::LinkLocal("fe80::9".parse().unwrap())),
        ),
        row(
            "explicit link-local, no link",
            Ipv6,
            PEER_V6,
            Some("fe80::9"),
            |_| {},
            Err("link-local"),
        ),
        row(
            "the peer itself",
            Ipv4,
            PEER_V4,
            Some(PEER_V4),
            |_| {},
            Err("the peer itself"),
        ),
        row(
            "unspecified",
            Ipv4,
            PEER_V4,
            Some("0.0.0.0"),
            |_| {},
            Err("no unicast"),
        ),
        row(
            "multicast",
            Ipv6,
            PEER_V6,
            Some("ff02::1"),
            |_| {},
            Err("no unicast"),
        ),
        row(
            "mapped",
            Ipv6,
            PEER_V6,
            Some("::ffff:192.0.2.1"),
            |_| {},
            Err("no unicast"),
        ),
        // Own routes have none that could stay.
        row(
            "unchanged",
            Ipv4,
            PEER_V4,
            None,
            |l| l.configured.ipv4 = NextHopTo::Unchanged,
            Ok(v4("198.51.100.1")),
        ),
    ])
}

#[test]
fn every_row() {
    for row in rows() {
        let peer = row.peer.parse().unwrap();
        let mut link = Link::new(addresses(0), peer, IFINDEX, false, PeerNextHop::default());
        (row.change)(&mut link);
        let got = choose(row.family, row.explicit.map(|t| t.parse().unwrap()), &link);
        match (got, row.expected) {
            (Err(got), Err(part)) => assert!(got.contains(part), "{}: {got}", row.what),
            (got, expected) => assert_eq!(got, expected, "{}", row.what),
        }
    }
}

#[test]
fn a_route_keeps_its_next_hop_where_the_peer_can_use_it() {
    let pair = NextHop::V6WithLinkLocal {
        global: "2001:db8::9".parse().unwrap(),
        link_local: "fe80::9".parse().unwrap(),
    };
    let alone = NextHop::LinkLocal("fe80::9".parse().unwrap());
    let far = v6("2001:db8::9");
    let (ipv4, ipv6) = (Family::Ipv4, Family::Ipv6);
    for (family, next_hop, peer, ifindex, extended, expected) in [
        (
            ipv4,
            v4("198.51.100.9"),
            PEER_V4,
            7,
            false,
            Ok(v4("198.51.100.9")),
        ),
        (ipv4, v4(PEER_V4), PEER_V4, 7, false, Err("the peer itself")),
        (ipv4, far, PEER_V4, 7, true, Ok(far)),
        (ipv4, far, PEER_V4, 7, false, Err("RFC 8950")),
        (
            ipv6,
            v4("198.51.100.9"),
            PEER_V6,
            7,
            true,
            Err("need an IPv6"),
        ),
        (ipv6, far, PEER_V6, 7, false, Ok(far)),
        (ipv6, pair, PEER_V6, 7, false, Ok(far)),
        (ipv6, pair, PEER_LL, 7, false, Ok(pair)),
        (ipv6, pair, PEER_LL, 8, false, Ok(far)),
        (ipv6, alone, PEER_LL, 7, false, Ok(alone)),
        (ipv6, alone, PEER_LL, 8, false, Err("not on that link")),
        (ipv6, alone, PEER_LL, 0, false, Err("not on that link")),
        (ipv6, alone, PEER_V6, 7, false, Err("not on that link")),
        (ipv4, alone, PEER_LL, 7, true, Ok(alone)),
    ] {
        let config = PeerNextHop::default();
        let link = Link::new(
            addresses(0),
            peer.parse().unwrap(),
            IFINDEX,
            extended,
            config,
        );
        let got = keep(family, next_hop, ifindex, &link);
        let what = (family, next_hop, peer, ifindex, extended);
        match (got, expected) {
            (Err(got), Err(part)) => assert!(got.contains(part), "{what:?}: {got}"),
            (got, expected) => assert_eq!(got, expected, "{what:?}"),
        }
    }
}
