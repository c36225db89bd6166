//! epoll: waiting for several descriptors at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// What to wait for. Errors and hang-ups are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Data to read, or the other side has closed.
    pub read: bool,
    /// Room to write, or a connect has ended.
    pub write: bool,
}

impl Interest {
    /// Errors only.
    pub const NONE: Interest = Interest {
        read: false,
        write: false,
    };
    /// Reading.
    pub const READ: Interest = Interest {
        read: true,
        write: false,
    };
    /// Writing.
    pub const WRITE: Interest = Interest {
        read: false,
        write: true,
    };
    /// Both.
    pub const BOTH: Interest = Interest {
        read: true,
        write: true,
    };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        if self.read {
            flags |= epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        }
        if self.write {
            flags |= epoll::EventFlags::OUT;
        }
        flags
    }
}

/// A descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// As given to [`Poller::add`].
    pub token: u64,
    /// Reading will not block (data, end of stream or an error).
    pub read: bool,
    /// Writing will not block (room, or an error).
    pub write: bool,
    /// An error or hang-up is pending; reading or `SO_ERROR` tells which.
    pub error: bool,
}

/// A level-triggered epoll set.
pub struct Poller {
    fd: OwnedFd,
    events: Vec<epoll::Event>,
}

/// A set can be waited for in another set: it is readable when something in it is ready.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Poller").field(&self.fd).finish()
    }
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Poller> {
        let fd = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poller {
            fd,
            events: Vec::with_capacity(64),
        })
    }

    /// Adds a descriptor. It leaves the set by itself when its last duplicate is closed.
    ///
    /// # Errors
    /// When it is in the set already or cannot be waited for.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.fd,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )?)
    }

    /// Changes what to wait for.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.fd,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )?)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// When it is not in the set.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    /// Waits until something is ready, or `timeout` is over (`None`: for ever). `ready` is replaced;
    /// it stays empty on a timeout and after a signal.
    ///
    /// # Errors
    /// Never in practice; what the kernel says.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        match epoll::wait(&self.fd, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        ready.extend(self.events.iter().map(|event| {
            let flags = event.flags;
            let error = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            Ready {
                token: event.data.u64(),
                read: error || flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP),
                write: error || flags.contains(epoll::EventFlags::OUT),
                error,
            }
        }));
        Ok(())
    }
}
