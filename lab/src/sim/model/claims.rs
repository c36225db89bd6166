//! Which claims count: the first keeps what it has, and who is arriving takes nothing from anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tapway_model::{ClaimKind, Domain, IfName, Mac, NetworkName, Nic, NicState, Owner, Prefix};

use super::{ClaimKey, Model};

/// What one instance says of one claim.
pub(super) struct Line<'a> {
    pub(super) key: ClaimKey,
    pub(super) turn: u64,
    pub(super) nic: Option<&'a Nic>,
    kind: ClaimKind,
    network: &'a NetworkName,
}

/// One instance that speaks of a NIC.
pub(super) struct Teller<'a> {
    pub(super) turn: u64,
    pub(super) nic: &'a Nic,
}

struct Claim<'a> {
    key: ClaimKey,
    arriving: bool,
    number: u64,
    kinds: BTreeSet<ClaimKind>,
    network: &'a NetworkName,
}

/// An owner, its MAC address, and through which address of it.
pub type Held = (Owner, Option<Mac>, Option<IpAddr>);

/// What counts for one prefix in one domain.
pub(super) struct Counting {
    pub(super) kind: ClaimKind,
    pub(super) shared: bool,
    pub(super) announced: bool,
    pub(super) network: NetworkName,
    pub(super) holders: Vec<Holder>,
}

/// One owner of it.
pub(super) struct Holder {
    pub(super) owner: Owner,
    pub(super) arriving: bool,
    /// As address, route or anycast, not as a mere authorisation.
    pub(super) wired: bool,
    pub(super) via: Option<IpAddr>,
    pub(super) mac: Option<Mac>,
}

const WIRED: [ClaimKind; 3] = [ClaimKind::Address, ClaimKind::Route, ClaimKind::Anycast];

impl Model {
    /// All that instances say of each NIC, the first first.
    pub(super) fn nics(&self) -> BTreeMap<&IfName, Vec<Teller<'_>>> {
        let mut nics: BTreeMap<&IfName, Vec<Teller<'_>>> = BTreeMap::new();
        for said in self.sources.values().flat_map(|s| s.said.values()) {
            let turn = said.turn;
            for nic in &said.instance.nics {
                let tellers = nics.entry(&nic.interface).or_default();
                if tellers.iter().all(|t| t.turn != turn) {
                    tellers.push(Teller { turn, nic });
                }
            }
        }
        for tellers in nics.values_mut() {
            tellers.sort_by_key(|t| t.turn);
        }
        nics
    }

    /// All that is said and may be used: of NICs by name, then of the host and of networks.
    pub(super) fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for (interface, tellers) in self.nics() {
            // The first says the network; who says another is not heard.
            let Some(network) = self.networks.get(&tellers[0].nic.network) else {
                continue;
            };
            let from = lines.len();
            for Teller { turn, nic } in tellers {
                for (prefix, kind) in every(nic) {
                    let gateway = network.gateway.iter().any(|g| Prefix::host(*g) == prefix);
                    if nic.network == network.name && network.allows(&prefix) && !gateway {
                        lines.push(Line {
                            key: (network.domain, Owner::Nic(interface.clone()), prefix),
                            turn,
                            nic: Some(nic),
                            kind,
                            network: &network.name,
                        });
                    }
                }
            }
            lines[from..].sort_by_key(|line| line.key.2);
        }
        for said in self.sources.values().flat_map(|s| s.said.values()) {
            let from = lines.len();
            for claim in &said.instance.claims {
                let Some(network) = self.networks.get(&claim.network) else {
                    continue;
                };
                let owner = match claim.by_network {
                    true => Owner::Network(claim.network.clone()),
                    false => Owner::Host,
                };
                if network.allows(&claim.prefix) {
                    lines.push(Line {
                        key: (network.domain, owner, claim.prefix),
                        turn: said.turn,
                        nic: None,
                        kind: claim.kind,
                        network: &network.name,
                    });
                }
            }
            lines[from..].sort_by(|a, b| a.key.cmp(&b.key));
        }
        lines
    }

    /// Every claim and the network it is in, whether it counts or not.
    pub fn claimed(&self) -> BTreeSet<(Domain, Prefix, NetworkName)> {
        let claims = self.claims().into_iter();
        claims
            .map(|claim| (claim.key.0, claim.key.2, claim.network.clone()))
            .collect()
    }

    /// Who holds what: the owner, its MAC address, and the way to it.
    pub fn holders(&self) -> BTreeMap<(Domain, Prefix), Vec<Held>> {
        let counting = self.counting().into_iter();
        let held = |h: Holder| (h.owner, h.mac, h.via);
        counting
            .map(|(id, c)| (id, c.holders.into_iter().map(held).collect()))
            .collect()
    }

    /// The claims by rank, in words.
    pub fn ranking(&self) -> Vec<String> {
        let claims = self.claims().into_iter();
        let words = claims.map(|claim| {
            let ((domain, owner, prefix), number) = (&claim.key, claim.number);
            let arriving = if claim.arriving { ", arriving" } else { "" };
            format!("claim {number}: {prefix} of {owner} in {domain}{arriving}")
        });
        words.collect()
    }

    /// Claims by rank: what is here before what is arriving, then the first first.
    fn claims(&self) -> Vec<Claim<'_>> {
        let nics = self.nics();
        let mut by_key: BTreeMap<ClaimKey, Vec<Line<'_>>> = BTreeMap::new();
        for line in self.lines() {
            by_key.entry(line.key.clone()).or_default().push(line);
        }
        let mut claims = Vec::new();
        for (key, lines) in by_key {
            let first = lines.iter().min_by_key(|line| line.turn);
            claims.push(Claim {
                arriving: matches!(&key.1, Owner::Nic(name) if is_arriving(&nics[name])),
                number: self.numbers[&key],
                kinds: lines.iter().map(|line| line.kind).collect(),
                network: first.map(|line| line.network).expect("a line"),
                key,
            });
        }
        claims.sort_by_key(|claim| (claim.arriving, claim.number));
        claims
    }

    /// What counts, by domain and prefix.
    pub(super) fn counting(&self) -> BTreeMap<(Domain, Prefix), Counting> {
        let mut kept: Vec<Claim<'_>> = Vec::new();
        for claim in self.claims() {
            if !kept.iter().any(|other| contend(&claim, other)) {
                kept.push(claim);
            }
        }
        let keeps: BTreeSet<ClaimKey> = kept.iter().map(|claim| claim.key.clone()).collect();
        // Of several holders the first comer comes first, arriving or not.
        kept.sort_by_key(|claim| claim.number);
        let nics = self.nics();
        let mut counting: BTreeMap<(Domain, Prefix), Counting> = BTreeMap::new();
        for claim in kept {
            let wired = WIRED.iter().any(|kind| claim.kinds.contains(kind));
            let mut holder = Holder {
                owner: claim.key.1.clone(),
                arriving: claim.arriving,
                wired,
                via: None,
                mac: None,
            };
            if let Owner::Nic(name) = &claim.key.1 {
                holder.mac = nics[name].iter().find_map(|t| t.nic.mac);
                if !claim.kinds.contains(&ClaimKind::Address) {
                    holder.via = way(&claim, &nics[name], &keeps);
                }
            }
            let kind = claim.kinds.iter().min().copied().expect("a kind");
            let shared = claim.kinds.iter().all(|kind| kind.may_be_shared());
            let entry = counting
                .entry((claim.key.0, claim.key.2))
                .or_insert(Counting {
                    kind,
                    shared,
                    announced: false,
                    network: claim.network.clone(),
                    holders: Vec::new(),
                });
            entry.kind = entry.kind.min(kind);
            entry.announced |= wired && !claim.arriving;
            entry.holders.push(holder);
        }
        counting
    }
}

