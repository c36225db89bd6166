//! Which interface a TCP connection came in on, also where the listener is bound to none.
//!
//! The kernel keeps the interface that the handshake ended on, and tells it as ancillary data, but of a stream it does so
//! only by `getsockopt`: `IP_PKTOPTIONS` (ip(7)) and its counterpart of RFC 2292, section 13.1. Whoever connects has no
//! say in it, unlike in the address.

use std::io;
use std::os::fd::BorrowedFd;

use crate::option;

/// `IP_PKTOPTIONS` (`linux/in.h`)
const IP_PKTOPTIONS: i32 = 9;
/// `IPV6_2292PKTOPTIONS` (`linux/in6.h`)
const IPV6_2292PKTOPTIONS: i32 = 6;

/// The interface that an accepted connection came in on; `None` when the kernel says nothing.
pub(crate) fn interface(socket: BorrowedFd<'_>, v6: bool) -> io::Result<Option<u32>> {
    let (level, wanted, kept, told, at) = if v6 {
        let at = size_of::<libc::in6_addr>();
        let wanted = libc::IPV6_RECVPKTINFO;
        let kept = IPV6_2292PKTOPTIONS;
        (libc::SOL_IPV6, wanted, kept, libc::IPV6_PKTINFO, at)
    } else {
        let wanted = libc::IP_PKTINFO;
        (libc::SOL_IP, wanted, IP_PKTOPTIONS, libc::IP_PKTINFO, 0)
    };
    option::set(socket, level, wanted, &1)?;
    let mut bytes = [0; 256];
    let len = option::get_bytes(socket, level, kept, &mut bytes)?;
    // Nothing of what comes later is to be kept.
    option::set(socket, level, wanted, &0)?;
    let content = bytes.get(..len).and_then(|all| find(all, level, told));
    let index = content.and_then(|content| content.get(at..at + size_of::<u32>()));
    let index = index.and_then(|index| index.try_into().ok());
    Ok(index.map(u32::from_ne_bytes).filter(|index| *index != 0))
}

/// The content of the first control message of this kind (cmsg(3)).
fn find(mut rest: &[u8], level: i32, kind: i32) -> Option<&[u8]> {
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 2 * size_of::<i32>();
    loop {
        let (header, _) = rest.split_at_checked(HEADER)?;
        let (len, names) = header.split_at_checked(WORD)?;
        let len = usize::from_ne_bytes(len.try_into().ok()?);
        let (of, is) = names.split_at_checked(size_of::<i32>())?;
        let name = (
            i32::from_ne_bytes(of.try_into().ok()?),
            i32::from_ne_bytes(is.try_into().ok()?),
        );
        let content = rest.get(HEADER..len)?;
        if name == (level, kind) {
            return Some(content);
        }
        rest = rest.get(len.next_multiple_of(WORD)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, content: &[u8]) -> Vec<u8> {
        let header = size_of::<usize>() + 8;
        let mut bytes = (header + content.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    #[test]
    fn the_message_that_is_asked_for_is_found() {
        let mut bytes = message(0, 2, &[9; 5]);
        bytes.extend(message(0, 8, &[1, 2, 3, 4]));
        assert_eq!(find(&bytes, 0, 8), Some(&[1, 2, 3, 4][..]));
        assert_eq!(find(&bytes, 0, 2), Some(&[9; 5][..]));
        assert_eq!(find(&bytes, 41, 8), None);
        assert_eq!(find(&[], 0, 8), None);
    }

    #[test]
    fn what_is_cut_short_or_lies_about_its_length_is_nothing() {
        let good = message(0, 8, &[1, 2, 3, 4]);
        for len in 0..size_of::<usize>() + 12 {
            assert_eq!(find(&good[..len], 0, 8), None, "{len}");
        }
        for len in [0, 1, 15, 1000, usize::MAX] {
            let mut bad = good.clone();
            bad[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(find(&bad, 0, 8), None, "{len}");
        }
    }
}
