//! The whole agent as one value: what sources, kernel and peers say in, what to do out.
//!
//! [`Node`] joins [`tapway_intent`] (who owns what), [`tapway_fib`] (what the kernel holds) and
//! [`tapway_bgp`] (what the network is told). The shell calls `handle_*` with what happened and the time,
//! answers [`Node::poll_lookups`], drains [`Node::poll_transmit`], [`Node::poll_action`] and
//! [`Node::poll_report`], then sleeps until [`Node::poll_timeout`]. The same value runs in the daemon, in simulation and in replay.
//!
//! The order that the design asks for lives here: a claim is announced when the kernel has confirmed
//! its route, and withdrawn before the route goes.
#![no_std]

extern crate alloc;

mod action;
mod config;
mod describe;
mod explain;
mod forwarding;
mod imports;
mod next_hops;
mod node;
mod received;
mod speech;
mod subnets;
mod uplink;
mod way;
mod wiring;

pub use action::{Action, Event, Level, Record, Report};
pub use config::{Listen, Listener, NodeConfig, PeerKey, RouterSettings};
pub use describe::describe;
pub use explain::{Explanation, Stage, Step, Verdict};
pub use imports::IMPORT_METRIC;
pub use next_hops::{Lookup, Reached, Unresolved};
pub use node::commands::{Reset, ResetDone};
pub use node::foresee::Foreseen;
pub use node::{Node, Restored, Start};
pub use way::Way;
pub use wiring::{Blocked, CLAIM_METRIC, ClaimId, Gate, LAST_RESORT_METRIC};
