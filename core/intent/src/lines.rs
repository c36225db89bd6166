//! What instances claim, line by line, under the networks as configured; and what cannot be used.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_model::{
    ClaimKind, Domain, Instance, Mac, Network, NetworkName, Nic, NicState, Owner, Prefix,
    SourceName, Tag,
};

use crate::claim::Told;
use crate::{Kinds, MergedNic, Problem, ProblemReason};

pub(crate) type Networks = BTreeMap<NetworkName, Network>;

/// One instance that speaks of a NIC.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    /// The instance's order number.
    pub(crate) seq: u64,
    pub(crate) source: SourceName,
    pub(crate) instance: Arc<Instance>,
    /// Which of its NICs it is; a later one of the same interface is not used.
    pub(crate) index: usize,
}

impl Teller {
    pub(crate) fn nic(&self) -> Option<&Nic> {
        self.instance.nics.get(self.index)
    }

    fn problem(&self, prefixes: Vec<Prefix>, reason: ProblemReason) -> Problem {
        let interface = self.nic().map(|nic| nic.interface.clone());
        Problem {
            source: self.source.clone(),
            instance: self.instance.name.clone(),
            interface,
            prefixes,
            reason,
        }
    }
}

/// What several say of one NIC, merged. Absent when nobody speaks of it.
pub(crate) fn merge(networks: &Networks, tellers: &[Teller]) -> Option<MergedNic> {
    let nics = || tellers.iter().filter_map(Teller::nic);
    let first = nics().next()?;
    let state = if nics().any(|nic| nic.state == NicState::Leaving) {
        NicState::Leaving
    } else if nics().any(|nic| nic.state == NicState::Running) {
        NicState::Running
    } else {
        NicState::Arriving
    };
    let mut tags: Vec<Tag> = nics().flat_map(|nic| nic.tags.iter().cloned()).collect();
    tags.sort();
    tags.dedup();
    Some(MergedNic {
        interface: first.interface.clone(),
        mac: nics().find_map(|nic| nic.mac),
        network: first.network.clone(),
        domain: networks.get(&first.network).map(|network| network.domain),
        state,
        tags,
        instances: tellers
            .iter()
            .map(|t| (t.source.clone(), t.instance.name.clone()))
            .collect(),
    })
}

/// What a NIC claims: by prefix, and for each prefix by order number of who says so.
pub(crate) fn of_nic(networks: &Networks, tellers: &[Teller]) -> Vec<(Prefix, Told)> {
    let mut lines = Vec::new();
    for (teller, nic, network) in usable(networks, tellers) {
        let told = |kind| Told {
            seq: teller.seq,
            source: teller.source.clone(),
            instance: teller.instance.name.clone(),
            kinds: Kinds::of(kind),
            network: network.name.clone(),
            next_hop: None,
        };
        lines.extend(allowed(nic, network).map(|(prefix, kind)| (prefix, told(kind))));
    }
    lines.sort_by_key(|(prefix, told)| (*prefix, told.seq));
    lines.dedup_by(|(prefix, told), (kept_prefix, kept)| {
        let same = prefix == kept_prefix && told.seq == kept.seq;
        if same {
            kept.kinds = kept.kinds.union(told.kinds);
        }
        same
    });
    lines
}

/// The prefixes that a NIC claims, in the order they are said; some more than once.
pub(crate) fn prefixes<'a>(
    networks: &'a Networks,
    tellers: &'a [Teller],
) -> impl Iterator<Item = Prefix> + 'a {
    usable(networks, tellers)
        .flat_map(|(_, nic, network)| allowed(nic, network).map(|(prefix, _)| prefix))
}

/// The NIC's own host addresses that may be used, in the order they are said.
pub(crate) fn addresses<'a>(
    networks: &'a Networks,
    tellers: &'a [Teller],
) -> impl Iterator<Item = Prefix> + 'a {
    usable(networks, tellers).flat_map(|(_, nic, network)| {
        allowed(nic, network)
            .filter(|(prefix, kind)| *kind == ClaimKind::Address && prefix.is_host())
            .map(|(prefix, _)| prefix)
    })
}

