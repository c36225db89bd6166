//! What comes of any bytes that a cache may send.

mod corpus;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod targets;
