//! All routes of one family: nets, their order, and who has to hear of a change.

pub(crate) mod sweep;
pub(crate) mod view;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tapway_bgp_wire::{NlriEntry, PerFamily};
use tapway_model::{Family, Prefix};

use crate::attributes::{AttrId, AttributeTable};
use crate::bits::BitSet;
use crate::census::Census;
use crate::decide::{self, Candidate, Rules};
use crate::group::Group;
use crate::index::Index;
use crate::journal::Journal;
use crate::next_hops::NextHops;
use crate::route::{Put, Route, Routes};
use crate::slab::{PAGE, Slab};
use crate::source::{SourceId, Sources};
use tapway_model::packed::Packed;

/// What all families share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) attributes: AttributeTable,
    pub(crate) hops: NextHops,
    pub(crate) sources: Sources,
    pub(crate) rules: Rules,
    pub(crate) scratch: Vec<Candidate>,
    pub(crate) journal: Journal,
}

/// What import made of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// It is kept, and does not count.
    Refused,
    /// It counts.
    Accepted {
        /// Its attributes after import; those it came with when nothing was changed.
        attributes: AttrId,
        /// Before all attributes, more is better.
        weight: u16,
    },
}

impl Import {
    const fn parts(self) -> (Option<AttrId>, u16) {
        match self {
            Import::Refused => (None, 0),
            Import::Accepted { attributes, weight } => (Some(attributes), weight),
        }
    }
}

/// A prefix and its routes.
#[derive(Clone, Debug)]
pub(crate) struct Net<K> {
    pub(crate) key: K,
    /// Groups that were sent something of it, and waiting chunks that withdraw it.
    pub(crate) holds: u32,
    pub(crate) routes: Routes,
}

/// What others are told of a net, if nothing else plays a part: its best route.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Best(SourceId, u32, Option<AttrId>);

impl Best {
    fn of(routes: &Routes) -> Option<Best> {
        routes.best().map(|r| Best(r.source, r.path_id, r.used))
    }
}

/// The table of a family.
#[derive(Clone, Debug)]
pub(crate) struct Table<K> {
    family: Family,
    index: Index<K>,
    pub(crate) nets: Slab<Net<K>>,
    by_source: Census,
    by_hop: Census,
    pub(crate) groups: BTreeMap<u32, Group>,
    pub(crate) next_group: u32,
    /// Nets whose best route a peer sent.
    received: usize,
    /// Whether somebody takes what is in `changed`.
    watched: bool,
    changed: BitSet,
    changed_at: u32,
}

impl<K: Packed> Table<K> {
    pub(crate) fn new(family: Family) -> Table<K> {
        Table {
            family,
            index: Index::default(),
            nets: Slab::default(),
            by_source: Census::default(),
            by_hop: Census::default(),
            groups: BTreeMap::new(),
            next_group: 0,
            received: 0,
            watched: false,
            changed: BitSet::default(),
            changed_at: 0,
        }
    }

    /// Prefixes, with those that are still to be withdrawn.
    pub(crate) const fn len(&self) -> usize {
        self.index.len()
    }

    /// Prefixes whose best route a peer sent.
    pub(crate) const fn received(&self) -> usize {
        self.received
    }

    /// Adds or replaces a route.
    pub(crate) fn insert(
        &mut self,
        sh: &mut Shared,
        source: SourceId,
        prefix: Prefix,
        path_id: u32,
        attributes: AttrId,
        import: Import,
    ) {
        let Some(key) = K::pack(prefix) else { return };
        let Some(from) = sh.sources.get_mut(source).filter(|s| !s.closing) else {
            return;
        };
        let state = &mut from.state[self.family];
        let nets = &mut self.nets;
        let id = self.index.get_or_insert(key, || {
            nets.insert(Net {
                key,
                holds: 0,
                routes: Routes::None,
            })
        });
        let Some(net) = nets.get_mut(id) else { return };
        let before = Best::of(&net.routes);
        let (used, weight) = import.parts();
        let new = Route {
            source,
            path_id,
            attributes,
            used,
            weight,
            out_id: 0,
            epoch: state.epoch,
            best: false,
            multipath: false,
        };
        let put = net.routes.put(new);
        // It is no longer behind all others.
        let revived = match &put {
            Put::New => false,
            Put::Same { epoch } | Put::Other { epoch, .. } => state.is_long_lived(*epoch),
        };
        let was_stale = state.count(&put, used.is_some());
        // Whoever follows was told that stale routes are gone, or never of them.
        if was_stale || !matches!(put, Put::Same { .. }) {
            sh.journal.changed(source, NlriEntry { prefix, path_id });
        }
        match put {
            Put::Same { .. } if !revived => return,
            Put::Same { .. } => {}
            Put::New => {
                self.by_source.add(source.0, id / PAGE);
                self.hold(sh, id, attributes, used);
            }
            Put::Other {
                received,
                used: old,
                ..
            } => {
                self.hold(sh, id, attributes, used);
                self.release(sh, id, received, old);
            }
        }
        self.settle(sh, id, before, revived);
    }

