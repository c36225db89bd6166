//! `setsockopt` and `getsockopt` for options that rustix and socket2 do not know.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Types whose every bit pattern, padding included, may be shown to the kernel.
///
/// # Safety
/// The implementor has no padding and no pointer that could dangle during the call.
pub(crate) unsafe trait OptionValue: Copy {}

// SAFETY: an integer has no padding.
unsafe impl OptionValue for libc::c_int {}

/// Sets one option.
pub(crate) fn set<T: OptionValue>(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `value` points to `len` initialised bytes (no padding, by `OptionValue`) that outlive
    // the call; the kernel only reads them.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads one integer option.
pub(crate) fn get(fd: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of `value`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_mut(&mut value).cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads an option of any length, as far as `bytes` takes it; says how many bytes that was.
pub(crate) fn get_bytes(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    bytes: &mut [u8],
) -> io::Result<usize> {
    let mut len =
        libc::socklen_t::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the kernel writes at most `len` bytes, the length of `bytes`, and says in `len` how many.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            bytes.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        Ok(usize::try_from(len).map_or(0, |len| len.min(bytes.len())))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads an integer by `ioctl`.
pub(crate) fn ioctl_int(fd: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    // SAFETY: the callers' requests (`SIOCOUTQ`, `SIOCOUTQNSD`) write one int through the pointer.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut value) };
    if result == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Attaches a classic BPF program that decides which messages are queued at all.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    struct Program(libc::sock_fprog);
    // SAFETY: the padding after `len` is never read by the kernel, and the pointer is to `program`,
    // which outlives the call; the kernel copies it.
    unsafe impl OptionValue for Program {}
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let value = Program(libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    });
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &value)
}
