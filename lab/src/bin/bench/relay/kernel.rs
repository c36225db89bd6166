//! When the kernel has all routes: its own count, from the statistics of its table.
//!
//! Reading them walks the table, so it is done seldom at first and often when the end is near. A subscriber to
//! route messages would slow the daemon down instead.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use tapway_lab::Netns;

/// The statistics, of the namespace of the thread that reads.
const FILE: &str = "/proc/thread-self/net/fib_triestat";

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(200);

/// How many IPv4 prefixes the kernel has.
pub(crate) fn count(ns: &Netns) -> io::Result<usize> {
    ns.run_in(read)
}

/// Waits until the kernel has `wanted` prefixes; says when, or how many there are at `end`.
pub(crate) fn wait(ns: &Netns, wanted: usize, end: Instant) -> io::Result<Result<Instant, usize>> {
    ns.run_in(|| {
        let mut before: Option<(Instant, usize)> = None;
        loop {
            let asked = Instant::now();
            let count = read()?;
            let now = Instant::now();
            if count == wanted {
                return Ok(Ok(now));
            }
            if now >= end {
                return Ok(Err(count));
            }
            let left = before.map_or(SHORTEST, |(at, then)| {
                time_left(now - at, count.abs_diff(then), count.abs_diff(wanted))
            });
            // At most a fifth of the time goes to looking.
            let rest = left.max((now - asked) * 4).clamp(SHORTEST, LONGEST);
            before = Some((now, count));
            std::thread::sleep(rest);
        }
    })
}

/// Half of the time that `left` routes take, if `done` took `time`.
fn time_left(time: Duration, done: usize, left: usize) -> Duration {
    if done == 0 {
        return SHORTEST;
    }
    time.mul_f64(left as f64 / done as f64 / 2.0).min(LONGEST)
}

fn read() -> io::Result<usize> {
    prefixes(&fs::read_to_string(FILE)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The prefixes of the main table.
fn prefixes(text: &str) -> Option<usize> {
    let main = text.split("Main:").nth(1)?;
    let line = main
        .lines()
        .find_map(|l| l.trim().strip_prefix("Prefixes:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_tables_prefixes_are_found() {
        let text = "Basic info: size of leaf: 48 bytes\nMain:\n\tLeaves:         6\n\tPrefixes:       1007\n\
                    \tInternal nodes: 5\nLocal:\n\tPrefixes:       3\n";
        assert_eq!(prefixes(text), Some(1007));
        assert_eq!(prefixes("Local:\n\tPrefixes: 3\n"), None);
    }

    #[test]
    fn the_next_look_comes_before_the_end() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 100, 10), Duration::from_millis(50));
        assert_eq!(time_left(second, 100, 1000), LONGEST);
        assert_eq!(time_left(second, 0, 1000), SHORTEST);
    }
}
