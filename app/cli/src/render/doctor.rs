//! `tapway doctor`.

use tapway_api::doctor::{CheckStatus, Diagnosis};

use super::remedy;
use crate::human::several;
use crate::style::{Style, Tone};

pub(crate) fn render(diagnosis: &Diagnosis, style: Style) -> String {
    let column = diagnosis
        .checks
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0);
    let indent = " ".repeat(column + 4);
    let (mut failed, mut warned) = (0, 0);
    let mut out = String::new();
    for check in &diagnosis.checks {
        let (mark, tone) = match check.status {
            CheckStatus::Ok => ("✓", Tone::Good),
            CheckStatus::Warning => ("!", Tone::Warn),
            CheckStatus::Failed => ("✗", Tone::Bad),
            CheckStatus::Skipped => ("-", Tone::Dim),
        };
        failed += u64::from(check.status == CheckStatus::Failed);
        warned += u64::from(check.status == CheckStatus::Warning);
        out.push_str(&format!(
            "{} {:<column$}  {}\n",
            style.paint(tone, mark),
            check.name,
            check.summary
        ));
        for line in &check.detail {
            out.push_str(&format!("{indent}{}\n", style.paint(Tone::Dim, line)));
        }
        if let Some(text) = &check.remedy {
            out.push_str(&remedy(&indent, text, style));
        }
    }
    let warnings = several(warned, "warning", "warnings");
    out.push_str(&match (failed, warned) {
        (0, 0) => "All is well.\n".to_owned(),
        (0, _) => format!("Nothing failed; {warnings}.\n"),
        _ => format!(
            "{} failed; {warnings}.\n",
            several(failed, "check", "checks")
        ),
    });
    out
}