/// Those whose claims can be used: they agree with the first on the network, and it is configured.
fn usable<'a>(
    networks: &'a Networks,
    tellers: &'a [Teller],
) -> impl Iterator<Item = (&'a Teller, &'a Nic, &'a Network)> {
    let first = tellers.iter().find_map(Teller::nic);
    let network = first.and_then(|nic| networks.get(&nic.network));
    tellers.iter().filter_map(move |teller| {
        let (nic, network) = (teller.nic()?, network?);
        (nic.network == network.name).then_some((teller, nic, network))
    })
}

/// What cannot be used of what is said of a NIC.
pub(crate) fn nic_problems(networks: &Networks, tellers: &[Teller]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some((first, kept)) = tellers.iter().find_map(|t| Some((t, t.nic()?))) else {
        return problems;
    };
    let name = |teller: &Teller| (teller.source.clone(), teller.instance.name.clone());
    let mut mac: Option<(&Teller, Mac)> = None;
    for (teller, nic) in tellers.iter().filter_map(|t| Some((t, t.nic()?))) {
        match (mac, nic.mac) {
            (Some((by, kept)), Some(said)) if said != kept => {
                let reason = ProblemReason::Mac {
                    said,
                    kept,
                    by: name(by),
                };
                problems.push(teller.problem(Vec::new(), reason));
            }
            (None, Some(said)) => mac = Some((teller, said)),
            _ => {}
        }
        let all = || claims(nic).map(|(prefix, _)| prefix).collect::<Vec<_>>();
        if nic.network != kept.network {
            let (said, kept) = (nic.network.clone(), kept.network.clone());
            let reason = ProblemReason::Network {
                said,
                kept,
                by: name(first),
            };
            problems.push(teller.problem(all(), reason));
        } else if let Some(network) = networks.get(&nic.network) {
            let refused = claims(nic)
                .filter_map(|(prefix, _)| Some((prefix, refusal(network, &prefix, None)?)));
            let grouped = group(refused).into_iter();
            problems.extend(grouped.map(|(reason, prefixes)| teller.problem(prefixes, reason)));
        } else {
            let reason = ProblemReason::UnknownNetwork(nic.network.clone());
            problems.push(teller.problem(all(), reason));
        }
        for twice in teller.instance.nics.iter().skip(teller.index + 1) {
            if twice.interface == nic.interface {
                let prefixes = claims(twice).map(|(prefix, _)| prefix).collect();
                problems.push(teller.problem(prefixes, ProblemReason::Twice));
            }
        }
    }
    problems
}

/// A claim that no NIC owns.
#[derive(Debug)]
pub(crate) struct OwnLine {
    pub(crate) domain: Domain,
    pub(crate) owner: Owner,
    pub(crate) prefix: Prefix,
    pub(crate) told: Told,
}

/// What an instance claims for the host and for networks, by domain, owner and prefix.
pub(crate) fn own(
    networks: &Networks,
    source: &SourceName,
    seq: u64,
    instance: &Instance,
) -> Vec<OwnLine> {
    let mut lines: Vec<OwnLine> = Vec::with_capacity(instance.claims.len());
    for claim in &instance.claims {
        let Some(network) = networks.get(&claim.network) else {
            continue;
        };
        if refusal(network, &claim.prefix, Some(claim.kind)).is_some() {
            continue;
        }
        let owner = if claim.by_network {
            Owner::Network(network.name.clone())
        } else {
            Owner::Host
        };
        let told = Told {
            seq,
            source: source.clone(),
            instance: instance.name.clone(),
            kinds: Kinds::of(claim.kind),
            network: network.name.clone(),
            next_hop: claim.next_hop,
        };
        lines.push(OwnLine {
            domain: network.domain,
            owner,
            prefix: claim.prefix,
            told,
        });
    }
    lines.sort_by(|a, b| a.key().cmp(&b.key()));
    lines.dedup_by(|line, kept| {
        let same = line.key() == kept.key();
        if same {
            kept.told.kinds = kept.told.kinds.union(line.told.kinds);
            kept.told.next_hop = kept.told.next_hop.or(line.told.next_hop);
        }
        same
    });
    lines
}

