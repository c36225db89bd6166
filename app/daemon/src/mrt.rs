//! MRT files: messages and changes of state as they happen ([`recorder`]), and the RIB when somebody asks (`dump`).
//!
//! Bytes are made on the loop's thread and written by threads of their own. A disk that is slow or full costs records, which are
//! counted, and never holds up a route.

pub mod config;
pub(crate) mod dump;
mod file_name;
pub mod recorder;

pub use config::MrtConfig;
pub use file_name::Template;
