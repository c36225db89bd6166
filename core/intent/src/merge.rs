//! How one instance, or one set of networks, takes the place of another: only what either touches is
//! looked at.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::{
    ClaimKind, Domain, Family, IfName, Instance, InstanceName, NetworkName, Owner, Prefix,
    SourceName,
};

use crate::claim::Told;
use crate::intent::{Intent, NicEntry, instance_key};
use crate::lines::{self, Networks, OwnLine, Teller};
use crate::source::Entry;
use crate::table::Table;
use crate::{Change, Kinds, MergedNic, OrderRecord, Record};

/// Where something is claimed; sorted, each once.
type Places = Vec<(Domain, Prefix)>;

impl Intent {
    /// `new` is an entry of `source` with the order number `seq` and takes the place of `old`.
    pub(crate) fn replace_instance(
        &mut self,
        source: &SourceName,
        seq: u64,
        old: Option<&Instance>,
        new: &Arc<Instance>,
    ) {
        for interface in interfaces(old.into_iter().chain([&**new])) {
            let index = new.nics.iter().position(|nic| nic.interface == *interface);
            let teller = index.map(|index| {
                let (source, instance) = (source.clone(), new.clone());
                Teller {
                    seq,
                    source,
                    instance,
                    index,
                }
            });
            self.replace_teller(interface, source, &new.name, teller);
        }
        if old.is_some_and(|old| !old.claims.is_empty()) || !new.claims.is_empty() {
            let before = old.map(|old| lines::own(&self.networks, source, seq, old));
            self.replace_own(source, &new.name, before.unwrap_or_default());
        }
    }

    /// `entry` is no longer one of `source`.
    pub(crate) fn remove_instance(&mut self, source: &SourceName, entry: &Entry) {
        let name = &entry.instance.name;
        for interface in interfaces([&*entry.instance]) {
            self.replace_teller(interface, source, name, None);
        }
        let own = lines::own(&self.networks, source, entry.seq, &entry.instance);
        self.apply_own(source, name, own, Vec::new());
        if !entry.problems.is_empty() {
            self.changes.insert(Change::Report);
        }
    }

    /// `networks` take the place of those before; `changed` are those that differ.
    pub(crate) fn replace_networks(&mut self, networks: Networks, changed: &BTreeSet<NetworkName>) {
        let in_changed = |nic: &NicEntry| changed.contains(&nic.merged.network);
        let nics: Vec<(IfName, Places)> = (self.nics.iter())
            .filter(|(_, nic)| in_changed(nic))
            .map(|(interface, nic)| (interface.clone(), self.places(nic)))
            .collect();
        let mut own: Vec<(SourceName, InstanceName, Vec<OwnLine>)> = Vec::new();
        for (source, known) in &self.sources {
            for (name, entry) in &known.entries {
                if entry
                    .instance
                    .claims
                    .iter()
                    .any(|claim| changed.contains(&claim.network))
                {
                    let lines = lines::own(&self.networks, source, entry.seq, &entry.instance);
                    own.push((source.clone(), name.clone(), lines));
                }
            }
        }
        self.networks = networks;
        for (interface, before) in nics {
            self.look_again(&before);
            let after = self.refresh_nic(&interface, &before);
            self.look_again(&after);
            self.changes.insert(Change::Nic(interface));
        }
        for (source, name, before) in own {
            self.look_again(&places_of(&before));
            let after = self.replace_own(&source, &name, before);
            self.look_again(&after);
        }
    }

    /// Decides what counts after all was said, and says what is to be looked at again.
    pub(crate) fn settle(&mut self) {
        for domain in &self.dirty {
            if let Some(table) = self.tables.get_mut(domain) {
                self.unsettled.extend(table.settle());
            }
        }
        for interface in core::mem::take(&mut self.unsettled) {
            self.set_via(&interface);
        }
        for domain in core::mem::take(&mut self.dirty) {
            let Some(table) = self.tables.get_mut(&domain) else {
                continue;
            };
            let changed = table.changed();
            let prefixes = changed.prefixes.into_iter();
            self.changes
                .extend(prefixes.map(|prefix| Change::Prefix(domain, prefix)));
            if changed.report {
                self.changes.insert(Change::Report);
            }
            if table.is_empty() {
                self.tables.remove(&domain);
            }
        }
    }

