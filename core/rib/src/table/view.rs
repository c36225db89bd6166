//! Routes as they are shown.

use alloc::vec::Vec;

use tapway_bgp_wire::{NextHop, RawAttributes};
use tapway_model::Prefix;

use super::{Shared, Table, candidate, long_lived_stale};
use crate::attributes::AttrId;
use crate::decide::Candidate;
use crate::facts::Facts;
use crate::group::{Group, MemberId};
use crate::members::ToldRoute;
use crate::route::Route;
use crate::source::SourceId;
use tapway_model::packed::Packed;

/// A block of attributes and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct AttributesView<'a> {
    /// Its number.
    pub id: AttrId,
    /// Its bytes.
    pub raw: RawAttributes<'a>,
    /// The next hop that came with it.
    pub next_hop: NextHop,
    /// What decides about it.
    pub facts: &'a Facts,
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// Where it comes from.
    pub source: SourceId,
    /// The path identifier that it came with.
    pub path_id: u32,
    /// Its attributes as received.
    pub received: AttributesView<'a>,
    /// Its attributes after import; `None`: refused.
    pub used: Option<AttributesView<'a>>,
    /// Before all attributes, more is better.
    pub weight: u16,
    /// Not heard of again since the last mark.
    pub stale: bool,
    /// Stale, and kept beyond the restart time: to others it goes with LLGR_STALE, if at all (RFC 9494 §4.3).
    pub long_lived_stale: bool,
    /// The decision process has chosen it.
    pub best: bool,
    /// It shares the traffic with the best one, or is it.
    pub multipath: bool,
}

impl Shared {
    pub(crate) fn attributes_view(&self, id: AttrId) -> Option<AttributesView<'_>> {
        let entry = self.attributes.get(id)?;
        Some(AttributesView {
            id,
            raw: entry.raw(),
            next_hop: entry.next_hop,
            facts: &entry.facts,
        })
    }

    /// A route with what belongs to it.
    pub(crate) fn view<'a>(&'a self, prefix: Prefix, route: &Route) -> Option<RouteView<'a>> {
        let source = self.sources.get(route.source)?;
        let family = prefix.family();
        Some(RouteView {
            prefix,
            source: route.source,
            path_id: route.path_id,
            received: self.attributes_view(route.attributes)?,
            used: route.used.and_then(|used| self.attributes_view(used)),
            weight: route.weight,
            stale: route.epoch != source.state[family].epoch,
            long_lived_stale: long_lived_stale(route, &source.state, family),
            best: route.best,
            multipath: route.multipath,
        })
    }
}

impl<K: Packed> Table<K> {
    /// Shows the routes to one prefix, the best one first.
    pub(crate) fn lookup(&self, sh: &Shared, prefix: Prefix, mut visit: impl FnMut(RouteView<'_>)) {
        if let Some(id) = K::pack(prefix).and_then(|key| self.index.get(key)) {
            self.show(sh, id, &mut visit);
        }
    }

    /// What the routes to one prefix that can be used are compared by, with their sources.
    pub(crate) fn candidates(&self, sh: &Shared, prefix: Prefix) -> Vec<(SourceId, Candidate)> {
        let net = K::pack(prefix)
            .and_then(|key| self.index.get(key))
            .and_then(|id| self.nets.get(id));
        let routes = net.map_or(&[][..], |net| net.routes.all());
        let all = (0..).zip(routes);
        all.filter_map(|(place, r)| Some((r.source, candidate(r, place, sh, self.family)?)))
            .collect()
    }

    /// Shows what a member was told of a prefix; whether it is still to be told something.
    pub(crate) fn told(
        &self,
        member: MemberId,
        prefix: Prefix,
        visit: &mut impl FnMut(ToldRoute<'_>),
    ) -> bool {
        let id = K::pack(prefix).and_then(|key| self.index.get(key));
        let (Some(id), Some(group)) = (id, self.groups.get(&member.group.number)) else {
            return false;
        };
        show_told(group, member, prefix, id, visit);
        group.owes_member(member.number, id)
    }

    /// Shows what a member was told of up to `limit` prefixes after `after`, in order.
    pub(crate) fn list_told(
        &self,
        member: MemberId,
        after: Option<Prefix>,
        limit: usize,
        visit: &mut impl FnMut(ToldRoute<'_>),
    ) -> Option<Prefix> {
        let group = self.groups.get(&member.group.number)?;
        let mut left = limit;
        for (key, id) in self.index.after(after.and_then(K::pack)) {
            show_told(group, member, key.unpack(), id, visit);
            left = left.saturating_sub(1);
            if left == 0 {
                return Some(key.unpack());
            }
        }
        None
    }

    /// Shows the routes of up to `limit` prefixes after `after`, in order. The last prefix shown, when there may be more.
    pub(crate) fn list(
        &self,
        sh: &Shared,
        after: Option<Prefix>,
        limit: usize,
        mut visit: impl FnMut(RouteView<'_>),
    ) -> Option<Prefix> {
        let mut left = limit;
        for (key, id) in self.index.after(after.and_then(K::pack)) {
            self.show(sh, id, &mut visit);
            left = left.saturating_sub(1);
            if left == 0 {
                return Some(key.unpack());
            }
        }
        None
    }
}

fn show_told(
    group: &Group,
    member: MemberId,
    prefix: Prefix,
    net: u32,
    visit: &mut impl FnMut(ToldRoute<'_>),
) {
    group.told(member.number, net, |slot, out| {
        visit(ToldRoute {
            prefix,
            path_id: u32::from(slot.out_id),
            source: slot.source,
            block: &out.block,
            next_hop: out.next_hop,
        });
    });
}
