//! `tapway policy list` and `show`.

use tapway_api::list::List;
use tapway_api::policy::Policy;

use super::{settings, word};
use crate::style::{Style, Tone};
use crate::table::Table;

pub(crate) fn list(policies: &List<Policy>, style: Style) -> String {
    let mut table = Table::new(&["POLICY", "DEFINED BY", ">RULES", "USED BY", "WHAT IT DOES"]);
    for policy in &policies.items {
        let rules = match policy.rules.len() {
            0 => String::new(),
            n => n.to_string(),
        };
        table.row([
            (&policy.name).into(),
            word(policy.origin).into(),
            rules.into(),
            policy.used_by.join(", ").into(),
            policy.text.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.render(style, "No policies.")
}

pub(crate) fn show(policy: &Policy, style: Style) -> String {
    let mut out = format!(
        "{} (defined by {})\n",
        style.paint(Tone::Strong, policy.name.as_str()),
        word(policy.origin)
    );
    if let Some(text) = &policy.text {
        out.push_str(&format!("  {text}\n"));
    }
    if !policy.used_by.is_empty() {
        out.push_str(&format!("  used by {}\n", policy.used_by.join(", ")));
    }
    for (i, rule) in policy.rules.iter().enumerate() {
        out.push_str(&format!("  rule {}\n", i + 1));
        out.push_str(&settings("    ", rule));
    }
    out
}
