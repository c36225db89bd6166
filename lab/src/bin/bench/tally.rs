//! Times of events, by event and daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::BASE;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A claim was applied, a path added, or a route put into the kernel.
    Applied,
    /// The reverse.
    Removed,
    /// The interface of a waiting claim gained carrier.
    CarrierGained,
    /// It lost it.
    CarrierLost,
    /// It was set down.
    LinkDown,
    /// It was removed.
    LinkRemoved,
}

impl Event {
    /// All, in the order of the table.
    pub(crate) const ALL: [Event; 6] = [
        Event::Applied,
        Event::CarrierGained,
        Event::LinkRemoved,
        Event::LinkDown,
        Event::CarrierLost,
        Event::Removed,
    ];

    /// What it is to the daemon `name`.
    pub(crate) fn text(self, name: &str) -> &'static str {
        match (self, name) {
            (Event::Applied, "tapwayd" | BASE) => "API PUT -> UPDATE",
            (Event::Applied, "GoBGP") => "API AddPath -> UPDATE",
            (Event::Applied, "null") => "TCP write -> meter",
            (Event::Applied, _) => "kernel route added -> UPDATE",
            (Event::Removed, "tapwayd" | BASE) => "API DELETE -> withdraw",
            (Event::Removed, "GoBGP") => "API DeletePath -> withdraw",
            (Event::Removed, "null") => "TCP write -> meter",
            (Event::Removed, _) => "kernel route removed -> withdraw",
            (Event::CarrierGained, _) => "carrier gained -> UPDATE",
            (Event::CarrierLost, _) => "carrier lost -> withdraw",
            (Event::LinkDown, _) => "link set down -> withdraw",
            (Event::LinkRemoved, _) => "link removed -> withdraw",
        }
    }

    /// What tapwayd's p99 is to be, in milliseconds.
    pub(crate) fn goal(self, name: &str) -> Option<f64> {
        match self {
            _ if name != "tapwayd" => None,
            Event::Applied => Some(0.5),
            Event::CarrierGained | Event::LinkRemoved => Some(0.3),
            Event::Removed | Event::CarrierLost | Event::LinkDown => None,
        }
    }
}

/// All times of one part of the run.
#[derive(Default)]
pub(crate) struct Tally {
    times: BTreeMap<(Event, &'static str), Vec<Option<Duration>>>,
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What is measured.
    pub(crate) event: &'static str,
    /// Of what.
    pub(crate) daemon: &'static str,
    /// How many claims or routes were present.
    pub(crate) claims: u32,
    /// How many events there were.
    pub(crate) events: usize,
    /// How many of them had no effect within ten seconds.
    pub(crate) missed: usize,
    /// Half of them took no longer.
    pub(crate) p50_ms: f64,
    /// 99 % of them took no longer.
    pub(crate) p99_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
    /// Of tapwayd: p50 beside that of the other build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_of_base: Option<f64>,
    /// What p99 is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal_p99_ms: Option<f64>,
}

impl Tally {
    /// Notes one event; `None` when nothing came of it in time.
    pub(crate) fn add(&mut self, event: Event, daemon: &'static str, time: Option<Duration>) {
        self.times.entry((event, daemon)).or_default().push(time);
    }

    /// The lines of the table.
    pub(crate) fn lines(&self, claims: u32, daemons: &[&'static str]) -> Vec<Line> {
        let mut lines = Vec::new();
        for event in Event::ALL {
            for daemon in daemons {
                if let Some(times) = self.times.get(&(event, *daemon)) {
                    let base = self
                        .times
                        .get(&(event, BASE))
                        .filter(|_| *daemon == "tapwayd");
                    lines.push(line(event, daemon, claims, times, base));
                }
            }
        }
        lines
    }
}

fn line(
    event: Event,
    daemon: &'static str,
    claims: u32,
    times: &[Option<Duration>],
    base: Option<&Vec<Option<Duration>>>,
) -> Line {
    let sorted = |times: &[Option<Duration>]| {
        let mut seen: Vec<Duration> = times.iter().flatten().copied().collect();
        seen.sort();
        seen
    };
    let seen = sorted(times);
    let p50_ms = quantile(&seen, 50);
    Line {
        event: event.text(daemon),
        daemon,
        claims,
        events: times.len(),
        missed: times.len() - seen.len(),
        p50_ms,
        p50_of_base: base.map(|base| p50_ms / quantile(&sorted(base), 50)),
        p99_ms: quantile(&seen, 99),
        max_ms: quantile(&seen, 100),
        goal_p99_ms: event.goal(daemon),
    }
}

/// The least time that `percent` of the sorted times do not exceed, in milliseconds.
pub(crate) fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted
        .get(rank - 1)
        .map_or(f64::NAN, |d| (d.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        for (percent, wanted) in [(50, 100.0), (99, 198.0), (100, 200.0)] {
            assert_eq!(quantile(&times, percent), wanted);
        }
        assert_eq!(quantile(&times[..1], 99), 1.0);
        assert!(quantile(&[], 50).is_nan());
    }
}
