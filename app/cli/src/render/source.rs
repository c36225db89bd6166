//! `tapway source list`.

use tapway_api::list::List;
use tapway_api::source::{Source, SourceState};

use super::word;
use crate::human::{count, duration};
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn list(sources: &List<Source>, style: Style) -> String {
    let mut table = Table::new(&[
        "SOURCE",
        "STATE",
        ">INSTANCES",
        ">STALE",
        ">PROBLEMS",
        ">LAST HEARD",
        ">GRACE LEFT",
        "READS",
        "NOTE",
    ]);
    for source in &sources.items {
        let tone = match source.state {
            SourceState::Live => Tone::Good,
            SourceState::Starting | SourceState::Stale => Tone::Warn,
        };
        let some = |n: u64| if n == 0 { String::new() } else { count(n) };
        table.row([
            (&source.name).into(),
            Cell::new(tone, word(source.state)),
            count(source.instances).into(),
            Cell::new(Tone::Warn, some(source.stale_instances)),
            Cell::new(Tone::Bad, some(source.problems)),
            match source.last_heard_s {
                Some(s) => format!("{} ago", duration(s)).into(),
                None => "never".into(),
            },
            source.grace_left_s.map(duration).unwrap_or_default().into(),
            source.place.as_deref().unwrap_or_default().into(),
            source.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.render(style, "No sources.")
}
