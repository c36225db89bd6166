//! Values with numbers, in pages that are given back when they are empty.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Values in one page.
pub(crate) const PAGE: u32 = 1024;

/// A slab. A new value goes to the lowest page that has room, so that pages at the end become empty.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// Pages with room.
    room: BTreeSet<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    items: Vec<Option<T>>,
    /// Numbers that were given back.
    free: Vec<u16>,
}

impl<T> Default for Page<T> {
    fn default() -> Page<T> {
        Page {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Page<T> {
    fn is_full(&self) -> bool {
        self.free.is_empty() && self.items.len() == PAGE as usize
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.items.len()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            pages: Vec::new(),
            room: BTreeSet::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// All numbers are below this.
    pub(crate) fn end(&self) -> u32 {
        self.pages.len() as u32 * PAGE
    }

    /// Adds one.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = match self.room.first() {
            Some(number) => *number,
            None => {
                self.pages.push(Page::default());
                let number = self.pages.len() as u32 - 1;
                self.room.insert(number);
                number
            }
        };
        let page = &mut self.pages[number as usize];
        let at = match page.free.pop() {
            Some(at) => {
                page.items[usize::from(at)] = Some(value);
                u32::from(at)
            }
            None => {
                if page.items.is_empty() && number > 0 {
                    page.items.reserve_exact(PAGE as usize);
                }
                page.items.push(Some(value));
                page.items.len() as u32 - 1
            }
        };
        if page.is_full() {
            self.room.remove(&number);
        }
        self.len += 1;
        number * PAGE + at
    }

    /// Removes one.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let number = id / PAGE;
        let page = self.pages.get_mut(number as usize)?;
        let value = page.items.get_mut((id % PAGE) as usize)?.take()?;
        page.free.push((id % PAGE) as u16);
        self.len -= 1;
        self.room.insert(number);
        if page.is_empty() {
            *page = Page::default();
            while self.pages.last().is_some_and(|p| p.items.is_empty()) {
                self.pages.pop();
                self.room.remove(&(self.pages.len() as u32));
            }
        }
        Some(value)
    }

    /// One.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.pages
            .get((id / PAGE) as usize)?
            .items
            .get((id % PAGE) as usize)?
            .as_ref()
    }

    /// One, to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.pages
            .get_mut((id / PAGE) as usize)?
            .items
            .get_mut((id % PAGE) as usize)?
            .as_mut()
    }

    /// The numbers in use of one page, in order.
    pub(crate) fn page(&self, number: u32) -> impl Iterator<Item = u32> + use<'_, T> {
        let items = self
            .pages
            .get(number as usize)
            .map_or(&[][..], |p| &p.items);
        let ids = items.iter().zip(number * PAGE..);
        ids.filter_map(|(item, id)| item.is_some().then_some(id))
    }

    /// All with their numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let items = self
            .pages
            .iter()
            .zip(0u32..)
            .flat_map(|(page, number)| page.items.iter().zip(number * PAGE..));
        items.filter_map(|(item, id)| Some((id, item.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_pages_go_back() {
        let mut slab = Slab::default();
        for n in 0..5000u32 {
            assert_eq!(slab.insert(n), n);
        }
        for n in 1024..2048 {
            assert_eq!(slab.remove(n), Some(n));
        }
        assert_eq!(
            (slab.len(), slab.remove(1024), slab.get(1500)),
            (5000 - 1024, None, None)
        );
        assert_eq!(slab.page(1).count(), 0);
        assert_eq!(slab.insert(7), 1024);
        assert_eq!(slab.get(1024), Some(&7));
        assert_eq!(
            slab.iter()
                .map(|(id, _)| id)
                .filter(|id| *id < 2048)
                .count(),
            1025
        );
        for n in 0..5000 {
            slab.remove(n);
        }
        assert_eq!((slab.len(), slab.pages.len(), slab.room.len()), (0, 0, 0));
    }
}
