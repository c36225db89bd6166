//! What a member was told, for those who ask.

use super::lane::Lane;
use super::sent::Slot;
use super::{Group, MAIN};
use crate::group::out::Out;

impl Group {
    /// What a member was told of a net.
    pub(crate) fn told(&self, number: u32, net: u32, mut visit: impl FnMut(&Slot, &Out)) {
        let Some(member) = self.members.get(&number) else {
            return;
        };
        let lane = self.lanes.get(&member.lane);
        let unheard =
            |lane: &Lane| lane.unheard.contains(net) || lane.is_first() && lane.fresh.contains(net);
        if lane.is_some_and(unheard) {
            return;
        }
        for slot in self.sent.get(net).all() {
            if member.source == Some(slot.source) {
                continue;
            }
            if let Some(out) = self.outs.get(slot.out) {
                visit(slot, out);
            }
        }
    }

    /// Whether a member is still to be told something of a net.
    pub(crate) fn owes_member(&self, number: u32, net: u32) -> bool {
        let Some(member) = self.members.get(&number) else {
            return false;
        };
        let owes = |lane: u32| self.lanes.get(&lane).is_some_and(|lane| lane.owes(net));
        let waits = || {
            let lane = self.lanes.get(&member.lane);
            let mut unread = lane.into_iter().flat_map(|l| l.unread_from(member.cursor));
            unread.any(|entry| entry.nets.iter().any(|(other, _)| *other == net))
        };
        owes(MAIN) || owes(member.lane) || waits()
    }

    /// Routes that a member was told. During its first transfer it is about so many, and those that it sent itself may be missing
    /// twice.
    pub(crate) fn told_count(&self, number: u32) -> usize {
        let Some(member) = self.members.get(&number) else {
            return 0;
        };
        let Some(lane) = self.lanes.get(&member.lane) else {
            return 0;
        };
        let routes = self.sent.routes();
        let fresh = if lane.is_first() { lane.fresh.len() } else { 0 };
        // How many routes of these nets there are is not kept.
        let new = (fresh + lane.unheard.len()) * routes / self.sent.len().max(1);
        let own = member.source.and_then(|source| self.senders.get(&source));
        routes.saturating_sub(new + own.copied().unwrap_or_default())
    }
}
