//! The scenarios on a virtual clock, and what only a simulation can see: what was not done, and what
//! happens in ten minutes. The same scenarios with the real daemon: `namespace_scenarios.rs`.

use std::time::Duration;

use tapway_fib::{Key, Object};
use tapway_intent::SourceEvent;
use tapway_lab::scenario::{self, Simulated};
use tapway_lab::sim::{World, WorldConfig, instance, prefix};
use tapway_node::Start;

macro_rules! on_the_simulated_stage {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            scenario::$name(&mut Simulated::new());
        })*
    };
}

on_the_simulated_stage!(
    comes_and_goes,
    waits_for_its_interface,
    link_flaps,
    recreated,
    renamed,
    repaired,
    dies_and_comes_back,
    dead_source,
    foreign_route,
    leaves,
);

fn web1() -> tapway_model::Instance {
    instance("web1", "tap0", &["203.0.113.1", "2001:db8:7100::/64"])
}

fn world_with_web1() -> World {
    let mut world = World::new(WorldConfig::default());
    assert!(world.is_established());
    world.plug("tap0");
    world.list("files", &[web1()]);
    world.advance(Duration::from_millis(10));
    world
}

#[test]
fn what_is_removed_behind_its_back_is_put_back() {
    let mut world = world_with_web1();
    world.events.clear();
    for key in [
        Key::Route(254, prefix("203.0.113.1/32"), 10),
        Key::Neighbour(world.index("tap0").unwrap(), "203.0.113.1".parse().unwrap()),
        Key::Address(
            world.index("tap0").unwrap(),
            "169.254.0.1".parse().unwrap(),
            32,
        ),
    ] {
        assert!(world.kernel.delete(&key), "{key:?} was there");
        world.advance(Duration::from_millis(5));
        assert!(world.kernel.object(&key).is_some(), "{key:?} is back");
    }
    // The kernel flushes an interface's neighbours with its last IPv4 address, so one is repaired twice.
    let repaired: std::collections::BTreeSet<_> = world
        .events
        .iter()
        .filter(|e| e.kind == "kernel.repaired")
        .map(|e| e.text.clone())
        .collect();
    assert_eq!(repaired.len(), 3, "{repaired:#?}");
    assert_eq!(world.received().len(), 2);
}

#[test]
fn a_restart_changes_nothing_in_the_kernel_and_loses_no_route() {
    let mut world = world_with_web1();
    world.kill();
    world.advance(Duration::from_secs(3));
    assert_eq!(world.received().len(), 2, "kept as stale");
    assert!(world.fresh().is_empty());
    world.changes.clear();
    world.start(Start::Warm);
    world.advance(Duration::from_secs(10));
    assert!(world.is_established());
    assert_eq!(world.changes, [], "adopted as it was");
    assert_eq!(world.fresh().len(), 2, "announced before any source spoke");
    // The directory is gone: nothing is withdrawn, however long it takes.
    world.say("files", SourceEvent::Dead("no such directory".into()));
    world.advance(Duration::from_secs(600));
    assert_eq!(world.fresh().len(), 2);
    assert_eq!(world.wired().len(), 2);
}

#[test]
fn what_nobody_claims_after_a_restart_goes_after_the_grace() {
    let mut world = world_with_web1();
    world.list(
        "files",
        &[web1(), instance("web2", "tap0b", &["203.0.113.2"])],
    );
    world.plug("tap0b");
    world.advance(Duration::from_millis(5));
    assert_eq!(world.received().len(), 3);
    world.kill();
    world.start(Start::Warm);
    world.advance(Duration::from_secs(8));
    world.list("files", &[web1()]);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.fresh().len(), 3, "the grace of 30 s is not over");
    world.advance(Duration::from_secs(25));
    assert_eq!(world.received().len(), 2);
    assert_eq!(world.wired().len(), 2);
    assert!(
        world
            .router()
            .received(&"hv".parse().unwrap())
            .all(|r| !r.stale)
    );
}

#[test]
fn shutdown_withdraws_then_removes_everything_and_restores_sysctls() {
    let mut world = world_with_web1();
    let now = world.now;
    world.node().shutdown(now, "maintenance");
    world.advance(Duration::from_secs(1));
    assert!(world.received().is_empty());
    assert_eq!(world.wired().len(), 2, "unwired after the goodbye");
    let now = world.now;
    world.node().unwire(now);
    world.advance(Duration::from_secs(1));
    assert!(world.wired().is_empty());
    assert!(
        !world
            .kernel
            .objects()
            .any(|o| matches!(o, Object::Address(a) if a.protocol == 112))
    );
    assert_eq!(world.kernel.sysctl("ipv4/conf/all/forwarding"), Some("0"));
    let down = world
        .router()
        .peers()
        .next()
        .unwrap()
        .last_received
        .unwrap()
        .1;
    assert_eq!(down.message.as_deref(), Some("maintenance"));
}

#[test]
fn a_received_default_stays_in_the_kernel_across_a_restart() {
    let sources = [("files".parse().unwrap(), Duration::ZERO)].into();
    let mut world = World::new(WorldConfig {
        router_announces_default: true,
        sources,
        ..WorldConfig::default()
    });
    world.list("files", &[]);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.wired(), [prefix("0.0.0.0/0")].into());
    world.kill();
    world.changes.clear();
    world.start(Start::Warm);
    // Every source has spoken and no grace is left, but the session is not up yet.
    world.list("files", &[]);
    assert!(world.node().settled());
    world.advance(Duration::from_secs(60));
    assert!(world.is_established());
    assert_eq!(world.changes, [], "neither removed nor put back");
    assert_eq!(world.wired(), [prefix("0.0.0.0/0")].into());
}

/// More received routes than one turn takes to the kernel.
#[test]
fn a_table_of_routes_goes_to_the_kernel_and_out_again() {
    let mut world = World::new(WorldConfig {
        router_announces_default: true,
        ..WorldConfig::default()
    });
    world.import_all();
    let all: Vec<_> = (0..2000)
        .map(|n| prefix(&format!("10.{}.{}.0/24", n >> 8, n & 255)))
        .collect();
    let second = Duration::from_secs(1);
    world.advance(second);
    assert_eq!(world.wired().len(), 1, "the default");
    world.router_has(all.iter().copied(), true);
    world.advance(second);
    assert_eq!(world.wired().len(), 2001);
    assert_eq!(world.node().imported(tapway_model::Family::Ipv4), 2001);
    // What changes meanwhile is not lost.
    world.router_has(all[..1000].iter().copied(), false);
    world.router_has(all[..10].iter().copied(), true);
    world.advance(second);
    assert_eq!(world.wired().len(), 1011);
    // A new process holds them until the router has sent them again; then what it no longer has goes.
    world.kill();
    world.router_has(all[1000..1500].iter().copied(), false);
    world.start(Start::Warm);
    assert_eq!(world.wired().len(), 1011);
    world.import_all();
    world.advance(10 * second);
    assert!(world.is_established());
    assert_eq!(world.wired().len(), 511);
    let now = world.now;
    world.node().shutdown(now, "maintenance");
    world.advance(second);
    let now = world.now;
    world.node().unwire(now);
    world.advance(second);
    assert_eq!(world.wired().len(), 0);
}
