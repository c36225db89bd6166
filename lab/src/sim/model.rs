//! The reference model: what must be in the kernel and at the router once everything has come to rest.
//!
//! It knows the rules of the product and none of its code beyond the types: what the sources said in
//! which order (`said`), which claims count (`claims`), and what follows from that for kernel and router
//! (`due`). Everything is worked out from scratch whenever it is asked for; it is slow and meant to be
//! obvious.

mod claims;
mod due;
mod said;

use std::collections::{BTreeMap, BTreeSet};

use tapway_fib::Key;
use tapway_model::{Domain, Network, NetworkName, Owner, Prefix, SourceName};

pub use due::{Due, OURS, protocol};
use said::{Kept, Source};

/// The claim of one owner on one prefix in one domain.
type ClaimKey = (Domain, Owner, Prefix);

/// What was said, and what is on disk of it.
#[derive(Clone, Debug)]
pub struct Model {
    networks: BTreeMap<NetworkName, Network>,
    sources: BTreeMap<SourceName, Source>,
    /// When each claim was first made: the first keeps.
    numbers: BTreeMap<ClaimKey, u64>,
    next_number: u64,
    /// Whether a NIC was there since the daemon started: the host forwards from then on.
    forwards: bool,
    /// Sources that said all since the daemon started, or were forgotten.
    spoke: BTreeSet<SourceName>,
    /// Ours that was in the kernel when the daemon started: nobody's until every source spoke.
    leftovers: BTreeSet<Key>,
    /// What a disk that is stuck has.
    disk: Option<Box<Kept>>,
}
