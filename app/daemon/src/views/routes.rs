//! BGP routes: received, advertised, best.

use tapway_api::list::List;
use tapway_api::route::{Route, RouteQuery, RouteState};
use tapway_bgp::{AdvertisedRoute, Announcement, Origin, ReceivedRoute, Refusal};
use tapway_model::{Family, PeerName, Prefix};
use tapway_node::Node;

/// The routes of a query.
pub fn routes(node: &Node, query: &RouteQuery) -> List<Route> {
    let wanted = |prefix: &Prefix| {
        query.prefix.is_none_or(|p| p == *prefix)
            && query.family.is_none_or(|f| f == prefix.family())
    };
    let page = query.page();
    if let Some(peer) = &query.received {
        let installed = installed(node);
        let all = node.speaker().received(peer).filter(|r| wanted(&r.prefix));
        let list = page.of(all);
        let items = list
            .items
            .iter()
            .map(|r| received(peer, r, installed.contains(&(peer.clone(), r.prefix))));
        return List {
            items: items.collect(),
            total: list.total,
        };
    }
    if let Some(peer) = &query.advertised {
        let list = page.of(node
            .speaker()
            .advertised(peer)
            .filter(|r| wanted(&r.prefix)));
        return List {
            items: list.items.iter().map(|r| advertised(peer, r)).collect(),
            total: list.total,
        };
    }
    // Best: our own routes come before everything received.
    let own = node
        .speaker()
        .announcements()
        .filter(|a| wanted(&a.id.prefix))
        .map(own);
    let installed = installed(node);
    let peers = node.config().peers.keys();
    let best = peers.flat_map(|peer| {
        let installed = &installed;
        let routes = node.speaker().received(peer).filter(|r| wanted(&r.prefix));
        routes
            .filter(move |r| r.refused.is_none() && installed.contains(&(peer.clone(), r.prefix)))
            .map(move |r| received(peer, &r, true))
    });
    page.of(own.chain(best))
}

fn installed(node: &Node) -> std::collections::BTreeSet<(PeerName, Prefix)> {
    Family::ALL
        .into_iter()
        .flat_map(|f| node.speaker().installable(f))
        .map(|i| (i.peer, i.prefix))
        .collect()
}

fn received(peer: &PeerName, route: &ReceivedRoute, installed: bool) -> Route {
    let (state, reason) = match &route.refused {
        None => (RouteState::Accepted, None),
        Some(Refusal::Policy { policy, rule }) => {
            let by = rule.map_or_else(
                || "no rule accepts it".to_owned(),
                |r| format!("rule {}", r + 1),
            );
            (
                RouteState::Rejected,
                Some(format!("import policy {policy}: {by}")),
            )
        }
        Some(other) => (RouteState::Unusable, Some(refusal(other).to_owned())),
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
        communities: route
            .communities
            .iter()
            .map(|c| super::community(*c))
            .collect(),
        attributes: Vec::new(),
        owner: None,
        state,
        best: installed,
        installed,
        stale: route.stale,
        reason,
        age_s: None,
    }
}

fn refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Policy { .. } => "rejected by the import policy",
        Refusal::AsLoop => "our AS is in its AS_PATH",
        Refusal::ReflectionLoop => "our router id is in its ORIGINATOR_ID or CLUSTER_LIST",
        Refusal::FirstAs => "its AS_PATH does not begin with the peer's AS",
        Refusal::OwnNextHop => "its next hop is this router",
        Refusal::BadNextHop => "its next hop cannot be one",
    }
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
        path_id: None,
        next_hops: route
            .next_hop
            .to_string()
            .split(' ')
            .map(str::to_owned)
            .collect(),
        as_path: route.as_path.clone(),
        origin: "igp".to_owned(),
        local_pref: route.local_pref,
        med: route.med,
        communities: route
            .communities
            .iter()
            .map(|c| super::community(*c))
            .collect(),
        attributes: Vec::new(),
        owner: None,
        state: RouteState::Sent,
        best: true,
        installed: false,
        stale: false,
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
        communities: Vec::new(),
        attributes: Vec::new(),
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
        reason: None,
        age_s: None,
    }
}
