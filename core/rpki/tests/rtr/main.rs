//! What comes of any bytes that a cache may send.

mod corpus;
mod targets;
