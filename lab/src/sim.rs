//! One hypervisor and its fabric router on a virtual clock: the daemon's [`Node`] against a small kernel
//! ([`tapway_fib::sim`]) and a second [`Speaker`], with a network of zero loss and a fixed delay between
//! them, and a disk that keeps records late.
//!
//! Nothing here sleeps or knows the real time; the same steps give the same world.

mod world;

pub use world::{HOST_ADDR, ROUTER_ADDR, World, WorldConfig, instance, prefix};
