//! The words that every other crate uses: prefixes, names, instances, NICs, claims, networks.
//!
//! Everything here is a plain value. Text is parsed once, at the edge, into types that cannot hold a
//! wrong value ([`Prefix`] has no host bits, [`Mac`] of a NIC is unicast); nothing inside checks again.
//! This crate knows no clock, socket, file or thread, and compiles without std.
#![no_std]

extern crate alloc;

mod claim;
mod instance;
mod mac;
mod name;
mod network;
pub mod packed;
mod prefix;
pub mod spec;
mod time;

pub use claim::{Claim, ClaimKind, Owner};
pub use instance::{GuestBgp, Instance, Nic, NicState, OwnClaim, Transparent};
pub use mac::{Mac, MacError};
pub use name::{
    CacheName, CollectorName, IfName, InstanceName, NameError, NetworkName, PeerName, PolicyName,
    SourceName, Tag,
};
pub use network::{Domain, Network};
pub use prefix::{Family, Prefix, PrefixError};
pub use time::Instant;
