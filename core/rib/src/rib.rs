//! The RIB: both families, what they share, and the work that is left.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use tapway_bgp_wire::{NextHop, NlriEntry, RawAttributes};
use tapway_model::{Family, Prefix};

use crate::attributes::{AttrId, AttributeTable, Seed};
use crate::decide::{Candidate, Rules};
use crate::job::Job;
use crate::journal::Journal;
use crate::moves::Moves;
use crate::next_hops::{Changed, NextHopEvent, NextHops};
use crate::source::{Counts, SourceId, SourceInfo, Sources};
use crate::table::sweep::{Judged, Owner};
use crate::table::view::{AttributesView, RouteView};
use crate::table::{Import, Shared, Table};
use tapway_model::packed::Packed6;

/// All routes.
#[derive(Clone, Debug)]
pub struct Rib {
    pub(crate) seed: Seed,
    pub(crate) shared: Shared,
    pub(crate) v4: Table<u64>,
    pub(crate) v6: Table<Packed6>,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) moves: Moves,
}

/// The table of a family, and what it shares with the other one.
macro_rules! with {
    ($rib:expr, $family:expr, |$table:ident, $shared:ident| $do:expr) => {{
        let Rib {
            shared: $shared,
            v4,
            v6,
            ..
        } = $rib;
        match $family {
            Family::Ipv4 => {
                let $table = v4;
                $do
            }
            Family::Ipv6 => {
                let $table = v6;
                $do
            }
        }
    }};
}

pub(crate) use with;

impl Rib {
    /// An empty one. `seed` keys the hash tables that peers fill: nobody else may know it, and equal seeds give equal runs.
    pub fn new(seed: [u8; 16]) -> Rib {
        let seed = Seed(seed);
        Rib {
            seed,
            shared: Shared {
                attributes: AttributeTable::new(seed),
                hops: NextHops::default(),
                sources: Sources::new(),
                rules: Rules::default(),
                scratch: Vec::new(),
                journal: Journal::default(),
            },
            v4: Table::new(Family::Ipv4),
            v6: Table::new(Family::Ipv6),
            jobs: VecDeque::new(),
            moves: Moves::default(),
        }
    }

    /// Sets the switches of the decision process; [`Rib::work`] decides again.
    pub fn set_rules(&mut self, rules: Rules) {
        if self.shared.rules != rules {
            self.shared.rules = rules;
            self.replace_decide(Owner::All, false);
        }
    }

    /// A new source of routes.
    pub fn add_source(&mut self, info: SourceInfo) -> SourceId {
        self.shared.sources.add(info)
    }

    /// A session is over for good. Its routes count no more; [`Rib::work`] removes them. The number means nothing after that.
    /// [`SourceId::LOCAL`] stays.
    pub fn remove_source(&mut self, source: SourceId) {
        if source == SourceId::LOCAL {
            return;
        }
        if let Some(known) = self.shared.sources.get_mut(source).filter(|s| !s.closing) {
            known.closing = true;
            self.jobs.push_back(Job::Sweep {
                source,
                family: Family::Ipv4,
                page: 0,
                since: None,
            });
        }
    }

    /// What is known of a source.
    pub fn source(&self, source: SourceId) -> Option<&SourceInfo> {
        self.shared
            .sources
            .get(source)
            .filter(|s| !s.closing)
            .map(|s| &s.info)
    }

    /// Another session of the same peer takes over the routes of a source, for a graceful restart.
    pub fn set_source(&mut self, source: SourceId, info: SourceInfo) {
        if let Some(known) = self
            .shared
            .sources
            .get_mut(source)
            .filter(|s| !s.closing && s.info != info)
        {
            known.info = info;
            for family in Family::ALL {
                self.decide_source(source, family);
            }
        }
    }

    /// Routes of a source.
    pub fn counts(&self, source: SourceId, family: Family) -> Counts {
        self.shared
            .sources
            .get(source)
            .map(|s| s.state[family].counts)
            .unwrap_or_default()
    }

