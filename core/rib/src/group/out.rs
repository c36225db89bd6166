//! Outgoing attributes of a group: ready blocks, each once.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;
use tapway_bgp_wire::NextHop;

use crate::attributes::{AttrId, Seed};
use crate::slab::Slab;

/// A block as it is sent, with what it is sent by.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) block: Box<[u8]>,
    pub(crate) next_hop: NextHop,
    refs: u32,
    hash: u64,
}

/// What export once said about a block of attributes.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// For sources of this class.
    class: u64,
    /// `None`: refused.
    out: Option<u32>,
}

/// All outgoing blocks of a group, and what export said for incoming ones.
#[derive(Clone, Debug)]
pub(crate) struct OutTable {
    seed: Seed,
    by_bytes: HashTable<u32>,
    outs: Slab<Out>,
    known: Vec<Option<Known>>,
}

impl OutTable {
    pub(crate) fn new(seed: Seed) -> OutTable {
        OutTable {
            seed,
            by_bytes: HashTable::new(),
            outs: Slab::default(),
            known: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&Out> {
        self.outs.get(id)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.outs.len()
    }

    /// The number of a block, with one reference more.
    pub(crate) fn intern(&mut self, block: &[u8], next_hop: NextHop) -> u32 {
        let hash = self.seed.hash(block, next_hop);
        let outs = &self.outs;
        let same = |id: &u32| {
            outs.get(*id)
                .is_some_and(|o| o.next_hop == next_hop && *o.block == *block)
        };
        if let Some(id) = self.by_bytes.find(hash, same).copied() {
            self.hold(id);
            return id;
        }
        let id = self.outs.insert(Out {
            block: block.into(),
            next_hop,
            refs: 1,
            hash,
        });
        let outs = &self.outs;
        self.by_bytes
            .insert_unique(hash, id, |id| outs.get(*id).map_or(0, |o| o.hash));
        id
    }

    #[inline]
    pub(crate) fn hold(&mut self, id: u32) {
        if let Some(out) = self.outs.get_mut(id) {
            out.refs += 1;
        }
    }

    #[inline]
    pub(crate) fn release(&mut self, id: u32) {
        let Some(out) = self.outs.get_mut(id) else {
            return;
        };
        out.refs -= 1;
        if out.refs > 0 {
            return;
        }
        if let Ok(found) = self.by_bytes.find_entry(out.hash, |other| *other == id) {
            found.remove();
        }
        self.outs.remove(id);
        let outs = &self.outs;
        if self.by_bytes.capacity() > 1024 && self.by_bytes.len() < self.by_bytes.capacity() / 8 {
            self.by_bytes.shrink_to(self.by_bytes.len() * 2, |id| {
                outs.get(*id).map_or(0, |o| o.hash)
            });
        }
    }

    /// What export said for a block and a class of sources. The outer `None`: nothing yet.
    #[inline]
    pub(crate) fn known(&self, id: AttrId, class: u64) -> Option<Option<u32>> {
        let known = (*self.known.get(id.index() as usize)?)?;
        (known.class == class).then_some(known.out)
    }

    /// Notes what export said. One class of sources is remembered for a block.
    pub(crate) fn remember(&mut self, id: AttrId, class: u64, out: Option<u32>) {
        self.forget(id);
        if let Some(out) = out {
            self.hold(out);
        }
        let at = id.index() as usize;
        if at >= self.known.len() {
            self.known.resize(at + 1, None);
        }
        self.known[at] = Some(Known { class, out });
    }

    /// The block's number will mean something else.
    pub(crate) fn forget(&mut self, id: AttrId) {
        let known = self
            .known
            .get_mut(id.index() as usize)
            .and_then(Option::take);
        if let Some(out) = known.and_then(|k| k.out) {
            self.release(out);
        }
        while let Some(None) = self.known.last() {
            self.known.pop();
        }
        if self.known.len() * 4 < self.known.capacity() {
            self.known.shrink_to(self.known.len() * 2);
        }
    }

    /// Export changed: nothing it said holds any more.
    pub(crate) fn forget_all(&mut self) {
        for known in core::mem::take(&mut self.known) {
            if let Some(out) = known.and_then(|k| k.out) {
                self.release(out);
            }
        }
    }
}
