//! Scans: what they adopt, what they sweep, and what they do not prove.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use objects::*;
use tapway_fib::*;

const NOTHING: [&str; 0] = [];

#[test]
fn nothing_is_changed_before_the_first_scan_is_over() {
    let mut host = Host::unscanned();
    assert_eq!(host.notices(), [Notice::ScanNeeded]);
    let want = rule(1000, 90);
    host.fib.set_want(want.clone());
    assert_eq!(host.run(), NOTHING);
    assert_eq!(host.fib.status(&want.key()), Status::Pending);
    let lines = host.kernel.scan();
    let (end, lines) = lines.split_last().unwrap();
    for line in lines {
        host.fib.handle_event(host.now, line.clone());
        assert!(host.fib.poll_batch(host.now, 64).is_none());
        assert!(!host.fib.ready());
    }
    host.fib.handle_event(host.now, end.clone());
    assert_eq!(
        host.run(),
        ["ip rule add from all lookup 90 pref 1000 protocol 112"]
    );
    assert!(host.fib.in_sync(&want.key()));
    assert!(host.notices().contains(&Notice::InSync(want.key())));
}

#[test]
fn what_is_there_is_adopted_without_a_change() {
    let mut host = Host::unscanned();
    let all = [
        address(1, "169.254.0.1/32"),
        address(1, "fe80::1/64"),
        direct("203.0.113.1/32", 1),
        direct("2001:db8:1::/64", 1),
        route("198.51.100.0/28", 10, vec![hop(1, Some("203.0.113.1"))]),
        route(
            "::/0",
            0,
            vec![hop(2, Some("fe80::9")), hop(1, Some("fe80::8"))],
        ),
        neighbour(1, "203.0.113.1", 1),
        rule(1000, 90),
    ];
    for object in &all {
        host.kernel.put(object).unwrap();
    }
    host.scan();
    for object in &all {
        host.fib.set_want(object.clone());
        assert!(host.fib.in_sync(&object.key()), "{object:?}");
    }
    host.fib.allow_prune();
    assert_eq!(host.run(), NOTHING);
    let notices = host.notices();
    for object in &all {
        let key = host.fib.wanted(&object.key()).unwrap().key();
        assert_eq!(
            notices
                .iter()
                .filter(|n| **n == Notice::InSync(key.clone()))
                .count(),
            1
        );
    }
    assert_eq!(host.fib.ours().count(), all.len());
}

#[test]
fn leftovers_stay_until_pruning_is_allowed() {
    let mut host = Host::unscanned();
    let leftover = direct("203.0.113.1/32", 1);
    host.kernel.put(&leftover).unwrap();
    host.kernel
        .put(&foreign(direct("203.0.113.2/32", 1)))
        .unwrap();
    host.scan();
    assert_eq!(host.run(), NOTHING);
    assert_eq!(host.fib.plan(), [Change::Remove(leftover)]);
    // What was wanted in this run is no leftover.
    host.fib.set_want(rule(1000, 90));
    host.run();
    host.fib.unwant(&rule(1000, 90).key());
    assert_eq!(
        host.run(),
        ["ip rule del from all lookup 90 pref 1000 protocol 112"]
    );
    host.fib.allow_prune();
    assert_eq!(
        host.run(),
        ["ip route del 203.0.113.1/32 dev tap1 proto 112 metric 10"]
    );
    assert_eq!(host.kernel.objects().count(), 1);
}

#[test]
fn a_scan_sweeps_what_it_did_not_see_but_not_what_came_meanwhile() {
    let mut host = Host::new();
    let [lost, late, written] = [1, 2, 3].map(|n| direct(&format!("203.0.113.{n}/32"), 1));
    host.fib.set_want(lost.clone());
    host.run();
    host.kernel.delete(&lost.key());
    host.kernel.lose_events();
    let lines = host.kernel.scan();
    host.hear();
    let (end, lines) = lines.split_last().unwrap();
    for line in lines {
        host.fib.handle_event(host.now, line.clone());
    }
    host.kernel.put(&late).unwrap();
    host.hear();
    host.fib.set_want(late.clone());
    host.fib.set_want(written.clone());
    assert_eq!(host.run().len(), 1);
    host.fib.handle_event(host.now, end.clone());
    assert!(host.fib.in_sync(&late.key()) && host.fib.in_sync(&written.key()));
    assert_eq!(
        host.run(),
        ["ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10"]
    );
    assert!(host.notices().contains(&Notice::Repaired(lost.key())));
}

