//! The routes of all peers: which there are, which of them is the best to each prefix, and what each peer is to be told.
//!
//! [`Rib`] is one value. It knows no session, no policy and no time: who calls it says what a peer sent
//! ([`Rib::intern`], [`Rib::insert`], [`Rib::withdraw`]), what import made of it ([`Import`]), where next hops are
//! ([`Rib::set_next_hop`]), which peers are told the same ([`Rib::add_group`], [`Rib::join`]) and what export makes of a
//! route ([`Export`]); and it takes whole UPDATE messages ([`Rib::next`]). What may be long is done in slices
//! ([`Rib::work`]). The same inputs give the same outputs.
//!
//! Every received route is kept as it came, refused ones too, so that import can be asked again ([`Rib::judge`]).
//!
//! RFC 4271 §3.2 and 9, RFC 4456, RFC 4724, RFC 4760, RFC 7313, RFC 7911, RFC 9494.
#![no_std]

extern crate alloc;

mod attributes;
mod bits;
mod census;
pub mod decide;
mod facts;
mod group;
mod index;
mod job;
mod journal;
mod members;
mod moves;
mod next_hops;
mod rib;
mod route;
mod slab;
mod source;
mod table;

pub use attributes::AttrId;
pub use facts::{DEFAULT_LOCAL_PREF, Facts};
pub use group::lane::Chunk;
pub use group::{Export, Exported, GroupConfig, GroupId, MemberId, Next, Paths};
pub use journal::{Follow, Note};
pub use members::{GroupSummary, ToldRoute};
pub use next_hops::{FARTHEST, NextHopEvent};
pub use rib::Rib;
pub use route::MAX_PATHS;
pub use source::{Counts, SourceId, SourceInfo};
pub use table::Import;
pub use table::sweep::Judged;
pub use table::view::{AttributesView, RouteView};
