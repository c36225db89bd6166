//! `tapwayd` as a library: configuration, event loop, HTTP server, doctor.

pub mod http;
