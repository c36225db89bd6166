//! `tapway-bench relay`: how fast daemons pass routes on.
//!
//! Each daemon has namespaces of its own, alone at a time. The tester calls it from one address for each peer; when
//! all sessions are up, its senders write what was encoded before, and its receivers keep what comes with the
//! time of each read. The clock starts before the first byte is sent and ends with the byte that completes the
//! set at the last receiver, which is worked out afterwards. The null run shows what the tester itself can do.

mod churn;
mod count;
mod course;
mod daemon;
mod kernel;
mod load;
mod log;
mod null;
mod options;
mod place;
mod scenario;
mod session;
mod table;
mod watch;

use std::time::Instant;

use anyhow::Result;

pub(crate) use null::{WORD as NULL, serve as serve_null};

use crate::footprint;
use churn::Churn;
use course::Course;
use load::Load;
use options::Options;
use scenario::Scenario;
use table::{Report, Runs};

/// How it is called.
pub(crate) const USAGE: &str = "\
usage: tapway-bench relay [--quick] [--runs N] [--only NAME,NAME] [--scenario a,b,...] [-o table|json]

  --quick      a tenth of all sizes, three runs instead of five
  --runs N     so many runs of each daemon
  --only       a part of: null,tapwayd,bird,frr,gobgp,openbgpd
  --scenario   a  1,000,000 IPv4 prefixes from one to one      e  5,000 changes a second for a minute
               b  1,000,000 from ten to ten                    f  1,000,000 IPv6 prefixes from one to one
               c  200,000 host routes from one to twenty       g  100,000 and 1,000,000 to the kernel
               d  200,000 from two, withdrawn by each
  -o json      JSON on standard output; tables go to standard error
";

/// How long changes are sent.
const CHURN_SECONDS: usize = 60;
const QUICK_CHURN_SECONDS: usize = 10;

/// What the command line asks for; for `main` to tell a wrong one apart.
///
/// # Errors
/// The first word that is not understood.
pub(crate) fn options(arguments: &[String]) -> Result<Options> {
    Options::parse(arguments)
}

/// Runs all that is asked for.
///
/// # Errors
/// When the load cannot be made. What a daemon does wrong is in the report.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let began = Instant::now();
    let say = |text: &str| {
        if options.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    };
    let mut report = Report {
        machine: footprint::machine(),
        versions: options
            .daemons
            .iter()
            .map(|d| (d.name, (d.version)()))
            .collect(),
        load_at_start: footprint::load(),
        ..Report::default()
    };
    say(&format!(
        "{}; load {}",
        report.machine, report.load_at_start
    ));
    for (name, version) in &report.versions {
        say(&format!("  {name}: {version}"));
    }
    say(&table::head());
    for scenario in &options.scenarios {
        let lines = compare(*scenario, options)?;
        say(table::text(&lines).trim_end());
        report.lines.extend(lines);
    }
    report.load_at_end = footprint::load();
    report.seconds = began.elapsed().as_secs_f64();
    say(&format!(
        "{:.0} s; load at the end {}",
        report.seconds, report.load_at_end
    ));
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}

/// A scenario, round-robin over the daemons. A daemon that fails is not asked again.
fn compare(scenario: Scenario, options: &Options) -> Result<Vec<table::Line>> {
    let size = scenario.size(options.quick);
    let load = Load::new(scenario, size)?;
    let seconds = if options.quick {
        QUICK_CHURN_SECONDS
    } else {
        CHURN_SECONDS
    };
    let churn = match (scenario, size.senders().first()) {
        (Scenario::Churn, Some(sender)) => Some(Churn::new(&load.prefixes, *sender, seconds)?),
        _ => None,
    };
    let course = Course {
        scenario,
        size,
        index: watch::index(&load.prefixes),
        load,
        churn,
    };
    let mut all: Vec<(&'static str, Runs)> = options
        .daemons
        .iter()
        .map(|d| (d.name, Runs::default()))
        .collect();
    for _ in 0..options.runs {
        for (daemon, (_, runs)) in options.daemons.iter().zip(&mut all) {
            if runs.fault.is_some() {
                continue;
            }
            match course.run(*daemon) {
                Ok(samples) => runs.samples.push(samples),
                Err(fault) => runs.fault = Some(fault),
            }
        }
    }
    Ok(table::lines(scenario, size, &all))
}