    /// Gives a block of attributes with a next hop its number. Each call must be matched by a [`Rib::release`].
    pub fn intern(&mut self, raw: RawAttributes<'_>, next_hop: NextHop) -> AttrId {
        let Shared {
            attributes, hops, ..
        } = &mut self.shared;
        attributes.intern(raw, next_hop, hops)
    }

    /// The caller needs a block no more; routes that have it keep it.
    pub fn release(&mut self, id: AttrId) {
        let Shared {
            attributes, hops, ..
        } = &mut self.shared;
        attributes.release(id, hops);
        self.bury();
    }

    /// A block.
    pub fn attributes(&self, id: AttrId) -> Option<AttributesView<'_>> {
        self.shared.attributes_view(id)
    }

    /// Different blocks of attributes.
    pub fn blocks(&self) -> usize {
        self.shared.attributes.len()
    }

    /// Prefixes of a family, with those still to be withdrawn somewhere.
    pub fn len(&self, family: Family) -> usize {
        with!(self, family, |table, _sh| table.len())
    }

    /// Prefixes of a family whose best route a peer sent, as far as that is decided.
    pub fn received(&self, family: Family) -> usize {
        with!(self, family, |table, _sh| table.received())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        Family::ALL.into_iter().all(|f| self.len(f) == 0)
    }

    /// Adds or replaces a route. It is no longer stale by that.
    pub fn insert(
        &mut self,
        source: SourceId,
        entry: NlriEntry,
        attributes: AttrId,
        import: Import,
    ) {
        let NlriEntry { prefix, path_id } = entry;
        with!(&mut *self, prefix.family(), |table, sh| table
            .insert(sh, source, prefix, path_id, attributes, import));
        self.bury();
    }

    /// Whether a source may add or replace a route: it should have at most [`MAX_PATHS`](crate::MAX_PATHS) of a prefix. To be asked
    /// before [`Rib::insert`] of what comes with path identifiers.
    pub fn has_room(&mut self, source: SourceId, entry: NlriEntry) -> bool {
        let NlriEntry { prefix, path_id } = entry;
        with!(self, prefix.family(), |table, _sh| table
            .has_room(source, prefix, path_id))
    }

    /// Removes a route.
    pub fn withdraw(&mut self, source: SourceId, entry: NlriEntry) {
        let NlriEntry { prefix, path_id } = entry;
        with!(&mut *self, prefix.family(), |table, sh| table
            .remove(sh, source, prefix, path_id));
        self.bury();
    }

    /// All routes of a source are stale until they are heard of again (RFC 4724 §4.2, RFC 7313 §4). Those that are already
    /// stay so. False: after 254 marks without [`Rib::remove_stale`] nothing more is marked.
    pub fn mark_stale(&mut self, source: SourceId, family: Family) -> bool {
        if let Some(state) = self
            .shared
            .sources
            .get_mut(source)
            .map(|s| &mut s.state[family])
            && state.marks < 254
        {
            if state.counts.stale == 0 {
                state.long_lived = None;
            }
            state.marks += 1;
            state.epoch = state.epoch.wrapping_add(1);
            state.counts.stale = state.counts.routes;
            return true;
        }
        false
    }

    /// Something is different about the routes of a source that their attributes do not tell.
    fn decide_source(&mut self, source: SourceId, family: Family) {
        let owner = Owner::Source(source);
        self.jobs.push_back(Job::Decide {
            owner,
            family,
            page: 0,
            force: true,
        });
    }

    /// Stale routes go ([`Rib::work`] removes them); those that become stale from now on stay. False: there are none, or
    /// their removal is about to begin.
    pub fn remove_stale(&mut self, source: SourceId, family: Family) -> bool {
        let Some(state) = self
            .shared
            .sources
            .get_mut(source)
            .map(|s| &mut s.state[family])
        else {
            return false;
        };
        if state.counts.stale == 0 {
            state.marks = 0;
            state.long_lived = None;
            return false;
        }
        let sweep = Job::Sweep {
            source,
            family,
            page: 0,
            since: Some(state.epoch),
        };
        match self.jobs.iter_mut().find(|j| j.waits_for(source, family)) {
            Some(job) => *job = sweep,
            None => {
                self.jobs.push_back(sweep);
                return true;
            }
        }
        false
    }

    /// The routes that are stale now are kept beyond the restart time, behind all others, until they are heard of again or
    /// removed (RFC 9494 §4.2, 4.3).
    pub fn keep_long(&mut self, source: SourceId, family: Family) {
        if let Some(state) = self
            .shared
            .sources
            .get_mut(source)
            .map(|s| &mut s.state[family])
            && state.counts.stale > 0
            && state.long_lived != Some(state.epoch)
        {
            state.long_lived = Some(state.epoch);
            self.decide_source(source, family);
        }
    }

    /// Says how far a next hop is; `None`: it cannot be reached. [`Rib::work`] decides again about its routes.
    pub fn set_next_hop(&mut self, next_hop: NextHop, metric: Option<u32>) {
        if let Some(hop) = self.shared.hops.set(next_hop, metric) {
            self.decide_hop(hop);
        }
    }

    /// A next hop is being looked for, until [`Rib::set_next_hop`] says where it is. Routes by it count, behind all whose next
    /// hop is known to be as good otherwise. Groups that were told something of a prefix are told its best route, so that nothing
    /// is withdrawn because an answer is to come; where nothing was told, nothing is before it has come.
    pub fn seek_next_hop(&mut self, next_hop: NextHop) {
        if let Some(hop) = self.shared.hops.seek(next_hop) {
            self.decide_hop(hop);
        }
    }

    /// Whether a next hop is being looked for.
    pub fn seeks_next_hops(&self) -> bool {
        self.shared.hops.seeks()
    }

    /// The way to a next hop is another, at the same distance: where best routes are followed, [`Rib::work`] lets the prefixes
    /// with routes by it count as changed.
    pub fn next_hop_moved(&mut self, next_hop: NextHop) {
        if let Some(number) = self.shared.hops.number(next_hop) {
            self.decide_hop(Changed {
                number,
                force: false,
            });
        }
    }

    fn decide_hop(&mut self, hop: Changed) {
        // Mostly one that has just come, and no route is by it yet.
        let used = |rib: &mut Rib, family| rib.next_page_by(family, hop.number, 0).is_some();
        if Family::ALL.into_iter().any(|family| used(self, family)) {
            self.moves.add(hop);
        }
    }

    /// How next hops begin that come from now on: so far away until somebody says where they are, `None` being out of reach;
    /// and [`Rib::poll_next_hop`] tells those that `told` picks.
    pub fn begin_next_hops(&mut self, metric: Option<u32>, told: fn(NextHop) -> bool) {
        self.shared.hops.begin(metric, told);
    }

    /// How far a next hop is; `None`: it cannot be reached, or no block has it.
    pub fn next_hop_metric(&self, next_hop: NextHop) -> Option<u32> {
        let hops = &self.shared.hops;
        hops.number(next_hop).and_then(|hop| hops.metric(hop))
    }

    /// How many routes that import accepted are by a next hop. Takes as long as they lie on pages.
    pub fn routes_by(&mut self, next_hop: NextHop) -> u64 {
        let Some(hop) = self.shared.hops.number(next_hop) else {
            return 0;
        };
        self.v4.count_by(hop) + self.v6.count_by(hop)
    }

    /// A next hop to be looked after, or no longer.
    pub fn poll_next_hop(&mut self) -> Option<NextHopEvent> {
        self.shared.hops.poll()
    }

    /// Asks import again about one page of a source's routes, from `page` on: up to 1,024 prefixes. Where to go on, when there
    /// is more. Where best routes are followed all of these prefixes count as changed: import may decide about more than is
    /// kept here.
    pub fn judge(
        &mut self,
        source: SourceId,
        family: Family,
        page: u32,
        mut judge: impl FnMut(&RouteView<'_>) -> Judged,
    ) -> Option<u32> {
        let page = self.next_page(family, Owner::Source(source), page)?;
        with!(&mut *self, family, |table, sh| table
            .judge_page(sh, source, page, &mut judge));
        self.bury();
        Some(page + 1)
    }

    /// From now on prefixes whose best routes changed can be taken, beginning with all; or no longer.
    pub fn watch(&mut self, family: Family, on: bool) {
        with!(self, family, |table, _sh| table.watch(on));
    }

    /// Whether [`Rib::take_changed`] has something.
    pub fn has_changed(&self, family: Family) -> bool {
        with!(self, family, |table, _sh| table.has_changed())
    }

    /// What is made of best routes, where they are followed, is another: all prefixes can be taken once more.
    pub fn follow_again(&mut self, family: Family) {
        with!(self, family, |table, _sh| table.follow_again());
    }

    /// Something is different about a route of ours that its attributes do not tell: groups ask export again.
    pub fn look_again(&mut self, prefix: Prefix) {
        with!(self, prefix.family(), |table, _sh| table.look_again(prefix));
    }

    /// A prefix whose best routes may have changed; see [`Rib::watch`].
    pub fn take_changed(&mut self, family: Family) -> Option<Prefix> {
        with!(self, family, |table, _sh| table.take_changed())
    }

    /// Shows the routes to one prefix: the best one, those that share the traffic with it, the others.
    pub fn lookup(&self, prefix: Prefix, visit: impl FnMut(RouteView<'_>)) {
        with!(self, prefix.family(), |table, sh| table
            .lookup(sh, prefix, visit));
    }

    /// What the usable routes to one prefix are compared by; see [`decide::why`](crate::decide::why).
    pub fn candidates(&self, prefix: Prefix) -> Vec<(SourceId, Candidate)> {
        with!(self, prefix.family(), |table, sh| table
            .candidates(sh, prefix))
    }

    /// Shows the routes of up to `limit` prefixes after `after`, in order. The last prefix looked at, when there may be more.
    pub fn list(
        &self,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
        visit: impl FnMut(RouteView<'_>),
    ) -> Option<Prefix> {
        with!(self, family, |table, sh| table
            .list(sh, after, limit, visit))
    }

    /// Numbers of blocks that no route has become free, once no cache knows them.
    #[inline]
    pub(crate) fn bury(&mut self) {
        while let Some(id) = self.shared.attributes.bury() {
            self.v4.groups.values_mut().for_each(|g| g.forget(id));
            self.v6.groups.values_mut().for_each(|g| g.forget(id));
        }
    }

    pub(crate) fn next_page(&mut self, family: Family, owner: Owner, from: u32) -> Option<u32> {
        with!(self, family, |table, _sh| table.next_page(owner, from))
    }

    pub(crate) fn next_page_by(&mut self, family: Family, hop: u32, from: u32) -> Option<u32> {
        with!(self, family, |table, _sh| table.next_page_by(hop, from))
    }

    pub(crate) fn decide_by(
        &mut self,
        family: Family,
        hops: &BTreeSet<u32>,
        page: u32,
        force: bool,
    ) {
        with!(self, family, |table, sh| table
            .decide_by(sh, hops, page, force));
    }

    pub(crate) fn decide_page(&mut self, family: Family, owner: Owner, page: u32, force: bool) {
        with!(self, family, |table, sh| table
            .decide_page(sh, owner, page, force));
    }

    pub(crate) fn sweep_page(
        &mut self,
        family: Family,
        source: SourceId,
        page: u32,
        since: Option<u8>,
    ) {
        with!(self, family, |table, sh| table
            .sweep_page(sh, source, page, since));
    }
}
