//! Jobs that are programs of the laboratory: build it, find it, run it.

use anyhow::{Result, bail};

use crate::debian;
use crate::run::{cargo, is_root, run, step};
use crate::workspace::Workspace;

/// Shows the daemon at work in a network of namespaces.
pub(crate) fn demo(arguments: &[&str]) -> Result<()> {
    root("the demo")?;
    step("packages", || debian::install(debian::NAMESPACES))?;
    program("tapway-demo", &[], arguments)
}

/// Runs the random walks for long: 1,000 seeds of 10,000 steps, and 1,000 fabrics of 200 hypervisors, unless the environment says
/// otherwise.
pub(crate) fn soak(arguments: &[&str]) -> Result<()> {
    for walk in [
        "test --profile soak -p tapway-bgp --lib received_walk -- --nocapture",
        "test --profile soak -p tapway-lab --test sim_walk --test sim_fabric -- --nocapture",
    ] {
        let mut walk = cargo(walk);
        for (name, value) in [
            ("TAPWAY_WALK_SEEDS", "1000"),
            ("TAPWAY_WALK_STEPS", "10000"),
            ("TAPWAY_FABRIC_SEEDS", "1000"),
            ("TAPWAY_FABRIC_HYPERVISORS", "200"),
        ] {
            if std::env::var_os(name).is_none() {
                walk.env(name, value);
            }
        }
        run(walk.args(arguments))?;
    }
    Ok(())
}

/// Measures, side by side with other daemons.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    root("the benchmark")?;
    step("packages", || {
        debian::install(&[debian::ALL, debian::BENCH].concat())
    })?;
    program("tapway-bench", &["--release"], arguments)
}

fn root(what: &str) -> Result<()> {
    if !is_root() {
        bail!("{what} makes network namespaces, which needs root");
    }
    Ok(())
}

/// Builds the daemon, the command line and `name`, and runs `name`.
fn program(name: &str, profile: &[&str], arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    if !workspace
        .crates
        .iter()
        .any(|c| c.programs.iter().any(|p| p == name))
    {
        bail!("there is no program {name} in this workspace");
    }
    step("build", || {
        let mut build = cargo("build --workspace --bins");
        run(build.args(profile))
    })?;
    let folder = if profile.contains(&"--release") {
        "release"
    } else {
        "debug"
    };
    let programs = workspace.target.join(folder);
    let mut command = std::process::Command::new(programs.join(name));
    command
        .args(arguments)
        .env("TAPWAYD_BIN", programs.join("tapwayd"))
        .env("TAPWAY_BIN", programs.join("tapway"));
    run(&mut command)
}
