//! Signals as a descriptor (`signalfd(2)`).

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// A signal that the daemon acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`
    Terminate,
    /// `SIGINT`
    Interrupt,
    /// `SIGHUP`
    Hangup,
    /// `SIGPWR`
    PowerFail,
}

const WATCHED: [(libc::c_int, Signal); 4] = [
    (libc::SIGTERM, Signal::Terminate),
    (libc::SIGINT, Signal::Interrupt),
    (libc::SIGHUP, Signal::Hangup),
    (libc::SIGPWR, Signal::PowerFail),
];

/// SIGTERM, SIGINT, SIGHUP and SIGPWR, delivered by reading.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals' normal delivery and opens the descriptor. Call it in `main` before any
    /// thread is started, because threads inherit what is blocked. So do child processes, across
    /// `exec`: give a child [`unblock`] in `pre_exec`.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn take() -> io::Result<Signals> {
        let set = watched_set();
        // SAFETY: `set` is initialised; a null old set is allowed.
        let result =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor and nobody else knows it.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that came, if one did.
    pub fn read(&self) -> Option<Signal> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        let len = rustix::io::read(&self.0, &mut info).ok()?;
        // `ssi_signo` is the first field.
        let number = info
            .get(..4.min(len))?
            .try_into()
            .map(u32::from_ne_bytes)
            .ok()?;
        WATCHED
            .iter()
            .find(|(n, _)| u32::try_from(*n) == Ok(number))
            .map(|(_, signal)| *signal)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives the signals their normal delivery back, in this thread.
///
/// # Errors
/// Never in practice; what the kernel says.
pub fn unblock() -> io::Result<()> {
    let set = watched_set();
    // SAFETY: `set` is initialised; a null old set is allowed.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(result))
    }
}

fn watched_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set; the numbers are valid signals, so `sigaddset`
    // cannot fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for (number, _) in WATCHED {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        set.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_of_this_thread_is_read() {
        // In a thread of its own, because blocking is per thread.
        std::thread::spawn(|| {
            let signals = Signals::take().unwrap();
            assert_eq!(signals.read(), None);
            // SAFETY: sends a signal to this thread, where it is blocked.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGHUP) };
            assert_eq!(signals.read(), Some(Signal::Hangup));
            assert_eq!(signals.read(), None);
        })
        .join()
        .unwrap();
    }
}
