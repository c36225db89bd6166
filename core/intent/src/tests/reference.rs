//! The rules again, slow and obvious: everything is worked out from scratch after each step.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{
    ClaimKind, Domain, Family, IfName, Instance, InstanceName, Instant, Network, NetworkName, Nic,
    NicState, Owner, Prefix, SourceName,
};

use crate::{ClaimRef, Conflict, Effective, Holder, Kinds, SourceEvent};

type Key = (Domain, Owner, Prefix);
type Teller<'a> = (u64, (SourceName, InstanceName), &'a Nic);

#[derive(Clone)]
struct Said {
    instance: Arc<Instance>,
    seq: u64,
    leftover: bool,
    stale: bool,
    in_listing: bool,
}

#[derive(Clone, Default)]
struct Source {
    grace_end: Instant,
    said: BTreeMap<InstanceName, Said>,
    live: bool,
    dead: bool,
    begun: bool,
}

struct Line {
    key: Key,
    seq: u64,
    by: (SourceName, InstanceName),
    kind: ClaimKind,
    network: NetworkName,
    next_hop: Option<IpAddr>,
}

struct Claim {
    key: Key,
    order: u64,
    arriving: bool,
    kinds: Kinds,
    network: NetworkName,
    by: Vec<(SourceName, InstanceName)>,
    next_hop: Option<IpAddr>,
}

/// The model.
#[derive(Clone, Default)]
pub(super) struct Reference {
    networks: BTreeMap<NetworkName, Network>,
    sources: BTreeMap<SourceName, Source>,
    orders: BTreeMap<Key, u64>,
    next_order: u64,
    next_seq: u64,
}

impl Reference {
    pub(super) fn set_networks(&mut self, networks: &[Network]) {
        self.networks = networks
            .iter()
            .map(|n| (n.name.clone(), n.clone()))
            .collect();
        let default: NetworkName = "default".parse().unwrap();
        self.networks
            .entry(default.clone())
            .or_insert(Network::with_defaults(default));
        self.number();
    }

    pub(super) fn set_source(&mut self, name: SourceName, grace_end: Instant) {
        self.sources.insert(
            name,
            Source {
                grace_end,
                begun: true,
                ..Source::default()
            },
        );
    }

    pub(super) fn restore(&mut self, source: &SourceName, instance: Arc<Instance>) {
        self.put(source, instance);
        let said = self.sources.get_mut(source).unwrap().said.values_mut();
        said.for_each(|said| (said.leftover, said.stale) = (true, true));
    }

    pub(super) fn handle(&mut self, now: Instant, name: &SourceName, event: SourceEvent) {
        self.time(now);
        let source = self.sources.get_mut(name).unwrap();
        if let SourceEvent::Dead(_) = event {
            if !source.dead {
                source.begun = false;
            }
            source.dead = true;
            source.live = false;
            source.said.values_mut().for_each(|said| said.stale = true);
            return;
        }
        source.dead = false;
        match event {
            SourceEvent::Begin => {
                source.begun = true;
                source
                    .said
                    .values_mut()
                    .for_each(|said| said.in_listing = false);
            }
            SourceEvent::Put(instance) => self.put(name, instance),
            SourceEvent::Gone(instance) => self.remove(name, |n, _| *n == instance),
            SourceEvent::Complete if source.begun => {
                source.live = true;
                let over = now >= source.grace_end;
                self.remove(name, |_, said| !said.in_listing && (over || !said.leftover));
            }
            _ => {}
        }
    }

    pub(super) fn time(&mut self, now: Instant) {
        let names: Vec<SourceName> = self.sources.keys().cloned().collect();
        for name in names {
            let source = &self.sources[&name];
            // The end of the grace is noticed once.
            if now >= source.grace_end && source.grace_end != Instant::ZERO {
                if source.live {
                    self.remove(&name, |_, said| said.leftover);
                }
                self.sources.get_mut(&name).unwrap().grace_end = Instant::ZERO;
            }
        }
    }

