//! The reconciler: wants come in, what the kernel tells comes in, changes and notices come out.
//!
//! Every key that is wanted, or had by us, is a slot, unless it rests (`rest.rs`). Whatever touches a slot ends with [`Fib::settle`],
//! which says what is to be done with it now and queues it when that is something. Where messages and
//! our own writes may have crossed, the object is taken to be absent: adding it again is harmless, and
//! the kernel's EEXIST then says that it is there after all (and a scan says whose it is).

mod events;
mod index;
mod link_events;
mod outcomes;
mod rest;
mod scan;
mod sysctls;
mod untold;
mod verdict;
mod view;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;
use core::time::Duration;

use tapway_model::Instant;

use crate::bulk::{Asked, Bulk, RouteKey, route_key};
use crate::compare::{normal, normal_key, same};
use crate::links::Links;
use crate::notice::{Batch, BatchId, Notice};
use crate::slot::{Act, Foreign, Slot, SlotId, Slots, Trouble};
use crate::stage::Stage;
use crate::world::World;
use crate::{Change, IfIndex, Key, Object, Route};
use scan::Scan;
use verdict::Verdict;

/// How long messages from before a removal of ours may come in after its outcome.
const DOUBT: Duration = Duration::from_secs(5);

/// What a batch is about.
#[derive(Clone, Debug)]
enum Flight {
    Slots(Vec<SlotId>),
    /// Routes at rest, unless they have been woken since.
    Bulk(Vec<RouteKey>),
}

/// What is wanted in the kernel, what is there, and what to change.
///
/// Drive it so: after every `handle_*` and every change of wants call [`Fib::poll_batch`] until `None`,
/// apply the batches, hand in their outcomes, and drain [`Fib::poll_notice`]; call `poll_batch` again at
/// [`Fib::poll_timeout`]. Nothing is changed before the first scan is complete.
#[derive(Clone, Debug)]
pub struct Fib {
    protocol: u8,
    /// The kernel told the protocol of an address of ours: one without is not ours.
    tells_protocol: bool,
    slots: Slots,
    /// Routes that would be slots at rest.
    bulk: Bulk,
    links: Links,
    world: World,
    scan: Scan,
    old_sysctls: BTreeMap<String, String>,
    by_link: BTreeSet<(IfIndex, SlotId)>,
    by_prefsrc: BTreeSet<(IpAddr, SlotId)>,
    queue: BTreeSet<(Stage, SlotId)>,
    timers: BTreeSet<(Instant, SlotId)>,
    /// Slots of removed objects, kept while old messages about them may come in.
    lingering: VecDeque<(Instant, SlotId)>,
    flights: BTreeMap<BatchId, Flight>,
    batches: u64,
    prune: bool,
    /// Everything is to go.
    leaving: bool,
    notices: VecDeque<Notice>,
    /// The latest time we were told.
    now: Instant,
}

impl Fib {
    /// Objects with this protocol number are ours.
    pub fn new(protocol: u8) -> Self {
        Fib {
            protocol,
            tells_protocol: false,
            slots: Slots::default(),
            bulk: Bulk::default(),
            links: Links::default(),
            world: World::default(),
            scan: Scan::default(),
            old_sysctls: BTreeMap::new(),
            by_link: BTreeSet::new(),
            by_prefsrc: BTreeSet::new(),
            queue: BTreeSet::new(),
            timers: BTreeSet::new(),
            lingering: VecDeque::new(),
            flights: BTreeMap::new(),
            batches: 0,
            prune: false,
            leaving: false,
            notices: VecDeque::from([Notice::ScanNeeded]),
            now: Instant::ZERO,
        }
    }

    /// Wants this object; replaces what was wanted with its key.
    pub fn set_want(&mut self, object: Object) {
        self.want(normal(object), false);
    }

    /// Wants this route, one of very many that share their ways out: when it is in place it takes little memory, and neither
    /// [`Notice::InSync`] nor [`Notice::OutOfSync`] tells of it.
    pub fn set_bulk(&mut self, route: Route) {
        let object = normal(Object::Route(route));
        if self.leaving {
            return;
        }
        if let Object::Route(route) = &object {
            match self.bulk.want(route) {
                Asked::Known => return,
                Asked::Free if self.adds_simply(route) => return self.bulk.add(route),
                Asked::Free | Asked::Other => self.bulk.open(route.table, route.metric),
            }
        }
        self.want(object, true);
    }

