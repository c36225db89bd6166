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
use crate::way::directories_on_the_way;

/// A watched directory.
#[derive(Debug)]
pub(crate) struct Watch {
    fd: OwnedFd,
    /// The kernel's number of the directory here; others are of those above it.
    number: i32,
    path: PathBuf,
    /// Files that were created here and not closed yet: still being written.
    open: BTreeSet<String>,
}

/// What was done to a file. A later one replaces an earlier one, but a change of its attributes says
/// nothing of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Mode, owner or times.
    Attributes,
    /// Deleted or renamed: whatever has the name now is new, and speaks for itself once it is written.
    Removed,
    /// Written, renamed here or linked.
    Written,
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Files to look at.
    pub(crate) files: BTreeMap<String, Done>,
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

    fn file(&mut self, name: &str, done: Done) {
        match self.files.get_mut(name) {
            Some(_) if done == Done::Attributes => {}
            Some(before) => *before = done,
            None => {
                self.files.insert(name.to_string(), done);
            }
        }
    }

    pub(crate) fn forget_halves(&mut self) {
        self.halves.clear();
    }
}

impl Watch {
    /// Watches the files of a directory, and what could make its path lead elsewhere.
    pub(crate) fn directory(path: &Path) -> io::Result<Watch> {
        let watch = Watch::new(
            path,
            WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::ATTRIB
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF,
        )?;
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::MASK_ADD
            | WatchFlags::ONLYDIR;
        for above in directories_on_the_way(path) {
            // What went away meanwhile shows when the path is looked at after the listing.
            let _ = inotify::add_watch(&watch.fd, above, flags);
        }
        Ok(watch)
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
            match Watch::new(or_here(above), flags) {
                Ok(watch) => return Ok(watch),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    fn new(path: &Path, flags: WatchFlags) -> io::Result<Watch> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let number = inotify::add_watch(&fd, path, flags | WatchFlags::ONLYDIR)?;
        Ok(Watch {
            fd,
            number,
            path: path.to_path_buf(),
            open: BTreeSet::new(),
        })
    }

    /// Adds all that is waiting to `touched`.
    pub(crate) fn drain(&mut self, touched: &mut Touched) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        loop {
            match reader.next() {
                // Of those above nothing is asked but to be woken up.
                Ok(event) if event.wd() != self.number => {
                    touched.overflow |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                }
                Ok(event) => {
                    let name = event.file_name().map(|n| n.to_string_lossy());
                    let (path, open) = (&self.path, &mut self.open);
                    touched.note(path, open, event.events(), event.cookie(), name.as_deref());
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Touched {
    fn note(
        &mut self,
        directory: &Path,
        open: &mut BTreeSet<String>,
        events: ReadFlags,
        cookie: u32,
        name: Option<&str>,
    ) {
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
        let over = ReadFlags::UNMOUNT | ReadFlags::IGNORED;
        self.lost |= events.intersects(gone | over);
        let Some(name) = name else {
            return;
        };
        if events.contains(ReadFlags::MOVED_TO)
            && let Some(from) = self.halves.remove(&cookie)
            && !counts(name)
        {
            self.backups.insert(from);
        }
        if !counts(name) {
            // A file that was created without a name (O_TMPFILE) and linked here later keeps its
            // first name, `#inode`, in what is told of its closing.
            if events.contains(ReadFlags::CLOSE_WRITE) && name.starts_with('#') {
                for linked in std::mem::take(open) {
                    self.file(&linked, Done::Written);
                }
            }
            return;
        }
        if events.contains(ReadFlags::CREATE) && !is_link(&directory.join(name)) {
            open.insert(name.to_string());
            return;
        }
        if events.contains(ReadFlags::ATTRIB) {
            return self.file(name, Done::Attributes);
        }
        open.remove(name);
        if events.contains(ReadFlags::MOVED_FROM) {
            self.halves.insert(cookie, name.to_string());
        }
        let removed = events.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE);
        self.file(
            name,
            if removed {
                Done::Removed
            } else {
                Done::Written
            },
        );
    }
}

fn or_here(path: &Path) -> &Path {
    match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    }
}

/// A link is never written through its name here: it is complete when it appears.
fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|meta| meta.is_symlink() || meta.nlink() > 1)
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
