//! `tapwayd` as a library: configuration, event loop, HTTP server, doctor.

pub mod config;
pub mod http;
