//! Which AS may announce which prefix, as RPKI caches say it, and whether a route is such.
//!
//! [`VrpTable`] holds what all caches say together and answers [`VrpTable::validate`] (RFC 6811); it is made whole,
//! off the path of routes, and then only read. [`Caches`] speaks with the caches (RFC 8210, and RFC 6810 where a cache
//! has nothing newer): bytes and the time go in, bytes, connections to be made and tables come out. It keeps what each
//! cache said apart, so that a cache that dies takes nothing from the others, and what it said stays until it is too old.
//!
//! Router keys are read over; so are ASPA records.
#![no_std]

extern crate alloc;

mod cache;
mod caches;
mod config;
mod event;
pub mod pdu;
mod serial;
mod set;
mod state;
mod table;
mod vrp;

pub use caches::{Action, Caches, ConnId, Update};
pub use config::{CacheConfig, EXPIRE, REFRESH, RETRY, Server, Timing};
pub use event::{Event, EventKind, Failure};
pub use serial::Serial;
pub use set::VrpSet;
pub use state::RpkiState;
pub use table::{Changed, VrpTable};
pub use vrp::Vrp;

pub use cache::{CacheState, CacheStatus, MAX_RECORDS};
