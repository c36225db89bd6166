//! Next hops that received routes of ours hide from the kernel's answers.

use std::time::Duration;

use tapway_bgp::ConnId;
use tapway_fib::{Key, Object, Route, RouteKind, RouteList, RouteNews, RouteSearch};
use tapway_node::{Start, Unresolved};

use crate::world::*;

/// A prefix around [`FAR`].
const AROUND: &str = "10.9.9.0/24";

fn igp() -> Route {
    foreign("10.9.0.0/16", "198.51.100.254", ETH0, 100)
}

/// The same by another way.
fn moved() -> Route {
    foreign("10.9.0.0/16", "198.51.101.254", ETH1, 100)
}

fn by(index: u32) -> [String; 2] {
    let via = 98 + index;
    let leg = format!("via 198.51.{via}.254 dev {index}");
    [format!("{AROUND} {leg}"), format!("{PREFIX} {leg}")]
}

/// [`FAR`] is reached by [`igp`], and hidden by what its router announces around it.
fn hidden() -> World {
    let mut world = World::both();
    world.put(igp());
    world.announce(1, FAR, &[AROUND, PREFIX]);
    world.wait();
    assert_eq!(world.installed(), by(ETH0));
    world
}

#[test]
fn a_change_behind_is_seen_before_anybody_asked_and_after() {
    for scanned in [false, true] {
        let begin = || {
            let mut world = hidden();
            if scanned {
                world.scan();
                world.wait();
            }
            world
        };
        let mut world = begin();
        world.kernel.replace(&Object::Route(moved())).unwrap();
        world.wait();
        assert_eq!(world.installed(), by(ETH1), "scanned: {scanned}");
        let mut world = begin();
        world.delete(&igp());
        world.wait();
        assert_eq!(world.installed(), [""; 0], "scanned: {scanned}");
        // And nothing brings it back.
        world.scan();
        world.wait();
        assert_eq!(world.installed(), [""; 0], "scanned: {scanned}");
    }
}

#[test]
fn a_restart_moves_nothing() {
    for slow in [false, true] {
        let mut world = World::on(hidden().kernel, Start::Warm, false);
        world.slow = slow;
        world.establish(1);
        world.establish(2);
        world.hear(1, &announcement(FAR, &[AROUND, PREFIX]));
        for number in [1, 2] {
            world.hear(number, &ends_of_rib());
        }
        world.settle();
        if slow {
            // It is still searched for: neither said to lead nowhere, nor taken out.
            assert_eq!(world.node.next_hop(&ip(FAR)), None);
            assert_eq!(world.installed(), by(ETH0));
        }
        world.advance(10 * SECOND);
        assert_eq!(world.unresolved(FAR), None);
        assert_eq!(world.installed(), by(ETH0));
        assert_eq!(world.changes, [""; 0]);
    }
}

#[test]
fn lost_news_are_no_reason_to_take_anything_out() {
    let mut world = hidden();
    world.changes.clear();
    world.slow = true;
    world.node.handle_routes(world.now, [RouteNews::Lost]);
    world.wait();
    world.wait();
    assert_eq!(world.installed(), by(ETH0));
    assert_eq!(world.changes, [""; 0]);
    // What was lost is found all the same.
    world.kernel.replace(&Object::Route(moved())).unwrap();
    while world.kernel.poll_event().is_some() {}
    world.node.handle_routes(world.now, [RouteNews::Lost]);
    world.advance(10 * SECOND);
    assert_eq!(world.installed(), by(ETH1));
}

#[test]
fn a_nexthop_object_that_goes_takes_what_is_behind_along() {
    let mut world = hidden();
    let Route {
        table,
        prefix,
        metric,
        ..
    } = igp();
    assert!(world.kernel.delete(&Key::Route(table, prefix, metric)));
    // The kernel tells of the object only.
    while world.kernel.poll_event().is_some() {}
    world.node.handle_routes(world.now, [RouteNews::Changed]);
    world.wait();
    assert_eq!(world.installed(), [""; 0]);
}

#[test]
fn a_default_behind_is_followed_where_it_counts() {
    let mut world = World::with(true);
    world.put(foreign("0.0.0.0/0", "198.51.100.254", ETH0, 100));
    world.announce(1, FAR, &[AROUND, PREFIX]);
    world.wait();
    assert_eq!(world.installed(), by(ETH0));
    let other = foreign("0.0.0.0/0", "198.51.101.254", ETH1, 100);
    world.kernel.replace(&Object::Route(other.clone())).unwrap();
    world.wait();
    assert_eq!(world.installed(), by(ETH1));
    world.delete(&other);
    world.wait();
    assert_eq!(world.installed(), [""; 0]);
    // Where it does not, it is the reason.
    let mut world = hidden();
    world.put(foreign("0.0.0.0/0", "198.51.100.254", ETH0, 100));
    world.delete(&igp());
    world.wait();
    assert_eq!(world.unresolved(FAR), Some(Unresolved::OnlyDefault));
}

