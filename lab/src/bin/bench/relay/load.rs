//! The load: tables like the Internet's, encoded before anything is measured.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Result;
use tapway_bgp_wire::{
    AsPath, Attributes, Community, EncodeContext, NextHop, Origin, UpdateBuilder,
};
use tapway_lab::sim::Dice;
use tapway_model::{Family, Prefix};

use super::scenario::{Peer, Scenario, Size};

/// The same load in every run.
const SEED: u64 = 64612;

/// Of 1,000 prefixes, how many have which length.
const LENGTHS4: &[(u64, u8)] = &[
    (640, 24),
    (100, 23),
    (105, 22),
    (50, 21),
    (45, 20),
    (25, 19),
    (14, 18),
    (8, 17),
    (13, 16),
];
const LENGTHS6: &[(u64, u8)] = &[
    (520, 48),
    (30, 47),
    (50, 46),
    (20, 45),
    (90, 44),
    (20, 42),
    (90, 40),
    (30, 36),
    (20, 33),
    (110, 32),
    (20, 29),
];

/// On how many blocks of attributes host routes are spread.
const HOST_BLOCKS: usize = 10;

/// Prefixes with the same attributes.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The path without the sender.
    pub(crate) attributes: Attributes,
    /// What has them.
    pub(crate) prefixes: Vec<Prefix>,
}

/// What a sender says.
#[derive(Debug)]
pub(crate) struct Said {
    /// UPDATEs that announce all.
    pub(crate) announce: Vec<u8>,
    /// UPDATEs that withdraw all.
    pub(crate) withdraw: Vec<u8>,
}

/// What all senders of a scenario say.
#[derive(Debug)]
pub(crate) struct Load {
    /// Every prefix, once.
    pub(crate) prefixes: Vec<Prefix>,
    /// One for each sender.
    pub(crate) said: Vec<Arc<Said>>,
}

impl Load {
    /// The load of a scenario.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn new(scenario: Scenario, size: Size) -> Result<Load> {
        let mut dice = Dice::new(SEED);
        let mut blocks = match scenario {
            Scenario::FanOut => hosts(size.prefixes, &mut dice),
            _ => table(size.family, size.prefixes, &mut dice),
        };
        let prefixes = blocks.iter().flat_map(|b| b.prefixes.clone()).collect();
        let mut said = Vec::new();
        for peer in size.senders() {
            let own = match scenario {
                // The path of every further sender is longer, so that the first is the best.
                Scenario::TwoPaths => encode(&blocks, peer, usize::from(peer.number))?,
                _ => {
                    let left = usize::from(size.senders - peer.number);
                    let count = blocks.len() / left;
                    encode(&blocks.drain(..count).collect::<Vec<_>>(), peer, 0)?
                }
            };
            said.push(Arc::new(own));
        }
        Ok(Load { prefixes, said })
    }
}

/// A table like the Internet's: some ten prefixes have the same attributes.
pub(crate) fn table(family: Family, count: usize, dice: &mut Dice) -> Vec<Block> {
    let mut taken = HashSet::with_capacity(count);
    let mut blocks = Vec::new();
    while taken.len() < count {
        let wanted = match dice.roll(20) {
            0..10 => 1 + dice.roll(4),
            10..17 => 5 + dice.roll(11),
            _ => 16 + dice.roll(45),
        };
        let region = dice.roll(1 << 32);
        let mut prefixes = Vec::new();
        for _ in 0..wanted {
            if taken.len() < count {
                prefixes.push(fresh(family, region, dice, &mut taken));
            }
        }
        blocks.push(Block {
            attributes: attributes(blocks.len(), dice),
            prefixes,
        });
    }
    blocks
}

/// Host routes side by side, with few blocks.
pub(crate) fn hosts(count: usize, dice: &mut Dice) -> Vec<Block> {
    let mut blocks: Vec<Block> = (0..HOST_BLOCKS)
        .map(|number| Block {
            attributes: attributes(number, dice),
            prefixes: Vec::new(),
        })
        .collect();
    let each = count.div_ceil(HOST_BLOCKS);
    for (number, address) in (0..count).zip(0x1400_0000..) {
        let prefix = Prefix::host(Ipv4Addr::from_bits(address).into());
        blocks[number / each].prefixes.push(prefix);
    }
    blocks
}

