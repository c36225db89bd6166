//! First transfers: when a member has been told everything, though routes go on changing (RFC 4724 §2).

use super::lane::Lane;
use super::{Group, MAIN};

/// Whether a member has been told everything that was there when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Not before the first lane has made so many rounds (0: it has), and then the member's own so many.
    Until {
        main: u64,
        own: u64,
    },
    Complete,
}

impl Group {
    /// A transfer that begins now, in a lane.
    pub(super) fn transfer(&self, lane: u32) -> Transfer {
        let rounds = |lane| self.lanes.get(&lane).map_or(0, |l: &Lane| l.rounds);
        Transfer::Until {
            main: rounds(MAIN) + 2,
            own: rounds(lane) + 2,
        }
    }

    /// A member has read all that is written for it.
    pub(super) fn has_read_all(&mut self, number: u32) {
        let Some(member) = self.members.get_mut(&number) else {
            return;
        };
        let Transfer::Until { main, own } = member.transfer else {
            return;
        };
        // Every net that was to be looked at has been when nothing is left, or after two rounds.
        let done = |lane: &Lane, rounds| lane.pending() == 0 || lane.rounds >= rounds;
        let lane = |lane| self.lanes.get(&lane);
        let (Some(first), Some(its)) = (lane(MAIN), lane(member.lane)) else {
            return;
        };
        if main > 0 && !done(first, main) {
            return;
        }
        member.transfer = match main {
            _ if member.lane == MAIN || its.pending() == 0 => Transfer::Complete,
            0 if done(its, own) => Transfer::Complete,
            0 => member.transfer,
            // What the first lane has found is still to be looked at in the member's own.
            _ => Transfer::Until {
                main: 0,
                own: its.rounds + 2,
            },
        };
    }

    /// Lets a member go on at the end of a lane.
    pub(super) fn move_to(&mut self, number: u32, lane: u32) {
        let cursor = self.enter(lane);
        let rounds = self.lanes.get(&lane).map_or(0, |l| l.rounds);
        if let Some(member) = self.members.get_mut(&number) {
            (member.lane, member.cursor) = (lane, cursor);
            if let Transfer::Until { own, .. } = &mut member.transfer {
                *own = rounds + 2;
            }
        }
    }

    /// Whether a member has been told everything that was there when it came, or asked for it again.
    pub(crate) fn is_complete(&self, number: u32) -> bool {
        let member = self.members.get(&number);
        member.is_some_and(|m| m.transfer == Transfer::Complete)
    }
}
