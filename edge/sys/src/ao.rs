//! TCP-AO (RFC 5925): whether the kernel has it. Nothing uses it yet.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::option;

/// `TCP_AO_INFO` of `linux/tcp.h`.
const TCP_AO_INFO: i32 = 40;

/// Whether the kernel has TCP-AO: Linux 6.7 and later, when built with `CONFIG_TCP_AO`.
///
/// # Errors
/// When no socket is to be had, or the kernel answers something else than these two.
pub fn is_there() -> io::Result<bool> {
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let domain = socket2::Domain::for_address(any.into());
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    let fd = std::os::fd::AsFd::as_fd(&socket);
    answer(option::get(fd, libc::IPPROTO_TCP, TCP_AO_INFO).map(|_| ()))
}

/// A kernel with it says that this socket has no keys, or that an integer is too short for the answer.
fn answer(asked: io::Result<()>) -> io::Result<bool> {
    match asked {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::EINVAL) => Ok(true),
            Some(libc::ENOPROTOOPT) => Ok(false),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_answer() {
        let of = |errno| answer(Err(io::Error::from_raw_os_error(errno))).ok();
        assert_eq!(of(libc::ENOENT), Some(true));
        assert_eq!(of(libc::EINVAL), Some(true));
        assert_eq!(of(libc::ENOPROTOOPT), Some(false));
        assert_eq!(of(libc::EMFILE), None);
        assert!(is_there().is_ok(), "this kernel answers one or the other");
    }
}
