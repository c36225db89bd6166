//! The reconciler's rules, one by one, against the small kernel.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use std::time::Duration;

use objects::*;
use tapway_fib::*;
use tapway_model::Family;

const NOTHING: [&str; 0] = [];

fn failed(errno: i32) -> Outcome {
    Outcome::Failed {
        errno,
        message: None,
    }
}

#[test]
fn a_batch_goes_from_the_ground_up_and_then_from_the_top_down() {
    let mut host = Host::new();
    let old = [
        address(2, "169.254.0.1/32"),
        direct("203.0.113.2/32", 2),
        route("198.51.100.16/28", 10, vec![hop(2, Some("203.0.113.2"))]),
        neighbour(2, "203.0.113.2", 2),
        rule(1001, 90),
    ];
    for object in &old {
        host.fib.set_want(object.clone());
    }
    host.run();
    for object in &old {
        host.fib.unwant(&object.key());
    }
    host.kernel.set_sysctl("ipv6/conf/all/forwarding", "0");
    host.kernel.set_sysctl("ipv6/conf/tap1/accept_ra", "1");
    for object in [
        sysctl("ipv6/conf/all/forwarding", "1"),
        neighbour(1, "203.0.113.1", 1),
        route("198.51.100.0/28", 10, vec![hop(1, Some("203.0.113.1"))]),
        direct("203.0.113.1/32", 1),
        rule(1000, 90),
        address(1, "169.254.0.1/32"),
        sysctl("ipv6/conf/tap1/accept_ra", "2"),
    ] {
        host.fib.set_want(object);
    }
    host.hear();
    let plan: Vec<String> = host
        .fib
        .plan()
        .iter()
        .map(|change| host.fib.command(change).to_string())
        .collect();
    let expected = [
        "sysctl -w net.ipv6.conf.tap1.accept_ra=2",
        "sysctl -w net.ipv6.conf.all.forwarding=1",
        "ip rule add from all lookup 90 pref 1000 protocol 112",
        "ip route add 203.0.113.1/32 dev tap1 proto 112 metric 10",
        "ip route add 198.51.100.0/28 via 203.0.113.1 dev tap1 proto 112 metric 10",
        "ip neigh add 203.0.113.1 lladdr 52:54:00:00:00:01 dev tap1 nud permanent protocol 112",
        "ip addr add 169.254.0.1/32 dev tap1 proto 112",
        "ip neigh del 203.0.113.2 dev tap2",
        "ip route del 198.51.100.16/28 via 203.0.113.2 dev tap2 proto 112 metric 10",
        "ip route del 203.0.113.2/32 dev tap2 proto 112 metric 10",
        "ip rule del from all lookup 90 pref 1001 protocol 112",
        "ip addr del 169.254.0.1/32 dev tap2",
    ];
    assert_eq!(plan, expected);
    assert_eq!(host.run(), expected);
    assert_eq!(host.fib.plan(), []);
}

#[test]
fn another_value_replaces() {
    let mut host = Host::new();
    let before = direct("203.0.113.1/32", 1);
    host.fib.set_want(before.clone());
    host.run();
    host.notices();
    host.fib.set_want(direct("203.0.113.1/32", 2));
    assert!(!host.fib.in_sync(&before.key()));
    assert_eq!(
        host.run(),
        ["ip route replace 203.0.113.1/32 dev tap2 proto 112 metric 10"]
    );
    assert_eq!(host.notices(), [Notice::InSync(before.key())]);
}

#[test]
fn an_ipv6_address_of_another_length_makes_room_first() {
    let mut host = Host::new();
    host.fib.set_want(address(1, "fe80::1/64"));
    host.run();
    host.fib.unwant(&address(1, "fe80::1/64").key());
    host.fib.set_want(address(1, "fe80::1/128"));
    host.fib.set_want(sysctl("ipv4/ip_forward", "1"));
    let lines = host.run();
    assert_eq!(
        lines,
        [
            "ip addr del fe80::1/64 dev tap1",
            "ip addr add fe80::1/128 dev tap1 proto 112"
        ]
    );
}