    /// Whether a source may add or replace a route.
    pub(crate) fn has_room(&mut self, source: SourceId, prefix: Prefix, path_id: u32) -> bool {
        let found = K::pack(prefix).and_then(|key| self.index.find(key));
        let net = found.and_then(|id| self.nets.get(id));
        net.is_none_or(|net| net.routes.has_room(source, path_id))
    }

    /// Removes a route.
    pub(crate) fn remove(
        &mut self,
        sh: &mut Shared,
        source: SourceId,
        prefix: Prefix,
        path_id: u32,
    ) {
        let found = K::pack(prefix).and_then(|key| self.index.find(key));
        if let Some(id) = found {
            self.remove_where(sh, id, false, |r, _| {
                r.source == source && r.path_id == path_id
            });
        }
    }

    /// Removes the routes of a net that `which` picks; it is also told the epoch of the source. `swept`: nobody withdrew them.
    fn remove_where(
        &mut self,
        sh: &mut Shared,
        id: u32,
        swept: bool,
        mut which: impl FnMut(&Route, u8) -> bool,
    ) {
        let Some(net) = self.nets.get_mut(id) else {
            return;
        };
        let before = Best::of(&net.routes);
        let mut gone = false;
        let mut at = 0;
        while let Some(net) = self.nets.get_mut(id)
            && let Some(route) = net.routes.all().get(at)
        {
            let state = sh
                .sources
                .get_mut(route.source)
                .map(|s| &mut s.state[self.family]);
            let epoch = state.as_ref().map_or(0, |s| s.epoch);
            if !which(route, epoch) {
                at += 1;
                continue;
            }
            let Some(route) = net.routes.remove(at) else {
                break;
            };
            gone = true;
            let entry = NlriEntry {
                prefix: net.key.unpack(),
                path_id: route.path_id,
            };
            match swept {
                true => sh.journal.swept(route.source, entry),
                false => sh.journal.changed(route.source, entry),
            }
            if let Some(state) = state {
                state.counts.routes -= 1;
                state.counts.accepted -= usize::from(route.used.is_some());
                state.counts.stale -= usize::from(route.epoch != epoch);
            }
            self.by_source.subtract(route.source.0, id / PAGE);
            self.release(sh, id, route.attributes, route.used);
        }
        if gone {
            self.settle(sh, id, before, false);
        }
    }

    fn hold(&mut self, sh: &mut Shared, id: u32, received: AttrId, used: Option<AttrId>) {
        sh.attributes.hold(received);
        if let Some(used) = used
            && let Some(entry) = sh.attributes.get(used)
        {
            self.by_hop.add(entry.hop, id / PAGE);
            sh.attributes.hold(used);
        }
    }

    fn release(&mut self, sh: &mut Shared, id: u32, received: AttrId, used: Option<AttrId>) {
        if let Some(used) = used
            && let Some(entry) = sh.attributes.get(used)
        {
            self.by_hop.subtract(entry.hop, id / PAGE);
            sh.attributes.release(used, &mut sh.hops);
        }
        sh.attributes.release(received, &mut sh.hops);
    }

    /// Decides about a net of which something changed, and notes who has to hear of it. `force`: whatever is the outcome.
    fn settle(&mut self, sh: &mut Shared, id: u32, before: Option<Best>, force: bool) {
        let Some(net) = self.nets.get_mut(id) else {
            return;
        };
        decide_net(&mut net.routes, sh, self.family);
        let after = Best::of(&net.routes);
        let changed = force || before != after;
        let of_peer = |best: Option<Best>| best.is_some_and(|b| b.0 != SourceId::LOCAL);
        self.received += usize::from(of_peer(after));
        self.received -= usize::from(of_peer(before));
        // Own routes to one prefix stand in for each other where one is not for everybody.
        let own = after.is_some_and(|b| b.0 == SourceId::LOCAL);
        for group in self.groups.values_mut() {
            if changed || own || group.several() {
                group.touch(id, after.is_none());
            }
        }
        if self.watched && (changed || after.is_some()) {
            self.changed.insert(id);
        }
        if net.routes.all().is_empty() {
            self.try_free(id);
        }
    }

