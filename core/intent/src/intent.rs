//! The intent as one value.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tapway_model::{Domain, IfName, Instance, Instant, Network, NetworkName, Prefix, SourceName};

use crate::{
    Change, Conflict, Coverage, Effective, InstanceView, MergedNic, OrderRecord, Problem, Record,
    SourceConfig, SourceEvent, SourceSummary,
};

/// What the sources say, merged into one set of claims.
#[derive(Debug)]
pub struct Intent {
    start: Instant,
    networks: BTreeMap<NetworkName, Network>,
    changes: BTreeSet<Change>,
    records: VecDeque<Record>,
}

impl Intent {
    /// An intent of nobody, with the network `default`, at the start of the process.
    pub fn new(start: Instant) -> Self {
        Intent {
            start,
            networks: BTreeMap::new(),
            changes: BTreeSet::new(),
            records: VecDeque::new(),
        }
    }

    /// Sets all networks. `default` is there even when it is not in the list.
    pub fn set_networks(&mut self, networks: Vec<Network>) {
        self.networks = networks.into_iter().map(|n| (n.name.clone(), n)).collect();
    }

    /// Enables a source, or changes how it is treated. Events of others are ignored.
    pub fn set_source(&mut self, _source: SourceName, _config: SourceConfig) {}

    /// Disables a source. What it said is kept as stale until [`Intent::forget`].
    pub fn remove_source(&mut self, _now: Instant, _source: &SourceName) {}

    /// Loads the persisted order. Call it before [`Intent::restore`].
    pub fn restore_order(&mut self, _records: Vec<OrderRecord>) {}

    /// Loads what a source said before the restart: effective at once, stale until it is put again.
    pub fn restore(&mut self, _source: SourceName, _instance: Arc<Instance>) {}

    /// Takes in what a source says.
    pub fn handle_source(&mut self, now: Instant, _source: &SourceName, _event: SourceEvent) {
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Intent::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The operator drops what a source said and has not repeated.
    pub fn forget(&mut self, now: Instant, _source: &SourceName) {
        self.handle_timeout(now);
    }

    /// The next thing to look at again; each at most once until polled.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_first()
    }

    /// The next thing to persist, in the order in which it must be written.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// Whether the grace of every source is over: leftovers are pruned, End-of-RIB may be sent.
    pub fn settled(&self, now: Instant) -> bool {
        now >= self.start
    }

    /// The networks, by name.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    /// A network.
    pub fn network(&self, name: &NetworkName) -> Option<&Network> {
        self.networks.get(name)
    }

    /// The claim that counts for a prefix.
    pub fn effective(&self, _domain: Domain, _prefix: &Prefix) -> Option<Effective> {
        None
    }

    /// All claims that count, by domain and prefix.
    pub fn effective_all(&self) -> impl Iterator<Item = Effective> {
        core::iter::empty()
    }

    /// The claims that count and that the NIC behind this interface holds, by prefix.
    pub fn effective_of(&self, _interface: &IfName) -> impl Iterator<Item = Effective> {
        core::iter::empty()
    }

    /// Claims that cannot all be had, by domain and kept prefix.
    pub fn conflicts(&self) -> Vec<Conflict> {
        Vec::new()
    }

    /// What cannot be used of what the sources say.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        core::iter::empty()
    }

    /// The sources, by name.
    pub fn sources(&self, _now: Instant) -> impl Iterator<Item = SourceSummary> {
        core::iter::empty()
    }

    /// All instances, by source and name.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView> {
        core::iter::empty()
    }

    /// All NICs, by interface.
    pub fn nics(&self) -> impl Iterator<Item = &MergedNic> {
        core::iter::empty()
    }

    /// The NIC behind an interface.
    pub fn nic(&self, _interface: &IfName) -> Option<&MergedNic> {
        None
    }

    /// All that is claimed of a prefix (or of an address: [`Prefix::host`]) in any domain.
    pub fn covering(&self, _prefix: &Prefix) -> Coverage {
        Coverage::default()
    }
}
