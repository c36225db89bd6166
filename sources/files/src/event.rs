//! What the source says.

use tapway_document::Problem;
use tapway_intent::SourceEvent;

/// What the source says.
#[derive(Clone, Debug, PartialEq)]
pub enum FileEvent {
    /// About instances.
    Source(SourceEvent),
    /// A file is broken; replaces an earlier problem of the same file. What it said last stays.
    Problem(Problem),
    /// A file that was broken is not any more, or is gone.
    Mended {
        /// The file, as in [`Problem::file`].
        file: String,
    },
    /// More happened at once than the kernel queues (`fs.inotify.max_queued_events`). The listing that
    /// follows says all of it, what is gone too.
    Overrun,
}

/// Nobody listens any more: the source ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the source's events is gone")]
pub struct Closed;
