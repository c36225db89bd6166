//! A machine whose first process is systemd: in a network namespace of the test, with a control group, mounts, processes
//! and a host name of its own, and the units of `packaging/` under `/etc/systemd/system`, as the README installs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tapway_lab::tapwayd::program;
use tapway_lab::{Netns, Proc, try_wait_for, wait_for};
use tempfile::TempDir;

/// Long enough for a loaded machine; what waits ends as soon as it can.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How long a command inside may take: `timeout` ends it then, with 124.
const COMMAND: &str = "60";

/// What makes the machine, and removes its control group.
const BOOT: &str = include_str!("boot.sh");

/// The folder of the units under test.
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd");

/// The machine. Dropping it ends all that runs in it, and removes its control group and files; after a panic it
/// shows its journal first.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    ns: &'a Netns,
    process: Option<Proc>,
    /// systemd's pid outside.
    init: u32,
    group: String,
    folder: TempDir,
}

impl Machine<'_> {
    /// Makes the machine's files: what a fresh installation has, and the units, not enabled.
    ///
    /// # Panics
    /// When they cannot be written.
    #[track_caller]
    pub(crate) fn new(ns: &Netns) -> Machine<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        let parent = own_group();
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let machine = Machine {
            ns,
            process: None,
            init: 0,
            group: format!("{parent}/tw-{}-{n}", std::process::id()),
            folder: tempfile::tempdir().expect("a temporary directory"),
        };
        fs::write(machine.script(), BOOT).expect("a script");
        SWEEP.call_once(|| match machine.run_script(&["sweep", &parent]) {
            Ok(()) => {}
            Err(error) => eprintln!("control groups of former tests may be left: {error}"),
        });
        for folder in [
            "etc/systemd/system",
            "etc/tapway/instances.d",
            "run",
            "root",
            "var/tmp",
        ] {
            fs::create_dir_all(machine.path(folder)).expect("a folder of the machine");
        }
        for (folder, mode) in [("", 0o755), ("root", 0o700), ("var/tmp", 0o1777)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(machine.path(folder), mode).expect("a folder of the machine");
        }
        for (file, text) in [
            ("machine-id", "30c50a09d1b44ae8a1b1b3b4b6c64a11\n"),
            ("hostname", "hypervisor\n"),
            ("os-release", "ID=lab\nPRETTY_NAME=\"The lab\"\n"),
            (
                "passwd",
                "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
            ),
            (
                "group",
                "root:x:0:\nadm:x:4:\ntty:x:5:\nsystemd-journal:x:999:\nnogroup:x:65534:\n",
            ),
        ] {
            machine.write(&format!("etc/{file}"), text);
        }
        for unit in fs::read_dir(UNITS)
            .expect("packaging/systemd")
            .map(|entry| entry.expect("packaging/systemd"))
        {
            let name = unit.file_name().into_string().expect("a unit's name");
            let text = fs::read_to_string(unit.path()).expect("a unit");
            machine.write(&format!("etc/systemd/system/{name}"), &text);
        }
        machine
    }

    /// Where a file of the machine is outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("root").join(inside)
    }

    /// Writes a file of the machine whole: a reader sees the old one or the new one.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        let next = path.with_extension("next~");
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the machine");
        fs::write(&next, text).expect("a file of the machine");
        fs::rename(&next, path).expect("a file of the machine");
    }

    /// Makes a named pipe: whoever opens it waits for the other end.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub(crate) fn pipe(&self, inside: &str) {
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, self.path(inside), FileType::Fifo, mode, 0).expect("a named pipe");
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("boot.sh")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Boots it, and waits until all units of `multi-user.target` are active.
    ///
    /// # Panics
    /// When systemd does not run here, or a unit fails.
    #[track_caller]
    pub(crate) fn boot(&mut self) {
        assert!(
            Path::new("/usr/lib/systemd/systemd").exists(),
            "systemd is not installed (package systemd)"
        );
        let mut command = self.ns.command("sh");
        command
            .arg(self.script())
            .args(["start", &self.group])
            .arg(self.path(""))
            .arg(program("tapwayd", "TAPWAYD_BIN"))
            .arg(program("tapway", "TAPWAY_BIN"));
        let mut process = Proc::spawn("the machine", &mut command, &self.log());
        self.init = wait_for(SOON, "systemd is the first process", || {
            assert!(process.is_running(), "no systemd here: {}", process.log());
            self.first_process().ok_or_else(|| process.log())
        });
        self.process = Some(process);
        wait_for(SOON, "the machine is up", || {
            let state = self.systemctl("is-system-running");
            match state.out.trim() {
                "running" => Ok(()),
                "degraded" => panic!("{}", self.systemctl("--failed").out),
                _ => Err(format!("{state:?}")),
            }
        });
    }

    /// systemd, among all that runs in the namespace.
    fn first_process(&self) -> Option<u32> {
        self.ns.pids().into_iter().find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            field(&status, "Name") == "systemd"
                && field(&status, "NSpid").split_whitespace().nth(1) == Some("1")
        })
    }

    /// Runs a command inside, as root.
    ///
    /// # Panics
    /// When it cannot be run.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.enter(self.init, words)
    }

    /// Runs a command with the mounts of one of the machine's processes.
    ///
    /// # Panics
    /// When it cannot be run.
    #[track_caller]
    fn enter(&self, pid: u32, words: &[&str]) -> Said {
        let output = Command::new("timeout")
            .args([COMMAND, "nsenter", "--target", &pid.to_string()])
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(words)
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) => Said::from(output),
            Err(e) => panic!("cannot run {words:?} in the machine: {e}"),
        }
    }

    /// Runs `systemctl` with these words.
    ///
    /// # Panics
    /// When it cannot be run.
    #[track_caller]
    pub(crate) fn systemctl(&self, words: &str) -> Said {
        let mut all = vec!["systemctl", "--no-pager", "--plain"];
        all.extend(words.split_whitespace());
        self.run(&all)
    }

    /// Runs `systemctl`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub(crate) fn do_systemctl(&self, words: &str) {
        let said = self.systemctl(words);
        assert_eq!(said.code, Some(0), "systemctl {words}: {said:?}");
    }

    /// A property of a unit.
    ///
    /// # Panics
    /// When it cannot be asked.
    #[track_caller]
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let said = self.systemctl(&format!("show --value --property {name} {unit}"));
        assert_eq!(said.code, Some(0), "{said:?}");
        said.out.trim().to_string()
    }

    /// The daemon's pid inside.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub(crate) fn main_pid(&self) -> u32 {
        let pid = self.property("tapwayd", "MainPID");
        match pid.parse() {
            Ok(pid) if pid > 0 => pid,
            _ => panic!("tapwayd has pid {pid:?}"),
        }
    }

    /// The daemon's pid outside.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub(crate) fn outer_pid(&self) -> u32 {
        let inside = self.main_pid().to_string();
        let found = self.ns.pids().into_iter().find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            field(&status, "NSpid").split_whitespace().nth(1) == Some(&inside)
        });
        found.unwrap_or_else(|| panic!("no process {inside} in the machine"))
    }

    /// Runs `tapway` inside, as an operator does: it finds the daemon by itself.
    ///
    /// # Panics
    /// When it cannot be run.
    #[track_caller]
    pub(crate) fn tapway(&self, words: &[&str]) -> Said {
        let mut all = vec!["tapway"];
        all.extend(words);
        self.run(&all)
    }

    /// What the journal has of a unit, or of all.
    ///
    /// # Panics
    /// When it cannot be read.
    #[track_caller]
    pub(crate) fn journal(&self, unit: Option<&str>) -> String {
        // From outside: it can be read when the machine is off, too.
        let mut journalctl = Command::new("journalctl");
        journalctl
            .args(["--no-pager", "--output=short-monotonic", "--directory"])
            .arg(self.path("run/log/journal"));
        if let Some(unit) = unit {
            journalctl.args(["--unit", unit]);
        }
        match journalctl.output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(e) => panic!("cannot run journalctl: {e}"),
        }
    }

    /// Waits until the machine is off, and says how its first process ended.
    ///
    /// # Panics
    /// When it stays on.
    #[track_caller]
    pub(crate) fn wait_off(&mut self) -> ExitStatus {
        let ended = self.process.take().expect("it was booted").wait(SOON);
        self.remove_group();
        ended
    }

    /// The limit that holds for all that runs in the machine: none where root may raise it (CAP_SYS_RESOURCE), as on every
    /// machine but some virtual ones.
    ///
    /// # Panics
    /// When the machine is off.
    #[track_caller]
    pub(crate) fn limit(&self, name: &str) -> Option<u64> {
        let init = |file| fs::read_to_string(format!("/proc/{}/{file}", self.init)).expect("proc");
        let status = init("status");
        let bits = u64::from_str_radix(field(&status, "CapEff"), 16).expect("capabilities");
        if bits & 1 << 24 == 0 {
            limit(&init("limits"), name)
        } else {
            None
        }
    }

    fn remove_group(&self) {
        let removed = try_wait_for(SOON, "the control group is removed", || {
            self.run_script(&["remove", &self.group])
        });
        if let Err(error) = removed {
            eprintln!("{error}");
        }
    }

    fn run_script(&self, words: &[&str]) -> Result<(), String> {
        let output = Command::new("unshare")
            .args(["--mount", "sh"])
            .arg(self.script())
            .args(words)
            .output()
            .map_err(|e| format!("cannot run unshare (package util-linux): {e}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the machine's journal:\n{}", self.journal(None));
        }
        self.process = None;
        self.remove_group();
    }
}

/// What a command in the machine said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A line of `/proc/PID/status`, without its name.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map_or("", str::trim)
}

/// A hard limit of `/proc/PID/limits`, none when there is none.
pub(crate) fn limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Our own control group, below which there is room for others.
///
/// # Panics
/// When the kernel has no cgroup2.
#[track_caller]
fn own_group() -> String {
    let groups = fs::read_to_string("/proc/self/cgroup").expect("/proc/self/cgroup");
    match groups.lines().find_map(|line| line.strip_prefix("0::")) {
        Some(path) => path.trim_end_matches('/').to_string(),
        None => panic!("there is no cgroup2 here, and systemd needs it: {groups}"),
    }
}
