//! What should be: routes in a map, the decision by elimination in the words of the RFCs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_bgp_wire::{AsPath, Attributes, Community, NextHop, Origin};
use tapway_model::{Family, Prefix};
use tapway_rib::decide::Rules;

pub const SOURCES: usize = 5;
pub const PREFIXES: usize = 12;
pub const MEMBERS: usize = 9;
pub const KINDS: usize = 9;
pub const HOPS: usize = 3;

/// One step of a walk.
#[derive(Clone, Debug)]
pub enum Step {
    /// Source, prefix, path identifier, kind of attributes, import.
    Insert(usize, usize, u32, usize, u8),
    Withdraw(usize, usize, u32),
    /// A source announces and withdraws a run of prefixes.
    Burst(usize, usize),
    SourceDown(usize),
    MarkStale(usize),
    RemoveStale(usize),
    KeepLong(usize),
    Judge(usize, u8),
    NextHop(usize, Option<u32>),
    /// It is looked for, and found at the next check where it was.
    Seek(usize),
    Rules(Rules),
    Join(usize),
    Leave(usize),
    SendAgain(usize),
    /// To the other group of its kind, whose export is another.
    Move(usize),
    ExportChanged,
    Read(usize, usize),
    Work(usize),
    Check,
}

pub fn prefix(n: usize) -> Prefix {
    let n = n as u8;
    match n % 3 {
        0 => Prefix::host(IpAddr::V6(Ipv6Addr::new(
            0x2001,
            0xdb8,
            0,
            0,
            0,
            0,
            0,
            n.into(),
        ))),
        1 => Prefix::host(Ipv4Addr::new(192, 0, 2, n).into()),
        _ => Prefix::truncated(Ipv4Addr::new(10, n, 0, 0).into(), 16),
    }
}

pub fn hop(n: usize) -> NextHop {
    match n {
        0 => NextHop::V4(Ipv4Addr::new(198, 51, 100, 1)),
        1 => NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
        _ => NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2)),
    }
}

/// The number of a next hop.
pub fn place(next_hop: NextHop) -> usize {
    (0..HOPS)
        .find(|h| hop(*h) == next_hop)
        .expect("one of the next hops")
}

/// Different attributes, so that every step of the decision gets its turn.
pub fn kind(n: usize) -> (Attributes, NextHop) {
    let mut attributes = Attributes {
        as_path: AsPath::sequence([65001, 65009]),
        ..Attributes::default()
    };
    match n {
        1 => attributes.local_pref = Some(200),
        2 => attributes.as_path = AsPath::sequence([65002]),
        3 => attributes.origin = Origin::Incomplete,
        4 => attributes.med = Some(5),
        5 => (attributes.med, attributes.as_path) = (Some(3), AsPath::sequence([65002, 65009])),
        6 => attributes.originator_id = Some(Ipv4Addr::new(0, 0, 0, 1)),
        7 => attributes.cluster_list = vec![Ipv4Addr::new(1, 1, 1, 1)],
        8 => attributes.communities = vec![Community(0xffff_0006), Community(0xffff_0007)],
        _ => {}
    }
    (attributes, hop(n % HOPS))
}

/// What import does: 0 refuses, 1 raises the weight, 2 sets LOCAL_PREF, 3 leaves all as it is.
pub fn import(how: u8, kind: &(Attributes, NextHop)) -> Option<(Attributes, NextHop, u16)> {
    let (attributes, hop) = kind.clone();
    match how {
        0 => None,
        1 => Some((attributes, hop, 10)),
        2 => Some((
            Attributes {
                local_pref: Some(150),
                ..attributes
            },
            hop,
            0,
        )),
        _ => Some((attributes, hop, 0)),
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub kind: usize,
    pub used: Option<(Attributes, NextHop, u16)>,
    pub stale: bool,
    /// Stale, and kept beyond the restart time.
    pub long: bool,
}

pub type Key = (Prefix, usize, u32);

#[derive(Clone, Debug)]
pub struct Reference {
    pub routes: BTreeMap<Key, Route>,
    pub metrics: [Option<u32>; HOPS],
    pub rules: Rules,
    pub export: u8,
}

/// Whether a source is in another AS.
pub fn external(source: usize) -> bool {
    source > 2
}

pub fn router_id(source: usize) -> u32 {
    (source as u32) % 3
}

pub fn addr(source: usize) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, source as u8).into()
}

