//! What happens in a namespace's kernel.

use std::time::Duration;

use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Proc;
use crate::wait::wait_for;

/// How long `ip monitor` may take to say what has happened.
const PROMPT: Duration = Duration::from_secs(10);

/// Marks are routes to addresses of this beginning.
const MARK: &str = "240.99.0.";

/// `ip monitor`, from its start to [`Recorder::end`].
#[derive(Debug)]
pub struct Recorder {
    process: Proc,
    marks: u8,
    _folder: TempDir,
}

impl Recorder {
    /// Follows what changes of these: words of `ip monitor`, with `route` among them.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(ns: &Netns, objects: &[&str]) -> Recorder {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = ns.command("ip");
        command
            .args(["-details", "-oneline", "monitor"])
            .args(objects);
        let process = Proc::spawn("ip monitor", &mut command, &folder.path().join("log"));
        let mut recorder = Recorder {
            process,
            marks: 0,
            _folder: folder,
        };
        recorder.mark(ns);
        recorder
    }

    /// Changes something of nobody's and waits until it is recorded: all before it is, too.
    #[track_caller]
    fn mark(&mut self, ns: &Netns) {
        self.marks += 1;
        let mark = format!("{MARK}{}", self.marks);
        wait_for(PROMPT, "the recorder hears", || {
            // Again and again: at first it may not listen yet.
            ns.try_exec(&format!("ip route add blackhole {mark}"));
            ns.try_exec(&format!("ip route del blackhole {mark}"));
            if self.process.log().contains(&mark) {
                Ok(())
            } else {
                Err("nothing")
            }
        });
    }

    /// All that was recorded, a line for each change.
    ///
    /// # Panics
    /// When it does not hear any more.
    #[track_caller]
    pub fn end(mut self, ns: &Netns) -> Vec<String> {
        self.mark(ns);
        let log = self.process.log();
        let lines = log.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.contains(MARK))
            .map(str::to_owned)
            .collect()
    }
}
