//! rtnetlink: the only crate that speaks it.
//!
//! Five parts, each with a socket of its own:
//! [`Writer`] makes changes, many per system call, and says what became of each;
//! [`Monitor`] tells what changes in the kernel, without what the writer did;
//! [`RouteWatch`] tells what other programs do to routes, while that matters, and [`RouteSearcher`] which they have around some
//! addresses;
//! and inside the monitor a scan tells what is there, in slices, after the start and after loss. A
//! thread lists for it, because the kernel may take long over one system call; nothing else waits.
//!
//! It maps between the kernel's messages and the values of `tapway_fib` and decides nothing, with one
//! exception: it never touches an object with another protocol number than the one it is given, also
//! where the kernel would (`replace.rs`, `guarded.rs`).
//!
//! Message formats come from netlink-packet-route. Links and netconf are read here: of a link a few
//! attributes are wanted of some hundred, and one that cannot be decoded must not hide the link. Routes are written here: there may be
//! a million of them.
//!
//! All functions work in the network namespace of the thread that opened the socket; sysctls in that
//! of the calling thread.

mod constants;
mod decode;
mod encode;
mod error;
mod exchange;
mod filter;
mod guarded;
mod known;
mod lookup;
mod message;
mod monitor;
mod replace;
mod route_search;
mod route_watch;
mod scan;
mod watched;
mod writer;

pub use error::Error;
pub use monitor::{Monitor, MonitorConfig, Status};
pub use route_search::RouteSearcher;
pub use route_watch::RouteWatch;
pub use writer::Writer;
