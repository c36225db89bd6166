//! Random walks: whatever happens, the intent says what the model says, tells every change, and
//! persists enough to come back the same.

use alloc::collections::BTreeSet;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{
    ClaimKind, Domain, Instance, InstanceName, Instant, Mac, Network, Nic, NicState, OwnClaim,
    Prefix, SourceName, Transparent,
};

use super::build::{at, guest, network, nic, own, p, ps, source};
use super::reference::Reference;
use crate::{
    Change, Conflict, Effective, Intent, MergedNic, OrderKey, OrderRecord, Record, SourceConfig,
    SourceEvent, Standing,
};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

const PREFIXES: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.0/29",
    "10.0.0.0/30",
    "10.0.0.4/30",
    "10.0.0.0/31",
    "10.0.0.0/32",
    "10.0.0.1/32",
    "10.0.0.2/32",
    "10.0.0.3/32",
    "10.0.0.5/32",
    "10.0.1.1/32",
    "2001:db8::/32",
    "2001:db8::/64",
    "2001:db8::1/128",
    "2001:db8::2/128",
    "2001:db8:1::/64",
    "0.0.0.0/0",
    "224.0.0.1/32",
    "192.0.2.1/32",
];
const HOSTS: &[&str] = &[
    "10.0.0.0/32",
    "10.0.0.1/32",
    "10.0.0.2/32",
    "10.0.0.3/32",
    "10.0.0.5/32",
    "10.0.1.1/32",
    "2001:db8::1/128",
    "2001:db8::2/128",
    "192.0.2.1/32",
];
const NETWORKS: &[&str] = &["default", "default", "default", "a", "a", "b", "none"];

fn some(dice: &mut Dice, from: &[&str], odds: u64) -> Vec<Prefix> {
    let mut some = Vec::new();
    while dice.roll(odds) != 0 && some.len() < 3 {
        some.push(p(dice.pick(from)));
    }
    some
}

fn random_nic(dice: &mut Dice) -> Nic {
    let mut nic = nic(dice.pick(&["t0", "t1", "t2", "t3", "t4"]), &[]);
    nic.network = dice.pick(NETWORKS).parse().unwrap();
    let from = if dice.roll(4) == 0 { PREFIXES } else { HOSTS };
    nic.addresses = some(dice, from, 3);
    if dice.roll(3) == 0 {
        nic.routes = some(dice, PREFIXES, 2);
    }
    if dice.roll(2) == 0 {
        nic.anycast = some(dice, HOSTS, 2);
    }
    if dice.roll(5) == 0 {
        let address = p(dice.pick(HOSTS)).addr();
        nic.transparent.push(Transparent { address, to: None });
    }
    if dice.roll(3) == 0 {
        nic.guest_bgp = guest(&[dice.pick(PREFIXES), dice.pick(HOSTS)]);
    }
    if dice.roll(3) == 0 {
        nic.mac = Some(Mac::new([2, 0, 0, 0, 0, dice.roll(3) as u8]).unwrap());
    }
    if dice.roll(4) == 0 {
        nic.tags.push(dice.pick(&["x", "y"]).parse().unwrap());
    }
    let states = [
        NicState::Running,
        NicState::Running,
        NicState::Arriving,
        NicState::Leaving,
    ];
    nic.state = dice.pick(&states);
    nic
}

fn random_own(dice: &mut Dice) -> OwnClaim {
    let kinds = [ClaimKind::Address, ClaimKind::Route, ClaimKind::Anycast];
    let (owner, network) = (dice.pick(&["host", "network"]), dice.pick(NETWORKS));
    let mut claim = own(owner, network, dice.pick(PREFIXES), dice.pick(&kinds));
    if dice.roll(4) == 0 {
        claim.next_hop = Some(p(dice.pick(&["192.0.2.7", "192.0.2.8"])).addr());
    }
    claim
}

