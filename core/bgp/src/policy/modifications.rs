//! What a policy changes about one route: small, comparable, empty when nothing is changed.

use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp_wire::{Attributes, Community, ExtendedCommunity, LargeCommunity, Origin};
use tapway_model::Family;

use super::community::Bits;
use super::route::{RouteAttributes, RouteView};
use super::rule::{Change, InstallChange, Prepend, PrependAs, Set, SetNextHop};

/// What is different about a route after a policy. The lists hold all that the route then has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Modifications {
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// AS numbers in front of AS_PATH, nearest first.
    pub prepend: Vec<u32>,
    /// COMMUNITIES.
    pub communities: Option<Vec<Community>>,
    /// LARGE_COMMUNITIES.
    pub large_communities: Option<Vec<LargeCommunity>>,
    /// EXTENDED_COMMUNITIES.
    pub extended_communities: Option<Vec<ExtendedCommunity>>,
    /// ONLY_TO_CUSTOMER: by our role to the peer (RFC 9234 §5), never by a rule.
    pub only_to_customer: Option<u32>,
    /// The next hop.
    pub next_hop: Option<NextHopChange>,
    /// The way into the kernel.
    pub install: InstallChange,
}

/// Another next hop for one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHopChange {
    /// Our own address on the session.
    Own,
    /// The one that the route came with.
    Unchanged,
    /// This address, of the route's family.
    Address(IpAddr),
}

impl Modifications {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Modifications::default()
    }

    /// Changes attributes; next hop and installation are whoever's who knows the session.
    pub fn apply(&self, attributes: &mut Attributes) {
        if let Some(origin) = self.origin {
            attributes.origin = origin;
        }
        attributes.local_pref = self.local_pref.or(attributes.local_pref);
        attributes.med = self.med.or(attributes.med);
        attributes.only_to_customer = self.only_to_customer.or(attributes.only_to_customer);
        for asn in self.prepend.iter().rev() {
            attributes.as_path.prepend(*asn, 1);
        }
        if let Some(all) = &self.communities {
            attributes.communities.clone_from(all);
        }
        if let Some(all) = &self.large_communities {
            attributes.large_communities.clone_from(all);
        }
        if let Some(all) = &self.extended_communities {
            attributes.extended_communities.clone_from(all);
        }
    }

    /// Adds what a rule changes to what the rules before it changed.
    pub(super) fn add(&mut self, set: &Set, route: &RouteView<'_>, asn: u32) {
        self.local_pref = set.local_pref.or(self.local_pref);
        self.med = set.med.or(self.med);
        self.origin = set.origin.or(self.origin);
        if let Some(prepend) = set.prepend {
            self.put_in_front(prepend, route.attributes, asn);
        }
        let attributes = route.attributes;
        change(&set.communities, &mut self.communities, || {
            attributes.communities()
        });
        change(&set.large_communities, &mut self.large_communities, || {
            attributes.large_communities()
        });
        change(
            &set.extended_communities,
            &mut self.extended_communities,
            || attributes.extended_communities(),
        );
        self.next_hop = match set.next_hop {
            None => self.next_hop,
            Some(SetNextHop::Own) => Some(NextHopChange::Own),
            Some(SetNextHop::Unchanged) => Some(NextHopChange::Unchanged),
            Some(SetNextHop::Address { ipv4, ipv6 }) => match route.prefix.family() {
                Family::Ipv4 => ipv4.map(IpAddr::V4),
                Family::Ipv6 => ipv6.map(IpAddr::V6),
            }
            .map_or(self.next_hop, |addr| Some(NextHopChange::Address(addr))),
        };
        self.install = InstallChange {
            enabled: set.install.enabled.or(self.install.enabled),
            table: set.install.table.or(self.install.table),
            metric: set.install.metric.or(self.install.metric),
            prefsrc: set.install.prefsrc.or(self.install.prefsrc),
        };
    }

    fn put_in_front(&mut self, prepend: Prepend, attributes: RouteAttributes<'_>, own: u32) {
        let asn = match prepend.asn {
            PrependAs::Own => own,
            PrependAs::Number(asn) => asn,
            PrependAs::Last => self
                .prepend
                .first()
                .copied()
                .or_else(|| attributes.as_path().first())
                .unwrap_or(own),
        };
        let times = usize::from(prepend.count);
        self.prepend.splice(0..0, core::iter::repeat_n(asn, times));
    }
}

/// Changes a list, which is `original` as long as nobody changed it. Sorted, each once.
fn change<C: Bits, I: Iterator<Item = C>>(
    change: &Change<C>,
    current: &mut Option<Vec<C>>,
    original: impl Fn() -> I,
) {
    if change.is_empty() {
        return;
    }
    let goes = |c: &C| change.remove.iter().any(|pattern| pattern.fits(*c));
    let mut all = match (&change.replace, current.take()) {
        (Some(new), _) => new.clone(),
        (None, Some(all)) => all,
        (None, None) => {
            let stays = !original().any(|c| goes(&c));
            let there = |new: &C| original().any(|c| c == *new);
            if stays && change.add.iter().all(there) {
                return;
            }
            original().collect()
        }
    };
    all.retain(|c| !goes(c));
    all.extend_from_slice(&change.add);
    all.sort_unstable();
    all.dedup();
    *current = Some(all);
}
