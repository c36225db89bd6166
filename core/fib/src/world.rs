//! What the kernel has beside our own objects, as far as it matters: addresses, default routes,
//! neighbours that are routers or that somebody made permanent. Never a full table of routes.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use tapway_model::Family;

use crate::compare::NUD_PERMANENT;
use crate::mirror::{Generation, Mirror};
use crate::slot::Foreign;
use crate::{
    Address, IfIndex, Key, Neighbour, NextHop, Object, Route, address_flags, is_link_local,
};

/// `RTPROT_RA`: IPv6 has a default route for every router, all with one metric.
const RTPROT_RA: u8 = 9;

type AddressKey = (IfIndex, IpAddr, u8);
type NeighbourKey = (IfIndex, IpAddr);
/// Family, table, metric, protocol; of routes that came by RA also the router.
type DefaultKey = (Family, u32, u32, u8, Option<NextHop>);

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Same,
    New,
    /// It was there with another value, last marked then.
    Changed(Generation),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    addresses: Mirror<AddressKey, Address>,
    defaults: Mirror<DefaultKey, Route>,
    routers: Mirror<NeighbourKey, ()>,
    /// Permanent neighbours that somebody else made.
    permanents: Mirror<NeighbourKey, ()>,
    /// Links whose last IPv4 address went away: the kernel took their IPv4 routes as well.
    silenced: BTreeSet<IfIndex>,
}

/// What a sweep found gone.
pub(crate) struct Swept {
    pub(crate) addresses: BTreeSet<IfIndex>,
    pub(crate) routers: Vec<NeighbourKey>,
    pub(crate) defaults: BTreeSet<Family>,
}

impl World {
    pub(crate) fn put_address(&mut self, address: Address, mark: Generation) -> Put {
        if address.addr.is_ipv4() {
            self.silenced.remove(&address.index);
        }
        let key = (address.index, address.addr, address.len);
        match self.addresses.put(key, address.clone(), mark) {
            None => Put::New,
            Some((old, _)) if old == address => Put::Same,
            Some((_, seen)) => Put::Changed(seen),
        }
    }

    /// Whether it was there.
    pub(crate) fn drop_address(&mut self, address: &Address) -> bool {
        let key = (address.index, address.addr, address.len);
        self.addresses.remove(&key).is_some()
    }

    pub(crate) fn address(&self, index: IfIndex, addr: IpAddr, len: u8) -> Option<&Address> {
        self.addresses.get(&(index, addr, len))
    }

