//! The HTTP API: what `tapwayd` answers under `/v1/` and what it takes, as plain serde types.
//!
//! One module per noun; [`endpoint`] lists every route with its types. The types are the contract:
//! what is written here is what goes over the wire, and `tapway -o json` prints it unchanged.
//! Nothing here does IO or knows how an answer is found.
//!
//! Conventions: names of keys and of enum values are stable; a duration says its unit in its name
//! (`_s` seconds, `_ms` milliseconds) and is measured back from the moment of the answer; a key that
//! has no value is left out; unknown keys in a request are errors, in an answer they are to be ignored.

pub mod announcement;
pub mod bmp;
pub mod config;
pub mod conflict;
pub mod doctor;
pub mod drain;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod explain;
pub mod instance;
pub mod kernel;
pub mod list;
pub mod mrt;
pub mod peer;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod route;
pub mod rpki;
pub mod shutdown;
pub mod source;
pub mod status;
pub mod write;

pub use error::{ApiError, ErrorCode, Place};
pub use list::{List, Page};