    pub(super) fn forget(&mut self, now: Instant, name: &SourceName) {
        self.time(now);
        self.remove(name, |_, said| said.stale);
    }

    fn put(&mut self, name: &SourceName, instance: Arc<Instance>) {
        let source = self.sources.get_mut(name).unwrap();
        let known = source.said.get(&instance.name).map(|said| said.seq);
        let seq = known.unwrap_or(self.next_seq);
        self.next_seq += 1;
        let said = Said {
            instance,
            seq,
            leftover: false,
            stale: false,
            in_listing: true,
        };
        source.said.insert(said.instance.name.clone(), said);
        self.number();
    }

    fn remove(&mut self, name: &SourceName, which: impl Fn(&InstanceName, &Said) -> bool) {
        let all = self.sources[name].said.clone();
        for (instance, _) in all.iter().filter(|(n, said)| which(n, said)) {
            self.sources.get_mut(name).unwrap().said.remove(instance);
            self.number();
        }
    }

    fn all(&self) -> Vec<(&SourceName, &Said)> {
        self.sources
            .iter()
            .flat_map(|(n, s)| s.said.values().map(move |said| (n, said)))
            .collect()
    }

    pub(super) fn is_stale(&self, by: &[(SourceName, InstanceName)]) -> bool {
        by.iter()
            .all(|(source, name)| self.sources[source].said[name].stale)
    }

    /// Numbers for claims seen first; none for claims that are gone.
    fn number(&mut self) {
        let keys: Vec<Key> = self.lines().into_iter().map(|line| line.key).collect();
        let present: BTreeSet<&Key> = keys.iter().collect();
        self.orders.retain(|key, _| present.contains(key));
        for key in &keys {
            if !self.orders.contains_key(key) {
                self.orders.insert(key.clone(), self.next_order);
                self.next_order += 1;
            }
        }
    }