#[test]
fn an_interrupted_scan_proves_nothing() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    host.fib.set_want(want.clone());
    host.run();
    for event in [
        KernelEvent::ScanBegin,
        KernelEvent::Overrun,
        KernelEvent::ScanEnd,
    ] {
        host.fib.handle_event(host.now, event);
    }
    assert!(host.fib.in_sync(&want.key()));
    host.fib.handle_event(host.now, KernelEvent::ScanBegin);
    host.scan();
    assert!(host.fib.in_sync(&want.key()));
    assert_eq!(host.run(), NOTHING);
}

#[test]
fn after_lost_messages_nothing_is_overwritten_before_the_scan() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    let gateway = address(1, "169.254.0.1/32");
    host.fib.set_want(want.clone());
    host.fib.set_want(gateway.clone());
    host.run();
    let theirs = foreign(direct("203.0.113.1/32", 3));
    host.kernel.replace(&theirs).unwrap();
    host.kernel.lose_events();
    host.fib.set_want(direct("203.0.113.1/32", 2));
    host.fib.unwant(&gateway.key());
    assert_eq!(host.run(), NOTHING);
    host.scan();
    assert_eq!(host.run(), ["ip addr del 169.254.0.1/32 dev tap1"]);
    assert_eq!(host.kernel.object(&want.key()), Some(&theirs));
    assert_eq!(host.fib.status(&want.key()), Status::Foreign);
}

#[test]
fn an_old_line_of_a_scan_does_not_bring_back_the_dead() {
    let mut host = Host::new();
    host.fib.set_want(rule(1000, 90));
    host.run();
    let lines = host.kernel.scan();
    host.kernel.delete(&rule(1000, 90).key());
    host.fib.unwant(&rule(1000, 90).key());
    let foreign_address = foreign(address(1, "192.0.2.1/32"));
    let late = KernelEvent::Present(foreign_address.clone());
    host.fib.handle_event(host.now, lines[0].clone());
    host.hear();
    host.fib
        .handle_event(host.now, KernelEvent::Absent(foreign_address));
    host.fib.handle_event(host.now, late);
    for line in &lines[1..] {
        host.fib.handle_event(host.now, line.clone());
    }
    host.run();
    assert_eq!(host.fib.addresses(1).count(), 1);
    host.now = host.fib.poll_timeout().unwrap();
    host.run();
    assert!(
        host.notices().contains(&Notice::ScanNeeded),
        "the contradiction calls for another scan"
    );
    host.scan();
    assert_eq!(host.fib.addresses(1).count(), 0);
    assert_eq!(host.fib.poll_timeout(), None);
}

#[test]
fn an_old_message_about_our_own_object_is_settled_by_a_scan() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    // The link went down and up before our write; the messages come after its outcome.
    let link = host.kernel.link(1).unwrap().clone();
    let down = Link {
        up: false,
        ..link.clone()
    };
    host.fib.handle_event(host.now, KernelEvent::Link(down));
    host.fib.handle_event(host.now, KernelEvent::Link(link));
    assert_eq!(host.run().len(), 1, "EEXIST, and it may be our own");
    host.later(1000);
    host.run();
    assert!(host.notices().contains(&Notice::ScanNeeded));
    host.scan();
    assert!(host.fib.in_sync(&want.key()));
    assert_eq!(host.run(), NOTHING);
}

/// A scan that leaves one object out, as the kernel's lists may when others change around it.
fn scan_without(host: &mut Host, left_out: &Object) {
    for event in host.kernel.scan() {
        if event != KernelEvent::Present(left_out.clone()) {
            host.fib.handle_event(host.now, event);
        }
    }
}

