//! Answers about routes: what a peer sent, and what it was sent, page by page.

use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    Attributes, DecodeContext, Frame, NextHop, RawAttributes, Update, UpdateBuilder,
};
use tapway_model::{Family, Prefix};
use tapway_rib::{MemberId, Rib, RouteView, SourceId, ToldRoute};

use super::answer::{AdvertisedRoute, ReceivedRoute};
use super::judge::Judge;
use super::peer::Peer;
use super::shared::Shared;

/// Prefixes in a page of an iterator.
const PAGE: usize = 256;

impl Peer {
    /// What it sent to up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub(crate) fn received_page(
        &self,
        shared: &Shared,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<ReceivedRoute>, Option<Prefix>) {
        let mut page = Vec::new();
        let show = self.show_received(shared, family);
        let last = shared
            .rib
            .list(family, after, limit, |r| page.extend(show(&r)));
        (page, last)
    }

    /// How many routes it sent to up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub(crate) fn received_count(
        &self,
        shared: &Shared,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (usize, Option<Prefix>) {
        let mut count = 0;
        let last = shared.rib.list(family, after, limit, |route| {
            count += usize::from(Some(route.source) == self.source);
        });
        (count, last)
    }

    /// How many routes it was sent of up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub(crate) fn advertised_count(
        &self,
        shared: &Shared,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (usize, Option<Prefix>) {
        let mut count = 0;
        let last = self
            .told_by(family)
            .and_then(|(member, ..)| shared.rib.list_told(member, after, limit, |_| count += 1));
        (count, last)
    }

    /// What it sent to one prefix.
    pub(crate) fn received_at(&self, shared: &Shared, prefix: Prefix) -> Vec<ReceivedRoute> {
        let mut all = Vec::new();
        let show = self.show_received(shared, prefix.family());
        shared.rib.lookup(prefix, |r| all.extend(show(&r)));
        all
    }

    /// Shows the routes that are this peer's.
    fn show_received<'a>(
        &'a self,
        shared: &'a Shared,
        family: Family,
    ) -> impl Fn(&RouteView<'_>) -> Option<ReceivedRoute> + use<'a> {
        let judge = Judge::of(shared, self);
        let negotiated = self.main.negotiated();
        let add_path = negotiated.is_some_and(|n| n.decode.add_path[family]);
        move |route| {
            (Some(route.source) == self.source)
                .then(|| received(&shared.rib, &judge, add_path, route))
        }
    }

    /// What it sent to one prefix: next hop and attributes.
    pub(crate) fn received_to(
        &self,
        shared: &Shared,
        prefix: Prefix,
    ) -> Vec<(NextHop, Attributes)> {
        let mut all = Vec::new();
        shared.rib.lookup(prefix, |route| {
            if Some(route.source) == self.source {
                all.push((
                    route.path_id,
                    route.received.next_hop,
                    route.received.raw.decode(),
                ));
            }
        });
        all.sort_by_key(|(path_id, ..)| *path_id);
        all.into_iter().map(|(_, hop, all)| (hop, all)).collect()
    }

    /// What it was sent of up to `limit` prefixes after `after`; and the last one looked at, when there may be more.
    pub(crate) fn advertised_page(
        &self,
        shared: &Shared,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<AdvertisedRoute>, Option<Prefix>) {
        let mut page = Vec::new();
        let last = self.told_by(family).and_then(|(member, cx, ids)| {
            shared
                .rib
                .list_told(member, after, limit, |r| page.push(told(&r, &cx, ids)))
        });
        (page, last)
    }

    /// What it was sent of one prefix.
    pub(crate) fn advertised_at(&self, shared: &Shared, prefix: Prefix) -> Vec<AdvertisedRoute> {
        let mut all = Vec::new();
        if let Some((member, cx, ids)) = self.told_by(prefix.family()) {
            shared
                .rib
                .told(member, prefix, |r| all.push(told(&r, &cx, ids)));
        }
        all
    }

    /// The peer in its group, how it reads, and whether it is told path identifiers.
    fn told_by(&self, family: Family) -> Option<(MemberId, DecodeContext, bool)> {
        let negotiated = self.main.negotiated()?;
        let cx = DecodeContext {
            four_octet_asn: negotiated.encode.four_octet_asn,
            extended_message: true,
            internal: !negotiated.external,
            extended_next_hop: true,
            ..DecodeContext::default()
        };
        let ids = negotiated.encode.add_path[family];
        Some((self.outbound[family].member?, cx, ids))
    }
}

