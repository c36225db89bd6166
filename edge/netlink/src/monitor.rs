//! Watching: what changes in the kernel, and scans of what is there.
//!
//! The two run side by side. A line of a scan may be older than a notification that was told before
//! it, so while a scan runs, lines about what a notification has spoken of are left out, and
//! our own changes are told too: whatever is there at the end of a scan has been told since its begin.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_packet_core::NLM_F_REPLACE;
use tapway_fib::{IfIndex, KernelEvent, Key, Link, Neighbour, Object, Route};
use tapway_model::{IfName, Instant};
use tapway_sys::netlink::{Config, NetlinkSocket};

use crate::constants::*;
use crate::error::Error;
use crate::exchange::RECEIVE;
use crate::message::{Content, Message, messages};
use crate::scan::{Progress, Scan};
use crate::watched::Watched;
use crate::{decode, filter};

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
    /// Call again without waiting: notifications are queued, or a scan is under way.
    pub more: bool,
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
    buffer: Vec<u8>,
    scan: Scan,
    scanning: bool,
    scan_wanted: bool,
    next_scan: Instant,
    known: Known,
}

/// What the monitor must remember to tell notifications right.
#[derive(Debug, Default)]
struct Known {
    protocol: u8,
    names: BTreeMap<IfIndex, IfName>,
    /// Neighbours of others that were told.
    neighbours: BTreeSet<(IfIndex, IpAddr)>,
    /// IPv6 routes with several next hops. The kernel tells of each next hop's end by itself.
    multipath: BTreeSet<Key>,
    watched: Watched,
    /// While a scan runs: what notifications spoke of.
    spoken: BTreeSet<Key>,
    spoken_links: BTreeSet<IfIndex>,
    /// What happened cannot be told from the messages alone.
    unclear: bool,
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
            .attach_filter(&filter::program(config.protocol))
            .map_err(Error::Open)?;
        for group in GROUPS {
            socket.join(group).map_err(Error::Open)?;
        }
        Ok(Monitor {
            config,
            socket,
            buffer: vec![0; RECEIVE],
            scan: Scan::open(config.protocol)?,
            scanning: false,
            scan_wanted: true,
            next_scan: Instant::ZERO,
            known: Known {
                protocol: config.protocol,
                ..Known::default()
            },
        })
    }

    /// Wants a scan: at the next [`Monitor::read`], or a second after the last one began.
    pub fn request_scan(&mut self) {
        self.scan_wanted = true;
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

    /// No longer watches a sysctl.
    pub fn unwatch_sysctl(&mut self, path: &str) {
        self.known.watched.unwatch(path);
    }

    /// Appends what the kernel tells, about `budget` events: all that is queued, then a slice of the
    /// scan that is under way or due.
    ///
    /// # Errors
    /// When a socket does not work or the kernel refuses to list; the next call begins a new scan.
    pub fn read(
        &mut self,
        now: Instant,
        budget: usize,
        events: &mut Vec<KernelEvent>,
    ) -> Result<Status, Error> {
        let drained = self.notifications(budget, events)?;
        if std::mem::take(&mut self.known.unclear) {
            self.scan_wanted = true;
        }
        if drained {
            if !self.scanning && self.scan_wanted && now >= self.next_scan {
                self.begin_scan(now, events);
            }
            if self.scanning {
                self.scan_slice(budget, events)?;
            }
        }
        let waiting = self.scan_wanted && !self.scanning;
        Ok(Status {
            more: !drained || self.scanning || (waiting && now >= self.next_scan),
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

    fn begin_scan(&mut self, now: Instant, events: &mut Vec<KernelEvent>) {
        self.scan.restart();
        self.scanning = true;
        self.scan_wanted = false;
        self.next_scan = now + SCAN_INTERVAL;
        self.known.begin_scan();
        events.push(KernelEvent::ScanBegin);
    }

    fn scan_slice(&mut self, budget: usize, events: &mut Vec<KernelEvent>) -> Result<(), Error> {
        let known = &mut self.known;
        match self.scan.step(budget, |message| {
            known.take_in(message, Source::Scan, events)
        }) {
            Ok(Progress::More) => Ok(()),
            Ok(Progress::Complete) => {
                self.scanning = false;
                known.watched.tell(events);
                events.push(KernelEvent::ScanEnd);
                Ok(())
            }
            Err(e) => {
                self.scanning = false;
                self.scan_wanted = true;
                Err(e)
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where a message comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Another's change.
    Notification,
    /// Our own change: known already.
    Own,
    /// Anybody's change while a scan runs.
    DuringScan,
    /// A line of the scan.
    Scan,
}

impl Known {
    fn begin_scan(&mut self) {
        self.spoken.clear();
        self.spoken_links.clear();
        self.neighbours.clear();
        self.multipath.clear();
    }

    fn take_in(&mut self, message: &Message<'_>, source: Source, events: &mut Vec<KernelEvent>) {
        let Content::Object(payload) = message.content() else {
            return;
        };
        match message.kind {
            RTM_NEWLINK => self.link(payload, source, events),
            RTM_DELLINK => self.link_gone(payload, source, events),
            RTM_NEWADDR => self.tell(
                decode::address(payload).map(Object::Address),
                true,
                source,
                events,
            ),
            RTM_DELADDR => self.tell(
                decode::address(payload).map(Object::Address),
                false,
                source,
                events,
            ),
            RTM_NEWRULE => self.tell(
                decode::rule(payload).map(Object::Rule),
                true,
                source,
                events,
            ),
            RTM_DELRULE => self.tell(
                decode::rule(payload).map(Object::Rule),
                false,
                source,
                events,
            ),
            RTM_NEWROUTE | RTM_DELROUTE => {
                let Some(route) = decode::route(payload) else {
                    return;
                };
                let present = message.kind == RTM_NEWROUTE;
                if self.concerns_us(&route, present && message.flags & NLM_F_REPLACE != 0) {
                    self.count_next_hops(&route, present, source);
                    self.tell(Some(Object::Route(route)), present, source, events);
                }
            }
            RTM_NEWNEIGH | RTM_DELNEIGH => {
                let Some(neighbour) = decode::neighbour(payload) else {
                    return;
                };
                self.neighbour(neighbour, message.kind == RTM_NEWNEIGH, source, events);
            }
            RTM_NEWNETCONF | RTM_DELNETCONF => {
                let Some((family, index)) = decode::netconf(payload) else {
                    return;
                };
                let name = IfIndex::try_from(index)
                    .ok()
                    .and_then(|index| self.names.get(&index));
                self.watched
                    .reread_netconf(family, index, name.map(IfName::as_str), events);
            }
            _ => {}
        }
    }

    fn tell(
        &mut self,
        object: Option<Object>,
        present: bool,
        source: Source,
        events: &mut Vec<KernelEvent>,
    ) {
        let Some(object) = object else { return };
        match source {
            Source::Own => return,
            Source::Notification => {}
            Source::DuringScan => {
                self.spoken.insert(object.key());
            }
            Source::Scan if self.spoken.contains(&object.key()) => return,
            Source::Scan => {
                // The best default route is asked for besides the lists, which may have it too.
                if matches!(&object, Object::Route(route) if route.prefix.len() == 0) {
                    self.spoken.insert(object.key());
                }
            }
        }
        events.push(if present {
            KernelEvent::Present(object)
        } else {
            KernelEvent::Absent(object)
        });
    }

    fn link(&mut self, payload: &[u8], source: Source, events: &mut Vec<KernelEvent>) {
        let Some(link) = decode::link(payload) else {
            return;
        };
        match source {
            Source::Scan if self.spoken_links.contains(&link.index) => return,
            Source::DuringScan => {
                self.spoken_links.insert(link.index);
            }
            _ => {}
        }
        let Link { index, name, .. } = link.clone();
        events.push(KernelEvent::Link(link));
        let old = self.names.insert(index, name.clone());
        if old.as_ref() != Some(&name) {
            for name in old.iter().chain([&name]) {
                self.watched.reread_interface(name.as_str(), events);
            }
        }
    }

    fn link_gone(&mut self, payload: &[u8], source: Source, events: &mut Vec<KernelEvent>) {
        let Some(index) = decode::link_index(payload) else {
            return;
        };
        if source == Source::DuringScan {
            self.spoken_links.insert(index);
        }
        events.push(KernelEvent::LinkGone(index));
        if let Some(name) = self.names.remove(&index) {
            self.watched.reread_interface(name.as_str(), events);
        }
    }

    /// Ours, any default, and what took the place of another route, which may have been ours: the
    /// kernel does not tell of the other's end.
    fn concerns_us(&self, route: &Route, replaced: bool) -> bool {
        route.protocol == self.protocol || route.prefix.len() == 0 || replaced
    }

    /// When one next hop of an IPv6 route ends, the message looks like the end of a route that has
    /// just that one. Several foreign default routes may have one key. Only a scan tells what is left.
    fn count_next_hops(&mut self, route: &Route, present: bool, source: Source) {
        let ours = route.protocol == self.protocol;
        let key = Key::Route(route.table, route.prefix, route.metric);
        if present {
            if ours && route.prefix.addr().is_ipv6() && route.next_hops.len() > 1 {
                self.multipath.insert(key);
            }
        } else {
            let several = self.multipath.remove(&key);
            self.unclear |= source != Source::Own && (several || !ours);
        }
    }

    /// Permanent neighbours and routers. Entries that come and go by learning are not told.
    fn neighbour(
        &mut self,
        neighbour: Neighbour,
        present: bool,
        source: Source,
        events: &mut Vec<KernelEvent>,
    ) {
        let key = (neighbour.index, neighbour.addr);
        let lasting = present && (neighbour.state & NUD_PERMANENT != 0 || neighbour.router);
        let written = neighbour.protocol != 0;
        if lasting {
            if !written {
                self.neighbours.insert(key);
            }
        } else if source == Source::Scan || !(self.neighbours.remove(&key) || written) {
            return;
        }
        self.tell(Some(Object::Neighbour(neighbour)), lasting, source, events);
    }
}
