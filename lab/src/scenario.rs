//! The main job as scenarios, each written once for two stages: [`Simulated`], on a virtual clock, and
//! [`Real`], the daemon itself in network namespaces with a second daemon as its fabric router.
//!
//! A scenario says what happens and what must be so in the end; the stage makes it happen and waits.

mod real;
mod simulated;

use std::collections::BTreeSet;

use tapway_model::Prefix;

pub use real::Real;
pub use simulated::Simulated;

use crate::sim::prefix;

/// One of our objects in the kernel, as somebody who removes it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// A claim's route.
    Route(&'static str),
    /// A permanent neighbour on an interface.
    Neighbour(&'static str, &'static str),
    /// A gateway address on an interface.
    Address(&'static str, &'static str),
}

/// A hypervisor with a fabric router, and hands that do things to it.
pub trait Stage {
    /// An interface appears, up and with carrier.
    fn plug(&mut self, interface: &str);
    /// An interface is deleted.
    fn unplug(&mut self, interface: &str);
    /// An interface is set up or down.
    fn set_up(&mut self, interface: &str, up: bool);
    /// An interface gains or loses carrier.
    fn set_carrier(&mut self, interface: &str, carrier: bool);
    /// An interface gets another name.
    fn rename(&mut self, from: &str, to: &str);
    /// An instance's file is written.
    fn put(&mut self, name: &str, interface: &str, addresses: &[&str]);
    /// An instance's file is deleted.
    fn delete(&mut self, name: &str);
    /// The directory of the files vanishes.
    fn lose_directory(&mut self);
    /// It comes back as it was.
    fn return_directory(&mut self);
    /// The daemon is killed.
    fn kill(&mut self);
    /// The daemon is started again.
    fn start(&mut self);
    /// Withdraws and removes everything; the daemon ends.
    fn shutdown(&mut self, message: &str);
    /// Somebody else removes one of our objects.
    fn remove_behind(&mut self, object: Ours);
    /// Whether one of our objects is there.
    fn has(&mut self, object: Ours) -> bool;
    /// Somebody else puts a route at a claim's place.
    fn put_foreign_route(&mut self, prefix: &str, interface: &str);
    /// Somebody else takes it away again.
    fn remove_foreign_route(&mut self, prefix: &str, interface: &str);
    /// Whether that route is there.
    fn has_foreign_route(&mut self, prefix: &str, interface: &str) -> bool;
    /// What the router has from the hypervisor's present session.
    fn announced(&mut self) -> BTreeSet<Prefix>;
    /// What the router has, also what it only keeps until the hypervisor is back.
    fn kept(&mut self) -> BTreeSet<Prefix>;
    /// Our routes in the hypervisor's kernel.
    fn wired(&mut self) -> BTreeSet<Prefix>;
    /// Whether the start-up grace is over and every source has spoken.
    fn settled(&mut self) -> bool;
    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// When it does not within the stage's patience.
    fn until(&mut self, what: &str, condition: &mut dyn FnMut(&mut Self) -> bool)
    where
        Self: Sized;
}

const V4: &str = "203.0.113.1/32";
const V6: &str = "2001:db8:7100::/64";

fn set(prefixes: &[&str]) -> BTreeSet<Prefix> {
    prefixes.iter().map(|p| prefix(p)).collect()
}

fn announced<S: Stage>(stage: &mut S, prefixes: &[&str]) {
    let wanted = set(prefixes);
    stage.until(&format!("announced: {prefixes:?}"), &mut |s| {
        s.announced() == wanted
    });
}

fn wired<S: Stage>(stage: &mut S, prefixes: &[&str]) {
    let wanted = set(prefixes);
    stage.until(&format!("wired: {prefixes:?}"), &mut |s| {
        s.wired() == wanted
    });
}

fn web1<S: Stage>(stage: &mut S) {
    stage.plug("tap0");
    stage.put("web1", "tap0", &["203.0.113.1", V6]);
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
}

/// Wired and announced when it appears, withdrawn and unwired when it goes.
pub fn comes_and_goes<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.delete("web1");
    announced(stage, &[]);
    wired(stage, &[]);
}

