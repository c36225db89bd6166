//! A set of numbers as bits, with bits over the bits: adding costs a few nanoseconds, and what is in it is found
//! without looking at what is not.

use alloc::vec::Vec;

/// Levels of bits: 64 to the power of 6 numbers, which is more than 32 bits hold.
const LEVELS: usize = 6;

/// A set of numbers. Takes one bit for each number up to the largest ever in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitSet {
    levels: [Vec<u64>; LEVELS],
    len: usize,
}

impl BitSet {
    /// How many are in it.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `n` is in it.
    pub(crate) fn contains(&self, n: u32) -> bool {
        self.levels[0]
            .get(n as usize / 64)
            .is_some_and(|w| w & 1 << (n % 64) != 0)
    }

    /// Adds `n`.
    pub(crate) fn insert(&mut self, n: u32) {
        let mut at = n as usize;
        for (depth, level) in self.levels.iter_mut().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            if word >= level.len() {
                level.resize(word + 1, 0);
            }
            let old = level[word];
            if depth == 0 {
                self.len += usize::from(old & bit == 0);
            }
            level[word] = old | bit;
            if old != 0 {
                return;
            }
            at = word;
        }
    }

    /// Removes `n`; true: it was there.
    pub(crate) fn remove(&mut self, n: u32) -> bool {
        if !self.contains(n) {
            return false;
        }
        self.len -= 1;
        let mut at = n as usize;
        for level in &mut self.levels {
            let word = at / 64;
            level[word] &= !(1 << (at % 64));
            if level[word] != 0 {
                break;
            }
            at = word;
        }
        true
    }

    /// The first one from `from` on.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let mut at = from as usize;
        let mut depth = 0;
        // Up, until a word has something from `at` on; then down to its first.
        loop {
            let level = self.levels.get(depth)?;
            let left = level
                .get(at / 64)
                .map_or(0, |w| w & (u64::MAX << (at % 64)));
            if left != 0 {
                at = at / 64 * 64 + left.trailing_zeros() as usize;
                break;
            }
            at = at / 64 + 1;
            depth += 1;
        }
        while depth > 0 {
            depth -= 1;
            at = at * 64 + self.levels[depth][at].trailing_zeros() as usize;
        }
        Some(at as u32)
    }

    /// Removes the first one from `from` on; after the last one it begins again, which the second part says.
    pub(crate) fn take_next(&mut self, from: u32) -> Option<(u32, bool)> {
        let (n, again) = match self.next(from) {
            Some(n) => (n, false),
            None => (self.next(0)?, true),
        };
        self.remove(n);
        Some((n, again))
    }

    /// Adds all of `other`.
    pub(crate) fn extend(&mut self, other: &BitSet) {
        for n in other.iter() {
            self.insert(n);
        }
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut from = Some(0);
        core::iter::from_fn(move || {
            let n = self.next(from?)?;
            from = n.checked_add(1);
            Some(n)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in prop::collection::vec((any::<bool>(), prop_oneof![0u32..200, 0u32..2_000_000]), 1..200)) {
            let (mut bits, mut model) = (BitSet::default(), BTreeSet::new());
            for (add, n) in steps {
                if add {
                    bits.insert(n);
                    model.insert(n);
                } else {
                    prop_assert_eq!(bits.remove(n), model.remove(&n));
                }
                prop_assert_eq!(bits.len(), model.len());
                prop_assert_eq!(bits.next(n), model.range(n..).next().copied());
                prop_assert_eq!(bits.contains(n), model.contains(&n));
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn taking_goes_round() {
        let mut bits = BitSet::default();
        for n in [1, 70, 5000] {
            bits.insert(n);
        }
        assert_eq!(bits.take_next(60), Some((70, false)));
        assert_eq!(bits.take_next(71), Some((5000, false)));
        assert_eq!(bits.take_next(5001), Some((1, true)));
        assert_eq!(bits.take_next(2), None);
    }
}
