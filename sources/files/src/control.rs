//! Stopping the source and asking it to look again, from other threads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

#[derive(Debug)]
struct Shared {
    bell: OwnedFd,
    stop: AtomicBool,
    refresh: AtomicBool,
}

/// Talks to a running source. Dropping it does not stop the source.
#[derive(Clone, Debug)]
pub struct Remote(Arc<Shared>);

/// The source's own end, given to [`run`](crate::run).
#[derive(Debug)]
pub struct Control(Arc<Shared>);

/// A pair of both ends.
///
/// # Errors
/// When the kernel gives out no more file descriptors.
pub fn control() -> io::Result<(Remote, Control)> {
    let shared = Arc::new(Shared {
        bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        stop: AtomicBool::new(false),
        refresh: AtomicBool::new(false),
    });
    Ok((Remote(shared.clone()), Control(shared)))
}

impl Remote {
    /// The source ends soon. One that is blocked in its sender ends once that returns.
    pub fn stop(&self) {
        self.ring(&self.0.stop);
    }

    /// The source lists the whole directory again.
    pub fn refresh(&self) {
        self.ring(&self.0.refresh);
    }

    fn ring(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        // Fails only when the counter is full, and then it is readable anyway.
        let _ = rustix::io::write(&self.0.bell, &1u64.to_ne_bytes());
    }
}

impl Control {
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    /// Silences the bell before the flags are looked at, so that no later ring is lost.
    pub(crate) fn silence(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.0.bell, &mut count);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }

    pub(crate) fn take_refresh(&self) -> bool {
        self.0.refresh.swap(false, Ordering::AcqRel)
    }
}
