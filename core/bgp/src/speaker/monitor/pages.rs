//! What there is, page by page, for monitors that begin to listen and for dumps; and what the RIB noted.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_bgp_wire::{
    EncodeContext, EncodeError, MAX_LEN_EXTENDED, NextHop, NlriEntry, PerFamily, RawAttributes,
    UpdateBuilder,
};
use tapway_model::{Family, PeerName, Prefix};
use tapway_rib::{AttrId, RouteView, SourceId};

use super::{MonitoredSession, Report, Table};
use crate::own::OwnRoutes;
use crate::speaker::Speaker;
use crate::speaker::peer::Peer;
use crate::speaker::shared::Shared;

/// Notes that are made into reports at a time.
const NOTES: usize = 4096;

/// Which of the two tables of received routes are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InTables {
    /// As received.
    pub received: bool,
    /// After import.
    pub imported: bool,
}

/// Where routes of a dump come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What routes name it by.
    pub id: SourceId,
    /// The peer; `None`: ourselves.
    pub peer: Option<PeerName>,
    /// Its address; unspecified for ourselves.
    pub addr: IpAddr,
    /// Its AS.
    pub asn: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// It sends path identifiers (RFC 7911).
    pub add_path: PerFamily<bool>,
}

/// A route of a dump.
#[derive(Clone, Copy, Debug)]
pub struct DumpedRoute<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// Where it comes from.
    pub source: SourceId,
    /// The path identifier that it came with; 0 without.
    pub path_id: u32,
    /// Its attributes with AS numbers of four octets. NEXT_HOP may be among them, and means nothing.
    pub attributes: RawAttributes<'a>,
    /// Its next hop.
    pub next_hop: NextHop,
}

/// A route that belongs to a page.
struct Item {
    source: SourceId,
    table: Table,
    /// `None`: it is withdrawn.
    attributes: Option<AttrId>,
    entry: NlriEntry,
}

impl Speaker {
    /// Shows the routes that established peers sent, of up to `limit` prefixes after `after`, as UPDATEs; stale ones are left
    /// out. The last prefix looked at, when there may be more.
    pub fn in_page(
        &self,
        tables: InTables,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
        emit: impl FnMut(&Arc<MonitoredSession>, Table, Vec<u8>),
    ) -> Option<Prefix> {
        let mut items = Vec::new();
        let last = self.shared.rib.list(family, after, limit, |route| {
            if route.source == SourceId::LOCAL || route.stale {
                return;
            }
            let mut add = |table, attributes| {
                items.push(Item {
                    source: route.source,
                    table,
                    attributes: Some(attributes),
                    entry: entry(&route),
                });
            };
            if tables.received {
                add(Table::Received, route.received.id);
            }
            if let Some(used) = route.used.filter(|_| tables.imported) {
                add(Table::Imported, used.id);
            }
        });
        items.sort_by_key(|item| (item.source, item.table, item.attributes));
        self.write_items(&items, emit);
        last
    }

    /// What an established peer was sent of up to `limit` prefixes after `after`, as UPDATEs like those of its session. The
    /// last prefix looked at, when there may be more.
    pub fn sent_page(
        &self,
        peer: &PeerName,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
    ) -> (Vec<u8>, Option<Prefix>) {
        let mut out = Vec::new();
        let peer = self.peers.get(peer);
        let member = peer.and_then(|p| p.outbound[family].member);
        let Some((session, member)) = peer.and_then(Peer::monitored).zip(member) else {
            return (out, None);
        };
        let mut by_block: BTreeMap<NextHop, BTreeMap<Vec<u8>, Vec<NlriEntry>>> = BTreeMap::new();
        let rib = &self.shared.rib;
        let last = rib.list_told(member, after, limit, |route| {
            let blocks = by_block.entry(route.next_hop).or_default();
            let entry = NlriEntry {
                prefix: route.prefix,
                path_id: route.path_id,
            };
            match blocks.get_mut(route.block) {
                Some(entries) => entries.push(entry),
                None => drop(blocks.insert(route.block.to_vec(), [entry].to_vec())),
            }
        });
        for (next_hop, blocks) in by_block {
            for (block, entries) in blocks {
                let mut builder = UpdateBuilder::new(&mut out, session.encode);
                // It was sent like this, so it fits.
                let _ = builder.announce_block(&block, next_hop, entries);
            }
        }
        (out, last)
    }

    /// Where routes come from: ourselves, and all peers that have any.
    pub fn sources(&self) -> Vec<Source> {
        let us = Source {
            id: SourceId::LOCAL,
            peer: None,
            addr: Ipv4Addr::UNSPECIFIED.into(),
            asn: self.shared.config.asn,
            router_id: self.shared.config.router_id,
            add_path: PerFamily::default(),
        };
        let of_peer = |peer: &Peer| {
            let id = peer.source?;
            let info = self.shared.rib.source(id)?;
            let last = peer.watched.session.as_ref();
            Some(Source {
                id,
                peer: Some(peer.config.name.clone()),
                addr: info.addr,
                asn: peer.sender.asn,
                router_id: info.router_id,
                add_path: last.map_or_else(PerFamily::default, |s| s.decode.add_path),
            })
        };
        let peers = self.peers.values().filter_map(of_peer);
        core::iter::once(us).chain(peers).collect()
    }

