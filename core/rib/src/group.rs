//! Update groups: peers with equal export, for whom every route is decided and written once.
//!
//! Members read chunks from lanes. The first lane follows the table. A member that is new, or has fallen behind, reads from
//! a lane of its own, whose bits are what it is still to be told; when they are used up it joins the first lane.

pub(crate) mod lane;
mod moving;
mod out;
pub(crate) mod produce;
mod sent;
mod told;
mod transfer;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tapway_bgp_wire::{EncodeContext, NextHop};
use tapway_model::Family;

use crate::RouteView;
use crate::attributes::{AttrId, Seed};
use crate::bits::BitSet;
use crate::source::SourceId;
use lane::{Chunk, Lane};
use out::OutTable;
use sent::Sent;
use transfer::Transfer;

/// Which routes of a net go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// The best one.
    #[default]
    Best,
    /// So many of those that go out, in their order, with path identifiers (RFC 7911).
    Several(u16),
    /// All that can be used, with path identifiers (RFC 7911).
    All,
}

/// What is equal for all members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// The family of its routes.
    pub family: Family,
    /// How messages are written.
    pub encode: EncodeContext,
    /// Which routes go out. With more than one, `encode` must have path identifiers.
    pub paths: Paths,
    /// Bytes that may wait for the slowest member before it gets a lane of its own.
    pub backlog: usize,
}

/// The number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    pub(crate) family: Family,
    pub(crate) number: u32,
}

/// The number of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// Its group.
    pub group: GroupId,
    pub(crate) number: u32,
}

/// What export makes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The next hop; `None`: the route does not go out.
    pub next_hop: Option<NextHop>,
    /// The answer is the same for every route with these attributes from sources of this class.
    pub for_attributes: bool,
}

/// What goes to a group, and how.
pub trait Export {
    /// Says whether a route goes out, and writes its attributes to `block`: as they are to be on the wire, NEXT_HOP included
    /// ([`Attributes::encode_with`](tapway_bgp_wire::Attributes::encode_with)).
    fn export(&mut self, group: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>) -> Exported;
}

impl<F: FnMut(GroupId, &RouteView<'_>, &mut Vec<u8>) -> Exported> Export for F {
    fn export(&mut self, group: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>) -> Exported {
        self(group, route, block)
    }
}

/// What a member is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes.
    Chunk(Chunk),
    /// Nothing of what was looked at was for this member; ask again, now or in the next turn.
    More,
    /// It has everything.
    Idle,
}

#[derive(Clone, Debug)]
struct Member {
    /// What it is as a source: such routes are not sent to it.
    source: Option<SourceId>,
    lane: u32,
    cursor: u64,
    transfer: Transfer,
}

/// The number of the lane that follows the table.
const MAIN: u32 = 0;

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    config: GroupConfig,
    outs: OutTable,
    sent: Sent,
    /// How many of the routes that are sent each source has sent.
    senders: BTreeMap<SourceId, usize>,
    lanes: BTreeMap<u32, Lane>,
    next_lane: u32,
    members: BTreeMap<u32, Member>,
    next_member: u32,
    /// How many members a source has here.
    sources: BTreeMap<SourceId, u32>,
    /// Routes that did not fit into a message.
    pub(crate) too_long: u64,
}

impl Group {
    /// A group that is to be told of `nets`.
    pub(crate) fn new(config: GroupConfig, seed: Seed, nets: impl Iterator<Item = u32>) -> Group {
        let mut main = Lane::default();
        nets.for_each(|net| main.dirty.insert(net));
        Group {
            config,
            outs: OutTable::new(seed),
            sent: Sent::new(config.paths != Paths::Best),
            senders: BTreeMap::new(),
            lanes: BTreeMap::from([(MAIN, main)]),
            next_lane: 1,
            members: BTreeMap::new(),
            next_member: 0,
            sources: BTreeMap::new(),
            too_long: 0,
        }
    }

    /// Whether several routes of a net go out.
    pub(crate) fn several(&self) -> bool {
        self.config.paths != Paths::Best
    }

