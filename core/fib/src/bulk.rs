//! Routes of which there may be a million, while nothing happens to them: some 40 bytes each.
//!
//! What a slot says of such a route is always the same but for its value, which many share, and two times.
//! The plain cases are done here: it is added, removed, or waits for a link. Whatever else happens to it makes it a slot again
//! (`fib/rest.rs`); at rest it comes back. Values and states only: what the kernel is asked for is decided there.

mod entry;
mod values;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::packed::{Packed, Packed6};
use tapway_model::{Family, Instant, Prefix};

use crate::mirror::Generation;
use crate::{IfIndex, Key, Route, Status};
use entry::{Eighths, Entry, STATES, State};
use values::{NONE, Value, ValueId, Values};

/// Table, prefix, metric.
pub(crate) type RouteKey = (u32, Prefix, u32);

/// The parts of the key of a route that may rest. Not a default route: those are compared with the host's own.
pub(crate) fn route_key(key: &Key) -> Option<RouteKey> {
    match key {
        Key::Route(table, prefix, metric) if prefix.len() != 0 => Some((*table, *prefix, *metric)),
        _ => None,
    }
}

/// The key with these parts.
pub(crate) fn whole_key((table, prefix, metric): RouteKey) -> Key {
    Key::Route(table, prefix, metric)
}

fn key_of(route: &Route) -> RouteKey {
    (route.table, route.prefix, route.metric)
}

/// What was known of a route that rests no longer.
#[derive(Clone, Debug)]
pub(crate) enum Rested {
    /// Wanted; with the latest scan of that time when it is being added.
    Wanted {
        route: Route,
        was_ours: bool,
        flying: Option<Generation>,
        doubt_until: Instant,
    },
    /// In the kernel as wanted.
    InPlace {
        route: Route,
        seen: Generation,
        fresh_until: Instant,
    },
    /// In the kernel, of an earlier run, and not wanted.
    Left { route: Route, seen: Generation },
    /// In the kernel, and not wanted any more.
    Leaving {
        route: Route,
        seen: Generation,
        fresh_until: Instant,
        flying: bool,
    },
    /// Removed by us; old messages may come in until then.
    Gone { doubt_until: Instant },
}

/// What becomes of a route that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is, or will be, just so.
    Known,
    /// Nothing is there.
    Free,
    /// Another is there, or on its way.
    Other,
}

/// Routes of one table and metric.
#[derive(Clone, Debug, Default)]
struct Shelf {
    v4: BTreeMap<u64, Entry>,
    v6: BTreeMap<Packed6, Entry>,
}

impl Shelf {
    fn get(&self, prefix: Prefix) -> Option<&Entry> {
        match u64::pack(prefix) {
            Some(key) => self.v4.get(&key),
            None => self.v6.get(&Packed6::pack(prefix)?),
        }
    }

    fn get_mut(&mut self, prefix: Prefix) -> Option<&mut Entry> {
        match u64::pack(prefix) {
            Some(key) => self.v4.get_mut(&key),
            None => self.v6.get_mut(&Packed6::pack(prefix)?),
        }
    }

    fn insert(&mut self, prefix: Prefix, entry: Entry) -> Option<Entry> {
        match u64::pack(prefix) {
            Some(key) => self.v4.insert(key, entry),
            None => self.v6.insert(Packed6::pack(prefix)?, entry),
        }
    }

    fn remove(&mut self, prefix: Prefix) -> Option<Entry> {
        match u64::pack(prefix) {
            Some(key) => self.v4.remove(&key),
            None => self.v6.remove(&Packed6::pack(prefix)?),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Prefix, &Entry)> {
        let v4 = self.v4.iter().map(|(key, entry)| (key.unpack(), entry));
        let v6 = self.v6.iter().map(|(key, entry)| (key.unpack(), entry));
        v4.chain(v6)
    }
}

/// All routes that rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bulk {
    shelves: BTreeMap<(u32, u32), Shelf>,
    values: Values,
    /// How many there are in each state.
    counts: [usize; STATES.len()],
    /// To be added or removed, first come first served. One may be in it that no longer is.
    queue: VecDeque<RouteKey>,
    /// Those that are gone, in the order in which they are forgotten.
    gone: VecDeque<(Eighths, RouteKey)>,
}