#[test]
fn what_appears_behind_counts() {
    let mut world = World::both();
    world.announce(1, "198.51.100.77", &[AROUND]);
    world.announce(2, FAR, &[PREFIX]);
    world.wait();
    let received = Unresolved::Received(prefix(AROUND));
    assert_eq!(world.unresolved(FAR), Some(received));
    let near = format!("{AROUND} via 198.51.100.77 dev 2");
    assert_eq!(world.installed(), [near.as_str()]);
    world.put(moved());
    world.wait();
    assert_eq!(world.installed(), [near, by(ETH1)[1].clone()]);
}

#[test]
fn a_route_behind_that_lets_nothing_through_does_not_count() {
    let mut world = hidden();
    let mut refusing = foreign("10.9.9.0/24", "198.51.101.254", ETH1, 200);
    refusing.kind = RouteKind::Unreachable;
    refusing.next_hops.clear();
    world.put(refusing.clone());
    world.wait();
    assert_eq!(world.unresolved(FAR), Some(Unresolved::Refused));
    // `throw` is as if nothing were there, in this table.
    refusing.kind = RouteKind::Other(9);
    world.kernel.replace(&Object::Route(refusing)).unwrap();
    world.wait();
    assert_eq!(world.unresolved(FAR), Some(Unresolved::NoRoute));
    world.announce(2, "198.51.100.77", &[AROUND]);
    world.scan();
    world.wait();
    let received = Unresolved::Received(prefix(AROUND));
    assert_eq!(world.unresolved(FAR), Some(received));
}

#[test]
fn one_of_ours_that_is_about_to_go_is_no_claim() {
    let mut world = World::both();
    world.put(foreign("10.0.0.0/8", "198.51.101.254", ETH1, 0));
    world.announce(1, "198.51.100.254", &["10.9.0.0/16"]);
    world.wait();
    let (now, conn) = (world.now, ConnId::Incoming(1));
    world
        .node
        .handle_data(now, conn, &withdrawal(&["10.9.0.0/16"]));
    world.hear(2, &announcement(FAR, &[PREFIX]));
    world.wait();
    assert_eq!(world.unresolved(FAR), None);
    assert_eq!(world.installed(), [by(ETH1)[1].clone()]);
}

#[test]
fn claims_that_come_and_go_around_a_next_hop_are_noticed() {
    let mut world = World::both();
    world.put(igp());
    world.claim(&["10.3.0.1"]);
    world.announce(1, FAR, &[PREFIX]);
    world.wait();
    assert_eq!(world.unresolved(FAR), None);
    let claimed = |prefix| Some(Unresolved::Claimed(prefix));
    for _ in 0..2 {
        world.claim(&["10.3.0.1", FAR]);
        world.wait();
        assert_eq!(world.unresolved(FAR), claimed(prefix("10.9.9.9/32")));
        world.claim(&["10.3.0.1"]);
        world.wait();
        assert_eq!(world.unresolved(FAR), None);
    }
    // Under a received route it is a claim all the same.
    world.announce(2, "198.51.100.77", &[AROUND]);
    world.claim(&["10.3.0.1", "10.9.8.0/21"]);
    world.wait();
    assert_eq!(world.unresolved(FAR), claimed(prefix("10.9.8.0/21")));
    world.claim(&["10.3.0.1"]);
    world.wait();
    assert_eq!(world.unresolved(FAR), None);
}

