//! BGP routes: received, advertised, best.

use tapway_api::route::{Route, RouteQuery, RouteState};
use tapway_api::rpki::RpkiState;
use tapway_bgp::policy::RouteAttributes;
use tapway_bgp::{
    AdvertisedRoute, Announcement, Attributes, Community, Origin, ReceivedRoute, Refusal,
};
use tapway_model::{Family, PeerName, Prefix};
use tapway_node::Node;

use crate::config::spec::{extended_text, large_text, standard_text};

use crate::http::ApiReply;
use crate::sliced::Rows;
use crate::views::rpki_state;

/// A route of a list, before it is put into words.
pub enum Listed {
    /// One of our own.
    Own(Announcement),
    /// One of a peer's, and whether it is installed.
    Received(PeerName, ReceivedRoute, bool),
    /// One that a peer was sent.
    Advertised(PeerName, AdvertisedRoute),
}

/// The routes of a query.
pub fn routes(node: &Node, query: &RouteQuery) -> Rows<Listed, Route> {
    let wanted = |prefix: &Prefix| {
        query.prefix.is_none_or(|p| p == *prefix)
            && query.family.is_none_or(|f| f == prefix.family())
    };
    let rows = |page| {
        Rows::page(
            page,
            |node, listed| Some(route(node, listed)),
            ApiReply::Routes,
        )
    };
    let page = query.page();
    let speaker = node.speaker();
    if let Some(peer) = &query.received {
        let installed = installed(node);
        let all = speaker.received(peer).filter(|r| wanted(&r.prefix));
        return rows(page.of(all.map(|r| {
            let installed = installed.contains(&(peer.clone(), r.prefix));
            Listed::Received(peer.clone(), r, installed)
        })));
    }
    if let Some(peer) = &query.advertised {
        let all = speaker.advertised(peer).filter(|r| wanted(&r.prefix));
        return rows(page.of(all.map(|r| Listed::Advertised(peer.clone(), r))));
    }
    // Best: our own routes come before everything received.
    let own = speaker.announcements().filter(|a| wanted(&a.id.prefix));
    let installed = installed(node);
    let peers = node.peer_names();
    let best = peers.flat_map(|peer| {
        let installed = &installed;
        let routes = speaker.received(peer).filter(|r| wanted(&r.prefix));
        routes
            .filter(move |r| r.refused.is_none() && installed.contains(&(peer.clone(), r.prefix)))
            .map(move |r| Listed::Received(peer.clone(), r, true))
    });
    rows(page.of(own.cloned().map(Listed::Own).chain(best)))
}

fn route(node: &Node, listed: Listed) -> Route {
    match listed {
        Listed::Own(announcement) => own(&announcement),
        Listed::Received(peer, route, installed) => Route {
            rpki: rpki(node, &route),
            ..received(&peer, &route, installed)
        },
        Listed::Advertised(peer, route) => advertised(&peer, &route),
    }
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
            .map(|c| standard_text(Community(*c)))
            .collect(),
        large_communities: texts(&route.large_communities, large_text),
        extended_communities: texts(&route.extended_communities, extended_text),
        attributes: Vec::new(),
        rpki: None,
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
        origin: origin(route.origin).to_owned(),
        local_pref: route.local_pref,
        med: route.med,
        communities: route
            .communities
            .iter()
            .map(|c| standard_text(Community(*c)))
            .collect(),
        large_communities: texts(&route.large_communities, large_text),
        extended_communities: texts(&route.extended_communities, extended_text),
        attributes: Vec::new(),
        rpki: None,
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
        large_communities: Vec::new(),
        extended_communities: Vec::new(),
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
        reason: None,
        age_s: None,
    }
}

fn texts<C: Copy>(all: &[C], text: fn(C) -> String) -> Vec<String> {
    all.iter().map(|c| text(*c)).collect()
}
