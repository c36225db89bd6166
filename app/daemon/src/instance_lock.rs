//! One daemon for each protocol number and network namespace.
//!
//! The lock is a file below `/run/tapway`, named after both, that only its owner can open. Two daemons may
//! see another `/run` each (containers in the host's network): so there is an abstract Unix socket as well,
//! which the kernel keeps per network namespace. Anybody can bind that; it counts only when its holder is
//! root or our own user, and nothing waits for it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::fs::MetadataExt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::pid_lock::{PidLock, PidLockError};

/// Where the files are.
const DIR: &str = "/run/tapway";

/// Held for as long as the daemon lives.
#[derive(Debug)]
pub struct InstanceLock {
    _file: Option<PidLock>,
    _socket: Option<UnixListener>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon owns the protocol number here.
    #[error(
        "another tapwayd{} owns kernel objects with protocol number {protocol} in this network namespace; \
         stop it, or set another `protocol` under [router]",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Taken {
        /// Its pid, when it can be known here.
        pid: Option<u32>,
        /// The number.
        protocol: u8,
    },
}

impl InstanceLock {
    /// Takes the lock for `protocol` in the present network namespace. What keeps the lock from working
    /// keeps no daemon from starting: it is logged.
    ///
    /// # Errors
    /// When another daemon holds it.
    pub fn take(protocol: u8) -> Result<InstanceLock, LockError> {
        let file = match path(Path::new(DIR), protocol) {
            Ok(path) => match PidLock::take(&path, 0o755) {
                Ok(lock) => Some(lock),
                Err(PidLockError::Taken(pid)) => return Err(LockError::Taken { pid, protocol }),
                Err(PidLockError::Io { doing, error }) => {
                    tracing::warn!(path = %path.display(), "{doing}: {error}; a second tapwayd may go unnoticed");
                    None
                }
            },
            Err(error) => {
                tracing::warn!(
                    "cannot name the network namespace: {error}; a second tapwayd may go unnoticed"
                );
                None
            }
        };
        let socket = match socket(&format!("tapwayd/protocol/{protocol}")) {
            Ok(Ok(listener)) => Some(listener),
            Ok(Err(Holder::Root { pid })) => return Err(LockError::Taken { pid, protocol }),
            Ok(Err(Holder::Stranger)) => {
                tracing::warn!(
                    "a user without privileges holds the socket that tells tapwayds of each other; it is ignored"
                );
                None
            }
            Err(error) => {
                tracing::warn!("cannot make the socket that tells tapwayds of each other: {error}");
                None
            }
        };
        Ok(InstanceLock {
            _file: file,
            _socket: socket,
        })
    }
}

/// The namespace is known by the file that stands for it; its number is another's only when it is gone.
fn path(dir: &Path, protocol: u8) -> io::Result<PathBuf> {
    let namespace = std::fs::metadata("/proc/self/ns/net")?.st_ino();
    Ok(dir.join(format!("protocol-{protocol}-in-{namespace}.lock")))
}

/// Who has the socket.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    /// Root, or our own user.
    Root {
        /// `None`: in another pid namespace.
        pid: Option<u32>,
    },
    /// Anybody else, or somebody who does not let us ask.
    Stranger,
}

fn socket(name: &str) -> io::Result<Result<UnixListener, Holder>> {
    let addr = SocketAddr::from_abstract_name(name)?;
    match UnixListener::bind_addr(&addr) {
        Ok(listener) => Ok(Ok(listener)),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(Err(holder(name))),
        Err(e) => Err(e),
    }
}

/// The kernel tells who began to listen there. A full backlog, which a real holder never has for long, is
/// not waited for.
fn holder(name: &str) -> Holder {
    let ask = || -> rustix::io::Result<_> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let addr = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
        rustix::net::connect(&socket, &addr)?;
        rustix::net::sockopt::socket_peercred(&socket)
    };
    match ask() {
        Ok(them) if them.uid.is_root() || them.uid == rustix::process::geteuid() => Holder::Root {
            pid: u32::try_from(them.pid.as_raw_nonzero().get()).ok(),
        },
        Ok(_) | Err(_) => Holder::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_names_namespace_and_number_and_only_its_owner_opens_it() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let (one, two) = (path(&run, 112).unwrap(), path(&run, 113).unwrap());
        let held = PidLock::take(&one, 0o755).unwrap();
        assert_eq!(
            std::fs::metadata(&one).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let second = PidLock::take(&one, 0o755);
        let pid = std::process::id();
        assert!(
            matches!(second, Err(PidLockError::Taken(Some(p))) if p == pid),
            "{second:?}"
        );
        let _other = PidLock::take(&two, 0o755).unwrap();
        drop(held);
        let _again = PidLock::take(&one, 0o755).unwrap();
    }

    #[test]
    fn our_own_user_counts_on_the_socket_and_a_full_backlog_is_not_waited_for() {
        let name = format!("tapwayd-test/{}", std::process::id());
        let _held = socket(&name).unwrap().unwrap();
        let pid = Some(std::process::id());
        let mut said = Vec::new();
        // Nobody accepts: the backlog is full after some hundreds.
        let mut waiting = Vec::new();
        let addr = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        for _ in 0..10_000 {
            said.push(socket(&name).unwrap().unwrap_err());
            if said.last() == Some(&Holder::Stranger) {
                break;
            }
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
                .unwrap();
            let _ = rustix::net::connect(&fd, &addr);
            waiting.push(fd);
        }
        assert_eq!(said.first(), Some(&Holder::Root { pid }));
        assert_eq!(said.last(), Some(&Holder::Stranger));
    }
}
