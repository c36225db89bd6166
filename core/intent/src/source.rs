//! Sources: what each of them says, and whether it can be believed that it said all.

use alloc::collections::btree_map::{self, BTreeMap};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{Instance, InstanceName, Instant, SourceName};

use crate::Problem;

/// What a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// A full listing starts.
    Begin,
    /// The instance is there, like this.
    Put(Arc<Instance>),
    /// The instance is gone.
    Gone(InstanceName),
    /// The listing is over: what was not put since the last [`SourceEvent::Begin`] is gone.
    Complete,
    /// The source is lost: its socket closed, its directory vanished. Removes nothing.
    Dead(String),
}

/// How a source is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// How long after the start leftovers of the last run are kept at least.
    pub grace: Duration,
}

impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig {
            grace: Duration::from_secs(30),
        }
    }
}

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It has not said all yet, since the start or since it came back.
    Waiting,
    /// It has said all.
    Live,
    /// It is lost, or not configured any more.
    Dead {
        /// Why.
        reason: String,
        /// Since when.
        since: Instant,
    },
}

/// A source for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSummary {
    /// Its name.
    pub name: SourceName,
    /// Whether it is configured; one that is not is listed while its instances are kept.
    pub enabled: bool,
    /// Where it stands.
    pub state: SourceState,
    /// How many instances it said and did not take back.
    pub instances: usize,
    /// How many of them it has not repeated since it died or since the start.
    pub stale: usize,
    /// When it last said all.
    pub last_complete: Option<Instant>,
    /// How much of the grace is left.
    pub grace_left: Duration,
}

/// One instance as one source says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceView {
    /// The source.
    pub source: SourceName,
    /// The instance.
    pub instance: Arc<Instance>,
    /// Not repeated since the source died or since the start.
    pub stale: bool,
}

/// What is known of a source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Absent: not configured.
    pub(crate) config: Option<SourceConfig>,
    pub(crate) state: SourceState,
    pub(crate) entries: BTreeMap<InstanceName, Entry>,
    pub(crate) last_complete: Option<Instant>,
    /// Whether the end of the grace was taken notice of.
    pub(crate) grace_over: bool,
    /// The number of the last listing; counts from 1.
    listing: u64,
    /// Whether a listing began since the source died.
    begun: bool,
    /// Counts the source's lives, from 1.
    life: u64,
}

/// One instance as a source says it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) instance: Arc<Instance>,
    /// Its order number.
    pub(crate) seq: u64,
    /// Whether the number is persisted.
    pub(crate) recorded: bool,
    /// What cannot be used of its own claims.
    pub(crate) problems: Vec<Problem>,
    /// The last listing that had it; 0: none.
    listing: u64,
    /// The source's life in which it was last put; 0: before the start.
    life: u64,
}

impl Entry {
    /// Left over from before the start.
    fn is_leftover(&self) -> bool {
        self.life == 0
    }
}

impl Source {
    pub(crate) fn new(state: SourceState) -> Self {
        Source {
            config: None,
            state,
            entries: BTreeMap::new(),
            last_complete: None,
            grace_over: false,
            listing: 1,
            begun: true,
            life: 1,
        }
    }

    /// When the grace ends; never for a source that is not configured.
    pub(crate) fn deadline(&self, start: Instant) -> Option<Instant> {
        self.config.as_ref().map(|config| start + config.grace)
    }

    /// The source gives a sign of life.
    pub(crate) fn alive(&mut self) {
        if matches!(self.state, SourceState::Dead { .. }) {
            self.state = SourceState::Waiting;
        }
    }

    pub(crate) fn begin(&mut self) {
        self.alive();
        self.listing += 1;
        self.begun = true;
    }

    /// Everything becomes stale, and a listing that was under way counts for nothing.
    pub(crate) fn die(&mut self, now: Instant, reason: String) {
        if !matches!(self.state, SourceState::Dead { .. }) {
            self.life += 1;
            self.begun = false;
        }
        self.state = SourceState::Dead { reason, since: now };
    }

    /// The source has said all. Gives what it no longer says and may be removed now. A listing of
    /// which the beginning is missing says nothing.
    pub(crate) fn complete(&mut self, now: Instant) -> Vec<InstanceName> {
        self.alive();
        if !self.begun {
            return Vec::new();
        }
        self.state = SourceState::Live;
        self.last_complete = Some(now);
        self.names(|source, entry| {
            entry.listing != source.listing && (source.grace_over || !entry.is_leftover())
        })
    }

    /// The grace is over. Gives the leftovers that may be removed now: none unless the source has
    /// said all and lives.
    pub(crate) fn end_grace(&mut self) -> Vec<InstanceName> {
        self.grace_over = true;
        if self.state != SourceState::Live {
            return Vec::new();
        }
        self.names(|_, entry| entry.is_leftover())
    }

    /// The instance is like this; `said` just now, or in the last run. Gives what it was before and
    /// its order number. `number` gives a new one, and whether it is persisted.
    pub(crate) fn put(
        &mut self,
        instance: Arc<Instance>,
        said: bool,
        number: impl FnOnce() -> (u64, bool),
    ) -> (Option<Arc<Instance>>, u64) {
        let (listing, life) = if said {
            (self.listing, self.life)
        } else {
            (0, 0)
        };
        match self.entries.entry(instance.name.clone()) {
            btree_map::Entry::Occupied(mut known) => {
                let entry = known.get_mut();
                (entry.listing, entry.life) = (listing, life);
                (
                    Some(core::mem::replace(&mut entry.instance, instance)),
                    entry.seq,
                )
            }
            btree_map::Entry::Vacant(free) => {
                let (seq, recorded) = number();
                let problems = Vec::new();
                free.insert(Entry {
                    instance,
                    seq,
                    recorded,
                    problems,
                    listing,
                    life,
                });
                (None, seq)
            }
        }
    }

    /// The instance was said again, just now.
    pub(crate) fn mark(&mut self, name: &InstanceName) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.listing = self.listing;
            entry.life = self.life;
        }
    }

    pub(crate) fn is_stale(&self, entry: &Entry) -> bool {
        entry.life < self.life
    }

    pub(crate) fn stale(&self) -> Vec<InstanceName> {
        self.names(Source::is_stale)
    }

    fn names(&self, which: impl Fn(&Source, &Entry) -> bool) -> Vec<InstanceName> {
        let names = self.entries.iter().filter(|(_, entry)| which(self, entry));
        names.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn summary(&self, name: &SourceName, start: Instant, now: Instant) -> SourceSummary {
        SourceSummary {
            name: name.clone(),
            enabled: self.config.is_some(),
            state: self.state.clone(),
            instances: self.entries.len(),
            stale: self
                .entries
                .values()
                .filter(|entry| self.is_stale(entry))
                .count(),
            last_complete: self.last_complete,
            grace_left: self
                .deadline(start)
                .map_or(Duration::ZERO, |end| end.since(now)),
        }
    }
}
