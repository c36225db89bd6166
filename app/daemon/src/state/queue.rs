//! The bounded queue between the loop, which never waits, and the thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::Record;
use super::writer::Ack;

/// Records, and who waits for them.
pub(super) struct Job {
    pub(super) records: Vec<Record>,
    pub(super) ack: Option<Ack>,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Records in `jobs`.
    records: usize,
    closed: bool,
}

pub(super) struct Queue {
    capacity: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    /// A queue of at most `capacity` records, and as many who wait.
    pub(super) fn new(capacity: usize) -> Queue {
        Queue {
            capacity: capacity.max(1),
            inner: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The lock guards plain data that is whole between any two statements: a panic elsewhere does
    /// not spoil it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, or gives it back when it does not fit. Into an empty queue, everything fits.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let mut inner = self.lock();
        let full =
            inner.records + job.records.len() > self.capacity || inner.jobs.len() >= self.capacity;
        if inner.closed || (full && !inner.jobs.is_empty()) {
            return Err(job);
        }
        inner.records += job.records.len();
        inner.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Everything that waits; waits for something. `None` when there is nothing and never will be.
    pub(super) fn take(&self) -> Option<VecDeque<Job>> {
        let mut inner = self.lock();
        while inner.jobs.is_empty() {
            if inner.closed {
                return None;
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner.records = 0;
        Some(std::mem::take(&mut inner.jobs))
    }

    /// Those who wait for jobs that are still queued; the records stay.
    pub(super) fn take_acks(&self) -> Vec<Ack> {
        let mut inner = self.lock();
        inner
            .jobs
            .iter_mut()
            .filter_map(|job| job.ack.take())
            .collect()
    }

    /// Waits for `pause`, or until the queue is closed; true when it is.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let inner = self.lock();
        let (inner, _) = self
            .changed
            .wait_timeout_while(inner, pause, |inner| !inner.closed)
            .unwrap_or_else(PoisonError::into_inner);
        inner.closed
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Records that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().records
    }
}