impl Bulk {
    /// Lets a route rest that is in the kernel as wanted.
    pub(crate) fn put(&mut self, route: &Route, seen: Generation, fresh_until: Instant) {
        let until = Eighths::not_before(fresh_until);
        self.put_as(State::InPlace, route, seen, until);
    }

    /// Lets a route rest that an earlier run left in the kernel.
    pub(crate) fn put_left(&mut self, route: &Route, seen: Generation) {
        self.put_as(State::Left, route, seen, Eighths::default());
    }

    fn put_as(&mut self, state: State, route: &Route, seen: Generation, until: Eighths) {
        let value = self.values.take(route);
        self.insert(key_of(route), Entry::new(state, value, seen, until));
    }

    /// Remembers that a route was removed, until then.
    pub(crate) fn put_gone(&mut self, key: RouteKey, doubt_until: Instant) {
        let until = Eighths::not_before(doubt_until);
        self.insert(key, Entry::new(State::Gone, NONE, 0, until));
        self.gone.push_back((until, key));
    }

    fn insert(&mut self, (table, prefix, metric): RouteKey, entry: Entry) {
        self.counts[entry.state() as usize] += 1;
        let shelf = self.shelves.entry((table, metric)).or_default();
        if let Some(old) = shelf.insert(prefix, entry) {
            self.release(old);
        }
    }

    fn remove(&mut self, (table, prefix, metric): RouteKey) -> Option<Entry> {
        self.shelves.get_mut(&(table, metric))?.remove(prefix)
    }

    fn release(&mut self, entry: Entry) {
        self.counts[entry.state() as usize] -= 1;
        if entry.value() != NONE {
            self.values.drop(entry.value());
        }
    }

    fn entry(&self, (table, prefix, metric): RouteKey) -> Option<&Entry> {
        self.shelves.get(&(table, metric))?.get(prefix)
    }

    fn entry_mut(&mut self, (table, prefix, metric): RouteKey) -> Option<&mut Entry> {
        self.shelves.get_mut(&(table, metric))?.get_mut(prefix)
    }

    fn move_to(&mut self, key: RouteKey, state: State) {
        if let Some(entry) = self.entry_mut(key) {
            let old = entry.state();
            *entry = Entry::new(state, entry.value(), entry.seen, entry.until);
            self.counts[old as usize] -= 1;
            self.counts[state as usize] += 1;
        }
    }

    /// Wants this route, as far as that changes nothing in the kernel.
    pub(crate) fn want(&mut self, route: &Route) -> Asked {
        let key = key_of(route);
        let Some(entry) = self.entry(key) else {
            return Asked::Free;
        };
        let state = entry.state();
        let same = self
            .values
            .get(entry.value())
            .is_some_and(|v| v.is_of(route));
        match state {
            State::Gone => Asked::Free,
            State::Queued | State::Flying | State::InPlace if same => Asked::Known,
            State::Left | State::Leaving if same => {
                self.move_to(key, State::InPlace);
                Asked::Known
            }
            _ => Asked::Other,
        }
    }

    /// Adds a route where nothing is.
    pub(crate) fn add(&mut self, route: &Route) {
        let key = key_of(route);
        // Messages from before a removal may come in all the same.
        let until = self
            .entry(key)
            .map_or(Eighths::default(), |entry| entry.until);
        self.put_as(State::Queued, route, 0, until);
        self.queue.push_back(key);
    }

