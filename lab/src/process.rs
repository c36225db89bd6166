//! A program that runs in the background of a test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::try_wait_for;

/// How many bytes of a log are shown when a test fails.
const TAIL: usize = 8000;

/// A running program. Dropping it kills and reaps it; when a panic is the reason, its log is shown.
#[derive(Debug)]
pub struct Proc {
    name: String,
    child: Child,
    log: PathBuf,
    outlives: bool,
}

impl Proc {
    /// Starts `command` with what it prints appended to the file `log`.
    ///
    /// # Panics
    /// When the program or the file cannot be opened.
    #[track_caller]
    pub fn spawn(name: impl Into<String>, command: &mut Command, log: &Path) -> Proc {
        let name = name.into();
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|e| panic!("{name}: cannot open its log {}: {e}", log.display()));
        let err = out
            .try_clone()
            .unwrap_or_else(|e| panic!("{name}: cannot open its log: {e}"));
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("{name}: cannot start {command:?}: {e}"));
        Proc {
            name,
            child,
            log: log.to_path_buf(),
            outlives: false,
        }
    }

    /// Leaves the program running when this value is dropped.
    pub fn outlive(&mut self) {
        self.outlives = true;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |e| format!("({}: {e})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It is not reaped before a `wait`, so the id is still its own; it may have ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills it (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// When it has not ended after `limit`.
    #[track_caller]
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(limit)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it has not ended after `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = try_wait_for(limit, format!("{} ends", self.name), || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("still running".to_string()),
                Err(e) => Err(e.to_string()),
            }
        });
        match ended {
            Ok(status) => status,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let mut from = log.len().saturating_sub(TAIL);
            while !log.is_char_boundary(from) {
                from += 1;
            }
            eprintln!(
                "---- log of {} (pid {}) ----\n{}",
                self.name,
                self.pid(),
                &log[from..]
            );
        }
        if !self.outlives {
            self.kill();
        }
    }
}
