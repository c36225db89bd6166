//! What one cache says: sorted rows, packed.

use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{Family, Prefix};

use crate::vrp::Vrp;

/// An address as a number.
pub(crate) trait Bits: Copy + Ord {
    /// As an address.
    fn addr(self) -> IpAddr;
    /// The first 16 bits.
    fn block(self) -> usize;
    /// Whether the first `len` bits are the same.
    fn begins_like(self, other: Self, len: u8) -> bool;
}

impl Bits for u32 {
    fn addr(self) -> IpAddr {
        IpAddr::V4(self.into())
    }

    fn block(self) -> usize {
        (self >> 16) as usize
    }

    fn begins_like(self, other: u32, len: u8) -> bool {
        // A shift by all bits leaves nothing: everything begins like the default route's prefix.
        (self ^ other).checked_shr(32 - u32::from(len)).unwrap_or(0) == 0
    }
}

impl Bits for u128 {
    fn addr(self) -> IpAddr {
        IpAddr::V6(self.into())
    }

    fn block(self) -> usize {
        (self >> 112) as usize
    }

    fn begins_like(self, other: u128, len: u8) -> bool {
        (self ^ other)
            .checked_shr(128 - u32::from(len))
            .unwrap_or(0)
            == 0
    }
}

/// A VRP, packed. In order of prefixes: each stands before all that it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row<A> {
    pub(crate) addr: A,
    pub(crate) len: u8,
    pub(crate) max_len: u8,
    pub(crate) asn: u32,
}

impl<A: Bits> Row<A> {
    pub(crate) fn vrp(self) -> Option<Vrp> {
        let prefix = Prefix::truncated(self.addr.addr(), self.len);
        Vrp::new(prefix, self.max_len, self.asn)
    }
}

/// What comes or goes. As large as a row.
#[derive(Clone, Copy, Debug)]
struct Change<A> {
    addr: A,
    len: u8,
    max_len: u8,
    announce: bool,
    asn: u32,
}

impl<A: Bits> Change<A> {
    fn row(&self) -> Row<A> {
        Row {
            addr: self.addr,
            len: self.len,
            max_len: self.max_len,
            asn: self.asn,
        }
    }
}

/// What an answer of a cache says, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    v4: Vec<Change<u32>>,
    v6: Vec<Change<u128>>,
}

impl Changes {
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(crate) fn announced(&self) -> usize {
        let v4 = self.v4.iter().filter(|c| c.announce).count();
        v4 + self.v6.iter().filter(|c| c.announce).count()
    }

    pub(crate) fn push(&mut self, vrp: &Vrp, announce: bool) {
        let (len, max_len, asn) = (vrp.prefix().len(), vrp.max_len(), vrp.asn());
        match vrp.prefix().addr() {
            IpAddr::V4(addr) => self.v4.push(Change {
                addr: addr.to_bits(),
                len,
                max_len,
                announce,
                asn,
            }),
            IpAddr::V6(addr) => self.v6.push(Change {
                addr: addr.to_bits(),
                len,
                max_len,
                announce,
                asn,
            }),
        }
    }
}

/// A change that cannot be: announced and there already, or withdrawn and not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clash {
    pub(crate) vrp: Vrp,
    pub(crate) announced: bool,
}

/// VRPs, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VrpSet {
    pub(crate) v4: Vec<Row<u32>>,
    pub(crate) v6: Vec<Row<u128>>,
}

impl VrpSet {
    /// VRPs of a family.
    pub fn len(&self, family: Family) -> usize {
        match family {
            Family::Ipv4 => self.v4.len(),
            Family::Ipv6 => self.v6.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The set after an answer, whose changes hold in their order. The set itself stays as it is.
    pub(crate) fn changed(&self, changes: Changes) -> Result<VrpSet, Clash> {
        Ok(VrpSet {
            v4: merged(&self.v4, changes.v4)?,
            v6: merged(&self.v6, changes.v6)?,
        })
    }
}

impl FromIterator<Vrp> for VrpSet {
    fn from_iter<I: IntoIterator<Item = Vrp>>(all: I) -> VrpSet {
        let mut changes = Changes::default();
        for vrp in all {
            changes.push(&vrp, true);
        }
        let mut set = VrpSet {
            v4: changes.v4.iter().map(Change::row).collect(),
            v6: changes.v6.iter().map(Change::row).collect(),
        };
        set.v4.sort_unstable();
        set.v6.sort_unstable();
        set.v4.dedup();
        set.v6.dedup();
        set
    }
}

fn merged<A: Bits>(old: &[Row<A>], mut changes: Vec<Change<A>>) -> Result<Vec<Row<A>>, Clash> {
    // Stable: changes of one VRP stay in their order.
    changes.sort_by_key(Change::row);
    let announced = changes.iter().filter(|c| c.announce).count();
    let mut all = Vec::with_capacity(old.len() + announced);
    let mut old = old.iter().copied().peekable();
    for same in changes.chunk_by(|a, b| a.row() == b.row()) {
        let Some(row) = same.first().map(Change::row) else {
            continue;
        };
        while let Some(before) = old.next_if(|o| *o < row) {
            all.push(before);
        }
        let mut there = old.next_if_eq(&row).is_some();
        for change in same {
            if change.announce == there
                && let Some(vrp) = row.vrp()
            {
                return Err(Clash {
                    vrp,
                    announced: there,
                });
            }
            there = change.announce;
        }
        if there {
            all.push(row);
        }
    }
    all.extend(old);
    Ok(all)
}

#[cfg(test)]
mod tests;
