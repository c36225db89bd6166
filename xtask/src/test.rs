//! `cargo xtask test`: all tests, in rings from the quick to the real.
//!
//! The ring of an integration test is told by its name: `interop*` and `namespace*`, and the few that
//! [`IN_NAMESPACES`] names, need root, the first kind other programs too; `sim*` and all else need
//! nothing.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::debian;
use crate::run::{cargo, has, is_root, run, step, watched};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Which tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All.
    All,
    /// Those that need neither root nor other programs.
    Unprivileged,
}

/// Integration tests that make network namespaces, besides those whose name begins so.
const IN_NAMESPACES: &[&str] = &["apply", "monitor", "tcp"];

/// Kills what hangs; more tests at once where they mostly wait for each other's timers.
const NEXTEST: &str = "xtask/nextest.toml";

/// Runs the tests and prints the count.
pub(crate) fn test(which: Which) -> Result<()> {
    if which == Which::All && !is_root() {
        bail!(
            "tests in network namespaces need root; run this as root, or `cargo xtask test --unprivileged` for the others"
        );
    }
    let start = Instant::now();
    let workspace = Workspace::load()?;
    if which == Which::All {
        step("packages", || debian::install(debian::ALL))?;
    }
    step("build", || {
        run(&mut cargo("build --workspace --bins"))?;
        run(&mut cargo("test --workspace --no-run --quiet"))
    })?;

    let runner = Runner::new(which, &workspace);
    let of = |ring: Ring| names(&workspace, ring);
    let mut total = Tally::default();
    let mut rows = Vec::new();
    let mut ring = |name: &str, tally: Tally| {
        rows.push(format!(
            "{name:<12} {:>5} passed {:>3} failed",
            tally.passed, tally.failed
        ));
        total.add(tally);
    };
    ring("unit", runner.ring("unit", true, &of(Ring::Unit))?);
    ring("doc", runner.docs()?);
    ring(
        "simulated",
        runner.ring("simulated", false, &of(Ring::Simulated))?,
    );
    let mut left_out = Vec::new();
    for (name, kind) in [("namespace", Ring::Namespace), ("interop", Ring::Interop)] {
        match which {
            Which::All => ring(name, runner.ring(name, false, &of(kind))?),
            Which::Unprivileged => left_out.extend(of(kind)),
        }
    }

    println!();
    for row in rows {
        println!("{row}");
    }
    for name in &total.names {
        println!("FAILED: {name}");
    }
    for name in &total.flaky {
        println!("FLAKY, passed when it was run again: {name}");
    }
    for what in &total.not_run {
        println!("NOT RUN: {what}");
    }
    if !left_out.is_empty() {
        println!("NOT RUN, because they need root: {}", left_out.join(", "));
    }
    println!("in {:.0} s", start.elapsed().as_secs_f64());
    let flaky = match total.flaky.len() {
        0 => String::new(),
        some => format!(", {some} of the passed only when run again"),
    };
    println!("{} passed, {} failed{flaky}", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    Ok(())
}

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ring {
    /// Nothing.
    Unit,
    /// Nothing; it runs on a virtual clock.
    Simulated,
    /// Root.
    Namespace,
    /// Root, and other programs.
    Interop,
}

impl Ring {
    fn of(test: &str) -> Ring {
        match test {
            t if t.starts_with("interop") => Ring::Interop,
            t if t.starts_with("namespace") || IN_NAMESPACES.contains(&t) => Ring::Namespace,
            t if t.starts_with("sim") => Ring::Simulated,
            _ => Ring::Unit,
        }
    }
}

fn names(workspace: &Workspace, ring: Ring) -> Vec<String> {
    let all: BTreeSet<&String> = workspace
        .crates
        .iter()
        .flat_map(|c| &c.tests)
        .filter(|n| Ring::of(n) == ring)
        .collect();
    all.into_iter().cloned().collect()
}

/// Runs tests with nextest when it is there.
struct Runner<'a> {
    which: Which,
    nextest: bool,
    workspace: &'a Workspace,
}

impl Runner<'_> {
    fn new(which: Which, workspace: &Workspace) -> Runner<'_> {
        Runner {
            which,
            nextest: has("cargo-nextest"),
            workspace,
        }
    }

    /// Runs the integration tests of these names, and with `sources` those inside the source files.
    fn ring(&self, name: &str, sources: bool, tests: &[String]) -> Result<Tally> {
        if !sources && tests.is_empty() {
            eprintln!("==> {name} tests: there are none");
            return Ok(Tally::default());
        }
        let mut command = if self.nextest {
            // Unit tests are many and quick; of the others each one shows that something moves.
            let shown = if sources { "fail" } else { "pass" };
            let mut command = cargo("nextest run --workspace --no-fail-fast --status-level");
            command
                .arg(shown)
                .arg("--config-file")
                .arg(self.workspace.root.join(NEXTEST))
                .args([
                    "--profile",
                    if name == "interop" {
                        "interop"
                    } else {
                        "default"
                    },
                ]);
            command
        } else {
            cargo("test --workspace --no-fail-fast")
        };
        if sources {
            command.args(["--lib", "--bins"]);
        }
        for test in tests {
            command.args(["--test", test]);
        }
        if self.which == Which::Unprivileged {
            // What those few inside the source files that need more say then is counted.
            command.env("TAPWAY_TEST_UNPRIVILEGED", "1");
            command.args(match self.nextest {
                true => ["--success-output=immediate"].as_slice(),
                false => &["--", "--show-output"],
            });
        } else {
            command.env_remove("TAPWAY_TEST_UNPRIVILEGED");
        }
        self.count(name, &mut command)
    }

    fn docs(&self) -> Result<Tally> {
        self.count(
            "doc",
            &mut cargo("test --workspace --doc --no-fail-fast --quiet"),
        )
    }

    fn count(&self, name: &str, command: &mut Command) -> Result<Tally> {
        let programs = self.workspace.target.join("debug");
        command
            .env("TAPWAYD_BIN", programs.join("tapwayd"))
            .env("TAPWAY_BIN", programs.join("tapway"));
        step(&format!("{name} tests"), || {
            let tally = Mutex::new(Tally::default());
            let succeeded = watched(command, &|line| {
                if let Ok(mut tally) = tally.lock() {
                    tally.read(line);
                }
            })?;
            let mut tally = tally.into_inner().unwrap_or_default();
            if !succeeded && tally.failed == 0 {
                tally.failed = 1;
                tally.names.push(format!("the runner of the {name} tests"));
            }
            eprintln!("    {} passed, {} failed", tally.passed, tally.failed);
            Ok(tally)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_has_its_ring() {
        let workspace = Workspace::load().unwrap();
        for name in IN_NAMESPACES {
            let there = workspace
                .crates
                .iter()
                .any(|c| c.tests.iter().any(|t| t == name));
            assert!(there, "there is no test {name} any more");
        }
        for (name, ring) in [
            ("interop_peers", Ring::Interop),
            ("namespace", Ring::Namespace),
            ("namespace_systemd", Ring::Namespace),
            ("tcp", Ring::Namespace),
            ("sim_scenarios", Ring::Simulated),
            ("wire", Ring::Unit),
        ] {
            assert_eq!(Ring::of(name), ring, "{name}");
        }
    }
}