#[test]
fn tables_are_searched_only_for_what_is_hidden_and_seldom_where_that_takes_long() {
    let mut world = World::both();
    world.put(igp());
    world.announce(1, FAR, &[PREFIX]);
    for _ in 0..100 {
        world.scan();
        world.wait();
    }
    assert_eq!(world.searched, 0);
    world.announce(1, FAR, &[AROUND]);
    world.wait();
    assert_eq!(world.searched, 0);
    world.scan();
    world.wait();
    assert_eq!(world.searched, 1);
    // A flood of changes around it costs ten in a second.
    for n in 0..10_000_u32 {
        let news = RouteNews::Absent(foreign("10.9.0.0/16", "198.51.100.254", ETH0, n));
        world.node.handle_routes(world.now, [news]);
        world.advance(MILLISECOND);
    }
    assert!((50..=101).contains(&world.searched), "{}", world.searched);
    // One that takes 1.2 s is not repeated for twenty times that.
    world.searched = 0;
    let search = |world: &mut World| {
        world.node.handle_routes(world.now, [RouteNews::Lost]);
        world.now = world.now + 200 * MILLISECOND;
        while world.answer_lookups().is_some() {}
        world.node.poll_search(world.now)
    };
    let meant = search(&mut world).expect("a search");
    assert_eq!(search(&mut world), None, "one at a time");
    world.now = world.now + SECOND;
    let found = world.kernel.search(&meant);
    world.node.handle_found(world.now, Ok(found));
    world.advance(23 * SECOND);
    assert_eq!(world.searched, 0);
    world.advance(2 * SECOND);
    assert_eq!(world.searched, 1);
    // However long one took, the next comes within a minute.
    world.searched = 0;
    let meant = search(&mut world).expect("a search");
    world.node.handle_routes(world.now, [RouteNews::Lost]);
    world.now = world.now + 10 * SECOND;
    let found = world.kernel.search(&meant);
    world.node.handle_found(world.now, Ok(found));
    for _ in 0..5 {
        world.keep_alive(1);
        world.advance(11 * SECOND);
    }
    assert_eq!(world.searched, 0);
    world.advance(6 * SECOND);
    assert_eq!(world.searched, 1);
}

/// [`FAR`] comes as a next hop when [`AROUND`] is in the kernel by another one; searches are slow.
fn new_under_cover() -> World {
    let mut world = World::both();
    world.put(igp());
    world.put(foreign("10.8.0.0/16", "198.51.101.254", ETH1, 40));
    world.announce(1, FARTHER, &[AROUND, PREFIX]);
    world.wait();
    let by_farther = |to: &str| format!("{to} via 198.51.101.254 dev 3");
    assert_eq!(world.installed(), [by_farther(AROUND), by_farther(PREFIX)]);
    world.changes.clear();
    world.slow = true;
    world
}

#[test]
fn a_new_next_hop_that_is_hidden_takes_nothing_out() {
    let mut world = new_under_cover();
    let there = world.installed();
    // In the place of the route that is installed, and of one that is not there yet.
    world.announce(1, FAR, &[PREFIX, "198.20.0.0/16"]);
    assert_eq!(world.node.next_hop(&ip(FAR)), None);
    assert_eq!(world.installed(), there);
    let explained = world.node.explain(world.now, prefix("198.20.0.1/32"), None);
    let words = "rr1 sends 198.20.0.0/16 by next hop 10.9.9.9: best, its next hop is still being searched for";
    let text = format!("{explained:?}");
    assert!(text.contains(words), "{text}");
    // Whatever else happens meanwhile.
    world.scan();
    world.node.handle_routes(world.now, [RouteNews::Changed]);
    while world.node.poll_lookups(world.now).is_some() {}
    assert_eq!(world.installed(), there);
    assert_eq!(world.changes, [""; 0]);
    world.slow = false;
    world.advance(SECOND);
    assert_eq!(world.unresolved(FAR), None);
    let igp = "via 198.51.100.254 dev 2";
    let expected = [
        there[0].clone(),
        format!("{PREFIX} {igp}"),
        format!("198.20.0.0/16 {igp}"),
    ];
    assert_eq!(world.installed(), expected);
}

#[test]
fn a_new_next_hop_that_is_hidden_and_led_to_by_nothing_is_taken_out_in_the_end() {
    let mut world = new_under_cover();
    let there = world.installed();
    world.delete(&igp());
    world.announce(1, FAR, &[PREFIX]);
    assert_eq!(world.installed(), there);
    world.slow = false;
    world.advance(SECOND);
    let received = Unresolved::Received(prefix(AROUND));
    assert_eq!(world.unresolved(FAR), Some(received));
    assert_eq!(world.installed(), there[..1]);
}

/// A search has taken the kernel ten seconds, so that there is none for a minute.
fn rest_long(world: &mut World) {
    let search = begin_search(world);
    world.now = world.now + 10 * SECOND;
    let found = world.kernel.search(&search);
    world.node.handle_found(world.now, Ok(found));
    world.settle();
    world.searched = 0;
}

