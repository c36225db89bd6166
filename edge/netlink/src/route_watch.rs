//! What other programs do to routes, for whoever must know where the kernel sends packets.
//!
//! A socket of its own: the [`Monitor`](crate::Monitor) is not to hear of a routing daemon's million routes, and what is lost
//! here calls for no scan.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tapway_fib::RouteNews;
use tapway_sys::netlink::{Config, NetlinkSocket};

use crate::constants::{
    RTM_DELROUTE, RTM_NEWROUTE, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP, errno,
};
use crate::decode;
use crate::error::Error;
use crate::exchange::RECEIVE;
use crate::filter;
use crate::message::{Content, messages};

/// Bytes of the kernel's queue: some thousand changes.
const QUEUE: usize = 1 << 20;

/// Tells what other programs do to routes, except default routes.
#[derive(Debug)]
pub struct RouteWatch {
    socket: NetlinkSocket,
    buffer: Vec<u8>,
}

impl RouteWatch {
    /// Opens one in the calling thread's network namespace. `protocol` is ours: its routes are not told.
    ///
    /// # Errors
    /// When there is no usable netlink socket.
    pub fn open(protocol: u8) -> Result<RouteWatch, Error> {
        let socket = NetlinkSocket::open(Config {
            receive_buffer: QUEUE,
            send_buffer: 4 << 10,
        })
        .map_err(Error::Open)?;
        socket
            .attach_filter(&filter::of_others(protocol))
            .map_err(Error::Open)?;
        for group in [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE] {
            socket.join(group).map_err(Error::Open)?;
        }
        // Nexthop objects are younger than what else is asked of the kernel; one without them has no such group.
        _ = socket.join(RTNLGRP_NEXTHOP);
        Ok(RouteWatch {
            socket,
            buffer: vec![0; RECEIVE],
        })
    }

    /// Appends what the kernel told, about `budget` changes. Whether there may be more.
    ///
    /// # Errors
    /// When the socket does not work.
    pub fn read(&mut self, budget: usize, news: &mut Vec<RouteNews>) -> io::Result<bool> {
        let mut read = 0;
        while read < budget {
            match self.socket.recv(&mut self.buffer) {
                Ok(bytes) => {
                    for message in messages(bytes) {
                        read += 1;
                        let Content::Object(payload) = message.content() else {
                            continue;
                        };
                        match message.kind {
                            RTM_NEWROUTE => {
                                news.extend(decode::route(payload).map(RouteNews::Present));
                            }
                            RTM_DELROUTE => {
                                news.extend(decode::route(payload).map(RouteNews::Absent));
                            }
                            _ if news.last() == Some(&RouteNews::Changed) => {}
                            _ => news.push(RouteNews::Changed),
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.raw_os_error() == Some(errno::ENOBUFS) => news.push(RouteNews::Lost),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
