//! `tapway announcement list`.

use std::collections::BTreeMap;

use tapway_api::announcement::{Announcement, Delivery};
use tapway_api::list::List;

use super::{footer, word};
use crate::human::duration;
use crate::style::Style;
use crate::table::Table;

pub(crate) fn list(announcements: &List<Announcement>, style: Style) -> String {
    let mut table = Table::new(&[
        "PREFIX",
        "KIND",
        "NETWORK",
        "INSTANCE",
        "OWNER",
        "SENT TO",
        "NOT SENT TO",
        ">AGE",
    ]);
    for one in &announcements.items {
        let instances: Vec<&str> = one.instances.iter().map(|i| i.as_str()).collect();
        table.row([
            one.prefix.into(),
            one.kind.into(),
            (&one.network).into(),
            instances.join(", ").into(),
            one.owners.join(", ").into(),
            sent(one).into(),
            not_sent(one).into(),
            one.age_s.map(duration).unwrap_or_default().into(),
        ]);
    }
    table.render(style, "No announcements.")
        + &footer(announcements.items.len(), announcements.total, style)
}

/// Peers by the next hop that they got: `tor1, tor2 via 192.0.2.11`.
fn sent(announcement: &Announcement) -> String {
    let mut by_next_hop: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for to in &announcement.peers {
        if to.outcome == Delivery::Sent {
            by_next_hop
                .entry(to.next_hop.as_deref().unwrap_or_default())
                .or_default()
                .push(to.peer.as_str());
        }
    }
    let parts: Vec<String> = by_next_hop
        .iter()
        .map(|(next_hop, peers)| match *next_hop {
            "" => peers.join(", "),
            next_hop => format!("{} via {next_hop}", peers.join(", ")),
        })
        .collect();
    parts.join("; ")
}

fn not_sent(announcement: &Announcement) -> String {
    let parts: Vec<String> = announcement
        .peers
        .iter()
        .filter(|to| to.outcome != Delivery::Sent)
        .map(|to| match &to.reason {
            Some(reason) => format!("{} ({}: {reason})", to.peer, word(to.outcome)),
            None => format!("{} ({})", to.peer, word(to.outcome)),
        })
        .collect();
    parts.join(", ")
}
