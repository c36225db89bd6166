//! Routes: received, own, sent.

pub(crate) mod own;
