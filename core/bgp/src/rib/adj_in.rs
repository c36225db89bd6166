//! What one peer sent, for one family (Adj-RIB-In, RFC 4271 §3.2). Every route is kept; what counts is marked.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_bgp_wire::{Attributes, NextHop, NlriEntry, RawAttributes};
use tapway_model::Prefix;

use crate::policy::Modifications;
use crate::speaker::answer::Refusal;

/// Attributes and next hop that several routes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) next_hop: NextHop,
    pub(crate) attributes: Attributes,
}

/// What import made of a route: the values that compare it with others, and what else it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) local_pref: u32,
    pub(crate) med: u32,
    /// The import policy's changes beyond those two.
    pub(crate) changes: Option<Box<Modifications>>,
}

/// A route.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) path: Arc<Path>,
    pub(crate) verdict: Result<Accepted, Refusal>,
    /// Not yet heard of again since the peer restarted, or since it began to send all again.
    pub(crate) stale: bool,
}

/// Adj-RIB-In of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjIn {
    routes: BTreeMap<NlriEntry, Route>,
    /// The keys of the accepted ones.
    accepted: BTreeSet<NlriEntry>,
    stale: usize,
    /// End-of-RIB came on this session.
    pub(crate) end_of_rib: bool,
    /// The peer began to send all again (BoRR).
    pub(crate) refreshing: bool,
}

impl AdjIn {
    /// Routes.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Accepted routes.
    pub(crate) fn accepted_len(&self) -> usize {
        self.accepted.len()
    }

    /// Stale routes.
    pub(crate) fn stale_len(&self) -> usize {
        self.stale
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NlriEntry, &Route)> {
        self.routes.iter()
    }

    /// The accepted ones, in order.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (&NlriEntry, &Route, &Accepted)> {
        self.accepted.iter().filter_map(|key| {
            let route = self.routes.get(key)?;
            Some((key, route, route.verdict.as_ref().ok()?))
        })
    }

    /// The routes to one prefix, by path identifier.
    pub(crate) fn to(&self, prefix: Prefix) -> impl Iterator<Item = (&NlriEntry, &Route)> {
        let end = |path_id| NlriEntry { prefix, path_id };
        self.routes.range(end(0)..=end(u32::MAX))
    }

    /// Adds or replaces a route. True: what is accepted changed.
    pub(crate) fn insert(
        &mut self,
        key: NlriEntry,
        path: Arc<Path>,
        verdict: Result<Accepted, Refusal>,
    ) -> bool {
        let counts = verdict.is_ok();
        let route = Route {
            path,
            verdict,
            stale: false,
        };
        let old = self.routes.get_mut(&key);
        let changed = match &old {
            Some(old) => {
                old.verdict.is_ok() != counts
                    || counts
                        && (old.verdict != route.verdict || old.path != route.path || old.stale)
            }
            None => counts,
        };
        match old {
            Some(old) => {
                self.stale -= usize::from(old.stale);
                *old = route;
            }
            None => {
                self.routes.insert(key, route);
            }
        }
        if counts {
            self.accepted.insert(key);
        } else {
            self.accepted.remove(&key);
        }
        changed
    }

    /// Removes a route. True: what is accepted changed.
    pub(crate) fn remove(&mut self, key: &NlriEntry) -> bool {
        let Some(route) = self.routes.remove(key) else {
            return false;
        };
        self.stale -= usize::from(route.stale);
        self.accepted.remove(key)
    }

    /// Judges those again that are meant. True: what is accepted changed.
    pub(crate) fn judge(
        &mut self,
        meant: impl Fn(&Prefix) -> bool,
        mut verdict: impl FnMut(&NlriEntry, &Path) -> Result<Accepted, Refusal>,
    ) -> bool {
        let mut changed = false;
        for (key, route) in self.routes.iter_mut().filter(|(key, _)| meant(&key.prefix)) {
            let new = verdict(key, &route.path);
            if new == route.verdict {
                continue;
            }
            changed |= new.is_ok() || route.verdict.is_ok();
            if new.is_ok() {
                self.accepted.insert(*key);
            } else {
                self.accepted.remove(key);
            }
            route.verdict = new;
        }
        changed
    }

    /// Marks all stale. Those that are already go: they were not heard of through a whole session
    /// (RFC 4724 §4.2). Returns whether accepted ones went, and how many are left.
    pub(crate) fn keep_as_stale(&mut self) -> (bool, usize) {
        let (changed, _) = self.remove_stale();
        self.mark_stale();
        (changed, self.routes.len())
    }

    /// Marks all stale until they are heard of again.
    pub(crate) fn mark_stale(&mut self) {
        for route in self.routes.values_mut() {
            route.stale = true;
        }
        self.stale = self.routes.len();
    }

    /// Removes what is stale. Returns whether accepted ones went, and how many went.
    pub(crate) fn remove_stale(&mut self) -> (bool, usize) {
        let count = self.stale;
        if count == 0 {
            return (false, 0);
        }
        let before = self.accepted.len();
        let accepted = &mut self.accepted;
        self.routes.retain(|key, route| {
            if route.stale {
                accepted.remove(key);
            }
            !route.stale
        });
        self.stale = 0;
        (self.accepted.len() != before, count)
    }

    /// Removes all. Returns whether there were accepted ones.
    pub(crate) fn clear(&mut self) -> bool {
        let had = !self.accepted.is_empty();
        *self = AdjIn::default();
        had
    }
}

/// Gives equal blocks of attributes one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    known: BTreeMap<Box<[u8]>, Vec<Arc<Path>>>,
    count: usize,
    sweep_at: usize,
}

/// Below this many blocks none is looked for that nobody uses any more.
const SWEEP_MIN: usize = 256;

impl Paths {
    /// The shared place of a block and a next hop.
    pub(crate) fn intern(&mut self, raw: RawAttributes<'_>, next_hop: NextHop) -> Arc<Path> {
        if let Some(same) = self.known.get(raw.bytes())
            && let Some(path) = same.iter().find(|p| p.next_hop == next_hop)
        {
            return path.clone();
        }
        if self.count >= self.sweep_at.max(SWEEP_MIN) {
            self.sweep();
        }
        let path = Arc::new(Path {
            next_hop,
            attributes: raw.decode(),
        });
        self.known
            .entry(raw.bytes().into())
            .or_default()
            .push(path.clone());
        self.count += 1;
        path
    }

    /// Forgets what no route has.
    fn sweep(&mut self) {
        self.count = 0;
        self.known.retain(|_, same| {
            same.retain(|p| Arc::strong_count(p) > 1);
            self.count += same.len();
            !same.is_empty()
        });
        self.sweep_at = self.count * 2;
    }

    pub(crate) fn clear(&mut self) {
        *self = Paths::default();
    }
}

#[cfg(test)]
mod tests;
