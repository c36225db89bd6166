//! BGP messages: bytes to values and back.
//!
//! A codec and nothing else: no session, no route, no clock. Input is a borrowed slice and is never
//! trusted; what a wrong message costs is in the types: a decoder either returns a value, or a
//! [`NotificationError`] that ends the session, and [`Update`] carries the milder outcomes of RFC 7606.
//! NLRI are checked once and then read lazily from the received bytes ([`Nlri`]).
//!
//! ```
//! use tapway_bgp_wire::{
//!     AsPath, Attributes, DecodeContext, EncodeContext, Frame, Message, NextHop, UpdateBuilder,
//! };
//! use tapway_model::Prefix;
//!
//! let mut out = Vec::new();
//! let attributes = Attributes { as_path: AsPath::sequence([65001]), ..Attributes::default() };
//! let next_hop = NextHop::V4("192.0.2.1".parse()?);
//! let prefix: Prefix = "198.51.100.7/32".parse()?;
//! UpdateBuilder::new(&mut out, EncodeContext::default()).announce(&attributes, next_hop, [prefix])?;
//!
//! let session = DecodeContext::default();
//! let (len, frame) = Frame::next(&out, session.max_len())?.expect("a whole message");
//! let Message::Update(update) = frame.decode(&session)? else { panic!("an UPDATE") };
//! let reach = update.reach().next().expect("a route");
//! assert_eq!((len, reach.next_hop), (out.len(), next_hop));
//! assert!(reach.nlri.iter().all(|entry| entry.prefix == prefix));
//! assert_eq!(update.attributes().decode(), attributes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! RFC 4271, 4456, 4486, 4724, 4760, 5492, 6286, 6608, 6793, 7313, 7606, 7607, 7911, 8092, 8538, 8654, 8950,
//! 9003, 9072, 9234, 9384, 9494, 9687.
#![no_std]

extern crate alloc;

mod attribute;
mod capability;
mod context;
mod encode;
mod error;
mod family;
mod frame;
mod message;
mod nlri;
mod notification;
mod open;
mod reader;
mod refresh;
mod update;

pub use attribute::{
    Aggregator, AsPath, AsPathRef, AsPathTextError, AsSegment, Asns, AttributeCode, AttributeFlags,
    Attributes, Community, ExtendedCommunity, LargeCommunity, NextHop, Origin, PartialSet,
    RawAttribute, RawAttributes, SegmentKind, UnknownAttribute,
};
pub use capability::{
    AddPathDirection, AddPathFamily, Capabilities, Capability, ExtendedNextHop, GracefulFamily,
    GracefulRestart, LongLivedFamily, Role,
};
pub use context::{DecodeContext, EncodeContext};
pub use encode::{EncodeError, UpdateBuilder};
pub use error::{ErrorCode, NotificationError};
pub use family::{AfiSafi, PerFamily};
pub use frame::{Frame, HEADER_LEN, MAX_LEN, MAX_LEN_EXTENDED, MessageType};
pub use message::{Message, encode_keepalive};
pub use nlri::{Nlri, NlriEntry, NlriIter};
pub use notification::Notification;
pub use open::{AS_TRANS, Open};
pub use refresh::{RefreshSubtype, RouteRefresh};
pub use update::{Fault, FaultAction, Reach, Unreach, Update};
