//! System calls behind safe functions: the only crate of the workspace with `unsafe` code.
//!
//! Each module is one facility of Linux and knows nothing of what it is used for. Where rustix or
//! socket2 have a safe call it is used; `unsafe` remains for socket options that neither knows
//! ([`tcp`]: RFC 2385, RFC 5082), for `signalfd`, for leaving a network namespace and for the allocator.
//!
//! Everything here is non-blocking and close-on-exec unless its documentation says otherwise.

pub mod ao;
mod arrival;
pub mod clock;
pub mod inotify;
pub mod md5;
pub mod memory;
pub mod netlink;
pub mod netns;
pub mod notify;
mod option;
pub mod poll;
pub mod priority;
pub mod process;
pub mod ra;
pub mod signal;
pub mod sysctl;
pub mod tcp;
pub mod testing;
pub mod wake;
