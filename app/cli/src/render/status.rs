//! `tapway status`.

use tapway_api::status::{DaemonState, Status};

use crate::human::{count, duration, several};
use crate::style::{Style, Tone};

pub(crate) fn render(status: &Status, style: Style) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let state = match status.state {
        DaemonState::Starting => style.paint(Tone::Warn, "starting"),
        DaemonState::Grace => style.paint(Tone::Warn, "start-up grace"),
        DaemonState::Running => style.paint(Tone::Good, "running"),
        DaemonState::Stopping => style.paint(Tone::Warn, "stopping"),
    };
    let grace = status
        .grace_left_s
        .map(|s| format!("; leftovers of the last run are kept for {}", duration(s)))
        .unwrap_or_default();
    let start = if status.warm_start {
        "took over the kernel's state"
    } else {
        "cold start"
    };
    lines.push((
        "tapwayd",
        format!(
            "{state} for {} (version {}, pid {}, {start}){grace}",
            duration(status.uptime_s),
            status.version,
            status.pid
        ),
    ));
    lines.push((
        "router",
        format!(
            "AS {}, router id {}{}",
            status.asn,
            status.router_id,
            match status.draining {
                true => style.paint(Tone::Warn, "; draining: the last choice of all peers"),
                false => String::new(),
            }
        ),
    ));
    let instances = several(status.instances, "instance", "instances");
    let claims = several(status.claims, "claim", "claims");
    lines.push((
        "claims",
        format!(
            "{claims} of {instances}; {} announced{}",
            count(status.announcements),
            bad(status.conflicts, "conflict", "conflicts", style),
        ),
    ));
    let peers = status.peers;
    let up = format!(
        "{} of {} established",
        count(peers.established),
        count(peers.total)
    );
    let tone = if peers.established + peers.disabled < peers.total {
        Tone::Bad
    } else {
        Tone::Plain
    };
    let disabled = match peers.disabled {
        0 => String::new(),
        n => format!(", {} disabled", count(n)),
    };
    lines.push((
        "peers",
        format!(
            "{}{disabled}; {} received",
            style.paint(tone, &up),
            several(status.received_routes, "route", "routes")
        ),
    ));
    let stale = match status.sources.stale {
        0 => String::new(),
        n => style.paint(Tone::Warn, &format!(", {} stale", count(n))),
    };
    lines.push(("sources", format!("{}{stale}", count(status.sources.total))));
    let kernel = status.kernel;
    let failed = match kernel.failed {
        0 => String::new(),
        n => style.paint(Tone::Bad, &format!(", {} failed", count(n))),
    };
    lines.push((
        "kernel",
        format!(
            "{} of {} in place{failed}",
            count(kernel.in_place),
            several(kernel.wanted, "object", "objects")
        ),
    ));
    if status.problems > 0 {
        let text = several(status.problems, "problem", "problems");
        lines.push((
            "problems",
            format!("{} (tapway problem list)", style.paint(Tone::Bad, &text)),
        ));
    }
    let mut out = String::new();
    for (label, text) in lines {
        out.push_str(&format!(
            "{}  {text}\n",
            style.paint(Tone::Strong, &format!("{label:<8}"))
        ));
    }
    for concern in &status.concerns {
        out.push_str(&format!("{} {concern}\n", style.paint(Tone::Bad, "!")));
    }
    out
}

fn bad(n: u64, one: &str, more: &str, style: Style) -> String {
    if n == 0 {
        return String::new();
    }
    format!(", {}", style.paint(Tone::Bad, &several(n, one, more)))
}
