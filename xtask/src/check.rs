//! `cargo xtask check`: what a change must pass besides its tests.

use anyhow::{Context, Result, bail};

use crate::arch;
use crate::run::{cargo, command, has, output, run, step};
use crate::workspace::Workspace;

/// A target that has no std: what compiles for it cannot reach a clock, a socket or a file.
const BARE: &str = "x86_64-unknown-none";

/// Does all checks, the quick ones first; every check is done even when one before it fails.
pub(crate) fn check() -> Result<()> {
    let workspace = Workspace::load()?;
    let results = [
        step("format", || run(&mut cargo("fmt --all --check"))),
        step("merges", || merges(&workspace)),
        step("architecture", || architecture(&workspace)),
        step("core without std", || bare(&workspace)),
        step("clippy", || {
            run(&mut cargo(
                "clippy --quiet --workspace --all-targets --keep-going -- -D warnings",
            ))
        }),
        step("documentation", || {
            run(cargo("doc --quiet --workspace --no-deps --keep-going")
                .env("RUSTDOCFLAGS", "-D warnings"))
        }),
        step("licences and sources of dependencies", || deny(&workspace)),
        step("fuzz targets", || fuzz(&workspace)),
    ];
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|r| r.err().map(|e| format!("{e:#}")))
        .collect();
    if !failed.is_empty() {
        bail!("{} checks failed:\n  {}", failed.len(), failed.join("\n  "));
    }
    eprintln!("all checks passed");
    Ok(())
}

/// No file has what a merge leaves where it could not decide.
fn merges(workspace: &Workspace) -> Result<()> {
    let mut list = command("git ls-files");
    let files = output(list.current_dir(&workspace.root))
        .context("the list of files comes from git; is this a clone?")?;
    let mut faults = Vec::new();
    for file in files.lines() {
        let Ok(text) = std::fs::read_to_string(workspace.root.join(file)) else {
            // Not text, or removed and not committed yet.
            continue;
        };
        faults.extend(markers(&text).map(|line| format!("{file}:{line}: the mark of a merge")));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n  "));
    }
    Ok(())
}

/// Lines, from 1, that a merge has left as marks.
fn markers(text: &str) -> impl Iterator<Item = usize> {
    let marks = ["<", ">"].map(|sign| sign.repeat(7) + " ");
    let lines = (1..).zip(text.lines());
    lines.filter_map(move |(n, line)| marks.iter().any(|m| line.starts_with(m)).then_some(n))
}

fn architecture(workspace: &Workspace) -> Result<()> {
    let mut faults = arch::dependencies(&workspace.crates);
    faults.extend(arch::map(workspace)?);
    faults.extend(arch::sources(workspace)?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n  "));
    }
    Ok(())
}

fn bare(workspace: &Workspace) -> Result<()> {
    let installed = output(&mut command("rustup target list --installed"));
    if !installed.is_ok_and(|list| list.lines().any(|l| l == BARE)) {
        run(&mut command(&format!("rustup target add {BARE}"))).with_context(|| {
            format!(
                "the core cannot be checked: the standard library's part for {BARE} is missing; \
                 install rustup, or let it reach the network"
            )
        })?;
    }
    let mut check = cargo(&format!("check --quiet --lib --target {BARE}"));
    for room in workspace.core() {
        check.args(["-p", &room.name]);
    }
    run(&mut check)
}

fn deny(workspace: &Workspace) -> Result<()> {
    if !has("cargo-deny") {
        run(&mut cargo("install --quiet --locked cargo-deny"))
            .context("cargo-deny is missing and cannot be installed")?;
    }
    // Advisories need a database from the network, so they are no part of what must pass everywhere.
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut deny = cargo("deny --log-level error --config");
        deny.arg(workspace.root.join("deny.toml"));
        deny.arg("--manifest-path")
            .arg(workspace.root.join(manifest));
        run(deny.args(["check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}

/// The fuzz targets are a workspace of their own. Those that compare the codec with others run over the corpus and seeded damage
/// here, those of single crates in the crates' own tests.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let manifest = workspace.root.join("fuzz/Cargo.toml");
    run(cargo("fmt --all --check --manifest-path").arg(&manifest))?;
    run(cargo("check --quiet --all-targets --workspace --manifest-path").arg(&manifest))?;
    run(cargo("test --quiet --package tapway-differential --manifest-path").arg(&manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_merges_are_found() {
        let side = "<".repeat(7);
        let text = format!(
            "a\n{side} HEAD\nb\n=======\nc\n{} 1234567 (Text)\n {side} no\n",
            ">".repeat(7)
        );
        assert_eq!(markers(&text).collect::<Vec<_>>(), [2, 6]);
    }
}