impl Reference {
    /// The usable routes to a prefix.
    fn usable(&self, prefix: Prefix) -> Vec<(Key, &Route)> {
        let all = self
            .routes
            .range((prefix, 0, 0)..=(prefix, usize::MAX, u32::MAX));
        all.map(|(k, r)| (*k, r))
            .filter(|(key, route)| {
                let Some((attributes, next_hop, _)) = &route.used else {
                    return false;
                };
                let at = place(*next_hop);
                let reachable = key.1 == 0 || self.metrics[at].is_some();
                let no_llgr = attributes.communities.contains(&Community(0xffff_0007));
                reachable && !(no_llgr && route.long)
            })
            .collect()
    }

    /// Those that are equal up to the metric, in the order of RFC 4271 §9.1.2.2.
    fn equal<'r>(&self, mut left: Vec<(Key, &'r Route)>) -> Vec<(Key, &'r Route)> {
        let rules = self.rules;
        let parts = |r: &Route| r.used.clone().expect("a route that counts");
        let med = |r: &Route| {
            parts(r).0.med.unwrap_or(if rules.missing_med_is_worst {
                u32::MAX
            } else {
                0
            })
        };
        let stale = |r: &Route| r.long || parts(r).0.communities.contains(&Community(0xffff_0006));
        keep_least(&mut left, |_, r| u64::from(stale(r)));
        keep_least(&mut left, |_, r| u64::MAX - u64::from(parts(r).2));
        keep_least(&mut left, |_, r| {
            u64::MAX - u64::from(parts(r).0.local_pref.unwrap_or(100))
        });
        keep_least(&mut left, |_, r| match rules.ignore_as_path {
            true => 0,
            false => parts(r).0.as_path.length() as u64,
        });
        keep_least(&mut left, |_, r| parts(r).0.origin as u64);
        let all = left.clone();
        left.retain(|(_, n)| {
            !all.iter().any(|(_, m)| {
                let same = parts(n).0.as_path.first() == parts(m).0.as_path.first();
                (same || rules.always_compare_med) && med(m) < med(n)
            })
        });
        keep_least(&mut left, |k, _| u64::from(!external(k.1)));
        keep_least(&mut left, |k, r| match k.1 {
            0 => 0,
            _ if rules.ignore_metric => 0,
            _ => {
                let at = place(parts(r).1);
                u64::from(self.metrics[at].expect("a next hop that can be reached"))
            }
        });
        left
    }

    /// The best of some routes.
    fn best_of(&self, left: Vec<(Key, &Route)>) -> Option<Key> {
        let mut left = self.equal(left);
        let parts = |r: &Route| r.used.clone().expect("a route that counts");
        let id = |k: &Key, r: &Route| match parts(r).0.originator_id {
            Some(id) => id.to_bits(),
            None if k.1 == 0 => 0,
            None => router_id(k.1),
        };
        keep_least(&mut left, |k, r| id(k, r).into());
        keep_least(&mut left, |_, r| parts(r).0.cluster_list.len() as u64);
        keep_least(&mut left, |k, _| k.1 as u64);
        keep_least(&mut left, |k, _| k.2.into());
        left.first().map(|(key, _)| *key)
    }

    pub fn best(&self, prefix: Prefix) -> Option<Key> {
        self.best_of(self.usable(prefix))
    }

    /// The routes that share the traffic, the best one among them.
    pub fn sharing(&self, prefix: Prefix) -> Vec<Key> {
        let mut left = self.equal(self.usable(prefix));
        let Some(best) = self.best_of(left.clone()) else {
            return Vec::new();
        };
        let neighbour = |key: &Key| {
            let used = self.routes[key].used.as_ref();
            used.and_then(|(attributes, ..)| attributes.as_path.first())
        };
        left.retain(|(k, _)| !self.rules.multipath_same_as || neighbour(k) == neighbour(&best));
        let most = match external(best.1) {
            true => self.rules.maximum_paths_external,
            false => self.rules.maximum_paths_internal,
        };
        let mut sharing = Vec::new();
        while sharing.len() < usize::from(most)
            && let Some(next) = self.best_of(left.clone())
        {
            left.retain(|(k, _)| *k != next);
            sharing.push(next);
        }
        sharing.sort();
        sharing
    }

    /// What export makes of a route: attributes and next hop.
    pub fn exported(&self, key: &Key) -> Option<(Vec<u8>, NextHop)> {
        let route = &self.routes[key];
        let (attributes, _, _) = route.used.clone()?;
        export(self.export, key.0, key.1, route.long, attributes)
    }

    /// What a member that is `source` should have of a prefix.
    pub fn wanted(
        &self,
        prefix: Prefix,
        most: Option<usize>,
        source: Option<usize>,
    ) -> Vec<(Vec<u8>, NextHop)> {
        let routes = match most {
            None => self.wanted_best(prefix).into_iter().collect(),
            Some(most) => {
                let mut left = self.usable(prefix);
                left.retain(|(key, _)| self.exported(key).is_some());
                let mut order = Vec::new();
                while order.len() < most
                    && let Some(best) = self.best_of(left.clone())
                {
                    left.retain(|(k, _)| *k != best);
                    order.push(best);
                }
                order
            }
        };
        let others = routes.into_iter().filter(|key| Some(key.1) != source);
        let mut wanted: Vec<_> = others.filter_map(|key| self.exported(&key)).collect();
        wanted.sort();
        wanted
    }

    /// The best route; when it is ours and does not go out, the next of ours that does.
    fn wanted_best(&self, prefix: Prefix) -> Option<Key> {
        let best = self.best(prefix)?;
        if best.1 != 0 || self.exported(&best).is_some() {
            return Some(best);
        }
        let mut own: Vec<_> = self
            .routes
            .range((prefix, 0, 0)..=(prefix, 0, u32::MAX))
            .collect();
        own.retain(|(_, r)| r.used.is_some());
        own.sort_by_key(|(k, r)| {
            (
                u16::MAX - r.used.clone().expect("a route that counts").2,
                k.2,
            )
        });
        own.into_iter()
            .map(|(k, _)| *k)
            .find(|k| self.exported(k).is_some())
    }
}

/// Export in four versions. It refuses some, changes some, and minds source, prefix and staleness.
pub fn export(
    version: u8,
    prefix: Prefix,
    source: usize,
    stale: bool,
    mut attributes: Attributes,
) -> Option<(Vec<u8>, NextHop)> {
    if version == 1 && attributes.med.is_some() {
        return None;
    }
    if version == 2 && attributes.local_pref == Some(200) && source == 0 {
        return None;
    }
    if version == 3 && prefix.len() == 16 {
        attributes.med = Some(77);
    }
    if stale {
        attributes.communities.push(Community(0xffff_0006));
    }
    if external(source) {
        attributes.cluster_list.clear();
    }
    let next_hop = match prefix.family() {
        Family::Ipv4 => NextHop::V4(Ipv4Addr::new(192, 0, 2, 254)),
        Family::Ipv6 => NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe)),
    };
    let mut block = Vec::new();
    attributes.encode_with(true, Some(next_hop), &mut block);
    Some((block, next_hop))
}

fn keep_least(left: &mut Vec<(Key, &Route)>, by: impl Fn(&Key, &Route) -> u64) {
    let least = left.iter().map(|(k, r)| by(k, r)).min();
    left.retain(|(k, r)| Some(by(k, r)) == least);
}
