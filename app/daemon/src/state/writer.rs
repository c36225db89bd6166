//! The thread that writes the log, and the handle to it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Place;
use super::load::log_path;
use super::log::Batch;
use super::queue::{Job, Queue};
use super::record::Record;

/// Called on the writer's thread once the records are on the disk, or with why they are not yet. In
/// the latter case they are tried again all the same.
pub type Ack = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What the writer's thread has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Records were written: there is room in the queue, and the disk works.
    Kept,
    /// Records could not be written. Said at every attempt that fails.
    Failing(String),
    /// Something else did not work out; nothing is lost.
    Notice(String),
}

/// The queue is full: the disk is slow or fails. The records are given back, to be kept and tried
/// again after the next [`Progress::Kept`]; who waits, is given back as well.
pub struct Full {
    /// The records.
    pub records: Vec<Record>,
    /// Who waits.
    pub ack: Option<Ack>,
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full")
            .field("records", &self.records.len())
            .finish()
    }
}

/// First pause after a failure; doubled with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hands records to the thread that writes them.
pub struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("queued", &self.queue.len())
            .finish()
    }
}

impl Writer {
    pub(super) fn start(
        place: Place,
        capacity: usize,
        progress: Box<dyn FnMut(Progress) + Send>,
    ) -> io::Result<Writer> {
        let queue = Arc::new(Queue::new(capacity));
        let worker = Worker {
            place,
            queue: queue.clone(),
            progress,
        };
        let thread = std::thread::Builder::new()
            .name("state".into())
            .spawn(move || worker.run())?;
        Ok(Writer {
            queue,
            thread: Some(thread),
        })
    }

    /// Queues records, in order; `ack` is called when they and all before them are written. No
    /// records: it is called when all before are. Never waits.
    ///
    /// # Errors
    /// When the queue is full, or closed.
    pub fn append(&self, records: Vec<Record>, ack: Option<Ack>) -> Result<(), Full> {
        let pushed = self.queue.push(Job { records, ack });
        pushed.map_err(|Job { records, ack }| Full { records, ack })
    }

    /// Writes what is queued, and ends. With a disk that fails, there is one more attempt.
    ///
    /// # Errors
    /// When records were lost, and why.
    pub fn close(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        self.queue.close();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("the thread that writes the state log panicked".into()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.end();
    }
}

struct Worker {
    place: Place,
    queue: Arc<Queue>,
    progress: Box<dyn FnMut(Progress) + Send>,
}

impl Worker {
    fn run(mut self) -> Result<(), String> {
        self.compact();
        while let Some(jobs) = self.queue.take() {
            let mut batch = Batch::default();
            let mut acks = Vec::new();
            for job in jobs {
                let mut refused = None;
                for record in &job.records {
                    if let Err(reason) = batch.push(record) {
                        (self.progress)(Progress::Notice(reason.clone()));
                        refused = Some(reason);
                    }
                }
                match (job.ack, refused) {
                    (Some(ack), Some(reason)) => ack(Err(reason)),
                    (Some(ack), None) => acks.push(ack),
                    (None, _) => {}
                }
            }
            self.write(&batch, acks)?;
            self.compact();
        }
        Ok(())
    }

    /// Writes until it works, or until the daemon ends.
    fn write(&mut self, batch: &Batch, mut acks: Vec<Ack>) -> Result<(), String> {
        let mut pause = FIRST_PAUSE;
        let mut last = false;
        while !batch.is_empty() {
            let Err(reason) = self.append(batch) else {
                break;
            };
            acks.append(&mut self.queue.take_acks());
            for ack in acks.drain(..) {
                ack(Err(reason.clone()));
            }
            if last {
                let lost = batch.len() + self.queue.len();
                return Err(format!("{lost} records were lost: {reason}"));
            }
            (self.progress)(Progress::Failing(reason));
            last = self.queue.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        for ack in acks {
            ack(Ok(()));
        }
        (self.progress)(Progress::Kept);
        Ok(())
    }

    fn append(&mut self, batch: &Batch) -> Result<(), String> {
        if let Place::Closed(dir) = &self.place {
            let (open, found) = Place::open(dir).map_err(|error| error.to_string())?;
            self.place = open;
            for problem in found.problems {
                (self.progress)(Progress::Notice(problem.to_string()));
            }
        }
        match &mut self.place {
            Place::Open { log, .. } => log.append(batch).map_err(|error| {
                format!(
                    "{}: cannot be written: {error}",
                    log_path(&log.dir).display()
                )
            }),
            // It was opened above.
            Place::Closed(dir) => Err(format!("{}: is not open", dir.display())),
        }
    }

    fn compact(&mut self) {
        let Place::Open { log, .. } = &mut self.place else {
            return;
        };
        if let Err(error) = log.compact() {
            let path = log_path(&log.dir);
            (self.progress)(Progress::Notice(format!(
                "{}: cannot be written anew without what is out of date: {error}; the old file stays in use",
                path.display()
            )));
        }
    }
}
