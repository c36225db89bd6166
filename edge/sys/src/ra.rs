//! Router advertisements on unnumbered links (RFC 4861 §4.2), so that the other end learns our
//! link-local address. They offer no route, no prefix and no configuration.

#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::option::{self, OptionValue};

const ICMPV6_FILTER: libc::c_int = 1;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Icmp6Filter([u32; 8]);

// SAFETY: an array of integers has no padding.
unsafe impl OptionValue for Icmp6Filter {}

/// What an advertisement says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// How long this router may be used as a default router; zero: not at all.
    pub router_lifetime: Duration,
    /// How long a neighbour counts as reachable after it answered; zero: unspecified.
    pub reachable_time: Duration,
    /// The interface's hardware address, for the source link-layer address option.
    pub mac: Option<[u8; 6]>,
}

impl Advertisement {
    /// The ICMPv6 message; the kernel fills in the checksum.
    pub fn encode(&self) -> Vec<u8> {
        let seconds = u16::try_from(self.router_lifetime.as_secs()).unwrap_or(u16::MAX);
        let millis = u32::try_from(self.reachable_time.as_millis()).unwrap_or(u32::MAX);
        // Type 134, code 0, checksum, current hop limit 0 (unspecified), no flags.
        let mut bytes = vec![134, 0, 0, 0, 0, 0];
        bytes.extend(seconds.to_be_bytes());
        bytes.extend(millis.to_be_bytes());
        // Retransmission timer: unspecified.
        bytes.extend([0; 4]);
        if let Some(mac) = self.mac {
            // Option 1, one unit of 8 bytes.
            bytes.extend([1, 1]);
            bytes.extend(mac);
        }
        bytes
    }
}

/// A socket that sends advertisements on one interface and receives nothing.
#[derive(Debug)]
pub struct RaSocket {
    fd: OwnedFd,
    ifindex: u32,
}

impl RaSocket {
    /// Opens one for an interface.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or when there is no such interface.
    pub fn open(ifindex: u32) -> io::Result<RaSocket> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_nonblocking(true)?;
        // A set bit blocks its type.
        option::set(
            socket.as_fd(),
            libc::IPPROTO_ICMPV6,
            ICMPV6_FILTER,
            &Icmp6Filter([u32::MAX; 8]),
        )?;
        // RFC 4861 §4.2: hop limit 255.
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_if_v6(ifindex)?;
        Ok(RaSocket {
            fd: socket.into(),
            ifindex,
        })
    }

    /// Sends to all nodes of the link. The kernel chooses the link-local source address.
    ///
    /// # Errors
    /// `AddrNotAvailable` while the interface has no link-local address that is past duplicate
    /// address detection; `ENODEV` when it is gone.
    pub fn send(&self, advertisement: &Advertisement) -> io::Result<()> {
        let to = SocketAddrV6::new(ALL_NODES, 0, 0, self.ifindex);
        rustix::net::sendto(
            &self.fd,
            &advertisement.encode(),
            rustix::net::SendFlags::empty(),
            &to,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let advertisement = Advertisement {
            router_lifetime: Duration::ZERO,
            reachable_time: Duration::from_millis(30_000),
            mac: Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        };
        assert_eq!(
            advertisement.encode(),
            [
                134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x30, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0x12,
                0x34, 0x56
            ]
        );
        assert_eq!(Advertisement::default().encode().len(), 16);
    }
}
