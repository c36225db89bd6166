//! The links of the namespace, by index and by name.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tapway_model::IfName;

use crate::mirror::{Generation, Mirror};
use crate::{IfIndex, Link};

#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    by_index: Mirror<IfIndex, Link>,
    by_name: BTreeMap<IfName, IfIndex>,
}

impl Links {
    pub(crate) fn get(&self, index: IfIndex) -> Option<&Link> {
        self.by_index.get(&index)
    }

    pub(crate) fn named(&self, name: &IfName) -> Option<&Link> {
        self.get(*self.by_name.get(name)?)
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
            self.forget_name(&old.name, index);
        }
        self.by_name.insert(name, index);
        old
    }

    pub(crate) fn remove(&mut self, index: IfIndex) -> Option<Link> {
        let old = self.by_index.remove(&index)?;
        self.forget_name(&old.name, index);
        Some(old)
    }

    pub(crate) fn unmarked(&self, mark: Generation) -> Vec<IfIndex> {
        self.by_index.unmarked(mark)
    }

    /// In a swap of names the other link may have it already.
    fn forget_name(&mut self, name: &IfName, index: IfIndex) {
        if self.by_name.get(name) == Some(&index) {
            self.by_name.remove(name);
        }
    }
}
