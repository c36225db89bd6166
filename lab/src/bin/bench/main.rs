//! `tapway-bench`: tapwayd side by side with BIRD, FRR and GoBGP, in one run on one machine.
//!
//! Every daemon has a namespace of its own and a session with the same kind of meter in the router's.
//! Events go round-robin over the daemons, so that whatever else the machine does hits all alike.
//! `docs/benchmarks.md` tells the method and what was found.

mod footprint;
mod grpc;
mod http;
mod meter;
mod relay;
mod report;
mod rtnl;
mod site;
mod subject;
mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use report::{IdleLine, Report, StartLine};
use site::{COUNT, Guests, Site};
use subject::{Bird, Frr, GoBgp, Null, Subject, Tapwayd};
use tally::Tally;
use tapway_lab::Netns;

const USAGE: &str = "\
usage: tapway-bench [--quick] [--events N] [--realtime] [--only NAME,NAME] [--base TAPWAYD] [-o table|json]

  --quick      50 events instead of 500, two starts instead of five
  --events N   so many events of each kind
  --realtime   run everything before all other programs (chrt -r 1), on a machine that is busy
  --only       a part of: null,tapwayd,bird,frr,gobgp
  --base       another build of tapwayd to measure as well, and compare with
  -o json      JSON on standard output; tables go to standard error

       tapway-bench relay [...]    how fast routes are passed on; see tapway-bench relay --help
";

/// How long idle daemons are watched.
const IDLE: Duration = Duration::from_secs(5);
/// How long they get to come to rest before.
const REST: Duration = Duration::from_secs(3);
/// Rounds that are not counted, at the beginning of each part.
const WARM_UP: u32 = 10;
/// tapwayd's goals.
const START_GOAL: f64 = 0.08;
const MEMORY_GOAL: f64 = 10.0;

struct Options {
    events: u32,
    starts: u32,
    realtime: bool,
    json: bool,
    only: Vec<String>,
    base: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((word, rest)) if word == "relay" => return relay(rest),
        Some((word, rest)) if word == relay::NULL => return ended(relay::serve_null(rest)),
        _ => {}
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = if options.realtime && std::env::var_os(UNDER_CHRT).is_none() {
        again_under_chrt(&arguments)
    } else {
        bench(&options)
    };
    Netns::remove_own();
    ended(done)
}

/// The other part of this program.
fn relay(arguments: &[String]) -> ExitCode {
    let options = match relay::options(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}\n{}", relay::USAGE);
            return ExitCode::from(2);
        }
    };
    let done = relay::bench(&options);
    Netns::remove_own();
    ended(done)
}

fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options {
        events: 500,
        starts: 5,
        realtime: false,
        json: false,
        only: Vec::new(),
        base: None,
    };
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--quick" => (options.events, options.starts) = (50, 2),
            "--events" => {
                let count = words.next().context("--events needs a number")?;
                options.events = count.parse().context("--events needs a number")?;
            }
            "--realtime" => options.realtime = true,
            "--only" => {
                let names = words.next().context("--only needs names")?;
                options.only = names.split(',').map(str::to_string).collect();
            }
            "--base" => options.base = Some(words.next().context("--base needs a program")?.into()),
            "-o" | "--output" => match words.next() {
                Some("json") => options.json = true,
                Some("table") => options.json = false,
                other => bail!("-o takes table or json, not {other:?}"),
            },
            other => bail!("{other:?} is not understood"),
        }
    }
    Ok(options)
}

/// Set for the run that `chrt` starts.
const UNDER_CHRT: &str = "TAPWAY_BENCH_REALTIME";

/// Runs this program before all others of the machine; what it starts inherits that.
fn again_under_chrt(arguments: &[String]) -> Result<()> {
    let status = Command::new("chrt")
        .args(["-r", "1"])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .env(UNDER_CHRT, "1")
        .status()
        .context("cannot run chrt (package util-linux)")?;
    if !status.success() {
        bail!("the run under chrt failed ({status})");
    }
    Ok(())
}

