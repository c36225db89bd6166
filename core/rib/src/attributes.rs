//! Blocks of attributes with their next hops, each once.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::num::NonZeroU32;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use tapway_bgp_wire::{NextHop, RawAttributes};

use crate::facts::Facts;
use crate::next_hops::NextHops;
use crate::slab::Slab;

/// The number of a block of attributes with its next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrId(NonZeroU32);

impl AttrId {
    /// Its place in a slab.
    pub(crate) const fn index(self) -> u32 {
        self.0.get() - 1
    }

    fn of(index: u32) -> AttrId {
        AttrId(NonZeroU32::MIN.saturating_add(index))
    }
}

/// A seed that peers do not know, for tables that they fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) [u8; 16]);

impl Seed {
    /// A hash that nobody without the seed can steer (SipHash-1-3).
    pub(crate) fn hash(self, block: &[u8], next_hop: NextHop) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(block);
        let (kind, first, second) = match next_hop {
            NextHop::V4(addr) => (0, u128::from(addr.to_bits()), 0),
            NextHop::V6(addr) => (1, addr.to_bits(), 0),
            NextHop::V6WithLinkLocal { global, link_local } => {
                (2, global.to_bits(), link_local.to_bits())
            }
            NextHop::LinkLocal(addr) => (3, addr.to_bits(), 0),
        };
        hasher.write_u8(kind);
        hasher.write_u128(first);
        hasher.write_u128(second);
        hasher.finish()
    }
}

/// One block.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    raw: Box<[u8]>,
    pub(crate) next_hop: NextHop,
    pub(crate) hop: u32,
    refs: u32,
    hash: u64,
    pub(crate) facts: Facts,
}

impl Entry {
    pub(crate) const fn raw(&self) -> RawAttributes<'_> {
        RawAttributes::new(&self.raw)
    }
}

/// All blocks.
#[derive(Clone, Debug)]
pub(crate) struct AttributeTable {
    seed: Seed,
    by_bytes: HashTable<u32>,
    entries: Slab<Entry>,
    /// Blocks that nobody has any more; their numbers are in caches still.
    dead: Vec<AttrId>,
}

impl AttributeTable {
    pub(crate) fn new(seed: Seed) -> AttributeTable {
        AttributeTable {
            seed,
            by_bytes: HashTable::new(),
            entries: Slab::default(),
            dead: Vec::new(),
        }
    }

    /// The number of a block, with one reference more.
    pub(crate) fn intern(
        &mut self,
        raw: RawAttributes<'_>,
        next_hop: NextHop,
        hops: &mut NextHops,
    ) -> AttrId {
        let hash = self.seed.hash(raw.bytes(), next_hop);
        let entries = &self.entries;
        let same = |id: &u32| {
            entries
                .get(*id)
                .is_some_and(|e| e.next_hop == next_hop && *e.raw == *raw.bytes())
        };
        if let Some(id) = self.by_bytes.find(hash, same) {
            let id = AttrId::of(*id);
            self.hold(id);
            return id;
        }
        let id = self.entries.insert(Entry {
            raw: raw.bytes().into(),
            next_hop,
            hop: hops.hold(next_hop),
            refs: 1,
            hash,
            facts: Facts::read(raw),
        });
        let entries = &self.entries;
        self.by_bytes
            .insert_unique(hash, id, |id| entries.get(*id).map_or(0, |e| e.hash));
        AttrId::of(id)
    }

    #[inline]
    pub(crate) fn get(&self, id: AttrId) -> Option<&Entry> {
        self.entries.get(id.index())
    }

    /// Blocks that somebody has.
    pub(crate) fn len(&self) -> usize {
        self.by_bytes.len()
    }

    /// One reference more.
    #[inline]
    pub(crate) fn hold(&mut self, id: AttrId) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.refs += 1;
        }
    }

    /// One reference less. The number of a block without any stays taken until [`AttributeTable::bury`].
    #[inline]
    pub(crate) fn release(&mut self, id: AttrId, hops: &mut NextHops) {
        let Some(entry) = self.entries.get_mut(id.index()) else {
            return;
        };
        entry.refs -= 1;
        if entry.refs > 0 {
            return;
        }
        hops.release(entry.hop);
        if let Ok(found) = self
            .by_bytes
            .find_entry(entry.hash, |other| *other == id.index())
        {
            found.remove();
        }
        let entries = &self.entries;
        if self.by_bytes.capacity() > 1024 && self.by_bytes.len() < self.by_bytes.capacity() / 8 {
            self.by_bytes.shrink_to(self.by_bytes.len() * 2, |id| {
                entries.get(*id).map_or(0, |e| e.hash)
            });
        }
        self.dead.push(id);
    }

    /// A block that nobody has: caches must forget it, then its number is free.
    pub(crate) fn bury(&mut self) -> Option<AttrId> {
        let id = self.dead.pop()?;
        self.entries.remove(id.index());
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    /// Blocks that all fall into one of 64 places by one seed are spread by another: who does not know the seed cannot choose
    /// blocks that fill one place of the table.
    #[test]
    fn blocks_that_collide_need_the_seed() {
        const PLACES: u64 = 64;
        let hop = NextHop::V4(Ipv4Addr::new(192, 0, 2, 1));
        let place = |seed: Seed, block: u32| seed.hash(&block.to_be_bytes(), hop) % PLACES;
        let (known, other) = (Seed([1; 16]), Seed([2; 16]));
        let chosen: Vec<u32> = (0..).filter(|b| place(known, *b) == 0).take(640).collect();
        let mut places = [0u32; PLACES as usize];
        for block in chosen {
            places[place(other, block) as usize] += 1;
        }
        let (least, most) = (places.iter().min(), places.iter().max());
        assert!(least > Some(&0) && most < Some(&30), "{places:?}");
    }
}
