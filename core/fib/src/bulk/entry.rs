//! What is known of one route at rest, in twelve bytes.

use tapway_model::Instant;

use super::values::{NONE, ValueId};
use crate::mirror::Generation;

/// Eighths of a second, so that a time takes four bytes for 17 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Eighths(u32);

/// Nanoseconds.
pub(super) const EIGHTH: u64 = 125_000_000;

impl Eighths {
    /// The first after zero.
    pub(super) const FIRST: Eighths = Eighths(1);

    /// Not before `at`.
    pub(super) fn not_before(at: Instant) -> Eighths {
        let whole = at.as_nanos().div_ceil(EIGHTH);
        Eighths(u32::try_from(whole).unwrap_or(u32::MAX))
    }

    pub(super) fn instant(self) -> Instant {
        Instant::from_nanos(EIGHTH * u64::from(self.0))
    }
}

/// How a route stands that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Wanted, to be added.
    Queued,
    /// Wanted, being added.
    Flying,
    /// Wanted, and there.
    InPlace,
    /// Of an earlier run, and not wanted.
    Left,
    /// Not wanted any more, to be removed.
    Leaving,
    /// Not wanted any more, being removed.
    FlyingOut,
    /// Removed. Messages from before may still come in.
    Gone,
}

pub(super) const STATES: [State; 7] = [
    State::Queued,
    State::Flying,
    State::InPlace,
    State::Left,
    State::Leaving,
    State::FlyingOut,
    State::Gone,
];

impl State {
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, State::Queued | State::Flying | State::InPlace)
    }

    /// Whether the kernel has it, as far as is known.
    pub(super) fn is_there(self) -> bool {
        use State::{FlyingOut, InPlace, Leaving, Left};
        matches!(self, InPlace | Left | Leaving | FlyingOut)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// State and value.
    tag: u32,
    /// Which scan saw it last; while it is being added, which was the latest then.
    pub(super) seen: Generation,
    /// Until then messages from before our last write, or removal, may come in.
    pub(super) until: Eighths,
}

impl Entry {
    pub(super) fn new(state: State, value: ValueId, seen: Generation, until: Eighths) -> Entry {
        let tag = (state as u32) << 29 | value;
        Entry { tag, seen, until }
    }

    pub(super) fn state(&self) -> State {
        STATES[(self.tag >> 29) as usize]
    }

    pub(super) fn value(&self) -> ValueId {
        self.tag & NONE
    }
}
