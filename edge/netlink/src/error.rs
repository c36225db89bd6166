//! What can go wrong with a socket. What the kernel refuses is an `Outcome`, not an error.

use std::io;

/// A netlink socket does not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("cannot open a netlink socket: {0}; tapway needs Linux 5.18 or later")]
    Open(#[source] io::Error),
    /// Reading failed for another reason than an overrun.
    #[error("cannot read from the netlink socket: {0}")]
    Receive(#[source] io::Error),
    /// A request could not be sent.
    #[error("cannot send to the netlink socket: {0}")]
    Send(#[source] io::Error),
    /// The kernel refused to list.
    #[error("the kernel refused to list {what}: {reason}", reason = reason(*errno, message.as_deref()))]
    Dump {
        /// What should have been listed.
        what: &'static str,
        /// A positive `errno`.
        errno: i32,
        /// The extended acknowledgement's text.
        message: Option<String>,
    },
}

fn reason(errno: i32, message: Option<&str>) -> String {
    let error = io::Error::from_raw_os_error(errno);
    message.map_or_else(|| error.to_string(), |text| format!("{text} ({error})"))
}
