//! All routes of other programs around some addresses, against the kernel.

mod namespace;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use namespace::*;
use tapway_fib::{Change, Object, Route, RouteKind, RouteSearch};
use tapway_netlink::RouteSearcher;
use tapway_sys::poll::{Interest, Poller};

/// Waits for what a search finds.
fn find(searcher: &mut RouteSearcher, tables: &[u32], addrs: &[&str]) -> Result<Vec<Route>, i32> {
    let addrs = addrs.iter().map(|a| a.parse().expect("an address"));
    searcher.begin(RouteSearch {
        tables: BTreeSet::from_iter(tables.iter().copied()),
        addrs: addrs.collect(),
    });
    assert!(searcher.is_busy());
    let mut poller = Poller::new().expect("a poller");
    poller
        .add(&*searcher, 1, Interest::READ)
        .expect("a descriptor");
    let mut ready = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = searcher.take() {
            assert!(!searcher.is_busy());
            return found.map(|list| list.all().to_vec());
        }
        assert!(Instant::now() < end, "nothing is found");
        let wait = Some(Duration::from_secs(1));
        poller.wait(wait, &mut ready).expect("a wait");
    }
}

fn shown(found: &[Route]) -> BTreeSet<String> {
    let text = |r: &Route| format!("{} table {} metric {}", r.prefix, r.table, r.metric);
    found.iter().map(text).collect()
}

#[test]
fn what_lies_behind_a_route_of_ours_is_found() {
    run(|ns| {
        ip("addr add 192.0.2.1/24 dev a0");
        ip("addr add 2001:db8::1/64 dev a0 nodad");
        ip("route add default via 192.0.2.9");
        ip("route add 10.0.0.0/8 via 192.0.2.8 metric 7");
        ip("route add 10.9.0.0/16 via 192.0.2.9 metric 30");
        ip("route add unreachable 10.9.9.0/24 metric 40");
        ip("route add 10.9.0.0/16 via 192.0.2.7 table 100");
        ip("route add 10.8.0.0/16 via 192.0.2.9");
        ip("-6 route add 2001:db8:9::/48 via 2001:db8::9 metric 8");
        ip("-6 route add 2001:db8:8::/48 via 2001:db8::9 metric 8");
        ns.done(&[
            Change::Add(Object::Route(route(
                "10.9.9.0/24",
                20,
                &[(ns.a0, "192.0.2.9")],
            ))),
            Change::Add(Object::Route(route(
                "2001:db8:9:9::/64",
                20,
                &[(ns.a0, "fe80::9")],
            ))),
        ]);
        // The kernel, asked for it, names ours.
        let named = ns
            .writer
            .lookup("10.9.9.9".parse().expect("an address"), None);
        let named = named.expect("an answer").expect("a route");
        assert_eq!(
            (named.prefix, named.protocol),
            (prefix("10.9.9.0/24"), OURS)
        );
        let mut searcher = RouteSearcher::open(OURS).expect("a socket and a thread");
        let found = find(&mut searcher, &[254], &["10.9.9.9"]).expect("a list");
        let main = [
            "0.0.0.0/0 table 254 metric 0",
            "10.0.0.0/8 table 254 metric 7",
            "10.9.0.0/16 table 254 metric 30",
            "10.9.9.0/24 table 254 metric 40",
        ];
        assert_eq!(shown(&found), main.map(String::from).into());
        let ways = |to: &str| {
            let mut all = found.iter().filter(|r| r.prefix == prefix(to));
            all.next().map(|r| (r.kind, r.next_hops.clone()))
        };
        let by = route("10.9.0.0/16", 30, &[(ns.a0, "192.0.2.9")]).next_hops;
        assert_eq!(ways("10.9.0.0/16"), Some((RouteKind::Unicast, by)));
        assert_eq!(ways("10.9.9.0/24"), Some((RouteKind::Unreachable, vec![])));
        // Of several tables, one of which there is not, and of both families.
        let both = ["10.9.9.9", "2001:db8:9:9::9"];
        let found = find(&mut searcher, &[100, 101], &both[..1]).expect("a list");
        assert_eq!(
            shown(&found),
            ["10.9.0.0/16 table 100 metric 0".to_owned()].into()
        );
        let found = find(&mut searcher, &[100, 254], &both).expect("a list");
        let rest = [
            "10.9.0.0/16 table 100 metric 0",
            "2001:db8:9::/48 table 254 metric 8",
        ];
        let all = main.into_iter().chain(rest).map(String::from);
        assert_eq!(shown(&found), all.collect());
    });
}

/// What it costs where there are many: `TAPWAY_ROUTES=1000000 cargo test --release -p tapway-netlink --test route_search -- --nocapture`.
#[test]
fn one_is_found_among_many() {
    run(|_| {
        let many = std::env::var("TAPWAY_ROUTES").ok();
        let many: u32 = many.map_or(20_000, |n| n.parse().expect("a number"));
        ip("addr add 192.0.2.1/24 dev a0");
        let mut batch = String::new();
        for n in 0..many {
            let to = std::net::Ipv4Addr::from(0x1400_0000 + n * 256);
            batch += &format!("route add {to}/24 via 192.0.2.9\n");
        }
        batch += "route add 10.9.0.0/16 via 192.0.2.9\n";
        ip_batch(&batch);
        let mut searcher = RouteSearcher::open(OURS).expect("a socket and a thread");
        let begun = Instant::now();
        let found = find(&mut searcher, &[254], &["10.9.9.9"]).expect("a list");
        eprintln!("searched {many} routes in {:?}", begun.elapsed());
        assert_eq!(
            shown(&found),
            ["10.9.0.0/16 table 254 metric 0".to_owned()].into()
        );
    });
}
