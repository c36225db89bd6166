//! What an operator is told of next hops that are lost and found again.

use crate::world::*;

fn igp() -> tapway_fib::Route {
    foreign("10.9.0.0/16", "198.51.100.254", ETH0, 30)
}

#[test]
fn a_loss_says_why_and_what_hangs_on_it() {
    let mut world = World::both();
    world.put(igp());
    world.announce(1, FAR, &[PREFIX, "198.20.0.0/16"]);
    world.announce(2, "198.51.101.77", &["198.22.0.0/15"]);
    world.wait();
    // That they came is no news.
    assert_eq!(world.told, [""; 0]);
    world.delete(&igp());
    world.wait();
    assert_eq!(
        std::mem::take(&mut world.told),
        [
            "next-hop.lost 10.9.9.9: nothing leads to it any more: the kernel has no route to it; 2 routes by it are not eligible"
        ]
    );
    world.put(igp());
    world.wait();
    assert_eq!(
        std::mem::take(&mut world.told),
        [
            "next-hop.found 10.9.9.9: reached again by the kernel's route 10.9.0.0/16 over eth0, metric 30; 2 routes by it are eligible"
        ]
    );
    // Another way is none.
    world.put(foreign("10.9.9.0/24", "198.51.101.254", ETH1, 5));
    world.wait();
    assert_eq!(world.told, [""; 0]);
    world.kernel.set_carrier(ETH1, false);
    world.wait();
    assert_eq!(
        world.told,
        [
            "next-hop.lost 10.9.9.9: nothing leads to it any more: no interface of the kernel's route 10.9.9.0/24 carries packets; 2 routes by it are not eligible",
            "next-hop.lost 198.51.101.77: nothing leads to it any more: the kernel has no route to it, and eth1 carries no packets; 1 route by it is not eligible",
        ]
    );
    world.told.clear();
    world.kernel.set_carrier(ETH1, true);
    world.wait();
    assert_eq!(
        world.told[1],
        "next-hop.found 198.51.101.77: reached again on eth1; 1 route by it is eligible"
    );
}

#[test]
fn one_that_no_route_has_any_more_is_no_loss() {
    let mut world = World::both();
    world.put(igp());
    world.announce(1, FAR, &[PREFIX]);
    world.withdraw(1, &[PREFIX]);
    world.delete(&igp());
    world.wait();
    assert_eq!(world.told, [""; 0]);
}

#[test]
fn many_at_once_are_counted() {
    let mut world = World::both();
    world.put(igp());
    for n in 0..100 {
        let to = format!("198.18.{n}.0/24");
        world.announce(1, &format!("10.9.9.{n}"), &[&to]);
    }
    world.wait();
    world.delete(&igp());
    world.wait();
    assert_eq!(world.told.len(), 10);
    world.put(igp());
    world.wait();
    assert_eq!(world.told.len(), 10);
    world.advance(10 * SECOND);
    assert_eq!(
        world.told[10..],
        [
            "next-hop.lost next hops: 90 more lost and 100 more found again; tapway route list --received PEER shows which are not eligible"
        ]
    );
    // However long it goes on, it is not more than eleven in ten seconds.
    world.told.clear();
    for n in 0..100 {
        match n % 2 {
            0 => world.delete(&igp()),
            _ => world.put(igp()),
        }
        world.advance(SECOND);
        world.keep_alive(1);
        world.keep_alive(2);
    }
    assert!(
        (100..=121).contains(&world.told.len()),
        "{}",
        world.told.len()
    );
    let kinds = ["next-hop.lost", "next-hop.found"];
    let known = |told: &String| kinds.iter().any(|kind| told.starts_with(kind));
    assert!(world.told.iter().all(known), "{:?}", world.told);
    // When all is calm again, the last ones are counted, and then nothing is told.
    world.advance(10 * SECOND);
    world.told.clear();
    world.advance(30 * SECOND);
    assert_eq!(world.told, [""; 0]);
}
