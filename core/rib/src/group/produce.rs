//! Chunks for members: read, or decided and written now.

use alloc::boxed::Box;
use alloc::vec::Vec;

use tapway_bgp_wire::{NextHop, NlriEntry, UpdateBuilder};
use tapway_model::{Family, Prefix};

use super::lane::{Chunk, Lane, To};
use super::sent::Slot;
use super::{Export, Group, GroupId, MAIN, Next, Paths};
use crate::bits::BitSet;
use crate::decide;
use crate::route::Route;
use crate::slab::Slab;
use crate::source::SourceId;
use crate::table::{Net, Shared, candidate, is_sought, long_lived_stale};
use tapway_model::packed::Packed;

/// Something to be written.
#[derive(Clone, Copy, Debug)]
struct Item {
    to: To,
    /// `None`: withdraw.
    out: Option<u32>,
    net: u32,
    out_id: u16,
}

/// Everything besides the group that producing needs.
pub(crate) struct Around<'a, K> {
    pub(crate) id: GroupId,
    pub(crate) nets: &'a mut Slab<Net<K>>,
    pub(crate) shared: &'a Shared,
    /// Nets to look at in one call.
    pub(crate) limit: usize,
    /// Nets whose numbers one holder less keeps.
    pub(crate) freed: Vec<u32>,
    /// Bits that are gone: nets that might be free now.
    pub(crate) closed: Vec<BitSet>,
}

impl Group {
    /// The next chunk for a member.
    pub(crate) fn next<K: Packed>(
        &mut self,
        number: u32,
        around: &mut Around<'_, K>,
        export: &mut impl Export,
    ) -> Next {
        let mut produced = false;
        loop {
            let Some(member) = self.members.get_mut(&number) else {
                return Next::Idle;
            };
            let Some(lane) = self.lanes.get_mut(&member.lane) else {
                return Next::Idle;
            };
            while let Some((to, chunk)) = lane.pass(member.cursor, &mut around.freed) {
                member.cursor += 1;
                if to.includes(member.source) {
                    return Next::Chunk(chunk);
                }
            }
            let (number_of_lane, cursor) = (member.lane, member.cursor);
            let main_first = self.main_goes_first(number_of_lane);
            let pending = self.lanes.get(&number_of_lane).map_or(0, Lane::pending);
            self.has_read_all(number);
            if pending > 0 || main_first {
                if produced {
                    return Next::More;
                }
                produced = true;
                let producer = if main_first { MAIN } else { number_of_lane };
                // This member has read all, so it is not among those that leave.
                self.shorten(producer, &mut around.freed, &mut around.closed);
                match producer {
                    MAIN => self.follow(around, export),
                    other => self.catch_up(other, around),
                }
                continue;
            }
            if number_of_lane == MAIN {
                return Next::Idle;
            }
            // All caught up.
            if let Some(lane) = self.lanes.get_mut(&number_of_lane) {
                lane.leave(cursor, &mut around.freed, |_| {});
            }
            let closed = self.close_if_empty(number_of_lane);
            around.closed.extend(closed);
            self.move_to(number, MAIN);
        }
    }

    /// Whether the first lane must look before another one tells: withdraws overtake there too.
    fn main_goes_first(&self, lane: u32) -> bool {
        let (Some(main), Some(lane)) = (self.lanes.get(&MAIN), self.lanes.get(&lane)) else {
            return false;
        };
        !core::ptr::eq(main, lane)
            && (!main.gone.is_empty() || lane.after_main && main.pending() > 0)
    }

