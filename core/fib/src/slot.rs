//! What is known of one key: wanted, had, under way, in trouble.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Bound, Index, IndexMut, RangeInclusive};

use tapway_model::Instant;

use crate::mirror::Generation;
use crate::stage::Stage;
use crate::{Key, Object};

/// Names a slot while it lives.
pub(crate) type SlotId = u32;

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Add,
    Replace,
    Remove,
}

/// Whether an object that is not ours has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    No,
    /// The kernel told of it, and will (but for IPv4 routes) tell when it goes.
    Seen,
    /// The kernel said EEXIST; nobody will tell when it goes.
    Refused,
}

/// Why a key is not written at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Failures in a row.
    pub(crate) attempts: u32,
    pub(crate) errno: i32,
    pub(crate) message: Option<String>,
    /// Nothing is tried before.
    pub(crate) retry_at: Option<Instant>,
    /// Times that somebody undid our work in the window that began at `since`.
    pub(crate) undone: u32,
    pub(crate) since: Instant,
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) want: Option<Arc<Object>>,
    /// Ours in the kernel; of a sysctl: its value, whoever wrote it.
    pub(crate) have: Option<Arc<Object>>,
    /// Taken to be gone, by a message that may be older than our last write of it: when it is not
    /// wanted any more, it is removed all the same.
    pub(crate) perhaps: Option<Arc<Object>>,
    /// In a batch whose outcomes are not in.
    pub(crate) flight: Option<(Act, Arc<Object>)>,
    /// Which scan was the latest when that batch was made.
    pub(crate) flight_mark: Generation,
    /// Something was told of the key during the flight: before or after our write, nobody knows.
    pub(crate) disturbed: bool,
    /// `have` was told after we removed it: perhaps an old message. Ask the kernel by adding.
    pub(crate) unsure: bool,
    /// The last scan did not find `have`. Another one is needed to believe that: the kernel may leave out of its
    /// list what others change around.
    pub(crate) missed: bool,
    /// Something of ours was there since the last scan: an EEXIST may be our own.
    pub(crate) was_ours: bool,
    /// Ours or not, a scan was asked to tell. Kept until then, so that it is known as ours to remove when it
    /// is not wanted any more.
    pub(crate) unclear: bool,
    pub(crate) foreign: Foreign,
    /// What is in the way is nobody's (a learned neighbour): replace it.
    pub(crate) overwrite: bool,
    /// Somebody undid our work; say so when it is mended.
    pub(crate) repair: bool,
    /// `InSync` was told.
    pub(crate) told: bool,
    /// `Foreign` was told.
    pub(crate) told_foreign: bool,
    /// One of very many: to rest when it is in place. Nobody is told of that.
    pub(crate) bulk: bool,
    /// The owner wanted it at some time: not a leftover.
    pub(crate) wanted_once: bool,
    pub(crate) queued: Option<Stage>,
    pub(crate) seen: Generation,
    /// Until then messages from before our removal may still come in.
    pub(crate) doubt_until: Instant,
    /// Until then messages from before our last write may still come in.
    pub(crate) fresh_until: Instant,
    pub(crate) trouble: Option<Box<Trouble>>,
}

impl Slot {
    fn new(key: Key) -> Slot {
        Slot {
            key,
            want: None,
            have: None,
            perhaps: None,
            flight: None,
            flight_mark: 0,
            disturbed: false,
            unsure: false,
            missed: false,
            was_ours: false,
            unclear: false,
            foreign: Foreign::No,
            overwrite: false,
            repair: false,
            told: false,
            told_foreign: false,
            bulk: false,
            wanted_once: false,
            queued: None,
            seen: 0,
            doubt_until: Instant::ZERO,
            fresh_until: Instant::ZERO,
            trouble: None,
        }
    }

    /// What is being put there by a batch whose outcomes are not in.
    pub(crate) fn written(&self) -> Option<&Arc<Object>> {
        match &self.flight {
            Some((Act::Add | Act::Replace, object)) => Some(object),
            _ => None,
        }
    }

    /// Whether a retry is to be waited for.
    pub(crate) fn waits(&self) -> bool {
        self.retry_at().is_some()
    }

    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.trouble.as_ref().and_then(|trouble| trouble.retry_at)
    }
}

/// All slots, by id and by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    vacant: Vec<SlotId>,
    by_key: BTreeMap<Key, SlotId>,
}

impl Slots {
    pub(crate) fn find(&self, key: &Key) -> Option<SlotId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Slot> {
        self.find(key).map(|id| &self[id])
    }

    /// The slot of this key; true: it was made.
    pub(crate) fn find_or_make(&mut self, key: &Key) -> (SlotId, bool) {
        if let Some(id) = self.find(key) {
            return (id, false);
        }
        let slot = Slot::new(key.clone());
        let id = match self.vacant.pop() {
            Some(id) => {
                self[id] = slot;
                id
            }
            None => {
                let id = SlotId::try_from(self.slots.len()).unwrap_or(SlotId::MAX);
                self.slots.push(slot);
                id
            }
        };
        self.by_key.insert(key.clone(), id);
        (id, true)
    }

    /// Whether the id names a slot now. An old id may name none, or another.
    pub(crate) fn is_live(&self, id: SlotId) -> bool {
        self.find(&self[id].key) == Some(id)
    }

    /// Ends a live slot.
    pub(crate) fn free(&mut self, id: SlotId) {
        let key = &self.slots[id as usize].key;
        self.by_key.remove(key);
        self.vacant.push(id);
    }

    /// All ids, in the order of their keys.
    pub(crate) fn ids(&self) -> Vec<SlotId> {
        self.by_key.values().copied().collect()
    }

    pub(crate) fn range(&self, keys: RangeInclusive<Key>) -> Vec<SlotId> {
        self.by_key.range(keys).map(|(_, id)| *id).collect()
    }

    /// The last one of a range.
    pub(crate) fn last(&self, keys: (Bound<&Key>, Bound<&Key>)) -> Option<(&Key, &Slot)> {
        let (key, id) = self.by_key.range::<Key, _>(keys).next_back()?;
        Some((key, &self[*id]))
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        self.by_key.values().map(|id| (*id, &self[*id]))
    }
}

impl Index<SlotId> for Slots {
    type Output = Slot;
    fn index(&self, id: SlotId) -> &Slot {
        &self.slots[id as usize]
    }
}

impl IndexMut<SlotId> for Slots {
    fn index_mut(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slots[id as usize]
    }
}
