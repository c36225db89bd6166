//! What is to be done with a slot: the whole of the decision, without an effect.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Fib;
use super::index::legs;
use crate::compare::same;
use crate::links::Links;
use crate::slot::{Act, Foreign, Slot, SlotId};
use crate::stage::Stage;
use crate::{Key, Object, Route, RouteKind};

/// What is to be done with a slot now.
pub(super) enum Verdict {
    /// Nothing is known of it, or wanted.
    Idle,
    /// As wanted.
    InSync,
    /// Something that is not ours is in the way.
    Foreign,
    /// Not now.
    Wait,
    Do(Stage, Act),
}

impl Fib {
    pub(super) fn verdict(&self, id: SlotId) -> Verdict {
        let slot = &self.slots[id];
        if slot.flight.is_some() || !self.scan.ready {
            return Verdict::Wait;
        }
        if let Key::Sysctl(path) = &slot.key {
            return self.sysctl_verdict(slot, path);
        }
        match (&slot.want, &slot.have) {
            (None, Some(have)) => self.verdict_on_leftover(slot, have),
            (None, None) => match &slot.perhaps {
                Some(have) if !self.is_foreign(slot) => self.verdict_on_leftover(slot, have),
                _ => Verdict::Idle,
            },
            (Some(_), None) if slot.foreign != Foreign::No => Verdict::Foreign,
            (Some(_), None) if slot.overwrite && self.scan.stale => Verdict::Wait,
            (Some(want), None) if !slot.waits() && self.is_possible(want) => {
                let act = if slot.overwrite {
                    Act::Replace
                } else {
                    Act::Add
                };
                Verdict::Do(Stage::of(act, want), act)
            }
            (Some(want), Some(have)) if same(want, have) && !slot.unsure => {
                if self.world.is_duplicate(have) {
                    Verdict::Wait
                } else {
                    Verdict::InSync
                }
            }
            (Some(want), Some(have)) if !slot.waits() && self.is_possible(want) => {
                if same(want, have) {
                    Verdict::Do(Stage::of(Act::Add, want), Act::Add)
                } else if self.scan.stale || slot.missed {
                    Verdict::Wait
                } else {
                    Verdict::Do(Stage::of(Act::Replace, want), Act::Replace)
                }
            }
            // What takes its place has to wait for a link; packets must not go astray that long.
            (Some(want), Some(have)) if !slot.waits() && leads_elsewhere(have, want) => {
                Verdict::Do(Stage::of(Act::Remove, have), Act::Remove)
            }
            _ => Verdict::Wait,
        }
    }

    pub(super) fn is_foreign(&self, slot: &Slot) -> bool {
        slot.foreign == Foreign::Seen
            || self.world.foreign_at(&slot.key, self.protocol) == Foreign::Seen
    }

    pub(super) fn verdict_on_leftover(&self, slot: &Slot, have: &Arc<Object>) -> Verdict {
        let in_the_way = self.is_in_the_way(slot);
        let allowed = self.prune || slot.wanted_once || in_the_way;
        // The kernel compares the protocol when it deletes a route or a rule; an address or neighbour
        // may be somebody else's by now when messages were lost.
        let known = !self.scan.stale && !slot.missed;
        let safe = known || matches!(**have, Object::Route(_) | Object::Rule(_));
        if slot.waits() || !allowed || !safe {
            return Verdict::Wait;
        }
        let stage = if in_the_way {
            Stage::MakeRoom
        } else {
            Stage::of(Act::Remove, have)
        };
        Verdict::Do(stage, Act::Remove)
    }

    /// IPv6 has an address only once on an interface, whatever its length.
    pub(super) fn is_in_the_way(&self, slot: &Slot) -> bool {
        self.siblings(&slot.key).into_iter().any(|other| {
            let other = &self.slots[other];
            other.key != slot.key && other.want.is_some() && other.have.is_none()
        })
    }

    pub(super) fn siblings(&self, key: &Key) -> Vec<SlotId> {
        match key {
            Key::Address(index, addr @ IpAddr::V6(_), _) => {
                let (first, last) = (
                    Key::Address(*index, *addr, 0),
                    Key::Address(*index, *addr, 128),
                );
                self.slots.range(first..=last)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn settle_siblings(&mut self, key: &Key) {
        for id in self.siblings(key) {
            if self.slots[id].key != *key {
                self.settle(id);
            }
        }
    }

    /// Whether the kernel could take it as its links are now.
    pub(super) fn is_possible(&self, want: &Object) -> bool {
        match want {
            Object::Sysctl(_) | Object::Rule(_) => true,
            // The kernel would take one on a link that is down, but the deletion of a link begins with
            // that and takes its addresses: whoever puts one back then waits until it has ended.
            Object::Address(address) => self.links.is_up(address.index),
            Object::Neighbour(neighbour) => self.links.is_up(neighbour.index),
            Object::Route(route) => ways_are_up(&self.links, route),
        }
    }

    /// The object that a change of this kind is about.
    pub(super) fn object_of(&self, id: SlotId, act: Act) -> Option<Arc<Object>> {
        let slot = &self.slots[id];
        match (&slot.key, act) {
            (_, Act::Remove) => slot.have.as_ref().or(slot.perhaps.as_ref()).cloned(),
            (Key::Sysctl(path), _) if slot.want.is_none() => self.old_sysctl(path),
            _ => slot.want.clone(),
        }
    }
}

/// Whether all links that a route leads over are up.
pub(super) fn ways_are_up(links: &Links, route: &Route) -> bool {
    let mut ways = route.next_hops.iter();
    route.kind != RouteKind::Unicast || ways.all(|hop| links.is_up(hop.index))
}

/// Whether what is there leads out where what is wanted never would.
fn leads_elsewhere(have: &Object, want: &Object) -> bool {
    legs(have).any(|leg| legs(want).all(|other| other != leg))
}