    /// Looks at nets that changed, notes what is sent of them now, and writes it.
    fn follow<K: Packed>(&mut self, around: &mut Around<'_, K>, export: &mut impl Export) {
        let mut items = Vec::new();
        let mut retire = Vec::new();
        let mut wanted = Vec::new();
        let mut old = Vec::new();
        let mut left = around.limit;
        while left > 0
            && let Some(id) = self.lanes.get_mut(&MAIN).and_then(Lane::take)
        {
            left -= 1;
            let Some(net) = around.nets.get_mut(id) else {
                continue;
            };
            old.clear();
            old.extend_from_slice(self.sent.get(id).all());
            wanted.clear();
            self.wanted(net, &old, around.shared, around.id, export, &mut wanted);
            let before = items.len();
            self.compare(id, &old, &wanted, &mut items);
            // The references of what was wanted now belong to what was sent.
            self.sent.set(id, &wanted);
            self.count_senders(&old, &wanted);
            old.iter().for_each(|slot| self.outs.release(slot.out));
            match (old.is_empty(), wanted.is_empty()) {
                (true, false) => net.holds += 1,
                (false, true) => retire.push(id),
                _ => {}
            }
            if items.len() > before || old != wanted {
                self.tell_others(id, &old, &wanted);
            }
        }
        self.write(MAIN, items, retire, around);
    }

    /// Counts the routes that go out by who sent them: that peer is not told.
    fn count_senders(&mut self, old: &[Slot], new: &[Slot]) {
        if let ([old], [new]) = (old, new)
            && old.source == new.source
        {
            return;
        }
        for slot in new {
            *self.senders.entry(slot.source).or_default() += 1;
        }
        for slot in old {
            if let Some(count) = self.senders.get_mut(&slot.source) {
                *count -= 1;
                if *count == 0 {
                    self.senders.remove(&slot.source);
                }
            }
        }
    }

    /// The other lanes have to tell what changed too.
    fn tell_others(&mut self, net: u32, old: &[Slot], new: &[Slot]) {
        if self.lanes.len() == 1 {
            return;
        }
        for (_, lane) in self.lanes.range_mut(MAIN + 1..) {
            lane.changes(net, old, new);
        }
    }

