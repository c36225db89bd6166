//! Sets of prefixes, each with the lengths inside it that match: made once, asked often.
//!
//! The distinct prefixes are sorted, so that each stands before all that it contains, and each knows the
//! nearest one that contains it. Of a prefix in question the deepest one that contains it is found by
//! one binary search and some steps up; it knows the lengths that match below it, those of its
//! ancestors included.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{Family, Prefix};

/// A prefix and the lengths inside it that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixMatch {
    /// Covers the route's prefix.
    pub prefix: Prefix,
    /// Shortest length that matches.
    pub ge: u8,
    /// Longest length that matches.
    pub le: u8,
}

/// A set of prefixes. Cheap to clone.
#[derive(Clone, Default)]
pub struct PrefixSet(Option<Arc<Compiled>>);

struct Compiled {
    written: Vec<PrefixMatch>,
    v4: Vec<Node>,
    v6: Vec<Node>,
}

/// One distinct prefix.
#[derive(Clone, Copy)]
struct Node {
    /// The first address, left-aligned.
    start: u128,
    /// The lengths that match below it: bit `n` for length `n`.
    lengths: u128,
    /// The same for length 128, for which there is no bit left.
    host: bool,
    len: u8,
    /// The nearest one that contains it.
    parent: u32,
}

const NO_PARENT: u32 = u32::MAX;

impl PrefixSet {
    /// The set of these.
    pub fn new(written: Vec<PrefixMatch>) -> PrefixSet {
        if written.is_empty() {
            return PrefixSet(None);
        }
        let v4 = compile(&written, Family::Ipv4);
        let v6 = compile(&written, Family::Ipv6);
        PrefixSet(Some(Arc::new(Compiled { written, v4, v6 })))
    }

    /// What it was made of.
    pub fn written(&self) -> &[PrefixMatch] {
        self.0.as_ref().map_or(&[], |set| &set.written)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a prefix matches.
    pub fn contains(&self, prefix: &Prefix) -> bool {
        let Some(set) = &self.0 else { return false };
        let nodes = match prefix.family() {
            Family::Ipv4 => &set.v4,
            Family::Ipv6 => &set.v6,
        };
        deepest(nodes, start(prefix), prefix.len())
            .and_then(|at| nodes.get(at))
            .is_some_and(|node| node.has(prefix.len()))
    }

    /// Whether an address matches, as its /32 or /128.
    pub fn contains_addr(&self, addr: IpAddr) -> bool {
        self.contains(&Prefix::host(addr))
    }
}

impl PartialEq for PrefixSet {
    fn eq(&self, other: &PrefixSet) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.written == b.written,
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl Eq for PrefixSet {}

impl fmt::Debug for PrefixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written().fmt(f)
    }
}

impl Node {
    fn of(written: &PrefixMatch) -> Node {
        let mut node = Node {
            start: start(&written.prefix),
            lengths: 0,
            host: written.le == 128,
            len: written.prefix.len(),
            parent: NO_PARENT,
        };
        for length in written.ge..=written.le.min(127) {
            node.lengths |= 1 << length;
        }
        node
    }

    fn has(&self, length: u8) -> bool {
        match 1u128.checked_shl(length.into()) {
            Some(bit) => self.lengths & bit != 0,
            None => self.host,
        }
    }

    fn add(&mut self, other: &Node) {
        self.lengths |= other.lengths;
        self.host |= other.host;
    }

    fn contains(&self, start: u128, len: u8) -> bool {
        // A shift by all bits leaves nothing: everything is in the default route's prefix.
        let differ = (self.start ^ start)
            .checked_shr(128 - u32::from(self.len))
            .unwrap_or(0);
        self.len <= len && differ == 0
    }
}

/// The first address of a prefix, left-aligned.
fn start(prefix: &Prefix) -> u128 {
    match prefix.addr() {
        IpAddr::V4(addr) => u128::from(addr.to_bits()) << 96,
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

/// The last of `nodes` that contains the prefix.
fn deepest(nodes: &[Node], start: u128, len: u8) -> Option<usize> {
    let after = nodes.partition_point(|node| (node.start, node.len) <= (start, len));
    let mut at = after.checked_sub(1)?;
    loop {
        let node = nodes.get(at)?;
        if node.contains(start, len) {
            return Some(at);
        }
        at = usize::try_from(node.parent).ok()?;
    }
}

fn compile(written: &[PrefixMatch], family: Family) -> Vec<Node> {
    let mut nodes: Vec<Node> = written
        .iter()
        .filter(|w| w.prefix.family() == family)
        .map(Node::of)
        .collect();
    nodes.sort_by_key(|node| (node.start, node.len));
    nodes.dedup_by(|next, kept| {
        let same = (next.start, next.len) == (kept.start, kept.len);
        if same {
            kept.add(next);
        }
        same
    });
    for at in 1..nodes.len() {
        let (before, rest) = nodes.split_at_mut(at);
        let Some(node) = rest.first_mut() else { break };
        if let Some(parent) = deepest(before, node.start, node.len)
            && let Some(above) = before.get(parent)
        {
            node.add(above);
            node.parent = u32::try_from(parent).unwrap_or(NO_PARENT);
        }
    }
    nodes
}

#[cfg(test)]
mod tests;