fn random_instance(dice: &mut Dice) -> Arc<Instance> {
    let name: InstanceName = dice.pick(&["i0", "i1", "i2", "i3", "i4"]).parse().unwrap();
    let nics = (0..dice.roll(3)).map(|_| random_nic(dice)).collect();
    let claims = (0..dice.roll(3).saturating_sub(1))
        .map(|_| random_own(dice))
        .collect();
    Arc::new(Instance { name, nics, claims })
}

fn random_networks(dice: &mut Dice) -> Vec<Network> {
    let mut networks = Vec::new();
    if dice.roll(8) != 0 {
        let mut a = network("a", Domain::MAIN);
        if dice.roll(3) == 0 {
            a.allow = ps(&["10.0.0.0/29", "2001:db8::/32"]);
        }
        if dice.roll(3) == 0 {
            a.gateway = Vec::from([p("10.0.0.1").addr()]);
        }
        networks.push(a);
    }
    if dice.roll(8) != 0 {
        networks.push(network(
            "b",
            if dice.roll(4) == 0 {
                Domain::MAIN
            } else {
                Domain(100)
            },
        ));
    }
    networks
}

/// What the state log would hold.
#[derive(Clone, Default)]
struct Log {
    instances: BTreeMap<(SourceName, InstanceName), Arc<Instance>>,
    orders: BTreeMap<OrderKey, u64>,
}

impl Log {
    fn write(&mut self, record: Record) {
        match record {
            Record::Put(source, instance) => {
                let key = (source, instance.name.clone());
                assert_ne!(
                    self.instances.get(&key),
                    Some(&instance),
                    "{key:?} put for nothing"
                );
                self.instances.insert(key, instance);
            }
            Record::Gone(source, name) => {
                assert!(self.instances.remove(&(source, name)).is_some());
            }
            Record::Order(OrderRecord { key, number }) => {
                assert_eq!(self.orders.insert(key, number), None);
            }
            Record::OrderGone(key) => assert!(self.orders.remove(&key).is_some(), "{key:?}"),
        }
    }

    fn order(&self) -> Vec<OrderRecord> {
        let orders = self.orders.iter();
        orders
            .map(|(key, number)| OrderRecord {
                key: key.clone(),
                number: *number,
            })
            .collect()
    }
}

#[derive(PartialEq, Debug)]
struct View {
    effective: BTreeMap<(Domain, Prefix), Effective>,
    conflicts: Vec<Conflict>,
    nics: Vec<MergedNic>,
    problems: Vec<String>,
}

impl View {
    /// What the intent says, without staleness.
    fn of(intent: &Intent) -> View {
        let fresh = |mut e: Effective| {
            e.holders.iter_mut().for_each(|holder| holder.stale = false);
            ((e.domain, e.prefix), e)
        };
        View {
            effective: intent.effective_all().map(fresh).collect(),
            conflicts: intent.conflicts(),
            nics: intent.nics().cloned().collect(),
            problems: intent.problems().map(ToString::to_string).collect(),
        }
    }

    /// What differs, as changes; without [`Change::Networks`].
    fn difference(&self, other: &View) -> BTreeSet<Change> {
        let mut changes = BTreeSet::new();
        for (at, effective) in self.effective.iter().chain(&other.effective) {
            let (a, b) = (self.effective.get(at), other.effective.get(at));
            if a != Some(effective) || b != Some(effective) {
                changes.insert(Change::Prefix(at.0, at.1));
            }
        }
        for nic in self.nics.iter().chain(&other.nics) {
            if !self.nics.contains(nic) || !other.nics.contains(nic) {
                changes.insert(Change::Nic(nic.interface.clone()));
            }
        }
        changes
    }
}

struct Walk {
    dice: Dice,
    now: Instant,
    networks: Vec<Network>,
    intent: Intent,
    model: Reference,
    log: Log,
}

const SOURCES: [&str; 3] = ["s0", "s1", "s2"];