fn bench(options: &Options) -> Result<()> {
    let began = Instant::now();
    let say = |text: &str| {
        if options.json {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    };
    let router = Netns::new("router");
    let mut guests = Guests::new()?;
    let mut subjects = subjects(&router, &mut guests, options)?;
    let mut report = Report {
        machine: footprint::machine(),
        versions: subjects
            .iter_mut()
            .map(|s| (s.site().name, s.version()))
            .collect(),
        load_at_start: footprint::load(),
        realtime: options.realtime,
        ..Report::default()
    };
    say(&format!(
        "{}; load {}",
        report.machine, report.load_at_start
    ));
    for (name, version) in &report.versions {
        say(&format!("  {name}: {version}"));
    }

    for many in [false, true] {
        let claims = if many { COUNT } else { 0 };
        for subject in &mut subjects {
            subject
                .start(many)
                .with_context(|| format!("starting with {claims} claims"))?;
        }
        let lines = idle(&mut subjects, claims)?;
        say(&format!("\n{}", report::idle(&lines)));
        report.idle.extend(lines);
        let lines = events(&mut subjects, &mut guests, options.events, claims)?;
        say(&report::events(&lines));
        report.events.extend(lines);
        for subject in &mut subjects {
            subject.stop();
            subject.site().meter.wait_down(Duration::from_secs(20));
        }
    }
    report.starts = starts(&mut subjects, options.starts)?;
    say(&report::starts(&report.starts));

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

/// The name of the build that tapwayd is compared with.
const BASE: &str = "base";

fn subjects(
    router: &Netns,
    guests: &mut Guests,
    options: &Options,
) -> Result<Vec<Box<dyn Subject>>> {
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    let names = ["null", "tapwayd", BASE, "BIRD", "FRR", "GoBGP"];
    for (number, name) in (0..).zip(names) {
        let among = |only: &[String]| only.iter().any(|o| o.eq_ignore_ascii_case(name));
        let wanted = match &options.base {
            base if name == BASE => base.is_some(),
            _ => options.only.is_empty() || among(&options.only),
        };
        if !wanted {
            continue;
        }
        let site = Site::new(router, guests, name, number)?;
        subjects.push(match (name, &options.base) {
            ("null", _) => Box::new(Null::new(site)),
            ("tapwayd", _) => Box::new(Tapwayd::new(site, subject::tapwayd_program())?),
            (BASE, Some(base)) => Box::new(Tapwayd::new(site, base.clone())?),
            ("BIRD", _) => Box::new(Bird::new(site)),
            ("FRR", _) => Box::new(Frr::new(site)),
            _ => Box::new(GoBgp::new(site)),
        });
    }
    Ok(subjects)
}

/// Memory and processor time of all daemons over the same seconds.
fn idle(subjects: &mut [Box<dyn Subject>], claims: u32) -> Result<Vec<IdleLine>> {
    std::thread::sleep(REST);
    let daemons: Vec<(&'static str, Vec<u32>)> = subjects
        .iter_mut()
        .map(|s| (s.site().name, s.pids()))
        .filter(|(_, pids)| !pids.is_empty())
        .collect();
    let before: Vec<_> = daemons
        .iter()
        .map(|(_, pids)| footprint::spent(pids))
        .collect::<Result<_, _>>()?;
    std::thread::sleep(IDLE);
    let mut lines = Vec::new();
    for ((daemon, pids), before) in daemons.iter().zip(before) {
        let after = footprint::spent(pids)?;
        let spent = after.precise.saturating_sub(before.precise);
        lines.push(IdleLine {
            daemon,
            claims,
            pss_mib: footprint::memory(pids)? as f64 / 1024.0,
            cpu_ticks: after.ticks - before.ticks,
            cpu_us: u64::try_from(spent.as_micros())?,
            goal_pss_mib: (*daemon == "tapwayd" && claims == 0).then_some(MEMORY_GOAL),
        });
    }
    Ok(lines)
}

/// Events of all kinds, round-robin over the daemons.
fn events(
    subjects: &mut [Box<dyn Subject>],
    guests: &mut Guests,
    count: u32,
    claims: u32,
) -> Result<Vec<tally::Line>> {
    let (mut counted, mut discarded) = (Tally::default(), Tally::default());
    for round in 0..count + WARM_UP {
        let tally = if round < WARM_UP {
            &mut discarded
        } else {
            &mut counted
        };
        // In turn, as whoever comes after a big one finds the caches cold.
        for nth in 0..subjects.len() {
            let subject = (nth + round as usize) % subjects.len();
            subjects[subject].round(guests, tally)?;
        }
        if round > 0 && round % 100 == 0 {
            eprintln!(
                "  {round} rounds with {claims} claims; load {}",
                footprint::load()
            );
        }
    }
    let names: Vec<&'static str> = subjects.iter_mut().map(|s| s.site().name).collect();
    Ok(counted.lines(claims, &names))
}

/// Starts of all kinds, round-robin over the daemons.
fn starts(subjects: &mut [Box<dyn Subject>], runs: u32) -> Result<Vec<StartLine>> {
    let mut times: BTreeMap<(usize, usize), Vec<(Duration, Duration)>> = BTreeMap::new();
    for _ in 0..runs {
        for (s, subject) in subjects.iter_mut().enumerate() {
            for (w, way) in subject.ways().iter().enumerate() {
                let at = subject.come_up(way)?;
                let all = subject.site().wait_count(COUNT as usize)?;
                let up = subject.site().meter.up_since().unwrap_or(all);
                let since = |then: Instant| then.saturating_duration_since(at);
                let runs = times.entry((s, w)).or_default();
                runs.push((since(all), since(up)));
                // What it keeps of it for the next start is written by then.
                std::thread::sleep(REST);
                subject.stop();
                subject.site().meter.wait_down(Duration::from_secs(20));
            }
        }
    }
    let mut lines = Vec::new();
    for ((s, w), mut times) in times {
        let subject = &mut subjects[s];
        times.sort();
        let seconds = |d: Duration| (d.as_secs_f64() * 1e4).round() / 1e4;
        let (median, up) = times[times.len() / 2];
        let daemon = subject.site().name;
        lines.push(StartLine {
            daemon,
            from: subject.ways()[w],
            runs: times.len(),
            min_s: seconds(times[0].0),
            median_s: seconds(median),
            max_s: seconds(times[times.len() - 1].0),
            session_up_s: seconds(up),
            goal_s: (daemon == "tapwayd").then_some(START_GOAL),
        });
    }
    Ok(lines)
}