    /// Shows all routes of up to `limit` prefixes after `after`: those that count, as import made them; or all received ones, as
    /// they came. The last prefix looked at, when there may be more.
    pub fn dump_page(
        &self,
        as_received: bool,
        family: Family,
        after: Option<Prefix>,
        limit: usize,
        mut visit: impl FnMut(DumpedRoute<'_>),
    ) -> Option<Prefix> {
        let Shared { rib, own, .. } = &self.shared;
        rib.list(family, after, limit, |route| {
            let local = route.source == SourceId::LOCAL;
            let attributes = match as_received {
                true if local => return,
                true => Some(route.received),
                false => route.used,
            };
            let Some(attributes) = attributes else { return };
            visit(DumpedRoute {
                prefix: route.prefix,
                source: route.source,
                path_id: if local { 0 } else { route.path_id },
                attributes: attributes.raw,
                next_hop: match local {
                    true => own_next_hop(own, &route),
                    false => attributes.next_hop,
                },
            });
        })
    }

    /// Makes reports of what the RIB noted.
    pub(super) fn report_notes(&mut self) {
        let wants = self.shared.monitor.wants;
        let mut items = Vec::new();
        while items.len() < NOTES
            && let Some(note) = self.shared.rib.take_note()
        {
            let rib = &self.shared.rib;
            let now = rib.route(note.source, note.entry, |route| {
                route.used.map(|used| used.id)
            });
            if wants.imported {
                items.push(Item {
                    source: note.source,
                    table: Table::Imported,
                    attributes: now.flatten(),
                    entry: note.entry,
                });
            }
            if wants.received && note.swept && now.is_none() {
                items.push(Item {
                    source: note.source,
                    table: Table::Received,
                    attributes: None,
                    entry: note.entry,
                });
            }
        }
        let mut reports = Vec::new();
        self.write_items(&items, |session, table, updates| {
            reports.push(Report::Routes {
                session: session.clone(),
                table,
                updates,
            });
        });
        for report in reports {
            self.shared.monitor.push(report);
        }
    }

    /// Writes runs of items that have a message in common; those of peers that are not there are left out.
    fn write_items(
        &self,
        items: &[Item],
        mut emit: impl FnMut(&Arc<MonitoredSession>, Table, Vec<u8>),
    ) {
        let sessions: BTreeMap<SourceId, &Arc<MonitoredSession>> =
            self.monitored().map(|s| (s.source, s)).collect();
        for run in items.chunk_by(|a, b| (a.source, a.table) == (b.source, b.table)) {
            let Some(first) = run.first() else { continue };
            let Some(session) = sessions.get(&first.source) else {
                continue;
            };
            let mut out = Vec::new();
            for run in run.chunk_by(|a, b| a.attributes == b.attributes) {
                let entries = run.iter().map(|item| item.entry);
                let Some(first) = run.first() else { continue };
                match first.attributes.map(|id| self.shared.rib.attributes(id)) {
                    None => drop(UpdateBuilder::new(&mut out, context(session)).withdraw(entries)),
                    Some(Some(all)) => announce(session, all.raw, all.next_hop, entries, &mut out),
                    Some(None) => {}
                }
            }
            if !out.is_empty() {
                emit(session, first.table, out);
            }
        }
    }
}

fn entry(route: &RouteView<'_>) -> NlriEntry {
    NlriEntry {
        prefix: route.prefix,
        path_id: route.path_id,
    }
}

/// How UPDATEs are written that stand for those of a peer: what it may send, but always with AS numbers of four octets.
pub(super) const fn context(session: &MonitoredSession) -> EncodeContext {
    EncodeContext {
        four_octet_asn: true,
        max_len: session.decode.max_len(),
        add_path: session.decode.add_path,
    }
}

/// Writes routes of one block as a peer would announce them.
pub(super) fn announce<I>(
    session: &MonitoredSession,
    raw: RawAttributes<'_>,
    next_hop: NextHop,
    entries: I,
    out: &mut Vec<u8>,
) where
    I: IntoIterator<Item: Into<NlriEntry>> + Clone,
{
    let block = block(raw, next_hop);
    let mut cx = context(session);
    let written = UpdateBuilder::new(out, cx).announce_block(&block, next_hop, entries.clone());
    // AS numbers of four octets, or what import added, may make it longer than a message of the session.
    if let Err(EncodeError::TooLong { .. }) = written {
        cx.max_len = MAX_LEN_EXTENDED;
        let _ = UpdateBuilder::new(out, cx).announce_block(&block, next_hop, entries);
    }
}

/// Attributes as they are in an UPDATE with this next hop.
pub(super) fn block(raw: RawAttributes<'_>, next_hop: NextHop) -> Vec<u8> {
    let classic = match next_hop {
        NextHop::V4(addr) => Some(addr),
        _ => None,
    };
    let mut block = Vec::with_capacity(raw.bytes().len() + 7);
    raw.write_with_next_hop(classic, &mut block);
    block
}

/// The next hop of an own route, as far as it does not depend on who is told: the one that it was given, or none.
pub(super) fn own_next_hop(own: &OwnRoutes, route: &RouteView<'_>) -> NextHop {
    let all = own.of_prefix(&route.prefix).iter();
    let given = all
        .filter(|a| a.id.domain.0 == route.path_id)
        .find_map(|a| a.next_hop);
    match (given, route.prefix.family()) {
        (Some(IpAddr::V4(addr)), Family::Ipv4) => NextHop::V4(addr),
        (Some(IpAddr::V6(addr)), _) => NextHop::V6(addr),
        (_, Family::Ipv4) => NextHop::V4(Ipv4Addr::UNSPECIFIED),
        (_, Family::Ipv6) => NextHop::V6(Ipv6Addr::UNSPECIFIED),
    }
}
