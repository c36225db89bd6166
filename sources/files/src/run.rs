//! The source's thread: wait for the directory, list it, follow it, until it vanishes; again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tapway_intent::SourceEvent;

use crate::config::Config;
use crate::control::Control;
use crate::directory::{dead, list, look};
use crate::event::{Closed, FileEvent};
use crate::shelf::{Reading, Shelf};
use crate::watch::{Done, Touched, Watch};

/// How long a file that was renamed to a backup name may stay away: editors rename the old version
/// before they write the new one, and the instance must not go and come back meanwhile.
pub const BACKUP_GRACE: Duration = Duration::from_secs(1);

/// How long the second half of a rename may take; both halves are queued in one system call.
const RENAME_GRACE: Duration = Duration::from_millis(5);

/// How often the news of a file that is not there are waited for: each round has heard something new.
const CATCH_UP: usize = 16;

/// A file, what was done to it, and what it holds now.
type Read = (String, Done, Reading);

/// How often a directory that is not there is looked for, beside being watched for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What the kernel calls ready when something was mounted or unmounted (proc_pid_mountinfo(5)); of this
/// thread, as inotify sees nothing of that.
const MOUNTS: &str = "/proc/thread-self/mountinfo";

/// Follows the directory until told to stop, or until nobody listens any more. `emit` may block for
/// as long as it likes; the source waits, and looks at the files when it goes on.
pub fn run(
    config: Config,
    control: &Control,
    emit: impl FnMut(FileEvent) -> Result<(), Closed>,
) -> Result<(), Closed> {
    let shelf = Shelf::new(config.path.display().to_string(), config.remembered);
    let mut source = Source {
        path: config.path,
        control,
        emit,
        shelf,
        held: BTreeMap::new(),
        last_words: None,
        device: None,
        mounts: File::open(MOUNTS).ok(),
    };
    while !control.stopped() {
        if let Err(error) = source.follow()? {
            source.die(&error)?;
            source.wait_for_directory();
        }
    }
    Ok(())
}

struct Source<'c, E> {
    path: std::path::PathBuf,
    control: &'c Control,
    emit: E,
    shelf: Shelf,
    /// Files renamed to a backup name, and until when they may come back.
    held: BTreeMap<String, Instant>,
    /// Why it is dead, as said.
    last_words: Option<String>,
    /// The device of the last listing that had files: what an unmounted disk leaves is an empty
    /// directory on another one, and that says nothing.
    device: Option<u64>,
    /// `MOUNTS`, where there is a /proc.
    mounts: Option<File>,
}

