//! Slots of bulk routes that come to rest, and rise again.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_model::{Instant, Prefix};

use super::events::PATIENCE;
use super::outcomes::is_gone;
use super::verdict::ways_are_up;
use super::{DOUBT, Fib, Flight, change};
use crate::bulk::{Rested, RouteKey, route_key, whole_key};
use crate::compare::normal_key;
use crate::notice::{Batch, BatchId};
use crate::slot::{Act, Foreign, SlotId};
use crate::{Key, Object, Outcome, Route};

impl Fib {
    /// The slot of a key, also of one that rests; true: it was made. Whoever asks has to settle it.
    pub(super) fn slot_of(&mut self, key: &Key) -> (SlotId, bool) {
        match self.wake(key) {
            Some(id) => (id, false),
            None => self.slots.find_or_make(key),
        }
    }

    /// The slot of a key, if it has one or rests. Whoever asks has to settle it.
    pub(super) fn wake(&mut self, key: &Key) -> Option<SlotId> {
        if let Some(id) = self.slots.find(key) {
            return Some(id);
        }
        let rested = self.bulk.take(route_key(key)?)?;
        let (id, _) = self.slots.find_or_make(key);
        let slot = &mut self.slots[id];
        slot.bulk = true;
        slot.wanted_once = true;
        let have = match rested {
            Rested::Wanted {
                route,
                was_ours,
                flying,
                doubt_until,
            } => {
                slot.was_ours = was_ours;
                let object = Arc::new(Object::Route(route));
                if let Some(mark) = flying {
                    slot.flight = Some((Act::Add, Arc::clone(&object)));
                    slot.flight_mark = mark;
                }
                if doubt_until > self.now {
                    slot.doubt_until = doubt_until;
                    self.lingering.push_back((doubt_until, id));
                }
                if !self.leaving {
                    self.put_want(id, Some(object));
                }
                return Some(id);
            }
            Rested::Gone { doubt_until } => {
                slot.doubt_until = doubt_until;
                self.lingering.push_back((doubt_until, id));
                return Some(id);
            }
            Rested::Left { route, seen } => {
                slot.bulk = false;
                slot.wanted_once = false;
                slot.seen = seen;
                Arc::new(Object::Route(route))
            }
            Rested::Leaving {
                route,
                seen,
                fresh_until,
                flying,
            } => {
                slot.seen = seen;
                slot.fresh_until = fresh_until;
                let object = Arc::new(Object::Route(route));
                if flying {
                    slot.flight = Some((Act::Remove, Arc::clone(&object)));
                }
                object
            }
            Rested::InPlace {
                route,
                seen,
                fresh_until,
            } => {
                slot.seen = seen;
                slot.fresh_until = fresh_until;
                let object = Arc::new(Object::Route(route));
                if !self.leaving {
                    slot.told = true;
                    self.put_want(id, Some(Arc::clone(&object)));
                }
                object
            }
        };
        self.slots[id].was_ours = true;
        self.put_have(id, Some(have));
        Some(id)
    }

    /// Lets a slot rest whose object is as wanted, if there is no more to be known of it.
    pub(super) fn rest_in_place(&mut self, id: SlotId) {
        if !self.slots[id].bulk || !self.is_calm(id) {
            return;
        }
        let slot = &self.slots[id];
        let Some(Object::Route(route)) = slot.want.as_deref() else {
            return;
        };
        let as_wanted = slot.have.as_ref() == slot.want.as_ref();
        let awake = slot.missed || slot.perhaps.is_some() || slot.doubt_until != Instant::ZERO;
        if awake || !as_wanted || route_key(&slot.key).is_none() {
            return;
        }
        self.bulk.put(route, slot.seen, slot.fresh_until);
        self.put_have(id, None);
        self.put_want(id, None);
        self.slots.free(id);
    }

    /// Lets a slot rest of which nothing is left but old messages that may come in.
    pub(super) fn rest_gone(&mut self, id: SlotId) {
        let slot = &self.slots[id];
        let until = slot.doubt_until;
        let awake = slot.perhaps.is_some() || until == Instant::ZERO;
        if !slot.bulk || awake {
            return;
        }
        let Some(key) = route_key(&slot.key) else {
            return;
        };
        self.forgive(id);
        if !self.is_calm(id) {
            return self.lingering.push_back((until, id));
        }
        if !self.leaving {
            self.bulk.put_gone(key, until);
        }
        self.slots.free(id);
    }

