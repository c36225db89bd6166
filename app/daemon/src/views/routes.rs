//! BGP routes: received, advertised, best.

use std::collections::VecDeque;

use tapway_api::list::{List, Page};
use tapway_api::route::{Route, RouteQuery, RouteState};
use tapway_api::rpki::RpkiState;
use tapway_bgp::policy::RouteAttributes;
use tapway_bgp::{
    AdvertisedRoute, Announcement, Attributes, Community, FamilySummary, Origin, ReceivedRoute,
    Refusal,
};
use tapway_model::{Family, PeerName, Prefix};
use tapway_node::Node;

use crate::config::spec::{extended_text, large_text, standard_text};
use crate::http::ApiReply;
use crate::sliced::Step;
use crate::views::rpki_state;

/// Prefixes that are looked at together.
const PAGE: usize = 64;
/// Prefixes that are looked at together where their routes are only counted, as they are before the page.
const SKIP: usize = 1024;

/// A list of routes under way.
pub struct RouteList {
    stages: VecDeque<Stage>,
    /// Items before the page that are still to come, and items that it has room for.
    skip: u64,
    room: usize,
    rows: Vec<Route>,
    total: u64,
}

/// Routes of one kind and family, and behind which prefix the next ones are.
struct Stage {
    of: Of,
    family: Family,
    after: Option<Prefix>,
}

/// Which routes.
#[derive(Clone)]
enum Of {
    /// Our own.
    Own,
    /// A peer's.
    Received(PeerName),
    /// Those that a peer was sent.
    Advertised(PeerName),
    /// Those of peers that share the traffic, or else are the best ones.
    InUse,
}

/// The routes of a query.
pub fn routes(node: &Node, query: &RouteQuery) -> RouteList {
    let kinds = match (&query.received, &query.advertised) {
        (Some(peer), _) => vec![Of::Received(peer.clone())],
        (None, Some(peer)) => vec![Of::Advertised(peer.clone())],
        // Best: our own routes come before everything received.
        (None, None) => vec![Of::Own, Of::InUse],
    };
    let wanted = |family: &Family| query.family.is_none_or(|f| f == *family);
    let page = query.page();
    let mut list = RouteList {
        stages: VecDeque::new(),
        skip: page.offset,
        room: page.limit.min(Page::MAX_LIMIT) as usize,
        rows: Vec::new(),
        total: 0,
    };
    if let Some(prefix) = query.prefix {
        if wanted(&prefix.family()) {
            let all: Vec<Route> = kinds.iter().flat_map(|of| at(node, of, prefix)).collect();
            list.total = all.len() as u64;
            list.take(all);
        }
        return list;
    }
    for of in kinds {
        for family in Family::ALL.into_iter().filter(wanted) {
            list.total += count(node, &of, family) as u64;
            let of = of.clone();
            list.stages.push_back(Stage {
                of,
                family,
                after: None,
            });
        }
    }
    list
}

impl RouteList {
    /// Adds what is on the page.
    fn take(&mut self, all: Vec<Route>) {
        let skipped = usize::try_from(self.skip).map_or(all.len(), |n| n.min(all.len()));
        self.skip -= skipped as u64;
        let room = self.room - self.rows.len();
        self.rows.extend(all.into_iter().skip(skipped).take(room));
    }
}

impl Step for RouteList {
    fn step(&mut self, node: &Node, over: &dyn Fn() -> bool) -> Option<ApiReply> {
        while self.rows.len() < self.room
            && let Some(stage) = self.stages.front_mut()
        {
            let (page, last) = match skipped(node, stage, self.skip) {
                Some((count, last)) => {
                    self.skip -= count;
                    (Vec::new(), last)
                }
                None => page(node, stage),
            };
            match last {
                Some(last) => stage.after = Some(last),
                None => _ = self.stages.pop_front(),
            }
            self.take(page);
            if over() && !self.stages.is_empty() {
                return None;
            }
        }
        Some(ApiReply::Routes(List {
            items: std::mem::take(&mut self.rows),
            total: self.total,
        }))
    }
}

/// How many routes a stage has next that are all before the page, and the last prefix looked at when there may be more.
fn skipped(node: &Node, stage: &Stage, skip: u64) -> Option<(u64, Option<Prefix>)> {
    if skip == 0 {
        return None;
    }
    let speaker = node.speaker();
    let Stage { of, family, after } = stage;
    let (count, last) = match of {
        Of::Received(peer) => speaker.received_count(peer, *family, *after, SKIP),
        Of::Advertised(peer) => speaker.advertised_count(peer, *family, *after, SKIP),
        Of::InUse => speaker.in_use_count(*family, *after, SKIP)?,
        Of::Own => return None,
    };
    let count = count as u64;
    (count <= skip).then_some((count, last))
}