fn configure(intent: &mut Intent) {
    for (i, name) in SOURCES.iter().enumerate() {
        let grace = Duration::from_secs(20 + 20 * i as u64);
        intent.set_source(source(name), SourceConfig { grace });
    }
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut dice = Dice(seed);
        let networks = random_networks(&mut dice);
        let mut intent = Intent::new(at(0));
        configure(&mut intent);
        intent.set_networks(networks.clone());
        let mut model = Reference::default();
        for (i, name) in SOURCES.iter().enumerate() {
            model.set_source(source(name), at(20 + 20 * i as u64));
        }
        model.set_networks(&networks);
        let mut log = Log::default();
        for name in SOURCES {
            for _ in 0..dice.roll(4) {
                let (name, instance) = (source(name), random_instance(&mut dice));
                let key = (name.clone(), instance.name.clone());
                if let Entry::Vacant(entry) = log.instances.entry(key) {
                    entry.insert(instance.clone());
                    model.restore(&name, instance.clone());
                    intent.restore(name, instance);
                }
            }
        }
        while intent.poll_change().is_some() {}
        let mut walk = Walk {
            dice,
            now: at(1),
            networks,
            intent,
            model,
            log,
        };
        walk.persist();
        walk
    }

    fn persist(&mut self) {
        while let Some(record) = self.intent.poll_record() {
            self.log.write(record);
        }
        let said = self
            .intent
            .instances()
            .map(|i| ((i.source, i.instance.name.clone()), i.instance));
        assert_eq!(said.collect::<BTreeMap<_, _>>(), self.log.instances);
    }

    /// One random event. Says whether it was about networks.
    fn event(&mut self) -> bool {
        let name = source(self.dice.pick(&SOURCES));
        let event = match self.dice.roll(24) {
            0..12 => SourceEvent::Put(random_instance(&mut self.dice)),
            12..16 => SourceEvent::Gone(random_instance(&mut self.dice).name.clone()),
            16..18 => SourceEvent::Begin,
            18 => SourceEvent::Complete,
            19 => SourceEvent::Dead("lost".into()),
            20 | 21 => {
                self.now = self.now + Duration::from_secs(self.dice.roll(4));
                self.intent.handle_timeout(self.now);
                self.model.time(self.now);
                return false;
            }
            22 => {
                if self.dice.roll(3) == 0 {
                    self.intent.forget(self.now, &name);
                    self.model.forget(self.now, &name);
                }
                return false;
            }
            _ => {
                self.networks = random_networks(&mut self.dice);
                self.intent.set_networks(self.networks.clone());
                self.model.set_networks(&self.networks);
                return true;
            }
        };
        self.intent.handle_source(self.now, &name, event.clone());
        self.model.handle(self.now, &name, event);
        false
    }

    fn step(&mut self, before: &View) -> View {
        let networks = self.event();
        let after = View::of(&self.intent);
        let (effective, mut conflicts) = self.model.result();
        let mut said = self.intent.conflicts();
        // Order numbers are compared by what they decide.
        for conflict in conflicts.iter_mut().chain(&mut said) {
            conflict.kept.order = 0;
            conflict
                .refused
                .iter_mut()
                .for_each(|claim| claim.order = 0);
        }
        assert_eq!(
            self.intent.effective_all().collect::<Vec<_>>(),
            effective.into_values().collect::<Vec<_>>()
        );
        assert_eq!(said, conflicts);
        let mut told: BTreeSet<Change> =
            core::iter::from_fn(|| self.intent.poll_change()).collect();
        let differs = before.difference(&after);
        let report = told.remove(&Change::Report);
        let unseen = before.conflicts != after.conflicts || before.problems != after.problems;
        assert!(
            report || !unseen,
            "changed conflicts or problems were not told"
        );
        if networks {
            assert!(
                differs.is_subset(&told),
                "{differs:?} differ, {told:?} told"
            );
        } else {
            assert_eq!(differs, told);
        }
        self.persist();
        after
    }

    /// Everything else that can be asked agrees with what counts.
    fn check_asks(&self, view: &View) {
        for nic in &view.nics {
            let of: Vec<Prefix> = self
                .intent
                .effective_of(&nic.interface)
                .map(|e| e.prefix)
                .collect();
            let holds = |e: &&Effective| {
                e.holders
                    .iter()
                    .any(|h| h.interface.as_ref() == Some(&nic.interface))
            };
            let want: Vec<Prefix> = view
                .effective
                .values()
                .filter(holds)
                .map(|e| e.prefix)
                .collect();
            assert_eq!(of, want);
        }
        for prefix in PREFIXES {
            let covering = self.intent.covering(&p(prefix)).claims;
            for covered in &covering {
                assert!(covered.claim.prefix.contains(&p(prefix)));
                let at = (covered.domain, covered.claim.prefix);
                let holds = view.effective.get(&at).is_some_and(|effective| {
                    effective
                        .holders
                        .iter()
                        .any(|holder| holder.owner == covered.claim.owner)
                });
                assert_eq!(holds, covered.standing == Standing::Effective);
            }
            let equal = view
                .effective
                .values()
                .filter(|e| e.prefix.contains(&p(prefix)));
            let holders: usize = equal.map(|e| e.holders.len()).sum();
            let effective = covering
                .iter()
                .filter(|c| c.standing == Standing::Effective);
            assert_eq!(effective.count(), holders);
        }
    }

    /// A restart from the log comes to the same.
    fn check_restart(&self, view: &View) {
        let mut again = Intent::new(self.now);
        again.set_networks(self.networks.clone());
        configure(&mut again);
        again.restore_order(self.log.order());
        for ((source, _), instance) in &self.log.instances {
            again.restore(source.clone(), instance.clone());
        }
        let mut after = View::of(&again);
        // Problems and tellers keep their order only where it decides something.
        after.problems.sort();
        let mut problems = view.problems.clone();
        problems.sort();
        assert_eq!(after.problems, problems);
        assert_eq!(after.effective, view.effective);
        assert_eq!(after.conflicts, view.conflicts);
        assert_eq!(after.nics, view.nics);
        let mut log = self.log.clone();
        core::iter::from_fn(|| again.poll_record()).for_each(|record| log.write(record));
        assert_eq!(log.instances, self.log.instances);
        for (key, number) in &self.log.orders {
            assert_eq!(log.orders.get(key), Some(number), "{key:?}");
        }
        assert!(
            again
                .effective_all()
                .flat_map(|e| e.holders)
                .all(|holder| holder.stale)
        );
    }
}

