//! What each peer must have been told, and what is kept of each, worked out from what happened: RFC 4271 §9.1 and 9.2, RFC
//! 4456, RFC 4724 §4.2, RFC 7313 §4, RFC 7911, RFC 8326, RFC 8538. Written down plainly a second time; nothing here asks the speaker.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{Attributes, Community, NextHop, PerFamily};
use tapway_model::{Family, Instant, Prefix};

use super::super::net::{addresses, asn, speaker_config};
use crate::config::{Decision, SendPaths};
use crate::{ConnId, LocalAddresses};

/// How long a peer of the walk says that it may be away.
pub(super) const RESTART: Duration = Duration::from_secs(30);
/// How long stale routes wait for the end marker of a peer that is back.
const STALE_MAX: Duration = Duration::from_secs(360);
/// LOCAL_PREF where there is none.
const LOCAL_PREF: u32 = 100;
/// `picky` rejects routes with this community.
pub(super) const UNWANTED: Community = Community(7);
/// `picky` prefers routes with this community.
pub(super) const LIKED: Community = Community(8);
pub(super) const LIKED_PREF: u32 = 200;
/// `choosy` passes no routes with this community on.
pub(super) const SECRET: Community = Community(5);
/// The MED that `choosy` gives own routes.
pub(super) const CHOOSY_MED: u32 = 77;

/// What goes over the wire for a prefix.
pub(super) type Route = (NextHop, Attributes);

/// What a peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    External,
    Internal,
    Client,
}

/// A route that came, by its path identifier.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) route: Route,
    pub(super) stale: bool,
}

/// A session that is up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Up {
    pub(super) conn: ConnId,
    pub(super) since: Instant,
    /// Graceful restart, and whether NOTIFICATIONs are one, too.
    pub(super) graceful: Option<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) kind: Kind,
    /// Its AS, and its identifier: of its last session.
    pub(super) asn: u32,
    pub(super) router_id: Ipv4Addr,
    pub(super) import: &'static str,
    pub(super) export: &'static str,
    pub(super) install: bool,
    /// What is passed on to it keeps its next hop.
    pub(super) unchanged: bool,
    /// Our addresses on its link.
    pub(super) ours: LocalAddresses,
    /// It sends path identifiers.
    pub(super) ids: bool,
    /// How many paths it reads; `None`: one, without identifiers.
    pub(super) several: Option<SendPaths>,
    pub(super) up: Option<Up>,
    pub(super) routes: BTreeMap<(Prefix, u32), Received>,
    pub(super) refreshing: PerFamily<bool>,
    pub(super) end_of_rib: PerFamily<bool>,
    away_until: Option<Instant>,
    stale_until: Option<Instant>,
}

impl Peer {
    pub(super) fn new(kind: Kind) -> Peer {
        Peer {
            kind,
            asn: asn(0),
            router_id: Ipv4Addr::UNSPECIFIED,
            import: "all",
            export: "transit",
            install: true,
            unchanged: false,
            ours: addresses(0),
            ids: false,
            several: None,
            up: None,
            routes: BTreeMap::new(),
            refreshing: PerFamily::default(),
            end_of_rib: PerFamily::default(),
            away_until: None,
            stale_until: None,
        }
    }

    pub(super) fn external(&self) -> bool {
        self.kind == Kind::External
    }

    /// Stale routes of a family go.
    fn sweep(&mut self, family: Family) {
        let goes = |p: &Prefix, r: &Received| r.stale && p.family() == family;
        self.routes.retain(|(p, _), r| !goes(p, r));
    }

    /// All of a family are stale from now on.
    fn doubt(&mut self, family: Family) {
        let all = self.routes.iter_mut();
        all.filter(|((p, _), _)| p.family() == family)
            .for_each(|(_, r)| r.stale = true);
    }

    /// The session is over, and nothing of the peer is kept.
    pub(super) fn forget(&mut self) {
        self.up = None;
        self.routes.clear();
        self.ended();
    }

