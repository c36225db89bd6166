//! Next hops that are nearer, farther or elsewhere now: their routes are decided again, page by page.
//!
//! Many may change at once, with a link or an IGP. One walk serves all that changed before it began; those that change
//! meanwhile are served by the next one.

use alloc::collections::BTreeSet;

use tapway_model::Family;

use crate::next_hops::Changed;
use crate::rib::Rib;
use crate::table::sweep::Owner;

/// Of so many next hops the pages are looked up where there are routes by them; of more, all pages are visited.
const FEW: usize = 16;

/// What is to be decided again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    waiting: BTreeSet<u32>,
    /// One of these is no longer looked for.
    force: bool,
    walk: Option<Walk>,
    /// The last page was one of theirs.
    had_turn: bool,
}

/// A walk over all pages.
#[derive(Clone, Debug)]
struct Walk {
    hops: BTreeSet<u32>,
    force: bool,
    family: Family,
    page: u32,
}

impl Moves {
    /// One more that changed.
    pub(crate) fn add(&mut self, hop: Changed) {
        self.waiting.insert(hop.number);
        self.force |= hop.force;
    }

    /// Whether the next page is theirs, if there is other work, too.
    pub(crate) fn take_turn(&mut self) -> bool {
        self.had_turn = !self.had_turn;
        self.had_turn
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.walk.is_none()
    }
}

impl Rib {
    /// Decides again about a page. False: there is none.
    pub(crate) fn move_step(&mut self) -> bool {
        if self.moves.walk.is_none() && !self.moves.waiting.is_empty() {
            self.moves.walk = Some(Walk {
                hops: core::mem::take(&mut self.moves.waiting),
                force: core::mem::take(&mut self.moves.force),
                family: Family::Ipv4,
                page: 0,
            });
        }
        let Some(mut walk) = self.moves.walk.take() else {
            return false;
        };
        let next = match walk.hops.len() <= FEW {
            true => {
                let of = |hop: &u32| self.next_page_by(walk.family, *hop, walk.page);
                walk.hops.iter().filter_map(of).min()
            }
            false => self.next_page(walk.family, Owner::All, walk.page),
        };
        match (next, walk.family) {
            (Some(page), family) => {
                self.decide_by(family, &walk.hops, page, walk.force);
                walk.page = page + 1;
            }
            (None, Family::Ipv4) => (walk.family, walk.page) = (Family::Ipv6, 0),
            (None, Family::Ipv6) => return true,
        }
        self.moves.walk = Some(walk);
        true
    }
}
