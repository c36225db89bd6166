//! `NETLINK_ROUTE` sockets: bytes in, bytes out. What the bytes mean is not known here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::option;

/// One instruction of a classic BPF program.
pub type FilterInstruction = libc::sock_filter;

/// What the socket is for.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of the kernel's queue towards us; above `net.core.rmem_max` only with `CAP_NET_ADMIN`,
    /// without it as much as is allowed.
    pub receive_buffer: usize,
    /// Bytes that one send may have.
    pub send_buffer: usize,
}

/// A non-blocking socket, bound to a port of its own.
#[derive(Debug)]
pub struct NetlinkSocket {
    fd: OwnedFd,
    port: u32,
}

impl NetlinkSocket {
    /// Opens a socket with extended acknowledgements, acknowledgements without the request's bytes,
    /// and strict checks of dump requests.
    ///
    /// # Errors
    /// When the kernel is older than 4.20, or has no descriptor left.
    pub fn open(config: Config) -> io::Result<NetlinkSocket> {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None, // NETLINK_ROUTE is protocol 0.
        )?;
        for name in [
            libc::NETLINK_EXT_ACK,
            libc::NETLINK_CAP_ACK,
            libc::NETLINK_GET_STRICT_CHK,
        ] {
            option::set(fd.as_fd(), libc::SOL_NETLINK, name, &1)?;
        }
        // The kernel doubles the values.
        let receive = config.receive_buffer / 2;
        if sockopt::set_socket_recv_buffer_size_force(&fd, receive).is_err() {
            sockopt::set_socket_recv_buffer_size(&fd, receive)?;
        }
        let send = config.send_buffer / 2;
        if sockopt::set_socket_send_buffer_size_force(&fd, send).is_err() {
            sockopt::set_socket_send_buffer_size(&fd, send)?;
        }
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        let port = SocketAddrNetlink::try_from(rustix::net::getsockname(&fd)?)?.pid();
        Ok(NetlinkSocket { fd, port })
    }

    /// The port: `nlmsg_pid` of answers to this socket and of notifications that it caused.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Joins a multicast group (`RTNLGRP_*`).
    ///
    /// # Errors
    /// When the kernel does not know the group.
    pub fn join(&self, group: u32) -> io::Result<()> {
        let group = libc::c_int::try_from(group).map_err(|_| io::ErrorKind::InvalidInput)?;
        option::set(
            self.fd.as_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_ADD_MEMBERSHIP,
            &group,
        )
    }

    /// Lets the kernel queue only the messages that `program` accepts. It sees the message from its
    /// header on; one buffer of a dump, with many messages, counts as one.
    ///
    /// # Errors
    /// When the kernel refuses the program.
    pub fn attach_filter(&self, program: &[FilterInstruction]) -> io::Result<()> {
        option::attach_filter(self.fd.as_fd(), program)
    }

    /// Bytes of the kernel's queue towards us, as granted.
    ///
    /// # Errors
    /// Never in practice; what the kernel says.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        Ok(sockopt::socket_recv_buffer_size(&self.fd)?)
    }

    /// Sends one or more messages, which the kernel works off before this returns.
    ///
    /// # Errors
    /// What the kernel says, ENOBUFS among it; then none of the messages was looked at.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendto(&self.fd, messages, SendFlags::empty(), &kernel)
        })?;
        if sent == messages.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// Receives one buffer of messages from the kernel; what others send is dropped. Give at least
    /// 32 KiB, which is all that the kernel ever puts into one.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; ENOBUFS once after messages were lost, and the next call
    /// goes on; `InvalidData` when `buffer` was too small.
    pub fn recv<'b>(&self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        loop {
            let (_, len, from) = rustix::io::retry_on_intr(|| {
                rustix::net::recvfrom(&self.fd, &mut *buffer, RecvFlags::TRUNC)
            })?;
            if from
                .and_then(|a| SocketAddrNetlink::try_from(a).ok())
                .is_none_or(|a| a.pid() != 0)
            {
                continue;
            }
            return buffer.get(..len).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a netlink buffer of {len} bytes was cut off"),
                )
            });
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

// The protocol is spelled by its absence in `open`; this keeps the two from drifting apart.
const _: () = assert!(libc::NETLINK_ROUTE == 0);
