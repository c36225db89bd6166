//! What the intent can be asked. Answers are made when asked, from what is known.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use tapway_model::{
    Domain, IfName, InstanceName, Instant, Network, NetworkName, Owner, Prefix, SourceName,
};

use crate::claim::Claim;
use crate::{
    ClaimRef, Conflict, Coverage, Covering, Effective, InstanceView, Intent, MergedNic, Problem,
    SourceSummary, Standing,
};

impl Intent {
    /// The networks, by name.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    /// A network.
    pub fn network(&self, name: &NetworkName) -> Option<&Network> {
        self.networks.get(name)
    }

    /// The claim that counts for a prefix.
    pub fn effective(&self, domain: Domain, prefix: &Prefix) -> Option<Effective> {
        Some(self.with_staleness(self.tables.get(&domain)?.effective(prefix)?))
    }

    /// All claims that count, by domain and prefix.
    pub fn effective_all(&self) -> impl Iterator<Item = Effective> {
        let all = self.tables.values().flat_map(|table| table.effective_all());
        all.map(|effective| self.with_staleness(effective))
    }

    /// The claims that count and that the NIC behind this interface holds, by prefix.
    pub fn effective_of(&self, interface: &IfName) -> impl Iterator<Item = Effective> {
        let owner = Owner::Nic(interface.clone());
        let nic = self.nics.get(interface).into_iter();
        nic.flat_map(|nic| self.places(nic))
            .filter_map(|(domain, prefix)| self.effective(domain, &prefix))
            .filter(move |effective| effective.holders.iter().any(|holder| holder.owner == owner))
    }

