//! One hypervisor on a virtual clock: the main job, fault by fault.

use std::time::Duration;

use tapway_fib::{Key, Object};
use tapway_intent::SourceEvent;
use tapway_lab::sim::{World, WorldConfig, instance, prefix};
use tapway_model::InstanceName;
use tapway_node::Start;

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
fn a_claim_is_wired_then_announced_and_withdrawn_when_it_goes() {
    let mut world = world_with_web1();
    let both = [prefix("203.0.113.1/32"), prefix("2001:db8:7100::/64")].into();
    assert_eq!(world.received(), both);
    assert_eq!(world.wired(), both);
    let sysctl = |world: &World, path: &str| world.kernel.sysctl(path).map(str::to_owned);
    assert_eq!(
        sysctl(&world, "ipv4/conf/all/forwarding").as_deref(),
        Some("1")
    );
    assert_eq!(
        sysctl(&world, "ipv6/conf/all/forwarding").as_deref(),
        Some("1")
    );
    world.say(
        "files",
        SourceEvent::Gone(InstanceName::new("web1").unwrap()),
    );
    world.advance(Duration::from_millis(10));
    assert!(world.received().is_empty());
    // Nothing of ours is pruned before the grace is over, but a claim that was taken back is gone.
    assert!(world.wired().is_empty());
}

#[test]
fn a_claim_waits_for_its_interface() {
    let mut world = World::new(WorldConfig::default());
    world.list("files", &[web1()]);
    world.advance(Duration::from_secs(1));
    assert!(world.received().is_empty());
    world.plug("tap0");
    world.advance(Duration::from_millis(10));
    assert_eq!(world.received().len(), 2);
}

#[test]
fn lost_carrier_and_a_downed_link_withdraw_at_once_and_come_back() {
    let mut world = world_with_web1();
    let tap0 = world.index("tap0").unwrap();
    world.kernel.set_carrier(tap0, false);
    world.advance(Duration::from_millis(5));
    assert!(world.received().is_empty());
    world.kernel.set_carrier(tap0, true);
    world.advance(Duration::from_millis(5));
    assert_eq!(world.received().len(), 2);
    world.kernel.set_up(tap0, false);
    world.advance(Duration::from_millis(5));
    assert!(world.received().is_empty());
    world.kernel.set_up(tap0, true);
    world.advance(Duration::from_millis(5));
    assert_eq!(world.received().len(), 2);
    assert_eq!(world.wired().len(), 2);
}

#[test]
fn a_recreated_interface_gets_its_routes_back() {
    let mut world = world_with_web1();
    let old = world.index("tap0").unwrap();
    world.kernel.delete_link(old);
    world.advance(Duration::from_millis(5));
    assert!(world.received().is_empty());
    let new = world.plug("tap0");
    assert_ne!(old, new);
    world.advance(Duration::from_millis(5));
    assert_eq!(world.received().len(), 2);
    assert_eq!(world.wired().len(), 2);
}

#[test]
fn a_renamed_interface_takes_its_claims_along() {
    let mut world = world_with_web1();
    let index = world.index("tap0").unwrap();
    world.kernel.rename(index, "tap9".parse().unwrap());
    world.advance(Duration::from_millis(5));
    assert!(
        world.received().is_empty(),
        "the claim names tap0, which is gone"
    );
    world.kernel.rename(index, "tap0".parse().unwrap());
    world.advance(Duration::from_millis(5));
    assert_eq!(world.received().len(), 2);
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
fn a_foreign_route_is_never_touched() {
    let mut world = World::new(WorldConfig::default());
    let tap0 = world.plug("tap0");
    let foreign = Object::Route(tapway_fib::Route {
        table: 254,
        prefix: prefix("203.0.113.1/32"),
        metric: 10,
        kind: tapway_fib::RouteKind::Unicast,
        scope: 253,
        next_hops: vec![tapway_fib::NextHop {
            index: tap0,
            via: None,
            onlink: false,
            weight: 1,
        }],
        prefsrc: None,
        protocol: 4,
    });
    world.kernel.put(&foreign).unwrap();
    world.list("files", &[web1()]);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.kernel.object(&foreign.key()), Some(&foreign));
    assert_eq!(world.received(), [prefix("2001:db8:7100::/64")].into());
    world.kernel.delete(&foreign.key());
    world.advance(Duration::from_secs(60));
    assert_eq!(world.received().len(), 2);
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
