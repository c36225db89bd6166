//! `tapway bmp`.

use tapway_api::bmp::{Collector, CollectorState};
use tapway_api::list::List;

use super::word;
use crate::human::{bytes, count, duration, several};
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn list(collectors: &List<Collector>, style: Style) -> String {
    let mut table = Table::new(&[
        "COLLECTOR",
        "SERVER",
        "STATE",
        ">SINCE",
        ">MESSAGES",
        ">BYTES",
        ">WAITING",
        ">SESSIONS",
        ">DROPPED",
        "TABLES",
        "NOTE",
    ]);
    for collector in &collectors.items {
        let some = |n: u64| if n == 0 { String::new() } else { count(n) };
        table.row([
            (&collector.name).into(),
            (&collector.server).into(),
            Cell::new(tone(collector.state), word(collector.state)),
            since(collector).into(),
            count(collector.messages).into(),
            bytes(collector.bytes).into(),
            bytes(collector.waiting_bytes).into(),
            count(collector.sessions).into(),
            Cell::new(Tone::Warn, some(collector.dropped)),
            collector.tables.join(" ").into(),
            Cell::new(Tone::Warn, collector.error.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(style, "No collectors.")
}

pub(crate) fn show(collector: &Collector, style: Style) -> String {
    let name = style.paint(Tone::Strong, collector.name.as_str());
    let state = style.paint(tone(collector.state), &word(collector.state));
    let mut out = format!("{name} at {}: {state}", collector.server);
    match since(collector) {
        text if text.is_empty() => {}
        text => out.push_str(&format!(" {text}")),
    }
    let mut line = |key: &str, value: String| out.push_str(&format!("\n  {key:<9} {value}"));
    line("tables", collector.tables.join(", "));
    line(
        "told",
        format!(
            "{} messages, {} in {}",
            count(collector.messages),
            bytes(collector.bytes),
            several(collector.sessions, "session", "sessions")
        ),
    );
    line(
        "waiting",
        format!(
            "{} of {} at most",
            bytes(collector.waiting_bytes),
            bytes(collector.buffer_bytes)
        ),
    );
    if collector.dropped > 0 {
        let times = several(collector.dropped, "session", "sessions");
        let times = format!("{times}, as it was too slow");
        line("dropped", style.paint(Tone::Warn, &times));
    }
    if let Some(error) = &collector.error {
        line("error", style.paint(Tone::Bad, error));
    }
    out.push('\n');
    out
}

const fn tone(state: CollectorState) -> Tone {
    match state {
        CollectorState::Synced => Tone::Good,
        CollectorState::Waiting => Tone::Bad,
        CollectorState::Connecting | CollectorState::Syncing => Tone::Warn,
    }
}

/// For how long it is connected, or when it is tried again.
fn since(collector: &Collector) -> String {
    match (collector.connected_s, collector.next_s) {
        (Some(s), _) => format!("for {}", duration(s)),
        (None, Some(s)) => format!("again in {}", duration(s)),
        (None, None) => String::new(),
    }
}
