//! Log lines on standard error; without time stamps under systemd, which adds its own.
//!
//! A thread writes them: whoever logs never waits for the other end. When that takes nothing (a stopped
//! journald, a full pipe), lines wait up to a bound; those beyond it are lost, and counted in a line of
//! their own once writing goes on.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const LINES: usize = 8192;
/// How long the end of the daemon waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts logging at `level`: a level, or directives like `tapway=debug`. Lines wait until
/// [`Log::begin`].
pub fn start(level: &str) -> Log {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|error| {
        eprintln!("--log {level:?} is not understood ({error}); logging at info");
        EnvFilter::new("info")
    });
    let log = Log(Arc::new(Lines::new(LINES)));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log.clone())
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().init();
    } else {
        lines.init();
    }
    log
}

/// Where log lines go.
#[derive(Clone, Debug)]
pub struct Log(Arc<Lines>);

impl Log {
    /// Starts the thread that writes them. Signals must be blocked by now: the thread takes none.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn begin(&self) -> io::Result<()> {
        let lines = self.0.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || lines.write(&mut io::stderr()))?;
        self.0.lock().has_writer = true;
        Ok(())
    }

    /// Waits until every line is written, but not longer than a second.
    pub fn finish(&self) {
        if self.0.lock().has_writer {
            self.0.wait_written(LAST_LINES);
        } else {
            let (lines, lost) = self.0.lock().take();
            write_lines(&mut io::stderr(), &lines, lost);
        }
    }
}

/// Lets a panic, which ends the process, wait for the lines that say what led to it.
pub fn finish_before_panics(log: &Log) {
    let (log, print) = (log.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        log.finish();
        print(panic);
    }));
}

/// One line is one write.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Lines that wait.
#[derive(Debug)]
struct Lines {
    capacity: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Box<[u8]>>,
    /// Lines that found no room since the last that did.
    lost: u64,
    has_writer: bool,
    /// Lines were taken that are not written yet.
    writing: bool,
}

impl Waiting {
    fn take(&mut self) -> (VecDeque<Box<[u8]>>, u64) {
        (
            std::mem::take(&mut self.lines),
            std::mem::take(&mut self.lost),
        )
    }
}

impl Lines {
    fn new(capacity: usize) -> Lines {
        Lines {
            capacity,
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Plain data that is whole between any two statements: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() >= self.capacity {
            waiting.lost += 1;
            return;
        }
        waiting.lines.push_back(line.into());
        self.changed.notify_all();
    }

    /// Writes lines as they come, for ever.
    fn write(&self, out: &mut impl Write) {
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() {
                waiting.writing = false;
                self.changed.notify_all();
                waiting = self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            waiting.writing = true;
            let (lines, lost) = waiting.take();
            drop(waiting);
            write_lines(out, &lines, lost);
        }
    }

    fn wait_written(&self, limit: Duration) {
        let waiting = self.lock();
        let _ = self
            .changed
            .wait_timeout_while(waiting, limit, |w| w.writing || !w.lines.is_empty());
    }
}

/// What cannot be written has nowhere else to go.
fn write_lines(out: &mut impl Write, lines: &VecDeque<Box<[u8]>>, lost: u64) {
    for line in lines {
        let _ = out.write_all(line);
    }
    if lost > 0 {
        let _ = writeln!(
            out,
            " WARN {lost} log lines were lost here: nobody took them in time"
        );
    }
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// Tells of every write, and lets it pass when told to.
    struct Narrow {
        asks: SyncSender<String>,
        passes: Receiver<()>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.asks
                .send(text)
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.passes.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_the_bound_are_counted() {
        let lines = Arc::new(Lines::new(3));
        let ((asks, asked), (pass, passes)) = (sync_channel(0), sync_channel(100));
        let mut out = Narrow { asks, passes };
        let writer = lines.clone();
        std::thread::spawn(move || writer.write(&mut out));
        let next = || asked.recv_timeout(SOON).expect("a write");
        lines.push(b"one\n");
        assert_eq!(next(), "one\n");
        // It is stuck there. Three fit, the others do not, and nobody waits.
        for line in ["two\n", "three\n", "four\n", "five\n", "six\n"] {
            lines.push(line.as_bytes());
        }
        lines.wait_written(Duration::from_millis(1));
        assert!(lines.lock().writing, "one is not written yet");
        for _ in 0..100 {
            pass.send(()).expect("the writer");
        }
        let mut rest = String::new();
        while !rest.ends_with("in time\n") {
            rest += &next();
        }
        let said = "two\nthree\nfour\n WARN 2 log lines were lost here: nobody took them in time\n";
        assert_eq!(rest, said);
        lines.push(b"seven\n");
        assert_eq!(next(), "seven\n");
        lines.wait_written(SOON);
        let waiting = lines.lock();
        assert!(!waiting.writing && waiting.lines.is_empty() && waiting.lost == 0);
    }
}