#[test]
fn walks_agree_with_the_model() {
    let (mut conflicts, mut shared, mut silent, mut problems) = (0, 0, 0, 0);
    for seed in 0..240 {
        let mut walk = Walk::new(seed);
        let mut view = View::of(&walk.intent);
        for step in 0..300 {
            let run = std::panic::AssertUnwindSafe(|| walk.step(&view));
            match std::panic::catch_unwind(run) {
                Ok(after) => view = after,
                Err(cause) => {
                    std::eprintln!("seed {seed}, step {step}");
                    std::panic::resume_unwind(cause);
                }
            }
            conflicts += view.conflicts.len();
            problems += view.problems.len();
            shared += view
                .effective
                .values()
                .filter(|e| e.holders.len() > 1)
                .count();
            silent += view.effective.values().filter(|e| !e.announce).count();
            if step % 50 == 49 {
                walk.check_asks(&view);
                walk.check_restart(&view);
            }
        }
    }
    // The walks went through what they are there for.
    for (seen, what) in [
        (conflicts, "conflicts"),
        (shared, "shared"),
        (silent, "silent"),
        (problems, "problems"),
    ] {
        assert!(seen > 10_000, "only {seen} {what}");
    }
}

#[test]
fn the_same_events_give_the_same_records_and_changes() {
    let run = || {
        let mut walk = Walk::new(77);
        let mut out: Vec<String> = Vec::new();
        for _ in 0..300 {
            walk.event();
            while let Some(change) = walk.intent.poll_change() {
                out.push(alloc::format!("{change:?}"));
            }
            while let Some(record) = walk.intent.poll_record() {
                out.push(alloc::format!("{record:?}"));
            }
        }
        out
    };
    let first = run();
    assert!(first.len() > 500);
    assert_eq!(first, run());
}
