//! Groups and their members, as the RIB's callers see them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use tapway_bgp_wire::NextHop;
use tapway_model::{Family, Prefix};

use crate::bits::BitSet;
use crate::group::produce::Around;
use crate::group::{Export, Group, GroupConfig, GroupId, MemberId, Next};
use crate::job::Job;
use crate::rib::{Rib, with};
use crate::source::SourceId;

/// A route as a member was told it.
#[derive(Clone, Copy, Debug)]
pub struct ToldRoute<'a> {
    /// Its prefix.
    pub prefix: Prefix,
    /// The path identifier; 0 where one route of a prefix goes out.
    pub path_id: u32,
    /// Where the route comes from.
    pub source: SourceId,
    /// Its attributes as they were written.
    pub block: &'a [u8],
    /// Its next hop.
    pub next_hop: NextHop,
}

/// A group in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Bytes that wait to be read by members.
    pub waiting: usize,
    /// Different blocks of outgoing attributes.
    pub blocks: usize,
    /// Routes that could not be sent as their attributes leave no room for a prefix.
    pub too_long: u64,
}

impl Rib {
    /// A new group. It ends with its last member.
    pub fn add_group(&mut self, config: GroupConfig) -> GroupId {
        let (family, seed) = (config.family, self.seed);
        with!(self, family, |table, _sh| {
            let number = table.next_group;
            table.next_group += 1;
            let group = Group::new(config, seed, table.nets.iter().map(|(id, _)| id));
            table.groups.insert(number, group);
            GroupId { family, number }
        })
    }

    /// Adds a peer to a group. It is told everything but what it sends itself as `source`. `None`: there is no such group.
    pub fn join(&mut self, group: GroupId, source: Option<SourceId>) -> Option<MemberId> {
        with!(self, group.family, |table, _sh| {
            let number = table.groups.get_mut(&group.number)?.join(source);
            Some(MemberId { group, number })
        })
    }

    /// Removes a peer from its group.
    pub fn leave(&mut self, member: MemberId) {
        let family = member.group.family;
        let mut freed = Vec::new();
        let mut jobs = Vec::new();
        with!(&mut *self, family, |table, _sh| {
            let Some(group) = table.groups.get_mut(&member.group.number) else {
                return;
            };
            let closed = group.leave(member.number, &mut freed);
            jobs.extend(closed.map(|owed| (BitSet::default(), owed)));
            if group.is_unused() {
                jobs.extend(
                    table
                        .groups
                        .remove(&member.group.number)
                        .map(Group::into_bits),
                );
            }
        });
        self.let_go(family, &freed);
        self.jobs.extend(jobs.into_iter().map(|bits| Job::Free {
            family,
            bits: Box::new(bits),
        }));
    }

    /// A member goes on in another group of its family: it is told what holds there, and what it was told and does not hold
    /// there is withdrawn. `None`: there is no such member, or no such group.
    pub fn transfer(&mut self, member: MemberId, to: GroupId) -> Option<MemberId> {
        if member.group.family != to.family {
            return None;
        }
        let had = with!(&mut *self, to.family, |table, _sh| {
            let from = table.groups.get(&member.group.number)?;
            let into = table.groups.get(&to.number)?;
            if from.several() != into.several() {
                return None;
            }
            from.had(member.number)?
        });
        let number = with!(&mut *self, to.family, |table, _sh| table
            .groups
            .get_mut(&to.number)?
            .join_having(had));
        self.leave(member);
        Some(MemberId { group: to, number })
    }

    /// A member is to be told everything again (RFC 2918, RFC 7313).
    pub fn send_again(&mut self, member: MemberId) {
        let family = member.group.family;
        let mut freed = Vec::new();
        let mut closed = None;
        with!(&mut *self, family, |table, _sh| {
            if let Some(group) = table.groups.get_mut(&member.group.number) {
                closed = group.send_again(member.number, &mut freed);
            }
        });
        self.let_go(family, &freed);
        self.free_later(family, closed);
    }

    /// What export says to a group may be another now.
    pub fn export_changed(&mut self, group: GroupId) {
        with!(self, group.family, |table, _sh| {
            let nets = table.nets.iter().map(|(id, _)| id);
            if let Some(group) = table.groups.get_mut(&group.number) {
                group.touch_all(nets);
            }
        });
    }

