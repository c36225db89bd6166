//! Links that come, go, and change: what they take along.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use objects::*;
use tapway_fib::*;

const NOTHING: [&str; 0] = [];

#[test]
fn a_link_that_goes_down_takes_routes_and_neighbours_and_gets_them_back() {
    let mut host = Host::new();
    let all = [
        address(1, "169.254.0.1/32"),
        direct("203.0.113.1/32", 1),
        direct("2001:db8:1::/64", 1),
        neighbour(1, "203.0.113.1", 1),
    ];
    let elsewhere = direct("203.0.113.2/32", 2);
    for object in all.iter().chain([&elsewhere]) {
        host.fib.set_want(object.clone());
    }
    host.run();
    host.notices();
    host.kernel.set_up(1, false);
    assert_eq!(
        host.run(),
        NOTHING,
        "nothing is tried on a link that is down"
    );
    let notices = host.notices();
    assert_eq!(notices[0], Notice::Link(LinkChange::Down(1)));
    for object in &all[1..] {
        assert!(
            notices.contains(&Notice::OutOfSync(object.key())),
            "{object:?}"
        );
        assert_eq!(host.fib.status(&object.key()), Status::Pending);
    }
    assert!(host.fib.in_sync(&all[0].key()), "IPv4 addresses stay");
    assert!(host.fib.in_sync(&elsewhere.key()));
    host.kernel.set_up(1, true);
    assert_eq!(host.run().len(), 3);
    let notices = host.notices();
    assert!(
        all.iter()
            .all(|object| host.fib.in_sync(&object.key()) && host.has(object))
    );
    assert!(
        !notices.iter().any(|n| matches!(n, Notice::Repaired(_))),
        "nobody is to blame"
    );
}

#[test]
fn carrier_alone_keeps_everything() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    host.kernel.set_carrier(1, false);
    assert_eq!(host.run(), NOTHING);
    assert_eq!(
        host.notices(),
        [Notice::Link(LinkChange::Carrier(1, false))]
    );
    assert!(host.fib.in_sync(&want.key()));
}

#[test]
fn a_route_of_two_ways_stays_while_one_is_up() {
    let mut host = Host::new();
    let want = route(
        "::/0",
        20,
        vec![hop(1, Some("fe80::1")), hop(2, Some("fe80::2"))],
    );
    host.fib.set_want(want.clone());
    host.run();
    host.kernel.set_up(1, false);
    assert_eq!(host.run(), NOTHING);
    assert!(host.fib.in_sync(&want.key()) && host.has(&want));
    host.kernel.set_up(2, false);
    host.run();
    assert!(!host.fib.in_sync(&want.key()) && !host.has(&want));
    host.kernel.set_up(1, true);
    assert_eq!(host.run(), NOTHING, "the kernel would refuse it");
    host.kernel.set_up(2, true);
    assert_eq!(host.run().len(), 1);
    assert!(host.has(&want));
}

#[test]
fn a_deleted_link_leaves_wants_pending() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    let gateway = address(1, "169.254.0.1/32");
    host.fib.set_want(want.clone());
    host.fib.set_want(gateway.clone());
    host.run();
    host.notices();
    host.kernel.delete_link(1);
    assert_eq!(host.run(), NOTHING);
    let name = "tap1".parse().unwrap();
    assert!(
        host.notices()
            .contains(&Notice::Link(LinkChange::Gone { index: 1, name }))
    );
    assert_eq!(host.fib.status(&want.key()), Status::Pending);
    assert_eq!(host.fib.status(&gateway.key()), Status::Pending);
    assert_eq!(host.fib.addresses(1).count(), 0);
    host.fib.unwant(&want.key());
    host.fib.unwant(&gateway.key());
    assert_eq!(host.run(), NOTHING, "there is nothing to remove");
    assert_eq!(host.fib.status(&want.key()), Status::NotWanted);
}

#[test]
fn wants_may_come_before_their_link() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 4);
    host.fib.set_want(want.clone());
    assert_eq!(host.run(), NOTHING);
    let index = host.kernel.add_link("tap4".parse().unwrap());
    assert_eq!(index, 4);
    assert_eq!(host.run(), NOTHING);
    host.kernel.set_up(4, true);
    assert_eq!(
        host.run(),
        ["ip route add 203.0.113.1/32 dev tap4 proto 112 metric 10"]
    );
}