    /// The tellers of each NIC, by order number.
    fn nics(&self) -> BTreeMap<IfName, Vec<Teller<'_>>> {
        let mut nics: BTreeMap<IfName, Vec<_>> = BTreeMap::new();
        for (source, said) in self.all() {
            let mut seen = BTreeSet::new();
            for nic in &said.instance.nics {
                if seen.insert(&nic.interface) {
                    let by = (source.clone(), said.instance.name.clone());
                    nics.entry(nic.interface.clone())
                        .or_default()
                        .push((said.seq, by, nic));
                }
            }
        }
        nics.values_mut()
            .for_each(|tellers| tellers.sort_by_key(|(seq, _, _)| *seq));
        nics
    }

    /// Everything that is said and may be used: NICs by interface, then the rest by instance.
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (interface, tellers) in self.nics() {
            let Some(network) = self.networks.get(&tellers[0].2.network) else {
                continue;
            };
            let mut of_nic = Vec::new();
            for (seq, by, nic) in &tellers {
                for (prefix, kind) in every(nic) {
                    let gateway = network.gateway.iter().any(|g| Prefix::host(*g) == prefix);
                    let bad = prefix.len() == 0 || prefix.addr().is_multicast() || gateway;
                    if nic.network == network.name && network.allows(&prefix) && !bad {
                        of_nic.push(Line {
                            key: (network.domain, Owner::Nic(interface.clone()), prefix),
                            seq: *seq,
                            by: by.clone(),
                            kind,
                            network: network.name.clone(),
                            next_hop: None,
                        });
                    }
                }
            }
            of_nic.sort_by_key(|line| line.key.2);
            lines.extend(of_nic);
        }
        for (source, said) in self.all() {
            let mut of_instance = Vec::new();
            for claim in &said.instance.claims {
                let Some(network) = self.networks.get(&claim.network) else {
                    continue;
                };
                let default = claim.prefix.len() == 0 && claim.kind != ClaimKind::Route;
                if !network.allows(&claim.prefix) || default || claim.prefix.addr().is_multicast() {
                    continue;
                }
                let owner = match claim.by_network {
                    true => Owner::Network(claim.network.clone()),
                    false => Owner::Host,
                };
                of_instance.push(Line {
                    key: (network.domain, owner, claim.prefix),
                    seq: said.seq,
                    by: (source.clone(), said.instance.name.clone()),
                    kind: claim.kind,
                    network: claim.network.clone(),
                    next_hop: claim.next_hop,
                });
            }
            of_instance.sort_by(|a: &Line, b| a.key.cmp(&b.key));
            lines.extend(of_instance);
        }
        lines
    }

    /// Claims by rank.
    fn claims(&self) -> Vec<Claim> {
        let nics = self.nics();
        let mut by_key: BTreeMap<Key, Vec<Line>> = BTreeMap::new();
        for line in self.lines() {
            by_key.entry(line.key.clone()).or_default().push(line);
        }
        let mut claims = Vec::new();
        for (key, mut lines) in by_key {
            lines.sort_by_key(|line| line.seq);
            let mut by: Vec<_> = lines.iter().map(|line| line.by.clone()).collect();
            by.dedup();
            let arriving = match &key.1 {
                Owner::Nic(interface) => state(&nics[interface]) == NicState::Arriving,
                _ => false,
            };
            claims.push(Claim {
                order: self.orders[&key],
                arriving,
                kinds: lines
                    .iter()
                    .fold(Kinds::default(), |k, l| k.union(Kinds::of(l.kind))),
                network: lines[0].network.clone(),
                by,
                next_hop: lines.iter().find_map(|line| line.next_hop),
                key,
            });
        }
        claims.sort_by_key(|claim| (claim.arriving, claim.order));
        claims
    }

    /// What counts, and what is in conflict.
    pub(super) fn result(&self) -> (BTreeMap<(Domain, Prefix), Effective>, Vec<Conflict>) {
        let claims = self.claims();
        let mut kept: Vec<&Claim> = Vec::new();
        let mut conflicts: BTreeMap<(Domain, Prefix, u64), Conflict> = BTreeMap::new();
        for claim in &claims {
            match kept.iter().find(|other| contend(claim, other)) {
                None => kept.push(claim),
                Some(_) if claim.arriving => {}
                Some(keeper) => {
                    let (domain, _, prefix) = keeper.key;
                    let conflict = Conflict {
                        domain,
                        prefix,
                        kept: reference(keeper),
                        refused: Vec::new(),
                    };
                    let at = (domain, prefix, keeper.order);
                    let conflict = conflicts.entry(at).or_insert(conflict);
                    conflict.refused.push(reference(claim));
                    conflict.refused.sort_by_key(|claim| claim.order);
                }
            }
        }
        let mut effective: BTreeMap<(Domain, Prefix), Effective> = BTreeMap::new();
        for claim in &kept {
            let (domain, owner, prefix) = claim.key.clone();
            let holder = self.holder(claim, &kept);
            let wired = [ClaimKind::Address, ClaimKind::Route, ClaimKind::Anycast];
            let is_wired = wired.iter().any(|kind| claim.kinds.contains(*kind));
            let kinds = kept
                .iter()
                .filter(|c| c.key.0 == domain && c.key.2 == prefix);
            let kinds = kinds.fold(Kinds::default(), |kinds, claim| kinds.union(claim.kinds));
            let entry = effective.entry((domain, prefix)).or_insert(Effective {
                domain,
                prefix,
                kind: kinds.first(),
                network: claim.network.clone(),
                holders: Vec::new(),
                announce: false,
                shared: kinds.may_be_shared(),
            });
            assert!(entry.holders.iter().all(|holder| holder.owner != owner));
            entry.announce |= is_wired && !claim.arriving;
            entry.holders.push(holder);
            let order = |holder: &Holder| self.orders[&(domain, holder.owner.clone(), prefix)];
            entry.holders.sort_by_key(order);
        }
        (effective, conflicts.into_values().collect())
    }

    fn holder(&self, claim: &Claim, kept: &[&Claim]) -> Holder {
        let mut holder = Holder {
            owner: claim.key.1.clone(),
            kinds: claim.kinds,
            interface: None,
            mac: None,
            via: None,
            next_hop: claim.next_hop,
            state: NicState::Running,
            instances: claim.by.clone(),
            tags: Vec::new(),
            stale: self.is_stale(&claim.by),
        };
        let Owner::Nic(interface) = &claim.key.1 else {
            return holder;
        };
        let nics = self.nics();
        let tellers = &nics[interface];
        holder.interface = Some(interface.clone());
        holder.mac = tellers.iter().find_map(|(_, _, nic)| nic.mac);
        holder.state = state(tellers);
        holder.tags = tellers
            .iter()
            .flat_map(|(_, _, nic)| nic.tags.clone())
            .collect();
        holder.tags.sort();
        holder.tags.dedup();
        if !claim.kinds.contains(ClaimKind::Address) {
            let addresses = tellers
                .iter()
                .filter(|(_, _, nic)| nic.network == claim.network);
            holder.via = addresses
                .flat_map(|(_, _, nic)| &nic.addresses)
                .filter(|prefix| prefix.is_host() && prefix.family() == claim.key.2.family())
                .find(|prefix| {
                    let key = (claim.key.0, claim.key.1.clone(), **prefix);
                    kept.iter().any(|claim| claim.key == key)
                })
                .map(Prefix::addr);
        }
        holder
    }
}

