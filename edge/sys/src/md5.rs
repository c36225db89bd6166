//! TCP MD5 signatures (RFC 2385): `TCP_MD5SIG` and `TCP_MD5SIG_EXT` of `linux/tcp.h`.
//!
//! Keys carry no interface. The kernel accepts `TCP_MD5SIG_FLAG_IFINDEX` only for a layer 3 master
//! device (a VRF) and says EINVAL for any other interface; a key without an interface matches the
//! peer's address on every interface outside VRFs, link-local addresses included.

#![allow(unsafe_code)]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::option::{self, OptionValue};

/// The longest key (`TCP_MD5SIG_MAXKEYLEN`).
pub const MAX_KEY: usize = 80;

const TCP_MD5SIG: libc::c_int = 14;
const TCP_MD5SIG_EXT: libc::c_int = 32;
const FLAG_PREFIX: u8 = 1;

/// `struct tcp_md5sig`
#[derive(Clone, Copy)]
#[repr(C)]
struct Md5Sig {
    family: libc::sa_family_t,
    /// The rest of `struct __kernel_sockaddr_storage`.
    address: [u8; 126],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    ifindex: libc::c_int,
    key: [u8; MAX_KEY],
}

const _: () = assert!(size_of::<Md5Sig>() == 128 + 4 + 4 + MAX_KEY);

// SAFETY: the assertion above leaves no room for padding, and there is no pointer.
unsafe impl OptionValue for Md5Sig {}

/// Sets the key for all peers in `addr/len`, or takes it away. On a listener it is valid for the
/// connections that begin afterwards; one that was accepted keeps its own copy. The longest matching
/// prefix decides.
///
/// # Errors
/// `InvalidInput` for an empty or too long key; `NotFound` when taking away a key that was not set;
/// else what the kernel says, among it EINVAL in a kernel without TCP MD5.
pub fn set_key(socket: impl AsFd, addr: IpAddr, len: u8, key: Option<&[u8]>) -> io::Result<()> {
    let key = match key {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a TCP MD5 key has 1 to {MAX_KEY} bytes, not {}", key.len()),
            ));
        }
        Some(key) => key,
        // A key of no bytes deletes.
        None => &[],
    };
    let mut value = Md5Sig {
        family: 0,
        address: [0; 126],
        flags: 0,
        prefix_len: 0,
        key_len: key.len() as u16,
        ifindex: 0,
        key: [0; MAX_KEY],
    };
    let whole = match addr {
        IpAddr::V4(a) => {
            // struct sockaddr_in: port, address.
            value.family = libc::AF_INET as libc::sa_family_t;
            value.address[2..6].copy_from_slice(&a.octets());
            32
        }
        IpAddr::V6(a) => {
            // struct sockaddr_in6: port, flow label, address, scope.
            value.family = libc::AF_INET6 as libc::sa_family_t;
            value.address[6..22].copy_from_slice(&a.octets());
            128
        }
    };
    value.key[..key.len()].copy_from_slice(key);
    set(socket.as_fd(), &mut value, len, whole)
}

fn set(socket: BorrowedFd<'_>, value: &mut Md5Sig, len: u8, whole: u8) -> io::Result<()> {
    let name = if len == whole {
        TCP_MD5SIG
    } else {
        value.flags = FLAG_PREFIX;
        value.prefix_len = len;
        TCP_MD5SIG_EXT
    };
    option::set(socket, libc::IPPROTO_TCP, name, value)
}
