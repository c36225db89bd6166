//! Work that may be long: done in slices, one after every input, and one whenever the shell has nothing else to do.

use tapway_model::Instant;

use super::Speaker;

/// Pages of about 1,024 prefixes in a slice.
pub(super) const SLICE: usize = 8;

impl Speaker {
    /// Does a part of what is left.
    pub(super) fn work(&mut self, now: Instant, pages: usize) {
        self.clock = now;
        self.look_for_first_routes(now);
        let mut left = pages;
        while left > 0
            && let Some(judging) = self.shared.judging.pop_front()
        {
            left -= 1;
            let peer = self.peers.get(&judging.peer);
            let next = peer.and_then(|p| p.judge_page(&mut self.shared, judging));
            // In turn, so that a peer with many routes holds up none.
            self.shared.judging.extend(next);
        }
        if self.shared.rib.has_work() || left < pages {
            self.shared.rib.work(pages);
        }
    }
}
