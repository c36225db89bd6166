//! Worlds on a virtual clock. [`fabric`] is many routers; the rest of this is
//! one hypervisor and its fabric router on a virtual clock: the daemon's [`Node`](tapway_node::Node) against a small kernel
//! ([`tapway_fib::sim`]) and a second [`Speaker`](tapway_bgp::Speaker), with a network of zero loss and a fixed delay between
//! them, and a disk that keeps records late.
//!
//! Nothing here sleeps or knows the real time; the same steps give the same world.

mod dice;
pub mod fabric;
pub mod model;
pub mod walk;
mod watch;
mod world;

pub use dice::Dice;
pub use watch::Watch;
pub use world::{HOST_ADDR, Other, ROUTER_ADDR, World, WorldConfig, instance, prefix};