    /// Wants a route no longer, if nothing is known of it that would take a slot.
    pub(crate) fn unwant(&mut self, key: RouteKey) -> bool {
        match self.entry(key).map(Entry::state) {
            None | Some(State::Flying) => return false,
            Some(State::Queued) => {
                if let Some(entry) = self.remove(key) {
                    self.release(entry);
                    if entry.until != Eighths::default() {
                        self.put_gone(key, entry.until.instant());
                    }
                }
            }
            Some(State::InPlace) => {
                self.move_to(key, State::Leaving);
                self.queue.push_back(key);
            }
            Some(State::Left | State::Leaving | State::FlyingOut | State::Gone) => {}
        }
        true
    }

    /// All that an earlier run left, or with `all` the first `max` of all, are to be removed.
    pub(crate) fn drop_some(&mut self, all: bool, max: usize) {
        let there = self.counts[State::InPlace as usize];
        if self.left() == 0 && !(all && there > 0) {
            return;
        }
        let is_meant = |state| state == State::Left || (all && state == State::InPlace);
        let meant = self.matching(move |entry, _| is_meant(entry.state()));
        let keys: Vec<RouteKey> = meant.take(if all { max } else { usize::MAX }).collect();
        for key in keys {
            self.move_to(key, State::Leaving);
            self.queue.push_back(key);
        }
    }

    /// How many are in the queue, at most.
    pub(crate) fn due(&self) -> usize {
        self.queue.len()
    }

    /// The next to add (true) or to remove; it is being added or removed from now on. `mark`: the latest scan; `is_possible`: whether the
    /// kernel would take it now.
    pub(crate) fn next_due(
        &mut self,
        mark: Generation,
        is_possible: impl Fn(&Route) -> bool,
    ) -> Option<(RouteKey, Route, bool)> {
        while let Some(key) = self.queue.pop_front() {
            let (table, prefix, metric) = key;
            let shelf = self.shelves.get_mut(&(table, metric));
            let Some(entry) = shelf.and_then(|shelf| shelf.get_mut(prefix)) else {
                continue;
            };
            let (old, new) = match entry.state() {
                State::Queued => (State::Queued, State::Flying),
                State::Leaving => (State::Leaving, State::FlyingOut),
                _ => continue,
            };
            let Some(route) = self.values.get(entry.value()).map(|value| value.route(key)) else {
                continue;
            };
            let adding = new == State::Flying;
            if adding && !is_possible(&route) {
                // It waits for a link: see `try_again`.
                continue;
            }
            let seen = if adding { mark } else { entry.seen };
            *entry = Entry::new(new, entry.value(), seen, entry.until);
            self.counts[old as usize] -= 1;
            self.counts[new as usize] += 1;
            return Some((key, route, adding));
        }
        self.queue.shrink_to(KEPT);
        None
    }

    /// It was added, if it was being added and nothing has been told of it since: the latest scan of when that began.
    pub(crate) fn added(&mut self, key: RouteKey, fresh_until: Instant) -> Option<Generation> {
        let entry = self.entry_mut(key)?;
        if entry.state() != State::Flying {
            return None;
        }
        let (mark, until) = (entry.seen, Eighths::not_before(fresh_until));
        *entry = Entry::new(State::InPlace, entry.value(), mark, until);
        self.counts[State::Flying as usize] -= 1;
        self.counts[State::InPlace as usize] += 1;
        Some(mark)
    }

    /// It was removed, if it was being removed and nothing has been told of it since. Remembered until then.
    pub(crate) fn removed(&mut self, key: RouteKey, doubt_until: Option<Instant>) -> bool {
        let flew = self
            .entry(key)
            .is_some_and(|entry| entry.state() == State::FlyingOut);
        if flew && let Some(entry) = self.remove(key) {
            self.release(entry);
            if let Some(until) = doubt_until {
                self.put_gone(key, until);
            }
        }
        flew
    }