    /// Claims that cannot all be had, by domain and kept claim.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts: BTreeMap<(Domain, Prefix, u64), Conflict> = BTreeMap::new();
        for (domain, table) in &self.tables {
            for ((prefix, claim), (kept_prefix, kept)) in table.refused() {
                let (Some(claim), Some(kept)) =
                    (claim.reference(prefix), kept.reference(kept_prefix))
                else {
                    continue;
                };
                let (domain, prefix) = (*domain, kept.prefix);
                let conflict = conflicts
                    .entry((domain, prefix, kept.order))
                    .or_insert_with(|| Conflict {
                        domain,
                        prefix,
                        kept,
                        refused: Vec::new(),
                    });
                conflict.refused.push(claim);
            }
        }
        let mut conflicts: Vec<Conflict> = conflicts.into_values().collect();
        for conflict in &mut conflicts {
            conflict.refused.sort_by_key(|claim| claim.order);
        }
        conflicts
    }

    /// What cannot be used of what the sources say.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let nics = self.nics.values().flat_map(|nic| &nic.problems);
        let entries = self
            .sources
            .values()
            .flat_map(|source| source.entries.values());
        nics.chain(entries.flat_map(|entry| &entry.problems))
    }

    /// The sources, by name.
    pub fn sources(&self, now: Instant) -> impl Iterator<Item = SourceSummary> {
        self.sources
            .iter()
            .map(move |(name, source)| source.summary(name, self.start, now))
    }

    /// All instances, by source and name.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView> {
        self.sources.iter().flat_map(|(name, source)| {
            source.entries.values().map(|entry| InstanceView {
                source: name.clone(),
                instance: entry.instance.clone(),
                stale: source.is_stale(entry),
            })
        })
    }

    /// One instance of one source.
    pub fn instance(&self, source: &SourceName, name: &InstanceName) -> Option<InstanceView> {
        let said = self.sources.get(source)?;
        let entry = said.entries.get(name)?;
        Some(InstanceView {
            source: source.clone(),
            instance: entry.instance.clone(),
            stale: said.is_stale(entry),
        })
    }

    /// What cannot be used of what one source says of one instance.
    pub fn problems_of(
        &self,
        source: &SourceName,
        name: &InstanceName,
    ) -> impl Iterator<Item = &Problem> {
        let entry = self.sources.get(source).and_then(|s| s.entries.get(name));
        let nics = entry.into_iter().flat_map(|entry| &entry.instance.nics);
        let merged = nics.filter_map(|nic| self.nics.get(&nic.interface));
        merged
            .flat_map(|nic| &nic.problems)
            .filter(move |p| p.source == *source && p.instance == *name)
            .chain(entry.into_iter().flat_map(|entry| &entry.problems))
    }

    /// Claims of one instance of one source that another was faster with, and that other.
    pub fn refused_of(
        &self,
        source: &SourceName,
        name: &InstanceName,
    ) -> Vec<(ClaimRef, ClaimRef)> {
        let entry = self.sources.get(source).and_then(|s| s.entries.get(name));
        let Some(entry) = entry else {
            return Vec::new();
        };
        let own = |claim: &ClaimRef| {
            claim
                .instances
                .iter()
                .any(|(s, i)| s == source && i == name)
        };
        let nics = entry.instance.nics.iter();
        let of_nics = nics.flat_map(|nic| {
            nic.addresses
                .iter()
                .chain(&nic.routes)
                .chain(&nic.anycast)
                .copied()
        });
        let prefixes = of_nics.chain(entry.instance.claims.iter().map(|claim| claim.prefix));
        let covering = prefixes.flat_map(|prefix| {
            let claims = self.covering(&prefix).claims;
            claims.into_iter().filter(move |c| c.claim.prefix == prefix)
        });
        covering
            .filter(|c| own(&c.claim))
            .filter_map(|c| match c.standing {
                Standing::Refused { by } => Some((c.claim, by)),
                Standing::Effective | Standing::Arriving { .. } => None,
            })
            .collect()
    }

    /// All NICs, by interface.
    pub fn nics(&self) -> impl Iterator<Item = &MergedNic> {
        self.nics.values().map(|nic| &*nic.merged)
    }

    /// The NIC behind an interface.
    pub fn nic(&self, interface: &IfName) -> Option<&MergedNic> {
        self.nics.get(interface).map(|nic| &*nic.merged)
    }

    /// Whether none of these has been repeated since its source died or since the start.
    pub fn is_stale(&self, instances: &[(SourceName, InstanceName)]) -> bool {
        instances.iter().all(|(name, instance)| {
            let source = self.sources.get(name);
            let entry = source.and_then(|s| Some((s, s.entries.get(instance)?)));
            entry.is_none_or(|(source, entry)| source.is_stale(entry))
        })
    }

    /// All that is claimed of a prefix (of an address: [`Prefix::host`]) in any domain.
    pub fn covering(&self, prefix: &Prefix) -> Coverage {
        let mut claims = Vec::new();
        for (domain, table) in &self.tables {
            for (at, claim) in table.covering(*prefix) {
                let keeper = || {
                    table
                        .keeper(at, claim)
                        .and_then(|(at, by)| by.reference(at))
                };
                if let (Some(standing), Some(claim)) =
                    (standing(claim, keeper), claim.reference(at))
                {
                    claims.push(Covering {
                        domain: *domain,
                        claim,
                        standing,
                    });
                }
            }
        }
        let covers = |problem: &&Problem| problem.prefixes.iter().any(|p| p.contains(prefix));
        Coverage {
            claims,
            unused: self.problems().filter(covers).cloned().collect(),
        }
    }

    fn with_staleness(&self, mut effective: Effective) -> Effective {
        for holder in &mut effective.holders {
            holder.stale = self.is_stale(&holder.instances);
        }
        effective
    }
}

fn standing(claim: &Claim, keeper: impl FnOnce() -> Option<crate::ClaimRef>) -> Option<Standing> {
    Some(match (claim.kept, claim.is_arriving()) {
        (true, _) => Standing::Effective,
        (false, true) => Standing::Arriving { behind: keeper()? },
        (false, false) => Standing::Refused { by: keeper()? },
    })
}
