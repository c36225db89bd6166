//! What routes share: all but their keys.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{Family, Prefix};

use super::RouteKey;
use crate::{IfIndex, NextHop, Route, RouteKind};

/// Numbers of 29 bits.
pub(super) type ValueId = u32;

/// No value: the route is gone.
pub(super) const NONE: ValueId = ValueId::MAX >> 3;

/// All of a route but its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    kind: RouteKind,
    scope: u8,
    protocol: u8,
    prefsrc: Option<IpAddr>,
    next_hops: Vec<NextHop>,
}

impl Value {
    pub(super) fn is_of(&self, route: &Route) -> bool {
        self.next_hops == route.next_hops
            && self.prefsrc == route.prefsrc
            && (self.kind, self.scope, self.protocol) == (route.kind, route.scope, route.protocol)
    }

    pub(super) fn of(route: &Route) -> Value {
        Value {
            kind: route.kind,
            scope: route.scope,
            protocol: route.protocol,
            prefsrc: route.prefsrc,
            next_hops: route.next_hops.clone(),
        }
    }

    /// As a route of each family.
    pub(super) fn samples(&self) -> impl Iterator<Item = (Family, Route)> + '_ {
        Family::ALL.into_iter().map(|family| {
            let key = (0, Prefix::default_of(family), 0);
            (family, self.route(key))
        })
    }

    pub(super) fn route(&self, key: RouteKey) -> Route {
        let (table, prefix, metric) = key;
        Route {
            table,
            prefix,
            metric,
            kind: self.kind,
            scope: self.scope,
            next_hops: self.next_hops.clone(),
            prefsrc: self.prefsrc,
            protocol: self.protocol,
        }
    }
}

/// Values that routes share, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) slab: Vec<(Value, u32)>,
    vacant: Vec<ValueId>,
    ids: BTreeMap<Value, ValueId>,
    pub(super) by_link: BTreeSet<(IfIndex, ValueId)>,
    pub(super) by_prefsrc: BTreeSet<(IpAddr, ValueId)>,
    /// The one that was asked for last: neighbours go the same way.
    last: ValueId,
}

impl Values {
    pub(super) fn get(&self, id: ValueId) -> Option<&Value> {
        self.slab.get(id as usize).map(|(value, _)| value)
    }

    /// One user more.
    pub(super) fn take(&mut self, route: &Route) -> ValueId {
        let last = self.slab.get_mut(self.last as usize);
        if let Some((value, users)) = last
            && *users > 0
            && value.is_of(route)
        {
            *users += 1;
            return self.last;
        }
        let value = Value::of(route);
        let id = match self.ids.get(&value) {
            Some(id) => *id,
            None => self.make(value),
        };
        self.slab[id as usize].1 += 1;
        self.last = id;
        id
    }

    pub(super) fn make(&mut self, value: Value) -> ValueId {
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.slab.push((value.clone(), 0));
            ValueId::try_from(self.slab.len() - 1).unwrap_or(NONE)
        });
        for hop in &value.next_hops {
            self.by_link.insert((hop.index, id));
        }
        if let Some(addr) = value.prefsrc {
            self.by_prefsrc.insert((addr, id));
        }
        self.slab[id as usize].0 = value.clone();
        self.ids.insert(value, id);
        id
    }

    /// One user less.
    pub(super) fn drop(&mut self, id: ValueId) {
        let (value, users) = &mut self.slab[id as usize];
        *users -= 1;
        if *users > 0 {
            return;
        }
        for hop in &value.next_hops {
            self.by_link.remove(&(hop.index, id));
        }
        if let Some(addr) = value.prefsrc {
            self.by_prefsrc.remove(&(addr, id));
        }
        self.ids.remove(value);
        value.next_hops = Vec::new();
        self.vacant.push(id);
    }
}
