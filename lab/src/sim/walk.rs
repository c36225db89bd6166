//! A random walk: instances come, change and go, sources die, links flap, others meddle with the kernel,
//! the daemon is killed with its disk stuck. After every step what must always hold is looked at; from
//! time to time everything comes to rest and must be what the [model](super::model) says.
//!
//! [`run`] is one walk, decided by its seed alone.

mod content;
mod meddle;
mod others;
mod rest;
mod step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use tapway_model::{Domain, Instant, Prefix};

use super::model::{Due, Model};
use super::{Dice, Other, World, WorldConfig};

/// Steps that are shown when a walk fails.
const SHOWN: usize = 30;
/// How long the router keeps routes of a session that is lost, less a margin.
const KEPT_BY_ROUTER: Duration = Duration::from_secs(100);

/// What a walk did, by name.
pub type Tally = BTreeMap<&'static str, u64>;

/// Where a walk went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The step, from 1.
    pub step: usize,
    /// What did not hold.
    pub faults: Vec<String>,
    /// The last steps.
    pub trail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} failed at step {}:", self.seed, self.step)?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(f, "the last steps:")?;
        for line in &self.trail {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// What a step gives no reason to withdraw, of what was announced before it and is due after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// Nothing: all may be withdrawn.
    Nothing,
    /// The router has it afterwards.
    AtTheEnd,
    /// It is not withdrawn, not even to be announced again at once.
    Throughout,
}

impl Keeps {
    fn at_the_end(keeps: bool) -> Keeps {
        match keeps {
            true => Keeps::AtTheEnd,
            false => Keeps::Nothing,
        }
    }
}

/// A walk under way.
struct Walk {
    dice: Dice,
    world: World,
    model: Model,
    router_announces_default: bool,
    /// The routers beside the first one.
    others: Vec<Other>,
    /// What is due now.
    due: Due,
    /// The session was up then.
    last_up: Instant,
    /// The router dropped what it had by itself; it has everything again when the session is back.
    router_forgot: bool,
    tally: Tally,
    faults: Vec<String>,
}

/// Walks `steps` steps from `seed`.
///
/// # Errors
/// When something did not hold.
pub fn run(seed: u64, steps: usize) -> Result<Tally, Box<Failure>> {
    let mut trail = VecDeque::new();
    let mut step = 0;
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut walk = Walk::new(seed);
        while step < steps && walk.faults.is_empty() {
            step += 1;
            let at = walk.world.now.as_nanos() / 1_000_000;
            // Told before it is done, so that a panic is found at its step.
            trail.push_back(format!("{step}:"));
            let what = walk.step();
            trail.pop_back();
            trail.push_back(format!("{step} at {at} ms: {what}"));
            if trail.len() > SHOWN {
                trail.pop_front();
            }
        }
        walk
    }));
    let faults = match walked {
        Ok(walk) if walk.faults.is_empty() => return Ok(walk.tally),
        Ok(walk) => walk.faults,
        Err(panic) => vec![format!("panic: {}", panic_text(panic.as_ref()))],
    };
    Err(Box::new(Failure {
        seed,
        step,
        faults,
        trail: trail.into(),
    }))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a text").to_owned()
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut dice = Dice::new(seed);
        let config = WorldConfig {
            seed: dice.roll(u64::MAX),
            networks: content::networks(&mut dice),
            router_announces_default: dice.once_in(2),
            others: content::others(),
            policies: content::policies(),
            ..WorldConfig::default()
        };
        // The world starts its daemon and lets some time pass.
        let start = Instant::from_nanos(1_000_000_000);
        let mut model = Model::new(start, &config.networks, &config.sources);
        let router_announces_default = config.router_announces_default;
        let others = config.others.clone();
        let mut world = World::new(config);
        world.watch.unrouted = content::unrouted();
        model.pass_time(world.now);
        let mut walk = Walk {
            last_up: world.now,
            due: Due::default(),
            dice,
            world,
            model,
            router_announces_default,
            others,
            router_forgot: false,
            tally: Tally::new(),
            faults: Vec::new(),
        };
        for interface in ["br0", "tap0", "tap1"] {
            walk.world.plug(interface);
        }
        walk.due = walk.model.due(&walk.world.kernel, content::ROUTER);
        walk
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_insert(0) += 1;
    }

    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    /// Who holds what needs no rest.
    fn check_intent(&mut self) {
        if !self.world.is_running() {
            return;
        }
        let effective = self.world.node().intent().effective_all();
        let said: BTreeMap<_, Vec<_>> = effective
            .map(|e| {
                let holders = e.holders.into_iter();
                let held = holders.map(|h| (h.owner, h.mac, h.via)).collect();
                ((e.domain, e.prefix), held)
            })
            .collect();
        let want = self.model.holders();
        if said != want {
            for (id, owners) in said.iter().chain(&want) {
                if said.get(id) != want.get(id) {
                    let text = format!("{} in {} is held by {owners:?} or not", id.1, id.0);
                    self.fault(text);
                }
            }
            let scene = self.scene();
            self.faults.extend(scene);
        }
    }

    /// Looks at what must hold after every step. What was announced `before` and is due after it must be kept
    /// as the step `keeps` it.
    fn check_step(&mut self, before: &BTreeSet<(Domain, Prefix)>, keeps: Keeps) {
        self.faults.append(&mut self.world.watch.faults);
        for event in std::mem::take(&mut self.world.events) {
            self.count(event.kind);
        }
        self.world.changes.clear();
        let watch = &mut self.world.watch;
        for (what, count) in [
            ("kernel changes", watch.done.drain(..).count() as u64),
            ("announced in UPDATEs", std::mem::take(&mut watch.announced)),
            ("withdrawn in UPDATEs", std::mem::take(&mut watch.withdrawn)),
        ] {
            *self.tally.entry(what).or_insert(0) += count;
        }
        self.check_intent();
        let due = self.model.due(&self.world.kernel, content::ROUTER);
        self.due = due;
        let kept_long = self.world.now.since(self.last_up) < KEPT_BY_ROUTER;
        if self.world.is_established() {
            self.last_up = self.world.now;
        }
        if keeps == Keeps::Nothing || self.router_forgot || !kept_long {
            return;
        }
        let now = self.world.received();
        let withdrawn = std::mem::take(&mut self.world.watch.withdrawals);
        let lost = |prefix: &Prefix| match keeps {
            Keeps::Throughout => withdrawn.contains(prefix) || !now.contains(prefix),
            Keeps::AtTheEnd | Keeps::Nothing => !now.contains(prefix),
        };
        for id in before {
            if self.due.seen.contains(id) && lost(&id.1) {
                let at = self.world.now;
                let node = self.world.running();
                let network = &self.due.announced[id];
                let explained = node.map(|node| node.explain(at, id.1, Some(network)).summary);
                self.fault(format!(
                    "withdrawn without a reason: {}; {explained:?}",
                    id.1
                ));
            }
        }
    }
}