    /// Whether a route may be added that nothing is known of, without a slot.
    pub(super) fn adds_simply(&self, route: &Route) -> bool {
        let key = Key::Route(route.table, route.prefix, route.metric);
        let simple = self.scan.ready && route.prefsrc.is_none() && route_key(&key).is_some();
        simple && ways_are_up(&self.links, route) && self.slots.find(&key).is_none()
    }

    /// Changes of routes at rest: a batch of their own, when there is nothing else to do.
    pub(super) fn poll_bulk(&mut self, max: usize) -> Option<Batch> {
        if (self.leaving || self.prune) && self.scan.ready {
            let room = max.saturating_sub(self.bulk.due());
            self.bulk.drop_some(self.leaving, room);
        }
        let (mut keys, mut changes) = (Vec::new(), Vec::new());
        while self.scan.ready && changes.len() < max {
            let links = &self.links;
            let is_possible = |route: &Route| ways_are_up(links, route);
            let Some((key, route, adding)) = self.bulk.next_due(self.scan.mark, is_possible) else {
                break;
            };
            let act = if adding { Act::Add } else { Act::Remove };
            changes.push(change(act, Object::Route(route)));
            keys.push(key);
        }
        if changes.is_empty() {
            return None;
        }
        self.batches += 1;
        let id = BatchId(self.batches);
        self.flights.insert(id, Flight::Bulk(keys));
        Some(Batch { id, changes })
    }

    /// What became of a change of a route at rest.
    pub(super) fn bulk_outcome(&mut self, now: Instant, key: RouteKey, outcome: &Outcome) {
        let done = matches!(outcome, Outcome::Done);
        if done && let Some(mark) = self.bulk.added(key, now + DOUBT) {
            if mark != self.scan.mark {
                // A scan began since and has not seen it: perhaps it was gone again by then.
                self.scan.want(now);
            }
            return;
        }
        let is_gone = match outcome {
            Outcome::Done => true,
            Outcome::Failed { errno, .. } => is_gone(*errno),
        };
        let doubt = (!self.leaving).then(|| now + DOUBT);
        if is_gone && self.bulk.removed(key, doubt) {
            return;
        }
        if let Some(id) = self.wake(&whole_key(key)) {
            self.outcome(now, id, outcome);
            if self.slots.is_live(id) {
                self.settle(id);
            }
        }
    }

    /// Whether a route that was just told of is an earlier run's, and rests from now on.
    pub(super) fn rest_left(&mut self, key: &Key, route: &Route) -> bool {
        let rests = !self.prune && route_key(key).is_some() && self.slots.find(key).is_none();
        let rests = rests && !self.bulk.knows(route);
        if rests {
            self.bulk.put_left(route, self.scan.mark);
        }
        rests
    }

    fn is_calm(&mut self, id: SlotId) -> bool {
        let now = self.now;
        let slot = &mut self.slots[id];
        if let Some(trouble) = &slot.trouble {
            let over = trouble.since + PATIENCE.1;
            let counts = trouble.undone > 0 && now < over;
            if trouble.retry_at.is_some() || counts {
                if counts {
                    self.lingering.push_back((over, id));
                }
                return false;
            }
            slot.trouble = None;
        }
        !slot.unclear && slot.foreign == Foreign::No && slot.queued.is_none()
    }

    /// The keys of the bulk routes to a prefix that are wanted.
    pub fn bulk_keys_to(&self, prefix: Prefix) -> impl Iterator<Item = Key> {
        let awake = |key: &Key| {
            let slot = self.slots.get(key);
            slot.is_some_and(|slot| slot.bulk && slot.want.is_some())
        };
        let keys = self.bulk.keys_to(prefix);
        keys.filter(move |(key, wanted)| *wanted || awake(key))
            .map(|(key, _)| key)
    }

    /// Whether a bulk route with this key is wanted.
    pub fn is_bulk(&self, key: &Key) -> bool {
        let key = &normal_key(key);
        match self.slots.get(key) {
            Some(slot) => slot.bulk && slot.want.is_some(),
            None => route_key(key).is_some_and(|key| self.bulk.wanted(key).is_some()),
        }
    }

    /// How many bulk routes are in place, and how many are wanted, of those at rest: [`Fib::states`] does not tell of them.
    pub fn bulk_at_rest(&self) -> (usize, usize) {
        (self.bulk.in_place(), self.bulk.wants())
    }
}
