//! The monitor against the kernel: what is told, what is not, and what happens after loss.

mod namespace;

use namespace::*;
use std::time::Duration;

use tapway_fib::{Change, KernelEvent, Key, Object, Sysctl};
use tapway_model::{Family, IfName, Instant};
use tapway_netlink::{Monitor, MonitorConfig};

fn present(key: &Key) -> impl Fn(&KernelEvent) -> bool {
    move |event| matches!(event, KernelEvent::Present(object) if object.key() == *key)
}

fn absent(key: &Key) -> impl Fn(&KernelEvent) -> bool {
    move |event| matches!(event, KernelEvent::Absent(object) if object.key() == *key)
}

#[test]
fn a_scan_tells_links_and_what_is_on_them() {
    run(|ns| {
        ip("link add br0 type bridge");
        ip("link set a1 master br0");
        ip("link set a0 address 52:54:00:00:00:01 mtu 1400");
        let (_, events) = ns.monitor();
        let links: Vec<_> = events
            .iter()
            .filter_map(|e| match e {
                KernelEvent::Link(link) => Some(link.clone()),
                _ => None,
            })
            .collect();
        let by_name = |name: &str| {
            links
                .iter()
                .find(|l| l.name.as_str() == name)
                .cloned()
                .expect("link")
        };
        let a0 = by_name("a0");
        assert_eq!(
            (a0.index, a0.mac, a0.mtu),
            (ns.a0, Some([0x52, 0x54, 0, 0, 0, 1]), 1400)
        );
        assert_eq!(
            (a0.kind.as_deref(), a0.up, a0.carrier, a0.loopback),
            (Some("veth"), true, true, false)
        );
        let bridge = by_name("br0");
        assert_eq!((bridge.kind.as_deref(), bridge.up), (Some("bridge"), false));
        assert_eq!(by_name("a1").master, Some(bridge.index));
        assert!(by_name("lo").loopback);
        for (priority, table) in [(0, 255), (32766, 254)] {
            let key = Key::Rule(Family::Ipv4, priority, table, None);
            assert!(events.iter().any(present(&key)), "{key:?}");
        }
    });
}

