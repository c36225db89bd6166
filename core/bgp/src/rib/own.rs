//! The one set of own routes: what this router announces.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

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
pub(crate) struct OwnRoutes(BTreeMap<Prefix, Vec<Announcement>>);

impl OwnRoutes {
    /// Adds or replaces one; a replaced one keeps its place. False: nothing changed.
    pub(crate) fn set(&mut self, announcement: Announcement) -> bool {
        match self.0.entry(announcement.id.prefix) {
            Entry::Vacant(place) => {
                // Exactly one, which is all that most prefixes ever have.
                place.insert(vec![announcement]);
            }
            Entry::Occupied(mut place) => {
                match place.get_mut().iter_mut().find(|a| a.id == announcement.id) {
                    Some(old) if *old == announcement => return false,
                    Some(old) => *old = announcement,
                    None => place.get_mut().push(announcement),
                }
            }
        }
        true
    }

    /// Removes one. False: there was none.
    pub(crate) fn remove(&mut self, id: &AnnouncementId) -> bool {
        let Some(all) = self.0.get_mut(&id.prefix) else {
            return false;
        };
        let before = all.len();
        all.retain(|a| a.id != *id);
        let removed = all.len() < before;
        if all.is_empty() {
            self.0.remove(&id.prefix);
        }
        removed
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Those with this prefix, the first announced first.
    pub(crate) fn of_prefix(&self, prefix: &Prefix) -> &[Announcement] {
        self.0.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// One.
    pub(crate) fn get(&self, id: &AnnouncementId) -> Option<&Announcement> {
        self.of_prefix(&id.prefix).iter().find(|a| a.id == *id)
    }

    /// The prefixes of a family, in order.
    pub(crate) fn prefixes(&self, family: Family) -> impl Iterator<Item = Prefix> + '_ {
        // A family's default route sorts before all else of it.
        let from = Prefix::default_of(family);
        self.0
            .range(from..)
            .map(|(p, _)| *p)
            .take_while(move |p| p.family() == family)
    }

    /// All, in order of their prefixes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Announcement> {
        self.0.values().flatten()
    }
}