impl OwnLine {
    pub(crate) fn key(&self) -> (Domain, &Owner, Prefix) {
        (self.domain, &self.owner, self.prefix)
    }
}

/// What cannot be used of what an instance claims for the host and for networks.
pub(crate) fn own_problems(
    networks: &Networks,
    source: &SourceName,
    instance: &Instance,
) -> Vec<Problem> {
    let refused = instance.claims.iter().filter_map(|claim| {
        let reason = match networks.get(&claim.network) {
            None => ProblemReason::UnknownNetwork(claim.network.clone()),
            Some(network) => refusal(network, &claim.prefix, Some(claim.kind))?,
        };
        Some((claim.prefix, reason))
    });
    let problem = |(reason, prefixes)| Problem {
        source: source.clone(),
        instance: instance.name.clone(),
        interface: None,
        prefixes,
        reason,
    };
    group(refused).into_iter().map(problem).collect()
}

/// All that a NIC claims, in the order it is said.
fn claims(nic: &Nic) -> impl Iterator<Item = (Prefix, ClaimKind)> + '_ {
    fn of(prefixes: &[Prefix], kind: ClaimKind) -> impl Iterator<Item = (Prefix, ClaimKind)> + '_ {
        prefixes.iter().map(move |prefix| (*prefix, kind))
    }
    let guest: &[Prefix] = nic.guest_bgp.as_ref().map_or(&[], |guest| &guest.prefixes);
    of(&nic.addresses, ClaimKind::Address)
        .chain(of(&nic.routes, ClaimKind::Route))
        .chain(of(&nic.anycast, ClaimKind::Anycast))
        .chain(
            nic.transparent
                .iter()
                .map(|t| (Prefix::host(t.address), ClaimKind::Transparent)),
        )
        .chain(of(guest, ClaimKind::GuestBgp))
}

/// What a NIC claims and may be used.
fn allowed<'a>(
    nic: &'a Nic,
    network: &'a Network,
) -> impl Iterator<Item = (Prefix, ClaimKind)> + 'a {
    claims(nic).filter(|(prefix, _)| refusal(network, prefix, None).is_none())
}

/// Why a claim in `network` cannot be used. `own` is the kind of a claim that no NIC owns.
fn refusal(network: &Network, prefix: &Prefix, own: Option<ClaimKind>) -> Option<ProblemReason> {
    let addr = prefix.addr();
    // A router may offer itself as the way to everything; a guest may not.
    let offers_default = own == Some(ClaimKind::Route) && prefix.len() == 0;
    let unicast = !addr.is_multicast() && !addr.is_loopback() && !addr.is_unspecified();
    if !unicast && !offers_default {
        return Some(ProblemReason::NotUnicast);
    }
    let name = || network.name.clone();
    if own.is_none() && prefix.is_host() && network.gateway.contains(&addr) {
        return Some(ProblemReason::Gateway {
            network: name(),
            address: addr,
        });
    }
    if !network.allows(prefix) {
        return Some(ProblemReason::NotAllowed {
            network: name(),
            allow: network.allow.clone(),
        });
    }
    None
}

/// The prefixes that are refused for the same reason, together.
fn group(
    refused: impl Iterator<Item = (Prefix, ProblemReason)>,
) -> Vec<(ProblemReason, Vec<Prefix>)> {
    let mut groups: Vec<(ProblemReason, Vec<Prefix>)> = Vec::new();
    for (prefix, reason) in refused {
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, prefixes)) => prefixes.push(prefix),
            None => groups.push((reason, Vec::from([prefix]))),
        }
    }
    for (_, prefixes) in &mut groups {
        prefixes.sort();
        prefixes.dedup();
    }
    groups
}
