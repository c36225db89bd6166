//! A lane: members that read the same chunks, what is still to be written for them, and what waits to be read.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::sent::Slot;
use crate::bits::BitSet;
use crate::source::SourceId;

/// Whole UPDATE messages, written once for many peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The messages.
    pub bytes: Arc<[u8]>,
    /// How many messages.
    pub updates: u32,
    /// Routes that they announce.
    pub announced: u32,
    /// Routes that they withdraw.
    pub withdrawn: u32,
}

/// For whom a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    /// Every member.
    All,
    /// All but this peer: it sent the routes itself.
    AllBut(SourceId),
    /// Only this peer.
    Only(SourceId),
}

impl To {
    pub(super) fn includes(self, source: Option<SourceId>) -> bool {
        match self {
            To::All => true,
            To::AllBut(other) => source != Some(other),
            To::Only(other) => source == Some(other),
        }
    }
}

/// A chunk that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) chunk: Chunk,
    pub(super) to: To,
    /// The nets that it speaks of, and the path identifiers that it withdraws.
    pub(super) nets: Box<[(u32, Option<u16>)]>,
    /// Nets whose numbers must not be reused while it waits.
    pub(super) retire: Vec<u32>,
    /// Members that have not passed it.
    left: u32,
}

/// A lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) members: u32,
    /// Nets to look at first: something was withdrawn.
    pub(super) gone: BitSet,
    /// Nets to look at.
    pub(super) dirty: BitSet,
    /// Nets of which no member has anything that must be withdrawn if it is not announced.
    pub(super) fresh: BitSet,
    /// The members were told of nets before, so that such a net is no longer fresh when it changes.
    pub(super) told: bool,
    /// Nets that came after the members had been told all that there was before, and are still to be told: they have nothing of
    /// these.
    pub(super) unheard: BitSet,
    /// Where several routes of a net go out: those that the members may have of nets to look at.
    pub(super) ghosts: BTreeSet<(u32, u16)>,
    /// It has written nothing yet: who begins now may come in.
    pub(super) unread: bool,
    /// The members come from another group: what the first lane has not looked at yet cannot be told, nor withdrawn.
    pub(super) after_main: bool,
    /// How often the turn has begun again: two rounds later, everything that was to be looked at has been.
    pub(super) rounds: u64,
    gone_at: u32,
    dirty_at: u32,
    queue: VecDeque<Entry>,
    /// The number after the last entry that withdraws something.
    withdrawn: u64,
    /// The number of the first entry in the queue.
    first: u64,
    bytes: usize,
}

impl Lane {
    /// Whether the members have been told nothing but what this lane has written, so that they have nothing of what is fresh.
    pub(super) const fn is_first(&self) -> bool {
        !self.told
    }

    /// Nets to look at.
    pub(super) const fn pending(&self) -> usize {
        self.gone.len() + self.dirty.len()
    }

    /// Whether the members may still be owed a word about a net.
    pub(super) fn owes(&self, net: u32) -> bool {
        self.gone.contains(net) || self.dirty.contains(net)
    }

    /// The next net to look at: withdraws first, then in turn.
    pub(super) fn take(&mut self) -> Option<u32> {
        if let Some((net, _)) = self.gone.take_next(self.gone_at) {
            self.gone_at = net.wrapping_add(1);
            return Some(net);
        }
        let (net, again) = self.dirty.take_next(self.dirty_at)?;
        self.rounds += u64::from(again);
        self.dirty_at = net.wrapping_add(1);
        Some(net)
    }

    /// A net is to be looked at; `gone`: nothing of it is left.
    pub(super) fn touch(&mut self, net: u32, gone: bool) {
        match gone {
            true => {
                self.dirty.remove(net);
                self.gone.insert(net);
            }
            false => {
                self.gone.remove(net);
                self.dirty.insert(net);
            }
        }
    }

