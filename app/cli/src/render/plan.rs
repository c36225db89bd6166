//! `tapway plan`.

use tapway_api::plan::Plan;

use super::config;
use crate::style::{Style, Tone};

/// Commands, each with the reason why it is not done already as a comment: the text can be kept as a script. What a reload would do
/// is a comment as a whole.
pub(crate) fn render(plan: &Plan, style: Style) -> String {
    if plan.lines.is_empty() && plan.reload.is_none() {
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
    if let Some(reload) = &plan.reload {
        out.push_str("# `tapway config reload` would take over what differs:\n");
        for line in config::checked(reload, style).lines() {
            out.push_str(&format!("# {line}\n"));
        }
    }
    out
}
