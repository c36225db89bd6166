//! A RIB as TABLE_DUMP_V2 (RFC 6396 §4.3, RFC 8050 §4.1).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use tapway_bgp::{DumpedRoute, NextHop, Source, SourceId, Speaker};
use tapway_bgp_wire::{AttributeFlags, PerFamily};
use tapway_model::{Family, Prefix};

use crate::record::{begin, finish, kind};

const PEER_INDEX_TABLE: u16 = 1;
/// The longest attributes of an entry: its length has two octets.
const MAX_ATTRIBUTES: usize = u16::MAX as usize;
/// Entries of a record: their count has two octets.
const MAX_ENTRIES: usize = u16::MAX as usize;

/// Which routes are dumped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Those that count, as import made them, own ones among them.
    #[default]
    Used,
    /// All that peers sent, as they came.
    Received,
}

/// A dump under way. What changes meanwhile may be in it or not; each prefix is as it was when its turn came.
#[derive(Clone, Debug)]
pub struct Dump {
    kind: Kind,
    time: Duration,
    peers: BTreeMap<SourceId, u16>,
    /// Some peer sends path identifiers.
    add_path: PerFamily<bool>,
    at: Option<(Family, Option<Prefix>)>,
    sequence: u32,
    routes: u64,
}

impl Dump {
    /// Begins with the table of peers; `time` is that of all records.
    pub fn begin(speaker: &Speaker, kind: Kind, time: Duration, out: &mut Vec<u8>) -> Dump {
        let sources = speaker.sources();
        let mut add_path: PerFamily<bool> = PerFamily::default();
        for family in Family::ALL {
            add_path[family] = sources.iter().any(|s| s.add_path[family]);
        }
        let router_id = speaker.config().router_id;
        let start = begin(out, time, kind::TABLE_DUMP_V2, PEER_INDEX_TABLE);
        out.extend_from_slice(&router_id.octets());
        // No view name.
        out.extend_from_slice(&[0, 0]);
        let known = sources.get(..MAX_ENTRIES).unwrap_or(&sources);
        out.extend_from_slice(&(known.len() as u16).to_be_bytes());
        known.iter().for_each(|source| peer(out, source));
        finish(out, start);
        Dump {
            kind,
            time,
            peers: known.iter().map(|s| s.id).zip(0..).collect(),
            add_path,
            at: Some((Family::Ipv4, None)),
            sequence: 0,
            routes: 0,
        }
    }

    /// Routes written so far.
    pub const fn routes(&self) -> u64 {
        self.routes
    }

    /// Writes up to `limit` more prefixes. False: that was all.
    pub fn page(&mut self, speaker: &Speaker, limit: usize, out: &mut Vec<u8>) -> bool {
        let Some((family, after)) = self.at else {
            return false;
        };
        let mut net = Net::default();
        let last = speaker.dump_page(self.kind == Kind::Received, family, after, limit, |route| {
            if net.prefix != Some(route.prefix) {
                self.record(&mut net, out);
                net.prefix = Some(route.prefix);
            }
            if let Some(peer) = self.peers.get(&route.source) {
                net.entry(*peer, self.time, self.add_path[family], &route);
            }
        });
        self.record(&mut net, out);
        self.at = match (last, family) {
            (Some(last), _) => Some((family, Some(last))),
            (None, Family::Ipv4) => Some((Family::Ipv6, None)),
            (None, Family::Ipv6) => None,
        };
        self.at.is_some()
    }

    /// Writes the record of a prefix.
    fn record(&mut self, net: &mut Net, out: &mut Vec<u8>) {
        let Some(prefix) = net.prefix.take() else {
            return;
        };
        if net.count > 0 {
            let family = prefix.family();
            let subtype = match (family, self.add_path[family]) {
                (Family::Ipv4, false) => 2,
                (Family::Ipv6, false) => 4,
                (Family::Ipv4, true) => 8,
                (Family::Ipv6, true) => 10,
            };
            let start = begin(out, self.time, kind::TABLE_DUMP_V2, subtype);
            out.extend_from_slice(&self.sequence.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(1);
            self.routes += u64::from(net.count);
            out.push(prefix.len());
            let octets = usize::from(prefix.len().div_ceil(8));
            match prefix.addr() {
                IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()[..octets]),
                IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()[..octets]),
            }
            out.extend_from_slice(&net.count.to_be_bytes());
            out.extend_from_slice(&net.entries);
            finish(out, start);
        }
        net.count = 0;
        net.entries.clear();
    }
}

/// The routes to one prefix.
#[derive(Default)]
struct Net {
    prefix: Option<Prefix>,
    count: u16,
    entries: Vec<u8>,
}

impl Net {
    fn entry(&mut self, peer: u16, time: Duration, add_path: bool, route: &DumpedRoute<'_>) {
        let start = self.entries.len();
        let Some(count) = self.count.checked_add(1) else {
            return;
        };
        let out = &mut self.entries;
        out.extend_from_slice(&peer.to_be_bytes());
        // When a route came is not kept: the time of the dump stands in.
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        out.extend_from_slice(&seconds.to_be_bytes());
        if add_path {
            out.extend_from_slice(&route.path_id.to_be_bytes());
        }
        let length = out.len();
        out.extend_from_slice(&[0, 0]);
        attributes(out, route);
        let len = out.len() - length - 2;
        if len > MAX_ATTRIBUTES {
            out.truncate(start);
            return;
        }
        out[length..length + 2].copy_from_slice(&(len as u16).to_be_bytes());
        self.count = count;
    }
}

/// Attributes with the next hop: in NEXT_HOP, or in an MP_REACH_NLRI that has nothing else (RFC 6396 §4.3.4).
fn attributes(out: &mut Vec<u8>, route: &DumpedRoute<'_>) {
    let octets: ([u8; 32], usize) = match route.next_hop {
        NextHop::V4(addr) if route.prefix.family() == Family::Ipv4 => {
            return route.attributes.write_with_next_hop(Some(addr), out);
        }
        NextHop::V4(addr) => joined(&addr.to_ipv6_mapped().octets(), &[]),
        NextHop::V6(addr) | NextHop::LinkLocal(addr) => joined(&addr.octets(), &[]),
        NextHop::V6WithLinkLocal { global, link_local } => {
            joined(&global.octets(), &link_local.octets())
        }
    };
    route.attributes.write_with_next_hop(None, out);
    let (bytes, len) = octets;
    let len = len as u8;
    out.extend_from_slice(&[AttributeFlags::OPTIONAL, 14, len + 1, len]);
    out.extend_from_slice(&bytes[..usize::from(len)]);
}

fn joined(first: &[u8], second: &[u8]) -> ([u8; 32], usize) {
    let mut all = [0; 32];
    let len = first.len() + second.len();
    all[..first.len()].copy_from_slice(first);
    all[first.len()..len].copy_from_slice(second);
    (all, len)
}

/// An entry of the table of peers (RFC 6396 §4.3.1): always with an AS number of four octets.
fn peer(out: &mut Vec<u8>, source: &Source) {
    let kind = 2 | u8::from(source.addr.is_ipv6());
    out.push(kind);
    out.extend_from_slice(&source.router_id.octets());
    match source.addr {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
    out.extend_from_slice(&source.asn.to_be_bytes());
}

#[cfg(test)]
mod tests;
