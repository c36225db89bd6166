//! Next hops that move: what is decided again, and what that costs.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::Ipv4Addr;

use tapway_bgp_wire::{NextHop, NlriEntry, RawAttributes};
use tapway_model::{Family, Prefix};
use tapway_rib::{Import, NextHopEvent, Rib, SourceInfo};

/// Routes; a page has 1,024.
const ROUTES: u32 = 4096;

fn prefix(n: u32) -> Prefix {
    Prefix::host(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn hop(n: u32) -> NextHop {
    NextHop::V4(Ipv4Addr::from(0xc000_0200 + n))
}

/// Routes by so many next hops in turn, all decided.
fn rib(hops: u32) -> Rib {
    let mut rib = Rib::new([1; 16]);
    rib.begin_next_hops(Some(0), |next_hop| next_hop != hop(0));
    let addr = Ipv4Addr::new(192, 0, 2, 1);
    let source = rib.add_source(SourceInfo {
        router_id: addr,
        addr: addr.into(),
        external: true,
        class: 0,
    });
    for n in 0..ROUTES {
        let attributes = rib.intern(RawAttributes::new(&[]), hop(n % hops));
        let import = Import::Accepted {
            attributes,
            weight: 0,
        };
        rib.insert(source, NlriEntry::from(prefix(n)), attributes, import);
        rib.release(attributes);
    }
    rib.watch(Family::Ipv4, true);
    assert_eq!(changed(&mut rib), ROUTES as usize);
    rib
}

fn changed(rib: &mut Rib) -> usize {
    std::iter::from_fn(|| rib.take_changed(Family::Ipv4)).count()
}

fn best(rib: &Rib) -> usize {
    let mut best = 0;
    rib.list(Family::Ipv4, None, usize::MAX, |route| {
        best += usize::from(route.best);
        let metric = route
            .used
            .and_then(|used| rib.next_hop_metric(used.next_hop));
        assert_eq!(route.best, metric.is_some());
    });
    best
}

/// Pages that are worked on until nothing is left.
fn pages(rib: &mut Rib) -> usize {
    let mut pages = 0;
    while rib.has_work() {
        rib.work(1);
        pages += 1;
        assert!(pages < 100_000, "it never ends");
    }
    pages
}

#[test]
fn those_are_told_that_are_asked_for() {
    let mut rib = rib(3);
    let told: Vec<_> = std::iter::from_fn(|| rib.poll_next_hop()).collect();
    assert_eq!(told, [1, 2].map(|n| NextHopEvent::Track(hop(n))));
    assert_eq!(best(&rib), ROUTES as usize);
}

#[test]
fn many_that_move_at_once_cost_one_walk() {
    let mut rib = rib(500);
    for n in 0..500 {
        rib.set_next_hop(hop(n), None);
    }
    let walk = pages(&mut rib);
    assert!(walk <= (ROUTES / 1024) as usize + 2, "{walk}");
    assert_eq!((best(&rib), changed(&mut rib)), (0, ROUTES as usize));
    // One that changes while a walk is under way is not missed.
    rib.set_next_hop(hop(1), Some(7));
    rib.work(1);
    rib.set_next_hop(hop(1), None);
    for n in 2..500 {
        rib.set_next_hop(hop(n), Some(n));
    }
    pages(&mut rib);
    let without = (0..ROUTES).filter(|n| n % 500 < 2).count();
    assert_eq!(best(&rib), ROUTES as usize - without);
}

#[test]
fn one_that_moved_lets_its_own_prefixes_count_as_changed() {
    let mut rib = rib(64);
    rib.next_hop_moved(hop(5));
    pages(&mut rib);
    assert_eq!(changed(&mut rib), (ROUTES / 64) as usize);
    rib.next_hop_moved(hop(1000));
    assert!(!rib.has_work());
}

#[test]
fn next_hops_that_never_rest_hold_up_nothing_else() {
    let mut rib = rib(64);
    let addr = Ipv4Addr::new(192, 0, 2, 2);
    let other = rib.add_source(SourceInfo {
        router_id: addr,
        addr: addr.into(),
        external: true,
        class: 0,
    });
    let attributes = rib.intern(RawAttributes::new(&[]), hop(900));
    let import = Import::Accepted {
        attributes,
        weight: 0,
    };
    for n in 0..10 {
        rib.insert(
            other,
            NlriEntry::from(prefix(100_000 + n)),
            attributes,
            import,
        );
    }
    rib.release(attributes);
    pages(&mut rib);
    rib.remove_source(other);
    // More than have pages of their own, and again before the walk is over.
    for round in 0..20 {
        for n in 1..18 {
            rib.set_next_hop(hop(n), Some(round % 2 + 1));
        }
        rib.work(4);
    }
    assert_eq!(rib.counts(other, Family::Ipv4).routes, 0);
    // Nor does other work hold up next hops.
    pages(&mut rib);
    changed(&mut rib);
    rib.set_next_hop(hop(1), None);
    rib.remove_source(other);
    assert!(pages(&mut rib) > 0);
    assert_eq!(changed(&mut rib), (ROUTES / 64) as usize);
}
