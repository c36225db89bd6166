//! Ten thousand next hops, each hidden by what its own router announces: what a list of the kernel's routes costs.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tapway_fib::Route;
use tapway_model::Prefix;

use crate::world::*;

const MANY: u32 = 10_000;

fn hop(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a09_0000 + n).into()
}

fn to(n: u32) -> Prefix {
    Prefix::host(Ipv4Addr::from(0xc612_0000 + n).into())
}

/// Another program's route to a next hop.
fn behind(addr: IpAddr) -> Route {
    let to = Prefix::host(addr).to_string();
    foreign(&to, "198.51.100.254", ETH0, 100)
}

/// The received one in front of it.
fn in_front(addr: IpAddr) -> Route {
    Route {
        protocol: 112,
        metric: 20,
        ..behind(addr)
    }
}

/// The kernel names received routes.
fn answer(world: &mut World) {
    while let Some(asked) = world.node.poll_lookups(world.now) {
        let answers = asked.into_iter().map(|a| (a, Ok(Some(in_front(a)))));
        world.node.handle_lookups(world.now, answers);
    }
}

fn known(world: &World) -> usize {
    let known = |n: &u32| world.node.next_hop(&hop(*n)).is_some();
    (0..MANY).filter(known).count()
}

#[test]
fn a_long_list_is_taken_in_slices() {
    let mut world = World::both();
    for n in 0..MANY {
        let message = announcement(&hop(n).to_string(), &[&to(n).to_string()]);
        world.hear(1, &message);
        answer(&mut world);
    }
    let search = world.node.poll_search(world.now).expect("a search");
    assert_eq!((search.addrs.len(), known(&world)), (MANY as usize, 0));
    let found: Vec<Route> = (0..MANY).map(|n| behind(hop(n))).collect();
    let found = found.into();
    let mut times: Vec<Duration> = Vec::new();
    let mut slices = Vec::new();
    let mut timed = |world: &mut World, turn: &mut dyn FnMut(&mut World)| {
        let (before, begun) = (known(world), Instant::now());
        turn(world);
        times.push(begun.elapsed());
        slices.push(known(world) - before);
    };
    let mut found = Some(found);
    timed(&mut world, &mut |world| {
        let found = found.take().expect("a list");
        world.node.handle_found(world.now, Ok(found));
    });
    while known(&world) < MANY as usize {
        assert!(world.node.poll_timeout().is_some_and(|at| at <= world.now));
        timed(&mut world, &mut |world| {
            world.node.handle_timeout(world.now)
        });
    }
    let longest = times.iter().max().expect("a turn");
    eprintln!(
        "{} turns for {MANY} next hops, {:?} together, {longest:?} at most",
        times.len(),
        times.iter().sum::<Duration>()
    );
    assert!(slices.iter().all(|n| *n <= 256), "{slices:?}");
}
