//! When to give memory back to the system: after most of a large table of routes is gone.

use std::time::Duration;

use tapway_model::Instant;

/// Fewer routes than this are not worth the work.
const MANY: usize = 10_000;
/// A table that goes is gone by then, or comes back.
const SETTLES: Duration = Duration::from_secs(2);
/// What is remembered of routes that were removed from the kernel is forgotten by then.
const FORGETS: Duration = Duration::from_secs(6);

/// Follows how many routes there are.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    /// The most there were since memory was given back.
    most: usize,
    due: Option<Instant>,
    /// Once more after that.
    again: bool,
}

impl Spare {
    /// There are so many routes now.
    pub(crate) fn note(&mut self, now: Instant, routes: usize) {
        self.most = self.most.max(routes);
        let gone = self.most - routes;
        if self.due.is_none() && gone >= MANY && gone >= routes {
            self.due = Some(now + SETTLES);
            self.again = true;
        }
    }

    /// When memory is to be given back.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to give memory back now.
    pub(crate) fn take_due(&mut self, now: Instant, routes: usize) -> bool {
        let due = self.due.is_some_and(|at| at <= now);
        if due {
            self.most = routes;
            let again = std::mem::take(&mut self.again);
            self.due = again.then_some(now + FORGETS);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn memory_is_given_back_twice_after_most_of_a_table_is_gone() {
        let mut spare = Spare::default();
        for routes in [0, 100_000, 60_000, 51_000] {
            spare.note(at(0), routes);
            assert_eq!(spare.poll_timeout(), None, "{routes}");
        }
        spare.note(at(10), 50_000);
        spare.note(at(20), 0);
        assert_eq!(spare.poll_timeout(), Some(at(2010)));
        assert!(!spare.take_due(at(2009), 0));
        assert!(spare.take_due(at(2010), 0));
        assert!(!spare.take_due(at(2011), 0));
        assert!(spare.take_due(at(8010), 0));
        assert_eq!(spare.poll_timeout(), None);
        spare.note(at(9000), 0);
        assert_eq!(spare.poll_timeout(), None, "nothing has come since");
    }

    #[test]
    fn a_small_table_is_not_worth_it() {
        let mut spare = Spare::default();
        spare.note(at(0), 9_999);
        spare.note(at(1), 0);
        assert_eq!(spare.poll_timeout(), None);
    }
}