    /// Gives a net's number back when nobody needs it any more: no route, nobody was sent it, and nobody is owed a
    /// word about it.
    pub(crate) fn try_free(&mut self, id: u32) {
        let Some(net) = self.nets.get(id) else { return };
        let needed = !net.routes.all().is_empty()
            || net.holds > 0
            || self.changed.contains(id)
            || self.groups.values().any(|g| g.owes(id));
        if !needed {
            let key = net.key;
            self.nets.remove(id);
            self.index.remove(key);
        }
    }

    /// From now on, or no longer, prefixes whose best routes change are kept to be taken.
    pub(crate) fn watch(&mut self, on: bool) {
        if self.watched == on {
            return;
        }
        self.watched = on;
        if on {
            self.follow_again();
        } else {
            let was = core::mem::take(&mut self.changed);
            was.iter().for_each(|id| self.try_free(id));
        }
    }

    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// All prefixes can be taken once more.
    pub(crate) fn follow_again(&mut self) {
        if self.watched {
            for (id, _) in self.nets.iter() {
                self.changed.insert(id);
            }
        }
    }

    /// Groups look at a prefix, whatever they knew.
    pub(crate) fn look_again(&mut self, prefix: Prefix) {
        let Some(id) = K::pack(prefix).and_then(|key| self.index.find(key)) else {
            return;
        };
        let gone = self
            .nets
            .get(id)
            .is_none_or(|net| net.routes.best().is_none());
        for group in self.groups.values_mut() {
            group.touch(id, gone);
        }
    }

    /// A prefix whose best routes may have changed.
    pub(crate) fn take_changed(&mut self) -> Option<Prefix> {
        let (id, _) = self.changed.take_next(self.changed_at)?;
        self.changed_at = id.wrapping_add(1);
        let prefix = self.nets.get(id).map(|net| net.key.unpack());
        self.try_free(id);
        prefix
    }
}

/// What a route is compared by; `None` when it cannot be used.
pub(crate) fn candidate(
    route: &Route,
    place: u32,
    sh: &Shared,
    family: Family,
) -> Option<Candidate> {
    let entry = sh.attributes.get(route.used?)?;
    let source = sh.sources.get(route.source).filter(|s| !s.closing)?;
    let kept_long = long_lived_stale(route, &source.state, family);
    if kept_long && entry.facts.no_llgr {
        return None;
    }
    let metric = match route.source {
        SourceId::LOCAL => 0,
        _ => sh.hops.metric(entry.hop)?,
    };
    Some(Candidate {
        long_lived_stale: kept_long || entry.facts.llgr_stale,
        weight: route.weight,
        facts: entry.facts,
        external: source.info.external,
        metric,
        router_id: source.info.router_id.to_bits(),
        addr: source.info.addr,
        path_id: route.path_id,
        place,
    })
}

/// Whether it is being looked for where a route leads.
pub(crate) fn is_sought(route: &Route, sh: &Shared) -> bool {
    let entry = route.used.and_then(|used| sh.attributes.get(used));
    route.source != SourceId::LOCAL && entry.is_some_and(|entry| sh.hops.is_sought(entry.hop))
}

/// Whether a route is stale and kept beyond the restart time (RFC 9494).
pub(crate) fn long_lived_stale(
    route: &Route,
    state: &PerFamily<crate::source::State>,
    family: Family,
) -> bool {
    state[family].is_long_lived(route.epoch)
}

/// Chooses and marks the best routes of a net; the best one becomes the first.
fn decide_net(routes: &mut Routes, sh: &mut Shared, family: Family) {
    if let Routes::One(route) = routes {
        route.best = candidate(route, 0, sh, family).is_some();
        route.multipath = route.best;
        return;
    }
    let mut scratch = core::mem::take(&mut sh.scratch);
    scratch.clear();
    let all = (0..).zip(routes.all());
    scratch.extend(all.filter_map(|(place, route)| candidate(route, place, sh, family)));
    decide::choose(&mut scratch, &sh.rules);
    let routes = routes.all_mut();
    for route in routes.iter_mut() {
        (route.best, route.multipath) = (false, false);
    }
    for chosen in &scratch {
        if let Some(route) = routes.get_mut(chosen.place as usize) {
            route.multipath = true;
        }
    }
    if let Some(best) = scratch.first() {
        let place = best.place as usize;
        routes[place].best = true;
        routes.swap(0, place);
    }
    sh.scratch = scratch;
}