    fn want(&mut self, object: Object, bulk: bool) {
        let key = object.key();
        let (id, made) = self.slot_of(&key);
        if made {
            self.slots[id].foreign = self.world.foreign_at(&key, self.protocol);
        }
        let slot = &mut self.slots[id];
        slot.wanted_once = true;
        // Whoever waits for one that nobody waited for is to be told.
        slot.told &= bulk || !slot.bulk;
        slot.bulk = bulk;
        match &slot.want {
            Some(old) if **old == object => return self.settle(id),
            Some(old) if same(&object, old) => {}
            _ => {
                slot.told = false;
                slot.told_foreign = false;
                self.forgive(id);
            }
        }
        self.put_want(id, Some(Arc::new(object)));
        if let Key::Sysctl(path) = &key {
            if self.slots[id].have.is_none() {
                self.notices
                    .push_back(Notice::SysctlUnknown { path: path.clone() });
            }
            self.keep_old_of(id);
        }
        self.settle(id);
        self.settle_siblings(&key);
    }

    /// Wants nothing with this key. What is there of ours is removed; a sysctl gets its old value back.
    pub fn unwant(&mut self, key: &Key) {
        let key = normal_key(key);
        if route_key(&key).is_some_and(|key| self.bulk.unwant(key)) {
            return;
        }
        let Some(id) = self.wake(&key) else {
            return;
        };
        if self.slots[id].want.is_none() {
            return self.settle(id);
        }
        if let Key::Sysctl(path) = &key {
            self.keep_foreign_sysctl(id, path);
        }
        let slot = &mut self.slots[id];
        slot.told = false;
        slot.told_foreign = false;
        slot.repair = false;
        self.forgive(id);
        self.put_want(id, None);
        self.settle(id);
        self.settle_siblings(&key);
    }

    /// The start-up grace is over: ours that is not wanted may go.
    pub fn allow_prune(&mut self) {
        self.prune = true;
        for id in self.slots.ids() {
            self.settle(id);
        }
    }

    /// Wants nothing any more, for good: everything of ours is removed, sysctls get back the value that was
    /// recorded for them, unless somebody else has changed them since.
    pub fn release(&mut self) {
        self.prune = true;
        self.leaving = true;
        self.bulk.leave();
        let wanted = self
            .slots
            .in_order()
            .filter(|(_, slot)| slot.want.is_some());
        let keys: Vec<Key> = wanted.map(|(_, slot)| slot.key.clone()).collect();
        for key in &keys {
            self.unwant(key);
        }
        self.allow_prune();
    }

    /// The next changes to make, at most `max`. They are under way until their outcomes come in.
    pub fn poll_batch(&mut self, now: Instant, max: usize) -> Option<Batch> {
        self.tick(now);
        let mut ids = Vec::new();
        let mut changes = Vec::new();
        let mut first = None;
        while changes.len() < max {
            let Some(&(stage, id)) = self.queue.first() else {
                break;
            };
            let ends = |first: Stage| !first.begins_batch() && stage.begins_batch();
            if first.is_some_and(ends) {
                break;
            }
            self.queue.pop_first();
            self.slots[id].queued = None;
            let Verdict::Do(_, act) = self.verdict(id) else {
                continue;
            };
            let Some(object) = self.object_of(id, act) else {
                continue;
            };
            let change = change(act, (*object).clone());
            let slot = &mut self.slots[id];
            slot.flight = Some((act, object));
            slot.flight_mark = self.scan.mark;
            slot.disturbed = false;
            slot.overwrite = false;
            first.get_or_insert(stage);
            ids.push(id);
            changes.push(change);
        }
        if changes.is_empty() {
            return self.poll_bulk(max);
        }
        self.batches += 1;
        let id = BatchId(self.batches);
        self.flights.insert(id, Flight::Slots(ids));
        Some(Batch { id, changes })
    }

    /// What a batch is about whose outcomes did not come in yet; true: it is to go. Of bulk routes only those that go.
    pub fn in_flight(&self, batch: BatchId) -> impl Iterator<Item = (Cow<'_, Object>, bool)> {
        let (ids, keys) = match self.flights.get(&batch) {
            Some(Flight::Slots(ids)) => (ids.as_slice(), [].as_slice()),
            Some(Flight::Bulk(keys)) => ([].as_slice(), keys.as_slice()),
            None => ([].as_slice(), [].as_slice()),
        };
        let slots = ids.iter().filter_map(|id| {
            let (act, object) = self.slots[*id].flight.as_ref()?;
            Some((Cow::Borrowed(&**object), *act == Act::Remove))
        });
        let going = keys.iter().filter_map(|key| self.bulk.going(*key));
        slots.chain(going.map(|route| (Cow::Owned(Object::Route(route)), true)))
    }