#[test]
fn one_scan_without_it_does_not_prove_that_an_object_is_gone() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    let key = want.key();
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    host.later(10_000);
    scan_without(&mut host, &want);
    assert_eq!(
        host.run(),
        ["ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10"],
        "the kernel is asked by adding it"
    );
    assert!(host.fib.in_sync(&key), "it said EEXIST");
    let told = host.notices();
    assert!(!told.contains(&Notice::Foreign { key: key.clone() }));
    assert!(!told.contains(&Notice::Repaired(key.clone())));
    assert_eq!(told.last(), Some(&Notice::InSync(key.clone())));
    // Another scan is to say whose it is.
    host.later(1_000);
    host.run();
    assert_eq!(host.notices(), [Notice::ScanNeeded]);
    host.scan();
    assert_eq!(host.run(), NOTHING);
    assert!(host.fib.in_sync(&key));
    host.later(10_000);
    host.run();
    assert_eq!(host.notices(), [], "all is well");
}

#[test]
fn two_scans_without_it_prove_that_what_is_there_is_not_ours() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    let key = want.key();
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    for scan in 1..=2 {
        host.later(10_000);
        scan_without(&mut host, &want);
        host.run();
        assert_eq!(host.fib.in_sync(&key), scan == 1);
    }
    assert!(
        host.notices()
            .contains(&Notice::Foreign { key: key.clone() })
    );
    assert_eq!(host.fib.status(&key), Status::Foreign);
}

#[test]
fn what_is_gone_without_a_word_is_put_back_after_one_scan() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    assert!(host.kernel.delete(&want.key()));
    while host.kernel.poll_event().is_some() {}
    host.scan();
    assert_eq!(
        host.run(),
        ["ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10"]
    );
    assert!(host.has(&want));
    assert!(host.notices().contains(&Notice::Repaired(want.key())));
}

#[test]
fn a_change_of_what_one_scan_missed_asks_for_another() {
    let mut host = Host::new();
    let want = direct("203.0.113.1/32", 1);
    host.fib.set_want(want.clone());
    host.run();
    host.notices();
    host.later(10_000);
    scan_without(&mut host, &want);
    // Before the kernel could be asked by adding it.
    let other = direct("203.0.113.1/32", 2);
    host.fib.set_want(other.clone());
    assert_eq!(host.run(), NOTHING, "whose it is has to be known first");
    host.later(1_000);
    host.run();
    assert!(host.notices().contains(&Notice::ScanNeeded));
    host.scan();
    host.run();
    assert!(host.has(&other));
    assert!(host.fib.in_sync(&other.key()));
}

#[test]
fn a_route_whose_ways_went_one_after_the_other_is_looked_for() {
    let mut host = Host::new();
    let gateways = [1, 2].map(|index| address(index, "169.254.0.1/32"));
    let anycast = route("10.9.9.9/32", 10, vec![hop(1, None), hop(2, None)]);
    for object in gateways.iter().chain([&anycast]) {
        host.fib.set_want(object.clone());
    }
    host.run();
    host.notices();
    host.later(10_000);
    for gateway in &gateways {
        host.kernel.delete(&gateway.key());
    }
    assert!(!host.has(&anycast), "the kernel drops it without a word");
    // The first address is back before the message about the second one is read.
    let first = host.kernel.poll_event().unwrap();
    host.fib.handle_event(host.now, first);
    let batch = host.fib.poll_batch(host.now, 64).unwrap();
    let outcomes: Vec<_> = (batch.changes.iter())
        .map(|change| host.kernel.apply(change))
        .collect();
    host.fib.handle_outcomes(host.now, batch.id, &outcomes);
    host.run();
    host.later(1_000);
    host.run();
    assert!(host.notices().contains(&Notice::ScanNeeded));
    host.scan();
    host.run();
    assert!(host.has(&anycast) && host.fib.in_sync(&anycast.key()));
}
