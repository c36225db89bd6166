//! What was found: an aligned table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::course::{Fault, LIMIT, Sample};
use super::scenario::{Scenario, Size};

/// The whole run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) versions: BTreeMap<&'static str, String>,
    pub(crate) load_at_start: String,
    pub(crate) load_at_end: String,
    pub(crate) seconds: f64,
    pub(crate) lines: Vec<Line>,
}

/// A daemon in a part of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    pub(crate) daemon: &'static str,
    /// How many runs there were that count.
    pub(crate) runs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<Times>,
    /// Why there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
}

/// Of all runs.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Times {
    pub(crate) min_s: f64,
    pub(crate) median_s: f64,
    pub(crate) max_s: f64,
    /// Medians.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pss_mib: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pss_after_mib: Option<f64>,
    /// The median as a part of the best of the other daemons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of_best: Option<f64>,
    /// What that is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
}

/// What all runs of one daemon gave.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) samples: Vec<Vec<Sample>>,
    /// After it, there were no more.
    pub(crate) fault: Option<Fault>,
}

/// The lines of a scenario, part by part.
pub(crate) fn lines(scenario: Scenario, size: Size, all: &[(&'static str, Runs)]) -> Vec<Line> {
    let parts = all
        .iter()
        .filter_map(|(_, runs)| runs.samples.first())
        .map(|samples| samples.iter().map(|s| s.part).collect::<Vec<_>>())
        .next();
    let mut lines = Vec::new();
    for (number, part) in parts.unwrap_or(vec![""]).into_iter().enumerate() {
        let mut of_part: Vec<Line> = all
            .iter()
            .map(|(daemon, runs)| {
                let samples: Vec<Sample> = runs
                    .samples
                    .iter()
                    .filter_map(|s| s.get(number))
                    .copied()
                    .collect();
                Line {
                    scenario: scenario.letter(),
                    what: match part {
                        "" => scenario.title(size),
                        part => format!("{}: {part}", scenario.title(size)),
                    },
                    daemon,
                    runs: samples.len(),
                    times: times(&samples),
                    fault: runs.fault.as_ref().map(reason),
                }
            })
            .collect();
        compare(&mut of_part, scenario.goal());
        lines.extend(of_part);
    }
    lines
}

/// Sets each beside the best of the others, which the null run is not among, nor tapwayd.
fn compare(lines: &mut [Line], goal: f64) {
    let median = |line: &Line| line.times.as_ref().map(|t| t.median_s);
    let peers = lines
        .iter()
        .filter(|l| l.daemon != "null" && l.daemon != "tapwayd");
    let Some(best) = peers.filter_map(median).min_by(f64::total_cmp) else {
        return;
    };
    for line in lines.iter_mut().filter(|l| l.daemon != "null") {
        if let Some(times) = &mut line.times {
            times.of_best = Some((times.median_s / best * 100.0).round() / 100.0);
            times.goal = (line.daemon == "tapwayd").then_some(goal);
        }
    }
}

fn times(samples: &[Sample]) -> Option<Times> {
    let every = |value: fn(&Sample) -> Option<f64>| {
        let mut values: Vec<f64> = samples.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |values: &[f64]| values.get(values.len() / 2).copied();
    let round = |value: f64| (value * 1e6).round() / 1e6;
    let seconds = every(|s| Some(s.seconds));
    Some(Times {
        min_s: round(*seconds.first()?),
        median_s: round(median(&seconds)?),
        max_s: round(*seconds.last()?),
        cpu_s: median(&every(|s| s.cpu)).map(round),
        pss_mib: median(&every(|s| s.mib)).map(round),
        pss_after_mib: median(&every(|s| s.mib_after)).map(round),
        of_best: None,
        goal: None,
    })
}

fn reason(fault: &Fault) -> String {
    match fault {
        Fault::Slow(part) => format!("> {} s ({part})", LIMIT.as_secs()),
        Fault::Cannot(reason) => reason.clone(),
        Fault::Failed(reason) => format!("FAILED: {reason}"),
    }
}

/// Four digits or so.
fn seconds(value: f64) -> String {
    match value {
        1.0.. => format!("{value:.3}"),
        0.01.. => format!("{value:.4}"),
        _ => format!("{value:.6}"),
    }
}

/// The table's head.
pub(crate) fn head() -> String {
    format!(
        "{:<38}{:<9}{:>5}{:>10}{:>10}{:>10}{:>8}{:>9}{:>9}{:>9}",
        "times in s, PSS in MiB",
        "",
        "runs",
        "min",
        "median",
        "max",
        "x best",
        "CPU s",
        "PSS",
        "after"
    )
}

/// Lines of the table.
pub(crate) fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "-".into(),
    };
    for line in lines {
        let what = format!("{}: {}", line.scenario, line.what);
        let _ = write!(text, "{what:<38}{:<9}{:>5}", line.daemon, line.runs);
        if let Some(times) = &line.times {
            let _ = write!(
                text,
                "{:>10}{:>10}{:>10}{:>8}{:>9}{:>9}{:>9}",
                seconds(times.min_s),
                seconds(times.median_s),
                seconds(times.max_s),
                number(times.of_best, 2),
                number(times.cpu_s, 2),
                number(times.pss_mib, 1),
                number(times.pss_after_mib, 1)
            );
            match (times.of_best, times.goal) {
                (Some(ratio), Some(goal)) if ratio <= goal => {
                    let _ = write!(text, "  goal x {goal}: met");
                }
                (Some(_), Some(goal)) => {
                    let _ = write!(text, "  goal x {goal}: MISSED");
                }
                _ => {}
            }
        }
        if let Some(fault) = &line.fault {
            let _ = write!(text, "  {fault}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(seconds: &[f64]) -> Runs {
        let sample = |s: &f64| Sample {
            part: "",
            seconds: *s,
            cpu: Some(s * 2.0),
            mib: Some(100.0),
            mib_after: None,
        };
        Runs {
            samples: seconds.iter().map(|s| vec![sample(s)]).collect(),
            fault: None,
        }
    }

    #[test]
    fn medians_stand_beside_the_best_peers() {
        let slow = Runs {
            samples: Vec::new(),
            fault: Some(Fault::Slow("3 of 10".into())),
        };
        let all = [
            ("null", runs(&[0.1])),
            ("tapwayd", runs(&[1.0, 3.0, 2.0])),
            ("BIRD", runs(&[9.0, 4.0, 5.0])),
            ("FRR", runs(&[6.0])),
            ("GoBGP", slow),
        ];
        let scenario = Scenario::FanOut;
        let lines = lines(scenario, scenario.size(false), &all);
        let ratios: Vec<Option<f64>> = lines
            .iter()
            .map(|l| l.times.as_ref().and_then(|t| t.of_best))
            .collect();
        assert_eq!(ratios, [None, Some(0.4), Some(1.0), Some(1.2), None]);
        let tapwayd = lines[1].times.as_ref().unwrap();
        assert_eq!(
            (tapwayd.min_s, tapwayd.median_s, tapwayd.max_s),
            (1.0, 2.0, 3.0)
        );
        assert_eq!(tapwayd.cpu_s, Some(4.0));
        let table = text(&lines);
        let of = |name: &str| table.lines().find(|l| l.contains(name)).unwrap();
        assert!(of("tapwayd").ends_with("goal x 0.5: met"), "{table}");
        assert!(of("GoBGP").ends_with("> 120 s (3 of 10)"), "{table}");
        assert!(table.starts_with("c: 200,000 /32, 1 -> 20 "), "{table}");
    }
}