#[test]
fn what_hid_a_next_hop_and_goes_is_a_reason_to_ask() {
    // What is behind changes, and all that is known of it is to be searched for, which is a minute away.
    let mut world = hidden();
    rest_long(&mut world);
    world.kernel.replace(&Object::Route(moved())).unwrap();
    while world.kernel.poll_event().is_some() {}
    world.node.handle_routes(world.now, [RouteNews::Changed]);
    world.wait();
    assert_eq!(world.installed(), by(ETH0));
    // When the route in front of it goes the kernel says where it is.
    world.asked = 0;
    world.withdraw(1, &[AROUND]);
    world.wait();
    assert_eq!(world.installed(), by(ETH1)[1..]);
    assert_eq!((world.asked, world.searched), (1, 0));
    // One that goes and hides nothing is none.
    world.announce(2, "198.51.100.77", &["10.9.0.0/17"]);
    world.wait();
    world.asked = 0;
    world.withdraw(2, &["10.9.0.0/17"]);
    world.wait();
    assert_eq!((world.asked, world.searched), (0, 0));
}

#[test]
fn a_list_that_is_outdated_is_not_believed() {
    let mut world = hidden();
    world.changes.clear();
    // The list is made while the route behind is away, and known after the news that it is back.
    let search = begin_search(&mut world);
    assert!(world.kernel.delete(&Key::Route(254, igp().prefix, 100)));
    let found = world.kernel.search(&search);
    assert!(found.all().iter().all(|r| r.protocol == 112));
    world.kernel.put(&Object::Route(igp())).unwrap();
    world.slow = true;
    world.wait();
    world.node.handle_found(world.now, Ok(found));
    world.slow = false;
    world.settle();
    assert_eq!(world.unresolved(FAR), None);
    // The next one begins when that one has rested.
    world.advance(10 * SECOND);
    assert_eq!(world.installed(), by(ETH0));
    assert_eq!(world.changes, [""; 0]);
    assert_eq!(world.searched, 1);
}

/// Which searches begin, each of which takes the kernel two seconds, while a next hop under cover comes in every one.
#[test]
fn new_next_hops_are_searched_for_soon_but_not_all_the_time() {
    let mut world = new_under_cover();
    let mut begun = Vec::new();
    for n in 10..20 {
        world.hear(1, &announcement(&format!("10.9.9.{n}"), &[PREFIX]));
        let (search, since) = wait_for_search(&mut world);
        begun.push(since.as_secs());
        world.now = world.now + 2 * SECOND;
        let found = world.kernel.search(&search);
        world.node.handle_found(world.now, Ok(found));
    }
    // Twice what the last one took, and longer from time to time up to the twentyfold.
    assert_eq!(begun, [0, 4, 8, 16, 32, 40, 4, 8, 16, 32]);
}

/// The next search, and how long it does not begin.
fn wait_for_search(world: &mut World) -> (RouteSearch, Duration) {
    let from = world.now;
    loop {
        world.keep_alive(1);
        world.keep_alive(2);
        while world.answer_lookups().is_some() {}
        if let Some(search) = world.node.poll_search(world.now) {
            return (search, world.now.since(from));
        }
        assert!(world.now.since(from) < 100 * SECOND, "no search begins");
        world.now = world.now + 100 * MILLISECOND;
        world.node.handle_timeout(world.now);
    }
}

/// The kernel is asked again, and a search begins that is not answered.
fn begin_search(world: &mut World) -> RouteSearch {
    world.node.handle_routes(world.now, [RouteNews::Lost]);
    world.now = world.now + 200 * MILLISECOND;
    while world.answer_lookups().is_some() {}
    world.node.poll_search(world.now).expect("a search")
}

#[test]
fn a_search_that_fails_gives_up_nothing() {
    let mut world = hidden();
    world.changes.clear();
    begin_search(&mut world);
    world
        .node
        .handle_found(world.now, Err("no buffer".to_owned()));
    assert_eq!(world.searched, 0);
    world.wait();
    assert_eq!(world.searched, 1);
    assert_eq!(world.installed(), by(ETH0));
    assert_eq!(world.changes, [""; 0]);
    assert_eq!(world.told, [""; 0]);
}