/// The NIC's first host address of the family that counts.
fn way(claim: &Claim<'_>, tellers: &[Teller<'_>], keeps: &BTreeSet<ClaimKey>) -> Option<IpAddr> {
    let (domain, owner, prefix) = &claim.key;
    let heard = tellers.iter().filter(|t| t.nic.network == *claim.network);
    let mut addresses = heard.flat_map(|t| &t.nic.addresses);
    let address = addresses.find(|address| {
        address.is_host()
            && address.family() == prefix.family()
            && keeps.contains(&(*domain, owner.clone(), **address))
    });
    address.map(Prefix::addr)
}

fn every(nic: &Nic) -> Vec<(Prefix, ClaimKind)> {
    let mut all = Vec::new();
    all.extend(nic.addresses.iter().map(|p| (*p, ClaimKind::Address)));
    all.extend(nic.routes.iter().map(|p| (*p, ClaimKind::Route)));
    all.extend(nic.anycast.iter().map(|p| (*p, ClaimKind::Anycast)));
    let transparent = nic.transparent.iter().map(|t| Prefix::host(t.address));
    all.extend(transparent.map(|p| (p, ClaimKind::Transparent)));
    let guest = nic.guest_bgp.iter().flat_map(|g| &g.prefixes);
    all.extend(guest.map(|p| (*p, ClaimKind::GuestBgp)));
    all
}

/// A NIC arrives when nobody says that it is here.
fn is_arriving(tellers: &[Teller<'_>]) -> bool {
    tellers.iter().all(|t| t.nic.state == NicState::Arriving)
}

/// Whether two claims cannot both be had.
fn contend(a: &Claim<'_>, b: &Claim<'_>) -> bool {
    let ((a_domain, a_owner, a_prefix), (b_domain, b_owner, b_prefix)) = (&a.key, &b.key);
    if a_domain != b_domain || a_owner == b_owner || !a_prefix.overlaps(b_prefix) {
        return false;
    }
    if a_prefix == b_prefix {
        let shareable = |claim: &Claim<'_>| claim.kinds.iter().all(|kind| kind.may_be_shared());
        return !(shareable(a) && shareable(b) && a.network == b.network);
    }
    // A network's subnet holds the addresses of its NICs.
    let holds = |net: &Claim<'_>, nic: &Claim<'_>| {
        matches!((&net.key.1, &nic.key.1), (Owner::Network(n), Owner::Nic(_)) if n == nic.network)
            && net.key.2.contains(&nic.key.2)
    };
    !holds(a, b) && !holds(b, a)
}