fn every(nic: &Nic) -> Vec<(Prefix, ClaimKind)> {
    let mut all = Vec::new();
    all.extend(nic.addresses.iter().map(|p| (*p, ClaimKind::Address)));
    all.extend(nic.routes.iter().map(|p| (*p, ClaimKind::Route)));
    all.extend(nic.anycast.iter().map(|p| (*p, ClaimKind::Anycast)));
    all.extend(
        nic.transparent
            .iter()
            .map(|t| (Prefix::host(t.address), ClaimKind::Transparent)),
    );
    if let Some(guest) = &nic.guest_bgp {
        all.extend(guest.prefixes.iter().map(|p| (*p, ClaimKind::GuestBgp)));
    }
    all
}

fn state(tellers: &[Teller<'_>]) -> NicState {
    for state in [NicState::Leaving, NicState::Running] {
        if tellers.iter().any(|(_, _, nic)| nic.state == state) {
            return state;
        }
    }
    NicState::Arriving
}

fn contend(a: &Claim, b: &Claim) -> bool {
    let ((a_domain, a_owner, a_prefix), (b_domain, b_owner, b_prefix)) = (&a.key, &b.key);
    let default = Family::ALL.map(Prefix::default_of);
    if a_domain != b_domain || a_owner == b_owner {
        false
    } else if a_prefix == b_prefix {
        let shareable = |c: &Claim| c.kinds.iter().all(|kind| kind.may_be_shared());
        !(shareable(a) && shareable(b) && a.network == b.network)
    } else if default.contains(a_prefix) || default.contains(b_prefix) {
        false
    } else {
        let subnet_of = |net: &Claim, nic: &Claim| {
            matches!((&net.key.1, &nic.key.1), (Owner::Network(n), Owner::Nic(_)) if *n == nic.network)
                && net.key.2.contains(&nic.key.2)
        };
        a_prefix.overlaps(b_prefix) && !subnet_of(a, b) && !subnet_of(b, a)
    }
}

fn reference(claim: &Claim) -> ClaimRef {
    ClaimRef {
        owner: claim.key.1.clone(),
        prefix: claim.key.2,
        kind: claim.kinds.first(),
        network: claim.network.clone(),
        order: claim.order,
        instances: claim.by.clone(),
    }
}