#[test]
fn own_changes_are_not_told_and_others_are() {
    run(|ns| {
        let (mut watch, _) = ns.monitor();
        let ours = route("203.0.113.1", 0, &[(ns.a0, "")]);
        let key = Object::Route(ours.clone()).key();
        let neighbour = neighbour(ns.a0, "203.0.113.1", 1);
        let rule = rule(Family::Ipv4, 1000, 90, Some("a0"));
        let address = address(ns.a0, "169.254.0.1", 32);
        let objects = [
            Object::Address(address),
            Object::Rule(rule),
            Object::Route(ours),
            Object::Neighbour(neighbour),
        ];
        ns.done(&objects.clone().map(Change::Add));
        assert_eq!(watch.objects(), []);
        // Behind our back.
        ip("route del 203.0.113.1");
        assert_eq!(watch.objects(), [KernelEvent::Absent(objects[2].clone())]);
        ip("neigh del 203.0.113.1 dev a0");
        let events = watch.objects();
        assert!(events.iter().any(absent(&objects[3].key())), "{events:?}");
        ip("rule del pref 1000");
        assert_eq!(watch.objects(), [KernelEvent::Absent(objects[1].clone())]);
        ip("addr del 169.254.0.1/32 dev a0");
        assert_eq!(watch.objects(), [KernelEvent::Absent(objects[0].clone())]);
        // Taken over: the kernel tells only of the new one.
        ns.done(&[Change::Add(objects[2].clone())]);
        ip("route replace 203.0.113.1 dev a1 scope link proto 201");
        match watch.objects().as_slice() {
            [KernelEvent::Present(Object::Route(foreign))] => {
                assert_eq!(
                    (foreign.protocol, Object::Route(foreign.clone()).key()),
                    (201, key)
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A routing daemon beside us costs nothing: neither its routes nor the kernel's own are told.
#[test]
fn foreign_routes_are_told_only_when_they_matter() {
    run(|ns| {
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        ip("route add 198.51.100.0/24 via 192.0.2.9 proto bird");
        ip("route add default via 192.0.2.9 proto bird metric 32");
        ip("route add default via 192.0.2.8 proto dhcp metric 100");
        ip("-6 route add default via 2001:db8::9 proto zebra metric 20");
        let (mut watch, events) = ns.monitor();
        let routes: Vec<_> = events
            .iter()
            .filter_map(|e| match e {
                KernelEvent::Present(Object::Route(route)) => {
                    Some((route.prefix.to_string(), route.metric, route.protocol))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            routes,
            [
                ("0.0.0.0/0".to_owned(), 100, 16),
                ("0.0.0.0/0".to_owned(), 32, 12),
                ("::/0".to_owned(), 20, 11)
            ]
        );
        ip("route add 198.51.100.64/26 via 192.0.2.9 proto bird");
        ip("route del 198.51.100.64/26");
        // The kernel may tell the IPv6 address again, a little after it was added.
        let mut told = watch.objects();
        told.retain(|e| !matches!(e, KernelEvent::Present(Object::Address(_))));
        assert_eq!(told, []);
        ip("route add default via 192.0.2.7 proto bgp metric 5");
        let key = Key::Route(254, prefix("0.0.0.0/0"), 5);
        assert!(watch.objects().iter().any(present(&key)));
        ip("route del default metric 5");
        assert!(watch.objects().iter().any(absent(&key)));
    });
}

/// The facts that a link going down rests on: IPv4 routes go without a word, IPv6 routes and
/// permanent neighbours are told, and the link itself is told in any case.
#[test]
fn a_link_going_down_takes_routes_along() {
    run(|ns| {
        let objects = [
            Object::Route(route("203.0.113.1", 0, &[(ns.a0, "")])),
            Object::Route(route("2001:db8:1::1", 20, &[(ns.a0, "")])),
            Object::Neighbour(neighbour(ns.a0, "203.0.113.1", 1)),
        ];
        ns.done(&objects.clone().map(Change::Add));
        let (mut watch, _) = ns.monitor();
        ip("link set a0 down");
        let events = watch.until(
            |e| matches!(e, KernelEvent::Link(l) if l.index == ns.a0 && !l.up && !l.carrier),
        );
        assert_eq!(
            ip("route show 203.0.113.1"),
            "",
            "the kernel has dropped it"
        );
        assert!(
            !events.iter().any(absent(&objects[0].key())),
            "and says nothing: {events:?}"
        );
        assert!(events.iter().any(absent(&objects[1].key())), "{events:?}");
        assert!(events.iter().any(absent(&objects[2].key())), "{events:?}");
        assert_eq!(ns.ours(), []);
    });
}

/// Only the carrier is lost: everything stays.
#[test]
fn a_lost_carrier_leaves_routes() {
    run(|ns| {
        ns.done(&[add_route(&route("203.0.113.1", 0, &[(ns.a0, "")]))]);
        let (mut watch, _) = ns.monitor();
        ip("link set a1 down");
        watch
            .until(|e| matches!(e, KernelEvent::Link(l) if l.index == ns.a0 && l.up && !l.carrier));
        assert_eq!(ns.ours().len(), 1);
    });
}

#[test]
fn links_are_renamed_go_and_come_with_another_index() {
    run(|ns| {
        let (mut watch, _) = ns.monitor();
        ip("link set a1 name b1");
        assert!(watch.read().iter().any(
            |e| matches!(e, KernelEvent::Link(l) if l.index == ns.a1 && l.name.as_str() == "b1")
        ));
        ip("link del a0");
        watch.until(|e| *e == KernelEvent::LinkGone(ns.a0));
        ip("link add a0 type bridge");
        let again = index("a0");
        assert_ne!(again, ns.a0);
        let name = IfName::new("a0").unwrap();
        watch.until(|e| matches!(e, KernelEvent::Link(l) if l.index == again && l.name == name));
    });
}

/// A port that joins or leaves a bridge is told by messages that look like links' ends.
#[test]
fn leaving_a_bridge_is_not_the_end() {
    run(|ns| {
        ip("link add br0 type bridge");
        ip("link set a1 master br0");
        let (mut watch, _) = ns.monitor();
        ip("link set a1 nomaster");
        let events = watch
            .until(|e| matches!(e, KernelEvent::Link(l) if l.index == ns.a1 && l.master.is_none()));
        assert!(
            !events.iter().any(|e| matches!(e, KernelEvent::LinkGone(_))),
            "{events:?}"
        );
    });
}

#[test]
fn neighbours_are_told_when_they_last() {
    run(|ns| {
        let (mut watch, _) = ns.monitor();
        ip("neigh add 192.0.2.50 lladdr 52:54:00:00:00:01 dev a0 nud stale");
        ip("neigh del 192.0.2.50 dev a0");
        assert_eq!(watch.objects(), []);
        ip("neigh add fe80::9 lladdr 52:54:00:00:00:02 dev a0 nud stale router");
        let key = Key::Neighbour(ns.a0, "fe80::9".parse().unwrap());
        let events = watch.objects();
        assert!(
            matches!(events.as_slice(), [KernelEvent::Present(Object::Neighbour(n))] if n.router && n.mac.is_some()),
            "{events:?}"
        );
        let (_, scanned) = ns.monitor();
        assert!(scanned.iter().any(present(&key)));
        ip("neigh del fe80::9 dev a0");
        assert!(watch.objects().iter().any(absent(&key)));
        ip("neigh add 192.0.2.51 lladdr 52:54:00:00:00:03 dev a0 nud permanent");
        ip("neigh change 192.0.2.51 lladdr 52:54:00:00:00:03 dev a0 nud stale");
        let key = Key::Neighbour(ns.a0, "192.0.2.51".parse().unwrap());
        let events = watch.objects();
        assert!(
            present(&key)(&events[0]) && absent(&key)(&events[1]),
            "{events:?}"
        );
    });
}

#[test]
fn sysctls_follow_their_interface() {
    run(|ns| {
        let (mut watch, _) = ns.monitor();
        let sysctl = |path: &str, value: &str| {
            Object::Sysctl(Sysctl {
                path: path.into(),
                value: value.into(),
            })
        };
        let (there, later) = ("ipv4/conf/a0/forwarding", "ipv6/conf/late0/forwarding");
        let mut events = Vec::new();
        watch.monitor.watch_sysctl(there, &mut events);
        watch.monitor.watch_sysctl(later, &mut events);
        assert_eq!(events, [KernelEvent::Present(sysctl(there, "0"))]);
        tapway_sys::sysctl::write("ipv4/ip_forward", "1").unwrap();
        assert_eq!(watch.objects(), [KernelEvent::Present(sysctl(there, "1"))]);
        tapway_sys::sysctl::write("ipv4/conf/a0/forwarding", "0").unwrap();
        assert_eq!(watch.objects(), [KernelEvent::Present(sysctl(there, "0"))]);
        ip("link add late0 type bridge");
        let events = watch.objects();
        assert!(
            events.contains(&KernelEvent::Present(sysctl(later, "0"))),
            "{events:?}"
        );
        ip("link del late0");
        let events = watch.until(absent(&Key::Sysctl(later.into())));
        assert!(
            events.contains(&KernelEvent::Absent(sysctl(later, "0"))),
            "{events:?}"
        );
        // A scan tells them again.
        watch.monitor.request_scan();
        watch.now = watch.now + Duration::from_secs(1);
        assert!(
            watch
                .read()
                .contains(&KernelEvent::Present(sysctl(there, "0")))
        );
        let _ = ns;
    });
}

/// More than the queue holds: the loss is told, a scan follows, and not more than one a second.
#[test]
fn loss_is_told_and_followed_by_a_scan() {
    run(|ns| {
        let config = MonitorConfig {
            receive_buffer: 4096,
            ..MonitorConfig::new(OURS, ns.writer.port())
        };
        let monitor = Monitor::open(config).unwrap();
        assert!(monitor.receive_buffer().unwrap() <= 8192);
        let mut watch = Watch {
            monitor,
            now: Instant::from_nanos(1),
        };
        watch.read();
        for third in 0..40 {
            ip(&format!("addr add 10.0.{third}.1/32 dev a0"));
        }
        let mut events = Vec::new();
        let status = watch.monitor.read(watch.now, 256, &mut events).unwrap();
        assert!(events.contains(&KernelEvent::Overrun), "{events:?}");
        assert!(
            !events.contains(&KernelEvent::ScanBegin),
            "the last scan began in this very second: {events:?}"
        );
        assert_eq!(
            (status.more, status.timeout),
            (false, Some(Instant::from_nanos(1_000_000_001)))
        );
        watch.now = status.timeout.unwrap();
        let events = watch.read();
        assert_eq!(
            (events.first(), events.last()),
            (Some(&KernelEvent::ScanBegin), Some(&KernelEvent::ScanEnd))
        );
        for third in 0..40 {
            let key = Key::Address(ns.a0, format!("10.0.{third}.1").parse().unwrap(), 32);
            assert!(events.iter().any(present(&key)), "{key:?}");
        }
    });
}

/// What changes in the middle of a scan is right at its end, whoever changed it.
#[test]
fn a_scan_in_slices_ends_with_the_truth() {
    run(|ns| {
        let routes: Vec<_> = (0..6000u32)
            .map(|i| {
                route(
                    &std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).to_string(),
                    0,
                    &[(ns.a0, "")],
                )
            })
            .collect();
        ns.done(&routes.iter().map(add_route).collect::<Vec<_>>());
        let mut monitor = Monitor::open(MonitorConfig::new(OURS, ns.writer.port())).unwrap();
        let mut poller = tapway_sys::poll::Poller::new().unwrap();
        poller
            .add(&monitor, 0, tapway_sys::poll::Interest::READ)
            .unwrap();
        let mut there = std::collections::BTreeSet::new();
        let (mut events, mut turn, mut slices) = (Vec::new(), 0usize, 0);
        loop {
            let more = monitor
                .read(Instant::from_nanos(1), 100, &mut events)
                .unwrap()
                .more;
            slices += 1;
            let ended = events.contains(&KernelEvent::ScanEnd);
            for event in events.drain(..) {
                match event {
                    KernelEvent::ScanBegin => there.clear(),
                    KernelEvent::Present(Object::Route(route)) => {
                        there.insert(route.prefix);
                    }
                    KernelEvent::Absent(Object::Route(route)) => {
                        there.remove(&route.prefix);
                    }
                    _ => {}
                }
            }
            if ended {
                break;
            }
            if !more {
                poller
                    .wait(Some(Duration::from_secs(10)), &mut Vec::new())
                    .unwrap();
            }
            // One of each behind and before the scan's place: ours removed, removed by another, added.
            turn += 1;
            for at in [3 * turn, 4000 + 3 * turn] {
                ns.done(&[Change::Remove(Object::Route(routes[at].clone()))]);
                ip(&format!("route del {}", routes[at + 1].prefix));
            }
            ns.done(&[add_route(&route(
                &format!("172.16.{turn}.1"),
                0,
                &[(ns.a0, "")],
            ))]);
        }
        assert!(slices > 5, "{slices}");
        monitor
            .read(Instant::from_nanos(1), 10_000, &mut events)
            .unwrap();
        for event in events {
            if let KernelEvent::Absent(Object::Route(route)) = event {
                there.remove(&route.prefix);
            }
        }
        let truth: std::collections::BTreeSet<_> = ns
            .ours()
            .into_iter()
            .filter_map(|o| match o {
                Object::Route(route) => Some(route.prefix),
                _ => None,
            })
            .collect();
        assert_eq!(there, truth);
    });
}

/// The kernel tells of the end of one next hop as if it were the end of the route.
#[test]
fn half_of_a_multipath_route_is_cleared_up_by_a_scan() {
    run(|ns| {
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        let both = route(
            "2001:db8:1::/64",
            20,
            &[(ns.a0, "2001:db8::8"), (ns.a0, "2001:db8::9")],
        );
        let (mut watch, _) = ns.monitor();
        ns.done(&[add_route(&both)]);
        watch.read();
        ip("-6 route del 2001:db8:1::/64 via 2001:db8::9 dev a0 metric 20");
        watch.now = watch.now + Duration::from_secs(1);
        let events = watch.read();
        let half = Object::Route(route("2001:db8:1::/64", 20, &[(ns.a0, "2001:db8::8")]));
        let place = |wanted: &KernelEvent| events.iter().rposition(|e| e == wanted);
        assert!(
            place(&KernelEvent::Present(half)) > place(&KernelEvent::ScanBegin),
            "{events:#?}"
        );
    });
}
