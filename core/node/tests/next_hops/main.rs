//! Next hops several hops away, against a small kernel: what counts, what is installed, what is asked and how often.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../beginning/mod.rs"]
mod beginning;
mod hidden;
mod many;
mod told;
mod walk;
mod world;

use std::net::Ipv4Addr;

use tapway_bgp::ConnId;
use tapway_fib::{Key, Object, RouteNews};
use tapway_model::{IfName, Prefix};
use tapway_node::{Action, Start, Unresolved};

use world::*;

#[test]
fn a_route_follows_the_way_to_its_next_hop() {
    let mut world = World::both();
    world.announce(1, FAR, &[PREFIX]);
    assert_eq!(world.installed(), [""; 0]);
    assert_eq!(world.unresolved(FAR), Some(Unresolved::NoRoute));
    let first = foreign("10.9.0.0/16", "198.51.100.254", ETH0, 50);
    world.put(first.clone());
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2"]
    );
    // A nearer way is another route.
    let second = foreign("10.9.9.0/24", "198.51.101.254", ETH1, 50);
    world.put(second.clone());
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
    world.delete(&second);
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2"]
    );
    world.delete(&first);
    world.wait();
    assert_eq!(world.installed(), [""; 0]);
    // Nothing comes back that is not there any more.
    world.withdraw(1, &[PREFIX]);
    assert_eq!(world.unresolved(FAR), None);
    assert!(!world.node.follows_routes());
}

#[test]
fn several_ways_are_taken_each_once() {
    let mut world = World::both();
    let mut two = foreign("10.9.0.0/16", "198.51.100.254", ETH0, 0);
    two.next_hops
        .extend(foreign("10.9.0.0/16", "198.51.101.254", ETH1, 0).next_hops);
    world.put(two);
    world.put(foreign("10.8.0.0/16", "198.51.100.254", ETH0, 0));
    world.announce(1, FAR, &[PREFIX]);
    world.announce(2, FARTHER, &[PREFIX]);
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2 via 198.51.101.254 dev 3"]
    );
}

#[test]
fn a_way_that_is_left_alone_has_no_weight() {
    let mut world = World::both();
    let mut two = foreign("10.9.0.0/16", "198.51.100.254", ETH0, 0);
    two.next_hops
        .extend(foreign("10.9.0.0/16", "198.51.101.254", ETH1, 0).next_hops);
    two.next_hops[1].weight = 5;
    world.put(two);
    world.announce(1, FAR, &[PREFIX]);
    let weights = |world: &World| {
        let key = Key::Route(254, prefix(PREFIX), 20);
        match world.kernel.object(&key) {
            Some(Object::Route(r)) => r.next_hops.iter().map(|leg| leg.weight).collect(),
            _ => vec![],
        }
    };
    assert_eq!(weights(&world), [1, 5]);
    world.kernel.set_carrier(ETH0, false);
    world.wait();
    assert_eq!(weights(&world), [1]);
}

#[test]
fn the_default_route_leads_to_no_next_hop() {
    let mut world = World::both();
    world.put(foreign("0.0.0.0/0", "198.51.100.254", ETH0, 0));
    world.announce(1, FAR, &[PREFIX]);
    assert_eq!(world.installed(), [""; 0]);
    assert_eq!(world.unresolved(FAR), Some(Unresolved::OnlyDefault));
    let explained = world.node.explain(world.now, prefix("198.18.0.1/32"), None);
    let text = format!("{explained:?}");
    for words in [
        "rr1 sends 198.18.0.0/15 by next hop 10.9.9.9: not eligible, nothing leads to its next hop 10.9.9.9: only the default route leads to it, which does not count",
        "ip route add 10.9.9.9/32 via GATEWAY",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

/// What the settings say of it counts as soon as they do, both ways.
#[test]
fn whether_the_default_route_counts_may_change() {
    let mut world = World::with(false);
    world.put(foreign("0.0.0.0/0", "198.51.100.254", ETH0, 7));
    world.announce(1, FAR, &[PREFIX]);
    for counts in [true, false, true] {
        let mut router = world.node.config().router();
        router.next_hop_via_default = counts;
        world.node.set_router(world.now, router);
        world.settle();
        world.wait();
        let expected: &[&str] = match counts {
            true => &["198.18.0.0/15 via 198.51.100.254 dev 2"],
            false => &[],
        };
        assert_eq!(world.installed(), expected);
        let why = (!counts).then_some(Unresolved::OnlyDefault);
        assert_eq!(world.unresolved(FAR), why);
    }
}

#[test]
fn the_default_route_counts_where_somebody_says_so() {
    let mut world = World::with(true);
    world.put(foreign("0.0.0.0/0", "198.51.100.254", ETH0, 7));
    world.announce(1, FAR, &[PREFIX]);
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2"]
    );
    let other = foreign("0.0.0.0/0", "198.51.101.254", ETH1, 3);
    world.put(other.clone());
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
    world.delete(&other);
    world.delete(&foreign("0.0.0.0/0", "198.51.100.254", ETH0, 7));
    world.wait();
    assert_eq!(world.installed(), [""; 0]);
}

#[test]
fn the_nearer_next_hop_wins() {
    let mut world = World::both();
    world.put(foreign("10.9.0.0/16", "198.51.100.254", ETH0, 30));
    let far = foreign("10.8.0.0/16", "198.51.101.254", ETH1, 40);
    world.put(far.clone());
    world.announce(1, FAR, &[PREFIX]);
    world.announce(2, FARTHER, &[PREFIX]);
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2"]
    );
    world.put(foreign("10.8.0.0/16", "198.51.101.254", ETH1, 20));
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
    // On a link of ours is nearer than any route.
    world.announce(1, "198.51.100.77", &[PREFIX]);
    assert_eq!(world.installed(), ["198.18.0.0/15 via 198.51.100.77 dev 2"]);
}

