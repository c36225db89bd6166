//! How many routes of an owner, a source or a next hop, lie in each page of nets.
//!
//! Whoever has to visit all routes of an owner visits only pages where there are some.

use alloc::collections::BTreeMap;

/// Counts per owner and page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    counts: BTreeMap<(u32, u32), u32>,
    /// The place that was counted last, and what is to be added to it: runs cost next to nothing.
    last: Option<(u32, u32)>,
    delta: i64,
}

impl Census {
    /// One more.
    #[inline]
    pub(crate) fn add(&mut self, owner: u32, page: u32) {
        self.change(owner, page, 1);
    }

    /// One less.
    #[inline]
    pub(crate) fn subtract(&mut self, owner: u32, page: u32) {
        self.change(owner, page, -1);
    }

    #[inline]
    fn change(&mut self, owner: u32, page: u32, by: i64) {
        if self.last != Some((owner, page)) {
            self.settle();
            self.last = Some((owner, page));
        }
        self.delta += by;
    }

    fn settle(&mut self) {
        let Some(place) = self.last.take() else {
            return;
        };
        let delta = core::mem::take(&mut self.delta);
        if delta == 0 {
            return;
        }
        let count = self.counts.entry(place).or_default();
        *count = (i64::from(*count) + delta) as u32;
        if *count == 0 {
            self.counts.remove(&place);
        }
    }

    /// How much there is of `owner`.
    pub(crate) fn count(&mut self, owner: u32) -> u64 {
        self.settle();
        let places = self.counts.range((owner, 0)..=(owner, u32::MAX));
        places.map(|(_, count)| u64::from(*count)).sum()
    }

    /// The first page from `from` on that has something of `owner`.
    pub(crate) fn next(&mut self, owner: u32, from: u32) -> Option<u32> {
        self.settle();
        let mut places = self.counts.range((owner, from)..=(owner, u32::MAX));
        places.next().map(|((_, page), _)| *page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_pages_with_something() {
        let mut census = Census::default();
        for (owner, page) in [(1, 5), (1, 5), (2, 3), (1, 9)] {
            census.add(owner, page);
        }
        assert_eq!(
            (census.next(1, 0), census.next(1, 6), census.next(1, 10)),
            (Some(5), Some(9), None)
        );
        assert_eq!((census.count(1), census.count(3)), (3, 0));
        census.subtract(1, 5);
        assert_eq!(census.next(1, 0), Some(5));
        census.subtract(1, 5);
        assert_eq!((census.next(1, 0), census.next(2, 0)), (Some(9), Some(3)));
    }
}