/// The prefixes, of up to `limit` after `after`, with received routes that count; and the last one looked at, when there may
/// be more.
pub(crate) fn prefixes_with_received(
    shared: &Shared,
    family: Family,
    after: Option<Prefix>,
    limit: usize,
) -> (Vec<Prefix>, Option<Prefix>) {
    let mut page = Vec::new();
    let last = shared.rib.list(family, after, limit, |route| {
        let counts = route.source != SourceId::LOCAL && route.used.is_some();
        if counts && page.last() != Some(&route.prefix) {
            page.push(route.prefix);
        }
    });
    (page, last)
}

/// All items of both families, a page at a time.
pub(crate) fn all<T>(
    mut page: impl FnMut(Family, Option<Prefix>, usize) -> (Vec<T>, Option<Prefix>),
) -> impl Iterator<Item = T> {
    let mut families = Family::ALL.into_iter();
    let mut at = families.next().map(|family| (family, None));
    let mut ready = VecDeque::new();
    core::iter::from_fn(move || {
        loop {
            if let Some(item) = ready.pop_front() {
                return Some(item);
            }
            let (family, after) = at?;
            let (items, last) = page(family, after, PAGE);
            ready.extend(items);
            at = match last {
                Some(last) => Some((family, Some(last))),
                None => families.next().map(|family| (family, None)),
            };
        }
    })
}

fn received(rib: &Rib, judge: &Judge<'_>, add_path: bool, route: &RouteView<'_>) -> ReceivedRoute {
    let (raw, next_hop) = (route.received.raw, route.received.next_hop);
    let attributes = raw.decode();
    // Not kept with every route: asked again.
    let refused = match route.used {
        Some(_) => None,
        None => judge.judge(route.prefix, raw, next_hop).err(),
    };
    ReceivedRoute {
        prefix: route.prefix,
        path_id: add_path.then_some(route.path_id),
        next_hop,
        origin: attributes.origin,
        as_path: attributes.as_path.to_string(),
        med: attributes.med,
        local_pref: attributes.local_pref,
        communities: attributes.communities.iter().map(|c| c.0).collect(),
        large_communities: attributes.large_communities,
        extended_communities: attributes.extended_communities,
        originator_id: attributes.originator_id,
        cluster_list: attributes.cluster_list,
        only_to_customer: attributes.only_to_customer,
        refused,
        metric: route
            .used
            .and_then(|used| rib.next_hop_metric(used.next_hop)),
        used_next_hop: route
            .used
            .map(|used| used.next_hop)
            .filter(|used| *used != next_hop),
        best: route.best,
        stale: route.stale,
        long_lived_stale: route.long_lived_stale,
    }
}

fn told(route: &ToldRoute<'_>, cx: &DecodeContext, ids: bool) -> AdvertisedRoute {
    let attributes = read(route, cx).unwrap_or_default();
    AdvertisedRoute {
        prefix: route.prefix,
        path_id: ids.then_some(route.path_id),
        next_hop: route.next_hop,
        origin: attributes.origin,
        as_path: attributes.as_path.to_string(),
        med: attributes.med,
        local_pref: attributes.local_pref,
        communities: attributes.communities.iter().map(|c| c.0).collect(),
        large_communities: attributes.large_communities,
        extended_communities: attributes.extended_communities,
        originator_id: attributes.originator_id,
        cluster_list: attributes.cluster_list,
        only_to_customer: attributes.only_to_customer,
    }
}

/// The attributes as the peer reads them: those for a peer with AS numbers of two octets come in two parts.
fn read(route: &ToldRoute<'_>, cx: &DecodeContext) -> Option<Attributes> {
    if cx.four_octet_asn {
        return Some(RawAttributes::new(route.block).decode());
    }
    let encode = tapway_bgp_wire::EncodeContext {
        four_octet_asn: false,
        max_len: cx.max_len(),
        ..Default::default()
    };
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, encode)
        .announce_block(route.block, route.next_hop, [route.prefix])
        .ok()?;
    let (_, frame) = Frame::next(&bytes, cx.max_len()).ok()??;
    let update = Update::decode(frame.body(), cx).ok()?;
    Some(update.attributes().decode())
}