#[test]
fn another_next_hop_takes_over_without_a_gap() {
    let mut world = World::both();
    world.put(foreign("10.9.0.0/16", "198.51.100.254", ETH0, 30));
    world.put(foreign("10.8.0.0/16", "198.51.101.254", ETH1, 40));
    world.announce(1, FAR, &[PREFIX]);
    world.changes.clear();
    world.announce(1, FARTHER, &[PREFIX]);
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
    assert_eq!(world.changes.len(), 1, "{:?}", world.changes);
    assert!(
        world.changes[0].contains("route replace"),
        "{:?}",
        world.changes
    );
}

#[test]
fn nothing_is_taken_out_while_an_answer_is_to_come() {
    let mut world = World::both();
    world.put(foreign("10.9.0.0/16", "198.51.100.254", ETH0, 30));
    world.put(foreign("10.8.0.0/16", "198.51.101.254", ETH1, 40));
    world.announce(1, FAR, &[PREFIX]);
    let bytes = announcement(FARTHER, &[PREFIX]);
    let conn = ConnId::Incoming(1);
    world.node.handle_data(world.now, conn, &bytes);
    // Somebody is slow to ask.
    while let Some(action) = world.node.poll_action(world.now) {
        assert!(!matches!(action, Action::Kernel(_)), "{action:?}");
    }
    assert!(world.node.poll_timeout().is_some_and(|at| at <= world.now));
    world.settle();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
}

#[test]
fn a_lost_link_is_known_at_once() {
    let mut world = World::both();
    world.put(foreign("10.9.0.0/16", "198.51.100.254", ETH0, 30));
    world.put(foreign("10.9.0.0/16", "198.51.101.254", ETH1, 40));
    world.announce(1, FAR, &[PREFIX]);
    // The kernel takes the route out without a word.
    world.kernel.set_up(ETH0, false);
    world.settle();
    assert_eq!(world.installed(), [""; 0]);
    assert_eq!(
        world.unresolved(FAR),
        Some(Unresolved::NoLink(prefix("10.9.0.0/16")))
    );
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
}

#[test]
fn the_coming_of_guests_costs_no_question() {
    let mut world = World::both();
    world.put(foreign("10.0.0.0/8", "198.51.100.254", ETH0, 0));
    world.announce(1, FAR, &[PREFIX]);
    world.announce(2, "198.51.101.77", &["198.20.0.0/16"]);
    world.wait();
    world.asked = 0;
    for n in 0..10 {
        let name = IfName::new(&format!("tap1{n}")).unwrap();
        let index = world.kernel.add_link(name);
        world.kernel.set_up(index, true);
        world.kernel.set_carrier(index, true);
        world.wait();
        world.kernel.set_up(index, false);
        world.wait();
    }
    assert_eq!(world.asked, 0);
    // One that ways depend on does cost one for each that is asked for.
    world.kernel.set_carrier(ETH0, false);
    world.wait();
    assert_eq!(world.asked, 1);
    assert_eq!(world.installed(), ["198.20.0.0/16 via 198.51.101.77 dev 3"]);
}