/// A claim waits for its interface.
pub fn waits_for_its_interface<S: Stage>(stage: &mut S) {
    stage.put("web1", "tap0", &["203.0.113.1", V6]);
    stage.plug("tap1");
    stage.put("web2", "tap1", &["203.0.113.2"]);
    announced(stage, &["203.0.113.2/32"]);
    stage.plug("tap0");
    announced(stage, &[V4, V6, "203.0.113.2/32"]);
}

/// Lost carrier and a link that is down stop the announcement; routes are put back.
pub fn link_flaps<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.set_carrier("tap0", false);
    announced(stage, &[]);
    stage.set_carrier("tap0", true);
    announced(stage, &[V4, V6]);
    stage.set_up("tap0", false);
    announced(stage, &[]);
    stage.set_up("tap0", true);
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
    stage.until("the neighbour is back", &mut |s| {
        s.has(Ours::Neighbour("203.0.113.1", "tap0"))
    });
}

/// An interface that is made again has another index.
pub fn recreated<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.unplug("tap0");
    announced(stage, &[]);
    wired(stage, &[]);
    stage.plug("tap0");
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
}

/// A claim names its interface: one that is called otherwise is not it.
pub fn renamed<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.rename("tap0", "tap9");
    announced(stage, &[]);
    stage.rename("tap9", "tap0");
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
}

/// What others remove is put back, without a scan.
pub fn repaired<S: Stage>(stage: &mut S) {
    web1(stage);
    for object in [
        Ours::Route(V4),
        Ours::Neighbour("203.0.113.1", "tap0"),
        Ours::Address("169.254.0.1", "tap0"),
    ] {
        assert!(stage.has(object), "{object:?} was there");
        stage.remove_behind(object);
        stage.until(&format!("{object:?} is back"), &mut |s| s.has(object));
    }
    announced(stage, &[V4, V6]);
}

/// A killed daemon loses nothing; what was deleted meanwhile goes after the grace.
pub fn dies_and_comes_back<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.plug("tap1");
    stage.put("web2", "tap1", &["203.0.113.2"]);
    announced(stage, &[V4, V6, "203.0.113.2/32"]);
    stage.until("settled", &mut |s| s.settled());
    stage.kill();
    stage.delete("web2");
    let all = set(&[V4, V6, "203.0.113.2/32"]);
    assert_eq!(stage.kept(), all, "the router keeps what it had");
    assert_eq!(stage.wired(), all, "so does the kernel");
    stage.start();
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
    stage.until("no stale route is left", &mut |s| {
        s.kept() == set(&[V4, V6])
    });
}

/// A source that is gone withdraws nothing, also not across a restart.
pub fn dead_source<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.until("settled", &mut |s| s.settled());
    stage.lose_directory();
    stage.kill();
    stage.start();
    announced(stage, &[V4, V6]);
    stage.until("the grace is over", &mut |s| s.settled());
    announced(stage, &[V4, V6]);
    wired(stage, &[V4, V6]);
    stage.return_directory();
    stage.delete("web1");
    announced(stage, &[]);
    wired(stage, &[]);
}

/// A route of somebody else's is never touched, and ours follows when it goes.
pub fn foreign_route<S: Stage>(stage: &mut S) {
    stage.plug("tap0");
    stage.put_foreign_route(V4, "tap0");
    stage.put("web1", "tap0", &["203.0.113.1", V6]);
    announced(stage, &[V6]);
    assert!(stage.has_foreign_route(V4, "tap0"));
    stage.remove_foreign_route(V4, "tap0");
    announced(stage, &[V4, V6]);
}

/// `tapway shutdown` leaves nothing behind.
pub fn leaves<S: Stage>(stage: &mut S) {
    web1(stage);
    stage.shutdown("maintenance");
    stage.until("withdrawn", &mut |s| s.kept().is_empty());
    wired(stage, &[]);
    assert!(!stage.has(Ours::Address("169.254.0.1", "tap0")));
    assert!(!stage.has(Ours::Neighbour("203.0.113.1", "tap0")));
}
