//! What all caches say together, ready to be asked.
//!
//! The distinct prefixes are sorted, so that each stands before all that it contains, and each knows the nearest one that
//! contains it. Of a route's prefix the deepest one that covers it is found by one binary search among those that begin with
//! the same 16 bits; the others are on the way up from there. A VRP takes 8 bytes, a distinct prefix 16 (IPv4) or 32 (IPv6).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{Family, Prefix};

use crate::set::{Bits, Row, VrpSet};
use crate::state::RpkiState;
use crate::vrp::Vrp;

/// The VRPs of all caches, each once. Never changes; cheap to clone.
#[derive(Clone, Default)]
pub struct VrpTable(Arc<Inner>);

#[derive(Default)]
struct Inner {
    v4: Side<u32>,
    v6: Side<u128>,
}

/// One family.
struct Side<A> {
    /// Where the nodes of each block of 16 bits begin, and where the last ends; empty without nodes.
    blocks: Vec<u32>,
    nodes: Vec<Node<A>>,
    /// In the order of the nodes that they are of.
    entries: Vec<Entry>,
}

/// A distinct prefix.
#[derive(Clone, Copy)]
struct Node<A> {
    addr: A,
    len: u8,
    /// The nearest one that contains it.
    parent: u32,
    /// Where its entries begin; they end where the next node's begin.
    entries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    asn: u32,
    max_len: u8,
}

const NO_PARENT: u32 = u32::MAX;

/// Blocks of 16 bits.
const BLOCKS: usize = 1 << 16;

/// More changed prefixes than these are not named.
const NAMED: usize = 4096;

/// Where the VRPs of two tables differ: routes that it does not cover are judged as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// In these prefixes; in order, none in another.
    Prefixes(Vec<Prefix>),
    /// Too many to be named.
    Many,
}

impl Changed {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        matches!(self, Changed::Prefixes(all) if all.is_empty())
    }

    /// Whether a route may be judged otherwise now.
    pub fn covers(&self, route: &Prefix) -> bool {
        match self {
            Changed::Many => true,
            Changed::Prefixes(all) => {
                let after = all.partition_point(|p| p <= route);
                let before = after.checked_sub(1).and_then(|at| all.get(at));
                before.is_some_and(|p| p.contains(route))
            }
        }
    }

    /// Adds a prefix that stands behind all others.
    fn push(&mut self, prefix: Prefix) {
        match self {
            Changed::Prefixes(all) if all.last().is_some_and(|last| last.contains(&prefix)) => {}
            Changed::Prefixes(all) if all.len() < NAMED => all.push(prefix),
            _ => *self = Changed::Many,
        }
    }
}

impl VrpTable {
    /// What these say together.
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a VrpSet>) -> VrpTable {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend_from_slice(&set.v4);
            v6.extend_from_slice(&set.v6);
        }
        VrpTable(Arc::new(Inner {
            v4: Side::new(v4),
            v6: Side::new(v6),
        }))
    }

    /// VRPs of a family.
    pub fn len(&self, family: Family) -> usize {
        match family {
            Family::Ipv4 => self.0.v4.entries.len(),
            Family::Ipv6 => self.0.v6.entries.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        Family::ALL.into_iter().all(|f| self.len(f) == 0)
    }

    /// Whether `origin` may announce a prefix (RFC 6811 §2); `None`: the path ends with a set, and nobody is the origin.
    pub fn validate(&self, prefix: &Prefix, origin: Option<u32>) -> RpkiState {
        let len = prefix.len();
        match prefix.addr() {
            IpAddr::V4(addr) => self.0.v4.validate(addr.to_bits(), len, origin),
            IpAddr::V6(addr) => self.0.v6.validate(addr.to_bits(), len, origin),
        }
    }

    /// The VRPs that cover a prefix, those of the longest prefixes first.
    pub fn covering(&self, prefix: Prefix) -> impl Iterator<Item = Vrp> + '_ {
        let (v4, v6) = match prefix.addr() {
            IpAddr::V4(addr) => (Some((addr.to_bits(), prefix.len())), None),
            IpAddr::V6(addr) => (None, Some((addr.to_bits(), prefix.len()))),
        };
        let v4 = v4
            .into_iter()
            .flat_map(|(a, len)| self.0.v4.covering(a, len));
        let v6 = v6
            .into_iter()
            .flat_map(|(a, len)| self.0.v6.covering(a, len));
        v4.chain(v6)
    }

    /// What differs from `old`.
    pub fn changed_from(&self, old: &VrpTable) -> Changed {
        let mut changed = Changed::Prefixes(Vec::new());
        if !Arc::ptr_eq(&self.0, &old.0) {
            self.0.v4.differ(&old.0.v4, &mut changed);
            self.0.v6.differ(&old.0.v6, &mut changed);
        }
        changed
    }
}

