//! The tables against made-up crates, and against the tree as it is.

use super::*;

fn one(name: &str, folder: &str, links: &[&str]) -> Crate {
    Crate {
        name: name.into(),
        folder: folder.into(),
        links: links.iter().map(|l| l.to_string()).collect(),
        tests: Vec::new(),
        programs: Vec::new(),
    }
}

/// Every crate of the table, linking nothing, with `changed` in its place.
fn with(changed: Crate) -> Vec<Crate> {
    let mut crates: Vec<Crate> = EDGES.iter().map(|(n, _)| one(n, "x", &[])).collect();
    crates.retain(|c| c.name != changed.name);
    crates.push(changed);
    crates
}

#[test]
fn a_forbidden_edge_is_named_with_its_reason() {
    for (changed, part) in [
        (
            one("tapway-fib", "core/fib", &["tapway-model", "serde"]),
            "",
        ),
        (
            one("tapway-fib", "core/fib", &["tapway-bgp"]),
            "may not link tapway-bgp",
        ),
        (one("tapway-fib", "core/fib", &["tokio"]), "does not wait"),
        (
            one("tapway-fib", "core/fib", &["left-pad"]),
            "has not been granted",
        ),
        (one("tapway-api", "app/api", &["libc"]), "live in edge/sys"),
        (one("tapway-attic", "app/attic", &[]), "not in the table"),
    ] {
        let faults = dependencies(&with(changed));
        if part.is_empty() {
            assert_eq!(faults, Vec::<String>::new());
        } else {
            assert!(
                faults.len() == 1 && faults[0].contains(part),
                "{part}: {faults:?}"
            );
        }
    }
}

#[test]
fn a_row_without_a_crate_is_told() {
    let mut crates = with(one("xtask", "xtask", &[]));
    crates.retain(|c| c.name != "tapway-fib");
    let faults = dependencies(&crates);
    assert!(
        faults.iter().any(|f| f.contains("tapway-fib")),
        "{faults:?}"
    );
}

#[test]
fn sources_are_judged() {
    let unsafety = concat!("//! A.\n#![allow(", "unsafe_code)]");
    for (path, text, part) in [
        ("core/fib/src/plan.rs", "//! Plans.\n", ""),
        ("edge/sys/src/md5.rs", unsafety, ""),
        ("core/fib/src/plan.rs", "use x;\n//! Late.\n", "module doc"),
        ("core/fib/src/utils.rs", "//! A.\n", "names no concept"),
        ("core/common/src/lib.rs", "//! A.\n", "names no concept"),
        ("app/daemon/src/main.rs", unsafety, "edge/ only"),
    ] {
        let faults = source(Path::new(path), text);
        if part.is_empty() {
            assert_eq!(faults, Vec::<String>::new(), "{path}");
        } else {
            assert!(
                faults.len() == 1 && faults[0].contains(part),
                "{path}: {faults:?}"
            );
        }
    }
}

#[test]
fn the_tree_is_as_the_tables_say() {
    let workspace = Workspace::load().unwrap();
    assert_eq!(dependencies(&workspace.crates), Vec::<String>::new());
    assert_eq!(map(&workspace).unwrap(), Vec::<String>::new());
    assert_eq!(sources(&workspace).unwrap(), Vec::<String>::new());
}