    pub(crate) fn addresses(&self, index: IfIndex) -> impl Iterator<Item = &Address> {
        let first = (index, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let last = (index, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)), u8::MAX);
        self.addresses
            .range(first..=last)
            .map(|(_, address)| address)
    }

    /// This address, on whatever interface.
    pub(crate) fn all_with(&self, addr: IpAddr) -> impl Iterator<Item = &Address> {
        self.addresses
            .values()
            .filter(move |address| address.addr == addr)
    }

    /// Says whether the last IPv4 address of a link went away.
    pub(crate) fn silence(&mut self, index: IfIndex, silent: bool) {
        if silent {
            self.silenced.insert(index);
        } else {
            self.silenced.remove(&index);
        }
    }

    pub(crate) fn is_silenced(&self, index: IfIndex) -> bool {
        self.silenced.contains(&index)
    }

    /// Duplicate address detection found the address elsewhere.
    pub(crate) fn is_duplicate(&self, object: &Object) -> bool {
        let Object::Address(a) = object else {
            return false;
        };
        self.address(a.index, a.addr, a.len)
            .is_some_and(|address| address.flags & address_flags::DADFAILED != 0)
    }

    /// Whether the default routes changed.
    pub(crate) fn put_default(&mut self, route: &Route, mark: Generation) -> bool {
        match self.defaults.put(default_key(route), route.clone(), mark) {
            Some((old, _)) => old != *route,
            None => true,
        }
    }

    pub(crate) fn drop_default(&mut self, route: &Route) -> bool {
        route.prefix.len() == 0 && self.defaults.remove(&default_key(route)).is_some()
    }

    pub(crate) fn defaults(&self, family: Family) -> impl Iterator<Item = &Route> {
        self.defaults
            .values()
            .filter(move |route| route.prefix.family() == family)
    }

    /// Takes in a neighbour; whether its being a router changed.
    pub(crate) fn put_neighbour(&mut self, n: &Neighbour, ours: bool, mark: Generation) -> bool {
        let key = (n.index, n.addr);
        if !ours && n.state & NUD_PERMANENT != 0 {
            self.permanents.put(key, (), mark);
        } else {
            self.permanents.remove(&key);
        }
        if n.router && is_link_local(&n.addr) {
            self.routers.put(key, (), mark).is_none()
        } else {
            self.routers.remove(&key).is_some()
        }
    }

    /// Whether it was a router.
    pub(crate) fn drop_neighbour(&mut self, neighbour: &Neighbour) -> bool {
        let key = (neighbour.index, neighbour.addr);
        self.permanents.remove(&key);
        self.routers.remove(&key).is_some()
    }

    pub(crate) fn routers(&self, index: IfIndex) -> impl Iterator<Item = IpAddr> {
        self.routers
            .range(neighbours_of(index))
            .map(|((_, addr), ())| *addr)
    }

    pub(crate) fn is_permanent(&self, index: IfIndex, addr: IpAddr) -> bool {
        self.permanents.get(&(index, addr)).is_some()
    }

    /// The kernel flushed the neighbours of a link; which were routers. (It tells of each: what others
    /// made permanent is believed to be there until then.)
    pub(crate) fn flush_routers(&mut self, index: IfIndex) -> Vec<IpAddr> {
        let gone = self.routers.remove_range(neighbours_of(index));
        gone.into_iter().map(|((_, addr), ())| addr).collect()
    }

    /// The link is gone, and its addresses and neighbours with it.
    pub(crate) fn drop_link(&mut self, index: IfIndex) {
        let first = (index, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let last = (index, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)), u8::MAX);
        self.addresses.remove_range(first..=last);
        self.permanents.remove_range(neighbours_of(index));
        self.silenced.remove(&index);
    }

    /// A link that comes up revives what is left of its IPv4 routes.
    pub(crate) fn link_up(&mut self, index: IfIndex) {
        self.silenced.remove(&index);
    }

    /// Whether something that is not ours is known to have this key.
    pub(crate) fn foreign_at(&self, key: &Key, protocol: u8) -> Foreign {
        let seen = match key {
            Key::Address(index, addr, len) => self
                .address(*index, *addr, *len)
                .is_some_and(|address| address.protocol != protocol),
            Key::Neighbour(index, addr) => self.is_permanent(*index, *addr),
            Key::Route(table, prefix, metric) if prefix.len() == 0 => self
                .defaults(prefix.family())
                .any(|route| route.table == *table && route.metric == *metric),
            Key::Sysctl(_) | Key::Rule(..) | Key::Route(..) => false,
        };
        if seen { Foreign::Seen } else { Foreign::No }
    }

    pub(crate) fn sweep(&mut self, mark: Generation) -> Swept {
        self.permanents.sweep(mark);
        let addresses = self.addresses.sweep(mark);
        let routers = self.routers.sweep(mark);
        let defaults = self.defaults.sweep(mark);
        Swept {
            addresses: addresses
                .into_iter()
                .map(|((index, ..), _)| index)
                .collect(),
            routers: routers.into_iter().map(|(key, ())| key).collect(),
            defaults: defaults
                .into_iter()
                .map(|((family, ..), _)| family)
                .collect(),
        }
    }
}

fn neighbours_of(index: IfIndex) -> RangeInclusive<NeighbourKey> {
    let first = (index, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    first..=(index, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)))
}

fn default_key(route: &Route) -> DefaultKey {
    let family = route.prefix.family();
    let by_ra = family == Family::Ipv6 && route.protocol == RTPROT_RA;
    let router = route.next_hops.first().filter(|_| by_ra).cloned();
    (family, route.table, route.metric, route.protocol, router)
}
