//! Members that go from one group to another: what the peer has of the old one is replaced or withdrawn.

use alloc::collections::BTreeSet;

use super::lane::Lane;
use super::{Group, Member};
use crate::bits::BitSet;
use crate::source::SourceId;

/// What a peer may have been told.
#[derive(Debug)]
pub(crate) struct Had {
    source: Option<SourceId>,
    nets: BitSet,
    /// Where several routes of a net go out: which.
    paths: BTreeSet<(u32, u16)>,
}

impl Group {
    /// What a member may have been told: more than it was does no harm.
    pub(crate) fn had(&self, number: u32) -> Option<Had> {
        let member = self.members.get(&number)?;
        let lane = self.lanes.get(&member.lane)?;
        let mut had = Had {
            source: member.source,
            nets: BitSet::default(),
            paths: lane.ghosts.clone(),
        };
        for net in self.sent.nets() {
            had.nets.insert(net);
            let slots = self.sent.get(net);
            let several = slots.all().iter().filter(|slot| slot.out_id > 0);
            had.paths.extend(several.map(|slot| (net, slot.out_id)));
        }
        if member.lane != super::MAIN {
            had.nets.extend(&lane.gone);
            had.nets.extend(&lane.dirty);
        }
        lane.unheard.iter().for_each(|net| _ = had.nets.remove(net));
        // What it has not read of may be of a time before that.
        for (net, withdrawn) in lane.unread_from(member.cursor).flat_map(|e| &e.nets) {
            had.nets.insert(*net);
            had.paths
                .extend(withdrawn.filter(|id| *id > 0).map(|id| (*net, id)));
        }
        if lane.is_first() {
            lane.fresh.iter().for_each(|net| _ = had.nets.remove(net));
        }
        Some(had)
    }

    /// Adds a member that was told something by another group.
    pub(crate) fn join_having(&mut self, had: Had) -> u32 {
        if had.nets.is_empty() {
            return self.join(had.source);
        }
        let mut lane = Lane::default();
        (lane.told, lane.after_main) = (true, true);
        lane.ghosts = had.paths;
        for net in self.sent.nets() {
            lane.dirty.insert(net);
            if !had.nets.contains(net) {
                lane.fresh.insert(net);
            }
        }
        lane.dirty.extend(&had.nets);
        let number = self.next_member;
        self.next_member += 1;
        if let Some(source) = had.source {
            *self.sources.entry(source).or_default() += 1;
        }
        let lane = self.add_lane(lane);
        let cursor = self.enter(lane);
        let transfer = self.transfer(lane);
        let member = Member {
            source: had.source,
            lane,
            cursor,
            transfer,
        };
        self.members.insert(number, member);
        number
    }
}