    /// What is sent of a net changes from `old` to `new`.
    pub(super) fn changes(&mut self, net: u32, old: &[Slot], new: &[Slot]) {
        let owed = self.owes(net);
        let unheard = match owed {
            true => self.unheard.contains(net) || self.is_first() && self.fresh.contains(net),
            false => old.is_empty(),
        };
        match (unheard, new.is_empty()) {
            // Nothing is to be told, and nothing of it kept.
            (true, true) => return self.forget(net),
            (true, false) if !owed => self.unheard.insert(net),
            (true, false) => {}
            (false, _) => {
                // What they have is what was sent when the net was not to be looked at.
                let as_sent = self.told && self.fresh.remove(net);
                if !owed || as_sent {
                    self.haunt(net, old);
                }
            }
        }
        self.touch(net, new.is_empty());
    }

    /// Nobody is to be told of a net.
    fn forget(&mut self, net: u32) {
        for bits in [
            &mut self.gone,
            &mut self.dirty,
            &mut self.fresh,
            &mut self.unheard,
        ] {
            bits.remove(net);
        }
    }

    /// The members may have these routes, where several of a net go out.
    pub(super) fn haunt(&mut self, net: u32, slots: &[Slot]) {
        let several = slots.iter().filter(|slot| slot.out_id > 0);
        self.ghosts.extend(several.map(|slot| (net, slot.out_id)));
    }

    /// The number after the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// Bytes that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, chunk: Chunk, to: To, nets: Box<[(u32, Option<u16>)]>) {
        self.bytes += chunk.bytes.len();
        if chunk.withdrawn > 0 {
            self.withdrawn = self.end() + 1;
        }
        let left = self.members;
        self.queue.push_back(Entry {
            chunk,
            to,
            nets,
            retire: Vec::new(),
            left,
        });
    }

    /// The last entry keeps these numbers. They come back when there is no entry.
    pub(super) fn retire(&mut self, nets: Vec<u32>) -> Result<(), Vec<u32>> {
        match self.queue.back_mut() {
            Some(entry) if entry.retire.is_empty() => entry.retire = nets,
            Some(entry) => entry.retire.extend(nets),
            None => return Err(nets),
        }
        Ok(())
    }

    /// The entry at a cursor, which its reader passes by that. Numbers that are no longer kept go to `freed`.
    pub(super) fn pass(&mut self, cursor: u64, freed: &mut Vec<u32>) -> Option<(To, Chunk)> {
        let at = usize::try_from(cursor.checked_sub(self.first)?).ok()?;
        let entry = self.queue.get_mut(at)?;
        entry.left -= 1;
        let read = (entry.to, entry.chunk.clone());
        self.pop(freed);
        Some(read)
    }

    /// A reader leaves: it passes all from `cursor` on. What it has not read goes to `unread`.
    pub(super) fn leave(
        &mut self,
        cursor: u64,
        freed: &mut Vec<u32>,
        mut unread: impl FnMut(&Entry),
    ) {
        let at = cursor.saturating_sub(self.first) as usize;
        for entry in self.queue.range_mut(at.min(self.queue.len())..) {
            entry.left -= 1;
            unread(entry);
        }
        self.members -= 1;
        self.pop(freed);
    }

    /// Whether something is still to be withdrawn for a reader: to be looked at, or written from `cursor` on.
    pub(super) fn owes_withdraws(&self, cursor: u64) -> bool {
        !self.gone.is_empty() || cursor < self.withdrawn
    }

    /// What waits from `cursor` on.
    pub(super) fn unread_from(&self, cursor: u64) -> impl Iterator<Item = &Entry> {
        let at = cursor.saturating_sub(self.first) as usize;
        self.queue.range(at.min(self.queue.len())..)
    }

    /// The number of the oldest entry when too much waits.
    pub(super) fn too_long(&self, most: usize) -> Option<u64> {
        (self.bytes > most && !self.queue.is_empty()).then_some(self.first)
    }

    fn pop(&mut self, freed: &mut Vec<u32>) {
        while let Some(entry) = self.queue.pop_front_if(|e| e.left == 0) {
            self.first += 1;
            self.bytes -= entry.chunk.bytes.len();
            freed.extend(entry.retire);
        }
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            self.queue.shrink_to_fit();
        }
    }
}
