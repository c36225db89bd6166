//! What the kernel does to objects of ours when something else goes, mostly without a word.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;

use tapway_model::Family;

use super::index::prefsrc;
use super::scan::Gone;
use super::{DOUBT, Fib};
use crate::bulk::whole_key;
use crate::slot::{Foreign, SlotId};
use crate::{Address, IfIndex, Key, NextHop, Notice, Object, Route, RouteKind};

impl Fib {
    /// Whether the kernel has dropped a route because no way out of it is left.
    fn is_dead(&self, route: &Route) -> bool {
        self.is_without_way(route, |index| self.world.is_silenced(index))
    }

    /// The same, when the addresses that we wrote lately may not have been there yet at the time of a message.
    fn is_perhaps_dead(&self, route: &Route) -> bool {
        self.is_without_way(route, |index| {
            let addresses = self.world.addresses(index);
            let mut v4 = addresses.filter(|a| a.addr.is_ipv4()).peekable();
            let fresh = v4.peek().is_some() && v4.all(|a| self.is_fresh(a));
            fresh || self.world.is_silenced(index)
        })
    }

    fn is_without_way(&self, route: &Route, is_silenced: impl Fn(IfIndex) -> bool) -> bool {
        let v4 = route.prefix.family() == Family::Ipv4;
        let is_dead =
            |hop: &NextHop| !self.links.is_up(hop.index) || (v4 && is_silenced(hop.index));
        route.kind == RouteKind::Unicast && route.next_hops.iter().all(is_dead)
    }

    /// Whether we wrote an address so lately that older messages may come in.
    fn is_fresh(&self, address: &Address) -> bool {
        let key = Key::Address(address.index, address.addr, address.len);
        let slot = self.slots.get(&key);
        slot.is_some_and(|slot| slot.fresh_until > self.now)
    }

    /// An address is gone, and what the kernel takes along. By a message, it may have gone before we
    /// wrote another one that seems to be left; by an outcome, the order is known.
    pub(super) fn address_gone(&mut self, address: &Address, by_message: bool) {
        let Address {
            index, addr, len, ..
        } = *address;
        // What it takes along it takes also when its own addition was not answered yet.
        if self.world.drop_address(address) {
            self.notices.push_back(Notice::AddressesChanged(index));
        }
        for id in self.siblings(&Key::Address(index, addr, len)) {
            if self.slots[id].foreign == Foreign::Refused {
                self.way_is_free(id);
            }
            self.settle(id);
        }
        let is_left =
            |other: &Address| other.addr.is_ipv4() && !(by_message && self.is_doubtful(other));
        if addr.is_ipv4() && !self.world.addresses(index).any(is_left) {
            self.world.silence(index, true);
            self.lose_dead(index, Family::Ipv4, true);
            let silent = !self
                .world
                .addresses(index)
                .any(|other| other.addr.is_ipv4());
            self.world.silence(index, silent);
        }
        self.lose_prefsrc(addr, by_message);
    }

    /// Whether an address that seems to be left may not have been there at the time of a message: we
    /// wrote it so lately that older messages may come in, or it may be gone by a message that was lost.
    fn is_doubtful(&self, address: &Address) -> bool {
        self.scan.running || self.scan.stale || self.is_fresh(address)
    }

    /// IPv4 drops routes whose preferred source is gone; IPv6 drops the preference.
    fn lose_prefsrc(&mut self, addr: IpAddr, by_message: bool) {
        let mut slots = self.by_prefsrc.range((addr, 0)..=(addr, SlotId::MAX));
        if slots.next().is_none() && !self.bulk.has_prefsrc(addr) {
            return;
        }
        let is_left = |other: &Address| !(by_message && self.is_doubtful(other));
        if self.world.all_with(addr).any(is_left) {
            return;
        }
        for key in self.bulk.with_prefsrc(addr) {
            self.wake(&whole_key(key));
        }
        let slots = self.by_prefsrc.range((addr, 0)..=(addr, SlotId::MAX));
        let ids: Vec<SlotId> = slots.map(|(_, id)| *id).collect();
        for id in ids {
            let slot = &self.slots[id];
            match slot.have.as_deref() {
                Some(Object::Route(route)) if addr.is_ipv6() && route.prefsrc == Some(addr) => {
                    let bare = Route {
                        prefsrc: None,
                        ..route.clone()
                    };
                    self.slots[id].disturbed = true;
                    self.put_have(id, Some(Arc::new(Object::Route(bare))));
                    self.settle(id);
                }
                have => {
                    let had = have.is_some_and(|object| prefsrc(object) == Some(addr));
                    let written = slot.written().is_some_and(|o| prefsrc(o) == Some(addr));
                    self.doubt(id);
                    self.lose(id, had, written);
                }
            }
        }
    }

