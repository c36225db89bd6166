//! Answers of commands that change something.

use tapway_api::write::{Applied, Done};

use super::word;
use crate::human::several;
use crate::style::{Style, Tone};

/// Above this many, objects are counted instead of named, unless there is something to say of them.
const NAMED: usize = 20;

pub(crate) fn applied(applied: &Applied, style: Style) -> String {
    let mut out = String::new();
    let many = applied.items.len() > NAMED;
    for item in &applied.items {
        if !many || !item.notes.is_empty() {
            out.push_str(&format!("{} {}\n", item.name, word(item.outcome)));
        }
        for note in &item.notes {
            out.push_str(&format!("  {} {note}\n", style.paint(Tone::Warn, "!")));
        }
    }
    if many {
        out.push_str(&format!(
            "{} applied\n",
            several(applied.items.len() as u64, "object", "objects")
        ));
    }
    out
}

pub(crate) fn done(done: &Done, _: Style) -> String {
    format!("{}\n", done.text)
}
