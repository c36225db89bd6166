//! Lists and their pages.

use serde::{Deserialize, Serialize};

/// A list, or the page of it that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List<T> {
    /// The items of this page, in a stable order.
    pub items: Vec<T>,
    /// How many items there are on all pages.
    pub total: u64,
}

impl<T> List<T> {
    /// A list that is whole.
    pub fn whole(items: Vec<T>) -> List<T> {
        let total = items.len() as u64;
        List { items, total }
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many items.
    pub limit: u32,
    /// Skip this many items first.
    pub offset: u64,
}

impl Page {
    /// Items of a page whose length nobody asked for.
    pub const DEFAULT_LIMIT: u32 = 1000;
    /// The most items of a page.
    pub const MAX_LIMIT: u32 = 10_000;

    /// A page as a query asks for it.
    pub fn new(limit: Option<u32>, offset: Option<u64>) -> Page {
        Page {
            limit: limit.unwrap_or(Page::DEFAULT_LIMIT),
            offset: offset.unwrap_or(0),
        }
    }

    /// Cuts this page out of all items. The items before and after are only counted.
    pub fn of<T>(&self, all: impl Iterator<Item = T>) -> List<T> {
        let end = self
            .offset
            .saturating_add(u64::from(self.limit.min(Page::MAX_LIMIT)));
        let mut list = List {
            items: Vec::new(),
            total: 0,
        };
        for item in all {
            if (self.offset..end).contains(&list.total) {
                list.items.push(item);
            }
            list.total += 1;
        }
        list
    }
}

impl Default for Page {
    fn default() -> Page {
        Page {
            limit: Page::DEFAULT_LIMIT,
            offset: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        for (limit, offset, items) in [
            (2, 0, vec![0, 1]),
            (2, 4, vec![4]),
            (2, 5, vec![]),
            (0, 0, vec![]),
            (9, 1, vec![1, 2, 3, 4]),
        ] {
            let list = Page { limit, offset }.of(0..5);
            assert_eq!((list.items, list.total), (items, 5), "{limit} {offset}");
        }
    }
}
