//! Work that may be long, done page by page.

use alloc::boxed::Box;
use alloc::vec::Vec;

use tapway_model::Family;

use crate::bits::BitSet;
use crate::rib::Rib;
use crate::source::SourceId;
use crate::table::sweep::Owner;

/// Something to be done page by page.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Decide again where an owner has routes.
    Decide {
        owner: Owner,
        family: Family,
        page: u32,
        force: bool,
    },
    /// Remove routes of a source: all, and then the source; or those that were stale at an epoch.
    Sweep {
        source: SourceId,
        family: Family,
        page: u32,
        since: Option<u8>,
    },
    /// Look which nets nobody needs any more: one holder of the first ones is gone, and nobody is owed the others any more.
    Free {
        family: Family,
        bits: Box<(BitSet, BitSet)>,
    },
}

impl Job {
    /// Whether it will remove stale routes of a source, and has not begun.
    pub(crate) fn waits_for(&self, source: SourceId, family: Family) -> bool {
        matches!(self, Job::Sweep { source: s, family: f, page: 0, since: Some(_) }
            if (*s, *f) == (source, family))
    }
}

/// Nets of a [`Job::Free`] that count as a page.
const FREE: usize = 1024;

impl Rib {
    /// Whether there is something to do for [`Rib::work`].
    pub fn has_work(&self) -> bool {
        !self.jobs.is_empty() || !self.moves.is_empty()
    }

    /// Does a part of what is to be done: about `pages` times 1,024 prefixes, each of which takes some 20 to 200
    /// microseconds. True: there is more.
    pub fn work(&mut self, pages: usize) -> bool {
        for _ in 0..pages {
            // In turn: next hops that never come to rest hold up nothing else.
            let done = match self.moves.take_turn() {
                true => self.move_step() || self.job_step(),
                false => self.job_step() || self.move_step(),
            };
            if !done {
                break;
            }
        }
        self.bury();
        self.has_work()
    }

    /// Does a part of the first job. False: there is none.
    fn job_step(&mut self) -> bool {
        let Some(job) = self.jobs.pop_front() else {
            return false;
        };
        let more = match job {
            Job::Decide {
                owner,
                family,
                page,
                force,
            } => self.decide_step(owner, family, page, force),
            Job::Sweep {
                source,
                family,
                page,
                since,
            } => self.sweep_step(source, family, page, since),
            Job::Free { family, bits } => self.free_step(family, bits),
        };
        // In turn, so that a long one holds up none.
        self.jobs.extend(more);
        true
    }

    fn decide_step(&mut self, owner: Owner, family: Family, page: u32, force: bool) -> Option<Job> {
        let Some(page) = self.next_page(family, owner, page) else {
            return (family == Family::Ipv4 && owner == Owner::All).then_some(Job::Decide {
                owner,
                family: Family::Ipv6,
                page: 0,
                force,
            });
        };
        self.decide_page(family, owner, page, force);
        Some(Job::Decide {
            owner,
            family,
            page: page + 1,
            force,
        })
    }

    fn sweep_step(
        &mut self,
        source: SourceId,
        family: Family,
        page: u32,
        since: Option<u8>,
    ) -> Option<Job> {
        if let Some(page) = self.next_page(family, Owner::Source(source), page) {
            self.sweep_page(family, source, page, since);
            return Some(Job::Sweep {
                source,
                family,
                page: page + 1,
                since,
            });
        }
        if let Some(since) = since {
            let source = self.shared.sources.get_mut(source);
            if let Some(state) = source.map(|s| &mut s.state[family]) {
                // What was stale at that mark is gone; later marks may still tell routes apart.
                let age = state.epoch.wrapping_sub(since);
                state.marks = state.marks.min(age);
                let none_left = |long: &u8| state.epoch.wrapping_sub(*long) >= age;
                if state.long_lived.as_ref().is_some_and(none_left) {
                    state.long_lived = None;
                }
            }
            return None;
        }
        if family == Family::Ipv4 {
            return Some(Job::Sweep {
                source,
                family: Family::Ipv6,
                page: 0,
                since,
            });
        }
        self.shared.sources.remove(source);
        None
    }

    fn free_step(&mut self, family: Family, mut bits: Box<(BitSet, BitSet)>) -> Option<Job> {
        let (held, owed) = &mut *bits;
        let take = |bits: &mut BitSet, most: usize| -> Vec<u32> {
            core::iter::from_fn(|| bits.take_next(0).map(|(net, _)| net))
                .take(most)
                .collect()
        };
        let released = take(held, FREE);
        let looked_at = take(owed, FREE - released.len());
        self.let_go(family, &released);
        self.try_free(family, &looked_at);
        let more = !held.is_empty() || !owed.is_empty();
        more.then_some(Job::Free { family, bits })
    }

    /// Decides again before anything else is done; a job that this one makes superfluous goes.
    pub(crate) fn replace_decide(&mut self, owner: Owner, force: bool) {
        self.jobs
            .retain(|job| !matches!(job, Job::Decide { owner: other, .. } if *other == owner));
        self.jobs.push_front(Job::Decide {
            owner,
            family: Family::Ipv4,
            page: 0,
            force,
        });
    }
}
