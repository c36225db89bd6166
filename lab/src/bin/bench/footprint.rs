//! What processes cost while they have nothing to do: memory and processor time, from /proc.

use std::fs;
use std::io;
use std::time::Duration;

/// A daemon's memory, in KiB: the proportional set size of all its processes.
pub(crate) fn memory(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += text
            .lines()
            .find_map(|l| l.strip_prefix("Pss:"))
            .and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(sum)
}

/// A daemon's processor time so far: in ticks, as `ps` counts it, and as the scheduler does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// utime and stime of all processes.
    pub(crate) ticks: u64,
    /// On a processor, of all threads.
    pub(crate) precise: Duration,
}

/// The processor time of all threads of all these processes.
pub(crate) fn spent(pids: &[u32]) -> io::Result<Spent> {
    let mut sum = Spent::default();
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may have blanks; utime and stime are the fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        sum.ticks += fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|f| f.parse::<u64>().ok())
            .sum::<u64>();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                // A thread that has just ended.
                continue;
            };
            let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
            sum.precise += Duration::from_nanos(nanos.unwrap_or(0));
        }
    }
    Ok(sum)
}

/// The load of the machine, as the kernel tells it.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Kernel, processors.
pub(crate) fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|l| l.strip_prefix("model name")?.split_once(':'))
        .map(|(_, name)| name.trim())
        .collect();
    format!(
        "{} x {}, Linux {}",
        models.len().max(1),
        models.first().unwrap_or(&"unknown processor"),
        kernel.trim()
    )
}