#[test]
fn what_somebody_deletes_is_put_back_at_once() {
    for object in [
        address(1, "169.254.0.1/32"),
        direct("203.0.113.1/32", 1),
        direct("2001:db8::/64", 1),
        neighbour(1, "203.0.113.1", 1),
        rule(1000, 90),
    ] {
        let mut host = Host::new();
        host.fib.set_want(object.clone());
        host.run();
        host.notices();
        host.kernel.delete(&object.key());
        assert_eq!(host.run().len(), 1, "{object:?}");
        assert!(host.has(&object));
        let key = object.key();
        let about: Vec<Notice> = host
            .notices()
            .into_iter()
            .filter(|n| !matches!(n, Notice::AddressesChanged(_)))
            .collect();
        assert_eq!(
            about,
            [
                Notice::OutOfSync(key.clone()),
                Notice::Repaired(key.clone()),
                Notice::InSync(key)
            ]
        );
    }
}

#[test]
fn a_fight_is_paused_and_reported() {
    let mut host = Host::new();
    let object = direct("203.0.113.1/32", 1);
    let key = object.key();
    host.fib.set_want(object.clone());
    host.run();
    for _ in 0..20 {
        host.kernel.delete(&key);
        assert_eq!(host.run().len(), 1);
        host.later(10);
    }
    host.notices();
    host.kernel.delete(&key);
    assert_eq!(host.run(), NOTHING);
    let told = host.notices();
    assert!(
        told.iter().any(|n| matches!(
            n,
            Notice::Failed {
                errno: 16,
                attempts: 21,
                ..
            }
        )),
        "{told:?}"
    );
    assert!(matches!(
        host.fib.status(&key),
        Status::Failed { errno: 16, .. }
    ));
    // A command that deletes until nothing is left has ended soon; whoever goes on meets longer pauses.
    for pause in [100, 200, 400, 800] {
        let at = host.fib.poll_timeout().unwrap();
        assert_eq!(at.since(host.now), Duration::from_millis(pause));
        host.now = at;
        assert_eq!(host.run().len(), 1);
        assert!(host.fib.in_sync(&key));
        host.kernel.delete(&key);
        assert_eq!(host.run(), NOTHING);
    }
}

#[test]
fn a_foreign_object_is_never_touched_and_its_end_is_noticed() {
    for object in [
        address(1, "169.254.0.1/32"),
        direct("203.0.113.1/32", 1),
        neighbour(1, "203.0.113.1", 1),
        rule(1000, 90),
        route("0.0.0.0/0", 20, vec![hop(1, Some("fe80::1"))]),
    ] {
        let key = object.key();
        // There before it is wanted, known only by the scan or by EEXIST.
        let mut host = Host::new();
        // From this one the reconciler learns that the kernel tells protocols of addresses.
        host.kernel.put(&address(3, "192.0.2.1/32")).unwrap();
        host.kernel.put(&foreign(object.clone())).unwrap();
        host.scan();
        host.fib.set_want(object.clone());
        host.run();
        assert_eq!(host.kernel.object(&key), Some(&foreign(object.clone())));
        assert_eq!(host.fib.status(&key), Status::Foreign, "{object:?}");
        assert!(
            host.notices()
                .contains(&Notice::Foreign { key: key.clone() })
        );
        // The plan says what will be done when it goes.
        let plan = host.fib.plan();
        assert!(plan.contains(&Change::Add(object.clone())), "{plan:?}");
        host.kernel.delete(&key);
        host.run();
        assert!(host.fib.in_sync(&key) && host.has(&object), "{object:?}");
        // Unwanted while a foreign object has the key: nothing is removed.
        host.kernel.replace(&foreign(object.clone())).unwrap();
        host.run();
        assert_eq!(host.fib.status(&key), Status::Foreign);
        host.fib.unwant(&key);
        host.run();
        assert_eq!(host.kernel.object(&key), Some(&foreign(object.clone())));
    }
}

#[test]
fn a_foreign_object_that_goes_unseen_is_found_gone_by_back_off() {
    let mut host = Host::new();
    let object = direct("203.0.113.1/32", 1);
    host.kernel.put(&foreign(object.clone())).unwrap();
    while host.kernel.poll_event().is_some() {}
    host.fib.set_want(object.clone());
    assert_eq!(host.run().len(), 1);
    assert_eq!(host.fib.status(&object.key()), Status::Foreign);
    host.kernel.delete(&object.key());
    while host.kernel.poll_event().is_some() {}
    assert_eq!(host.run(), NOTHING);
    host.now = host.fib.poll_timeout().unwrap();
    assert_eq!(host.run().len(), 1);
    assert!(host.fib.in_sync(&object.key()));
}