impl<E: FnMut(FileEvent) -> Result<(), Closed>> Source<'_, E> {
    /// Lists and follows the directory. Ends well when a stop or a new listing is asked for, with
    /// an error when the directory is lost.
    fn follow(&mut self) -> Result<io::Result<()>, Closed> {
        let listed = Identity::of(&self.path).and_then(|identity| {
            // First watch, then list: what happens in between is seen twice, not never.
            let watch = Watch::directory(&self.path)?;
            let files = list(&self.path)?;
            identity.check(&self.path)?;
            Ok((identity, watch, files))
        });
        let (identity, mut watch, files) = match listed {
            Ok(all) => all,
            Err(error) => return Ok(Err(error)),
        };
        if files.is_empty() && self.is_elsewhere() {
            let why = "it is empty and on another disk than before; is its disk mounted?";
            return Ok(Err(io::Error::new(io::ErrorKind::NotFound, why)));
        }
        if !files.is_empty() {
            self.device = Some(identity.device);
        }
        self.last_words = None;
        let now = Instant::now();
        let there = |file: &String| files.iter().any(|(name, _)| name == file);
        self.held.retain(|file, until| *until > now && !there(file));
        let events = self.shelf.list(files, |file| self.held.contains_key(file));
        self.say(events)?;
        loop {
            self.wait(&watch, self.next_timeout());
            if self.control.stopped() || self.control.take_refresh() {
                return Ok(Ok(()));
            }
            let mut touched = Touched::default();
            let mut readings = Vec::new();
            // A file that should be there and is not was renamed or deleted since: the news of that are
            // waiting, and until they are heard an instance is not known to be gone.
            for _ in 0..CATCH_UP {
                if let Err(error) = self.hear(&mut watch, &mut touched) {
                    return Ok(Err(error));
                }
                if touched.overflow {
                    break;
                }
                readings = self.read(&touched);
                if !readings.iter().any(is_behind) {
                    break;
                }
            }
            if touched.lost {
                return Ok(Err(Errno::NOENT.into()));
            }
            // What was read, or was not there, says nothing when the path leads to another directory by now.
            if let Err(error) = identity.check(&self.path) {
                return Ok(Err(error));
            }
            if touched.overflow {
                self.say(vec![FileEvent::Overrun])?;
                return Ok(Ok(()));
            }
            let events = self.take(readings, &touched);
            self.say(events)?;
        }
    }

    /// Takes in what happened in the directory, with the other half of a rename.
    fn hear(&self, watch: &mut Watch, touched: &mut Touched) -> io::Result<()> {
        watch.drain(touched)?;
        if touched.is_half() {
            self.wait(&*watch, Some(RENAME_GRACE));
            watch.drain(touched)?;
            touched.forget_halves();
        }
        Ok(())
    }

    /// Reads what was touched, and what was away for too long.
    fn read(&self, touched: &Touched) -> Vec<Read> {
        let now = Instant::now();
        let held = self.held.iter().filter(|(_, until)| **until <= now);
        let held = held.filter(|(file, _)| !touched.files.contains_key(*file));
        let held = held.map(|(file, _)| (file, Done::Removed));
        let files = touched.files.iter().map(|(file, done)| (file, *done));
        files
            .chain(held)
            .filter(|(file, done)| *done != Done::Attributes || self.shelf.is_broken(file))
            .map(|(file, done)| (file.clone(), done, look(&self.path, file)))
            .collect()
    }

    /// Takes in what was read.
    fn take(&mut self, readings: Vec<Read>, touched: &Touched) -> Vec<FileEvent> {
        let now = Instant::now();
        let mut group = Vec::with_capacity(readings.len());
        for (file, done, reading) in readings {
            let absent = matches!(reading, Reading::Absent);
            if absent && touched.backups.contains(&file) {
                self.held.insert(file, now + BACKUP_GRACE);
            } else if absent && self.held.get(&file).is_some_and(|until| *until > now) {
                // It has time to come back.
            } else {
                self.held.remove(&file);
                if absent || done != Done::Removed {
                    group.push((file, reading));
                }
            }
        }
        self.shelf.apply(group)
    }

    fn next_timeout(&self) -> Option<Duration> {
        let next = self.held.values().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn say(&mut self, events: Vec<FileEvent>) -> Result<(), Closed> {
        events.into_iter().try_for_each(|event| (self.emit)(event))
    }

    fn die(&mut self, error: &io::Error) -> Result<(), Closed> {
        let words = dead(&self.path, error);
        if self.last_words.as_ref() == Some(&words) {
            return Ok(());
        }
        self.last_words = Some(words.clone());
        (self.emit)(FileEvent::Source(SourceEvent::Dead(words)))
    }

    /// Returns when the directory may be there again.
    fn wait_for_directory(&self) {
        let watch = Watch::above(&self.path);
        let listed = Watch::directory(&self.path).and_then(|_| list(&self.path));
        if listed.is_ok_and(|files| !files.is_empty() || !self.is_elsewhere()) {
            return;
        }
        match &watch {
            Ok(watch) => self.wait(watch, Some(LOOK_AGAIN)),
            Err(_) => self.wait(&self.control.bell(), Some(LOOK_AGAIN)),
        }
        self.control.take_refresh();
    }

    /// Whether the path leads to another disk than the one that had files.
    fn is_elsewhere(&self) -> bool {
        self.device.is_some() && Identity::of(&self.path).ok().map(|i| i.device) != self.device
    }

    /// Until something happens in the directory, or with mounts, the bell rings, or the time is over.
    fn wait(&self, watch: &impl AsFd, timeout: Option<Duration>) {
        let mounts = match &self.mounts {
            Some(mounts) => PollFd::new(mounts, PollFlags::PRI),
            None => PollFd::new(watch, PollFlags::empty()),
        };
        let mut fds = [
            PollFd::new(watch, PollFlags::IN),
            PollFd::from_borrowed_fd(self.control.bell(), PollFlags::IN),
            mounts,
        ];
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        // An interrupted wait is a wait that is over: everything is looked at again anyway.
        let _ = poll(&mut fds, timeout.as_ref());
        if fds[1].revents().contains(PollFlags::IN) {
            self.control.silence();
        }
    }
}

/// Whether a file is not there though nothing was heard of its end.
fn is_behind((_, done, reading): &Read) -> bool {
    *done != Done::Removed && matches!(reading, Reading::Absent)
}

/// Which directory a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Identity> {
        std::fs::metadata(path).map(|meta| Identity {
            device: meta.dev(),
            inode: meta.ino(),
        })
    }

    /// Whether `path` still leads there.
    fn check(self, path: &Path) -> io::Result<()> {
        match Identity::of(path)? == self {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another directory has taken its place",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
