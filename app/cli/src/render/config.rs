//! `tapway config`.

use tapway_api::config::{Checked, Configuration, SessionEnd, SessionEndKind};
use tapway_api::peer::Origin;

use super::problem::one;
use super::{settings, word};
use crate::style::{Style, Tone};

pub(crate) fn show(configuration: &Configuration, style: Style) -> String {
    let mut out = match &configuration.file {
        Some(file) => style.paint(Tone::Dim, &format!("# {file}")),
        None => style.paint(Tone::Dim, "# without a file"),
    };
    out.push('\n');
    for section in &configuration.sections {
        let heading = match &section.name {
            Some(name) => format!("[{}.{name}]", section.kind),
            None => format!("[{}]", section.kind),
        };
        let mut notes: Vec<String> = Vec::new();
        if section.origin != Origin::File {
            notes.push(word(section.origin));
        }
        if section.overridden {
            notes.push("not in effect: the file defines this name".to_owned());
        }
        let note = if notes.is_empty() {
            String::new()
        } else {
            style.paint(Tone::Warn, &format!("  # {}", notes.join(", ")))
        };
        out.push_str(&format!(
            "\n{}{note}\n",
            style.paint(Tone::Strong, &heading)
        ));
        out.push_str(&settings("", &section.value));
    }
    out
}

pub(crate) fn checked(checked: &Checked, style: Style) -> String {
    let verdict = match (checked.ok, checked.loaded) {
        (true, true) => style.paint(Tone::Good, "loaded"),
        (true, false) => style.paint(Tone::Good, "can be used"),
        (false, _) => style.paint(Tone::Bad, "cannot be used; nothing was changed"),
    };
    let mut out = format!("{}: {verdict}\n", checked.name);
    out.extend(checked.problems.iter().map(|p| one(p, style)));
    for line in &checked.changes {
        out.push_str(&format!("  {line}\n"));
    }
    for end in &checked.sessions {
        out.push_str(&format!("  {}\n", session(end, checked.loaded, style)));
    }
    for line in &checked.needs_restart {
        let note = style.paint(Tone::Warn, "(needs a restart)");
        out.push_str(&format!("  {line} {note}\n"));
    }
    out
}

/// What becomes of a session, or became of it.
fn session(end: &SessionEnd, done: bool, style: Style) -> String {
    let what = match (end.end, done) {
        (SessionEndKind::Reset, false) => "is reset",
        (SessionEndKind::Reset, true) => "was reset",
        (SessionEndKind::Ended, false) => "ends",
        (SessionEndKind::Ended, true) => "has ended",
    };
    let what = style.paint(Tone::Warn, &format!("session {} {what}", end.peer));
    format!("{what}: {}", end.why)
}
