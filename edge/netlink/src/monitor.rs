//! Watching: what changes in the kernel, and scans of what is there.
//!
//! The two run side by side. A line of a scan may be older than a notification that was told before
//! it, so while a scan runs, lines about what a notification has spoken of are left out, and
//! our own changes are told too: whatever is there at the end of a scan has been told since its begin.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tapway_fib::KernelEvent;
use tapway_model::Instant;
use tapway_sys::netlink::{Config, NetlinkSocket};
use tapway_sys::poll::{Interest, Poller};

use crate::constants::{
    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_NETCONF, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_LINK,
    RTNLGRP_NEIGH, errno,
};
use crate::error::Error;
use crate::exchange::RECEIVE;
use crate::filter;
use crate::known::{Known, Source};
use crate::message::messages;
use crate::scan::{Progress, Scan};

const GROUPS: [u32; 10] = [
    RTNLGRP_LINK,
    RTNLGRP_NEIGH,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV6_RULE,
    RTNLGRP_IPV4_NETCONF,
    RTNLGRP_IPV6_NETCONF,
];

/// From the begin of one scan to the begin of the next.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// After so many torn scans the next one counts, if its links were listed whole: on a host where something changes
/// all the time nothing would ever be known to be gone, and what a list leaves out, though it is wanted, is asked for.
const TORN: u32 = 3;

/// What to watch for.
#[derive(Clone, Copy, Debug)]
pub struct MonitorConfig {
    /// Routes of this protocol are told, and of others only default routes and those that took the
    /// place of another.
    pub protocol: u8,
    /// [`Writer::port`](crate::Writer::port): its changes are not told.
    pub own_port: u32,
    /// Bytes of the kernel's queue; what does not fit is lost and followed by a scan.
    pub receive_buffer: usize,
}

impl MonitorConfig {
    /// With a queue of 16 MiB.
    pub fn new(protocol: u8, own_port: u32) -> MonitorConfig {
        MonitorConfig {
            protocol,
            own_port,
            receive_buffer: 16 << 20,
        }
    }
}

/// What is left to do after [`Monitor::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Call again without waiting: there is more to take in.
    pub more: bool,
    /// It stopped at a link that was lost, so that this can be acted upon: call again before anything else.
    pub lost: bool,
    /// Call again at this moment at the latest: a scan is due then.
    pub timeout: Option<Instant>,
}

/// Tells what is in the kernel and what changes there.
///
/// It begins with a scan. Wait for its descriptor to become readable, call [`Monitor::read`] then and
/// as long as the status says so.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    socket: NetlinkSocket,
    /// Readable when the socket is or the scan has something.
    poller: Poller,
    buffer: Vec<u8>,
    scan: Scan,
    scanning: bool,
    scan_wanted: bool,
    next_scan: Instant,
    /// Torn scans in a row; `None` before the first whole one.
    torn: Option<u32>,
    known: Known,
    /// What we write is in the queue, too.
    hears_own: bool,
}

impl Monitor {
    /// Opens a monitor in the calling thread's network namespace.
    ///
    /// # Errors
    /// When there is no usable netlink socket.
    pub fn open(config: MonitorConfig) -> Result<Monitor, Error> {
        let socket = NetlinkSocket::open(Config {
            receive_buffer: config.receive_buffer,
            send_buffer: 64 << 10,
        })
        .map_err(Error::Open)?;
        // Before the groups, so that nothing unfiltered is queued.
        socket
            .attach_filter(&filter::program(config.protocol, None))
            .map_err(Error::Open)?;
        for group in GROUPS {
            socket.join(group).map_err(Error::Open)?;
        }
        let scan = Scan::open(config.protocol)?;
        let poller = Poller::new().map_err(Error::Open)?;
        poller
            .add(&socket, 0, Interest::READ)
            .map_err(Error::Open)?;
        poller
            .add(scan.ready(), 1, Interest::READ)
            .map_err(Error::Open)?;
        Ok(Monitor {
            config,
            socket,
            poller,
            buffer: vec![0; RECEIVE],
            scan,
            scanning: false,
            scan_wanted: true,
            next_scan: Instant::ZERO,
            torn: None,
            known: Known::new(config.protocol),
            hears_own: true,
        })
    }

    /// Wants a scan: at the next [`Monitor::read`], or a second after the last one began.
    pub fn request_scan(&mut self) {
        self.scan_wanted = true;
    }

    /// Whether a scan is under way.
    pub fn scanning(&self) -> bool {
        self.scanning
    }

