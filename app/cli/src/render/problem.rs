//! Problems: `tapway problem list`, and those of a configuration.

use tapway_api::list::List;
use tapway_api::problem::Problem;

use super::{remedy, word};
use crate::style::{Style, Tone};

pub(crate) fn list(problems: &List<Problem>, style: Style) -> String {
    if problems.items.is_empty() {
        return "No problems.\n".to_owned();
    }
    problems.items.iter().map(|p| one(p, style)).collect()
}

/// One problem, with its place first, as compilers write it.
pub(crate) fn one(problem: &Problem, style: Style) -> String {
    let place = problem.place.as_ref().map(ToString::to_string);
    let at = match place {
        // The subject of a file's problem is the file, which the place names too.
        Some(place) if place.starts_with(&problem.subject) => place,
        Some(place) if !place.is_empty() => format!("{}: {place}", problem.subject),
        _ => problem.subject.clone(),
    };
    let mut out = format!(
        "{} {}: {}\n",
        style.paint(Tone::Bad, &format!("{:<6}", word(problem.kind))),
        style.paint(Tone::Strong, &at),
        problem.message
    );
    if let Some(text) = &problem.remedy {
        out.push_str(&remedy("       ", text, style));
    }
    out
}
