//! Order numbers: given at first sight, remembered across restarts, taken back at the end.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::{OrderKey, OrderRecord, Record};

/// Gives out order numbers and writes down what must be persisted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    next: u64,
    /// Persisted numbers whose owner has not been seen yet.
    restored: BTreeMap<OrderKey, u64>,
    /// Instances are being restored: a claim that goes may come back with the next of them.
    pub(crate) restoring: bool,
    /// Claims numbered while instances are restored, which were not there before the restart.
    passing: BTreeSet<OrderKey>,
    records: VecDeque<Record>,
}

impl Journal {
    /// Loads persisted numbers, once and before any is given out. New ones are higher than all of
    /// them. Of two things with one number (a damaged log) the second is numbered anew.
    pub(crate) fn restore(&mut self, records: Vec<OrderRecord>) {
        let mut used = BTreeSet::new();
        let first = self.next;
        for OrderRecord { key, number } in records {
            if (first..u64::MAX / 2).contains(&number) && used.insert(number) {
                self.next = self.next.max(number + 1);
                self.restored.insert(key, number);
            }
        }
    }

    /// A number that is not persisted yet.
    pub(crate) fn fresh(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// The persisted number of a key, once.
    pub(crate) fn restored(&mut self, key: impl FnOnce() -> OrderKey) -> Option<u64> {
        if self.restored.is_empty() {
            None
        } else {
            self.restored.remove(&key())
        }
    }

    /// The number of `key`: the persisted one, else a fresh one that is persisted.
    pub(crate) fn number(&mut self, key: OrderKey) -> u64 {
        if let Some(number) = self.restored(|| key.clone()) {
            return number;
        }
        let number = self.fresh();
        if self.restoring {
            self.passing.insert(key.clone());
        }
        self.write(Record::Order(OrderRecord { key, number }));
        number
    }

    /// Takes back the number of a claim that is gone. One that was there only until the next instance
    /// was restored must not come before those that are made until it is made again.
    pub(crate) fn release(&mut self, key: OrderKey, number: u64) {
        if self.restoring && !self.passing.remove(&key) {
            self.restored.insert(key, number);
        } else {
            self.write(Record::OrderGone(key));
        }
    }

    /// Takes back the persisted numbers that nobody came for.
    pub(crate) fn forget_restored(&mut self) {
        self.passing.clear();
        for key in core::mem::take(&mut self.restored).into_keys() {
            self.write(Record::OrderGone(key));
        }
    }

    pub(crate) fn write(&mut self, record: Record) {
        self.records.push_back(record);
    }

    pub(crate) fn poll(&mut self) -> Option<Record> {
        self.records.pop_front()
    }
}
