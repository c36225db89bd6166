//! What was found: an aligned table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::tally::Line;

/// Time from the start of a process to the last of 10,000 announcements.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StartLine {
    pub(crate) daemon: &'static str,
    /// Where the routes come from.
    pub(crate) from: &'static str,
    pub(crate) runs: usize,
    pub(crate) min_s: f64,
    pub(crate) median_s: f64,
    pub(crate) max_s: f64,
    /// Of the median run, until the session was up.
    pub(crate) session_up_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal_s: Option<f64>,
}

/// What a daemon costs with nothing to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdleLine {
    pub(crate) daemon: &'static str,
    pub(crate) claims: u32,
    pub(crate) pss_mib: f64,
    /// utime and stime in five seconds, in ticks.
    pub(crate) cpu_ticks: u64,
    /// The same as the scheduler counts it.
    pub(crate) cpu_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal_pss_mib: Option<f64>,
}

/// The whole run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) versions: BTreeMap<&'static str, String>,
    pub(crate) load_at_start: String,
    pub(crate) load_at_end: String,
    pub(crate) realtime: bool,
    pub(crate) seconds: f64,
    pub(crate) events: Vec<Line>,
    pub(crate) starts: Vec<StartLine>,
    pub(crate) idle: Vec<IdleLine>,
}

fn verdict(value: f64, goal: Option<f64>) -> String {
    match goal {
        None => String::new(),
        Some(goal) if value <= goal => format!("goal {goal}: met"),
        Some(goal) => format!("goal {goal}: MISSED"),
    }
}

/// The events' table. Beside every p99 stands how often the null run's fits into it.
pub(crate) fn events(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<34}{:<9}{:>8}{:>8}{:>10}{:>10}{:>10}{:>8}\n",
        "event, times in ms", "", "claims", "events", "p50", "p99", "max", "missed"
    );
    for line in lines {
        let _ = writeln!(
            text,
            "{:<34}{:<9}{:>8}{:>8}{:>10.3}{:>10.3}{:>10.3}{:>8}  {}{}",
            line.event,
            line.daemon,
            line.claims,
            line.events,
            line.p50_ms,
            line.p99_ms,
            line.max_ms,
            line.missed,
            line.p50_of_base
                .map_or_else(String::new, |ratio| format!("p50 {ratio:.2} x base  ")),
            verdict(line.p99_ms, line.goal_p99_ms)
        );
    }
    text
}

/// The starts' table.
pub(crate) fn starts(lines: &[StartLine]) -> String {
    let mut text = format!(
        "{:<9}{:<36}{:>6}{:>9}{:>9}{:>9}{:>14}\n",
        "start -> 10,000, in s", "", "runs", "min", "median", "max", "session up"
    );
    for line in lines {
        let _ = writeln!(
            text,
            "{:<9}{:<36}{:>6}{:>9.3}{:>9.3}{:>9.3}{:>14.3}  {}",
            line.daemon,
            line.from,
            line.runs,
            line.min_s,
            line.median_s,
            line.max_s,
            line.session_up_s,
            verdict(line.median_s, line.goal_s)
        );
    }
    text
}

/// The table of what daemons cost.
pub(crate) fn idle(lines: &[IdleLine]) -> String {
    let mut text = format!(
        "{:<9}{:>8}{:>12}{:>20}{:>18}\n",
        "idle", "claims", "PSS in MiB", "CPU ticks in 5 s", "CPU us in 5 s"
    );
    for line in lines {
        let _ = writeln!(
            text,
            "{:<9}{:>8}{:>12.1}{:>20}{:>18}  {}",
            line.daemon,
            line.claims,
            line.pss_mib,
            line.cpu_ticks,
            line.cpu_us,
            verdict(line.pss_mib, line.goal_pss_mib)
        );
    }
    text
}
