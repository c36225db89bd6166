//! The one set of own routes: what this router announces.
//!
//! In the RIB they all have one block of attributes; what export knows of them besides is here.

pub(crate) mod next_hop;

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::ops::Bound;

use tapway_model::{ClaimKind, Domain, Family, InstanceName, NetworkName, PeerName, Prefix, Tag};

/// What makes an announcement the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnnouncementId {
    /// The routing domain it comes from.
    pub domain: Domain,
    /// The prefix.
    pub prefix: Prefix,
}

impl fmt::Display for AnnouncementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain == Domain::MAIN {
            write!(f, "{}", self.prefix)
        } else {
            write!(f, "{} (table {})", self.prefix, self.domain)
        }
    }
}

/// A route that this router originates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which.
    pub id: AnnouncementId,
    /// The kind of the claim behind it.
    pub kind: ClaimKind,
    /// The network of the claim.
    pub network: NetworkName,
    /// The peers that see the network; all when absent.
    pub peers: Option<Arc<[PeerName]>>,
    /// The instances whose claim it is.
    pub instances: Vec<InstanceName>,
    /// Their tags.
    pub tags: Vec<Tag>,
    /// The claim's or the network's next hop.
    pub next_hop: Option<IpAddr>,
}

/// All own routes. Of several with one prefix the first announced comes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnRoutes {
    by_prefix: BTreeMap<Prefix, Vec<Announcement>>,
    /// How many have each next hop of their own.
    next_hops: BTreeMap<IpAddr, usize>,
    /// How many have each list of peers; one more for those that may come at any time.
    lists: BTreeMap<Arc<[PeerName]>, usize>,
    /// Those.
    expected: BTreeSet<Arc<[PeerName]>>,
    news: News,
}

/// What came or went that peers may have to be told apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Next hops.
    pub(crate) next_hops: Vec<IpAddr>,
    /// A list of peers.
    pub(crate) lists: bool,
}

/// What an announcement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// There was none; now there are so many with its prefix.
    New(usize),
    Same,
    Changed,
}

impl OwnRoutes {
    /// Adds or replaces one; a replaced one keeps its place.
    pub(crate) fn set(&mut self, announcement: Announcement) -> Put {
        let id = announcement.id;
        let all = self.by_prefix.entry(id.prefix).or_default();
        let old = all.iter().position(|a| a.id == id);
        if old.is_some_and(|at| all[at] == announcement) {
            return Put::Same;
        }
        let (next_hop, peers) = (announcement.next_hop, announcement.peers.clone());
        let Some(at) = old else {
            // Exactly one, which is all that most prefixes ever have.
            all.reserve_exact(1);
            all.push(announcement);
            let put = Put::New(all.len());
            self.count(next_hop, peers, true);
            return put;
        };
        let old = core::mem::replace(&mut all[at], announcement);
        self.count(next_hop, peers, true);
        self.count(old.next_hop, old.peers, false);
        Put::Changed
    }

    /// Removes one, and says how many with its prefix are left. None: there was none.
    pub(crate) fn remove(&mut self, id: &AnnouncementId) -> Option<usize> {
        let all = self.by_prefix.get_mut(&id.prefix)?;
        let old = all.remove(all.iter().position(|a| a.id == *id)?);
        let left = all.len();
        if left == 0 {
            self.by_prefix.remove(&id.prefix);
        }
        self.count(old.next_hop, old.peers, false);
        Some(left)
    }

    fn count(&mut self, next_hop: Option<IpAddr>, peers: Option<Arc<[PeerName]>>, more: bool) {
        if let Some(next_hop) = next_hop
            && count(&mut self.next_hops, next_hop, more)
        {
            self.news.next_hops.push(next_hop);
        }
        if let Some(peers) = peers {
            self.news.lists |= count(&mut self.lists, peers, more);
        }
    }

    /// Which lists of peers may come at any time, in the place of those of before.
    pub(crate) fn expect_lists(&mut self, lists: BTreeSet<Arc<[PeerName]>>) {
        let old = core::mem::replace(&mut self.expected, lists.clone());
        for list in lists.difference(&old) {
            self.count(None, Some(list.clone()), true);
        }
        for list in old.difference(&lists) {
            self.count(None, Some(list.clone()), false);
        }
    }

    /// What came or went since this was last asked.
    pub(crate) fn take_news(&mut self) -> Option<News> {
        let none = self.news == News::default();
        (!none).then(|| core::mem::take(&mut self.news))
    }

    /// Whether one has this next hop of its own.
    pub(crate) fn have_next_hop(&self, addr: IpAddr) -> bool {
        self.next_hops.contains_key(&addr)
    }

    /// The lists of peers that are in use, or may be, and have this peer.
    pub(crate) fn lists_with(&self, peer: &PeerName) -> Vec<Arc<[PeerName]>> {
        let lists = self.lists.keys().filter(|list| list.contains(peer));
        lists.cloned().collect()
    }

    /// Those with this prefix, the first announced first.
    pub(crate) fn of_prefix(&self, prefix: &Prefix) -> &[Announcement] {
        self.by_prefix.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// One.
    pub(crate) fn get(&self, id: &AnnouncementId) -> Option<&Announcement> {
        self.of_prefix(&id.prefix).iter().find(|a| a.id == *id)
    }

    /// Those of a family after a prefix, in order of their prefixes.
    pub(crate) fn after(
        &self,
        family: Family,
        after: Option<Prefix>,
    ) -> impl Iterator<Item = &Announcement> {
        let from = match after {
            Some(after) => Bound::Excluded(after),
            // A family's default route sorts before all else of it.
            None => Bound::Included(Prefix::default_of(family)),
        };
        let rest = self.by_prefix.range((from, Bound::Unbounded));
        rest.take_while(move |(p, _)| p.family() == family)
            .flat_map(|(_, all)| all)
    }

    /// All, in order of their prefixes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Announcement> {
        self.by_prefix.values().flatten()
    }
}

/// Counts one more or less. True: it is the first one, or the last one is gone.
fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, more: bool) -> bool {
    match counts.entry(key) {
        Entry::Vacant(place) => {
            place.insert(1);
            true
        }
        Entry::Occupied(mut place) if more => {
            *place.get_mut() += 1;
            false
        }
        Entry::Occupied(mut place) => {
            *place.get_mut() -= 1;
            let gone = *place.get() == 0;
            if gone {
                place.remove();
            }
            gone
        }
    }
}