    fn ended(&mut self) {
        self.refreshing = PerFamily::default();
        self.end_of_rib = PerFamily::default();
        (self.away_until, self.stale_until) = (None, None);
    }

    /// The session is over as it is when a peer restarts; `notified`: by a NOTIFICATION.
    pub(super) fn lost(&mut self, now: Instant, notified: bool) {
        let Some(up) = self.up.take() else { return };
        if !up.graceful.is_some_and(|by_word| by_word || !notified) {
            return self.forget();
        }
        self.ended();
        for family in Family::ALL {
            self.sweep(family);
            self.doubt(family);
        }
        self.away_until = (!self.routes.is_empty()).then_some(now + RESTART);
    }

    /// A session is up.
    pub(super) fn back(&mut self, up: Up, preserved: PerFamily<bool>) {
        self.up = Some(up);
        self.away_until = None;
        for family in Family::ALL {
            if up.graceful.is_none() || !preserved[family] {
                self.sweep(family);
            }
        }
        if self.stale() > 0 {
            self.stale_until = Some(up.since + STALE_MAX);
        }
    }

    pub(super) fn stale(&self) -> usize {
        self.routes.values().filter(|r| r.stale).count()
    }

    pub(super) fn end_of_rib(&mut self, family: Family) {
        self.end_of_rib[family] = true;
        if !self.refreshing[family] {
            self.sweep(family);
        }
    }

    pub(super) fn refresh_begins(&mut self, now: Instant, family: Family) {
        self.doubt(family);
        self.refreshing[family] = true;
        self.stale_until = Some(now + STALE_MAX);
    }

    pub(super) fn refresh_ends(&mut self, family: Family) {
        if core::mem::take(&mut self.refreshing[family]) {
            self.sweep(family);
        }
    }

    pub(super) fn time_passes(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.away_until) || due(self.stale_until) {
            (self.away_until, self.stale_until) = (None, None);
            self.refreshing = PerFamily::default();
            Family::ALL.into_iter().for_each(|f| self.sweep(f));
        }
    }

    /// Our address as a next hop towards it.
    fn own_next_hop(&self, prefix: Prefix) -> NextHop {
        hop(self.ours, prefix.family())
    }

    /// A received route as import leaves it; `None`: it does not count.
    pub(super) fn import(&self, cluster: Ipv4Addr, route: &Route) -> Option<Route> {
        let (next_hop, mut attributes) = route.clone();
        let has = |c| route.1.communities.contains(&c);
        let first = attributes.as_path.first();
        if attributes.as_path.contains(asn(0))
            || self.external() && first != Some(self.asn)
            || attributes.originator_id == Some(us())
            || attributes.cluster_list.contains(&cluster)
            || Family::ALL.iter().any(|f| hop(self.ours, *f) == next_hop)
            || self.import == "none"
            || self.import == "picky" && has(UNWANTED)
        {
            return None;
        }
        if self.import == "picky" && has(LIKED) {
            attributes.local_pref = Some(LIKED_PREF);
        } else if self.external() && has(Community::GRACEFUL_SHUTDOWN) {
            attributes.local_pref = Some(0);
        }
        Some((next_hop, attributes))
    }
}

/// Our identifier.
pub(super) fn us() -> Ipv4Addr {
    speaker_config(0).router_id
}

/// A route that is decided about. Own ones have node 0.
#[derive(Clone, Debug)]
struct Candidate {
    node: usize,
    id: u32,
    external: bool,
    router_id: Ipv4Addr,
    route: Route,
}

impl Candidate {
    fn med(&self, decision: &Decision) -> (Option<u32>, u32) {
        let attributes = &self.route.1;
        let missing = match decision.missing_med_is_worst {
            true => u32::MAX,
            false => 0,
        };
        (
            attributes.as_path.first(),
            attributes.med.unwrap_or(missing),
        )
    }

    fn tie(&self) -> impl Ord + use<> {
        let attributes = &self.route.1;
        let id = attributes.originator_id.unwrap_or(self.router_id);
        (id, attributes.cluster_list.len(), self.node, self.id)
    }
}

