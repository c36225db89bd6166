//! Which received routes changed, for whoever follows them one by one.
//!
//! What a route is now is asked of the RIB when its note is read ([`Rib::route`]): a route that changed twice has two notes
//! that say the same. Nothing is noted while nobody follows.

use alloc::collections::VecDeque;

use tapway_bgp_wire::NlriEntry;

use crate::rib::Rib;
use crate::source::SourceId;
use crate::table::view::RouteView;

/// Notes that may wait: 32 bytes each.
const LIMIT: usize = 1 << 18;

/// What is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// Every change of a route or of what import made of it; and stale ones that were heard of again.
    pub changes: bool,
    /// Routes that went although their peer did not withdraw them: stale ones.
    pub sweeps: bool,
}

/// A route that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whose it is.
    pub source: SourceId,
    /// Which one.
    pub entry: NlriEntry,
    /// It went, and its peer did not withdraw it.
    pub swept: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    follow: Follow,
    notes: VecDeque<Note>,
    lost: bool,
}

impl Journal {
    /// A route changed, or went as its peer wanted.
    #[inline]
    pub(crate) fn changed(&mut self, source: SourceId, entry: NlriEntry) {
        if self.follow.changes {
            self.push(source, entry, false);
        }
    }

    /// A route went by itself.
    pub(crate) fn swept(&mut self, source: SourceId, entry: NlriEntry) {
        if self.follow.changes || self.follow.sweeps {
            self.push(source, entry, true);
        }
    }

    fn push(&mut self, source: SourceId, entry: NlriEntry, swept: bool) {
        if source == SourceId::LOCAL {
            return;
        }
        if self.notes.len() == LIMIT {
            self.lost = true;
            return;
        }
        self.notes.push_back(Note {
            source,
            entry,
            swept,
        });
    }
}

impl Rib {
    /// From now on received routes that change are noted, or no longer; notes that nobody took go.
    pub fn follow(&mut self, follow: Follow) {
        let journal = &mut self.shared.journal;
        journal.follow = follow;
        if follow == Follow::default() {
            *journal = Journal::default();
        }
    }

    /// The next received route that changed.
    pub fn take_note(&mut self) -> Option<Note> {
        let journal = &mut self.shared.journal;
        let note = journal.notes.pop_front();
        if note.is_none() {
            journal.notes = VecDeque::new();
        }
        note
    }

    /// Whether notes were lost since this was asked last, as too many waited: whoever follows has to look at everything.
    pub fn take_lost_notes(&mut self) -> bool {
        core::mem::take(&mut self.shared.journal.lost)
    }

    /// Shows one route, if it is there.
    pub fn route<T>(
        &self,
        source: SourceId,
        entry: NlriEntry,
        show: impl FnOnce(&RouteView<'_>) -> T,
    ) -> Option<T> {
        let mut show = Some(show);
        let mut shown = None;
        self.lookup(entry.prefix, |route| {
            if route.source == source
                && route.path_id == entry.path_id
                && let Some(show) = show.take()
            {
                shown = Some(show(&route));
            }
        });
        shown
    }
}
