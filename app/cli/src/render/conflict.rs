//! `tapway conflict list`.

use tapway_api::conflict::{Conflict, Party};
use tapway_api::list::List;

use super::remedy;
use crate::style::{Style, Tone};

pub(crate) fn list(conflicts: &List<Conflict>, style: Style) -> String {
    if conflicts.items.is_empty() {
        return "No conflicts.\n".to_owned();
    }
    let mut out = String::new();
    for conflict in &conflicts.items {
        let holder = &conflict.holder;
        out.push_str(&format!(
            "{} in table {}\n",
            style.paint(Tone::Strong, &holder.prefix.to_string()),
            conflict.domain
        ));
        out.push_str(&format!(
            "  {} {}\n",
            style.paint(Tone::Good, "held by   "),
            party(holder, None)
        ));
        for other in &conflict.others {
            out.push_str(&format!(
                "  {} {}\n",
                style.paint(Tone::Bad, "refused to"),
                party(other, Some(holder))
            ));
        }
        out.push_str(&remedy("  ", &conflict.remedy, style));
    }
    out
}

fn party(party: &Party, holder: Option<&Party>) -> String {
    let instance = party
        .instance
        .as_ref()
        .map(|i| format!(" of {i}"))
        .unwrap_or_default();
    let sources: Vec<&str> = party.sources.iter().map(|s| s.as_str()).collect();
    // Equal prefixes need no second mention.
    let prefix = match holder {
        Some(holder) if holder.prefix != party.prefix => format!(" claims {}", party.prefix),
        _ => String::new(),
    };
    format!(
        "{}{instance}{prefix} ({}, network {}, source {})",
        party.owner,
        party.kind,
        party.network,
        sources.join(" and ")
    )
}
