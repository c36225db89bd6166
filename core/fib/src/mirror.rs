//! A table that mirrors the kernel's: kept by notifications, corrected by mark and sweep.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeBounds;

/// Which scan saw an entry last.
pub(crate) type Generation = u32;

#[derive(Clone, Debug)]
pub(crate) struct Mirror<K, V> {
    entries: BTreeMap<K, (V, Generation)>,
}

impl<K, V> Default for Mirror<K, V> {
    fn default() -> Self {
        Mirror {
            entries: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone, V: PartialEq> Mirror<K, V> {
    /// Puts it there and marks it. What was there, and when it was marked.
    pub(crate) fn put(&mut self, key: K, value: V, mark: Generation) -> Option<(V, Generation)> {
        self.entries.insert(key, (value, mark))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(value, _)| value)
    }

    pub(crate) fn range(&self, keys: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.entries
            .range(keys)
            .map(|(key, (value, _))| (key, value))
    }

    pub(crate) fn remove_range(&mut self, keys: impl RangeBounds<K>) -> Vec<(K, V)> {
        let found: Vec<K> = self
            .entries
            .range(keys)
            .map(|(key, _)| key.clone())
            .collect();
        self.take(found)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|(value, _)| value)
    }

    /// Keys that the scan `mark` did not see.
    pub(crate) fn unmarked(&self, mark: Generation) -> Vec<K> {
        let unseen = self.entries.iter().filter(|(_, (_, seen))| *seen != mark);
        unseen.map(|(key, _)| key.clone()).collect()
    }

    /// Removes what the scan `mark` did not see.
    pub(crate) fn sweep(&mut self, mark: Generation) -> Vec<(K, V)> {
        let unseen = self.unmarked(mark);
        self.take(unseen)
    }

    fn take(&mut self, keys: Vec<K>) -> Vec<(K, V)> {
        let entries = &mut self.entries;
        keys.into_iter()
            .filter_map(|key| entries.remove(&key).map(|(value, _)| (key, value)))
            .collect()
    }
}