#[test]
fn names_follow_renames_and_swaps() {
    let mut host = Host::new();
    host.kernel.rename(1, "swap".parse().unwrap());
    host.kernel.rename(2, "tap1".parse().unwrap());
    host.kernel.rename(1, "tap2".parse().unwrap());
    host.hear();
    assert_eq!(
        host.fib.link_named(&"tap1".parse().unwrap()).unwrap().index,
        2
    );
    assert_eq!(
        host.fib.link_named(&"tap2".parse().unwrap()).unwrap().index,
        1
    );
    assert_eq!(host.fib.link_named(&"swap".parse().unwrap()), None);
    let (from, to) = ("tap2".parse().unwrap(), "tap1".parse().unwrap());
    assert!(
        host.notices()
            .contains(&Notice::Link(LinkChange::Renamed { index: 2, from, to }))
    );
}

#[test]
fn the_last_ipv4_address_takes_routes_along_untold() {
    let mut host = Host::new();
    let all = [
        address(1, "169.254.0.1/32"),
        direct("203.0.113.1/32", 1),
        direct("2001:db8::/64", 1),
    ];
    for object in &all {
        host.fib.set_want(object.clone());
    }
    host.run();
    host.notices();
    host.kernel.delete(&all[0].key());
    assert!(!host.has(&all[1]));
    assert_eq!(
        host.run(),
        [
            "ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10",
            "ip addr add 169.254.0.1/32 dev tap1 proto 112"
        ]
    );
    assert!(all.iter().all(|object| host.has(object)));
}

#[test]
fn a_preferred_source_takes_routes_along_untold() {
    let mut host = Host::new();
    host.fib.set_want(address(2, "192.0.2.11/32"));
    host.fib.set_want(address(2, "2001:db8::b/128"));
    let from = |object, addr: &str| match object {
        Object::Route(r) => Object::Route(Route {
            prefsrc: Some(ip(addr)),
            ..r
        }),
        other => other,
    };
    let v4 = from(direct("203.0.113.1/32", 1), "192.0.2.11");
    let v6 = from(direct("2001:db8:1::/64", 1), "2001:db8::b");
    host.fib.set_want(v4.clone());
    host.fib.set_want(v6.clone());
    host.run();
    host.kernel.delete(&address(2, "192.0.2.11/32").key());
    host.kernel.delete(&address(2, "2001:db8::b/128").key());
    assert_eq!(host.run().len(), 4);
    assert_eq!(host.kernel.object(&v4.key()), Some(&v4));
    assert_eq!(host.kernel.object(&v6.key()), Some(&v6));
}

#[test]
fn a_route_does_not_wait_where_it_was_for_the_link_where_it_belongs() {
    let mut host = Host::new();
    for to in ["203.0.113.1/32", "2001:db8::/64"] {
        host.fib.set_want(direct(to, 1));
    }
    host.run();
    host.kernel.set_up(2, false);
    host.run();
    for to in ["203.0.113.1/32", "2001:db8::/64"] {
        host.fib.set_want(direct(to, 2));
    }
    assert_eq!(
        host.run(),
        [
            "ip route del 203.0.113.1/32 dev tap1 proto 112 metric 10",
            "ip -6 route del 2001:db8::/64 dev tap1 proto 112 metric 10",
        ]
    );
    assert!(!host.has(&direct("203.0.113.1/32", 1)));
    host.kernel.set_up(2, true);
    host.run();
    assert!(host.has(&direct("203.0.113.1/32", 2)));
    // One that loses only some of its ways keeps the others.
    let both = |to| route(to, 10, vec![hop(1, None), hop(2, None)]);
    host.kernel.set_up(2, false);
    host.fib.set_want(direct("203.0.113.1/32", 1));
    host.run();
    host.fib.set_want(both("203.0.113.1/32"));
    assert_eq!(host.run(), NOTHING);
    assert!(host.has(&direct("203.0.113.1/32", 1)));
}

#[test]
fn an_old_message_of_a_link_does_not_take_the_name_from_the_new_one() {
    let mut host = Host::new();
    let name = "tap1".parse().unwrap();
    let old = host.kernel.link(1).unwrap().clone();
    host.kernel.delete_link(1);
    let new = host.kernel.add_link(old.name.clone());
    while host.kernel.poll_event().is_some() {}
    host.scan();
    assert_eq!(host.fib.link_named(&name).unwrap().index, new);
    for event in [KernelEvent::Link(old), KernelEvent::LinkGone(1)] {
        host.fib.handle_event(host.now, event);
        assert_eq!(host.fib.link_named(&name).unwrap().index, new);
    }
}
