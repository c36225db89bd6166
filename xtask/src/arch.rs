//! The architecture as tables, and what compares them with the tree.
//!
//! A row is the place to argue: a new edge needs a line here, and the room's line in
//! `ARCHITECTURE.md` has to stay true.

mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{Crate, Workspace};
use table::{BARRED_FROM_CORE, CORE_MAY_LINK, EDGES, ONLY_IN};

/// Names that say nothing about what is inside.
const ATTICS: &[&str] = &[
    "common",
    "helper",
    "helpers",
    "misc",
    "stuff",
    "util",
    "utilities",
    "utils",
];

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &["target", ".git", "testdata", "corpus", "artifacts"];

/// Crates that link what they may not, one line each.
pub(crate) fn dependencies(crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for one in crates {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == one.name) else {
            faults.push(format!(
                "{} is not in the table of allowed edges (xtask/src/arch/table.rs); add a row",
                one.name
            ));
            continue;
        };
        for link in &one.links {
            if crates.iter().any(|c| c.name == *link) {
                if !allowed.contains(&link.as_str()) {
                    faults.push(format!(
                        "{} may not link {link}; it may link {allowed:?} (xtask/src/arch/table.rs)",
                        one.name
                    ));
                }
            } else {
                faults.extend(outside(one, link));
            }
        }
    }
    for (name, _) in EDGES {
        if !crates.iter().any(|c| c.name == *name) {
            faults.push(format!("{name} is in the table of edges but not there"));
        }
    }
    faults
}

/// Why a crate may not link one from outside.
fn outside(one: &Crate, link: &str) -> Option<String> {
    if one.is_core() && !CORE_MAY_LINK.contains(&link) {
        let reason = BARRED_FROM_CORE
            .iter()
            .find(|(names, _)| names.contains(&link))
            .map_or(
                "the core links nothing that it has not been granted",
                |(_, r)| r,
            );
        return Some(format!(
            "{} may not link {link}: {reason}; the core may link {CORE_MAY_LINK:?}",
            one.name
        ));
    }
    let (_, rooms, reason) = ONLY_IN.iter().find(|(name, ..)| *name == link)?;
    (!rooms.contains(&one.name.as_str()))
        .then(|| format!("{} may not link {link}: {reason}; only {rooms:?}", one.name))
}

/// Rooms that `ARCHITECTURE.md` does not name.
pub(crate) fn map(workspace: &Workspace) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.root.join("ARCHITECTURE.md"))
        .context("ARCHITECTURE.md cannot be read")?;
    Ok(workspace
        .crates
        .iter()
        .filter(|c| !text.contains(&format!("`{}`", c.folder)))
        .map(|c| format!("{} has no line in ARCHITECTURE.md", c.folder))
        .collect())
}

/// Source files that break a rule of the house.
pub(crate) fn sources(workspace: &Workspace) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(&workspace.root, &mut files)?;
    let mut faults = Vec::new();
    for path in files {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let short = path.strip_prefix(&workspace.root).unwrap_or(&path);
        faults.extend(source(short, &text));
    }
    Ok(faults)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|s| name == *s) {
                collect(&entry.path(), files)?;
            }
        } else if Path::new(&name).extension().is_some_and(|e| e == "rs") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(())
}

/// What is wrong with one source file.
fn source(path: &Path, text: &str) -> Vec<String> {
    let at = path.display();
    let mut faults = Vec::new();
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
    // `x/tests.rs` is the tests of `x`; a doc could only repeat the path.
    if !first.starts_with("//! ") && !path.ends_with("tests.rs") {
        faults.push(format!(
            "{at} does not begin with a module doc (//!) that says what it is and what it may touch"
        ));
    }
    let attic = path
        .components()
        .filter_map(|c| Path::new(c.as_os_str()).file_stem()?.to_str())
        .find(|stem| ATTICS.contains(stem));
    if let Some(name) = attic {
        faults.push(format!("{at}: {name:?} names no concept; say what it is"));
    }
    let allowed = concat!("allow(", "unsafe_code");
    if text.contains(allowed) && !path.starts_with("edge") {
        faults.push(format!("{at}: unsafe code lives in edge/ only"));
    }
    faults
}

#[cfg(test)]
mod tests;
