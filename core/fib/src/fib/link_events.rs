//! What the kernel tells of links, and what it does to objects on them without telling.

use alloc::format;
use alloc::sync::Arc;

use tapway_model::{Family, IfName, Instant};

use super::Fib;
use super::index::legs;
use super::scan::Gone;
use crate::bulk::whole_key;
use crate::compare::normal;
use crate::slot::SlotId;
use crate::{IfIndex, Key, Link, LinkChange, Notice, Object, Route};

impl Fib {
    pub(super) fn link_present(&mut self, link: Link) {
        let index = link.index;
        self.scan.note_link(index);
        let new = link.clone();
        let Some((old, seen)) = self.links.put(link, self.scan.mark) else {
            self.tell(LinkChange::New(index));
            return self.settle_link(index);
        };
        if old == new {
            return;
        }
        self.scan.note_changed(seen);
        if old.name != new.name {
            self.drop_sysctls_of(&old.name);
            let (from, to) = (old.name.clone(), new.name.clone());
            self.tell(LinkChange::Renamed { index, from, to });
        }
        if old.up && !new.up {
            self.link_down(index);
        }
        if !old.up && new.up {
            self.world.link_up(index);
            self.tell(LinkChange::Up(index));
        }
        if old.carrier != new.carrier {
            self.tell(LinkChange::Carrier(index, new.carrier));
        }
        if old.up != new.up {
            self.settle_link(index);
        }
        let moved = Link {
            name: old.name.clone(),
            up: old.up,
            carrier: old.carrier,
            ..new
        };
        if moved != old {
            self.tell(LinkChange::Changed(index));
        }
    }

    fn tell(&mut self, change: LinkChange) {
        self.notices.push_back(Notice::Link(change));
    }

    /// Linux drops IPv4 routes and permanent neighbours silently, IPv6 routes and addresses with a
    /// message each. Routes with several ways out stay as long as one of them is up.
    fn link_down(&mut self, index: IfIndex) {
        self.scan.note_gone(|| Gone::Link(index));
        self.tell(LinkChange::Down(index));
        for family in Family::ALL {
            self.lose_dead(index, family, false);
        }
        self.flush_routers(index);
    }

    fn flush_routers(&mut self, index: IfIndex) {
        for addr in self.world.flush_routers(index) {
            self.notices.push_back(Notice::RouterNeighbour {
                index,
                addr,
                present: false,
            });
        }
    }

    /// A link came or changed: what failed for want of it is tried again at once.
    fn settle_link(&mut self, index: IfIndex) {
        if self.bulk.is_waiting() {
            self.bulk.try_again();
        }
        for id in self.on_link(index) {
            let slot = &mut self.slots[id];
            let fight = slot
                .trouble
                .as_ref()
                .is_some_and(|t| t.errno == super::events::EBUSY);
            if !fight {
                self.forgive(id);
            }
            self.settle(id);
        }
    }

    pub(super) fn link_gone(&mut self, index: IfIndex) {
        let Some(link) = self.links.remove(index) else {
            return;
        };
        self.flush_routers(index);
        self.world.drop_link(index);
        for family in Family::ALL {
            self.lose_dead(index, family, false);
        }
        let is_v4 = |route: &Route| route.prefix.family() == Family::Ipv4;
        let mut rest = match self.leaving {
            true => self.bulk.over_link(index, is_v4),
            false => self.bulk.lose(index, self.now, is_v4),
        };
        rest.extend(self.bulk.over_link(index, |route| !is_v4(route)));
        for key in rest {
            self.wake(&whole_key(key));
        }
        for id in self.on_link(index) {
            self.lose_link(id, index);
        }
        self.drop_sysctls_of(&link.name);
        let name = link.name;
        self.tell(LinkChange::Gone { index, name });
    }

    /// IPv4 drops a route as soon as the link of one of its ways out is deleted; IPv6 drops the way.
    fn lose_link(&mut self, id: SlotId, index: IfIndex) {
        let slot = &self.slots[id];
        if matches!(slot.key, Key::Address(..) | Key::Neighbour(..)) {
            self.way_is_free(id);
        }
        let slot = &self.slots[id];
        match slot.have.clone().as_deref() {
            Some(Object::Route(route)) if route.prefix.family() == Family::Ipv6 => {
                let mut left = route.next_hops.clone();
                left.retain(|hop| hop.index != index);
                if left.is_empty() || left.len() == route.next_hops.len() {
                    return self.lose_on(id, index);
                }
                let rest = normal(Object::Route(Route {
                    next_hops: left,
                    ..route.clone()
                }));
                self.slots[id].disturbed = true;
                self.put_have(id, Some(Arc::new(rest)));
                self.settle(id);
            }
            _ => self.lose_on(id, index),
        }
    }

    fn lose_on(&mut self, id: SlotId, index: IfIndex) {
        let slot = &self.slots[id];
        let on = |object: &Arc<Object>| legs(object).any(|leg| leg == index);
        let had = slot.have.as_ref().is_some_and(on);
        let written = slot.written().is_some_and(on);
        let perhaps = slot.perhaps.as_ref().is_some_and(on);
        // No matter in what order: with the link it is gone for good.
        let slot = &mut self.slots[id];
        if had {
            slot.fresh_until = Instant::ZERO;
        }
        if perhaps {
            slot.perhaps = None;
        }
        self.lose(id, had, written);
    }

    /// The sysctls of an interface are gone with its name.
    fn drop_sysctls_of(&mut self, name: &IfName) {
        for room in ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"] {
            let first = Key::Sysctl(format!("{room}/{name}/"));
            // '0' follows '/'.
            let last = Key::Sysctl(format!("{room}/{name}0"));
            for id in self.slots.range(first..=last) {
                let key = self.slots[id].key.clone();
                if let Key::Sysctl(path) = &key {
                    self.sysctl_absent(&key, path);
                }
            }
        }
    }
}
