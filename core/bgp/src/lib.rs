//! The BGP speaker: sessions, RIB, policy.
#![no_std]
extern crate alloc;

pub mod config;
