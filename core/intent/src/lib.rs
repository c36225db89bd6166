//! What the sources say, merged into one set of claims, with conflicts as values.
//!
//! Sources put instances; [`Intent`] knows for every prefix who holds it, what is in conflict, what
//! cannot be used, and what must be remembered across a restart. It knows no clock, socket, file or
//! thread: events and moments go in, [`Change`]s and [`Record`]s come out, everything else is asked for.
//!
//! At the start: [`Intent::set_networks`], [`Intent::set_source`] for each source,
//! [`Intent::restore_order`], [`Intent::restore`] for each persisted instance; then events.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod ask;
mod change;
mod claim;
mod effective;
mod intent;
mod lines;
mod merge;
mod order;
mod problem;
mod source;
mod table;

#[cfg(test)]
mod tests;

pub use change::{Change, OrderKey, OrderRecord, Record};
pub use effective::{
    ClaimRef, Conflict, Coverage, Covering, Effective, Holder, Kinds, MergedNic, Standing,
};
pub use intent::Intent;
pub use problem::{Problem, ProblemReason};
pub use source::{InstanceView, SourceConfig, SourceEvent, SourceState, SourceSummary};
