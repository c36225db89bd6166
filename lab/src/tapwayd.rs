//! The daemon under test: its files in a folder of its own, its process, its answers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tapway_api::announcement::Announcement;
use tapway_api::list::List;
use tapway_api::peer::{Peer, SessionState};
use tapway_api::status::Status;
use tapway_model::spec::InstanceSpec;
use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Proc;
use crate::toml_text::toml_text;
use crate::wait::wait_for;

/// How long the daemon may take to answer, and to end.
const PROMPT: Duration = Duration::from_secs(10);

/// Exit code of `tapway` when the daemon cannot be reached.
const UNREACHABLE: i32 = 3;

/// A tapwayd in a namespace. Dropping it kills it.
#[derive(Debug)]
pub struct Tapwayd {
    // Dropped first, while its files are there.
    process: Option<Proc>,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    _temporary: Option<TempDir>,
}

/// What the command line answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit code: 0 done, 1 no or unhealthy, 2 usage, 3 unreachable.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Tapwayd {
    /// Starts a daemon and waits until it answers. `config` is the configuration file as JSON; the
    /// source `files`, on an empty folder, is added when it is not in there.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(ns: &Netns, config: Value) -> Tapwayd {
        let tapwayd = Tapwayd::prepare(ns, config);
        tapwayd.launched(ns)
    }

    /// Makes the daemon's folder and files, and starts nothing yet.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[track_caller]
    pub fn prepare(ns: &Netns, config: Value) -> Tapwayd {
        let (folder, temporary) = if ns.is_kept() {
            // Named like the namespace, so that people find it.
            let folder = std::env::temp_dir().join(ns.name());
            fs::create_dir(&folder).expect("a folder of the namespace's name");
            (folder, None)
        } else {
            let temporary = tempfile::tempdir().expect("a temporary directory");
            (temporary.path().to_path_buf(), Some(temporary))
        };
        let tapwayd = Tapwayd {
            process: None,
            folder,
            arguments: Vec::new(),
            environment: Vec::new(),
            _temporary: temporary,
        };
        fs::create_dir(tapwayd.instances()).expect("a folder for instances");
        tapwayd.configure(config);
        tapwayd
    }

    /// Adds arguments to the daemon's command line, for its next start.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Tapwayd {
        self.arguments
            .extend(arguments.iter().map(|a| a.to_string()));
        self
    }

    /// Sets a variable of the daemon's environment, for its next start.
    pub fn set_environment(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    #[track_caller]
    fn launched(mut self, ns: &Netns) -> Tapwayd {
        self.restart(ns);
        self
    }

    /// Starts it, again or for the first time, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn restart(&mut self, ns: &Netns) {
        self.launch(ns);
        wait_for(PROMPT, format!("tapwayd in {} answers", ns.name()), || {
            if !self.is_running() {
                panic!("tapwayd in {} ended:\n{}", ns.name(), self.log());
            }
            match self.tapway(&["status"]) {
                answer if answer.code == UNREACHABLE => Err(answer.err),
                answer => Ok(answer),
            }
        });
    }

    /// Starts it without waiting.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[track_caller]
    pub fn launch(&mut self, ns: &Netns) {
        let mut command = ns.command(program("tapwayd", "TAPWAYD_BIN"));
        command.arg("--config").arg(self.config_file());
        command.arg("--state-dir").arg(self.state());
        command.arg("--socket").arg(self.socket());
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = Proc::spawn("tapwayd", &mut command, &self.folder.join("log"));
        if ns.is_kept() {
            process.outlive();
        }
        self.process = Some(process);
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end (SIGTERM), as an upgrade does, and waits for it.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(PROMPT);
        }
    }

    /// The folder of the command line that is used here.
    pub fn programs() -> Option<PathBuf> {
        Some(program("tapway", "TAPWAY_BIN").parent()?.to_path_buf())
    }

    /// Its process, when it was started and not ended by this value.
    pub fn process(&mut self) -> Option<&mut Proc> {
        self.process.as_mut()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Proc::is_running)
    }

    /// What it logged, in all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the log contains `text`: it is written by another thread than the one that acts.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn logs(&self, text: &str) {
        wait_for(PROMPT, format!("the log says {text:?}"), || {
            let log = self.log();
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("tapway.toml")
    }

    /// The folder that the source `files` watches.
    pub fn instances(&self) -> PathBuf {
        self.folder.join("instances.d")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Its API's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("tapway.sock")
    }

    /// Writes another configuration file; the daemon reads it when told to, or at its next start.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn configure(&self, mut config: Value) {
        if config["source"]["files"].get("path").is_none() {
            config["source"]["files"]["path"] = json!(self.instances());
        }
        write(&self.config_file(), &toml_text(&config));
    }

    /// Writes an instance's file, in one step.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn put(&self, spec: &InstanceSpec) {
        let value = serde_json::to_value(spec).expect("a specification is JSON");
        self.put_text(&spec.name, &toml_text(&value));
    }

    /// Writes any text as an instance's file, in one step.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn put_text(&self, name: &str, text: &str) {
        write(&self.instances().join(format!("{name}.toml")), text);
    }

    /// Deletes an instance's file.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn delete(&self, name: &str) {
        fs::remove_file(self.instances().join(format!("{name}.toml"))).expect("an instance's file");
    }

    /// Runs `tapway` with these arguments.
    ///
    /// # Panics
    /// When it cannot be run, or was ended by a signal.
    #[track_caller]
    pub fn tapway(&self, arguments: &[&str]) -> Answer {
        let output = Command::new(program("tapway", "TAPWAY_BIN"))
            .arg("--socket")
            .arg(self.socket())
            .args(arguments)
            .output();
        match output {
            Ok(output) => Answer {
                code: output.status.code().expect("tapway exits by itself"),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::from_utf8_lossy(&output.stderr).into_owned(),
            },
            Err(e) => panic!("cannot run tapway: {e}"),
        }
    }

    /// The API's JSON: `tapwayd.json::<Status>(&["status"])`.
    ///
    /// # Panics
    /// When the answer is no such value.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let mut all = vec!["-o", "json"];
        all.extend(arguments);
        let answer = self.tapway(&all);
        serde_json::from_str(&answer.out)
            .unwrap_or_else(|e| panic!("tapway {arguments:?}: {e}: {answer:?}"))
    }

    /// The daemon at a glance.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.json(&["status"])
    }

    /// Its peers.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn peers(&self) -> Vec<Peer> {
        self.json::<List<Peer>>(&["peer", "list"]).items
    }

    /// What it announces.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn announcements(&self) -> Vec<Announcement> {
        self.json::<List<Announcement>>(&["announcement", "list"])
            .items
    }

    /// Applies an instance through the API.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn apply(&self, spec: &InstanceSpec) {
        let file = self.folder.join("apply.json");
        write(
            &file,
            &serde_json::to_string(spec).expect("a specification is JSON"),
        );
        let answer = self.tapway(&["instance", "apply", "-f", &file.to_string_lossy()]);
        assert_eq!(answer.code, 0, "{answer:?}");
    }

    /// Waits until all sessions are established.
    ///
    /// # Panics
    /// When they are not in time.
    #[track_caller]
    pub fn wait_established(&self, limit: Duration) {
        wait_for(limit, "all sessions are established", || {
            let peers = self.peers();
            let up = peers.iter().all(|p| p.state == SessionState::Established);
            if up && !peers.is_empty() {
                Ok(())
            } else {
                Err(peers
                    .iter()
                    .map(|p| {
                        let error = p.last_error.as_deref().unwrap_or("no error");
                        format!("{} {:?} ({error})", p.name, p.state)
                    })
                    .collect::<Vec<_>>()
                    .join(", "))
            }
        });
    }
}

/// Writes a file whole: a reader sees the old one or the new one.
#[track_caller]
fn write(path: &Path, text: &str) {
    let next = path.with_extension("next~");
    fs::write(&next, text).expect("a file of the daemon");
    fs::rename(&next, path).expect("a file of the daemon");
}

/// A program of this workspace: named by the environment, or beside the test that runs.
///
/// # Panics
/// When it is not built.
#[track_caller]
pub fn program(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let me = std::env::current_exe().expect("the path of this program");
    me.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!(
                "{name} is not built; run `cargo build --workspace --bins`, or set {variable} to its path"
            )
        })
}
