//! An ordered index of keys: sorted blocks, and a B-tree of the blocks.
//!
//! A block has up to 32 keys side by side; in larger ones a search misses the cache more often. A run of neighbouring keys
//! finds its block again without the tree; any other key costs one walk in a small tree and one binary search.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::slab::Slab;

/// Keys in a block.
const FULL: usize = 32;
/// Two neighbours become one block when they have at most this many together.
const MERGE: usize = 16;

/// From keys to numbers.
#[derive(Clone, Debug)]
pub(crate) struct Index<K> {
    /// Each block by a key that is not above its first and above all of the block before.
    tree: BTreeMap<K, u32>,
    blocks: Slab<Block<K>>,
    /// The block that was used last; when it was used twice in a row, with the keys that belong into it.
    last: Option<Last<K>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Block<K> {
    keys: Vec<K>,
    ids: Vec<u32>,
}

/// Where a key belongs.
#[derive(Clone, Copy, Debug)]
struct Place<K> {
    /// The key of the block in the tree.
    low: K,
    /// It is the first block: keys below `low` belong into it too.
    first: bool,
    block: u32,
}

/// The block that was used last.
#[derive(Clone, Copy, Debug)]
struct Last<K> {
    place: Place<K>,
    /// The key of the block after it, once it was looked for.
    high: Option<Option<K>>,
}

impl<K> Default for Index<K> {
    fn default() -> Index<K> {
        Index {
            tree: BTreeMap::new(),
            blocks: Slab::default(),
            last: None,
            len: 0,
        }
    }
}

impl<K: Copy + Ord> Index<K> {
    /// How many keys there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The number of a key.
    pub(crate) fn get(&self, key: K) -> Option<u32> {
        self.get_in(self.place(key)?, key)
    }

    /// The same; keys that come in a run are found sooner.
    pub(crate) fn find(&mut self, key: K) -> Option<u32> {
        let place = self.place_again(key)?;
        self.get_in(place, key)
    }

    fn get_in(&self, place: Place<K>, key: K) -> Option<u32> {
        let block = self.blocks.get(place.block)?;
        let at = block.keys.binary_search(&key).ok()?;
        block.ids.get(at).copied()
    }

    /// The number of a key, from `make` when it is new.
    pub(crate) fn get_or_insert(&mut self, key: K, make: impl FnOnce() -> u32) -> u32 {
        let Some(place) = self.place_again(key) else {
            let id = make();
            let block = self.blocks.insert(Block {
                keys: Vec::from([key]),
                ids: Vec::from([id]),
            });
            self.tree.insert(key, block);
            self.len = 1;
            return id;
        };
        let Some(block) = self.blocks.get_mut(place.block) else {
            return make();
        };
        let at = match block.keys.last() {
            Some(last) if *last < key => block.keys.len(),
            _ => match block.keys.binary_search(&key) {
                Ok(at) => return block.ids[at],
                Err(at) => at,
            },
        };
        let id = make();
        self.len += 1;
        if block.keys.len() == FULL {
            self.split(place, at, key, id);
        } else {
            block.keys.insert(at, key);
            block.ids.insert(at, id);
        }
        id
    }

    /// Makes two blocks of a full one and a key that comes `at` this place.
    fn split(&mut self, place: Place<K>, at: usize, key: K, id: u32) {
        // At the end of all, what comes next is likely behind it too: the full block stays full.
        let half = match at == FULL && self.next_of(place.low).is_none() {
            true => FULL,
            false => FULL / 2,
        };
        self.last = None;
        let Some(block) = self.blocks.get_mut(place.block) else {
            return;
        };
        let mut keys = block.keys.split_off(half);
        let mut ids = block.ids.split_off(half);
        if at >= half {
            keys.insert(at - half, key);
            ids.insert(at - half, id);
        } else {
            block.keys.insert(at, key);
            block.ids.insert(at, id);
        }
        let first = block.keys[0];
        if first < place.low {
            // The first block took keys below its own in the tree; what is split off may begin below that too.
            self.tree.remove(&place.low);
            self.tree.insert(first, place.block);
        }
        let low = keys[0];
        let new = self.blocks.insert(Block { keys, ids });
        self.tree.insert(low, new);
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: K) -> Option<u32> {
        let place = self.place_again(key)?;
        let block = self.blocks.get_mut(place.block)?;
        let at = block.keys.binary_search(&key).ok()?;
        block.keys.remove(at);
        let id = block.ids.remove(at);
        let left = block.keys.len();
        self.len -= 1;
        if left == 0 {
            self.tree.remove(&place.low);
            self.blocks.remove(place.block);
            self.last = None;
        } else if left <= MERGE / 2 && left.is_multiple_of(4) {
            self.merge(place, left);
        }
        Some(id)
    }