#[test]
fn a_flood_of_routes_is_asked_about_rarely() {
    let mut world = World::both();
    world.put(foreign("10.0.0.0/8", "198.51.100.254", ETH0, 0));
    world.announce(1, FAR, &[PREFIX]);
    world.announce(2, FARTHER, &[PREFIX]);
    world.wait();
    world.asked = 0;
    // Ten seconds of 1,000 changes each that concern nobody.
    for n in 0..10_000_u32 {
        let to = Prefix::host(Ipv4Addr::from(0x0b00_0000 + n).into());
        let news = RouteNews::Present(foreign(&to.to_string(), "198.51.100.254", ETH0, 0));
        world.node.handle_routes(world.now, [news]);
        world.advance(MILLISECOND);
    }
    assert_eq!(world.asked, 0);
    // And ten of changes around one of the two.
    for n in 0..10_000_u32 {
        let news = foreign("10.9.0.0/16", "198.51.100.254", ETH0, n);
        world
            .node
            .handle_routes(world.now, [RouteNews::Absent(news)]);
        world.advance(MILLISECOND);
    }
    assert!((50..=100).contains(&world.asked), "{}", world.asked);
    // What was too much to be told is asked for as rarely.
    world.asked = 0;
    for _ in 0..1000 {
        world.node.handle_routes(world.now, [RouteNews::Lost]);
        world.advance(MILLISECOND);
    }
    assert!((10..=24).contains(&world.asked), "{}", world.asked);
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.100.254 dev 2"]
    );
}

#[test]
fn nothing_is_led_into_a_guest_or_to_ourselves() {
    let mut world = World::both();
    world.claim(&["10.3.0.1"]);
    let guest = [format!("10.3.0.1/32 dev {TAP0}")];
    world.announce(1, "10.3.0.1", &[PREFIX]);
    world.announce(2, "198.51.101.1", &["198.20.0.0/16"]);
    world.wait();
    assert_eq!(
        world.unresolved("10.3.0.1"),
        Some(Unresolved::Claimed(prefix("10.3.0.1/32")))
    );
    assert_eq!(world.unresolved("198.51.101.1"), Some(Unresolved::Ours));
    let ours = world.kernel.objects().filter_map(|object| match object {
        Object::Route(r) if r.protocol == 112 => {
            Some(format!("{} dev {}", r.prefix, r.next_hops[0].index))
        }
        _ => None,
    });
    assert_eq!(ours.collect::<Vec<_>>(), guest);
}

#[test]
fn what_an_earlier_run_installed_stays_while_the_way_is_looked_for() {
    let mut world = World::both();
    world.put(foreign("10.9.0.0/16", "198.51.100.254", ETH0, 0));
    world.announce(1, FAR, &[PREFIX]);
    let there = ["198.18.0.0/15 via 198.51.100.254 dev 2"];
    assert_eq!(world.installed(), there);
    let mut world = World::on(world.kernel, Start::Warm, false);
    world.establish(1);
    world.establish(2);
    world.announce(1, FAR, &[PREFIX]);
    world.end_of_rib(1);
    world.end_of_rib(2);
    world.advance(10 * SECOND);
    assert_eq!(world.installed(), there);
    assert_eq!(world.changes, [""; 0]);
    assert!(world.asked > 0);
}

#[test]
fn many_next_hops_are_asked_for_in_slices() {
    let mut world = World::both();
    world.put(foreign("10.0.0.0/8", "198.51.100.254", ETH0, 0));
    for n in 0..600_u32 {
        let hop = Ipv4Addr::from(0x0a09_0000 + n).to_string();
        let to = Prefix::host(Ipv4Addr::from(0xc612_0000 + n).into()).to_string();
        world.announce(1, &hop, &[&to]);
    }
    assert_eq!(world.installed().len(), 600);
    world.wait();
    let news = foreign("10.0.0.0/8", "198.51.101.254", ETH1, 0);
    world.kernel.replace(&Object::Route(news)).unwrap();
    let event = world.kernel.poll_event();
    assert!(event.is_some());
    let news = foreign("10.0.0.0/8", "198.51.101.254", ETH1, 0);
    world
        .node
        .handle_routes(world.now, [RouteNews::Present(news)]);
    world.now = world.now + 200 * MILLISECOND;
    let slices: Vec<usize> = std::iter::from_fn(|| world.answer_lookups()).collect();
    assert_eq!(slices, [256, 256, 88]);
    world.settle();
    assert!(world.installed().iter().all(|r| r.ends_with("dev 3")));
}