fn keep_least<'a, K: Ord>(left: &mut Vec<&'a Candidate>, key: impl Fn(&'a Candidate) -> K) {
    let least = left.iter().map(|c| key(c)).min();
    left.retain(|c| Some(key(c)) == least);
}

/// The best one, and after it those that share the traffic with it.
fn best<'c>(mut left: Vec<&'c Candidate>, decision: &Decision) -> Vec<&'c Candidate> {
    keep_least(&mut left, |c| c.node != 0);
    keep_least(&mut left, |c| {
        Reverse(c.route.1.local_pref.unwrap_or(LOCAL_PREF))
    });
    keep_least(&mut left, |c| match decision.ignore_as_path {
        true => 0,
        false => c.route.1.as_path.length(),
    });
    keep_least(&mut left, |c| c.route.1.origin);
    let all = left.clone();
    left.retain(|c| {
        let (neighbour, med) = c.med(decision);
        let beats = |(of, less): (Option<u32>, u32)| {
            (of == neighbour || decision.always_compare_med) && less < med
        };
        !all.iter().any(|o| beats(o.med(decision)))
    });
    keep_least(&mut left, |c| !c.external);
    left.sort_by_key(|c| c.tie());
    if let Some(first) = left.first().copied().filter(|_| decision.multipath_same_as) {
        left.retain(|c| c.med(decision).0 == first.med(decision).0);
    }
    left
}

pub(super) struct Model {
    /// By node; 0 is nobody.
    pub(super) peers: BTreeMap<usize, Peer>,
    /// Own routes, and who may be told; `None`: all.
    pub(super) own: BTreeMap<Prefix, Option<Vec<usize>>>,
    /// What `transit` sets on what it passes on.
    pub(super) med: Option<u32>,
    /// The policy `choosy` exists.
    pub(super) choosy: bool,
    pub(super) draining: bool,
    /// What our cluster is called.
    pub(super) cluster: Ipv4Addr,
    /// The switches of the decision process.
    pub(super) decision: Decision,
}

impl Model {
    /// All that counts for a prefix.
    fn candidates(&self, prefix: Prefix) -> Vec<Candidate> {
        let mut all = Vec::new();
        if self.own.contains_key(&prefix) {
            all.push(Candidate {
                node: 0,
                id: 0,
                external: false,
                router_id: us(),
                route: (next_hop(0, prefix.family()), Attributes::default()),
            });
        }
        for (node, peer) in &self.peers {
            let here = peer.routes.range((prefix, 0)..=(prefix, u32::MAX));
            for ((_, id), received) in here {
                all.extend(
                    peer.import(self.cluster, &received.route)
                        .map(|route| Candidate {
                            node: *node,
                            id: *id,
                            external: peer.external(),
                            router_id: peer.router_id,
                            route,
                        }),
                );
            }
        }
        all
    }

    /// The peers by which the kernel sends what is for a prefix.
    pub(super) fn installed(&self, prefix: Prefix) -> BTreeSet<usize> {
        let mut all = self.candidates(prefix);
        all.retain(|c| c.node != 0 && self.peers[&c.node].install);
        let best = best(all.iter().collect(), &self.decision);
        let most = match best.first().is_some_and(|c| c.external) {
            true => self.decision.maximum_paths_external,
            false => self.decision.maximum_paths_internal,
        };
        let shared = best.iter().take(most.into());
        shared.map(|c| c.node).collect()
    }

    /// What a peer has of a prefix when everything is written; in the order of their texts.
    pub(super) fn told(&self, to: usize, prefix: Prefix) -> Vec<Route> {
        let candidates = self.candidates(prefix);
        let mut left: Vec<&Candidate> = candidates.iter().collect();
        let limit = match self.peers[&to].several {
            None => {
                left = best(left, &self.decision).into_iter().take(1).collect();
                1
            }
            Some(SendPaths::All) => usize::MAX,
            Some(SendPaths::Best(most)) => usize::from(most),
        };
        // Those that do not go out take no place, but the peer's own ones do, which it is not told.
        left.retain(|c| self.out(to, prefix, c).is_some());
        let mut told = Vec::new();
        while told.len() < limit
            && let Some(next) = best(left.clone(), &self.decision).first()
        {
            left.retain(|c| !core::ptr::eq(*c, *next));
            told.push(*next);
        }
        told.retain(|c| c.node != to);
        told.into_iter()
            .filter_map(|c| self.out(to, prefix, c))
            .collect()
    }

