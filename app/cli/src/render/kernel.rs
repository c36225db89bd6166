//! `tapway kernel list`.

use tapway_api::kernel::{KernelObject, KernelStatus};
use tapway_api::list::List;

use super::word;
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn list(objects: &List<KernelObject>, style: Style) -> String {
    let mut table = Table::new(&["KIND", "STATUS", "OBJECT", "FOR", "NOTE"]);
    for object in &objects.items {
        let tone = match object.status {
            KernelStatus::InPlace => Tone::Good,
            KernelStatus::Missing | KernelStatus::Differs | KernelStatus::Leftover => Tone::Warn,
            KernelStatus::Failed | KernelStatus::Foreign => Tone::Bad,
        };
        let mut notes: Vec<String> = Vec::new();
        notes.extend(object.old_value.as_ref().map(|v| format!("was {v}")));
        notes.extend(object.reason.clone());
        table.row([
            word(object.kind).into(),
            Cell::new(tone, word(object.status)),
            (&object.object).into(),
            object.purpose.as_deref().unwrap_or_default().into(),
            notes.join("; ").into(),
        ]);
    }
    table.render(
        style,
        "Nothing of ours is in the kernel, and nothing is wanted there.",
    )
}
