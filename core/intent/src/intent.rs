//! The intent as one value: its life from restart to restart, sources, networks, time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_model::{
    Domain, IfName, Instance, InstanceName, Instant, Network, NetworkName, SourceName,
};

use crate::lines::{Networks, Teller};
use crate::order::Journal;
use crate::source::Source;
use crate::table::Table;
use crate::{
    Change, MergedNic, OrderKey, OrderRecord, Problem, Record, SourceConfig, SourceEvent,
    SourceState,
};

/// What the sources say, merged into one set of claims.
#[derive(Clone, Debug)]
pub struct Intent {
    pub(crate) start: Instant,
    pub(crate) networks: Networks,
    pub(crate) sources: BTreeMap<SourceName, Source>,
    pub(crate) nics: BTreeMap<IfName, NicEntry>,
    /// Never empty ones.
    pub(crate) tables: BTreeMap<Domain, Table>,
    /// Tables that are not settled.
    pub(crate) dirty: BTreeSet<Domain>,
    /// NICs of which the first address that counts may be another.
    pub(crate) unsettled: BTreeSet<IfName>,
    pub(crate) journal: Journal,
    pub(crate) changes: BTreeSet<Change>,
}

/// A NIC of which at least one instance speaks.
#[derive(Clone, Debug)]
pub(crate) struct NicEntry {
    /// By order number.
    pub(crate) tellers: Vec<Teller>,
    pub(crate) merged: Arc<MergedNic>,
    pub(crate) problems: Vec<Problem>,
    /// Whether it claims more than addresses, which is reached through one of them.
    pub(crate) routes: bool,
}

impl Intent {
    /// An intent of nobody, with the network `default`, at the start of the process.
    pub fn new(start: Instant) -> Self {
        let mut intent = Intent {
            start,
            networks: Networks::new(),
            sources: BTreeMap::new(),
            nics: BTreeMap::new(),
            tables: BTreeMap::new(),
            dirty: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            journal: Journal::default(),
            changes: BTreeSet::new(),
        };
        intent.networks = with_default(Vec::new());
        intent
    }

    /// Sets all networks. `default` is there even when it is not in the list. What is in a network
    /// that changed is looked at again; claims of a network that is not there become problems and
    /// come back with the network.
    pub fn set_networks(&mut self, networks: Vec<Network>) {
        let networks = with_default(networks);
        let names: BTreeSet<&NetworkName> = self.networks.keys().chain(networks.keys()).collect();
        let changed: BTreeSet<NetworkName> = names
            .into_iter()
            .filter(|name| self.networks.get(*name) != networks.get(*name))
            .cloned()
            .collect();
        if !changed.is_empty() {
            self.changes.insert(Change::Networks);
            self.replace_networks(networks, &changed);
            self.settle();
        }
    }

    /// Enables a source, or changes how it is treated. Events of others are ignored.
    pub fn set_source(&mut self, source: SourceName, config: SourceConfig) {
        let known = self
            .sources
            .entry(source)
            .or_insert_with(|| Source::new(SourceState::Waiting));
        if known.config.is_none() {
            known.state = SourceState::Waiting;
        }
        known.config = Some(config);
    }

    /// Disables a source. What it said is kept as stale until [`Intent::forget`].
    pub fn remove_source(&mut self, now: Instant, source: &SourceName) {
        let Some(known) = self.sources.get_mut(source) else {
            return;
        };
        known.die(now, NOT_CONFIGURED.to_string());
        known.config = None;
        if known.entries.is_empty() {
            self.sources.remove(source);
        }
    }

    /// Loads the persisted order. Call it once, before [`Intent::restore`].
    pub fn restore_order(&mut self, records: Vec<OrderRecord>) {
        self.journal.restore(records);
    }

    /// Loads what a source said before the restart: effective at once, stale until it is put again.
    /// What the source has said since the start is newer and stays.
    pub fn restore(&mut self, source: SourceName, instance: Arc<Instance>) {
        let since = self.start;
        let dead = || SourceState::Dead {
            reason: NOT_CONFIGURED.to_string(),
            since,
        };
        let known = self
            .sources
            .entry(source.clone())
            .or_insert_with(|| Source::new(dead()));
        if !known.entries.contains_key(&instance.name) {
            self.journal.restoring = true;
            self.put(&source, instance, false);
            self.journal.restoring = false;
            self.settle();
        }
    }