    /// A net is to be looked at; `gone`: it has no best route.
    pub(crate) fn touch(&mut self, net: u32, gone: bool) {
        let Some(main) = self.lanes.get_mut(&MAIN) else {
            return;
        };
        if gone && !self.sent.has(net) {
            main.dirty.remove(net);
            main.gone.remove(net);
        } else {
            main.touch(net, gone);
        }
    }

    /// Whether a member may still be owed a withdraw of a net that nothing was sent of.
    pub(crate) fn owes(&self, net: u32) -> bool {
        self.lanes.len() > 1 && self.lanes.range(MAIN + 1..).any(|(_, lane)| lane.owes(net))
    }

    /// A block of attributes has lost its number.
    pub(crate) fn forget(&mut self, id: AttrId) {
        self.outs.forget(id);
    }

    /// Export changed: everything is looked at again. What is to be withdrawn still goes first.
    pub(crate) fn touch_all(&mut self, nets: impl Iterator<Item = u32>) {
        self.outs.forget_all();
        if let Some(main) = self.lanes.get_mut(&MAIN) {
            for net in nets.filter(|net| !main.gone.contains(*net)) {
                main.dirty.insert(net);
            }
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.members.is_empty()
    }

    /// Everything that was sent, when the group ends.
    pub(crate) fn into_bits(self) -> (BitSet, BitSet) {
        let (mut held, mut owed) = (BitSet::default(), BitSet::default());
        self.sent.nets().for_each(|net| held.insert(net));
        for lane in self.lanes.into_values() {
            owed.extend(&lane.gone);
            owed.extend(&lane.dirty);
        }
        (held, owed)
    }

    /// Adds a member, which is to be told everything.
    pub(crate) fn join(&mut self, source: Option<SourceId>) -> u32 {
        let number = self.next_member;
        self.next_member += 1;
        let nothing_sent = self.sent.nets().next().is_none();
        let lane = match self.lanes.iter().find(|(_, lane)| lane.unread) {
            _ if nothing_sent => MAIN,
            Some((lane, _)) => *lane,
            None => {
                let mut lane = Lane::default();
                lane.unread = true;
                for net in self.sent.nets() {
                    lane.dirty.insert(net);
                    lane.fresh.insert(net);
                }
                self.add_lane(lane)
            }
        };
        if let Some(source) = source {
            *self.sources.entry(source).or_default() += 1;
        }
        let cursor = self.enter(lane);
        let transfer = self.transfer(lane);
        self.members.insert(
            number,
            Member {
                source,
                lane,
                cursor,
                transfer,
            },
        );
        number
    }

    fn add_lane(&mut self, lane: Lane) -> u32 {
        let number = self.next_lane;
        self.next_lane += 1;
        self.lanes.insert(number, lane);
        number
    }

    /// One member more at the end of a lane.
    fn enter(&mut self, lane: u32) -> u64 {
        let Some(lane) = self.lanes.get_mut(&lane) else {
            return 0;
        };
        lane.members += 1;
        lane.end()
    }

    /// Removes a member. What is freed by that goes to `freed`; the bits of a lane that ends are returned.
    pub(crate) fn leave(&mut self, number: u32, freed: &mut Vec<u32>) -> Option<BitSet> {
        let member = self.members.remove(&number)?;
        if let Some(source) = member.source
            && let Some(count) = self.sources.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
        self.lanes
            .get_mut(&member.lane)?
            .leave(member.cursor, freed, |_| {});
        self.close_if_empty(member.lane)
    }

    /// Ends a lane that nobody reads. Its bits are what might be freed now.
    fn close_if_empty(&mut self, number: u32) -> Option<BitSet> {
        if number == MAIN || self.lanes.get(&number).is_none_or(|lane| lane.members > 0) {
            return None;
        }
        let lane = self.lanes.remove(&number)?;
        let mut bits = lane.gone;
        bits.extend(&lane.dirty);
        Some(bits)
    }

    /// A member is to be told everything again (RFC 2918).
    pub(crate) fn send_again(&mut self, number: u32, freed: &mut Vec<u32>) -> Option<BitSet> {
        let mut lane = Lane::default();
        for net in self.sent.nets() {
            lane.dirty.insert(net);
            lane.fresh.insert(net);
        }
        let closed = self.split(number, lane, freed);
        let lane = self.members.get(&number).map_or(MAIN, |m| m.lane);
        let transfer = self.transfer(lane);
        if let Some(member) = self.members.get_mut(&number) {
            member.transfer = transfer;
        }
        closed
    }

    /// Moves a member to a lane of its own, where it is told what it has missed. Returns the bits of the lane that ends by it.
    fn split(&mut self, number: u32, mut new: Lane, freed: &mut Vec<u32>) -> Option<BitSet> {
        let member = self.members.get(&number)?;
        let (from, cursor) = (member.lane, member.cursor);
        let old = self.lanes.get_mut(&from)?;
        new.told = true;
        let mut missed = Vec::new();
        old.leave(cursor, freed, |entry| {
            missed.extend(entry.nets.iter().copied())
        });
        if from != MAIN {
            new.ghosts.extend(old.ghosts.iter().copied());
            for net in old.gone.iter().chain(old.dirty.iter()) {
                // What was never told stays so.
                match old.fresh.contains(net) {
                    true => new.fresh.insert(net),
                    false => _ = new.fresh.remove(net),
                }
                if old.unheard.contains(net) {
                    new.unheard.insert(net);
                }
                new.touch(net, old.gone.contains(net));
            }
        }
        for (net, withdrawn) in missed {
            new.fresh.remove(net);
            new.unheard.remove(net);
            new.haunt(net, self.sent.get(net).all());
            new.ghosts
                .extend(withdrawn.filter(|id| *id > 0).map(|id| (net, id)));
            new.touch(net, !self.sent.has(net));
        }
        let lane = self.add_lane(new);
        self.move_to(number, lane);
        self.close_if_empty(from)
    }

    /// Moves all members that stand at the oldest entry of a lane out of it, until what waits is short enough.
    fn shorten(&mut self, lane: u32, freed: &mut Vec<u32>, closed: &mut Vec<BitSet>) {
        while let Some(first) = self
            .lanes
            .get(&lane)
            .and_then(|l| l.too_long(self.config.backlog))
        {
            let slow = |m: &Member| m.lane == lane && m.cursor == first;
            let all: Vec<u32> = self
                .members
                .iter()
                .filter(|(_, m)| slow(m))
                .map(|(n, _)| *n)
                .collect();
            let Some((leader, others)) = all.split_first() else {
                return;
            };
            // They have missed the same, so they go on together.
            closed.extend(self.split(*leader, Lane::default(), freed));
            let Some(to) = self.members.get(leader).map(|m| m.lane) else {
                return;
            };
            for number in others {
                if let Some(old) = self.lanes.get_mut(&lane) {
                    old.leave(first, freed, |_| {});
                }
                self.move_to(*number, to);
            }
        }
    }

    /// Nets that a member is still to be told of, at most.
    pub(crate) fn pending(&self, number: u32) -> usize {
        let Some(member) = self.members.get(&number) else {
            return 0;
        };
        let of = |lane: u32| {
            self.lanes
                .get(&lane)
                .map_or(0, |l| l.pending() + (l.end() - member.cursor) as usize)
        };
        match member.lane {
            MAIN => of(MAIN),
            lane => of(lane) + self.lanes.get(&MAIN).map_or(0, Lane::pending),
        }
    }

    /// Whether a member is still to be told that something is gone.
    pub(crate) fn owes_withdraws(&self, number: u32) -> bool {
        let main_is_to_look = |main: &Lane| !main.gone.is_empty();
        self.members.get(&number).is_some_and(|member| {
            let lane = self.lanes.get(&member.lane);
            self.lanes.get(&MAIN).is_some_and(main_is_to_look)
                || lane.is_some_and(|lane| lane.owes_withdraws(member.cursor))
        })
    }

    /// Bytes that wait to be read.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.values().map(Lane::waiting).sum()
    }

    /// Whether a member reads with all others.
    pub(crate) fn is_in_step(&self, number: u32) -> bool {
        self.members.get(&number).is_some_and(|m| m.lane == MAIN)
    }

    /// Outgoing blocks.
    pub(crate) const fn blocks(&self) -> usize {
        self.outs.len()
    }
}
