//! Watching a directory for changes (`inotify(7)`).

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// A directory that is watched, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(i32);

/// What happened in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirEvent {
    /// A file is complete: closed after writing, or moved here.
    Written(WatchId, OsString),
    /// A file is gone: deleted, or moved away.
    Removed(WatchId, OsString),
    /// The directory itself is gone or moved, or its file system was unmounted. Its watch has ended
    /// or no longer fits the path.
    Vanished(WatchId),
    /// Events were lost: list every directory again.
    Overflow,
}

/// A set of watched directories.
#[derive(Debug)]
pub struct Watcher(OwnedFd);

impl Watcher {
    /// A set of none.
    ///
    /// # Errors
    /// When the user's limit of inotify instances is reached.
    pub fn new() -> io::Result<Watcher> {
        Ok(Watcher(inotify::init(
            CreateFlags::NONBLOCK | CreateFlags::CLOEXEC,
        )?))
    }

    /// Watches the directory that `path` is now.
    ///
    /// # Errors
    /// When there is no such directory, or the user's limit of watches is reached.
    pub fn watch(&self, path: &Path) -> io::Result<WatchId> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        Ok(WatchId(inotify::add_watch(&self.0, path, flags)?))
    }

    /// Ends a watch. One that has ended already is no error.
    pub fn unwatch(&self, watch: WatchId) {
        let _ = inotify::remove_watch(&self.0, watch.0);
    }

    /// Appends the events that came, at most one system call's worth.
    ///
    /// # Errors
    /// Never in practice; what the kernel says.
    pub fn read(&self, events: &mut Vec<DirEvent>) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let (id, flags) = (WatchId(event.wd()), event.events());
            let name = || {
                event
                    .file_name()
                    .map(|n| OsString::from_vec(n.to_bytes().to_vec()))
            };
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                events.push(DirEvent::Overflow);
            } else if flags
                .intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT)
            {
                events.push(DirEvent::Vanished(id));
            } else if flags.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
                events.extend(name().map(|n| DirEvent::Written(id, n)));
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                events.extend(name().map(|n| DirEvent::Removed(id, n)));
            }
            if reader.is_buffer_empty() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_appear_move_and_vanish() {
        let dir = std::env::temp_dir().join(format!("tapway-inotify-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let watcher = Watcher::new().unwrap();
        let id = watcher.watch(&dir).unwrap();
        fs::write(dir.join("a"), "x").unwrap();
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        fs::remove_file(dir.join("b")).unwrap();
        fs::remove_dir(&dir).unwrap();
        let mut events = Vec::new();
        watcher.read(&mut events).unwrap();
        assert_eq!(
            events,
            [
                DirEvent::Written(id, "a".into()),
                DirEvent::Removed(id, "a".into()),
                DirEvent::Written(id, "b".into()),
                DirEvent::Removed(id, "b".into()),
                DirEvent::Vanished(id),
            ]
        );
        assert!(watcher.watch(&dir).is_err());
    }
}
