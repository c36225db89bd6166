//! `tapway instance list` and `show`.

use std::collections::BTreeMap;

use tapway_api::instance::{
    Claim, ClaimState, Instance, InstanceDetail, LinkState, MigrationState, Nic,
};
use tapway_api::list::List;

use super::{footer, word};
use crate::human::count;
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

/// One row for each NIC, and one for the claims that no NIC owns.
pub(crate) fn list(instances: &List<Instance>, style: Style) -> String {
    let mut table = Table::new(&[
        "INSTANCE",
        "SOURCE",
        "INTERFACE",
        "LINK",
        "NETWORK",
        "CLAIMS",
        "NOTE",
    ]);
    for instance in &instances.items {
        let stale = instance.stale.then_some("stale");
        for nic in &instance.nics {
            table.row([
                (&instance.name).into(),
                (&instance.source).into(),
                (&nic.interface).into(),
                link(nic.link),
                (&nic.network).into(),
                summary(&nic.claims),
                Cell::new(Tone::Warn, notes([stale, migration(nic)])),
            ]);
        }
        if !instance.claims.is_empty() || instance.nics.is_empty() {
            let network = instance.claims.first().map(|c| c.network.to_string());
            table.row([
                (&instance.name).into(),
                (&instance.source).into(),
                "-".into(),
                "".into(),
                network.unwrap_or_default().into(),
                summary(&instance.claims),
                Cell::new(Tone::Warn, notes([stale, None])),
            ]);
        }
    }
    let none = "No instances. `tapway source list` shows where they would come from.";
    table.render(style, none) + &footer(instances.items.len(), instances.total, style)
}

/// Everything about the instances of one name.
pub(crate) fn show(instances: &List<InstanceDetail>, style: Style) -> String {
    let mut out = String::new();
    for detail in &instances.items {
        let instance = &detail.instance;
        if !out.is_empty() {
            out.push('\n');
        }
        let stale = if instance.stale {
            style.paint(Tone::Warn, ", stale: not heard of since the start")
        } else {
            String::new()
        };
        out.push_str(&format!(
            "{} (source {}{stale})\n",
            style.paint(Tone::Strong, instance.name.as_str()),
            instance.source
        ));
        for nic in &instance.nics {
            let mut facts = vec![format!("network {}", nic.network)];
            facts.extend(nic.mac.map(|mac| format!("mac {mac}")));
            if !nic.tags.is_empty() {
                let tags: Vec<&str> = nic.tags.iter().map(|t| t.as_str()).collect();
                facts.push(format!("tags {}", tags.join(" ")));
            }
            facts.extend(migration(nic).map(|m| style.paint(Tone::Warn, m)));
            let (tone, state) = link_text(nic.link);
            out.push_str(&format!(
                "  nic {} {} ({})\n",
                nic.interface,
                style.paint(tone, state),
                facts.join(", ")
            ));
            out.push_str(&claims(&nic.claims, style));
        }
        if !instance.claims.is_empty() {
            out.push_str("  without a nic\n");
            out.push_str(&claims(&instance.claims, style));
        }
    }
    out
}

fn claims(claims: &[Claim], style: Style) -> String {
    let mut table = Table::new(&["PREFIX", "KIND", "STATE", "NEXT HOP", "REASON"]);
    for claim in claims {
        table.row([
            claim.prefix.into(),
            claim.kind.into(),
            Cell::new(tone(claim.state), word(claim.state)),
            claim
                .next_hop
                .map(|n| n.to_string())
                .unwrap_or_default()
                .into(),
            claim.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    let text = table.render(style, "no claims");
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn summary(claims: &[Claim]) -> Cell {
    let mut counts: BTreeMap<(u8, String), u64> = BTreeMap::new();
    let mut worst = Tone::Plain;
    for claim in claims {
        let tone = tone(claim.state);
        if matches!(tone, Tone::Bad) || (tone == Tone::Warn && worst == Tone::Plain) {
            worst = tone;
        }
        let order = claim.state as u8;
        *counts.entry((order, word(claim.state))).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|((_, state), n)| format!("{} {state}", count(*n)))
        .collect();
    if parts.is_empty() {
        return Cell::new(Tone::Dim, "none");
    }
    Cell::new(worst, parts.join(", "))
}

fn tone(state: ClaimState) -> Tone {
    match state {
        ClaimState::Announced | ClaimState::Wired => Tone::Plain,
        ClaimState::Waiting => Tone::Warn,
        ClaimState::Conflict | ClaimState::Refused | ClaimState::Failed => Tone::Bad,
    }
}

fn link(state: LinkState) -> Cell {
    let (tone, text) = link_text(state);
    Cell::new(tone, text)
}

fn link_text(state: LinkState) -> (Tone, &'static str) {
    match state {
        LinkState::Missing => (Tone::Warn, "missing"),
        LinkState::Down => (Tone::Warn, "down"),
        LinkState::NoCarrier => (Tone::Warn, "no carrier"),
        LinkState::Up => (Tone::Good, "up"),
    }
}

fn migration(nic: &Nic) -> Option<&'static str> {
    match nic.state {
        MigrationState::Running => None,
        MigrationState::Arriving => Some("arriving"),
        MigrationState::Leaving => Some("leaving"),
    }
}

fn notes(notes: [Option<&str>; 2]) -> String {
    notes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