#[test]
fn a_learned_neighbour_is_nobodys() {
    let mut host = Host::new();
    let object = neighbour(1, "203.0.113.1", 1);
    let learned = match foreign(object.clone()) {
        Object::Neighbour(n) => Object::Neighbour(Neighbour { state: 2, ..n }),
        other => other,
    };
    host.kernel.put(&learned).unwrap();
    host.fib.set_want(object.clone());
    let lines = host.run();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].starts_with("ip neigh replace"), "{lines:?}");
    assert!(host.has(&object) && host.fib.in_sync(&object.key()));
}

#[test]
fn failures_back_off_and_a_link_that_comes_up_ends_the_wait() {
    let mut host = Host::new();
    let object = direct("203.0.113.1/32", 1);
    let key = object.key();
    host.fib.set_want(object);
    let mut waits = Vec::new();
    for attempt in 1..=12 {
        let batch = host.fib.poll_batch(host.now, 64).unwrap();
        assert_eq!(host.fib.status(&key), Status::InFlight);
        host.fib.handle_outcomes(host.now, batch.id, &[failed(22)]);
        let notice = Notice::Failed {
            key: key.clone(),
            errno: 22,
            message: None,
            attempts: attempt,
        };
        assert!(host.notices().contains(&notice));
        assert!(host.fib.poll_batch(host.now, 64).is_none());
        let at = host.fib.poll_timeout().unwrap();
        waits.push(at.since(host.now).as_millis());
        host.now = at;
    }
    assert_eq!(
        waits,
        [
            50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000
        ]
    );
    let batch = host.fib.poll_batch(host.now, 64).unwrap();
    host.fib.handle_outcomes(host.now, batch.id, &[failed(100)]);
    assert!(matches!(
        host.fib.status(&key),
        Status::Failed {
            errno: 100,
            attempts: 13,
            ..
        }
    ));
    host.kernel.set_up(1, false);
    host.kernel.set_up(1, true);
    assert_eq!(host.run().len(), 1);
    assert!(host.fib.in_sync(&key));
}

#[test]
fn wants_may_change_while_a_batch_is_under_way() {
    let mut host = Host::new();
    let object = direct("203.0.113.1/32", 1);
    let key = object.key();
    host.fib.set_want(object.clone());
    let batch = host.fib.poll_batch(host.now, 64).unwrap();
    host.fib.set_want(direct("203.0.113.1/32", 2));
    assert!(
        host.fib.poll_batch(host.now, 64).is_none(),
        "not twice at a time"
    );
    host.kernel.apply(&batch.changes[0]);
    host.fib
        .handle_outcomes(host.now, batch.id, &[Outcome::Done]);
    assert!(!host.notices().contains(&Notice::InSync(key.clone())));
    let batch = host.fib.poll_batch(host.now, 64).unwrap();
    assert_eq!(
        batch.changes,
        [Change::Replace(direct("203.0.113.1/32", 2))]
    );
    host.fib.unwant(&key);
    host.kernel.apply(&batch.changes[0]);
    host.fib
        .handle_outcomes(host.now, batch.id, &[Outcome::Done]);
    assert_eq!(
        host.run(),
        ["ip route del 203.0.113.1/32 dev tap2 proto 112 metric 10"]
    );
    assert_eq!(host.kernel.objects().count(), 0);
}

