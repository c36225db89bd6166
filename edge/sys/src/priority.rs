//! Scheduling.

#![allow(unsafe_code)]

use std::io;

/// Lets the calling thread run before all programs of normal priority (`SCHED_RR`, priority 1). Threads and
/// processes that it starts have normal priority again. See sched(7).
///
/// # Errors
/// Without `CAP_SYS_NICE` and without an `RLIMIT_RTPRIO` of at least 1.
pub fn run_before_others() -> io::Result<()> {
    set(libc::SCHED_RR, 1)
}

/// Gives the calling thread normal priority again.
///
/// # Errors
/// Never in practice; what the kernel says.
pub fn run_among_others() -> io::Result<()> {
    set(libc::SCHED_OTHER, 0)
}

fn set(policy: i32, priority: i32) -> io::Result<()> {
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    // struct sched_param in linux/sched/types.h. The system call itself: not every C library has it.
    // SAFETY: 0 is the calling thread; the kernel reads the number during the call only.
    let done =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    match done {
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
            let raised = policy();
            run_among_others().expect("anybody may");
            (raised, started, policy())
        });
        let (raised, started, lowered) = thread.join().expect("a thread");
        assert_eq!(lowered, libc::SCHED_OTHER.to_string());
        assert_eq!(raised, libc::SCHED_RR.to_string());
        assert_eq!(started, libc::SCHED_OTHER.to_string());
    }
}
