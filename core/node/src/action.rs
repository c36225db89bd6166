//! What the node asks its shell to do, and what it has to tell.

use alloc::string::String;
use alloc::vec::Vec;

use tapway_fib::{Batch, IfIndex};

use crate::config::Listener;

/// Something for the shell to do. Drained with `Node::poll_action` after every `handle_*`.
#[derive(Clone, Debug)]
pub enum Action {
    /// Apply these changes to the kernel and answer with `Node::handle_outcomes`.
    Kernel(Batch),
    /// What is known of the kernel may be wrong: scan it all again.
    Scan,
    /// There may be bytes for a connection again: drain `Node::poll_transmit`, then go on.
    Transmit,
    /// Something for the BGP connections.
    Bgp(tapway_bgp::Action),
    /// Listen on exactly these.
    Listen(Vec<Listener>),
    /// Send router advertisements (lifetime 0) on exactly these interfaces, so that unnumbered
    /// peers learn our link-local address.
    Advertise(Vec<IfIndex>),
    /// Read this sysctl (a path below `/proc/sys/net`), tell its value, and watch it from now on.
    WatchSysctl(String),
}

/// Something that the network does not wait for. Drained with `Node::poll_report` when the actions are
/// done, so that neither disk nor log stands before a kernel change or an UPDATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Keep this for the next start.
    Record(Record),
    /// Tell people.
    Event(Event),
}

/// Something that must be there again after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What a source said, or the order of owners.
    Intent(tapway_intent::Record),
    /// The value that a sysctl had before we changed it.
    Sysctl {
        /// Path below `/proc/sys/net`.
        path: String,
        /// The value found.
        old: String,
    },
}

/// How much an event matters to somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Part of normal work.
    Info,
    /// Somebody should look.
    Warning,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How much it matters.
    pub level: Level,
    /// A stable word pair: `claim.announced`, `peer.up`, `kernel.repaired`, …
    pub kind: &'static str,
    /// What it is about: a prefix, a peer, an interface.
    pub subject: String,
    /// A sentence for people.
    pub text: String,
}
