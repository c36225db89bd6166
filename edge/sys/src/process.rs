//! Facts about processes and the machine.

use std::io::{self, Read as _};
use std::os::fd::AsFd;

/// Who is at the other end of a Unix stream socket (`SO_PEERCRED`), as of its connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The credentials of the other end.
///
/// # Errors
/// When `socket` is no connected Unix socket.
pub fn peer_credentials(socket: impl AsFd) -> io::Result<PeerCredentials> {
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(PeerCredentials {
        pid: credentials.pid.as_raw_nonzero().get(),
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
    })
}

/// Asks for SIGKILL when the thread that started this process ends. Allowed in `pre_exec`.
///
/// # Errors
/// Never in practice; what the kernel says.
pub fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        rustix::process::Signal::KILL,
    ))?)
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A text that differs after every boot (`/proc/sys/kernel/random/boot_id`).
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim_end()
        .to_owned())
}

/// Numbers that nobody else knows (`/dev/urandom`).
///
/// # Errors
/// When the device is not there.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_is_this_process() {
        let (a, _b) = UnixStream::pair().unwrap();
        let credentials = peer_credentials(&a).unwrap();
        assert_eq!(u32::try_from(credentials.pid).unwrap(), std::process::id());
        assert_eq!(credentials.uid, rustix::process::getuid().as_raw());
    }

    #[test]
    fn the_boot_has_an_id() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
