//! When the loop runs before other programs (`--realtime`): for events, not for bulk work.

use std::io;
use std::time::Duration;

use tapway_model::Instant;
use tapway_sys::priority;

/// Who is busy for longer does bulk work, which can wait for others; and others wait for this CPU: our own threads, the
/// kernel's, guests that are tied to it.
const BULK: Duration = Duration::from_millis(50);

/// The loop's priority.
#[derive(Debug, Default)]
pub struct Priority {
    wanted: bool,
    raised: bool,
    /// Since when the loop has not rested.
    busy: Option<Instant>,
}

impl Priority {
    /// Raises the calling thread's if `wanted`; says why when that is not possible.
    pub fn begin(wanted: bool) -> Priority {
        let mut all = Priority {
            wanted,
            ..Priority::default()
        };
        if wanted && let Err(error) = all.raise() {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; give the unit LimitRTPRIO=1, and its control group a real-time budget where the kernel has such budgets"
                }
                _ => "",
            };
            tracing::warn!("--realtime has no effect: {error}{remedy}");
            all.wanted = false;
        }
        all
    }

    /// The loop is about to wait, or, when it `rests` not, to go on with what is left.
    pub fn turn(&mut self, now: Instant, rests: bool) {
        if !self.wanted {
            return;
        }
        if rests {
            self.busy = None;
            // It was possible before.
            let _ = self.raise();
        } else {
            let since = *self.busy.get_or_insert(now);
            if self.raised && now.since(since) >= BULK && priority::run_among_others().is_ok() {
                self.raised = false;
            }
        }
    }

    fn raise(&mut self) -> io::Result<()> {
        if !self.raised {
            priority::run_before_others()?;
            self.raised = true;
        }
        Ok(())
    }
}
