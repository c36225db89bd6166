//! The writer against the kernel: every kind of object, every kind of change, and never a foreign one.

mod namespace;

use std::time::Instant as Clock;

use namespace::*;
use tapway_fib::{Change, Object, Outcome, Sysctl};
use tapway_model::Family;

/// Adds each object, finds it by a scan and in `ip`'s words, and removes it.
#[test]
fn each_object_comes_and_goes() {
    run(|ns| {
        let (a0, a1) = (ns.a0, ns.a1);
        ns.done(&[
            Change::Add(Object::Address(address(a0, "192.0.2.1", 24))),
            Change::Add(Object::Address(address(a0, "2001:db8::1", 64))),
            Change::Add(Object::Address(address(a1, "198.51.100.1", 24))),
        ]);
        let mut table_90 = route("203.0.113.9", 0, &[(a0, "")]);
        table_90.table = 90;
        let mut big_table = route("2001:db8:9::/64", 5, &[(a0, "")]);
        big_table.table = 70_000;
        let mut unreachable = route("2001:db8:8::/48", 20, &[]);
        unreachable.kind = tapway_fib::RouteKind::Unreachable;
        let mut onlink = route("203.0.113.7", 0, &[(a0, "10.9.9.9")]);
        onlink.next_hops[0].onlink = true;
        let mut source = route("203.0.113.6", 0, &[(a0, "")]);
        source.prefsrc = Some("192.0.2.1".parse().unwrap());
        let mut weights = route("203.0.113.5", 0, &[(a0, "192.0.2.8"), (a1, "198.51.100.8")]);
        weights
            .next_hops
            .iter_mut()
            .find(|hop| hop.index == a0)
            .unwrap()
            .weight = 3;
        let rows: Vec<(Object, &str, &str)> = vec![
            (
                Object::Route(route("203.0.113.1", 0, &[(a0, "")])),
                "route",
                "203.0.113.1 dev a0 proto 112 scope link",
            ),
            (
                Object::Route(route("203.0.113.2", 7, &[(a0, "192.0.2.8")])),
                "route",
                "203.0.113.2 via 192.0.2.8 dev a0 proto 112 metric 7",
            ),
            (
                Object::Route(route("2001:db8:1::/64", 20, &[(a0, "2001:db8::8")])),
                "-6 route",
                "2001:db8:1::/64 via 2001:db8::8 dev a0 proto 112 metric 20",
            ),
            (
                Object::Route(route("203.0.113.3", 0, &[(a0, "fe80::1")])),
                "route",
                "203.0.113.3 via inet6 fe80::1 dev a0 proto 112",
            ),
            (
                Object::Route(route(
                    "0.0.0.0/0",
                    20,
                    &[(a0, "192.0.2.8"), (a1, "198.51.100.8")],
                )),
                "route",
                "nexthop via 198.51.100.8 dev a1 weight 1",
            ),
            (
                Object::Route(route(
                    "::/0",
                    20,
                    &[(a0, "2001:db8::8"), (a0, "2001:db8::9")],
                )),
                "-6 route",
                "nexthop via 2001:db8::9 dev a0 weight 1",
            ),
            (
                Object::Route(weights),
                "route",
                "nexthop via 192.0.2.8 dev a0 weight 3",
            ),
            (
                Object::Route(route("198.51.100.128/25", 30, &[])),
                "route",
                "blackhole 198.51.100.128/25 proto 112 metric 30",
            ),
            (
                Object::Route(unreachable),
                "-6 route",
                "unreachable 2001:db8:8::/48 dev lo proto 112 metric 20",
            ),
            (
                Object::Route(onlink),
                "route",
                "203.0.113.7 via 10.9.9.9 dev a0 proto 112 onlink",
            ),
            (
                Object::Route(source),
                "route",
                "203.0.113.6 dev a0 proto 112 scope link src 192.0.2.1",
            ),
            (
                Object::Route(table_90),
                "route list table 90",
                "203.0.113.9 dev a0 proto 112 scope link",
            ),
            (
                Object::Route(big_table),
                "-6 route list table 70000",
                "2001:db8:9::/64 dev a0 proto 112 metric 5",
            ),
            (
                Object::Neighbour(neighbour(a0, "192.0.2.50", 1)),
                "neigh",
                "192.0.2.50 dev a0 lladdr 52:54:00:00:00:01 PERMANENT proto 112",
            ),
            (
                Object::Neighbour(neighbour(a0, "2001:db8::50", 2)),
                "-6 neigh",
                "2001:db8::50 dev a0 lladdr 52:54:00:00:00:02 PERMANENT proto 112",
            ),
            (
                Object::Rule(rule(Family::Ipv4, 1000, 90, None)),
                "rule",
                "1000:\tfrom all lookup 90 proto 112",
            ),
            (
                Object::Rule(rule(Family::Ipv6, 1001, 70_000, Some("a1"))),
                "-6 rule",
                "1001:\tfrom all iif a1 lookup 70000 proto 112",
            ),
            (
                Object::Address(address(a1, "169.254.0.1", 32)),
                "addr show dev a1",
                "inet 169.254.0.1/32",
            ),
            (
                Object::Address(address(a1, "fe80::1", 64)),
                "addr show dev a1",
                "inet6 fe80::1/64",
            ),
        ];
        for (object, command, text) in rows {
            ns.done(&[Change::Add(object.clone())]);
            assert!(
                ns.ours().contains(&object),
                "{object:?} in {:#?}",
                ns.ours()
            );
            let shown = ip(command);
            assert!(shown.contains(text), "{text} in:\n{shown}");
            let (errno, message) = ns.refused(Change::Add(object.clone()));
            assert_eq!(errno, 17, "{object:?}: {message}");
            ns.done(&[Change::Remove(object.clone())]);
            assert!(!ns.ours().contains(&object), "{object:?}");
            // Removing what is gone is done.
            ns.done(&[Change::Remove(object)]);
        }
    });
}

