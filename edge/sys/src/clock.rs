//! The monotonic clock and timers on it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};

/// `CLOCK_MONOTONIC` in nanoseconds. Shared by all processes of the host; starts at 0 on boot.
pub fn now() -> u64 {
    let t = rustix::time::clock_gettime(ClockId::Monotonic);
    u64::try_from(t.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// A file descriptor that becomes readable at a moment of the monotonic clock.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
    deadline: Option<u64>,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Timer> {
        let fd = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Timer { fd, deadline: None })
    }

    /// Sets the moment, in nanoseconds of [`now`]; a moment that is past fires at once. `None`: never.
    /// Setting the same moment again costs no system call.
    ///
    /// # Errors
    /// When the kernel refuses the moment.
    pub fn set(&mut self, deadline: Option<u64>) -> io::Result<()> {
        if deadline == self.deadline {
            return Ok(());
        }
        // All zero would disarm, so the origin itself becomes 1 ns.
        let at = deadline.map_or(0, |d| d.max(1));
        let value = Timespec {
            tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (at % 1_000_000_000) as _,
        };
        let interval = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::time::timerfd_settime(
            &self.fd,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec {
                it_interval: interval,
                it_value: value,
            },
        )?;
        self.deadline = deadline;
        Ok(())
    }

    /// Makes the descriptor unreadable after it fired. Whether it had fired.
    pub fn clear(&mut self) -> bool {
        let mut count = [0u8; 8];
        let fired = rustix::io::read(&self.fd, &mut count).is_ok();
        if fired {
            self.deadline = None;
        }
        fired
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, Poller};

    #[test]
    fn a_timer_fires_at_its_moment_and_not_before() {
        let mut timer = Timer::new().unwrap();
        let mut poller = Poller::new().unwrap();
        poller.add(&timer, 7, Interest::READ).unwrap();
        let deadline = now() + 3_000_000;
        timer.set(Some(deadline)).unwrap();
        let mut tokens = Vec::new();
        poller.wait(None, &mut tokens).unwrap();
        assert!(now() >= deadline);
        assert_eq!(tokens.iter().map(|r| r.token).collect::<Vec<_>>(), [7]);
        assert!(timer.clear());
        assert!(!timer.clear());
        timer.set(Some(0)).unwrap();
        poller.wait(None, &mut tokens).unwrap();
        assert!(timer.clear());
    }
}
