//! Received routes that go to the kernel.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use tapway_bgp::Installable;
use tapway_bgp::config::Install;
use tapway_fib::{Fib, IfIndex, Key, NextHop, Object, Route, RouteKind, is_link_local};
use tapway_model::{Family, Prefix};

use crate::wiring::CLAIM_METRIC;

/// The metric of received routes where no default of the host's own is in the way.
pub const IMPORT_METRIC: u32 = 20;

/// What was asked for, so that it can be given back.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    wanted: BTreeMap<Prefix, Wanted>,
    held: BTreeMap<Family, BTreeMap<Prefix, Vec<Key>>>,
    /// Legs of all that is wanted, by family.
    legs: BTreeMap<Family, usize>,
    /// Prefixes with a next hop whose interface follows from our addresses.
    by_address: BTreeSet<Prefix>,
}

/// What is wanted for one prefix.
#[derive(Debug, Default)]
struct Wanted {
    keys: Vec<Key>,
    legs: usize,
}

impl Imports {
    /// Holds on to the received routes that an earlier run put in the kernel, until the peers have sent
    /// theirs again. A claim's route is known by its metric, or by leading nowhere.
    pub(crate) fn adopt(&mut self, fib: &mut Fib) {
        let found: Vec<Object> = fib
            .ours()
            .filter(|object| match object {
                Object::Route(r) => r.kind == RouteKind::Unicast && r.metric != CLAIM_METRIC,
                _ => false,
            })
            .cloned()
            .collect();
        for object in found {
            if let Key::Route(_, prefix, _) = object.key() {
                let held = self.held.entry(prefix.family()).or_default();
                held.entry(prefix).or_default().push(object.key());
                fib.set_want(object);
            }
        }
    }

    /// Whether routes of this family are held.
    pub(crate) fn holds(&self, family: Family) -> bool {
        self.held.contains_key(&family)
    }

    /// Holds no longer: what nobody sent again goes with the next [`Imports::set`] of each of these prefixes.
    pub(crate) fn release(&mut self, family: Family) -> Vec<Prefix> {
        let held = self.held.remove(&family).unwrap_or_default();
        let prefixes = held.keys().copied().collect();
        for (prefix, keys) in held {
            self.wanted.entry(prefix).or_default().keys.extend(keys);
        }
        prefixes
    }

    /// Asks for the routes to a prefix as the speaker sees them now; gives back those it no longer has.
    pub(crate) fn set(
        &mut self,
        prefix: Prefix,
        routes: &[Installable],
        protocol: u8,
        fib: &mut Fib,
    ) {
        let mut keys = Vec::new();
        for object in objects(routes, protocol, fib) {
            keys.push(object.key());
            fib.set_want(object);
        }
        if routes.iter().any(|route| route.ifindex == 0) {
            self.by_address.insert(prefix);
        } else {
            self.by_address.remove(&prefix);
        }
        let old = self.wanted.remove(&prefix).unwrap_or_default();
        for key in old.keys.iter().filter(|key| !keys.contains(key)) {
            fib.unwant(key);
        }
        let legs = routes.len();
        let of_family = self.legs.entry(prefix.family()).or_default();
        *of_family = *of_family + legs - old.legs;
        if !keys.is_empty() || legs > 0 {
            self.wanted.insert(prefix, Wanted { keys, legs });
        }
    }

    /// Prefixes to look at again when our addresses change.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.by_address.iter().copied()
    }

    /// Legs of a family's routes.
    pub(crate) fn legs(&self, family: Family) -> usize {
        self.legs.get(&family).copied().unwrap_or_default()
    }

    /// Whether received routes asked for this object.
    pub(crate) fn has(&self, key: &Key) -> bool {
        let Key::Route(_, prefix, _) = key else {
            return false;
        };
        let held = self.held.get(&prefix.family());
        let wanted = self.wanted.get(prefix).map(|wanted| &wanted.keys);
        let all = [wanted, held.and_then(|h| h.get(prefix))];
        all.into_iter().flatten().any(|keys| keys.contains(key))
    }
}

/// One route for each prefix, table and metric, with a leg for each path.
fn objects(routes: &[Installable], protocol: u8, fib: &Fib) -> Vec<Object> {
    let mut grouped: BTreeMap<(Prefix, u32, u32), (BTreeSet<NextHop>, Install)> = BTreeMap::new();
    for route in routes {
        let prefix = route.prefix;
        let Some(index) = interface_of(route, fib) else {
            continue;
        };
        let metric = route
            .install
            .metric
            .unwrap_or_else(|| metric_behind_own(&prefix, route.install.table, fib));
        let link_local = is_link_local(&route.next_hop);
        let foreign_family = Family::of(&route.next_hop) != prefix.family();
        let hop = NextHop {
            index,
            via: Some(route.next_hop),
            onlink: link_local && foreign_family,
            weight: 1,
        };
        grouped
            .entry((prefix, route.install.table, metric))
            .or_insert_with(|| (BTreeSet::new(), route.install.clone()))
            .0
            .insert(hop);
    }
    let route = |((prefix, table, metric), (hops, install)): (
        (Prefix, u32, u32),
        (BTreeSet<NextHop>, Install),
    )| {
        Object::Route(Route {
            table,
            prefix,
            metric,
            kind: RouteKind::Unicast,
            scope: 0,
            next_hops: hops.into_iter().collect(),
            prefsrc: install.prefsrc.filter(|a| Family::of(a) == prefix.family()),
            protocol,
        })
    };
    grouped.into_iter().map(route).collect()
}

/// The interface of a next hop: the session's, or the one whose subnet it is in.
fn interface_of(route: &Installable, fib: &Fib) -> Option<IfIndex> {
    if route.ifindex != 0 {
        return Some(route.ifindex);
    }
    fib.links()
        .flat_map(|link| fib.addresses(link.index))
        .map(|(a, _)| a)
        .filter(|a| Prefix::truncated(a.addr, a.len).contains_addr(&route.next_hop))
        .max_by_key(|a| a.len)
        .map(|a| a.index)
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
