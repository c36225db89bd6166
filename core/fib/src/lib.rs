//! Kernel state as values: what is wanted, what is there, and what to change.
//!
//! [`Fib`] is a pure reconciler: wants and kernel messages in, batches of [`Change`] and [`Notice`]s out.
//! Objects are ours by their protocol number; nothing else is ever changed or removed. [`sim`] is a small
//! kernel to test it, and whole hypervisors, against. No clock, socket, file or thread.
#![no_std]
extern crate alloc;

mod bulk;
mod command;
mod compare;
mod fib;
mod links;
mod mirror;
mod notice;
mod object;
mod search;
pub mod sim;
mod slot;
mod stage;
mod world;

pub use fib::Fib;
pub use notice::{Batch, BatchId, LinkChange, Notice, Status};
pub use object::*;
pub use search::{RouteList, RouteSearch};
