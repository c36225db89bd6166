//! Scheduling.

#![allow(unsafe_code)]

use std::io;

/// Lets the calling thread run before all programs of normal priority (`SCHED_RR`, priority 1). Threads and
/// processes that it starts have normal priority again. See sched(7).
///
/// # Errors
/// Without `CAP_SYS_NICE` and without an `RLIMIT_RTPRIO` of at least 1.
pub fn run_before_others() -> io::Result<()> {
    // SAFETY: plain numbers; zero is a valid value for whatever else a C library has in there.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = 1;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread; the kernel reads the parameters during the call only.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of `/proc/thread-self/stat` behind the name (proc_pid_stat(5)).
    fn policy() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("proc");
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        rest.split_whitespace()
            .nth(38)
            .expect("field 41")
            .to_owned()
    }

    #[test]
    fn only_this_thread_is_raised() {
        if !crate::testing::needs(crate::process::is_root(), "root, to be scheduled first") {
            return;
        }
        let thread = std::thread::spawn(|| {
            run_before_others().expect("root may");
            let started = std::thread::spawn(policy).join().expect("a thread");
            (policy(), started)
        });
        let (raised, started) = thread.join().expect("a thread");
        assert_eq!(raised, libc::SCHED_RR.to_string());
        assert_eq!(started, libc::SCHED_OTHER.to_string());
    }
}
