//! Received routes that go to the kernel.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::Installable;
use tapway_fib::{Fib, IfIndex, Key, NextHop, Object, Route, RouteKind, is_link_local};
use tapway_model::{Family, Prefix};

use crate::next_hops::is_received;

/// The metric of received routes where no default of the host's own is in the way.
pub const IMPORT_METRIC: u32 = 20;

/// Ways of one route in the kernel at most: as many as paths may share the traffic.
pub(crate) const MAX_LEGS: usize = 256;

/// What was asked for, as far as the reconciler does not know it.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Prefixes of routes that are held.
    held: BTreeMap<Family, BTreeSet<Prefix>>,
    /// Paths of all that is wanted, by family.
    paths: BTreeMap<Family, usize>,
    /// Paths of each prefix, where there are not just as many as routes, one or none.
    uneven: BTreeMap<Prefix, usize>,
    /// Prefixes with a next hop whose interface follows from our addresses.
    by_address: BTreeSet<Prefix>,
}

impl Imports {
    /// Holds on to the received routes that an earlier run put in the kernel, until the peers have sent
    /// theirs again.
    pub(crate) fn adopt(&mut self, fib: &mut Fib) {
        let received = fib.ours().filter(|object| match &**object {
            Object::Route(r) => is_received(r),
            _ => false,
        });
        let found: Vec<Key> = received.map(|object| object.key()).collect();
        for key in found {
            if let Some(Object::Route(route)) = fib.held(&key).map(Cow::into_owned) {
                let family = route.prefix.family();
                if self.held.entry(family).or_default().insert(route.prefix) {
                    *self.paths.entry(family).or_default() += 1;
                }
                fib.set_bulk(route);
            }
        }
    }

    /// Whether routes of this family are held.
    pub(crate) fn holds(&self, family: Family) -> bool {
        self.held.contains_key(&family)
    }

    /// Holds no longer: what nobody sent again goes with the next [`Imports::set`] of each of these prefixes.
    pub(crate) fn release(&mut self, family: Family) -> BTreeSet<Prefix> {
        self.held.remove(&family).unwrap_or_default()
    }

    /// Asks for the routes to a prefix as the speaker sees them now; gives back those it no longer has.
    pub(crate) fn set(&mut self, prefix: Prefix, ways: &[Way], protocol: u8, fib: &mut Fib) {
        let had: Vec<Key> = fib.bulk_keys_to(prefix).collect();
        let mut keys: Vec<Key> = Vec::new();
        for route in routes(ways, protocol, fib) {
            keys.push(Key::Route(route.table, route.prefix, route.metric));
            fib.set_bulk(route);
        }
        if ways.iter().any(|way| way.by_address) {
            self.by_address.insert(prefix);
        } else {
            self.by_address.remove(&prefix);
        }
        for key in had.iter().filter(|key| !keys.contains(key)) {
            fib.unwant(key);
        }
        let old = self.uneven.remove(&prefix).unwrap_or(had.len().min(1));
        if ways.len() != keys.len().min(1) {
            self.uneven.insert(prefix, ways.len());
        }
        let of_family = self.paths.entry(prefix.family()).or_default();
        *of_family = (*of_family + ways.len()).saturating_sub(old);
    }

    /// Prefixes to look at again when our addresses change.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.by_address.iter().copied()
    }

    /// Paths of a family's routes.
    pub(crate) fn paths(&self, family: Family) -> usize {
        self.paths.get(&family).copied().unwrap_or_default()
    }
}

/// A received route, and the ways that its packets take.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub route: Installable,
    /// By way of the next hop, or of what the kernel's route to it goes through. None: nothing leads there.
    pub ways: Vec<NextHop>,
    /// They follow from our addresses alone.
    pub by_address: bool,
}

/// The ways of one route for the kernel: each interface and gateway once.
type Ways = BTreeMap<(IfIndex, Option<IpAddr>), NextHop>;

/// One route for each prefix, table and metric, with the ways of all paths.
fn routes(ways: &[Way], protocol: u8, fib: &Fib) -> Vec<Route> {
    let metric = |Installable {
                      prefix, install, ..
                  }: &Installable| {
        let of_policy = install.metric;
        of_policy.unwrap_or_else(|| metric_behind_own(prefix, install.table, fib))
    };
    // As nearly all are.
    if let [Way { route, ways, .. }] = ways
        && let [only] = &ways[..]
    {
        let only = leg(only, route.prefix);
        return vec![to_kernel(route, metric(route), vec![only], protocol)];
    }
    let mut grouped: BTreeMap<(u32, u32), (Ways, &Installable)> = BTreeMap::new();
    for Way { route, ways, .. } in ways.iter().filter(|way| !way.ways.is_empty()) {
        let (all, _) = grouped
            .entry((route.install.table, metric(route)))
            .or_insert_with(|| (Ways::new(), route));
        for way in ways {
            let key = (way.index, way.via);
            if all.len() < MAX_LEGS || all.contains_key(&key) {
                let way = leg(way, route.prefix);
                let known = all.entry(key).or_insert_with(|| way.clone());
                known.onlink |= way.onlink;
                known.weight = known.weight.max(way.weight);
            }
        }
    }
    let route = |((_, metric), (ways, route)): ((u32, u32), (Ways, &Installable))| {
        to_kernel(route, metric, ways.into_values().collect(), protocol)
    };
    grouped.into_iter().map(route).collect()
}

/// A way as a route to this prefix has it.
fn leg(way: &NextHop, prefix: Prefix) -> NextHop {
    let via = way.via.as_ref();
    let odd = via.is_some_and(|a| is_link_local(a) && Family::of(a) != prefix.family());
    NextHop {
        onlink: way.onlink | odd,
        ..way.clone()
    }
}

fn to_kernel(route: &Installable, metric: u32, mut next_hops: Vec<NextHop>, protocol: u8) -> Route {
    if let [only] = &mut next_hops[..] {
        // The kernel keeps no weight of a single one.
        only.weight = 1;
    }
    next_hops.sort_unstable();
    let Installable {
        prefix, install, ..
    } = route;
    Route {
        table: install.table,
        prefix: *prefix,
        metric,
        kind: RouteKind::Unicast,
        scope: 0,
        next_hops,
        prefsrc: install.prefsrc.filter(|a| Family::of(a) == prefix.family()),
        protocol,
    }
}

/// Behind every default that the host has of its own in this table.
fn metric_behind_own(prefix: &Prefix, table: u32, fib: &Fib) -> u32 {
    if prefix.len() != 0 {
        return IMPORT_METRIC;
    }
    fib.foreign_defaults(prefix.family())
        .filter(|route| route.table == table)
        .map(|route| route.metric.saturating_add(1))
        .max()
        .unwrap_or(0)
        .max(IMPORT_METRIC)
}