    /// Those of one table that an earlier run left and that an address is in.
    pub(crate) fn left_around(&self, table: u32, addr: IpAddr) -> impl Iterator<Item = Route> {
        let any = self.left() > 0;
        let shelves = self.shelves.range((table, 0)..=(table, u32::MAX));
        let shelves = shelves.take_while(move |_| any);
        shelves.flat_map(move |((table, metric), shelf)| {
            (0..=Family::of(&addr).bits()).filter_map(move |len| {
                let prefix = Prefix::truncated(addr, len);
                let entry = shelf.get(prefix);
                let entry = entry.filter(|entry| entry.state() == State::Left)?;
                let value = self.values.get(entry.value())?;
                Some(value.route((*table, prefix, *metric)))
            })
        })
    }

    /// The route with this key, if it is being removed.
    pub(crate) fn going(&self, key: RouteKey) -> Option<Route> {
        let entry = self.entry(key)?;
        let going = entry.state() == State::FlyingOut;
        let value = self.values.get(entry.value()).filter(|_| going)?;
        Some(value.route(key))
    }

    /// Takes a route out.
    pub(crate) fn take(&mut self, key: RouteKey) -> Option<Rested> {
        let entry = self.remove(key)?;
        let (seen, until) = (entry.seen, entry.until.instant());
        let route = self.values.get(entry.value()).map(|value| value.route(key));
        let state = entry.state();
        self.release(entry);
        let Some(route) = route else {
            return Some(Rested::Gone { doubt_until: until });
        };
        Some(match state {
            State::Queued | State::Flying | State::Gone => Rested::Wanted {
                was_ours: entry.until != Eighths::default(),
                route,
                flying: (state == State::Flying).then_some(seen),
                doubt_until: until,
            },
            State::InPlace => Rested::InPlace {
                route,
                seen,
                fresh_until: until,
            },
            State::Left => Rested::Left { route, seen },
            State::Leaving | State::FlyingOut => Rested::Leaving {
                route,
                seen,
                fresh_until: until,
                flying: state == State::FlyingOut,
            },
        })
    }

    /// The route with this key as it is wanted.
    pub(crate) fn wanted(&self, key: RouteKey) -> Option<Route> {
        let entry = self.entry(key).filter(|entry| entry.state().is_wanted())?;
        Some(self.values.get(entry.value())?.route(key))
    }

    /// The route with this key that the kernel has.
    pub(crate) fn held(&self, key: RouteKey) -> Option<Route> {
        let entry = self.entry(key).filter(|entry| entry.state().is_there())?;
        Some(self.values.get(entry.value())?.route(key))
    }

    /// How a route stands.
    pub(crate) fn status(&self, key: RouteKey) -> Status {
        match self.entry(key).map(Entry::state) {
            Some(State::InPlace) => Status::InSync,
            Some(State::Queued) => Status::Pending,
            Some(State::Flying) => Status::InFlight,
            _ => Status::NotWanted,
        }
    }

    /// Whether anything is known of the route's key.
    pub(crate) fn knows(&self, route: &Route) -> bool {
        self.entry(key_of(route)).is_some()
    }

    /// The kernel has it as it is known: notes which scan said so. False: that is news.
    pub(crate) fn confirm(&mut self, route: &Route, mark: Generation) -> bool {
        let shelf = self.shelves.get_mut(&(route.table, route.metric));
        let Some(entry) = shelf.and_then(|shelf| shelf.get_mut(route.prefix)) else {
            return false;
        };
        let value = self.values.slab.get(entry.value() as usize);
        let same = value.is_some_and(|(value, _)| value.is_of(route));
        // What is to be removed goes all the same.
        let calm = matches!(entry.state(), State::InPlace | State::Left | State::Leaving);
        let confirmed = same && calm;
        if confirmed {
            entry.seen = mark;
        }
        confirmed
    }

    /// How many are in place.
    pub(crate) fn in_place(&self) -> usize {
        self.counts[State::InPlace as usize]
    }

