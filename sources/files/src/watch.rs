//! inotify: which files of a directory were touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::directory::counts;

/// A watched directory.
#[derive(Debug)]
pub(crate) struct Watch {
    fd: OwnedFd,
    path: PathBuf,
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Files to look at.
    pub(crate) files: BTreeSet<String>,
    /// Those of them that were renamed to a name that does not count: an editor's backup.
    pub(crate) backups: BTreeSet<String>,
    /// Renames whose second half has not been seen, by cookie.
    halves: BTreeMap<u32, String>,
    /// Something was missed.
    pub(crate) overflow: bool,
    /// The directory is not there any more.
    pub(crate) lost: bool,
}

impl Touched {
    /// Whether the second half of a rename may still come.
    pub(crate) fn is_half(&self) -> bool {
        !self.halves.is_empty() && !self.lost && !self.overflow
    }

    pub(crate) fn forget_halves(&mut self) {
        self.halves.clear();
    }
}

impl Watch {
    /// Watches the files of a directory.
    pub(crate) fn directory(path: &Path) -> io::Result<Watch> {
        Watch::new(
            path,
            WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::ATTRIB
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF,
        )
    }

    /// Watches the nearest directory above `path` that is there, for what could bring `path` back.
    pub(crate) fn above(path: &Path) -> io::Result<Watch> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let mut error = io::Error::from(io::ErrorKind::NotFound);
        for above in path.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() {
                Path::new(".")
            } else {
                above
            };
            match Watch::new(above, flags) {
                Ok(watch) => return Ok(watch),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    fn new(path: &Path, flags: WatchFlags) -> io::Result<Watch> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&fd, path, flags | WatchFlags::ONLYDIR)?;
        Ok(Watch {
            fd,
            path: path.to_path_buf(),
        })
    }

    /// Adds all that is waiting to `touched`.
    pub(crate) fn drain(&self, touched: &mut Touched) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|n| n.to_string_lossy());
                    self.note(event.events(), event.cookie(), name.as_deref(), touched);
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn note(&self, events: ReadFlags, cookie: u32, name: Option<&str>, touched: &mut Touched) {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            touched.overflow = true;
        }
        if events.intersects(
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED,
        ) {
            touched.lost = true;
        }
        let Some(name) = name else {
            return;
        };
        if events.contains(ReadFlags::MOVED_TO)
            && let Some(from) = touched.halves.remove(&cookie)
            && !counts(name)
        {
            touched.backups.insert(from);
        }
        if !counts(name) {
            return;
        }
        if events.contains(ReadFlags::MOVED_FROM) {
            touched.halves.insert(cookie, name.to_string());
        }
        // A file that was just created is still being written: wait until it is closed. Links are
        // never written through this name.
        if events.contains(ReadFlags::CREATE) && !is_link(&self.path.join(name)) {
            return;
        }
        touched.files.insert(name.to_string());
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|meta| meta.is_symlink() || meta.nlink() > 1)
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