#[test]
fn replacing_changes_ours() {
    run(|ns| {
        let (a0, a1) = (ns.a0, ns.a1);
        ns.done(&[
            Change::Add(Object::Address(address(a0, "192.0.2.1", 24))),
            Change::Add(Object::Address(address(a0, "2001:db8::1", 64))),
        ]);
        let rows = [
            [
                route("203.0.113.1", 0, &[(a0, "")]),
                route("203.0.113.1", 0, &[(a1, "")]),
            ],
            [
                route("203.0.113.2", 9, &[(a0, "")]),
                route("203.0.113.2", 9, &[]),
            ],
            [
                route("0.0.0.0/0", 20, &[(a0, "192.0.2.8"), (a0, "192.0.2.9")]),
                route("0.0.0.0/0", 20, &[(a0, "192.0.2.9")]),
            ],
            [
                route("2001:db8:1::/64", 9, &[(a0, "2001:db8::8")]),
                route("2001:db8:1::/64", 9, &[(a1, "")]),
            ],
            [
                route("2001:db8:2::/64", 9, &[(a1, "")]),
                route("2001:db8:2::/64", 9, &[(a0, "2001:db8::8")]),
            ],
            [
                route("::/0", 9, &[(a0, "2001:db8::8")]),
                route("::/0", 9, &[(a0, "2001:db8::7"), (a0, "2001:db8::9")]),
            ],
            [
                route("::/0", u32::MAX, &[(a0, "2001:db8::8")]),
                route("::/0", u32::MAX, &[(a0, "2001:db8::9")]),
            ],
        ]
        .map(|pair| pair.map(Object::Route));
        let mut no_prefix_route = address(a1, "10.0.0.1", 24);
        no_prefix_route.flags |= tapway_fib::address_flags::NOPREFIXROUTE;
        let others = [
            [
                Object::Neighbour(neighbour(a0, "192.0.2.50", 1)),
                Object::Neighbour(neighbour(a0, "192.0.2.50", 2)),
            ],
            [
                Object::Address(address(a1, "10.0.0.1", 24)),
                Object::Address(no_prefix_route),
            ],
        ];
        for [old, new] in rows.into_iter().chain(others) {
            ns.done(&[Change::Add(old.clone()), Change::Replace(new.clone())]);
            let ours: Vec<Object> = ns
                .ours()
                .into_iter()
                .filter(|o| o.key() == old.key())
                .collect();
            assert_eq!(ours, std::slice::from_ref(&new));
            // Replacing by the same, and what has vanished.
            ns.done(&[
                Change::Replace(new.clone()),
                Change::Remove(new.clone()),
                Change::Replace(new.clone()),
            ]);
            assert!(ns.ours().contains(&new));
            let stand_ins = ns
                .ours()
                .into_iter()
                .filter(|o| matches!(o, Object::Route(_)))
                .count();
            assert_eq!(
                stand_ins,
                usize::from(matches!(new, Object::Route(_))),
                "nothing else of ours is left"
            );
            ns.done(&[Change::Remove(new)]);
        }
    });
}