    /// How many are wanted.
    pub(crate) fn wants(&self) -> usize {
        let wanted = STATES.into_iter().filter(|state| state.is_wanted());
        wanted.map(|state| self.counts[state as usize]).sum()
    }

    /// How many an earlier run left.
    pub(crate) fn left(&self) -> usize {
        self.counts[State::Left as usize]
    }

    /// How many are not as they should be.
    pub(crate) fn differ(&self) -> usize {
        let all: usize = self.counts.iter().sum();
        all - self.in_place() - self.counts[State::Gone as usize]
    }

    /// All that are wanted (true) or in the kernel, by table, metric and prefix.
    pub(crate) fn routes(&self, wanted: bool, there: bool) -> impl Iterator<Item = Route> {
        let is_meant = move |state: State| {
            state.is_wanted() == wanted && state.is_there() == there && state != State::Gone
        };
        let keys = self.matching(move |entry, _| is_meant(entry.state()));
        keys.filter_map(|key| {
            let entry = self.entry(key)?;
            Some(self.values.get(entry.value())?.route(key))
        })
    }

    /// Makes room for routes of a table and metric.
    pub(crate) fn open(&mut self, table: u32, metric: u32) {
        self.shelves.entry((table, metric)).or_default();
    }

    /// The keys that a route to a prefix may have, each with whether it is wanted.
    pub(crate) fn keys_to(&self, prefix: Prefix) -> impl Iterator<Item = (Key, bool)> {
        self.shelves.iter().map(move |((table, metric), shelf)| {
            let entry = shelf.get(prefix);
            let wanted = entry.is_some_and(|entry| entry.state().is_wanted());
            (Key::Route(*table, prefix, *metric), wanted)
        })
    }

    /// Nothing is to be added any more, nor is it remembered what is gone.
    pub(crate) fn leave(&mut self) {
        self.gone = VecDeque::new();
        self.counts[State::Gone as usize] = 0;
        for shelf in self.shelves.values_mut() {
            shelf.v4.retain(|_, entry| entry.state() != State::Gone);
            shelf.v6.retain(|_, entry| entry.state() != State::Gone);
        }
        let queued = self.matching(|entry, _| entry.state() == State::Queued);
        for key in queued.collect::<Vec<_>>() {
            if let Some(entry) = self.remove(key) {
                self.release(entry);
            }
        }
    }