    /// Tells members that have missed something what holds now.
    fn catch_up<K: Packed>(&mut self, number: u32, around: &mut Around<'_, K>) {
        let mut items = Vec::new();
        let mut retire = Vec::new();
        let mut ended = Vec::new();
        let mut left = around.limit;
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.unread = false;
        }
        while left > 0
            && let Some(lane) = self.lanes.get_mut(&number)
            && let Some(id) = lane.take()
        {
            left -= 1;
            let fresh = lane.fresh.remove(id) | lane.unheard.remove(id);
            let slots = self.sent.get(id);
            let slots = slots.all();
            if slots
                .iter()
                .any(|s| around.shared.sources.is_closing(s.source))
            {
                // It goes in a moment, and its sender may be here again under another number.
                ended.push((id, fresh));
                continue;
            }
            let ghosts = lane.ghosts.range((id, 0)..=(id, u16::MAX)).copied();
            let ghosts: Vec<(u32, u16)> = ghosts.collect();
            ghosts.iter().for_each(|g| _ = lane.ghosts.remove(g));
            let withdraw = |out_id, to| Item {
                to,
                out: None,
                net: id,
                out_id,
            };
            if slots.is_empty() {
                if let Some(net) = around.nets.get_mut(id) {
                    // Its number is kept by what is written here.
                    net.holds += 1;
                    retire.push(id);
                }
                if !fresh && !self.several() {
                    items.push(withdraw(0, To::All));
                }
            }
            if !fresh {
                let gone = ghosts
                    .iter()
                    .filter(|(_, id)| slots.iter().all(|s| s.out_id != *id));
                items.extend(gone.map(|(_, out_id)| withdraw(*out_id, To::All)));
            }
            for slot in slots {
                items.push(Item {
                    to: To::AllBut(slot.source),
                    out: Some(slot.out),
                    net: id,
                    out_id: slot.out_id,
                });
                if !fresh {
                    items.push(withdraw(slot.out_id, To::Only(slot.source)));
                }
            }
        }
        for (net, fresh) in ended {
            // The first lane looks at it now, and this one again.
            self.touch(net, false);
            if let Some(lane) = self.lanes.get_mut(&number) {
                lane.after_main = true;
                lane.dirty.insert(net);
                if fresh {
                    lane.fresh.insert(net);
                }
            }
        }
        self.write(number, items, retire, around);
    }

    /// What should be sent of a net, with references to its attributes. Where it leads need not be known yet of what was `sent`
    /// already.
    fn wanted<K: Packed>(
        &mut self,
        net: &Net<K>,
        sent: &[Slot],
        shared: &Shared,
        id: GroupId,
        export: &mut impl Export,
        wanted: &mut Vec<Slot>,
    ) {
        let routes = net.routes.all();
        let Some(best) = net.routes.best() else {
            return;
        };
        match self.config.paths {
            Paths::Best if sent.is_empty() && is_sought(best, shared) => {}
            Paths::Best => {
                let out = self.out(net.key, best, shared, id, export);
                let slot = |out, source| Slot {
                    out_id: 0,
                    out,
                    source,
                };
                if let Some(out) = out {
                    wanted.push(slot(out, best.source));
                } else if best.source == SourceId::LOCAL && routes.len() > 1 {
                    // Not for this group; perhaps another one of ours is.
                    let mut own: Vec<&Route> = routes
                        .iter()
                        .filter(|r| r.source == SourceId::LOCAL && !r.best)
                        .collect();
                    own.sort_unstable_by_key(|r| (core::cmp::Reverse(r.weight), r.path_id));
                    let found = own
                        .into_iter()
                        .find_map(|r| self.out(net.key, r, shared, id, export));
                    wanted.extend(found.map(|out| slot(out, SourceId::LOCAL)));
                }
            }
            Paths::Several(_) | Paths::All => {
                self.several_wanted(net, sent, shared, id, export, wanted);
            }
        }
    }

    /// Of the routes that go out the best ones.
    fn several_wanted<K: Packed>(
        &mut self,
        net: &Net<K>,
        sent: &[Slot],
        shared: &Shared,
        id: GroupId,
        export: &mut impl Export,
        wanted: &mut Vec<Slot>,
    ) {
        let limit = match self.config.paths {
            Paths::Best => 1,
            Paths::Several(limit) => usize::from(limit.max(1)),
            Paths::All => usize::MAX,
        };
        let mut candidates = Vec::new();
        let routes = net.routes.all();
        let known = |route: &Route| {
            sent.iter().any(|slot| slot.out_id == route.out_id) || !is_sought(route, shared)
        };
        for (route, place) in routes.iter().zip(0..).filter(|(route, _)| known(route)) {
            if let Some(candidate) = candidate(route, place, shared, self.config.family)
                && let Some(out) = self.out(net.key, route, shared, id, export)
            {
                candidates.push(candidate);
                wanted.push(Slot {
                    out_id: route.out_id,
                    out,
                    source: route.source,
                });
            }
        }
        if limit < wanted.len() {
            let order = decide::rank(&candidates, &shared.rules, limit);
            let chosen = |slot: &Slot| {
                let mut best = order.iter().filter_map(|place| routes.get(*place as usize));
                best.any(|route| route.out_id == slot.out_id)
            };
            wanted.retain(|slot| {
                let stays = chosen(slot);
                if !stays {
                    self.outs.release(slot.out);
                }
                stays
            });
        }
        wanted.sort_unstable_by_key(|slot| slot.out_id);
    }

    /// Outgoing attributes for a route, with a reference; `None`: it does not go out.
    fn out<K: Packed>(
        &mut self,
        key: K,
        route: &Route,
        shared: &Shared,
        id: GroupId,
        export: &mut impl Export,
    ) -> Option<u32> {
        let used = route.used?;
        let source = shared.sources.get(route.source).filter(|s| !s.closing)?;
        let stale = long_lived_stale(route, &source.state, self.config.family);
        let class = u64::from(source.info.class) << 1 | u64::from(stale);
        if let Some(out) = self.outs.known(used, class) {
            if let Some(out) = out {
                self.outs.hold(out);
            }
            return out;
        }
        let prefix = key.unpack();
        let mut block = Vec::new();
        let exported = export.export(id, &shared.view(prefix, route)?, &mut block);
        let out = match exported.next_hop {
            Some(next_hop) if self.fits(&block, next_hop) => {
                Some(self.outs.intern(&block, next_hop))
            }
            Some(_) => {
                self.too_long += 1;
                None
            }
            None => None,
        };
        if exported.for_attributes {
            self.outs.remember(used, class, out);
        }
        out
    }

    /// Whether a message holds the attributes and the longest prefix.
    fn fits(&self, block: &[u8], next_hop: NextHop) -> bool {
        // Header, two length fields, MP_REACH_NLRI with a next hop of 32 octets, path identifier, prefix.
        const AROUND: usize = 19 + 4 + (4 + 3 + 1 + 32 + 1) + 4 + 17;
        let family = matches!(
            (self.config.family, next_hop),
            (Family::Ipv6, NextHop::V4(_))
        );
        !family && block.len() + AROUND <= self.config.encode.max_len
    }

    /// What has to be said for `new` to hold where `old` did.
    fn compare(&self, net: u32, old: &[Slot], new: &[Slot], items: &mut Vec<Item>) {
        let of = |slots: &[Slot], id| slots.iter().find(|s| s.out_id == id).copied();
        let item = |to, out, out_id| Item {
            to,
            out,
            net,
            out_id,
        };
        for slot in old.iter().filter(|o| of(new, o.out_id).is_none()) {
            items.push(item(To::AllBut(slot.source), None, slot.out_id));
        }
        for slot in new {
            let (out, id) = (Some(slot.out), slot.out_id);
            match of(old, id) {
                Some(was) if was.out == slot.out && was.source == slot.source => {}
                Some(was) if was.out == slot.out => {
                    items.push(item(To::Only(slot.source), None, id));
                    items.push(item(To::Only(was.source), out, id));
                }
                Some(was) if was.source != slot.source => {
                    items.push(item(To::Only(slot.source), None, id));
                    items.push(item(To::AllBut(slot.source), out, id));
                }
                _ => items.push(item(To::AllBut(slot.source), out, id)),
            }
        }
    }

    /// Writes items into chunks of a lane, those with equal attributes together.
    fn write<K: Packed>(
        &mut self,
        lane: u32,
        mut items: Vec<Item>,
        retire: Vec<u32>,
        around: &mut Around<'_, K>,
    ) {
        let here = |source| self.sources.contains_key(&source);
        items.retain_mut(|item| match item.to {
            To::AllBut(source) if !here(source) => {
                item.to = To::All;
                true
            }
            To::Only(source) => here(source),
            To::All | To::AllBut(_) => true,
        });
        // For one target after the other, withdraws first; nets in the order in which they were taken.
        items.sort_by_key(|item| (item.to, item.out));
        let encode = self.config.encode;
        let Some(to_lane) = self.lanes.get_mut(&lane) else {
            return;
        };
        if to_lane.members == 0 {
            // Who reads other lanes is told there.
            around.freed.extend(retire);
            return;
        }
        for same_target in items.chunk_by(|a, b| a.to == b.to) {
            let mut bytes = Vec::with_capacity(same_target.len() * 5 + 256);
            let (mut updates, mut announced, mut withdrawn) = (0, 0, 0);
            for run in same_target.chunk_by(|a, b| a.out == b.out) {
                let entries = run.iter().filter_map(|item| {
                    let prefix: Prefix = around.nets.get(item.net)?.key.unpack();
                    Some(NlriEntry {
                        prefix,
                        path_id: u32::from(item.out_id),
                    })
                });
                let mut builder = UpdateBuilder::new(&mut bytes, encode);
                match run.first().and_then(|item| item.out) {
                    None => {
                        updates += builder.withdraw(entries);
                        withdrawn += run.len();
                    }
                    Some(out) => {
                        let Some(out) = self.outs.get(out) else {
                            continue;
                        };
                        // It fits: that was looked at when the block was made.
                        updates += builder
                            .announce_block(&out.block, out.next_hop, entries)
                            .unwrap_or_default();
                        announced += run.len();
                    }
                }
            }
            let Some(first) = same_target.first() else {
                continue;
            };
            let nets: Box<[(u32, Option<u16>)]> = same_target
                .iter()
                .map(|i| (i.net, i.out.is_none().then_some(i.out_id)))
                .collect();
            let chunk = Chunk {
                bytes: bytes.into(),
                updates: updates as u32,
                announced: announced as u32,
                withdrawn: withdrawn as u32,
            };
            to_lane.push(chunk, first.to, nets);
        }
        if !retire.is_empty()
            && let Err(now) = to_lane.retire(retire)
        {
            around.freed.extend(now);
        }
    }
}
