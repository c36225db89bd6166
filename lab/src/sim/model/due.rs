//! What follows from the claims that count, given the links: kernel objects and announcements.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tapway_fib::sim::Kernel;
use tapway_fib::{
    Address, IfIndex, Key, Link, Neighbour, NextHop, Object, Route, RouteKind, Rule, is_link_local,
};
use tapway_model::{ClaimKind, Domain, Family, IfName, Network, NetworkName, Owner, Prefix};

use super::Model;
use super::claims::Counting;

/// Our protocol number.
pub const OURS: u8 = 112;

/// What is due at rest.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// What must be in the kernel.
    pub must: BTreeMap<Key, Object>,
    /// What may be there: a neighbour that came too late for its link, leftovers while a source is silent.
    pub may: BTreeSet<Key>,
    /// What is announced, and in which network.
    pub announced: BTreeMap<(Domain, Prefix), NetworkName>,
    /// Of these, what the router may see.
    pub seen: BTreeSet<(Domain, Prefix)>,
    /// Whether the host must forward.
    pub forwards: bool,
}

impl Due {
    /// What the router sees.
    pub fn seen_prefixes(&self) -> BTreeSet<Prefix> {
        self.seen.iter().map(|(_, prefix)| *prefix).collect()
    }
}

impl Model {
    /// What is due with the links and the foreign objects of `kernel`, towards the router `peer`.
    pub fn due(&self, kernel: &Kernel, peer: &str) -> Due {
        let mut due = Due {
            forwards: self.forwards,
            ..Due::default()
        };
        let host = Host { kernel };
        for rule in self.rules() {
            due.must.insert(rule.key(), rule);
        }
        for (interface, tellers) in self.nics() {
            let Some(network) = self.networks.get(&tellers[0].nic.network) else {
                continue;
            };
            if let Some(link) = host.link(network.bridge.as_ref().unwrap_or(interface)) {
                for addr in &network.gateway {
                    let object = gateway(link.index, *addr);
                    // IPv6 takes its addresses away with the link's state, IPv4 leaves them.
                    if link.up {
                        due.must.insert(object.key(), object);
                    } else {
                        due.may.insert(object.key());
                    }
                }
            }
        }
        for ((domain, prefix), claim) in self.counting() {
            let network = &self.networks[&claim.network];
            let announced = host.wire(domain, prefix, &claim, network, &mut due);
            if announced && claim.announced {
                due.announced.insert((domain, prefix), claim.network);
                let sees = |peers: &Vec<_>| {
                    peers
                        .iter()
                        .any(|p: &tapway_model::PeerName| p.as_str() == peer)
                };
                if network.peers.as_ref().is_none_or(sees) {
                    due.seen.insert((domain, prefix));
                }
            }
        }
        due.must.retain(|key, _| !host.is_taken(key));
        if self.spoke.len() < self.sources.len() {
            due.may.extend(self.leftovers.iter().cloned());
        }
        due
    }

    fn rules(&self) -> Vec<Object> {
        let domains: BTreeSet<Domain> = self.networks.values().map(|n| n.domain).collect();
        let own = domains.into_iter().filter(|d| *d != Domain::MAIN);
        own.flat_map(|domain| {
            Family::ALL.map(|family| {
                Object::Rule(Rule {
                    family,
                    priority: 30_000,
                    table: domain.0,
                    iif: None,
                    protocol: OURS,
                })
            })
        })
        .collect()
    }
}

struct Host<'a> {
    kernel: &'a Kernel,
}

/// One way to a guest.
struct Leg {
    hop: NextHop,
    mac: Option<[u8; 6]>,
    /// Its link is up.
    up: bool,
    /// Packets arrive.
    good: bool,
}

