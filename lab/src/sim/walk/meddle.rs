//! What links and other programs do to the kernel.

use tapway_fib::{Address, IfIndex, Key, Neighbour, NextHop, Object, Route, RouteKind, Rule};
use tapway_model::{IfName, Prefix};

use super::{Walk, content};
use crate::sim::model::{OURS, protocol};
use crate::sim::watch::FORWARDING;
use crate::sim::{ROUTER_ADDR, prefix};

/// Another program's protocol number.
const THEIRS: u8 = 4;

impl Walk {
    /// One thing happens to the kernel, or several in one breath; perhaps the monitor loses count.
    pub(super) fn meddle(&mut self) -> String {
        let times = [1, 1, 1, 2, 4][self.dice.roll(5) as usize];
        let mut what: Vec<String> = (0..times).map(|_| self.meddle_once()).collect();
        if self.dice.once_in(8) {
            self.count("step: messages lost");
            self.world.kernel.lose_events();
            what.push("the monitor loses its messages".to_owned());
        }
        self.world.settle();
        what.join("; ")
    }

    fn meddle_once(&mut self) -> String {
        match self.dice.roll(20) {
            0..11 => self.change_link(),
            11..14 => self.delete_ours(),
            14 | 15 => self.take_over(),
            16 => self.put_elsewhere(),
            17 | 18 => self.delete_theirs(),
            _ => self.set_sysctl(),
        }
    }

    fn change_link(&mut self) -> String {
        let name = self.dice.pick(&content::INTERFACES).unwrap_or("tap0");
        let Some(index) = self.world.index(name) else {
            // One that was renamed comes back, or another is made.
            let away = self.world.index(&format!("{name}-away"));
            if let Some(index) = away.filter(|_| self.dice.once_in(2)) {
                return self.rename(index, name);
            }
            return self.add_link(name);
        };
        match self.dice.roll(10) {
            0 => {
                self.count("link: deleted");
                self.world.kernel.delete_link(index);
                format!("{name} is deleted")
            }
            1 => {
                self.world.kernel.delete_link(index);
                format!("{name} is deleted, {}", self.add_link(name))
            }
            2 => self.rename(index, &format!("{name}-away")),
            3..6 => {
                self.count("link: carrier");
                let link = self.world.kernel.link(index);
                let carrier = !link.is_some_and(|link| link.carrier);
                self.world.kernel.set_carrier(index, carrier);
                format!("{name} {} carrier", if carrier { "gets" } else { "loses" })
            }
            _ => {
                self.count("link: up or down");
                let up = !self.world.kernel.link(index).is_some_and(|link| link.up);
                self.world.kernel.set_up(index, up);
                format!("{name} goes {}", if up { "up" } else { "down" })
            }
        }
    }

    fn add_link(&mut self, name: &str) -> String {
        self.count("link: added");
        let kernel = &mut self.world.kernel;
        let index = kernel.add_link(if_name(name));
        let (up, carrier) = (!self.dice.once_in(5), !self.dice.once_in(5));
        kernel.set_up(index, up);
        kernel.set_carrier(index, carrier);
        format!("{name} is made with index {index}, up {up}, carrier {carrier}")
    }

    fn rename(&mut self, index: IfIndex, to: &str) -> String {
        if self.world.index(to).is_some() {
            return format!("there is a {to} already");
        }
        self.count("link: renamed");
        self.world.kernel.rename(index, if_name(to));
        format!("interface {index} is {to} now")
    }

    fn delete_ours(&mut self) -> String {
        let ours = |object: &&Object| protocol(object) == Some(OURS);
        let ours: Vec<Key> = (self.world.kernel.objects().filter(ours))
            .map(Object::key)
            .collect();
        let Some(key) = self.dice.pick(&ours) else {
            return "there is nothing of ours to delete".to_owned();
        };
        self.count("meddle: ours deleted");
        self.world.kernel.delete(&key);
        format!("somebody deletes {key:?}")
    }

    /// Somebody puts an object where one of ours is or should be.
    fn take_over(&mut self) -> String {
        let due: Vec<Object> = self.due.must.values().cloned().collect();
        let Some(mut object) = self.dice.pick(&due) else {
            return "nothing is due to be taken over".to_owned();
        };
        let theirs = self.dice.once_in(2);
        match &mut object {
            Object::Address(Address { protocol, .. }) | Object::Rule(Rule { protocol, .. }) => {
                *protocol = THEIRS;
            }
            Object::Route(route) => {
                route.protocol = THEIRS;
                if theirs {
                    route.kind = RouteKind::Blackhole;
                    route.scope = 0;
                    route.next_hops.clear();
                }
            }
            Object::Neighbour(Neighbour {
                protocol,
                state,
                mac,
                ..
            }) => {
                (*protocol, *mac) = (0, Some([2, 0, 0, 0, 0, 9]));
                // Learned, or somebody's.
                *state = if theirs { 0x80 } else { 0x02 };
            }
            Object::Sysctl(_) => {}
        }
        self.count("meddle: ours taken over");
        let result = self.world.kernel.replace(&object);
        format!("somebody puts {object:?}: {result:?}")
    }

    /// Somebody puts an object that is no business of ours, or a default route.
    fn put_elsewhere(&mut self) -> String {
        let Some(eth0) = self.world.index("eth0") else {
            return "there is no eth0".to_owned();
        };
        let default = self.dice.once_in(2);
        let to = match default {
            true => Prefix::DEFAULT_V4,
            false => prefix("100.64.0.1/32"),
        };
        let metric = self.dice.pick(&[10, 20, 100]).unwrap_or(10);
        let object = Object::Route(Route {
            table: 254,
            prefix: to,
            metric,
            kind: RouteKind::Unicast,
            scope: 0,
            next_hops: vec![NextHop {
                index: eth0,
                via: Some(ROUTER_ADDR.into()),
                onlink: false,
                weight: 1,
            }],
            prefsrc: None,
            protocol: THEIRS,
        });
        self.count("meddle: theirs put");
        let result = self.world.kernel.put(&object);
        format!("somebody puts {to} with metric {metric}: {result:?}")
    }

    fn delete_theirs(&mut self) -> String {
        let eth0 = self.world.index("eth0");
        let theirs = |object: &&Object| {
            let uplink = matches!(object, Object::Address(a) if Some(a.index) == eth0);
            protocol(object) != Some(OURS) && !uplink
        };
        let theirs: Vec<Key> = (self.world.kernel.objects().filter(theirs))
            .map(Object::key)
            .collect();
        let Some(key) = self.dice.pick(&theirs) else {
            return "there is nothing of theirs to delete".to_owned();
        };
        self.count("meddle: theirs deleted");
        self.world.kernel.delete(&key);
        format!("somebody deletes their {key:?}")
    }

    fn set_sysctl(&mut self) -> String {
        let path = self.dice.pick(&FORWARDING).unwrap_or(FORWARDING[0]);
        self.count("meddle: sysctl");
        self.world.kernel.set_sysctl(path, "0");
        format!("somebody sets {path} to 0")
    }
}

fn if_name(name: &str) -> IfName {
    IfName::new(name).expect("a name for an interface")
}
