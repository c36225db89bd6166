//! `tapway plan`.

use tapway_api::plan::Plan;

use crate::style::{Style, Tone};

/// Commands, each with the reason why it is not done already as a comment: the text can be kept as a script.
pub(crate) fn render(plan: &Plan, style: Style) -> String {
    if plan.lines.is_empty() {
        return "Nothing to change.\n".to_owned();
    }
    let mut out = String::new();
    for line in &plan.lines {
        out.push_str(&line.command);
        if let Some(reason) = &line.reason {
            out.push_str(&style.paint(Tone::Dim, &format!("  # {reason}")));
        }
        out.push('\n');
    }
    out
}
