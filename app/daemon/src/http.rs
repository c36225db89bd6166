//! The HTTP server: JSON over a Unix socket, and read-only over TCP where configured.
//!
//! It runs on a thread of its own with a small async runtime and owns no state of the daemon. Every
//! request becomes a typed [`ApiRequest`] in a bounded queue; the main loop takes it from its
//! [`Inbox`] and answers through the [`Responder`] that came with it, at once or later (a write is
//! answered when it is on disk). The answer becomes JSON on the server's thread. What the server
//! alone can tell it answers itself: malformed requests, a full queue, a passed deadline.
//!
//! `GET /v1/events` is served from an [`EventSink`] that never blocks whoever sends.
//!
//! May touch: its sockets. May not: logic, files other than the socket.

mod body;
mod events;
mod queue;
mod request;
mod routes;
mod server;
mod socket;

pub use events::EventSink;
pub use queue::{Call, Gate, Inbox, Responder, queue};
pub use request::{ApiReply, ApiRequest, CheckedPolicy};
pub use server::{HttpConfig, Server, StartError};
pub use socket::SocketError;

#[cfg(test)]
mod tests;
