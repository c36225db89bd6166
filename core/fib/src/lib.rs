//! Kernel state as values: what is wanted, what is there, and what to change.
#![no_std]
extern crate alloc;

mod fib;
mod notice;
mod object;

pub use fib::Fib;
pub use notice::{Batch, BatchId, LinkChange, Notice, Status};
pub use object::*;