    fn look_again(&mut self, places: &[(Domain, Prefix)]) {
        self.changes.extend(
            places
                .iter()
                .map(|(domain, prefix)| Change::Prefix(*domain, *prefix)),
        );
    }

    /// The one of `source` and `name` that speaks of a NIC is `teller` now.
    fn replace_teller(
        &mut self,
        interface: &IfName,
        source: &SourceName,
        name: &InstanceName,
        teller: Option<Teller>,
    ) {
        let Some(nic) = self.nics.get_mut(interface) else {
            self.add_nic(interface, teller);
            return;
        };
        let before = places(&self.networks, nic);
        nic.tellers
            .retain(|t| t.source != *source || t.instance.name != *name);
        if let Some(teller) = teller {
            let at = nic.tellers.partition_point(|t| t.seq < teller.seq);
            nic.tellers.insert(at, teller);
        }
        if nic.tellers.len() > 1 {
            let tellers = nic.tellers.iter();
            let shared = tellers
                .map(|t| (t.source.clone(), t.instance.name.clone()))
                .collect();
            self.record_order(shared);
        }
        self.refresh_nic(interface, &before);
    }

    fn add_nic(&mut self, interface: &IfName, teller: Option<Teller>) {
        let tellers: Vec<Teller> = teller.into_iter().collect();
        let Some(merged) = lines::merge(&self.networks, &tellers) else {
            return;
        };
        let merged = Arc::new(merged);
        let nic = NicEntry {
            tellers,
            merged,
            problems: Vec::new(),
            routes: false,
        };
        self.nics.insert(interface.clone(), nic);
        self.changes.insert(Change::Nic(interface.clone()));
        self.refresh_nic(interface, &[]);
    }

    /// Merges a NIC anew after its tellers or its network changed. `before` is where it claimed
    /// something before that. Gives where it does now.
    fn refresh_nic(&mut self, interface: &IfName, before: &[(Domain, Prefix)]) -> Places {
        let Some(nic) = self.nics.get_mut(interface) else {
            return Places::new();
        };
        let owner = Owner::Nic(interface.clone());
        let problems = lines::nic_problems(&self.networks, &nic.tellers);
        if nic.problems != problems {
            nic.problems = problems;
            self.changes.insert(Change::Report);
        }
        let merged = lines::merge(&self.networks, &nic.tellers);
        if merged.as_ref() != Some(&*nic.merged) {
            self.changes.insert(Change::Nic(interface.clone()));
        }
        let Some(merged) = merged else {
            self.nics.remove(interface);
            for (domain, prefix) in before {
                self.tell(*domain, *prefix, &owner, Vec::new(), None);
            }
            return Places::new();
        };
        if merged != *nic.merged {
            nic.merged = Arc::new(merged);
        }
        let merged = nic.merged.clone();
        let after = places(&self.networks, nic);
        let lines = lines::of_nic(&self.networks, &nic.tellers);
        nic.routes = lines
            .iter()
            .any(|(_, told)| told.kinds != Kinds::of(ClaimKind::Address));
        if nic.routes {
            self.unsettled.insert(interface.clone());
        }
        for (domain, prefix) in before {
            if after.binary_search(&(*domain, *prefix)).is_err() {
                self.tell(*domain, *prefix, &owner, Vec::new(), None);
            }
        }
        let mut lines = lines.into_iter().peekable();
        for (domain, prefix) in &after {
            let mut told = Vec::with_capacity(1);
            while let Some((_, line)) = lines.next_if(|(of, _)| of == prefix) {
                told.push(line);
            }
            self.tell(*domain, *prefix, &owner, told, Some(&merged));
        }
        after
    }

    /// Sets through which address a NIC is reached: its first of the family that counts.
    fn set_via(&mut self, interface: &IfName) {
        let Some(nic) = self.nics.get(interface).filter(|nic| nic.routes) else {
            return;
        };
        let Some(domain) = nic.merged.domain else {
            return;
        };
        let Some(table) = self.tables.get_mut(&domain) else {
            return;
        };
        let owner = Owner::Nic(interface.clone());
        let via = Family::ALL.map(|family| {
            lines::addresses(&self.networks, &nic.tellers)
                .find(|prefix| prefix.family() == family && table.keeps(prefix, &owner))
                .map(|prefix| prefix.addr())
        });
        for (domain, prefix) in places(&self.networks, nic) {
            let via: Option<IpAddr> = via[prefix.family() as usize];
            table.set_via(prefix, &owner, via);
            self.dirty.insert(domain);
        }
    }

