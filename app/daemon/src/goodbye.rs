//! The two ways to stop: for a restart, and for good.

use std::time::Duration;

use tapway_model::Instant;

use crate::daemon::{Daemon, Exit, event, now};
use crate::http::{ApiReply, Responder};
use tapway_node::Level;

/// How long peers have to take the last messages.
const PEERS: Duration = Duration::from_secs(2);
/// How long the kernel has to let go of everything.
const KERNEL: Duration = Duration::from_secs(5);

enum Stage {
    /// The loop ends at once; sockets close without a word, as graceful restart wants it (RFC 4724 §4).
    Restart,
    /// Withdrawals and notifications are on their way.
    Peers,
    /// Objects are being removed.
    Kernel,
}

/// A stop under way.
pub struct Goodbye {
    stage: Stage,
    deadline: Instant,
    responders: Vec<Responder>,
}

impl Goodbye {
    /// Leaves everything as it is.
    pub fn restart() -> Goodbye {
        Goodbye {
            stage: Stage::Restart,
            deadline: now(),
            responders: Vec::new(),
        }
    }

    /// When the present stage ends at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Daemon {
    /// Begins to withdraw everything.
    pub(crate) fn begin_shutdown(&mut self, message: &str, responder: Option<Responder>) {
        if let Some(goodbye) = &mut self.goodbye {
            goodbye.responders.extend(responder);
            return;
        }
        self.notifier.stopping();
        self.tell(event(
            "daemon.shutdown",
            Level::Info,
            "tapwayd",
            format!("withdrawing everything: {message}"),
        ));
        self.node.shutdown(now(), message);
        self.goodbye = Some(Goodbye {
            stage: Stage::Peers,
            deadline: now() + PEERS,
            responders: responder.into_iter().collect(),
        });
    }

    /// Whether the loop is over, and how.
    pub(crate) fn exit(&mut self) -> Option<Exit> {
        let goodbye = self.goodbye.as_mut()?;
        if let Stage::Restart = goodbye.stage {
            return Some(Exit::Restart);
        }
        let late = goodbye.deadline <= now();
        if let Stage::Peers = goodbye.stage {
            let is_open = |peer: tapway_bgp::PeerSummary| peer.connection.is_some();
            let open = self.node.speaker().peers().any(is_open);
            if !late && (open || self.connections.lingers()) {
                return None;
            }
            goodbye.stage = Stage::Kernel;
            goodbye.deadline = now() + KERNEL;
            self.node.unwire(now());
            self.drain();
        }
        let goodbye = self.goodbye.as_mut()?;
        let differs = self.node.fib().differs();
        if differs && goodbye.deadline > now() {
            return None;
        }
        if differs {
            let left = self.node.fib().plan().len();
            tracing::warn!(left, "the kernel did not let go of everything in time");
        }
        self.store.gone();
        for responder in goodbye.responders.drain(..) {
            responder.send(Ok(ApiReply::done(
                "everything is withdrawn and removed; tapwayd has ended",
            )));
        }
        Some(Exit::Gone)
    }
}