    /// Routes through a link go when it was their last way out, and its neighbours. Default routes of
    /// others as well. Where another way out may be younger than what went, a scan tells.
    pub(super) fn lose_dead(&mut self, index: IfIndex, family: Family, concluded: bool) {
        let mut bulk = mem::take(&mut self.bulk);
        let of_family = |route: &Route| route.prefix.family() == family;
        let is_dead = |route: &Route| of_family(route) && self.is_dead(route);
        let is_doubtful =
            |route: &Route| of_family(route) && !self.is_dead(route) && self.is_perhaps_dead(route);
        let doubtful = bulk.is_any_over_link(index, is_doubtful);
        let dead = match concluded || self.leaving {
            true => bulk.over_link(index, is_dead),
            false => bulk.lose(index, self.now, is_dead),
        };
        self.bulk = bulk;
        if doubtful {
            self.scan.want(self.now);
        }
        let keys = dead.into_iter().map(whole_key);
        let woken: Vec<SlotId> = keys.filter_map(|key| self.wake(&key)).collect();
        for id in self.on_link(index) {
            let dead = |object: &Arc<Object>| match &**object {
                Object::Route(route) => route.prefix.family() == family && self.is_dead(route),
                Object::Neighbour(n) => n.index == index && Family::of(&n.addr) == family,
                _ => false,
            };
            let perhaps = |object: &Arc<Object>| match &**object {
                Object::Route(route) => {
                    route.prefix.family() == family && self.is_perhaps_dead(route)
                }
                _ => false,
            };
            let slot = &self.slots[id];
            let had = slot.have.as_ref().is_some_and(dead);
            let written = slot.written().is_some_and(dead);
            if !had && slot.have.as_ref().is_some_and(perhaps) {
                self.scan.want(self.now);
            }
            if had || written {
                if concluded {
                    self.doubt(id);
                }
                self.lose(id, had, written);
            }
        }
        for id in woken {
            if self.slots.is_live(id) {
                self.settle(id);
            }
        }
        self.lose_dead_defaults(family);
    }

    fn lose_dead_defaults(&mut self, family: Family) {
        let defaults = self.world.defaults(family);
        let dead: Vec<Route> = defaults
            .filter(|route| self.is_dead(route))
            .cloned()
            .collect();
        for route in &dead {
            self.world.drop_default(route);
            let key = Key::Route(route.table, route.prefix, route.metric);
            if let Some(id) = self.slots.find(&key) {
                self.way_is_free(id);
                self.settle(id);
            }
        }
        if !dead.is_empty() {
            self.notices
                .push_back(Notice::ForeignDefaultChanged(family));
        }
    }

    /// That an object went with an address is a conclusion: there may be another address that we were
    /// not told of yet.
    fn doubt(&mut self, id: SlotId) {
        let slot = &mut self.slots[id];
        slot.fresh_until = slot.fresh_until.max(self.now + DOUBT);
    }

    /// The kernel dropped, by nobody's fault, what we had, or what is being written.
    pub(super) fn lose(&mut self, id: SlotId, had: bool, written: bool) {
        let slot = &mut self.slots[id];
        if had || written {
            let key = slot.key.clone();
            self.scan.note_gone(|| Gone::Key(key));
        }
        if had {
            self.take_away(id);
        } else if written {
            // Before our write or after it? What we had may be there still, or nothing.
            slot.disturbed = true;
            slot.unsure = slot.have.is_some();
        }
        self.settle(id);
    }

    /// Ours is gone, by a message that may be older than our last write.
    pub(super) fn take_away(&mut self, id: SlotId) {
        let slot = &mut self.slots[id];
        if slot.have.is_some() && (slot.fresh_until > self.now || slot.flight.is_some()) {
            slot.perhaps = slot.have.clone();
        }
        slot.disturbed = true;
        slot.unsure = false;
        self.put_have(id, None);
    }
}