    /// Bytes of the kernel's queue, as granted; the kernel counts its own overhead too.
    ///
    /// # Errors
    /// Never in practice; what the kernel says.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        self.socket.receive_buffer()
    }

    /// Watches a sysctl (`ipv4/conf/eth0/forwarding`) and tells its value now, if there is such one.
    /// One that does not exist yet is told when its interface comes.
    pub fn watch_sysctl(&mut self, path: &str, events: &mut Vec<KernelEvent>) {
        self.known.watched.watch(path, events);
    }

    /// Appends what the kernel tells, about `budget` events: all that is queued, up to the first link that is
    /// lost, then a slice of the scan that is under way or due.
    ///
    /// # Errors
    /// When a socket does not work or the kernel refuses to list; the next call begins a new scan.
    pub fn read(
        &mut self,
        now: Instant,
        budget: usize,
        events: &mut Vec<KernelEvent>,
    ) -> Result<Status, Error> {
        let before = events.len();
        let drained = self.notifications(budget, events)?;
        if !self.scanning && events.len() == before {
            // The lister wakes us after each part; the wake of the last one may come after its end was
            // taken in, and would make the descriptor readable for ever.
            self.scan.quiet();
        }
        let mut scan_ready = false;
        let lost = std::mem::take(&mut self.known.lost);
        if std::mem::take(&mut self.known.unclear) {
            self.scan_wanted = true;
        }
        if drained {
            if !self.scanning && self.scan_wanted && now >= self.next_scan {
                self.begin_scan(now, events);
            }
            if self.scanning {
                scan_ready = self.scan_slice(budget, events)?;
            }
        }
        let waiting = self.scan_wanted && !self.scanning;
        if !self.scanning && !waiting {
            self.hear_own(false);
        }
        Ok(Status {
            more: !drained || scan_ready || (waiting && now >= self.next_scan),
            lost,
            timeout: waiting.then_some(self.next_scan),
        })
    }

    /// Reads what is queued. Whether that was all.
    fn notifications(
        &mut self,
        budget: usize,
        events: &mut Vec<KernelEvent>,
    ) -> Result<bool, Error> {
        let mut read = 0;
        while read < budget {
            match self.socket.recv(&mut self.buffer) {
                Ok(bytes) => {
                    for message in messages(bytes) {
                        read += 1;
                        let source = match (self.scanning, message.port == self.config.own_port) {
                            (true, _) => Source::DuringScan,
                            (false, true) => Source::Own,
                            (false, false) => Source::Notification,
                        };
                        self.known.take_in(&message, source, events);
                    }
                    // The kernel goes on to tell of all that was on the link, message by message: whoever
                    // has to withdraw need not wait for the end of that.
                    if self.known.lost {
                        return Ok(false);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.raw_os_error() == Some(errno::ENOBUFS) => {
                    events.push(KernelEvent::Overrun);
                    self.scanning = false;
                    self.scan_wanted = true;
                }
                Err(e) => return Err(Error::Receive(e)),
            }
        }
        Ok(false)
    }

    /// Whether to be told of IPv4 routes that we write: only what changes while a scan runs matters then. Of IPv6 ones it is
    /// always remembered which have several ways.
    fn hear_own(&mut self, all: bool) {
        // Port 0 is the kernel's.
        let silent = Some(self.config.own_port).filter(|port| !all && *port != 0);
        let filter = filter::program(self.config.protocol, silent);
        if all != self.hears_own && self.socket.attach_filter(&filter).is_ok() {
            self.hears_own = all;
        }
    }

    fn begin_scan(&mut self, now: Instant, events: &mut Vec<KernelEvent>) {
        // Before the kernel begins to list.
        self.hear_own(true);
        self.scan.restart();
        self.scanning = true;
        self.scan_wanted = false;
        self.next_scan = now + SCAN_INTERVAL;
        self.known.begin_scan();
        events.push(KernelEvent::ScanBegin);
    }

    /// Takes in a slice of the scan. Whether there is more to take in at once.
    fn scan_slice(&mut self, budget: usize, events: &mut Vec<KernelEvent>) -> Result<bool, Error> {
        let known = &mut self.known;
        let progress = self.scan.step(budget, |message| {
            known.take_in(message, Source::Scan, events)
        });
        match progress {
            Ok(Progress::More) => return Ok(true),
            Ok(Progress::Waiting) => return Ok(false),
            Ok(Progress::Torn { links }) if self.torn.is_some_and(|n| links || n < TORN) => {
                self.torn = self.torn.map(|torn| torn.saturating_add(1));
                self.scan_wanted = true;
                events.push(KernelEvent::ScanTorn);
            }
            Ok(Progress::Complete | Progress::Torn { .. }) => {
                // At the start a list that may miss something is better than none; another scan follows.
                let torn = matches!(progress, Ok(Progress::Torn { .. }));
                self.scan_wanted |= torn && self.torn.is_none();
                self.torn = Some(0);
                known.watched.tell(events);
                events.push(KernelEvent::ScanEnd);
            }
            Err(_) => {
                self.scan_wanted = true;
                events.push(KernelEvent::ScanTorn);
            }
        }
        self.scanning = false;
        progress.map(|_| false)
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

#[cfg(test)]
mod tests;