    fn matching<'a>(
        &'a self,
        is_meant: impl Fn(&Entry, Family) -> bool + 'a,
    ) -> impl Iterator<Item = RouteKey> {
        let shelves = self.shelves.iter();
        let all = shelves.flat_map(|((table, metric), shelf)| {
            shelf
                .iter()
                .map(move |(prefix, entry)| ((*table, prefix, *metric), entry))
        });
        all.filter(move |((_, prefix, _), entry)| {
            entry.state() != State::Gone && is_meant(entry, prefix.family())
        })
        .map(|(key, _)| key)
    }

    /// Those that the scan `mark` did not see.
    pub(crate) fn unseen(&self, mark: Generation) -> Vec<RouteKey> {
        self.matching(|entry, _| entry.state().is_there() && entry.seen != mark)
            .collect()
    }

    /// Those in the kernel, or on their way, with a way over this link of which this is true; of the prefix it sees the family
    /// alone. Nothing is walked when there is none.
    pub(crate) fn over_link(
        &self,
        index: IfIndex,
        is_meant: impl Fn(&Route) -> bool,
    ) -> Vec<RouteKey> {
        let ids = self.values.by_link.range((index, 0)..=(index, NONE));
        self.of_values(ids.map(|(_, id)| *id), is_meant)
    }

    /// Whether this is true of any with a way over this link, or may be.
    pub(crate) fn is_any_over_link(
        &self,
        index: IfIndex,
        is_meant: impl Fn(&Route) -> bool,
    ) -> bool {
        let ids = self.values.by_link.range((index, 0)..=(index, NONE));
        let values = ids.filter_map(|(_, id)| self.values.get(*id));
        let mut samples = values.flat_map(Value::samples);
        samples.any(|(_, route)| is_meant(&route))
    }

    /// Whether any has this preferred source.
    pub(crate) fn has_prefsrc(&self, addr: IpAddr) -> bool {
        let mut ids = self.values.by_prefsrc.range((addr, 0)..=(addr, NONE));
        ids.next().is_some()
    }

    /// Those with this preferred source.
    pub(crate) fn with_prefsrc(&self, addr: IpAddr) -> Vec<RouteKey> {
        let ids = self.values.by_prefsrc.range((addr, 0)..=(addr, NONE));
        self.of_values(ids.map(|(_, id)| *id), |_| true)
    }

    fn of_values(
        &self,
        ids: impl Iterator<Item = ValueId>,
        is_meant: impl Fn(&Route) -> bool,
    ) -> Vec<RouteKey> {
        let values = ids.filter_map(|id| Some((id, self.values.get(id)?)));
        let samples = values.flat_map(|(id, value)| value.samples().map(move |s| (id, s)));
        let meant = samples.filter(|(_, (_, route))| is_meant(route));
        let meant: BTreeSet<(ValueId, Family)> =
            meant.map(|(id, (family, _))| (id, family)).collect();
        if meant.is_empty() {
            return Vec::new();
        }
        let is_meant = |entry: &Entry, family| {
            entry.state() != State::Queued && meant.contains(&(entry.value(), family))
        };
        let all = self.matching(is_meant);
        all.collect()
    }

    /// The kernel has dropped those with a way over this link of which this is true: they are to be added again when that is
    /// possible. Those of which more has to be known are given back, to be woken.
    pub(crate) fn lose(
        &mut self,
        index: IfIndex,
        now: Instant,
        is_dead: impl Fn(&Route) -> bool,
    ) -> Vec<RouteKey> {
        let mut to_wake = Vec::new();
        for key in self.over_link(index, is_dead) {
            let Some(entry) = self.entry_mut(key) else {
                continue;
            };
            match entry.state() {
                State::InPlace if entry.until.instant() <= now => {
                    // Not zero: it was there, and may be still.
                    let until = entry.until.max(Eighths::FIRST);
                    *entry = Entry::new(State::Queued, entry.value(), 0, until);
                    self.counts[State::InPlace as usize] -= 1;
                    self.counts[State::Queued as usize] += 1;
                    self.queue.push_back(key);
                }
                State::Left => {
                    if let Some(entry) = self.remove(key) {
                        self.release(entry);
                    }
                }
                _ => to_wake.push(key),
            }
        }
        to_wake
    }

    /// What waits for a link may be added now, or not yet: all that is to be done comes into the queue again.
    pub(crate) fn try_again(&mut self) {
        let waits = |state| matches!(state, State::Queued | State::Leaving);
        let due = self.matching(move |entry, _| waits(entry.state()));
        self.queue = due.collect();
    }

    /// Whether any is still to be added, in the queue or waiting for a link.
    pub(crate) fn is_waiting(&self) -> bool {
        self.counts[State::Queued as usize] > 0
    }

    /// Forgets routes that are gone and of which no old message can come in any more.
    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some(&(until, key)) = self.gone.front()
            && until.instant() <= now
        {
            self.gone.pop_front();
            let is_old = |entry: &Entry| entry.state() == State::Gone && entry.until <= until;
            if self.entry(key).is_some_and(is_old)
                && let Some(entry) = self.remove(key)
            {
                self.release(entry);
            }
        }
        if self.gone.is_empty() && self.gone.capacity() > KEPT {
            self.gone.shrink_to(KEPT);
        }
    }
}

/// Room for so many is kept when nothing is in it.
const KEPT: usize = 1024;