#[test]
fn a_batch_is_cut_at_its_limit() {
    let mut host = Host::new();
    for n in 0..10 {
        host.fib.set_want(direct(&format!("203.0.113.{n}/32"), 1));
    }
    let sizes: Vec<usize> = std::iter::from_fn(|| host.fib.poll_batch(host.now, 4))
        .map(|batch| batch.changes.len())
        .collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[test]
fn an_unanswered_change_has_failed() {
    let mut host = Host::new();
    host.fib.set_want(rule(1000, 90));
    let batch = host.fib.poll_batch(host.now, 64).unwrap();
    host.fib.handle_outcomes(host.now, batch.id, &[]);
    assert!(matches!(
        host.fib.status(&rule(1000, 90).key()),
        Status::Failed { errno: 5, .. }
    ));
    host.fib
        .handle_outcomes(host.now, batch.id, &[Outcome::Done]);
    assert!(
        !host.fib.in_sync(&rule(1000, 90).key()),
        "a batch is answered once"
    );
}

#[test]
fn defaults_that_are_not_ours_are_told() {
    let mut host = Host::new();
    let theirs = foreign(route("0.0.0.0/0", 100, vec![hop(3, Some("192.0.2.1"))]));
    host.kernel.put(&address(3, "192.0.2.2/24")).unwrap();
    host.kernel.put(&theirs).unwrap();
    host.hear();
    assert!(
        host.notices()
            .contains(&Notice::ForeignDefaultChanged(Family::Ipv4))
    );
    let metrics: Vec<u32> = host
        .fib
        .foreign_defaults(Family::Ipv4)
        .map(|r| r.metric)
        .collect();
    assert_eq!(metrics, [100]);
    assert_eq!(host.fib.foreign_defaults(Family::Ipv6).count(), 0);
    // Another route of theirs with its metric is another route.
    let other = foreign(route("192.0.2.64/26", 100, vec![hop(3, None)]));
    host.kernel.put(&other).unwrap();
    host.kernel.delete(&other.key());
    host.hear();
    assert_eq!(host.fib.foreign_defaults(Family::Ipv4).count(), 1);
    // Dropped untold with its link.
    host.kernel.set_up(3, false);
    host.hear();
    assert_eq!(host.fib.foreign_defaults(Family::Ipv4).count(), 0);
    assert!(
        host.notices()
            .contains(&Notice::ForeignDefaultChanged(Family::Ipv4))
    );
}

#[test]
fn routers_are_told() {
    let mut host = Host::new();
    let addr = ip("fe80::9");
    let router = Neighbour {
        index: 1,
        addr,
        mac: Some([2; 6]),
        state: 4,
        router: true,
        protocol: 0,
    };
    let tell = |present| Notice::RouterNeighbour {
        index: 1,
        addr,
        present,
    };
    host.kernel.put(&Object::Neighbour(router.clone())).unwrap();
    host.hear();
    assert_eq!(host.notices(), [tell(true)]);
    assert_eq!(host.fib.routers(1).collect::<Vec<_>>(), [addr]);
    host.kernel
        .replace(&Object::Neighbour(Neighbour {
            router: false,
            ..router.clone()
        }))
        .unwrap();
    host.hear();
    assert_eq!(host.notices(), [tell(false)]);
    host.kernel.replace(&Object::Neighbour(router)).unwrap();
    host.kernel.set_up(1, false);
    host.hear();
    assert!(host.notices().contains(&tell(false)));
    assert_eq!(host.fib.routers(1).count(), 0);
}

#[test]
fn a_duplicate_address_is_not_in_sync() {
    let mut host = Host::new();
    let object = address(1, "2001:db8::1/64");
    host.fib.set_want(object.clone());
    host.run();
    let tentative =
        |host: &Host| host.fib.addresses(1).next().unwrap().0.flags & address_flags::TENTATIVE;
    assert_ne!(tentative(&host), 0);
    host.notices();
    let Object::Address(address) = object.clone() else {
        unreachable!()
    };
    let flags = address_flags::PERMANENT;
    let done = Object::Address(Address {
        flags,
        ..address.clone()
    });
    host.fib.handle_event(host.now, KernelEvent::Present(done));
    assert_eq!(tentative(&host), 0);
    assert_eq!(host.notices(), [Notice::AddressesChanged(1)]);
    let flags = address_flags::PERMANENT | address_flags::TENTATIVE | address_flags::DADFAILED;
    let twice = Object::Address(Address { flags, ..address });
    host.fib.handle_event(host.now, KernelEvent::Present(twice));
    assert_eq!(host.run(), NOTHING);
    assert!(!host.fib.in_sync(&object.key()));
    assert!(matches!(
        host.fib.status(&object.key()),
        Status::Failed { errno: 98, .. }
    ));
    let told = host.notices();
    assert!(told.contains(&Notice::OutOfSync(object.key())));
    assert!(
        told.iter()
            .any(|n| matches!(n, Notice::Failed { errno: 98, .. }))
    );
}

#[test]
fn release_removes_ours_and_nothing_else() {
    let mut host = Host::new();
    let ours = [
        rule(1000, 90),
        direct("203.0.113.1/32", 1),
        address(1, "fe80::1/64"),
    ];
    for object in &ours {
        host.fib.set_want(object.clone());
    }
    host.run();
    host.kernel
        .put(&foreign(direct("203.0.113.9/32", 1)))
        .unwrap();
    host.kernel.put(&direct("203.0.113.8/32", 1)).unwrap();
    host.fib.release();
    host.run();
    assert_eq!(host.kernel.objects().count(), 1);
    assert_eq!(host.fib.ours().count(), 0);
}
