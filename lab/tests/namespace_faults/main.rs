//! What goes wrong on a real host, done to the real daemon in namespaces: the kernel's state changed
//! behind its back, sources that die, input that is wrong, and links of the chain that break.
//!
//! The daemon under test runs without its periodic scan, so whatever is repaired is repaired on the
//! kernel's notification.

mod bed;
mod bgp;
mod bulk;
mod collision;
mod config;
mod doctor;
mod explain;
mod flood;
mod gtsm;
mod hostile;
mod imports;
mod input;
mod kernel;
mod last_resort;
mod log;
mod manager;
mod networks;
mod next_hops;
mod overrun;
mod passwords;
mod pressure;
mod ranges;
mod restart;
mod router_advertisement;
mod sources;
mod state;
mod torn;
