//! How much is told of next hops that are lost and found.

use core::time::Duration;

use tapway_model::Instant;

/// So many are told one by one in a while; of the others, how many there were.
const EACH: u32 = 10;
const WHILE: Duration = Duration::from_secs(10);

/// What was told lately, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// When it counts no longer.
    until: Option<Instant>,
    each: u32,
    untold: Untold,
}

/// Changes that were not told one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    pub(crate) lost: u64,
    pub(crate) found: u64,
}

impl Told {
    /// Whether to tell this change by itself; else it is counted.
    pub(crate) fn pass(&mut self, now: Instant, lost: bool) -> bool {
        let over = self.until.is_none_or(|until| until <= now);
        if over && self.untold == Untold::default() {
            (self.until, self.each) = (Some(now + WHILE), 0);
        }
        if self.each < EACH {
            self.each += 1;
            return true;
        }
        match lost {
            true => self.untold.lost += 1,
            false => self.untold.found += 1,
        }
        false
    }

    /// When to tell how many there were.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.until.filter(|_| self.untold != Untold::default())
    }

    /// How many there were, when it is time to tell.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Untold> {
        self.poll_timeout().filter(|at| *at <= now)?;
        (self.until, self.each) = (Some(now + WHILE), 0);
        Some(core::mem::take(&mut self.untold))
    }
}
