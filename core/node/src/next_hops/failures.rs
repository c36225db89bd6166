//! Searches of the kernel's tables that fail.

use alloc::string::String;
use core::time::Duration;

use tapway_model::Instant;

use super::behind::{REST, REST_AT_MOST};

/// So many fail in a row before somebody is told, and before next hops that nothing is known of count as unreachable.
const TRIES: u32 = 3;

/// Searches in a row that failed.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tries: u32,
    first: Option<Instant>,
    why: String,
}

/// What is to be told of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing<'a> {
    /// How many.
    pub(crate) tries: u32,
    /// When the first one failed.
    pub(crate) since: Instant,
    /// Why the last one did.
    pub(crate) why: &'a str,
}

impl Failures {
    /// One more.
    pub(crate) fn add(&mut self, now: Instant, why: String) {
        self.tries = self.tries.saturating_add(1);
        self.first.get_or_insert(now);
        self.why = why;
    }

    /// What is to be told, if there are enough.
    pub(crate) fn failing(&self) -> Option<Failing<'_>> {
        let since = self.first.filter(|_| self.tries >= TRIES)?;
        Some(Failing {
            tries: self.tries,
            since,
            why: &self.why,
        })
    }

    /// How long the next one waits: twice as long with each.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let doublings = self.tries.checked_sub(1)?;
        let times = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        Some(REST.saturating_mul(times).min(REST_AT_MOST))
    }
}