/// A prefix that is not taken, near others of its region as long as there is room.
fn fresh(family: Family, region: u64, dice: &mut Dice, taken: &mut HashSet<Prefix>) -> Prefix {
    for attempt in 0.. {
        let region = if attempt < 4 {
            region
        } else {
            dice.roll(1 << 32)
        };
        let prefix = match family {
            Family::Ipv4 => {
                let near = (region as u32 & !0x3_ffff) | dice.roll(1 << 18) as u32;
                Prefix::truncated(Ipv4Addr::from_bits(near).into(), length(LENGTHS4, dice))
            }
            Family::Ipv6 => {
                let high = 0x2000_0000 | (region as u32 & 0x0fff_fff0) | dice.roll(16) as u32;
                let bits = u128::from(high) << 96 | u128::from(dice.roll(1 << 32)) << 64;
                Prefix::truncated(Ipv6Addr::from_bits(bits).into(), length(LENGTHS6, dice))
            }
        };
        if usable(prefix) && taken.insert(prefix) {
            return prefix;
        }
    }
    unreachable!("an attempt without end")
}

fn length(lengths: &[(u64, u8)], dice: &mut Dice) -> u8 {
    let mut left = dice.roll(1000);
    for (share, length) in lengths {
        match left.checked_sub(*share) {
            None => return *length,
            Some(less) => left = less,
        }
    }
    lengths[0].1
}

/// No private network, of which the namespace has its own addresses, no loopback, no multicast.
fn usable(prefix: Prefix) -> bool {
    match prefix.addr() {
        IpAddr::V4(addr) => {
            let first = addr.octets()[0];
            (1..224).contains(&first) && first != 10 && first != 127
        }
        IpAddr::V6(_) => true,
    }
}

/// A path of one to five AS behind the sender's, communities, sometimes a MED. No two numbers give the same.
fn attributes(number: usize, dice: &mut Dice) -> Attributes {
    let mut path: Vec<u32> = (0..dice.roll(5))
        .map(|_| 1000 + dice.roll(2000) as u32)
        .collect();
    path.push(131_072 + number as u32);
    let mut communities: Vec<Community> = (0..dice.roll(9))
        .map(|_| Community((1000 + dice.roll(2000) as u32) << 16 | dice.roll(100) as u32))
        .collect();
    communities.sort();
    communities.dedup();
    Attributes {
        origin: if dice.once_in(10) {
            Origin::Incomplete
        } else {
            Origin::Igp
        },
        as_path: AsPath::sequence(path),
        med: dice.once_in(5).then(|| dice.roll(100) as u32),
        communities,
        ..Attributes::default()
    }
}

/// A sender's UPDATEs, with its AS before every path, and so many times more.
fn encode(blocks: &[Block], peer: Peer, more: usize) -> Result<Said> {
    let mut said = Said {
        announce: Vec::new(),
        withdraw: Vec::new(),
    };
    let mut updates = UpdateBuilder::new(&mut said.announce, EncodeContext::default());
    for block in blocks {
        let mut attributes = block.attributes.clone();
        attributes.as_path.prepend(peer.asn(), 1 + more);
        updates.announce(&attributes, next_hop(peer), block.prefixes.iter().copied())?;
    }
    let all = blocks.iter().flat_map(|b| b.prefixes.iter().copied());
    UpdateBuilder::new(&mut said.withdraw, EncodeContext::default()).withdraw(all);
    Ok(said)
}

/// The peer as a next hop.
pub(crate) fn next_hop(peer: Peer) -> NextHop {
    match peer.address() {
        IpAddr::V4(addr) => NextHop::V4(addr),
        IpAddr::V6(addr) => NextHop::V6(addr),
    }
}

#[cfg(test)]
mod tests;
