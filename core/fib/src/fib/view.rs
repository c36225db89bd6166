//! Questions: how a key stands, what would change, what is there.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::net::IpAddr;
use core::ops::Bound;

use tapway_model::{Family, IfName, Prefix};

use super::events::EADDRINUSE;
use super::{Fib, change};
use crate::bulk::route_key;
use crate::command::Command;
use crate::compare::{normal_key, same};
use crate::slot::{Act, Foreign, Slot};
use crate::stage::Stage;
use crate::{Address, Change, IfIndex, Key, Link, Object, Route, Status};

impl Fib {
    /// Whether a scan was completed: what is known is the kernel's state.
    pub fn ready(&self) -> bool {
        self.scan.ready
    }

    /// What is wanted with this key.
    pub fn wanted(&self, key: &Key) -> Option<Cow<'_, Object>> {
        let key = normal_key(key);
        if let Some(slot) = self.slots.get(&key) {
            return slot.want.as_deref().map(Cow::Borrowed);
        }
        let route = self.bulk.wanted(route_key(&key)?)?;
        Some(Cow::Owned(Object::Route(route)))
    }

    /// Routes at rest that are wanted or not, and in the kernel or not.
    fn at_rest(&self, wanted: bool, there: bool) -> impl Iterator<Item = Cow<'_, Object>> {
        let routes = self.bulk.routes(wanted, there);
        routes.map(|route| Cow::Owned(Object::Route(route)))
    }

    /// Everything that is wanted, by key; bulk routes at rest come last.
    pub fn wants(&self) -> impl Iterator<Item = Cow<'_, Object>> {
        let slots = self.slots.in_order();
        let wants = slots.filter_map(|(_, slot)| slot.want.as_deref());
        wants
            .map(Cow::Borrowed)
            .chain(self.at_rest(true, false))
            .chain(self.at_rest(true, true))
    }

    /// Everything that is wanted, by key, and how it stands, but for [bulk routes](Fib::bulk_at_rest) at rest: quicker than asking
    /// for each.
    pub fn states(&self) -> impl Iterator<Item = (&Object, Status)> {
        let slots = self.slots.in_order();
        slots.filter_map(|(_, slot)| {
            let want = slot.want.as_deref()?;
            // What was told was settled as such: no need to compare the objects again.
            let settled = slot.told && slot.flight.is_none() && !slot.unsure && self.scan.ready;
            let status = match settled {
                true => Status::InSync,
                false => self.status_of(slot, want),
            };
            Some((want, status))
        })
    }

    /// Whether the wanted object is confirmed in the kernel.
    pub fn in_sync(&self, key: &Key) -> bool {
        let key = &normal_key(key);
        match self.slots.get(key) {
            Some(slot) => self.is_in_sync(slot),
            None => self.bulk_status(key) == Status::InSync,
        }
    }

    fn bulk_status(&self, key: &Key) -> Status {
        route_key(key).map_or(Status::NotWanted, |key| self.bulk.status(key))
    }

    fn is_in_sync(&self, slot: &Slot) -> bool {
        let same = match (&slot.want, &slot.have) {
            (Some(want), Some(have)) => same(want, have) && !self.world.is_duplicate(have),
            _ => false,
        };
        same && slot.flight.is_none() && !slot.unsure && self.scan.ready
    }

    /// How a key stands.
    pub fn status(&self, key: &Key) -> Status {
        let key = &normal_key(key);
        match self.slots.get(key) {
            Some(slot) => match &slot.want {
                Some(want) => self.status_of(slot, want),
                None => Status::NotWanted,
            },
            None => self.bulk_status(key),
        }
    }

    fn status_of(&self, slot: &Slot, want: &Object) -> Status {
        if self.is_in_sync(slot) {
            return Status::InSync;
        }
        if slot.flight.is_some() {
            return Status::InFlight;
        }
        if slot.have.is_some() && self.world.is_duplicate(want) {
            return Status::Failed {
                errno: EADDRINUSE,
                message: Some("duplicate address detection found it on another host".into()),
                attempts: 1,
            };
        }
        if slot.foreign != Foreign::No && slot.have.is_none() {
            return Status::Foreign;
        }
        match &slot.trouble {
            Some(t) if t.retry_at.is_some() && t.errno != 0 => Status::Failed {
                errno: t.errno,
                message: t.message.clone(),
                attempts: t.attempts,
            },
            _ => Status::Pending,
        }
    }

    /// The full difference between what is wanted and what is there, in the order of its application:
    /// also what waits for a link, a retry, the end of the start-up grace, or for an object that is not ours
    /// to go ([`Status::Foreign`]).
    pub fn plan(&self) -> Vec<Change> {
        let mut steps: Vec<(Stage, u32, Change)> = Vec::new();
        for (id, slot) in self.slots.in_order() {
            let Some((stage, act)) = self.difference(slot) else {
                continue;
            };
            if let Some(object) = self.object_of(id, act) {
                steps.push((stage, id, change(act, (*object).clone())));
            }
        }
        steps.sort_by_key(|(stage, id, _)| (*stage, *id));
        let to_come = self
            .at_rest(true, false)
            .map(Cow::into_owned)
            .map(Change::Add);
        let to_go = self.at_rest(false, true);
        let to_go = to_go.chain(self.at_rest(true, true).take_while(|_| self.leaving));
        let to_go = to_go.map(Cow::into_owned).map(Change::Remove);
        let slots = steps.into_iter().map(|(_, _, change)| change);
        slots.chain(to_come).chain(to_go).collect()
    }

    /// Whether [`Fib::plan`] has anything.
    pub fn differs(&self) -> bool {
        let differs = |(_, slot): (_, &Slot)| self.difference(slot).is_some();
        let rest = self.bulk.differ() > 0 || (self.leaving && self.bulk.in_place() > 0);
        rest || self.slots.in_order().any(differs)
    }

    fn difference(&self, slot: &Slot) -> Option<(Stage, Act)> {
        if let Key::Sysctl(path) = &slot.key {
            let have = slot.have.as_ref()?;
            let (stage, want) = match &slot.want {
                Some(want) => (Stage::of(Act::Replace, want), want.clone()),
                None => (Stage::restore(path), self.old_sysctl(path)?),
            };
            return (!same(&want, have)).then_some((stage, Act::Replace));
        }
        match (&slot.want, &slot.have) {
            (Some(want), None) => Some((Stage::of(Act::Add, want), Act::Add)),
            (Some(want), Some(have)) if !same(want, have) => {
                Some((Stage::of(Act::Replace, want), Act::Replace))
            }
            (None, Some(_)) if self.is_in_the_way(slot) => Some((Stage::MakeRoom, Act::Remove)),
            (None, Some(have)) => Some((Stage::of(Act::Remove, have), Act::Remove)),
            _ => None,
        }
    }

    /// `change` as a command line of `ip(8)` or `sysctl(8)`, with interface names. (`Change` itself
    /// shows as one with `dev if7`.)
    pub fn command<'a>(&'a self, change: &'a Change) -> impl fmt::Display + 'a {
        Command {
            change,
            links: Some(&self.links),
        }
    }

    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// The link with this index.
    pub fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.get(index)
    }

    /// The link with this name.
    pub fn link_named(&self, name: &IfName) -> Option<&Link> {
        self.links.named(name)
    }

    /// The addresses on an interface, IPv4 first, each with whether it is ours.
    pub fn addresses(&self, index: IfIndex) -> impl Iterator<Item = (&Address, bool)> {
        self.world.addresses(index).map(|address| {
            let ours = address.protocol == self.protocol || {
                let key = Key::Address(address.index, address.addr, address.len);
                self.slots.get(&key).is_some_and(|slot| slot.have.is_some())
            };
            (address, ours)
        })
    }

    /// The default routes that are not ours, by table and metric.
    pub fn foreign_defaults(&self, family: Family) -> impl Iterator<Item = &Route> {
        self.world.defaults(family)
    }

    /// Everything of ours in the kernel, by key; no sysctls; bulk routes at rest come last.
    pub fn ours(&self) -> impl Iterator<Item = Cow<'_, Object>> {
        let slots = self.slots.in_order().map(|(_, slot)| slot);
        slots
            .filter(|slot| !matches!(slot.key, Key::Sysctl(_)))
            .filter_map(|slot| slot.have.as_deref())
            .map(Cow::Borrowed)
            .chain(self.at_rest(true, true))
            .chain(self.at_rest(false, true))
    }

    /// Everything of ours in the kernel that is not wanted, by key; no sysctls; routes at rest come last.
    pub fn leftovers(&self) -> impl Iterator<Item = Cow<'_, Object>> {
        let slots = self.slots.in_order().map(|(_, slot)| slot);
        let left = slots
            .filter(|slot| slot.want.is_none() && !matches!(slot.key, Key::Sysctl(_)))
            .filter_map(|slot| slot.have.as_deref());
        left.map(Cow::Borrowed).chain(self.at_rest(false, true))
    }

    /// What is ours in the kernel with this key, or the value of a sysctl that was asked for.
    pub fn held(&self, key: &Key) -> Option<Cow<'_, Object>> {
        let key = normal_key(key);
        if let Some(slot) = self.slots.get(&key) {
            return slot.have.as_deref().map(Cow::Borrowed);
        }
        let route = self.bulk.held(route_key(&key)?)?;
        Some(Cow::Owned(Object::Route(route)))
    }

    /// Routes of ours in the kernel that an address is in, in one table, but for bulk routes that are wanted: from the longest
    /// prefix on.
    pub fn held_around(&self, table: u32, addr: IpAddr) -> impl Iterator<Item = Cow<'_, Route>> {
        let slots = self.slots_around(table, addr).map(Cow::Borrowed);
        let left = self.bulk.left_around(table, addr).map(Cow::Owned);
        let mut all: Vec<Cow<'_, Route>> = slots.chain(left).collect();
        all.sort_by_key(|route| Reverse((route.prefix.len(), route.metric)));
        all.into_iter()
    }

    fn slots_around(&self, table: u32, addr: IpAddr) -> impl Iterator<Item = &Route> {
        let least = Key::Route(table, Prefix::default_of(Family::of(&addr)), 0);
        let mut most = Bound::Included(Key::Route(table, Prefix::host(addr), u32::MAX));
        core::iter::from_fn(move || {
            loop {
                let range = (Bound::Included(&least), most.as_ref());
                let (key, slot) = self.slots.last(range)?;
                let Key::Route(_, prefix, _) = key else {
                    return None;
                };
                if !prefix.contains_addr(&addr) {
                    // Whatever is before it and has the address in it has it in it, too.
                    let shared = Prefix::truncated(addr, shared_bits(&prefix.addr(), &addr));
                    most = Bound::Included(Key::Route(table, shared, u32::MAX));
                    continue;
                }
                most = Bound::Excluded(key.clone());
                if let Some(Object::Route(route)) = slot.have.as_deref() {
                    return Some(route);
                }
            }
        })
    }

    /// The link-local addresses of the routers on an interface.
    pub fn routers(&self, index: IfIndex) -> impl Iterator<Item = IpAddr> {
        self.world.routers(index)
    }
}

/// How many bits two addresses of one family begin with alike.
fn shared_bits(a: &IpAddr, b: &IpAddr) -> u8 {
    let bits = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    };
    bits as u8
}