/// Another thread looks the destination up without pause; it always finds a way.
#[test]
fn replacing_leaves_no_gap() {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    run(|ns| {
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        for to in ["203.0.113.1", "2001:db8:9::1"] {
            let routes = [route(to, 20, &[(ns.a0, "")]), route(to, 20, &[(ns.a1, "")])];
            ns.done(&[add_route(&routes[0])]);
            let (stop, lookups, failures) =
                (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let any = if to.contains(':') {
                        "[::]:0"
                    } else {
                        "0.0.0.0:0"
                    };
                    while !stop.load(Ordering::Relaxed) {
                        let socket = std::net::UdpSocket::bind(any).unwrap();
                        let failed = u32::from(socket.connect((to, 9)).is_err());
                        failures.fetch_add(failed, Ordering::Relaxed);
                        lookups.fetch_add(1, Ordering::Relaxed);
                    }
                });
                let mut turn = 0;
                while turn < 2000 || lookups.load(Ordering::Relaxed) < 1000 {
                    turn += 1;
                    ns.done(&[Change::Replace(Object::Route(routes[turn % 2].clone()))]);
                }
                stop.store(true, Ordering::Relaxed);
            });
            assert_eq!(
                failures.into_inner(),
                0,
                "of {} lookups of {to}",
                lookups.into_inner()
            );
        }
    });
}

#[test]
fn foreign_objects_are_never_touched() {
    run(|ns| {
        let (a0, a1) = (ns.a0, ns.a1);
        let listing = || {
            [
                "route show table all",
                "-6 route show table all",
                "addr show dev a0 scope global",
                "neigh show nud permanent",
                "rule",
            ]
            .map(ip)
            .concat()
            .lines()
            // The kernel adds these when it is sure that nobody else has the link-local address.
            .filter(|line| !(line.contains("fe80:") && line.contains("proto kernel")))
            .map(|line| line.to_owned() + "\n")
            .collect::<String>()
        };
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        ip("route add 203.0.113.1 dev a0 scope link proto 201");
        ip("route add 203.0.113.2 dev a0 scope link proto 201 metric 7");
        ip("route add default via 192.0.2.8 proto static metric 20");
        ip("-6 route add 2001:db8:1::/64 dev a0 proto 201 metric 20");
        ip("-6 route add 2001:db8:2::/64 via 2001:db8::8 proto 201 metric 20");
        ip("neigh add 192.0.2.50 lladdr 52:54:00:00:00:99 dev a0 nud permanent");
        ip("rule add pref 1000 lookup 90 proto 201");
        let before = listing();
        let rows = [
            Object::Route(route("203.0.113.1", 0, &[(a1, "")])),
            Object::Route(route("203.0.113.2", 7, &[(a1, "")])),
            Object::Route(route("0.0.0.0/0", 20, &[(a0, "192.0.2.9")])),
            Object::Route(route("2001:db8:1::/64", 20, &[(a1, "")])),
            Object::Route(route("2001:db8:1::/64", 20, &[(a0, "2001:db8::9")])),
            Object::Route(route("2001:db8:2::/64", 20, &[(a0, "2001:db8::9")])),
            Object::Route(route("2001:db8:2::/64", 20, &[(a1, "")])),
            Object::Neighbour(neighbour(a0, "192.0.2.50", 1)),
            Object::Address(address(a0, "192.0.2.1", 24)),
            Object::Address(address(a0, "2001:db8::1", 64)),
        ];
        for object in rows {
            for change in [Change::Add(object.clone()), Change::Replace(object.clone())] {
                let (errno, _) = ns.refused(change.clone());
                assert_eq!(errno, 17, "{change:?}");
                assert_eq!(listing(), before, "{change:?}");
            }
            ns.done(&[Change::Remove(object.clone())]);
            assert_eq!(listing(), before, "{object:?}");
        }
        // The kernel holds equal rules of different protocols beside each other.
        let rule = Object::Rule(rule(Family::Ipv4, 1000, 90, None));
        ns.done(&[
            Change::Add(rule.clone()),
            Change::Replace(rule.clone()),
            Change::Remove(rule.clone()),
        ]);
        ns.done(&[Change::Remove(rule)]);
        assert_eq!(listing(), before);
    });
}

/// Somebody put theirs before ours with the same key; ours can be changed and removed all the same.
#[test]
fn a_foreign_route_before_ours_survives() {
    run(|ns| {
        let ours = route("203.0.113.1", 5, &[(ns.a0, "")]);
        ns.done(&[add_route(&ours)]);
        ip("route prepend 203.0.113.1 dev a1 scope link proto 201 metric 5");
        ns.done(&[Change::Remove(Object::Route(ours.clone()))]);
        assert_eq!(
            ip("route show 203.0.113.1").trim(),
            "203.0.113.1 dev a1 proto 201 scope link metric 5"
        );
        assert_eq!(ns.refused(Change::Replace(Object::Route(ours))).0, 17);
        assert_eq!(
            ip("route show 203.0.113.1").trim(),
            "203.0.113.1 dev a1 proto 201 scope link metric 5"
        );
    });
}

