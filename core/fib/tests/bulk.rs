//! Routes of which there may be very many: what becomes of them at rest, and what wakes them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use objects::*;
use tapway_fib::*;

const NOTHING: [String; 0] = [];

/// A received route over `tap1`, or over both links.
fn many(to: &str, links: &[IfIndex]) -> Route {
    let via = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let hops = links.iter().zip(via);
    let Object::Route(mut route) = route(
        to,
        20,
        hops.map(|(index, via)| hop(*index, Some(via))).collect(),
    ) else {
        unreachable!()
    };
    for hop in &mut route.next_hops {
        hop.onlink = true;
    }
    route
}

fn key(route: &Route) -> Key {
    Object::Route(route.clone()).key()
}

/// A host with these in place, and at rest.
fn resting(routes: &[Route]) -> Host {
    let mut host = Host::new();
    for route in routes {
        host.fib.set_bulk(route.clone());
    }
    assert_eq!(host.run().len(), routes.len());
    assert_eq!(host.notices(), [], "nobody waits for them");
    assert_eq!(host.fib.bulk_at_rest().0, routes.len());
    host
}

#[test]
fn a_route_at_rest_is_seen_as_any_other() {
    let routes = [
        many("10.1.0.0/16", &[1]),
        many("10.2.0.0/16", &[1, 2]),
        many("2001:db8::/32", &[]),
    ];
    let host = resting(&routes);
    for route in &routes {
        let (object, key) = (Object::Route(route.clone()), key(route));
        assert!(host.fib.in_sync(&key) && host.fib.is_bulk(&key));
        assert_eq!(host.fib.status(&key), Status::InSync);
        assert_eq!(host.fib.wanted(&key).as_deref(), Some(&object));
        assert_eq!(host.fib.held(&key).as_deref(), Some(&object));
        let keys: Vec<Key> = host.fib.bulk_keys_to(route.prefix).collect();
        assert_eq!(keys, [key]);
        assert!(host.fib.wants().any(|o| *o == object) && host.fib.ours().any(|o| *o == object));
    }
    assert_eq!(host.fib.states().count(), 0);
    assert!(host.fib.plan().is_empty() && !host.fib.differs());
}

#[test]
fn it_changes_and_goes() {
    let mut host = resting(&[many("10.1.0.0/16", &[1]), many("10.2.0.0/16", &[1])]);
    host.fib.set_bulk(many("10.1.0.0/16", &[1]));
    assert_eq!(host.run(), NOTHING, "it is there");
    host.fib.set_bulk(many("10.1.0.0/16", &[2]));
    assert_eq!(host.run().len(), 1);
    assert_eq!(host.fib.bulk_at_rest().0, 2);
    let gone = many("10.2.0.0/16", &[1]);
    host.fib.unwant(&key(&gone));
    assert_eq!(
        host.run(),
        ["ip route del 10.2.0.0/16 via 192.0.2.1 dev tap1 proto 112 metric 20"]
    );
    assert_eq!(host.fib.bulk_at_rest().0, 1);
    assert_eq!(host.fib.status(&key(&gone)), Status::NotWanted);
    assert_eq!(host.fib.held(&key(&gone)), None);

    // Old news of it does no harm; news from later on is of a twin, and it goes again.
    for millis in [100, 10_000] {
        host.later(millis);
        let there = KernelEvent::Present(Object::Route(gone.clone()));
        host.fib.handle_event(host.now, there);
        assert_eq!(host.run().len(), 1, "{millis} ms later");
        assert_eq!(host.fib.held(&key(&gone)), None);
    }
}

#[test]
fn what_somebody_removes_is_put_back_and_told_of() {
    let route = many("10.1.0.0/16", &[1]);
    let mut host = resting(std::slice::from_ref(&route));
    host.later(60_000);
    host.kernel.delete(&key(&route));
    assert_eq!(host.run().len(), 1);
    assert_eq!(host.notices(), [Notice::Repaired(key(&route))]);
    // It rests again when it is over whether somebody keeps at it.
    assert_eq!(host.fib.bulk_at_rest().0, 0);
    host.later(11_000);
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 1);
}

#[test]
fn somebody_elses_route_in_its_place_is_left_alone() {
    let route = many("10.1.0.0/16", &[1]);
    let mut host = resting(std::slice::from_ref(&route));
    host.later(60_000);
    host.kernel.delete(&key(&route));
    let theirs = foreign(Object::Route(route.clone()));
    host.kernel.put(&theirs).unwrap();
    host.run();
    assert_eq!(host.fib.status(&key(&route)), Status::Foreign);
    assert_eq!(host.kernel.object(&key(&route)), Some(&theirs));
    host.kernel.delete(&key(&route));
    host.run();
    host.later(11_000);
    host.run();
    assert!(host.fib.in_sync(&key(&route)));
    assert_eq!(host.fib.bulk_at_rest().0, 1);
}

