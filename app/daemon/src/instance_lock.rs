//! One daemon for each protocol number and network namespace.
//!
//! The lock is an abstract Unix socket: the kernel keeps those per network namespace and frees them
//! when the process ends, however it ends. Whoever cannot bind it asks the holder's pid of the kernel.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

/// Held for as long as the daemon lives.
#[derive(Debug)]
pub struct InstanceLock(#[expect(dead_code, reason = "held, not read")] UnixListener);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon owns the protocol number here.
    #[error(
        "another tapwayd (pid {pid}) owns kernel objects with protocol number {protocol} in this network namespace; \
         stop it, or set another `protocol` under [router]"
    )]
    Taken {
        /// Its pid; 0 when the kernel does not tell (another pid namespace).
        pid: i32,
        /// The number.
        protocol: u8,
    },
    /// The socket could not be made.
    #[error("cannot make the lock socket: {0}")]
    Io(#[from] io::Error),
}

impl InstanceLock {
    /// Takes the lock for `protocol` in the present network namespace.
    ///
    /// # Errors
    /// When another daemon holds it, or sockets cannot be made.
    pub fn take(protocol: u8) -> Result<InstanceLock, LockError> {
        let addr = SocketAddr::from_abstract_name(format!("tapwayd/protocol/{protocol}"))?;
        match UnixListener::bind_addr(&addr) {
            Ok(listener) => Ok(InstanceLock(listener)),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                let pid = UnixStream::connect_addr(&addr)
                    .and_then(|s| Ok(rustix::net::sockopt::socket_peercred(&s)?))
                    .map_or(0, |c| c.pid.as_raw_nonzero().get());
                Err(LockError::Taken { pid, protocol })
            }
            Err(e) => Err(e.into()),
        }
    }
}
