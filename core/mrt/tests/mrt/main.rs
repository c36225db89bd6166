//! What comes of any bytes that a peer may send, in files.

mod corpus;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod targets;