    /// What an instance says for the host and for networks takes the place of `before`. Gives where
    /// it claims something now.
    fn replace_own(
        &mut self,
        source: &SourceName,
        name: &InstanceName,
        before: Vec<OwnLine>,
    ) -> Places {
        let known = self
            .sources
            .get_mut(source)
            .and_then(|s| s.entries.get_mut(name));
        let Some(entry) = known else {
            return Places::new();
        };
        let after = lines::own(&self.networks, source, entry.seq, &entry.instance);
        let problems = lines::own_problems(&self.networks, source, &entry.instance);
        if entry.problems != problems {
            entry.problems = problems;
            self.changes.insert(Change::Report);
        }
        let places = places_of(&after);
        self.apply_own(source, name, before, after);
        places
    }

    fn apply_own(
        &mut self,
        source: &SourceName,
        name: &InstanceName,
        before: Vec<OwnLine>,
        after: Vec<OwnLine>,
    ) {
        for OwnLine {
            domain,
            owner,
            prefix,
            ..
        } in before
        {
            let key = (domain, &owner, prefix);
            if after.binary_search_by(|line| line.key().cmp(&key)).is_err() {
                let told = self.told_by_others(domain, &owner, prefix, source, name);
                self.tell(domain, prefix, &owner, told, None);
            }
        }
        for OwnLine {
            domain,
            owner,
            prefix,
            told: line,
        } in after
        {
            let mut told = self.told_by_others(domain, &owner, prefix, source, name);
            told.insert(told.partition_point(|other| other.seq < line.seq), line);
            if told.len() > 1 {
                let shared = told
                    .iter()
                    .map(|t| (t.source.clone(), t.instance.clone()))
                    .collect();
                self.record_order(shared);
            }
            self.tell(domain, prefix, &owner, told, None);
        }
    }

    fn told_by_others(
        &self,
        domain: Domain,
        owner: &Owner,
        prefix: Prefix,
        source: &SourceName,
        name: &InstanceName,
    ) -> Vec<Told> {
        let Some(table) = self.tables.get(&domain) else {
            return Vec::new();
        };
        let others = table.told(&prefix, owner).iter();
        others
            .filter(|t| t.source != *source || t.instance != *name)
            .cloned()
            .collect()
    }

    /// Makes the order of instances that speak of the same thing survive a restart.
    fn record_order(&mut self, instances: Vec<(SourceName, InstanceName)>) {
        for (source, name) in instances {
            let known = self
                .sources
                .get_mut(&source)
                .and_then(|s| s.entries.get_mut(&name));
            if let Some(entry) = known
                && !entry.recorded
            {
                entry.recorded = true;
                let record = OrderRecord {
                    key: instance_key(&source, &name),
                    number: entry.seq,
                };
                self.journal.write(Record::Order(record));
            }
        }
    }

    fn tell(
        &mut self,
        domain: Domain,
        prefix: Prefix,
        owner: &Owner,
        told: Vec<Told>,
        nic: Option<&Arc<MergedNic>>,
    ) {
        let table = self
            .tables
            .entry(domain)
            .or_insert_with(|| Table::new(domain));
        table.tell(&mut self.journal, prefix, owner, told, nic);
        self.dirty.insert(domain);
    }

    /// Where a NIC claims something.
    pub(crate) fn places(&self, nic: &NicEntry) -> Places {
        places(&self.networks, nic)
    }
}

fn places(networks: &Networks, nic: &NicEntry) -> Places {
    let Some(domain) = nic.merged.domain else {
        return Places::new();
    };
    let prefixes = lines::prefixes(networks, &nic.tellers);
    let mut places: Places = prefixes.map(|prefix| (domain, prefix)).collect();
    places.sort();
    places.dedup();
    places
}

fn places_of(lines: &[OwnLine]) -> Places {
    lines
        .iter()
        .map(|line| (line.domain, line.prefix))
        .collect()
}

/// The interfaces that instances name, each once.
fn interfaces<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Vec<&'a IfName> {
    let nics = instances.into_iter().flat_map(|instance| &instance.nics);
    let mut interfaces: Vec<&IfName> = nics.map(|nic| &nic.interface).collect();
    interfaces.sort();
    interfaces.dedup();
    interfaces
}