#[test]
fn searches_that_fail_are_told_once_and_repeated_seldom() {
    let mut world = new_under_cover();
    let there = world.installed();
    (world.slow, world.broken) = (false, true);
    world.announce(1, FAR, &[PREFIX]);
    world.advance(200 * MILLISECOND);
    // Two have failed, which may be chance.
    assert_eq!((world.searched, world.told.len()), (2, 0));
    assert_eq!(world.node.unsearched(world.now), None);
    assert_eq!(world.installed(), there);
    // 0.1, 0.2, 0.4, … seconds later.
    for _ in 0..4 {
        world.keep_alive(1);
        world.keep_alive(2);
        world.advance(30 * SECOND);
    }
    assert_eq!(world.searched, 11);
    let words = "next-hop.unsearched kernel: the kernel's routes cannot be searched: no buffer; 3 tries in 0 s";
    assert!(world.told[0].starts_with(words), "{:?}", world.told);
    let lasting = world.node.unsearched(world.now).expect("a problem");
    assert!(lasting.contains("no buffer; 11 tries in "), "{lasting}");
    // New ones lead nowhere by now; what was known holds.
    assert_eq!(world.unresolved(FAR), Some(Unresolved::Unsearched));
    assert_eq!(world.installed(), there[..1]);
    world.broken = false;
    for _ in 0..3 {
        world.keep_alive(1);
        world.keep_alive(2);
        world.advance(30 * SECOND);
    }
    assert_eq!(world.node.unsearched(world.now), None);
    assert_eq!(world.unresolved(FAR), None);
    let of_searches = |told: &&String| told.contains("search");
    let told: Vec<&String> = world.told.iter().filter(of_searches).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let again = "next-hop.searched kernel: the kernel's routes were searched again, after ";
    assert!(told[1].starts_with(again), "{told:?}");
}

#[test]
fn one_list_of_ipv6_routes_proves_nothing() {
    const HOP: &str = "2001:db8:9::9";
    let mut world = World::both();
    let igp = foreign("2001:db8:9::/48", "fe80::2", ETH0, 50);
    world.put(igp.clone());
    world.announce(1, HOP, &["2001:db8:9::/64"]);
    world.wait();
    let there = ["2001:db8:9::/64 via fe80::2 dev 2"];
    assert_eq!(world.installed(), there);
    for _ in 0..2 {
        begin_search(&mut world);
        // It is left out.
        world.node.handle_found(world.now, Ok(RouteList::default()));
        world.settle();
        assert_eq!(world.installed(), there);
        // And found again at the next look.
        world.wait();
        assert_eq!(world.unresolved(HOP), None);
    }
    world.delete(&igp);
    world.wait();
    world.wait();
    assert_eq!(world.installed(), [""; 0]);
}

#[test]
fn a_route_to_its_own_next_hop_does_not_flap() {
    let mut world = World::both();
    let igp = foreign("10.9.0.0/16", "198.51.100.254", ETH0, 100);
    world.put(igp.clone());
    let shown = |world: &World| world.installed();
    world.announce(1, FAR, &["10.9.9.0/24"]);
    let there = ["10.9.9.0/24 via 198.51.100.254 dev 2"];
    assert_eq!(shown(&world), there);
    world.changes.clear();
    // The kernel is asked for it again, and answers with our own route.
    world.scan();
    for _ in 0..20 {
        world.wait();
    }
    assert_eq!(
        (shown(&world), &world.changes[..]),
        (there.map(String::from).to_vec(), &[][..])
    );
    // What others do to the hidden route is followed all the same.
    let moved = foreign("10.9.0.0/16", "198.51.101.254", ETH1, 100);
    world.kernel.replace(&Object::Route(moved.clone())).unwrap();
    world.settle();
    world.wait();
    assert_eq!(shown(&world), ["10.9.9.0/24 via 198.51.101.254 dev 3"]);
    world.delete(&moved);
    world.wait();
    assert_eq!(shown(&world), [""; 0]);
    world.put(igp);
    world.wait();
    assert_eq!(shown(&world), there);
}

#[test]
fn a_received_route_leads_to_no_next_hop() {
    let mut world = World::both();
    world.announce(1, "198.51.100.254", &["10.9.0.0/16"]);
    world.announce(2, FAR, &[PREFIX]);
    world.wait();
    assert_eq!(world.installed(), ["10.9.0.0/16 via 198.51.100.254 dev 2"]);
    assert_eq!(
        world.unresolved(FAR),
        Some(Unresolved::Received(prefix("10.9.0.0/16")))
    );
    // With that gone, what lies behind it is seen.
    world.put(foreign("10.0.0.0/8", "198.51.101.254", ETH1, 0));
    world.withdraw(1, &["10.9.0.0/16"]);
    world.wait();
    assert_eq!(
        world.installed(),
        ["198.18.0.0/15 via 198.51.101.254 dev 3"]
    );
}
