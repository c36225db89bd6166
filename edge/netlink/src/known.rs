//! From messages to events: what is told, and what must be remembered for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_core::NLM_F_REPLACE;
use tapway_fib::{IfIndex, KernelEvent, Key, Link, Neighbour, Object, Route};
use tapway_model::IfName;

use crate::constants::{
    NUD_PERMANENT, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELNETCONF, RTM_DELROUTE,
    RTM_DELRULE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWNETCONF, RTM_NEWROUTE, RTM_NEWRULE,
};
use crate::decode;
use crate::message::{Content, Message};
use crate::watched::Watched;

/// What the monitor must remember to tell notifications right.
#[derive(Debug, Default)]
pub(crate) struct Known {
    protocol: u8,
    names: BTreeMap<IfIndex, IfName>,
    /// Neighbours of others that were told.
    neighbours: BTreeSet<(IfIndex, IpAddr)>,
    /// IPv6 routes with several next hops. The kernel tells of each next hop's end by itself.
    multipath: BTreeSet<Key>,
    pub(crate) watched: Watched,
    /// While a scan runs: what notifications spoke of.
    spoken: BTreeSet<Key>,
    spoken_links: BTreeSet<IfIndex>,
    /// Links that are up and have a carrier.
    carrying: BTreeSet<IfIndex>,
    /// A link carries nothing any more.
    pub(crate) lost: bool,
    /// What happened cannot be told from the messages alone.
    pub(crate) unclear: bool,
}

/// Where a message comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
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
    pub(crate) fn new(protocol: u8) -> Known {
        Known {
            protocol,
            ..Known::default()
        }
    }

    /// Forgets what the scan that begins now will tell.
    pub(crate) fn begin_scan(&mut self) {
        self.spoken.clear();
        self.spoken_links.clear();
        self.neighbours.clear();
        self.multipath.clear();
    }

    /// Tells what a message says.
    pub(crate) fn take_in(
        &mut self,
        message: &Message<'_>,
        source: Source,
        events: &mut Vec<KernelEvent>,
    ) {
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
        if link.up && link.carrier {
            self.carrying.insert(index);
        } else {
            self.lost |= self.carrying.remove(&index);
        }
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
        self.lost |= self.carrying.remove(&index);
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
