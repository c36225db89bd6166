//! Where scanning stands: marks for the sweep, and what makes another scan necessary.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::Instant;

use super::Fib;
use crate::bulk::whole_key;
use crate::compare::same;
use crate::mirror::Generation;
use crate::slot::Foreign;
use crate::{IfIndex, Key, Notice};

/// Scans that we ask for come no closer than this.
const GAP: Duration = Duration::from_secs(1);

/// What a message during a scan said is gone; a line of the scan may still say that it is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gone {
    Key(Key),
    /// A link that went down or away, with what was on it.
    Link(IfIndex),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// A scan was completed.
    pub(super) ready: bool,
    pub(super) running: bool,
    /// Messages were lost since the last complete scan.
    pub(super) stale: bool,
    pub(super) mark: Generation,
    gone: BTreeSet<Gone>,
    /// Lines and messages contradict each other: scan once more.
    again: bool,
    due: Option<Instant>,
    ended: Option<Instant>,
}

impl Scan {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.running)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|at| at <= now);
        if due {
            self.due = None;
        }
        due
    }

    /// Asks for a scan that begins after now.
    pub(super) fn want(&mut self, now: Instant) {
        if self.running {
            self.again = true;
            return;
        }
        let at = self.ended.map_or(now, |ended| (ended + GAP).max(now));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn note_gone(&mut self, gone: impl FnOnce() -> Gone) {
        if self.running {
            self.gone.insert(gone());
        }
    }

    /// Something is told to be there.
    pub(super) fn note_present(&mut self, key: &Key, mut legs: impl Iterator<Item = IfIndex>) {
        if !self.running || self.again || self.gone.is_empty() {
            return;
        }
        self.again = self.gone.contains(&Gone::Key(key.clone()))
            || legs.any(|index| self.gone.contains(&Gone::Link(index)));
    }

    /// A link is told to be there.
    pub(super) fn note_link(&mut self, index: IfIndex) {
        self.again |= self.running && self.gone.contains(&Gone::Link(index));
    }

    /// What this scan has told is now told differently.
    pub(super) fn note_changed(&mut self, marked: Generation) {
        self.again |= self.running && marked == self.mark;
    }
}

impl Fib {
    pub(super) fn begin_scan(&mut self) {
        self.scan.mark = self.scan.mark.wrapping_add(1);
        self.scan.running = true;
        self.scan.again = false;
        self.scan.gone.clear();
        self.scan.due = None;
        // This is the scan that was asked for.
        self.notices.retain(|notice| *notice != Notice::ScanNeeded);
    }

    /// Messages were lost. The shell begins a scan by itself; one that runs now proves nothing.
    pub(super) fn overrun(&mut self) {
        self.scan.running = false;
        self.scan.stale = true;
        for id in self.slots.ids() {
            self.settle(id);
        }
    }

    pub(super) fn end_scan(&mut self, now: Instant) {
        if !self.scan.running {
            return;
        }
        let mark = self.scan.mark;
        self.scan.running = false;
        self.scan.stale = false;
        self.scan.ended = Some(now);
        for index in self.links.unmarked(mark) {
            self.link_gone(index);
        }
        self.sweep_world(mark);
        for key in self.bulk.unseen(mark) {
            self.wake(&whole_key(key));
        }
        let ids = self.slots.ids();
        for id in &ids {
            self.sweep_slot(*id, mark);
        }
        self.scan.ready = true;
        for id in ids {
            if self.slots.is_live(id) {
                self.settle(id);
            }
        }
        if self.scan.again {
            self.scan.again = false;
            self.scan.want(now);
        }
    }

    fn sweep_slot(&mut self, id: u32, mark: Generation) {
        let slot = &self.slots[id];
        // The values of sysctls are read when they are first watched, not in every scan.
        if slot.seen == mark || matches!(slot.key, Key::Sysctl(_)) {
            let slot = &mut self.slots[id];
            slot.unclear = false;
            if core::mem::take(&mut slot.missed) && slot.flight.is_none() {
                slot.unsure = false;
            }
            return;
        }
        if slot.foreign == Foreign::Seen {
            self.way_is_free(id);
        }
        let slot = &mut self.slots[id];
        slot.unclear = false;
        slot.was_ours = slot.flight.is_some() || slot.fresh_until > self.now;
        slot.perhaps = None;
        let as_wanted = match (&slot.want, &slot.have) {
            (Some(want), Some(have)) => same(want, have),
            _ => false,
        };
        if as_wanted && !slot.missed {
            // Asked by adding it: what is wanted is not withdrawn because of one list. Another one settles it also when
            // it is not wanted any more by then.
            self.scan.again = true;
            slot.missed = true;
            slot.unsure = true;
            slot.disturbed = true;
            slot.repair = true;
            return;
        }
        slot.missed = false;
        if slot.have.is_some() {
            slot.unsure = false;
            slot.disturbed = true;
            slot.repair = slot.want.is_some();
            self.put_have(id, None);
        }
    }

    fn sweep_world(&mut self, mark: Generation) {
        let swept = self.world.sweep(mark);
        self.notices.extend(
            swept
                .addresses
                .iter()
                .map(|index| Notice::AddressesChanged(*index)),
        );
        self.notices.extend(
            swept
                .routers
                .iter()
                .map(|&(index, addr)| Notice::RouterNeighbour {
                    index,
                    addr,
                    present: false,
                }),
        );
        let families: Vec<Notice> = swept
            .defaults
            .iter()
            .map(|family| Notice::ForeignDefaultChanged(*family))
            .collect();
        self.notices.extend(families);
    }
}