#[test]
fn those_over_a_link_that_goes_down_are_gone_and_come_again() {
    let over_both = many("10.2.0.0/16", &[1, 2]);
    let mut host = resting(&[
        many("10.1.0.0/16", &[1]),
        over_both.clone(),
        many("10.3.0.0/16", &[2]),
    ]);
    host.later(60_000);
    host.kernel.set_up(1, false);
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 2);
    assert!(host.fib.in_sync(&key(&over_both)), "one way is left");
    // What waits for the link rests meanwhile.
    assert_eq!(
        (host.fib.bulk_at_rest(), host.fib.states().count()),
        ((2, 3), 0)
    );
    let waits = many("10.1.0.0/16", &[1]);
    assert_eq!(host.fib.status(&key(&waits)), Status::Pending);
    assert_eq!(host.fib.plan(), [Change::Add(Object::Route(waits))]);
    host.kernel.set_up(1, true);
    assert_eq!(host.run().len(), 1);
    assert_eq!(host.fib.bulk_at_rest().0, 3);

    // When a link is deleted, IPv4 lets go of all routes over it.
    host.later(60_000);
    host.kernel.delete_link(2);
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 1);
    for to in ["10.2.0.0/16", "10.3.0.0/16"] {
        let route = many(to, &[2]);
        assert!(!host.fib.in_sync(&key(&route)) && host.fib.held(&key(&route)).is_none());
    }
}

#[test]
fn a_preferred_source_that_goes_takes_them_along() {
    let mut host = Host::new();
    host.kernel
        .put(&foreign(address(3, "10.0.0.1/24")))
        .unwrap();
    host.hear();
    let mut route = many("10.1.0.0/16", &[1]);
    route.prefsrc = Some(ip("10.0.0.1"));
    host.fib.set_bulk(route.clone());
    host.fib.set_bulk(many("10.2.0.0/16", &[1]));
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 2);
    host.later(60_000);
    host.kernel.delete(&address(3, "10.0.0.1/24").key());
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 1);
    assert!(!host.fib.in_sync(&key(&route)));
}

#[test]
fn a_scan_that_does_not_see_it_is_believed_by_asking() {
    let routes = [many("10.1.0.0/16", &[1]), many("10.2.0.0/16", &[1])];
    let mut host = resting(&routes);
    host.later(60_000);
    host.kernel.delete(&key(&routes[0]));
    host.kernel.lose_events();
    host.scan();
    assert_eq!(host.fib.bulk_at_rest().0, 1, "the other one was seen");
    assert_eq!(host.run().len(), 1);
    assert!(host.has(&Object::Route(routes[0].clone())));
}

#[test]
fn what_an_earlier_run_left_rests_until_it_is_wanted_or_goes() {
    let routes = [
        many("10.1.0.0/16", &[1]),
        many("10.2.0.0/16", &[1]),
        many("10.3.0.0/16", &[1]),
    ];
    let mut host = Host::unscanned();
    for route in &routes {
        host.kernel.put(&Object::Route(route.clone())).unwrap();
    }
    host.scan();
    assert_eq!(
        host.run(),
        NOTHING,
        "nothing goes before the start-up grace is over"
    );
    let left: Vec<Key> = host.fib.leftovers().map(|object| object.key()).collect();
    assert_eq!(left, routes.each_ref().map(key));
    assert_eq!((host.fib.plan().len(), host.fib.bulk_at_rest().0), (3, 0));
    assert_eq!(host.fib.status(&key(&routes[0])), Status::NotWanted);

    // As it is, and as it is not.
    host.fib.set_bulk(routes[0].clone());
    assert_eq!(host.fib.bulk_at_rest().0, 1);
    host.fib.set_bulk(many("10.2.0.0/16", &[2]));
    assert_eq!(host.run().len(), 1);
    assert_eq!((host.fib.plan().len(), host.fib.bulk_at_rest().0), (1, 2));

    host.fib.allow_prune();
    assert_eq!(
        host.run(),
        ["ip route del 10.3.0.0/16 via 192.0.2.1 dev tap1 proto 112 metric 20"]
    );
    assert!(host.fib.leftovers().next().is_none() && !host.fib.differs());
}

#[test]
fn in_the_end_all_of_them_go() {
    let routes: Vec<Route> = (0..200)
        .map(|n| many(&format!("10.{n}.0.0/16"), &[1]))
        .collect();
    let mut host = Host::new();
    for route in &routes {
        host.fib.set_bulk(route.clone());
    }
    host.run();
    assert_eq!(host.fib.bulk_at_rest().0, 200);
    host.fib.release();
    assert_eq!(host.fib.plan().len(), 200);
    assert!(host.fib.differs());
    assert_eq!(host.run().len(), 200);
    assert!(!host.fib.differs() && host.kernel.objects().next().is_none());
}