    /// What a member is to be sent next. At most `limit` prefixes are looked at.
    pub fn next(&mut self, member: MemberId, limit: usize, export: &mut impl Export) -> Next {
        let family = member.group.family;
        let (next, freed, closed) = with!(&mut *self, family, |table, sh| {
            let Some(group) = table.groups.get_mut(&member.group.number) else {
                return Next::Idle;
            };
            let mut around = Around {
                id: member.group,
                nets: &mut table.nets,
                shared: sh,
                limit,
                freed: Vec::new(),
                closed: Vec::new(),
            };
            let next = group.next(member.number, &mut around, export);
            (next, around.freed, around.closed)
        });
        self.let_go(family, &freed);
        self.free_later(family, closed);
        next
    }

    /// Prefixes that a member is still to be told of, at most; see [`Rib::is_complete`].
    pub fn pending(&self, member: MemberId) -> usize {
        with!(self, member.group.family, |table, _sh| {
            table
                .groups
                .get(&member.group.number)
                .map_or(0, |g| g.pending(member.number))
        })
    }

    /// Whether a member is still to be told that a prefix is gone. Such are looked at before all others.
    pub fn owes_withdraws(&self, member: MemberId) -> bool {
        with!(self, member.group.family, |table, _sh| {
            let group = table.groups.get(&member.group.number);
            group.is_some_and(|g| g.owes_withdraws(member.number))
        })
    }

    /// Routes that a member was told; while it is told its first ones, about so many.
    pub fn told_count(&self, member: MemberId) -> usize {
        with!(self, member.group.family, |table, _sh| {
            let group = table.groups.get(&member.group.number);
            group.map_or(0, |g| g.told_count(member.number))
        })
    }

    /// Shows what a member was told of a prefix. True: it is still to be told something.
    pub fn told(
        &self,
        member: MemberId,
        prefix: Prefix,
        mut visit: impl FnMut(ToldRoute<'_>),
    ) -> bool {
        if prefix.family() != member.group.family {
            return false;
        }
        with!(self, member.group.family, |table, _sh| table
            .told(member, prefix, &mut visit))
    }

    /// Shows what a member was told of up to `limit` prefixes after `after`, in order. The last prefix looked at, when there may
    /// be more.
    pub fn list_told(
        &self,
        member: MemberId,
        after: Option<Prefix>,
        limit: usize,
        mut visit: impl FnMut(ToldRoute<'_>),
    ) -> Option<Prefix> {
        with!(self, member.group.family, |table, _sh| table
            .list_told(member, after, limit, &mut visit))
    }

    /// Whether a member has read everything that was there when it joined, or when [`Rib::send_again`] was last called: time for
    /// End-of-RIB (RFC 4724 §2), or the end of a refresh (RFC 7313 §4). Routes that change again and again do not put it off.
    pub fn is_complete(&self, member: MemberId) -> bool {
        with!(self, member.group.family, |table, _sh| {
            let group = table.groups.get(&member.group.number);
            group.is_some_and(|g| g.is_complete(member.number))
        })
    }

    /// Whether a member reads with the others of its group; if not it is being brought up, or has fallen behind.
    pub fn is_in_step(&self, member: MemberId) -> bool {
        with!(self, member.group.family, |table, _sh| {
            table
                .groups
                .get(&member.group.number)
                .is_some_and(|g| g.is_in_step(member.number))
        })
    }

    /// A group in numbers.
    pub fn group(&self, id: GroupId) -> Option<GroupSummary> {
        with!(self, id.family, |table, _sh| {
            let group = table.groups.get(&id.number)?;
            Some(GroupSummary {
                waiting: group.waiting(),
                blocks: group.blocks(),
                too_long: group.too_long,
            })
        })
    }

    /// One holder less for each of these nets.
    pub(crate) fn let_go(&mut self, family: Family, nets: &[u32]) {
        with!(self, family, |table, _sh| for id in nets {
            if let Some(net) = table.nets.get_mut(*id) {
                net.holds -= 1;
            }
            table.try_free(*id);
        });
    }

    pub(crate) fn try_free(&mut self, family: Family, nets: &[u32]) {
        with!(self, family, |table, _sh| nets
            .iter()
            .for_each(|id| table.try_free(*id)));
    }

    fn free_later(&mut self, family: Family, closed: impl IntoIterator<Item = BitSet>) {
        let open = closed.into_iter().filter(|bits| !bits.is_empty());
        self.jobs.extend(open.map(|owed| Job::Free {
            family,
            bits: Box::new((BitSet::default(), owed)),
        }));
    }
}
