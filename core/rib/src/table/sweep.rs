//! Work on many routes of one owner, a page of nets at a time.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use tapway_bgp_wire::{NextHop, NlriEntry, RawAttributes};

use super::{Best, Shared, Table};
use crate::attributes::AttrId;
use crate::route::Route;
use crate::slab::PAGE;
use crate::source::SourceId;
use crate::table::view::RouteView;
use tapway_model::packed::Packed;

/// What import says when it is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// As it was.
    Same,
    /// The route is kept, and does not count.
    Refused,
    /// It counts as it came.
    Accepted {
        /// Before all attributes, more is better.
        weight: u16,
    },
    /// It counts with other attributes.
    Changed {
        /// All of its attributes, as a block.
        block: Vec<u8>,
        /// Its next hop.
        next_hop: NextHop,
        /// Before all attributes, more is better.
        weight: u16,
    },
}

/// Whose routes are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// All.
    All,
    /// Those of a source.
    Source(SourceId),
}

impl<K: Packed> Table<K> {
    /// The next page from `from` on with routes of an owner.
    pub(crate) fn next_page(&mut self, owner: Owner, from: u32) -> Option<u32> {
        match owner {
            Owner::All => (from * PAGE < self.nets.end()).then_some(from),
            Owner::Source(source) => self.by_source.next(source.0, from),
        }
    }

    /// The next page from `from` on with routes by a next hop.
    pub(crate) fn next_page_by(&mut self, hop: u32, from: u32) -> Option<u32> {
        self.by_hop.next(hop, from)
    }

    /// Routes by a next hop that import accepted.
    pub(crate) fn count_by(&mut self, hop: u32) -> u64 {
        self.by_hop.count(hop)
    }

    /// Decides again about the nets of a page that have routes of an owner.
    pub(crate) fn decide_page(&mut self, sh: &mut Shared, owner: Owner, page: u32, force: bool) {
        self.decide_where(sh, page, force, |_, route| match owner {
            Owner::All => true,
            Owner::Source(source) => route.source == source,
        });
    }

    /// Decides again about the nets of a page that have routes by some of these next hops. `force`: groups look at them whatever is
    /// the outcome.
    pub(crate) fn decide_by(
        &mut self,
        sh: &mut Shared,
        hops: &BTreeSet<u32>,
        page: u32,
        force: bool,
    ) {
        self.decide_where(sh, page, force, |sh, route| {
            let used = route.used.and_then(|used| sh.attributes.get(used));
            used.is_some_and(|entry| hops.contains(&entry.hop))
        });
    }

    fn decide_where(
        &mut self,
        sh: &mut Shared,
        page: u32,
        force: bool,
        which: impl Fn(&Shared, &Route) -> bool,
    ) {
        let ids: Vec<u32> = self.nets.page(page).collect();
        for id in ids {
            let Some(net) = self.nets.get(id) else {
                continue;
            };
            if net.routes.all().iter().any(|route| which(sh, route)) {
                let before = Best::of(&net.routes);
                self.settle(sh, id, before, force);
            }
        }
    }

    /// Removes routes of a source from a page: all, or those that were stale already at `since`.
    pub(crate) fn sweep_page(
        &mut self,
        sh: &mut Shared,
        source: SourceId,
        page: u32,
        since: Option<u8>,
    ) {
        let ids: Vec<u32> = self.nets.page(page).collect();
        for id in ids {
            self.remove_where(sh, id, true, |route, now| {
                let goes = since
                    .is_none_or(|since| now.wrapping_sub(route.epoch) > now.wrapping_sub(since));
                route.source == source && goes
            });
        }
    }

    /// Asks import again about the routes of a source in a page.
    pub(crate) fn judge_page(
        &mut self,
        sh: &mut Shared,
        source: SourceId,
        page: u32,
        judge: &mut impl FnMut(&RouteView<'_>) -> Judged,
    ) {
        let ids: Vec<u32> = self.nets.page(page).collect();
        for id in ids {
            let Some(net) = self.nets.get(id) else {
                continue;
            };
            let routes = net.routes.all().iter().filter(|r| r.source == source);
            let judged = routes.filter_map(|r| {
                let view = sh.view(net.key.unpack(), r)?;
                let judged = judge(&view);
                (judged != Judged::Same).then_some((r.path_id, r.attributes, judged))
            });
            let judged: Vec<_> = judged.collect();
            if self.watched && !judged.is_empty() {
                self.changed.insert(id);
            }
            for (path_id, received, judged) in judged {
                let (used, weight) = match judged {
                    Judged::Same => continue,
                    Judged::Refused => (None, 0),
                    Judged::Accepted { weight } => {
                        sh.attributes.hold(received);
                        (Some(received), weight)
                    }
                    Judged::Changed {
                        block,
                        next_hop,
                        weight,
                    } => {
                        let raw = RawAttributes::new(&block);
                        (
                            Some(sh.attributes.intern(raw, next_hop, &mut sh.hops)),
                            weight,
                        )
                    }
                };
                self.set_import(sh, id, source, path_id, (used, weight));
                if let Some(used) = used {
                    sh.attributes.release(used, &mut sh.hops);
                }
            }
        }
    }

    fn set_import(
        &mut self,
        sh: &mut Shared,
        id: u32,
        source: SourceId,
        path_id: u32,
        import: (Option<AttrId>, u16),
    ) {
        let Some(net) = self.nets.get_mut(id) else {
            return;
        };
        let before = Best::of(&net.routes);
        let (used, weight) = import;
        let same = |r: &&mut Route| r.source == source && r.path_id == path_id;
        let Some(route) = net.routes.all_mut().iter_mut().find(same) else {
            return;
        };
        if route.used == used && route.weight == weight {
            return;
        }
        let entry = NlriEntry {
            prefix: net.key.unpack(),
            path_id,
        };
        sh.journal.changed(source, entry);
        route.weight = weight;
        let old = core::mem::replace(&mut route.used, used);
        let received = route.attributes;
        if let Some(state) = sh
            .sources
            .get_mut(source)
            .map(|s| &mut s.state[self.family])
        {
            state.counts.accepted += usize::from(used.is_some());
            state.counts.accepted -= usize::from(old.is_some());
        }
        self.hold(sh, id, received, used);
        self.release(sh, id, received, old);
        self.settle(sh, id, before, false);
    }

    /// Shows the routes of a net.
    pub(crate) fn show(&self, sh: &Shared, id: u32, visit: &mut impl FnMut(RouteView<'_>)) {
        let Some(net) = self.nets.get(id) else { return };
        let mut routes: Vec<&Route> = net.routes.all().iter().collect();
        routes.sort_unstable_by_key(|r| (!r.best, !r.multipath, r.source, r.path_id));
        for route in routes {
            if let Some(view) = sh.view(net.key.unpack(), route) {
                visit(view);
            }
        }
    }
}
