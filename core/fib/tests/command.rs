//! The command lines of a plan, word for word.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use objects::*;
use tapway_fib::*;
use tapway_model::Family;

fn change_route(object: Object, change: impl FnOnce(&mut Route)) -> Object {
    match object {
        Object::Route(mut route) => {
            change(&mut route);
            Object::Route(route)
        }
        other => other,
    }
}

fn flags(object: Object, flags: u32) -> Object {
    match object {
        Object::Address(address) => Object::Address(Address { flags, ..address }),
        other => other,
    }
}

fn onlink(index: IfIndex, via: &str) -> NextHop {
    NextHop {
        onlink: true,
        ..hop(index, Some(via))
    }
}

#[test]
fn golden() {
    let host = Host::new();
    let v6_rule = Rule {
        family: Family::Ipv6,
        priority: 900,
        table: 254,
        iif: Some("tap1".parse().unwrap()),
        protocol: OURS,
    };
    let legs = vec![
        NextHop {
            weight: 2,
            ..hop(1, Some("198.51.100.1"))
        },
        onlink(2, "fe80::1"),
    ];
    use Change::{Add, Remove, Replace};
    let link = |object| match object {
        Object::Address(address) => Object::Address(Address {
            scope: 253,
            ..address
        }),
        other => other,
    };
    for (change, line) in [
        (
            Add(link(address(1, "169.254.0.1/32"))),
            "ip addr add 169.254.0.1/32 dev tap1 scope link proto 112",
        ),
        (
            Add(flags(
                address(2, "fe80::1/64"),
                address_flags::NODAD | address_flags::NOPREFIXROUTE,
            )),
            "ip addr add fe80::1/64 dev tap2 proto 112 nodad noprefixroute",
        ),
        (
            Remove(address(2, "fe80::1/64")),
            "ip addr del fe80::1/64 dev tap2",
        ),
        (
            Add(direct("203.0.113.1/32", 1)),
            "ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10",
        ),
        (
            Replace(direct("2001:db8:1::/64", 3)),
            "ip -6 route replace 2001:db8:1::/64 dev tap3 proto 112 metric 10",
        ),
        (
            Remove(direct("203.0.113.1/32", 9)),
            "ip route del 203.0.113.1/32 dev if9 proto 112 metric 10",
        ),
        (
            Add(route(
                "198.51.100.64/28",
                10,
                vec![onlink(1, "203.0.113.1")],
            )),
            "ip route add 198.51.100.64/28 via 203.0.113.1 dev tap1 proto 112 metric 10 onlink",
        ),
        (
            Add(change_route(route("0.0.0.0/0", 20, legs), |r| {
                r.prefsrc = Some(ip("192.0.2.11"))
            })),
            "ip route add default proto 112 metric 20 src 192.0.2.11 \
             nexthop via 198.51.100.1 dev tap1 weight 2 nexthop via inet6 fe80::1 dev tap2 weight 1 onlink",
        ),
        (
            Add(change_route(route("10.0.0.0/8", 10, vec![]), |r| {
                r.table = 90
            })),
            "ip route add blackhole 10.0.0.0/8 table 90 proto 112 metric 10",
        ),
        (
            Add(change_route(route("::/0", 4000, vec![]), |r| {
                r.kind = RouteKind::Unreachable
            })),
            "ip -6 route add unreachable default proto 112 metric 4000",
        ),
        (
            Add(change_route(direct("203.0.113.1/32", 1), |r| r.scope = 0)),
            "ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10 scope global",
        ),
        (
            Add(neighbour(1, "203.0.113.1", 0x56)),
            "ip neigh add 203.0.113.1 lladdr 52:54:00:00:00:56 dev tap1 nud permanent protocol 112",
        ),
        (
            Remove(neighbour(1, "203.0.113.1", 0x56)),
            "ip neigh del 203.0.113.1 dev tap1",
        ),
        (
            Add(rule(1000, 90)),
            "ip rule add from all lookup 90 pref 1000 protocol 112",
        ),
        (
            Remove(Object::Rule(v6_rule)),
            "ip -6 rule del from all iif tap1 lookup main pref 900 protocol 112",
        ),
        (
            Replace(sysctl("ipv4/ip_forward", "1")),
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        (
            Replace(sysctl("ipv6/conf/eth0.100/accept_ra", "2")),
            "sysctl -w net/ipv6/conf/eth0.100/accept_ra=2",
        ),
        (
            Replace(sysctl("ipv4/tcp_rmem", "4096 87380 6291456")),
            "sysctl -w net.ipv4.tcp_rmem=\"4096 87380 6291456\"",
        ),
    ] {
        assert_eq!(host.fib.command(&change).to_string(), line);
    }
}

#[test]
fn without_names_a_link_is_its_index() {
    let change = Change::Add(direct("203.0.113.1/32", 7));
    assert_eq!(
        change.to_string(),
        "ip route add 203.0.113.1/32 dev if7 proto 112 metric 10"
    );
}
