//! Kernel state as values: what is wanted, what is there, and what to change.
#![no_std]
extern crate alloc;

mod object;

pub use object::*;
