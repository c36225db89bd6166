//! What the kernel is searched for, and what is found.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{Family, Prefix};

use crate::Route;

/// Which routes cover some addresses, in some tables: all of them, while the kernel, asked for an address, names only the best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSearch {
    /// The tables.
    pub tables: BTreeSet<u32>,
    /// The addresses.
    pub addrs: BTreeSet<IpAddr>,
}

impl RouteSearch {
    /// Whether a route to this prefix in this table is meant.
    pub fn means(&self, table: u32, prefix: &Prefix) -> bool {
        let covered = prefix.addr()..=prefix.last_addr();
        self.tables.contains(&table) && self.addrs.range(covered).next().is_some()
    }
}

/// Routes of one list, in an order in which those around an address are found without looking at the others. Whoever makes the
/// list puts them in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteList {
    /// By table, prefix and metric.
    routes: Vec<Route>,
    /// Which lengths of prefixes there are.
    lengths: BTreeSet<(u32, Family, u8)>,
}

impl From<Vec<Route>> for RouteList {
    fn from(mut routes: Vec<Route>) -> RouteList {
        routes.sort_unstable_by_key(|route| (route.table, route.prefix, route.metric));
        let length = |r: &Route| (r.table, r.prefix.family(), r.prefix.len());
        let lengths = routes.iter().map(length).collect();
        RouteList { routes, lengths }
    }
}

impl RouteList {
    /// All of them, by table, prefix and metric.
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// Those to one prefix in a table, by metric.
    pub fn to(&self, table: u32, prefix: Prefix) -> &[Route] {
        let key = |route: &Route| (route.table, route.prefix);
        let from = self.routes.partition_point(|r| key(r) < (table, prefix));
        let rest = self.routes.get(from..).unwrap_or_default();
        let same = rest.iter().take_while(|r| key(r) == (table, prefix));
        rest.get(..same.count()).unwrap_or_default()
    }

    /// Those of a table whose prefixes an address is in: from the longest on, and by metric.
    pub fn around(&self, table: u32, addr: IpAddr) -> impl Iterator<Item = &Route> {
        let family = Family::of(&addr);
        let lengths = self
            .lengths
            .range((table, family, 0)..=(table, family, u8::MAX));
        let prefixes = lengths
            .rev()
            .map(move |(.., len)| Prefix::truncated(addr, *len));
        prefixes.flat_map(move |prefix| self.to(table, prefix))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::RouteKind;

    fn route(table: u32, prefix: &str, metric: u32) -> Route {
        Route {
            table,
            prefix: prefix.parse().expect("a prefix"),
            metric,
            kind: RouteKind::Unicast,
            scope: 0,
            next_hops: Vec::new(),
            prefsrc: None,
            protocol: 4,
        }
    }

    #[test]
    fn those_around_an_address_come_longest_first() {
        let list = RouteList::from(Vec::from([
            route(254, "0.0.0.0/0", 3),
            route(254, "10.0.0.0/8", 7),
            route(254, "10.9.9.9/32", 1),
            route(254, "10.9.8.0/23", 9),
            route(254, "10.9.8.0/23", 5),
            route(254, "10.9.9.8/32", 0),
            route(254, "::/0", 2),
            route(100, "10.9.0.0/16", 8),
        ]));
        let around = |table, addr: &str| {
            let all = list.around(table, addr.parse().expect("an address"));
            let text = |r: &Route| alloc::format!("{} {}", r.prefix, r.metric);
            all.map(text).collect::<Vec<String>>()
        };
        let all = ["10.9.9.9/32 1", "10.9.8.0/23 5", "10.9.8.0/23 9"];
        let rest = ["10.0.0.0/8 7", "0.0.0.0/0 3"];
        assert_eq!(around(254, "10.9.9.9"), [&all[..], &rest].concat());
        assert_eq!(around(254, "10.9.7.7"), rest);
        assert_eq!(around(100, "10.9.9.9"), ["10.9.0.0/16 8"]);
        assert_eq!(around(254, "2001:db8::1"), ["::/0 2"]);
        assert_eq!(around(99, "10.9.9.9"), [""; 0]);
        assert_eq!(list.all().len().to_string(), "8");
    }
}