impl Host<'_> {
    fn link(&self, name: &IfName) -> Option<&Link> {
        self.kernel.links().find(|link| link.name == *name)
    }

    fn is_good(&self, name: &IfName) -> bool {
        self.link(name).is_some_and(|l| l.up && l.carrier)
    }

    /// Somebody else's object is where ours should be. A learned neighbour is nobody's.
    fn is_taken(&self, key: &Key) -> bool {
        match self.kernel.object(key) {
            Some(Object::Neighbour(n)) => n.protocol != OURS && n.state & 0x80 != 0,
            Some(object) => protocol(object) != Some(OURS),
            None => false,
        }
    }

    /// Adds what a claim needs; says whether packets for it can be delivered.
    fn wire(
        &self,
        domain: Domain,
        prefix: Prefix,
        claim: &Counting,
        network: &Network,
        due: &mut Due,
    ) -> bool {
        if matches!(claim.kind, ClaimKind::Transparent | ClaimKind::GuestBgp) {
            return false;
        }
        let is_nic = |owner: &Owner| matches!(owner, Owner::Nic(_));
        if !claim.holders.iter().any(|h| is_nic(&h.owner)) {
            let by_network = claim
                .holders
                .iter()
                .all(|h| matches!(h.owner, Owner::Network(_)));
            let bridge = network.bridge.as_ref().filter(|_| by_network);
            let good = bridge.is_none_or(|name| self.is_good(name));
            let service = !by_network && prefix.is_host() && claim.kind != ClaimKind::Route;
            if service || prefix.len() == 0 {
                return good;
            }
            let route = last_resort(domain, prefix);
            let key = route.key();
            due.must.insert(key.clone(), route);
            return good && !self.is_taken(&key);
        }
        let mut legs = self.legs(claim, network);
        let good = legs.iter().any(|leg| leg.good);
        if good {
            legs.retain(|leg| leg.good);
        } else if legs.iter().any(|leg| leg.up) {
            legs.retain(|leg| leg.up);
        }
        if let [leg] = legs.as_slice()
            && let Some(neighbour) = neighbour(prefix, claim, leg)
        {
            match leg.up {
                true => drop(due.must.insert(neighbour.key(), neighbour)),
                false => drop(due.may.insert(neighbour.key())),
            }
        }
        if !legs.iter().any(|leg| leg.up) {
            return false;
        }
        let mut hops: Vec<NextHop> = legs.iter().map(|leg| leg.hop.clone()).collect();
        hops.sort();
        hops.dedup();
        let on_link = hops.iter().all(|hop| hop.via.is_none());
        let route = Object::Route(Route {
            table: domain.0,
            prefix,
            metric: 10,
            kind: RouteKind::Unicast,
            scope: match on_link && prefix.family() == Family::Ipv4 {
                true => 253,
                false => 0,
            },
            next_hops: hops,
            prefsrc: None,
            protocol: OURS,
        });
        let key = route.key();
        due.must.insert(key.clone(), route);
        good && !self.is_taken(&key)
    }

    fn legs(&self, claim: &Counting, network: &Network) -> Vec<Leg> {
        let mut legs = Vec::new();
        for holder in claim.holders.iter().filter(|h| h.wired) {
            let Owner::Nic(own) = &holder.owner else {
                continue;
            };
            let name = network.bridge.as_ref().unwrap_or(own);
            if let Some(link) = self.link(name) {
                legs.push(Leg {
                    hop: NextHop {
                        index: link.index,
                        via: holder.via,
                        onlink: holder.via.is_some(),
                        weight: 1,
                    },
                    mac: holder.mac.map(|mac| mac.octets()),
                    up: link.up,
                    good: !holder.arriving && self.is_good(own) && self.is_good(name),
                });
            }
        }
        legs
    }
}

/// What ends packets for the unused addresses of a prefix that the host delivers by other means.
fn last_resort(domain: Domain, prefix: Prefix) -> Object {
    Object::Route(Route {
        table: domain.0,
        prefix,
        metric: u32::MAX,
        kind: RouteKind::Unreachable,
        scope: 0,
        next_hops: Vec::new(),
        prefsrc: None,
        protocol: OURS,
    })
}

/// The permanent neighbour of a host address that is nobody else's.
fn neighbour(prefix: Prefix, claim: &Counting, leg: &Leg) -> Option<Object> {
    let mac = leg.mac.filter(|_| prefix.is_host())?;
    (claim.kind == ClaimKind::Address && !claim.shared).then_some(Object::Neighbour(Neighbour {
        index: leg.hop.index,
        addr: prefix.addr(),
        mac: Some(mac),
        state: 0x80,
        router: false,
        protocol: OURS,
    }))
}

fn gateway(index: IfIndex, addr: IpAddr) -> Object {
    Object::Address(Address {
        index,
        addr,
        len: Family::of(&addr).bits(),
        scope: match addr.is_ipv4() || is_link_local(&addr) {
            true => 253,
            false => 0,
        },
        flags: 0,
        protocol: OURS,
    })
}

/// The mark of an object that can have one.
pub fn protocol(object: &Object) -> Option<u8> {
    match object {
        Object::Sysctl(_) => None,
        Object::Address(a) => Some(a.protocol),
        Object::Rule(r) => Some(r.protocol),
        Object::Route(r) => Some(r.protocol),
        Object::Neighbour(n) => Some(n.protocol),
    }
}
