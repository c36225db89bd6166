//! The stage on a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapway_fib::{IfIndex, Key, NextHop, Object, Route, RouteKind};
use tapway_intent::SourceEvent;
use tapway_model::{Instance, InstanceName, Prefix};
use tapway_node::{CLAIM_METRIC, Start};

use super::{Ours, Stage};
use crate::sim::{World, WorldConfig, instance, prefix};

/// How long a condition may take in virtual time; a foreign route is looked at again within 30 s.
const PATIENCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(50);

/// One simulated hypervisor.
pub struct Simulated {
    /// The world, for what only a simulation can ask.
    pub world: World,
    files: BTreeMap<String, Instance>,
    directory: bool,
}

impl Simulated {
    /// A hypervisor with an established session, whose source `files` has listed an empty directory.
    pub fn new() -> Simulated {
        let grace = Duration::from_secs(2);
        let sources = [("files", grace), ("api", Duration::ZERO)];
        let mut world = World::new(WorldConfig {
            sources: sources
                .map(|(name, grace)| (name.parse().expect("a plain name"), grace))
                .into(),
            ..WorldConfig::default()
        });
        world.list("files", &[]);
        Simulated {
            world,
            files: BTreeMap::new(),
            directory: true,
        }
    }

    fn index(&self, interface: &str) -> IfIndex {
        self.world
            .index(interface)
            .unwrap_or_else(|| panic!("there is no interface {interface}"))
    }

    fn tell(&mut self, event: SourceEvent) {
        if self.world.is_running() && self.directory {
            self.world.say("files", event);
        }
        self.world.settle();
    }

    fn list(&mut self) {
        let all: Vec<Instance> = self.files.values().cloned().collect();
        self.world.list("files", &all);
    }

    fn key(&self, object: Ours) -> Option<Key> {
        Some(match object {
            Ours::Route(text) => Key::Route(254, prefix(text), CLAIM_METRIC),
            Ours::Neighbour(addr, on) => Key::Neighbour(self.world.index(on)?, addr.parse().ok()?),
            Ours::Address(addr, on) => Key::Address(self.world.index(on)?, addr.parse().ok()?, 32),
        })
    }

    fn foreign(&self, text: &str, interface: &str) -> Object {
        Object::Route(Route {
            table: 254,
            prefix: prefix(text),
            metric: CLAIM_METRIC,
            kind: RouteKind::Unicast,
            scope: 253,
            next_hops: vec![NextHop {
                index: self.index(interface),
                via: None,
                onlink: false,
                weight: 1,
            }],
            prefsrc: None,
            protocol: 4,
        })
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Simulated::new()
    }
}

impl Stage for Simulated {
    fn plug(&mut self, interface: &str) {
        self.world.plug(interface);
    }

    fn unplug(&mut self, interface: &str) {
        let index = self.index(interface);
        self.world.kernel.delete_link(index);
        self.world.settle();
    }

    fn set_up(&mut self, interface: &str, up: bool) {
        let index = self.index(interface);
        self.world.kernel.set_up(index, up);
        self.world.settle();
    }

    fn set_carrier(&mut self, interface: &str, carrier: bool) {
        let index = self.index(interface);
        self.world.kernel.set_carrier(index, carrier);
        self.world.settle();
    }

    fn rename(&mut self, from: &str, to: &str) {
        let index = self.index(from);
        self.world
            .kernel
            .rename(index, to.parse().expect("an interface name"));
        self.world.settle();
    }

    fn put(&mut self, name: &str, interface: &str, addresses: &[&str]) {
        let instance = instance(name, interface, addresses);
        self.files.insert(name.to_owned(), instance.clone());
        self.tell(SourceEvent::Put(instance.into()));
    }

    fn delete(&mut self, name: &str) {
        self.files.remove(name);
        self.tell(SourceEvent::Gone(
            InstanceName::new(name).expect("an instance name"),
        ));
    }

    fn lose_directory(&mut self) {
        self.tell(SourceEvent::Dead("no such directory".into()));
        self.directory = false;
    }

    fn return_directory(&mut self) {
        self.directory = true;
        self.list();
    }

    fn kill(&mut self) {
        self.world.kill();
    }

    fn start(&mut self) {
        self.world.start(Start::Warm);
        if self.directory {
            self.list();
        } else {
            self.world
                .say("files", SourceEvent::Dead("no such directory".into()));
        }
    }

    fn shutdown(&mut self, message: &str) {
        let now = self.world.now;
        self.world.node().shutdown(now, message);
        self.world.advance(STEP);
        let now = self.world.now;
        self.world.node().unwire(now);
        self.world.settle();
    }

    fn remove_behind(&mut self, object: Ours) {
        let key = self.key(object).expect("it is on an interface");
        assert!(self.world.kernel.delete(&key), "{object:?} was there");
        self.world.settle();
    }

    fn has(&mut self, object: Ours) -> bool {
        self.key(object)
            .is_some_and(|key| self.world.kernel.object(&key).is_some())
    }

    fn put_foreign_route(&mut self, prefix: &str, interface: &str) {
        let route = self.foreign(prefix, interface);
        self.world.kernel.put(&route).expect("the place is free");
        self.world.settle();
    }

    fn remove_foreign_route(&mut self, prefix: &str, interface: &str) {
        let key = self.foreign(prefix, interface).key();
        assert!(self.world.kernel.delete(&key));
        self.world.settle();
    }

    fn has_foreign_route(&mut self, prefix: &str, interface: &str) -> bool {
        let route = self.foreign(prefix, interface);
        self.world.kernel.object(&route.key()) == Some(&route)
    }

    fn announced(&mut self) -> BTreeSet<Prefix> {
        self.world.fresh()
    }

    fn kept(&mut self) -> BTreeSet<Prefix> {
        self.world.received()
    }

    fn wired(&mut self) -> BTreeSet<Prefix> {
        self.world.wired()
    }

    fn settled(&mut self) -> bool {
        self.world.node().settled()
    }

    fn until(&mut self, what: &str, condition: &mut dyn FnMut(&mut Self) -> bool) {
        let end = self.world.now + PATIENCE;
        while !condition(self) {
            assert!(
                self.world.now < end,
                "not within {PATIENCE:?} of virtual time: {what}; announced {:?}, wired {:?}",
                self.world.fresh(),
                self.world.wired()
            );
            self.world.advance(STEP);
        }
    }
}
