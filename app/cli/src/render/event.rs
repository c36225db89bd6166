//! `tapway watch`: one line for each event.

use tapway_api::event::{Event, Level};

use crate::human::time;
use crate::style::{Style, Tone};

pub(crate) fn line(event: &Event, style: Style) -> String {
    let tone = match event.level {
        Level::Info => Tone::Plain,
        Level::Warning => Tone::Warn,
    };
    format!(
        "{}  {}  {}  {}\n",
        style.paint(Tone::Dim, &time(event.time_ms)),
        style.paint(tone, &format!("{:<20}", event.kind)),
        style.paint(Tone::Strong, &format!("{:<24}", event.subject)),
        event.text
    )
}
