//! Path attributes: the values, and the raw block they come in.
//!
//! The raw block ([`RawAttributes`]) is what a RIB interns: all attributes of an UPDATE except MP_REACH_NLRI
//! and MP_UNREACH_NLRI, without those that RFC 7606 discards, always with four-octet AS numbers.

mod as_path;
mod code;
mod community;
mod decode;
mod encode;
mod next_hop;
mod raw;
mod raw_path;
mod values;

pub use as_path::{AsPath, AsPathTextError, AsSegment, SegmentKind};
pub(crate) use as_path::{AsnWidth, PathFault};
pub use code::{AttributeCode, AttributeFlags};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub(crate) use encode::put;
pub use next_hop::NextHop;
pub use raw::{RawAttribute, RawAttributes};
pub use raw_path::{AsPathRef, Asns};
pub use values::{Aggregator, Attributes, Origin, PartialSet, UnknownAttribute};
