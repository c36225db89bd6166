//! What the sources said, and what a restart leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tapway_fib::Object;
use tapway_fib::sim::Kernel;
use tapway_intent::SourceEvent;
use tapway_model::{IfName, Instance, InstanceName, Instant, Network, NetworkName, SourceName};

use super::{ClaimKey, Model, OURS, protocol};

/// One instance as a source said it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) instance: Arc<Instance>,
    /// When it was first said, before or after others.
    pub(super) turn: u64,
    /// The turn decides something, so it is on disk.
    turn_is_kept: bool,
    /// From before the daemon started.
    leftover: bool,
    /// Not repeated since the source died or the daemon started.
    stale: bool,
    /// In the listing that began last.
    listed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Source {
    grace: Duration,
    /// Absent: it is over.
    grace_end: Option<Instant>,
    /// It has said all and lives.
    live: bool,
    /// A listing began since it died.
    begun: bool,
    dead: bool,
    pub(super) said: BTreeMap<InstanceName, Said>,
}

/// What a disk holds.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    sources: BTreeMap<SourceName, Source>,
    numbers: BTreeMap<ClaimKey, u64>,
}

impl Model {
    /// The model of a daemon that starts at `now` for the first time.
    pub fn new(
        now: Instant,
        networks: &[Network],
        sources: &BTreeMap<SourceName, Duration>,
    ) -> Model {
        let default = Network::with_defaults(NetworkName::new("default").expect("a plain name"));
        let networks = [default].into_iter().chain(networks.iter().cloned());
        let sources = sources.iter().map(|(name, grace)| {
            let source = Source {
                grace: *grace,
                grace_end: Some(now + *grace),
                live: false,
                begun: true,
                dead: false,
                said: BTreeMap::new(),
            };
            (name.clone(), source)
        });
        Model {
            networks: networks.map(|n| (n.name.clone(), n)).collect(),
            sources: sources.collect(),
            numbers: BTreeMap::new(),
            next_number: 0,
            forwards: false,
            spoke: BTreeSet::new(),
            leftovers: BTreeSet::new(),
            disk: None,
        }
    }

    /// A source says something.
    pub fn hear(&mut self, now: Instant, name: &SourceName, event: SourceEvent) {
        self.pass_time(now);
        let Some(source) = self.sources.get_mut(name) else {
            return;
        };
        if !matches!(event, SourceEvent::Dead(_)) {
            source.dead = false;
        } else if !source.dead {
            source.dead = true;
            source.begun = false;
        }
        match event {
            SourceEvent::Dead(_) => {
                source.live = false;
                source.said.values_mut().for_each(|said| said.stale = true);
            }
            SourceEvent::Begin => {
                source.begun = true;
                source
                    .said
                    .values_mut()
                    .for_each(|said| said.listed = false);
            }
            SourceEvent::Put(instance) => self.put(name, instance),
            SourceEvent::Gone(gone) => self.remove(name, |name, _| *name == gone),
            SourceEvent::Complete if source.begun => {
                source.live = true;
                self.spoke.insert(name.clone());
                let over = source.grace_end.is_none();
                self.remove(name, |_, said| !said.listed && (over || !said.leftover));
            }
            SourceEvent::Complete => {}
        }
    }

    /// The grace of a source that has said all ends for what it no longer says.
    pub fn pass_time(&mut self, now: Instant) {
        let names: Vec<SourceName> = self.sources.keys().cloned().collect();
        for name in names {
            let Some(source) = self.sources.get_mut(&name) else {
                continue;
            };
            if source.grace_end.is_some_and(|end| end <= now) {
                source.grace_end = None;
                if source.live {
                    self.remove(&name, |_, said| said.leftover);
                }
            }
        }
    }

    /// The operator drops what a source has not repeated.
    pub fn forget(&mut self, now: Instant, name: &SourceName) {
        self.pass_time(now);
        self.spoke.insert(name.clone());
        self.remove(name, |_, said| said.stale);
    }

    /// From now on nothing reaches the disk.
    pub fn stick_disk(&mut self) {
        if self.disk.is_none() {
            self.disk = Some(Box::new(Kept {
                sources: self.sources.clone(),
                numbers: self.numbers.clone(),
            }));
        }
    }