    fn out(&self, to: usize, prefix: Prefix, candidate: &Candidate) -> Option<Route> {
        match candidate.node {
            0 => self.own_out(to, prefix),
            from => self.received_out(from, to, prefix, &candidate.route),
        }
    }

    fn own_out(&self, to: usize, prefix: Prefix) -> Option<Route> {
        let peer = &self.peers[&to];
        let listed = self.own[&prefix].as_ref();
        let hidden = listed.is_some_and(|peers| !peers.contains(&to));
        let med = match peer.export {
            "transit" | "claims" => None,
            "choosy" if self.choosy && to != 2 => Some(CHOOSY_MED),
            _ => return None,
        };
        let mut attributes = Attributes {
            med,
            local_pref: Some(LOCAL_PREF),
            ..Attributes::default()
        };
        self.drain(&mut attributes);
        cross(peer, &mut attributes);
        (!hidden).then_some((peer.own_next_hop(prefix), attributes))
    }

    fn received_out(&self, from: usize, to: usize, prefix: Prefix, route: &Route) -> Option<Route> {
        // The address of its session, the one that we know.
        let itself = next_hop(to, Family::Ipv4);
        let (from, to) = (&self.peers[&from], &self.peers[&to]);
        let (by, mut attributes) = route.clone();
        let has = |c| route.1.communities.contains(&c);
        let reflected = match (from.kind, to.kind) {
            (Kind::External, _) | (_, Kind::External) => false,
            (Kind::Internal, Kind::Internal) => return None,
            _ => true,
        };
        let med = match to.export {
            "transit" => self.med,
            "claims" if reflected => None,
            "choosy" if self.choosy && !has(SECRET) => None,
            _ => return None,
        };
        if has(Community::NO_ADVERTISE) || to.external() && has(Community::NO_EXPORT) {
            return None;
        }
        if reflected {
            attributes.med = med.or(attributes.med);
            attributes.originator_id.get_or_insert(from.router_id);
            attributes.cluster_list.insert(0, self.cluster);
            attributes.local_pref.get_or_insert(LOCAL_PREF);
            return Some((by, attributes));
        }
        let received_med = attributes.med.filter(|_| !to.external());
        attributes.med = med.or(received_med);
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        attributes.local_pref.get_or_insert(LOCAL_PREF);
        self.drain(&mut attributes);
        cross(to, &mut attributes);
        // No router sends to itself (RFC 4271 §5.1.3).
        let nowhere = to.external() && to.unchanged && by == itself;
        let by = if to.unchanged {
            by
        } else {
            to.own_next_hop(prefix)
        };
        (!nowhere).then_some((by, attributes))
    }

    /// Our routes are the last choice while we are about to go.
    fn drain(&self, attributes: &mut Attributes) {
        let mark = Community::GRACEFUL_SHUTDOWN;
        if self.draining {
            attributes.local_pref = Some(0);
            if !attributes.communities.contains(&mark) {
                attributes.communities.push(mark);
                attributes.communities.sort_unstable();
            }
        }
    }
}

/// What another AS reads.
fn cross(to: &Peer, attributes: &mut Attributes) {
    if to.external() {
        attributes.local_pref = None;
        attributes.as_path.prepend(asn(0), 1);
    }
}

/// A node's address as a next hop.
pub(super) fn next_hop(node: usize, family: Family) -> NextHop {
    hop(addresses(node), family)
}

fn hop(all: LocalAddresses, family: Family) -> NextHop {
    match family {
        Family::Ipv4 => NextHop::V4(all.v4.unwrap()),
        Family::Ipv6 => NextHop::V6(all.v6_global.unwrap()),
    }
}
