//! What the codec does with bytes: from other implementations, from the RFCs, and from nowhere good.

mod allocations;
mod bytes;
mod capabilities;
mod corpus;
mod encode;
mod foreign;
mod frame;
mod notification;
mod open;
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod rfc6793;
mod rfc7606;
mod targets;
mod update;
