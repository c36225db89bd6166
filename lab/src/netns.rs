//! Network namespaces: made with a name of their own, removed with all that runs in them.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::wait::try_wait_for;

/// Start of every namespace's name: `tw-PID-NUMBER-PREFIX`.
const MARK: &str = "tw-";

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// A network namespace. Dropping it ends every process in it and removes it.
#[derive(Debug)]
pub struct Netns {
    name: String,
    kept: bool,
}

impl Netns {
    /// Makes a namespace whose name ends in `prefix`, with `lo` up, and without duplicate address
    /// detection, which would keep every IPv6 address unusable for a second.
    ///
    /// # Panics
    /// When it cannot be made, for example without root.
    #[track_caller]
    pub fn new(prefix: &str) -> Netns {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Netns::make(format!("{MARK}{}-{n}-{prefix}", std::process::id()), false)
    }

    /// Makes a namespace of exactly this name. What runs in it, and the namespace, outlive the
    /// process that made it, until [`Netns::remove`] is called.
    ///
    /// # Panics
    /// When it cannot be made, for example because it is there already.
    #[track_caller]
    pub fn kept(name: &str) -> Netns {
        Netns::make(name.to_string(), true)
    }

    /// Removes a namespace of this name, if it is there, and all that runs in it.
    pub fn remove(name: &str) {
        if PathBuf::from(NAMES).join(name).exists() {
            drop(Netns {
                name: name.to_string(),
                kept: false,
            });
        }
    }

    /// Removes every namespace that this process has made by [`Netns::new`].
    pub fn remove_own() {
        let own = format!("{MARK}{}-", std::process::id());
        for name in Netns::list().iter().filter(|n| n.starts_with(&own)) {
            Netns::remove(name);
        }
    }

    /// Names of the namespaces that there are.
    pub fn list() -> Vec<String> {
        let Ok(entries) = fs::read_dir(NAMES) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .collect()
    }

    #[track_caller]
    fn make(name: String, kept: bool) -> Netns {
        ip(&["netns", "add", &name]);
        let ns = Netns { name, kept };
        ns.ip("link set lo up");
        for scope in ["all", "default"] {
            ns.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0");
        }
        ns
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(NAMES).join(&self.name)
    }

    /// A command that runs in here. It is killed when the thread that starts it ends, unless the
    /// namespace is a kept one.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = if self.kept {
            Command::new("ip")
        } else {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--pdeathsig", "KILL", "ip"]);
            setpriv
        };
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Whether what runs in here outlives this process.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Runs a command to its end, words separated by white space.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn try_exec(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command");
        self.command(program)
            .args(words)
            .output()
            .unwrap_or_else(|e| panic!("{}: cannot run {line:?}: {e}", self.name))
    }

    /// Runs a command to its end and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn exec(&self, line: &str) -> String {
        let output = self.try_exec(line);
        assert!(
            output.status.success(),
            "{}: {line:?} failed ({}): {}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `ip` in here: `ns.ip("link set eth0 up")`.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        let mut words = vec!["-n", &self.name];
        words.extend(arguments.split_whitespace());
        ip(&words)
    }

    /// Runs many lines of `ip` as one process.
    ///
    /// # Panics
    /// When one of them fails.
    #[track_caller]
    pub fn ip_batch(&self, lines: &str) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::io::Write::write_all(&mut file, lines.as_bytes()).expect("a temporary file");
        let path = file.path().to_string_lossy().into_owned();
        ip(&["-n", &self.name, "-batch", &path]);
    }

    /// What `ip -json` says in here.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ip_json(&self, arguments: &str) -> Value {
        let text = self.ip(&format!("-json -details {arguments}"));
        if text.trim().is_empty() {
            return Value::Array(Vec::new());
        }
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("ip -json {arguments} printed no JSON ({e}): {text}"))
    }

    /// Writes a sysctl: `ns.sysctl("net/ipv4/ip_forward", "1")`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        let written = self.run_in(|| fs::write(format!("/proc/sys/{key}"), value));
        if let Err(e) = written {
            panic!("{}: cannot set {key} to {value}: {e}", self.name);
        }
    }

    /// Reads a sysctl.
    ///
    /// # Panics
    /// When it cannot be read.
    #[track_caller]
    pub fn read_sysctl(&self, key: &str) -> String {
        match self.run_in(|| fs::read_to_string(format!("/proc/sys/{key}"))) {
            Ok(value) => value.trim().to_string(),
            Err(e) => panic!("{}: cannot read {key}: {e}", self.name),
        }
    }

    /// Runs `work` on a thread of its own inside the namespace. Sockets that it opens stay there.
    ///
    /// # Panics
    /// When `work` panics, or the namespace cannot be entered.
    #[track_caller]
    pub fn run_in<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path())
            .unwrap_or_else(|e| panic!("cannot open {}: {e}", self.path().display()));
        let done = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                        .map(|()| work())
                })
                .join()
        });
        match done {
            Ok(Ok(value)) => value,
            Ok(Err(e)) => panic!("cannot enter {}: {e}; is this root?", self.name),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Processes that run in here.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(own) = fs::metadata(self.path()) else {
            return Vec::new();
        };
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                fs::metadata(format!("/proc/{pid}/ns/net"))
                    .is_ok_and(|m| m.dev() == own.dev() && m.ino() == own.ino())
            })
            .collect()
    }

    /// Kills whatever runs in here, and waits until it is gone.
    fn clear(&self) {
        let _ = try_wait_for(Duration::from_secs(5), "processes end", || {
            let pids = self.pids();
            for pid in &pids {
                if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            if pids.is_empty() {
                Ok(())
            } else {
                Err(format!("{pids:?} left"))
            }
        });
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.clear();
        let deleted = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
        if !deleted.as_ref().is_ok_and(|o| o.status.success()) {
            eprintln!("cannot remove namespace {}: {deleted:?}", self.name);
        }
    }
}

/// Removes namespaces of tests that were killed before they could clean up.
fn sweep() {
    for name in Netns::list() {
        let owner = name
            .strip_prefix(MARK)
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        // One with our own id was left by a former process that had it.
        if let Some(pid) = owner
            && (pid == std::process::id() || !PathBuf::from(format!("/proc/{pid}")).exists())
        {
            Netns::remove(&name);
        }
    }
}

#[track_caller]
pub(crate) fn ip(words: &[&str]) -> String {
    let output = Command::new("ip")
        .args(words)
        .output()
        .unwrap_or_else(|e| panic!("cannot run ip (package iproute2): {e}"));
    assert!(
        output.status.success(),
        "ip {} failed: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
