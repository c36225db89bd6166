//! What other programs do to routes, and the route that the kernel takes, against the kernel.

mod namespace;

use namespace::*;
use tapway_fib::{Change, Object, RouteNews};
use tapway_netlink::RouteWatch;

/// What is told, without the kernel's own routes of addresses: `+prefix metric` or `-prefix metric`.
fn told(watch: &mut RouteWatch) -> Vec<String> {
    let mut news = Vec::new();
    while watch.read(16, &mut news).expect("a working socket") {}
    let text = |news: &RouteNews| match news {
        RouteNews::Present(r) if r.protocol != 2 => Some(format!("+{} {}", r.prefix, r.metric)),
        RouteNews::Absent(r) if r.protocol != 2 => Some(format!("-{} {}", r.prefix, r.metric)),
        RouteNews::Present(_) | RouteNews::Absent(_) => None,
        RouteNews::Changed => Some("changed".to_owned()),
        RouteNews::Lost => Some("lost".to_owned()),
    };
    news.iter().filter_map(text).collect()
}

#[test]
fn others_routes_are_told_and_ours_are_not() {
    run(|ns| {
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        let mut watch = RouteWatch::open(OURS).expect("a socket");
        ns.done(&[Change::Add(Object::Route(route(
            "203.0.113.1",
            0,
            &[(ns.a0, "")],
        )))]);
        ip("route add default via 192.0.2.9");
        assert_eq!(told(&mut watch), [""; 0]);
        ip("route add 198.51.100.0/24 via 192.0.2.9 metric 7");
        ip("-6 route add 2001:db8:9::/48 via 2001:db8::9 metric 8");
        ip("route replace 198.51.100.0/24 via 192.0.2.8 metric 7");
        ip("route del 198.51.100.0/24 metric 7");
        ip("route del default");
        assert_eq!(
            told(&mut watch),
            [
                "+198.51.100.0/24 7",
                "+2001:db8:9::/48 8",
                "+198.51.100.0/24 7",
                "-198.51.100.0/24 7",
            ]
        );
        ip("nexthop add id 5 via 192.0.2.9 dev a0");
        ip("nexthop del id 5");
        assert_eq!(told(&mut watch), ["changed"]);
    });
}

#[test]
fn too_much_is_told_as_lost() {
    run(|_| {
        ip("addr add 192.0.2.1/24 dev a0");
        let mut watch = RouteWatch::open(OURS).expect("a socket");
        let mut batch = String::new();
        for n in 0..20_000 {
            let (a, b) = (n / 250, n % 250);
            batch += &format!("route add 10.{a}.{b}.0/24 via 192.0.2.9\n");
        }
        ip_batch(&batch);
        let all = told(&mut watch);
        assert!(all.iter().any(|t| t == "lost"), "{} told", all.len());
        assert!(all.len() < 20_000, "{} told", all.len());
        ip("route del 10.1.1.0/24");
        assert_eq!(told(&mut watch), ["-10.1.1.0/24 0"]);
    });
}

#[test]
fn the_route_to_an_address_has_all_its_ways() {
    run(|ns| {
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        ip("route add 10.9.0.0/16 metric 30 nexthop via 192.0.2.8 nexthop via 192.0.2.9");
        ip("-6 route add 2001:db8:9::/48 metric 40 via 2001:db8::9");
        ip("nexthop add id 5 via 192.0.2.7 dev a0");
        ip("route add 10.8.0.0/16 nhid 5 metric 50");
        ip("route add unreachable 10.7.0.0/16");
        ip("route add blackhole 10.6.0.0/16");
        let mut find = |addr: &str| {
            let found = ns.writer.lookup(addr.parse().expect("an address"), None);
            found.map(|route| route.map(|r| (r.prefix.to_string(), r.metric, r.next_hops)))
        };
        let hops = |to: &str, hops: &[(u32, &str)]| route(to, 0, hops).next_hops;
        assert_eq!(
            find("10.9.9.9").expect("a route"),
            Some((
                "10.9.0.0/16".to_owned(),
                30,
                hops("10.9.0.0/16", &[(ns.a0, "192.0.2.8"), (ns.a0, "192.0.2.9")])
            ))
        );
        assert_eq!(
            find("2001:db8:9::9").expect("a route"),
            Some((
                "2001:db8:9::/48".to_owned(),
                40,
                hops("2001:db8:9::/48", &[(ns.a0, "2001:db8::9")])
            ))
        );
        assert_eq!(
            find("10.8.8.8").expect("a route"),
            Some((
                "10.8.0.0/16".to_owned(),
                50,
                hops("10.8.0.0/16", &[(ns.a0, "192.0.2.7")])
            ))
        );
        // How the kernel says that it sends nothing there: the node goes by these numbers.
        for (addr, errno) in [("10.7.0.1", 113), ("10.6.0.1", 22), ("10.5.0.1", 101)] {
            let error = find(addr).expect_err("nothing leads there");
            assert_eq!(error.raw_os_error(), Some(errno), "{addr}");
        }
        assert_eq!(find("192.0.2.1").expect("ourselves"), None);
    });
}
