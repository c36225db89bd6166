//! MRT files: messages and changes of state as they happen ([`recorder`]), and the RIB when somebody asks (`dump`).
//!
//! Bytes are made on the loop's thread and written by threads of their own. A disk that is slow or full costs records, which are
//! counted, and never holds up a route.

pub mod config;
pub(crate) mod dump;
mod file_name;
pub mod recorder;

use std::io;

pub use config::MrtConfig;
pub use file_name::Template;

/// What can be done about an error of a file, in words that go behind it: under systemd it is mostly the unit that
/// makes a file system read-only, which nobody sees from outside.
fn remedy(error: &io::Error, has_unit: bool) -> &'static str {
    if has_unit && error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        "; the daemon's unit lets it write below /var/log/tapway and /var/lib/tapway: \
         write there, or name another directory as ReadWritePaths= (systemctl edit tapwayd)"
    } else {
        ""
    }
}

/// Whether systemd started us (systemd.exec(5)).
fn has_unit() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_is_blamed_and_only_for_what_it_does() {
        let read_only = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(remedy(&read_only, true).contains("ReadWritePaths="));
        assert_eq!((remedy(&read_only, false), remedy(&denied, true)), ("", ""));
    }
}