    /// The next thing to tell.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When to call [`Fib::poll_batch`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.timers.first().map(|(at, _)| *at);
        [retry, self.scan.due()].into_iter().flatten().min()
    }

    /// Lets due retries be tried, and old doubts rest.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            let slot = &mut self.slots[id];
            if let Some(trouble) = &mut slot.trouble {
                trouble.retry_at = None;
            }
            slot.foreign = Foreign::No;
            self.settle(id);
        }
        while let Some(&(at, id)) = self.lingering.front()
            && at <= now
        {
            self.lingering.pop_front();
            let slot = &mut self.slots[id];
            if slot.doubt_until <= now {
                slot.doubt_until = Instant::ZERO;
            }
            if self.slots.is_live(id) {
                self.settle(id);
            }
        }
        self.bulk.forget(now);
        if self.scan.take_due(now) {
            self.notices.push_back(Notice::ScanNeeded);
        }
    }

    /// Says what is to be done with a slot, and sees to it. Ends the slot when nothing is.
    fn settle(&mut self, id: SlotId) {
        let verdict = self.verdict(id);
        let stage = match verdict {
            Verdict::Do(stage, _) => Some(stage),
            _ => None,
        };
        let slot = &mut self.slots[id];
        if slot.queued != stage {
            if let Some(old) = mem::replace(&mut slot.queued, stage) {
                self.queue.remove(&(old, id));
            }
            if let Some(new) = stage {
                self.queue.insert((new, id));
            }
        }
        match verdict {
            Verdict::InSync => {
                self.tell_in_sync(id);
                return self.rest_in_place(id);
            }
            Verdict::Idle if slot.doubt_until == Instant::ZERO && !slot.unclear => {
                self.forgive(id);
                return self.slots.free(id);
            }
            Verdict::Idle if slot.bulk => return self.rest_gone(id),
            _ => {}
        }
        if slot.told && slot.flight.is_none() && self.scan.ready {
            slot.told = false;
            if !slot.bulk {
                self.notices.push_back(Notice::OutOfSync(slot.key.clone()));
            }
        }
        if matches!(verdict, Verdict::Foreign) && !slot.told_foreign {
            slot.told_foreign = true;
            let key = slot.key.clone();
            self.notices.push_back(Notice::Foreign { key });
        }
    }

    fn tell_in_sync(&mut self, id: SlotId) {
        let slot = &mut self.slots[id];
        slot.repair = false;
        slot.told_foreign = false;
        if let Some(trouble) = &mut slot.trouble {
            trouble.attempts = 0;
            if let Some(at) = trouble.retry_at.take() {
                self.timers.remove(&(at, id));
            }
        }
        if !slot.told {
            slot.told = true;
            if !slot.bulk {
                self.notices.push_back(Notice::InSync(slot.key.clone()));
            }
        }
    }

    /// What was in the way is gone.
    fn way_is_free(&mut self, id: SlotId) {
        if self.slots[id].foreign != Foreign::No {
            self.forgive(id);
            self.slots[id].foreign = Foreign::No;
        }
    }

    /// Tries again from the start.
    fn forgive(&mut self, id: SlotId) {
        let slot = &mut self.slots[id];
        if let Some(trouble) = slot.trouble.take()
            && let Some(at) = trouble.retry_at
        {
            slot.foreign = Foreign::No;
            self.timers.remove(&(at, id));
        }
    }

    /// Tries nothing before `at`.
    fn wait_until(&mut self, id: SlotId, at: Instant) {
        let trouble = trouble(&mut self.slots[id]);
        if let Some(old) = trouble.retry_at.replace(at) {
            self.timers.remove(&(old, id));
        }
        self.timers.insert((at, id));
    }
}

fn trouble(slot: &mut Slot) -> &mut Trouble {
    slot.trouble
        .get_or_insert_with(|| Box::new(Trouble::default()))
}

fn change(act: Act, object: Object) -> Change {
    match act {
        Act::Add => Change::Add(object),
        Act::Replace => Change::Replace(object),
        Act::Remove => Change::Remove(object),
    }
}