#[test]
fn a_learned_neighbour_gives_way() {
    run(|ns| {
        ip("neigh add 192.0.2.50 lladdr 52:54:00:00:00:99 dev a0 nud stale");
        let wanted = neighbour(ns.a0, "192.0.2.50", 1);
        ns.done(&[Change::Add(Object::Neighbour(wanted.clone()))]);
        assert!(ns.ours().contains(&Object::Neighbour(wanted)));
    });
}

#[test]
fn refusals_say_why_and_do_not_stop_the_rest() {
    run(|ns| {
        let good = route("203.0.113.1", 0, &[(ns.a0, "")]);
        let no_gateway = route("203.0.113.2", 0, &[(ns.a0, "10.99.0.1")]);
        let no_link = route("203.0.113.3", 0, &[(9999, "")]);
        let after = route("203.0.113.4", 0, &[(ns.a0, "")]);
        let outcomes = ns.writer.apply(&[
            add_route(&good),
            add_route(&no_gateway),
            add_route(&no_link),
            add_route(&after),
        ]);
        assert_eq!(
            (&outcomes[0], &outcomes[3]),
            (&Outcome::Done, &Outcome::Done)
        );
        let texts: Vec<_> = outcomes
            .iter()
            .filter_map(|o| match o {
                Outcome::Failed { errno, message } => {
                    Some((*errno, message.clone().unwrap_or_default()))
                }
                Outcome::Done => None,
            })
            .collect();
        assert_eq!(texts[0], (101, "Nexthop has invalid gateway".to_owned()));
        assert_eq!(texts[1].0, 19, "{texts:?}");
        // A refused replacement leaves the old one.
        let mut broken = good.clone();
        broken.next_hops[0].via = Some("10.99.0.1".parse().unwrap());
        broken.scope = 0;
        assert_eq!(ns.refused(Change::Replace(Object::Route(broken))).0, 101);
        assert!(ns.ours().contains(&Object::Route(good)));
    });
}

#[test]
fn sysctls_are_written_in_order() {
    run(|ns| {
        let forwarding = |value: &str| {
            Object::Sysctl(Sysctl {
                path: "ipv4/conf/a0/forwarding".into(),
                value: value.into(),
            })
        };
        ns.done(&[
            Change::Add(forwarding("1")),
            Change::Add(Object::Route(route("203.0.113.1", 0, &[(ns.a0, "")]))),
            Change::Replace(forwarding("0")),
            Change::Remove(forwarding("0")),
        ]);
        assert_eq!(
            tapway_sys::sysctl::read("ipv4/conf/a0/forwarding").unwrap(),
            "0"
        );
        let missing = Change::Add(Object::Sysctl(Sysctl {
            path: "ipv4/conf/none/forwarding".into(),
            value: "1".into(),
        }));
        let (errno, message) = ns.refused(missing);
        assert!(
            errno == 2 && message.contains("/proc/sys/net/ipv4/conf/none/forwarding"),
            "{errno} {message}"
        );
    });
}

#[test]
fn ten_thousand_routes_in_one_call() {
    run(|ns| {
        let routes: Vec<_> = (0..10_000u32)
            .map(|i| {
                let addr = std::net::Ipv4Addr::from_bits(0x0a00_0000 + i);
                route(&addr.to_string(), 0, &[(ns.a0, "")])
            })
            .collect();
        let adds: Vec<_> = routes.iter().map(add_route).collect();
        let start = Clock::now();
        ns.done(&adds);
        let added = start.elapsed();
        let start = Clock::now();
        let found = ns.ours().len();
        let scanned = start.elapsed();
        assert_eq!(found, routes.len());
        let one = route("203.0.113.1", 0, &[(ns.a0, "")]);
        let mut single = Vec::new();
        for _ in 0..200 {
            let start = Clock::now();
            ns.done(&[add_route(&one)]);
            single.push(start.elapsed());
            ns.done(&[Change::Remove(Object::Route(one.clone()))]);
        }
        single.sort();
        let replaces: Vec<_> = routes
            .iter()
            .map(|r| {
                let mut r = r.clone();
                r.next_hops[0].index = ns.a1;
                Change::Replace(Object::Route(r))
            })
            .collect();
        let start = Clock::now();
        ns.done(&replaces);
        let replaced = start.elapsed();
        let removes: Vec<_> = routes
            .iter()
            .map(|r| Change::Remove(Object::Route(r.clone())))
            .collect();
        let start = Clock::now();
        ns.done(&removes);
        let removed = start.elapsed();
        assert_eq!(ns.ours().len(), 0);
        let rate = |d: std::time::Duration| 10_000.0 / d.as_secs_f64();
        eprintln!(
            "add {:.0}/s, replace {:.0}/s, remove {:.0}/s, scan {:.0}/s; one add p50 {:?}, p99 {:?}",
            rate(added),
            rate(replaced),
            rate(removed),
            rate(scanned),
            single[100],
            single[198],
        );
    });
}
