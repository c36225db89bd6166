//! The slots of an interface or a preferred source: kept with every value that a slot has.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;

use super::Fib;
use crate::slot::SlotId;
use crate::{IfIndex, Object};

impl Fib {
    pub(super) fn put_want(&mut self, id: SlotId, want: Option<Arc<Object>>) {
        self.index(id, want.as_deref());
        let old = mem::replace(&mut self.slots[id].want, want);
        self.unindex(id, old.as_deref());
    }

    pub(super) fn put_have(&mut self, id: SlotId, have: Option<Arc<Object>>) {
        let slot = &self.slots[id];
        let known = match (&have, &slot.want) {
            (Some(have), Some(want)) => Arc::ptr_eq(have, want),
            _ => false,
        };
        if !known {
            self.index(id, have.as_deref());
        }
        let old = mem::replace(&mut self.slots[id].have, have);
        self.unindex(id, old.as_deref());
    }

    pub(super) fn index(&mut self, id: SlotId, object: Option<&Object>) {
        let Some(object) = object else { return };
        for index in legs(object) {
            self.by_link.insert((index, id));
        }
        if let Some(addr) = prefsrc(object) {
            self.by_prefsrc.insert((addr, id));
        }
    }

    /// Drops the indexes of a value that the slot had, as far as no other value of it needs them.
    pub(super) fn unindex(&mut self, id: SlotId, old: Option<&Object>) {
        let Some(old) = old else { return };
        let slot = &self.slots[id];
        let flight = slot.flight.as_ref().map(|(_, object)| object);
        let left = || {
            [slot.want.as_ref(), slot.have.as_ref(), flight]
                .into_iter()
                .flatten()
        };
        for index in legs(old) {
            if !left().any(|object| legs(object).any(|i| i == index)) {
                self.by_link.remove(&(index, id));
            }
        }
        if let Some(addr) = prefsrc(old)
            && !left().any(|object| prefsrc(object) == Some(addr))
        {
            self.by_prefsrc.remove(&(addr, id));
        }
    }

    pub(super) fn on_link(&self, index: IfIndex) -> Vec<SlotId> {
        let slots = self.by_link.range((index, 0)..=(index, SlotId::MAX));
        slots.map(|(_, id)| *id).collect()
    }
}

/// The interfaces that an object needs.
pub(super) fn legs(object: &Object) -> impl Iterator<Item = IfIndex> + '_ {
    let (one, many) = match object {
        Object::Address(address) => (Some(address.index), [].as_slice()),
        Object::Neighbour(neighbour) => (Some(neighbour.index), [].as_slice()),
        Object::Route(route) => (None, route.next_hops.as_slice()),
        Object::Sysctl(_) | Object::Rule(_) => (None, [].as_slice()),
    };
    one.into_iter().chain(many.iter().map(|hop| hop.index))
}

pub(super) fn prefsrc(object: &Object) -> Option<IpAddr> {
    match object {
        Object::Route(route) => route.prefsrc,
        _ => None,
    }
}