/// The next routes of a stage, and the last prefix looked at when there may be more.
fn page(node: &Node, stage: &Stage) -> (Vec<Route>, Option<Prefix>) {
    let speaker = node.speaker();
    let Stage { of, family, after } = stage;
    match of {
        Of::Own => {
            let mut all = Vec::new();
            let mut prefixes = 0;
            let mut last = None;
            for announcement in speaker.announcements_after(*family, *after) {
                let prefix = announcement.id.prefix;
                if last != Some(prefix) {
                    prefixes += 1;
                    if prefixes > PAGE {
                        return (all, last);
                    }
                    last = Some(prefix);
                }
                all.push(own(announcement));
            }
            (all, None)
        }
        Of::Received(peer) => {
            let (all, last) = speaker.received_page(peer, *family, *after, PAGE);
            let row =
                |r: &ReceivedRoute| received(node, peer, r, is_installed(node, peer, r.prefix));
            (all.iter().map(row).collect(), last)
        }
        Of::Advertised(peer) => {
            let (all, last) = speaker.advertised_page(peer, *family, *after, PAGE);
            (all.iter().map(|r| advertised(peer, r)).collect(), last)
        }
        Of::InUse => {
            let (all, last) = speaker.in_use_page(*family, *after, PAGE);
            let rows = all.iter().map(|(peer, r)| in_use(node, peer, r));
            (rows.collect(), last)
        }
    }
}

/// The routes of a kind to one prefix.
fn at(node: &Node, of: &Of, prefix: Prefix) -> Vec<Route> {
    let speaker = node.speaker();
    match of {
        Of::Own => speaker.announcements_to(&prefix).iter().map(own).collect(),
        Of::Received(peer) => {
            let installed = is_installed(node, peer, prefix);
            let all = speaker.received_at(peer, prefix);
            all.iter()
                .map(|r| received(node, peer, r, installed))
                .collect()
        }
        Of::Advertised(peer) => {
            let all = speaker.advertised_at(peer, prefix);
            all.iter().map(|r| advertised(peer, r)).collect()
        }
        Of::InUse => {
            let all = speaker.in_use_at(prefix);
            all.iter().map(|(p, r)| in_use(node, p, r)).collect()
        }
    }
}

/// How many routes of a kind there are.
fn count(node: &Node, of: &Of, family: Family) -> usize {
    let speaker = node.speaker();
    let of_peer = |peer: &PeerName, pick: fn(&FamilySummary) -> usize| {
        let summary = speaker.peer(peer);
        let families = summary.iter().flat_map(|peer| &peer.families);
        families.filter(|f| f.family == family).map(pick).sum()
    };
    match of {
        Of::Own => speaker.announcements_after(family, None).count(),
        Of::Received(peer) => of_peer(peer, |f| f.received),
        Of::Advertised(peer) => of_peer(peer, |f| f.advertised),
        Of::InUse => speaker.in_use(family).max(node.imported(family)),
    }
}

fn in_use(node: &Node, peer: &PeerName, route: &ReceivedRoute) -> Route {
    received(node, peer, route, is_installed(node, peer, route.prefix))
}

/// Whether a peer's route to a prefix is among those in the kernel.
fn is_installed(node: &Node, peer: &PeerName, prefix: Prefix) -> bool {
    let legs = node.speaker().installable_to(prefix);
    legs.iter().any(|leg| leg.peer == *peer)
}

/// What the RPKI says of a received route, if it says anything at all.
fn rpki(node: &Node, route: &ReceivedRoute) -> Option<RpkiState> {
    let speaker = node.speaker();
    if speaker.vrps().is_empty() {
        return None;
    }
    let attributes = Attributes {
        as_path: route.as_path.parse().ok()?,
        ..Attributes::default()
    };
    let origin = RouteAttributes::Values(&attributes).origin_as(speaker.config().asn);
    Some(rpki_state(speaker.vrps().validate(&route.prefix, origin)))
}

