//! The links of the namespace, by index and by name.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use tapway_model::IfName;

use crate::mirror::{Generation, Mirror};
use crate::{IfIndex, Link};

#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    by_index: Mirror<IfIndex, Link>,
    /// A name has one link, but an old message may tell of one that is gone.
    by_name: BTreeSet<(IfName, IfIndex)>,
}

impl Links {
    pub(crate) fn get(&self, index: IfIndex) -> Option<&Link> {
        self.by_index.get(&index)
    }

    pub(crate) fn named(&self, name: &IfName) -> Option<&Link> {
        let all = (name.clone(), IfIndex::MIN)..=(name.clone(), IfIndex::MAX);
        // Of two the younger: indexes grow.
        let (_, index) = self.by_name.range(all).next_back()?;
        self.get(*index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_index.values()
    }

    pub(crate) fn is_up(&self, index: IfIndex) -> bool {
        self.get(index).is_some_and(|link| link.up)
    }

    /// Puts it there; what was there with this index, and when it was marked.
    pub(crate) fn put(&mut self, link: Link, mark: Generation) -> Option<(Link, Generation)> {
        let (index, name) = (link.index, link.name.clone());
        let old = self.by_index.put(index, link, mark);
        if let Some((old, _)) = &old
            && old.name != name
        {
            self.by_name.remove(&(old.name.clone(), index));
        }
        self.by_name.insert((name, index));
        old
    }

    pub(crate) fn remove(&mut self, index: IfIndex) -> Option<Link> {
        let old = self.by_index.remove(&index)?;
        self.by_name.remove(&(old.name.clone(), index));
        Some(old)
    }

    pub(crate) fn unmarked(&self, mark: Generation) -> Vec<IfIndex> {
        self.by_index.unmarked(mark)
    }
}