    /// Takes in what a source says.
    pub fn handle_source(&mut self, now: Instant, source: &SourceName, event: SourceEvent) {
        self.handle_timeout(now);
        let Some(known) = self.sources.get_mut(source) else {
            return;
        };
        if known.config.is_none() {
            return;
        }
        match event {
            SourceEvent::Begin => known.begin(),
            SourceEvent::Dead(reason) => known.die(now, reason),
            SourceEvent::Gone(name) => {
                known.alive();
                self.remove(source, &[name]);
            }
            SourceEvent::Complete => {
                let gone = known.complete(now);
                self.remove(source, &gone);
            }
            SourceEvent::Put(instance) => {
                known.alive();
                let same = known
                    .entries
                    .get(&instance.name)
                    .is_some_and(|e| e.instance == instance);
                if same {
                    known.mark(&instance.name);
                } else {
                    self.journal
                        .write(Record::Put(source.clone(), instance.clone()));
                    self.put(source, instance, true);
                    self.settle();
                }
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let start = self.start;
        let mut due = Vec::new();
        for (name, source) in &mut self.sources {
            if !source.grace_over && source.deadline(start).is_some_and(|end| end <= now) {
                due.push((name.clone(), source.end_grace()));
            }
        }
        if due.is_empty() {
            return;
        }
        for (source, gone) in &due {
            self.remove(source, gone);
        }
        if self.settled(now) {
            self.journal.forget_restored();
        }
    }

    /// When [`Intent::handle_timeout`] has something to do, and [`Intent::settled`] may turn true.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.sources.values().filter(|source| !source.grace_over);
        waiting
            .filter_map(|source| source.deadline(self.start))
            .min()
    }

    /// The operator drops what a source said and has not repeated: everything of a dead or silent
    /// source, the leftovers of one that lives.
    pub fn forget(&mut self, now: Instant, source: &SourceName) {
        self.handle_timeout(now);
        let Some(known) = self.sources.get(source) else {
            return;
        };
        let enabled = known.config.is_some();
        let gone = if enabled {
            known.stale()
        } else {
            known.entries.keys().cloned().collect()
        };
        self.remove(source, &gone);
        if !enabled {
            self.sources.remove(source);
        }
    }

    /// The next thing to look at again; each at most once until polled.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_first()
    }

    /// The next thing to persist, in the order in which it must be written.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.journal.poll()
    }

    /// Whether the grace of every source is over: leftovers of those that said all are pruned,
    /// End-of-RIB may be sent.
    pub fn settled(&self, now: Instant) -> bool {
        self.sources
            .values()
            .filter_map(|source| source.deadline(self.start))
            .all(|end| end <= now)
    }

    /// `said`: just now, not in the last run.
    fn put(&mut self, source: &SourceName, instance: Arc<Instance>, said: bool) {
        let Some(known) = self.sources.get_mut(source) else {
            return;
        };
        let journal = &mut self.journal;
        let (old, seq) = known.put(instance.clone(), said, || {
            let restored = journal.restored(|| instance_key(source, &instance.name));
            (
                restored.unwrap_or_else(|| journal.fresh()),
                restored.is_some(),
            )
        });
        self.replace_instance(source, seq, old.as_deref(), &instance);
    }

    fn remove(&mut self, source: &SourceName, names: &[InstanceName]) {
        for name in names {
            let Some(known) = self.sources.get_mut(source) else {
                return;
            };
            let Some(entry) = known.entries.remove(name) else {
                continue;
            };
            self.journal
                .write(Record::Gone(source.clone(), name.clone()));
            if entry.recorded {
                self.journal
                    .write(Record::OrderGone(instance_key(source, name)));
            }
            self.remove_instance(source, &entry);
        }
        self.settle();
    }
}

const NOT_CONFIGURED: &str =
    "not configured; enable it, or drop what it said with `tapway source forget`";

pub(crate) fn instance_key(source: &SourceName, instance: &InstanceName) -> OrderKey {
    OrderKey::Instance {
        source: source.clone(),
        instance: instance.clone(),
    }
}

fn with_default(networks: Vec<Network>) -> Networks {
    let mut all: Networks = networks.into_iter().map(|n| (n.name.clone(), n)).collect();
    if let Ok(name) = NetworkName::new("default") {
        all.entry(name.clone())
            .or_insert_with(|| Network::with_defaults(name));
    }
    all
}