fn received(node: &Node, peer: &PeerName, route: &ReceivedRoute, installed: bool) -> Route {
    let sought = node.sought_next_hop(route);
    let (state, reason) = match (&route.refused, sought) {
        (None, Some(next_hop)) => {
            let why = format!("its next hop {next_hop} is still being searched for");
            (RouteState::Accepted, Some(why))
        }
        (None, None) => match node.why_not_eligible(route) {
            None => (RouteState::Accepted, None),
            Some((why, None)) => (RouteState::Unusable, Some(why)),
            Some((why, Some(remedy))) => (RouteState::Unusable, Some(format!("{why}; {remedy}"))),
        },
        (Some(Refusal::Policy { policy, rule }), _) => {
            let by = rule.map_or_else(
                || "no rule accepts it".to_owned(),
                |r| format!("rule {}", r + 1),
            );
            (
                RouteState::Rejected,
                Some(format!("import policy {policy}: {by}")),
            )
        }
        (Some(other), _) => (RouteState::Unusable, Some(refusal(other))),
    };
    Route {
        prefix: route.prefix,
        peer: Some(peer.clone()),
        path_id: route.path_id,
        next_hops: route
            .next_hop
            .to_string()
            .split(' ')
            .map(str::to_owned)
            .collect(),
        as_path: route.as_path.clone(),
        origin: origin(route.origin).to_owned(),
        local_pref: route.local_pref,
        med: route.med,
        metric: route.metric.filter(|_| sought.is_none()),
        communities: route
            .communities
            .iter()
            .map(|c| standard_text(Community(*c)))
            .collect(),
        large_communities: texts(&route.large_communities, large_text),
        extended_communities: texts(&route.extended_communities, extended_text),
        originator_id: route.originator_id,
        cluster_list: route.cluster_list.clone(),
        attributes: others(route.only_to_customer),
        rpki: rpki(node, route),
        owner: None,
        state,
        best: (installed && route.metric.is_some()) || route.best,
        installed: installed && route.metric.is_some() && sought.is_none(),
        stale: route.stale,
        long_lived_stale: route.long_lived_stale,
        reason,
        age_s: None,
    }
}

fn refusal(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::Policy { .. } => "rejected by the import policy",
        Refusal::AsLoop => "our AS is in its AS_PATH",
        Refusal::OwnOriginator => "its ORIGINATOR_ID is our router id: it has come back to us",
        Refusal::OwnCluster => {
            "our cluster id is in its CLUSTER_LIST: our cluster has reflected it"
        }
        Refusal::FirstAs => {
            "its AS_PATH does not begin with the peer's AS; if the peer is a route server, set its role = \"route-server-client\" \
             or enforce_first_as = false"
        }
        Refusal::RouteLeak(by) => {
            return format!(
                "route leak (RFC 9234): AS {by} gave it to customers only, so it should not come from here"
            );
        }
        Refusal::OwnNextHop => "its next hop is this router",
        Refusal::BadNextHop => "its next hop cannot be one",
    };
    text.to_owned()
}

/// Attributes that have no column of their own.
fn others(only_to_customer: Option<u32>) -> Vec<String> {
    let otc = only_to_customer.map(|asn| format!("only to customer {asn}"));
    otc.into_iter().collect()
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Igp => "igp",
        Origin::Egp => "egp",
        Origin::Incomplete => "incomplete",
    }
}

fn advertised(peer: &PeerName, route: &AdvertisedRoute) -> Route {
    Route {
        prefix: route.prefix,
        peer: Some(peer.clone()),
        path_id: route.path_id,
        next_hops: route
            .next_hop
            .to_string()
            .split(' ')
            .map(str::to_owned)
            .collect(),
        as_path: route.as_path.clone(),
        origin: origin(route.origin).to_owned(),
        local_pref: route.local_pref,
        med: route.med,
        metric: None,
        communities: route
            .communities
            .iter()
            .map(|c| standard_text(Community(*c)))
            .collect(),
        large_communities: texts(&route.large_communities, large_text),
        extended_communities: texts(&route.extended_communities, extended_text),
        originator_id: route.originator_id,
        cluster_list: route.cluster_list.clone(),
        attributes: others(route.only_to_customer),
        rpki: None,
        owner: None,
        state: RouteState::Sent,
        best: true,
        installed: false,
        stale: false,
        long_lived_stale: false,
        reason: None,
        age_s: None,
    }
}

fn own(announcement: &Announcement) -> Route {
    Route {
        prefix: announcement.id.prefix,
        peer: None,
        path_id: None,
        next_hops: announcement
            .next_hop
            .iter()
            .map(ToString::to_string)
            .collect(),
        as_path: String::new(),
        origin: "igp".to_owned(),
        local_pref: None,
        med: None,
        metric: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
        originator_id: None,
        cluster_list: Vec::new(),
        attributes: Vec::new(),
        rpki: None,
        owner: Some(
            announcement
                .instances
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        ),
        state: RouteState::Accepted,
        best: true,
        installed: true,
        stale: false,
        long_lived_stale: false,
        reason: None,
        age_s: None,
    }
}

fn texts<C: Copy>(all: &[C], text: fn(C) -> String) -> Vec<String> {
    all.iter().map(|c| text(*c)).collect()
}

#[cfg(test)]
mod tests;