impl fmt::Debug for VrpTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [v4, v6] = Family::ALL.map(|family| self.len(family));
        write!(f, "VrpTable({v4} + {v6})")
    }
}

impl<A> Default for Side<A> {
    fn default() -> Self {
        Side {
            blocks: Vec::new(),
            nodes: Vec::new(),
            entries: Vec::new(),
        }
    }
}

impl<A: Bits> Node<A> {
    fn contains(&self, addr: A, len: u8) -> bool {
        self.len <= len && self.addr.begins_like(addr, self.len)
    }

    fn prefix(&self) -> Prefix {
        Prefix::truncated(self.addr.addr(), self.len)
    }
}

impl<A: Bits> Side<A> {
    fn new(mut rows: Vec<Row<A>>) -> Side<A> {
        // Runs that are sorted by themselves: the sort finds and merges them.
        rows.sort();
        rows.dedup();
        let distinct = rows
            .chunk_by(|a, b| (a.addr, a.len) == (b.addr, b.len))
            .count();
        let mut nodes: Vec<Node<A>> = Vec::with_capacity(distinct);
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let last = nodes.last().map(|n| (n.addr, n.len));
            if last != Some((row.addr, row.len)) {
                let mut parent = number(nodes.len()).wrapping_sub(1);
                while let Some(above) = nodes.get(parent as usize)
                    && !above.contains(row.addr, row.len)
                {
                    parent = above.parent;
                }
                nodes.push(Node {
                    addr: row.addr,
                    len: row.len,
                    parent,
                    entries: number(entries.len()),
                });
            }
            entries.push(Entry {
                asn: row.asn,
                max_len: row.max_len,
            });
        }
        let mut blocks = Vec::new();
        if !nodes.is_empty() {
            blocks.reserve_exact(BLOCKS + 1);
            for (at, node) in nodes.iter().enumerate() {
                while blocks.len() <= node.addr.block() {
                    blocks.push(number(at));
                }
            }
            blocks.resize(BLOCKS + 1, number(nodes.len()));
        }
        Side {
            blocks,
            nodes,
            entries,
        }
    }

    /// The nodes that cover a prefix, the longest first.
    fn up(&self, addr: A, len: u8) -> impl Iterator<Item = (usize, &Node<A>)> {
        let edge = |block: usize| self.blocks.get(block).map_or(0, |at| *at as usize);
        let (from, to) = (edge(addr.block()), edge(addr.block() + 1));
        let block = self.nodes.get(from..to).unwrap_or_default();
        let after = from + block.partition_point(|n| (n.addr, n.len) <= (addr, len));
        let mut at = number(after).wrapping_sub(1);
        core::iter::from_fn(move || {
            loop {
                let here = at as usize;
                let node = self.nodes.get(here)?;
                at = node.parent;
                if node.contains(addr, len) {
                    return Some((here, node));
                }
            }
        })
    }

    fn validate(&self, addr: A, len: u8, origin: Option<u32>) -> RpkiState {
        let mut state = RpkiState::NotFound;
        for (at, _) in self.up(addr, len) {
            state = RpkiState::Invalid;
            let allows = |e: &Entry| len <= e.max_len && e.asn != 0 && Some(e.asn) == origin;
            if self.entries_of(at).iter().any(allows) {
                return RpkiState::Valid;
            }
        }
        state
    }

    fn covering(&self, addr: A, len: u8) -> impl Iterator<Item = Vrp> + '_ {
        self.up(addr, len).flat_map(|(at, node)| {
            let prefix = node.prefix();
            let entries = self.entries_of(at).iter();
            entries.filter_map(move |e| Vrp::new(prefix, e.max_len, e.asn))
        })
    }

    fn entries_of(&self, at: usize) -> &[Entry] {
        let from = self.nodes.get(at).map_or(0, |n| n.entries as usize);
        let to = self
            .nodes
            .get(at + 1)
            .map_or(self.entries.len(), |n| n.entries as usize);
        self.entries.get(from..to).unwrap_or_default()
    }

    fn differ(&self, old: &Side<A>, changed: &mut Changed) {
        let (mut new_at, mut old_at) = (0, 0);
        while *changed != Changed::Many {
            let (new, was) = (self.nodes.get(new_at), old.nodes.get(old_at));
            let order = match (new, was) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(new), Some(was)) => (new.addr, new.len).cmp(&(was.addr, was.len)),
            };
            let node = if order == Ordering::Greater { was } else { new };
            let same =
                order == Ordering::Equal && self.entries_of(new_at) == old.entries_of(old_at);
            if let (false, Some(node)) = (same, node) {
                changed.push(node.prefix());
            }
            new_at += usize::from(order != Ordering::Greater);
            old_at += usize::from(order != Ordering::Less);
        }
    }
}

/// An index; caches cannot say so much that it does not fit.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NO_PARENT)
}

#[cfg(test)]
mod tests;
