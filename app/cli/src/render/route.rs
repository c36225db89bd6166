//! `tapway route list`.

use tapway_api::list::List;
use tapway_api::route::{Route, RouteState};

use super::{footer, rpki, word};
use crate::human::duration;
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn list(routes: &List<Route>, style: Style) -> String {
    let mut table = Table::new(&[
        "",
        "PREFIX",
        "NEXT HOP",
        "FROM",
        "AS PATH",
        "ORIGIN",
        ">PREF",
        ">MED",
        "COMMUNITIES",
        "RPKI",
        "STATE",
        ">AGE",
        "NOTE",
    ]);
    for route in &routes.items {
        let mark = match (route.best, route.installed) {
            (true, true) => "*>",
            (true, false) => "*",
            (false, true) => ">",
            (false, false) => "",
        };
        let from = match (&route.peer, &route.owner) {
            (Some(peer), _) => peer.to_string(),
            (None, owner) => owner.clone().unwrap_or_default(),
        };
        let number = |n: Option<u32>| Cell::from(n.map(|n| n.to_string()).unwrap_or_default());
        let kinds = [
            &route.communities,
            &route.large_communities,
            &route.extended_communities,
        ];
        let communities: Vec<&str> = kinds.into_iter().flatten().map(String::as_str).collect();
        let mut notes: Vec<String> = Vec::new();
        notes.extend(match (route.long_lived_stale, route.stale) {
            (true, _) => Some("long-lived stale".to_owned()),
            (false, true) => Some("stale".to_owned()),
            (false, false) => None,
        });
        notes.extend(route.reason.clone());
        notes.extend(reflected(route));
        let far = route.metric.filter(|metric| *metric > 0);
        notes.extend(far.map(|metric| format!("metric {metric} to the next hop")));
        notes.extend(route.attributes.iter().cloned());
        table.row([
            mark.into(),
            match route.path_id {
                Some(id) => format!("{} (path {id})", route.prefix).into(),
                None => route.prefix.into(),
            },
            route.next_hops.join(" ").into(),
            from.into(),
            (&route.as_path).into(),
            (&route.origin).into(),
            number(route.local_pref),
            number(route.med),
            communities.join(" ").into(),
            match route.rpki {
                Some(state) => Cell::new(rpki::tone(state), word(state)),
                None => Cell::default(),
            },
            Cell::new(tone(route.state), word(route.state)),
            route.age_s.map(duration).unwrap_or_default().into(),
            notes.join("; ").into(),
        ]);
    }
    let legend = if routes.items.iter().any(|r| r.best || r.installed) {
        format!("{}\n", style.paint(Tone::Dim, "* best, > in the kernel"))
    } else {
        String::new()
    };
    table.render(style, "No routes.") + &legend + &footer(routes.items.len(), routes.total, style)
}

/// Where a reflected route has been.
fn reflected(route: &Route) -> Option<String> {
    let originator = route.originator_id?;
    let clusters: Vec<String> = route.cluster_list.iter().map(ToString::to_string).collect();
    Some(format!(
        "reflected, originator {originator}, clusters {}",
        clusters.join(" ")
    ))
}

fn tone(state: RouteState) -> Tone {
    match state {
        RouteState::Accepted | RouteState::Sent => Tone::Plain,
        RouteState::Rejected => Tone::Dim,
        RouteState::Unusable => Tone::Warn,
    }
}