    /// Everything has reached the disk.
    pub fn free_disk(&mut self) {
        self.disk = None;
    }

    /// The daemon starts with what the disk and `kernel` have.
    pub fn restart(&mut self, now: Instant, kernel: &Kernel) {
        let ours = kernel.objects().filter(|o| protocol(o) == Some(OURS));
        self.leftovers = ours.map(Object::key).collect();
        self.spoke.clear();
        if let Some(kept) = self.disk.take() {
            self.sources = kept.sources;
            self.numbers = kept.numbers;
        }
        let mut turn = self.next_number;
        for source in self.sources.values_mut() {
            source.grace_end = Some(now + source.grace);
            source.live = false;
            source.dead = false;
            source.begun = true;
            for said in source.said.values_mut() {
                said.leftover = true;
                said.stale = true;
                said.listed = false;
                if !said.turn_is_kept {
                    said.turn = turn;
                    turn += 1;
                }
            }
        }
        self.next_number = turn;
        self.forwards = false;
        self.heard();
    }

    /// What each source said, as the disk should have it when it is not stuck.
    pub fn instances(&self) -> impl Iterator<Item = (&SourceName, &Arc<Instance>)> {
        self.sources
            .iter()
            .flat_map(|(name, s)| s.said.values().map(move |said| (name, &said.instance)))
    }

    /// What a source said and did not take back.
    pub fn instances_of(&self, name: &SourceName) -> Vec<Arc<Instance>> {
        let of = self.instances().filter(|(source, _)| *source == name);
        of.map(|(_, instance)| instance.clone()).collect()
    }

    fn put(&mut self, name: &SourceName, instance: Arc<Instance>) {
        let fresh = self.next_number;
        self.next_number += 1;
        let Some(source) = self.sources.get_mut(name) else {
            return;
        };
        let known = source.said.get(&instance.name);
        let said = Said {
            turn: known.map_or(fresh, |said| said.turn),
            turn_is_kept: known.is_some_and(|said| said.turn_is_kept),
            leftover: false,
            stale: false,
            listed: true,
            instance,
        };
        source.said.insert(said.instance.name.clone(), said);
        self.heard();
    }

    fn remove(&mut self, name: &SourceName, which: impl Fn(&InstanceName, &Said) -> bool) {
        let Some(source) = self.sources.get(name) else {
            return;
        };
        let gone = source.said.iter().filter(|(name, said)| which(name, said));
        let gone: Vec<InstanceName> = gone.map(|(name, _)| name.clone()).collect();
        for instance in gone {
            if let Some(source) = self.sources.get_mut(name) {
                source.said.remove(&instance);
            }
            self.heard();
        }
    }

    /// Numbers the claims that are new, forgets those that are gone.
    fn heard(&mut self) {
        let (mut keys, mut shared) = (Vec::new(), BTreeSet::new());
        let mut tellers: BTreeMap<ClaimKey, BTreeSet<u64>> = BTreeMap::new();
        for line in self.lines() {
            if line.nic.is_none() {
                let turns = tellers.entry(line.key.clone()).or_default();
                turns.insert(line.turn);
            }
            keys.push(line.key);
        }
        shared.extend(tellers.into_values().filter(|t| t.len() > 1).flatten());
        let nics: BTreeMap<IfName, Vec<u64>> = self
            .nics()
            .into_iter()
            .map(|(name, tellers)| (name.clone(), tellers.iter().map(|t| t.turn).collect()))
            .collect();
        self.forwards |= !nics.is_empty();
        shared.extend(nics.into_values().filter(|t| t.len() > 1).flatten());
        for said in self.sources.values_mut().flat_map(|s| s.said.values_mut()) {
            said.turn_is_kept |= shared.contains(&said.turn);
        }
        let present: BTreeSet<&ClaimKey> = keys.iter().collect();
        self.numbers.retain(|key, _| present.contains(key));
        for key in keys {
            let next = &mut self.next_number;
            self.numbers.entry(key).or_insert_with(|| {
                *next += 1;
                *next
            });
        }
    }
}