    /// Takes the next block into this one when both have little.
    fn merge(&mut self, place: Place<K>, left: usize) {
        let Some((high, next)) = self.next_of(place.low) else {
            return;
        };
        let few = |b: &Block<K>| b.keys.len() + left <= MERGE;
        if !self.blocks.get(next).is_some_and(few) {
            return;
        }
        let Some(mut next) = self.blocks.remove(next) else {
            return;
        };
        self.tree.remove(&high);
        self.last = None;
        if let Some(block) = self.blocks.get_mut(place.block) {
            block.keys.append(&mut next.keys);
            block.ids.append(&mut next.ids);
            block.keys.shrink_to(MERGE);
            block.ids.shrink_to(MERGE);
        }
    }

    /// Where `key` belongs; `None` when there is no block at all.
    fn place(&self, key: K) -> Option<Place<K>> {
        if let Some((low, block)) = self.tree.range(..=key).next_back() {
            return Some(Place {
                low: *low,
                first: false,
                block: *block,
            });
        }
        let (low, block) = self.tree.first_key_value()?;
        Some(Place {
            low: *low,
            first: true,
            block: *block,
        })
    }

    /// The same, sooner when it is where the last ones were.
    fn place_again(&mut self, key: K) -> Option<Place<K>> {
        if let Some(Last {
            place,
            high: Some(high),
        }) = self.last
            && (place.first || place.low <= key)
            && high.is_none_or(|high| key < high)
        {
            return Some(place);
        }
        let place = self.place(key)?;
        let high = match self.last {
            Some(last) if last.place.block == place.block => {
                Some(self.next_of(place.low).map(|(high, _)| high))
            }
            _ => None,
        };
        self.last = Some(Last { place, high });
        Some(place)
    }

    /// The block after the one with this key in the tree, with its own.
    fn next_of(&self, low: K) -> Option<(K, u32)> {
        let after = (Bound::Excluded(low), Bound::Unbounded);
        self.tree.range(after).next().map(|(k, b)| (*k, *b))
    }

    /// Keys with their numbers, in order, after `after` or from the start.
    pub(crate) fn after(&self, after: Option<K>) -> impl Iterator<Item = (K, u32)> + use<'_, K> {
        let from = match after {
            Some(key) => self.place(key).map(|place| place.low),
            None => self.tree.first_key_value().map(|(low, _)| *low),
        };
        let blocks = from.into_iter().flat_map(|low| self.tree.range(low..));
        blocks
            .filter_map(|(_, block)| self.blocks.get(*block))
            .flat_map(move |block| {
                let from = match after {
                    Some(key) => block.keys.partition_point(|k| *k <= key),
                    None => 0,
                };
                block.keys[from..]
                    .iter()
                    .copied()
                    .zip(block.ids[from..].iter().copied())
            })
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32),
        Run(u32, u32),
        Remove(u32),
        RemoveRun(u32, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u32..3000).prop_map(Step::Add),
            (0u32..3000, 1u32..400).prop_map(|(a, n)| Step::Run(a, n)),
            (0u32..3000).prop_map(Step::Remove),
            (0u32..3000, 1u32..400).prop_map(|(a, n)| Step::RemoveRun(a, n)),
        ]
    }

    proptest! {
        #[test]
        fn is_a_map(steps in prop::collection::vec(step(), 1..60), probe in 0u32..3500) {
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Add(k) => {
                        let want = *model.entry(k).or_insert(k * 2);
                        prop_assert_eq!(index.get_or_insert(k, || k * 2), want);
                    }
                    Step::Run(from, n) => for k in from..from + n {
                        model.entry(k).or_insert(k * 2);
                        index.get_or_insert(k, || k * 2);
                    },
                    Step::Remove(k) => prop_assert_eq!(index.remove(k), model.remove(&k)),
                    Step::RemoveRun(from, n) => for k in from..from + n {
                        prop_assert_eq!(index.remove(k), model.remove(&k));
                    },
                }
                prop_assert_eq!(index.len(), model.len());
            }
            let all: Vec<(u32, u32)> = model.clone().into_iter().collect();
            prop_assert_eq!(index.after(None).collect::<Vec<_>>(), all);
            let rest: Vec<(u32, u32)> = model.range(probe + 1..).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(index.after(Some(probe)).collect::<Vec<_>>(), rest);
            prop_assert_eq!(index.get(probe), model.get(&probe).copied());
        }
    }

    #[test]
    fn removing_all_leaves_nothing() {
        let mut index = Index::default();
        for k in 0..10_000u32 {
            index.get_or_insert(k.wrapping_mul(2_654_435_761), || k);
        }
        for k in 0..10_000u32 {
            assert_eq!(index.remove(k.wrapping_mul(2_654_435_761)), Some(k));
        }
        assert!(index.tree.is_empty() && index.blocks.len() == 0 && index.last.is_none());
    }
}
