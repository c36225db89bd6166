//! A random walk against the small kernel: wants, links, other programs, lost and late messages. At
//! rest the kernel has what is wanted, and nothing that is not ours was touched.
//!
//! `WALK_SEED=n cargo test --test walk` walks that seed alone; `WALK_SEEDS` and `WALK_STEPS` say how
//! many and how far.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use objects::*;
use tapway_fib::sim::Kernel;
use tapway_fib::*;
use tapway_model::{IfName, Instant};

struct Rng(u64);

impl Rng {
    /// splitmix64
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let n = u64::try_from(of.len()).unwrap();
        (n > 0).then(|| &of[usize::try_from(self.below(n)).unwrap()])
    }
}

struct Walk {
    seed: u64,
    rng: Rng,
    now: Instant,
    kernel: Kernel,
    fib: Fib,
    wants: BTreeMap<Key, Object>,
    /// Applied, not yet told.
    outcomes: VecDeque<(BatchId, Vec<Outcome>)>,
    /// Lines of the scan that is being read.
    scan: VecDeque<KernelEvent>,
    scan_asked: bool,
    /// Foreign objects that the reconciler was told of.
    told: BTreeSet<Key>,
    pruning: bool,
    names: u32,
    trace: Vec<String>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut walk = Walk {
            seed,
            rng: Rng(seed),
            now: Instant::from_nanos(1),
            kernel: Kernel::new(),
            fib: Fib::new(OURS),
            wants: BTreeMap::new(),
            outcomes: VecDeque::new(),
            scan: VecDeque::new(),
            scan_asked: false,
            told: BTreeSet::new(),
            pruning: false,
            names: 0,
            trace: Vec::new(),
        };
        for _ in 0..4 {
            let index = walk.new_link();
            walk.kernel.set_up(index, true);
        }
        // From this the reconciler learns that the kernel tells the protocol of addresses.
        let ours = address(1, "10.9.9.9/32");
        walk.fib
            .handle_event(walk.now, KernelEvent::Present(ours.clone()));
        walk.fib.handle_event(walk.now, KernelEvent::Absent(ours));
        for _ in 0..10 {
            if let Some(leftover) = walk.any_object() {
                walk.kernel.put(&leftover).ok();
            }
        }
        walk
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        if std::env::var_os("WALK_SEED").is_some() {
            self.trace.push(line());
        }
    }

    fn new_link(&mut self) -> IfIndex {
        self.names += 1;
        self.kernel
            .add_link(format!("t{}", self.names).parse().unwrap())
    }

    fn any_link(&mut self) -> Option<IfIndex> {
        let all: Vec<IfIndex> = self.kernel.links().map(|link| link.index).collect();
        self.rng.pick(&all).copied()
    }

    /// One of a few objects, so that they meet.
    fn any_object(&mut self) -> Option<Object> {
        let index = self.any_link()?;
        let other = self.any_link()?;
        let n = self.rng.below(4);
        let table = |mut object: Object| {
            if let Object::Route(route) = &mut object {
                route.table = 90;
            }
            object
        };
        let from = |mut object: Object, src: &str| {
            if let Object::Route(route) = &mut object {
                route.prefsrc = Some(ip(src));
            }
            object
        };
        Some(match self.rng.below(15) {
            0 => address(index, "169.254.0.1/32"),
            1 => address(index, &format!("10.0.{n}.1/24")),
            2 => address(
                index,
                ["fe80::1/64", "fe80::1/128", "2001:db8::1/64", "fe80::2/64"][n as usize],
            ),
            3 | 4 => direct(&format!("203.0.113.{n}/32"), index),
            5 => direct(&format!("2001:db8:{n}::/64"), index),
            6 => route(
                "198.51.100.0/28",
                10,
                vec![hop(index, Some(&format!("203.0.113.{n}")))],
            ),
            7 => route(
                "0.0.0.0/0",
                20,
                vec![hop(index, Some("10.0.0.9")), hop(other, Some("fe80::9"))],
            ),
            8 => route(
                "::/0",
                20,
                vec![hop(index, Some("fe80::8")), hop(other, Some("fe80::9"))],
            ),
            9 => from(
                direct(&format!("192.0.2.{n}/32"), index),
                &format!("10.0.{n}.1"),
            ),
            10 => from(direct(&format!("2001:db8:f{n}::/64"), index), "2001:db8::1"),
            11 => table(route(&format!("10.{n}.0.0/16"), 10, vec![])),
            12 => neighbour(index, &format!("203.0.113.{n}"), u8::try_from(n).unwrap()),
            13 => neighbour(index, "2001:db8::5", u8::try_from(n).unwrap()),
            _ => rule(1000 + u32::try_from(n).unwrap(), 90),
        })
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_micros(self.rng.below(2000));
        match self.rng.below(100) {
            0..=24 => self.hear_one(),
            25..=34 => self.read_scan_line(),
            35..=46 => self.hand_in_outcomes(),
            47..=58 => {
                let max = 1 + self.rng.below(8);
                self.apply_batch(usize::try_from(max).unwrap());
            }
            59..=70 => self.change_want(),
            71..=77 => self.change_link(),
            78..=95 => self.meddle(),
            96 => {
                self.log(|| "lose events".into());
                self.kernel.lose_events();
            }
            97 if !self.pruning => {
                self.log(|| "allow prune".into());
                self.pruning = true;
                self.fib.allow_prune();
            }
            _ => self.now = self.now + Duration::from_millis(self.rng.below(60)),
        }
        self.drain_notices();
    }

    fn hear_one(&mut self) {
        let Some(event) = self.kernel.poll_event() else {
            return;
        };
        self.hear(event);
    }

    fn hear(&mut self, event: KernelEvent) {
        self.log(|| format!("hear {event:?}"));
        match &event {
            KernelEvent::Overrun => {
                // The shell begins again.
                self.scan.clear();
                self.scan_asked = true;
            }
            KernelEvent::ScanBegin => self.told.clear(),
            // A learned neighbour is nobody's.
            KernelEvent::Present(Object::Neighbour(n)) if n.state & 0x80 == 0 => {
                self.told.remove(&Key::Neighbour(n.index, n.addr));
            }
            KernelEvent::Present(object) if protocol(object) != OURS => {
                self.told.insert(object.key());
            }
            KernelEvent::Present(object) | KernelEvent::Absent(object) => {
                self.told.remove(&object.key());
            }
            _ => {}
        }
        self.fib.handle_event(self.now, event);
    }

    fn read_scan_line(&mut self) {
        if self.scan.is_empty() && self.scan_asked {
            self.scan_asked = false;
            self.scan = self.kernel.scan().into();
        }
        for _ in 0..=self.rng.below(8) {
            if let Some(line) = self.scan.pop_front() {
                self.hear(line);
            }
        }
    }

    fn hand_in_outcomes(&mut self) {
        if let Some((id, outcomes)) = self.outcomes.pop_front() {
            self.log(|| format!("outcomes {id:?} {outcomes:?}"));
            self.fib.handle_outcomes(self.now, id, &outcomes);
        }
    }

    fn apply_batch(&mut self, max: usize) {
        let Some(batch) = self.fib.poll_batch(self.now, max) else {
            return;
        };
        let mut outcomes = Vec::new();
        for change in &batch.changes {
            self.check_own(change);
            let outcome = self.kernel.apply(change);
            if let (Change::Add(object), Outcome::Done) = (change, &outcome) {
                // Nothing was there: what was told of has gone untold.
                self.told.remove(&object.key());
            }
            self.log(|| format!("apply {change} -> {outcome:?}"));
            outcomes.push(outcome);
        }
        self.outcomes.push_back((batch.id, outcomes));
    }

    /// A foreign object that was told of is never replaced or removed.
    fn check_own(&self, change: &Change) {
        let (Change::Replace(object) | Change::Remove(object)) = change else {
            return;
        };
        let key = object.key();
        let learned = |n: &Neighbour| n.state & 0x80 == 0;
        match self.kernel.object(&key) {
            Some(Object::Neighbour(n)) if learned(n) => {}
            Some(Object::Route(_) | Object::Rule(_)) if matches!(change, Change::Remove(_)) => {}
            Some(there) if protocol(there) != OURS && self.told.contains(&key) => {
                self.fail(&format!("{change} would hurt {there:?}"));
            }
            _ => {}
        }
    }

    fn fail(&self, what: &str) -> ! {
        for line in self.trace.iter().rev().take(400).rev() {
            eprintln!("{line}");
        }
        panic!("seed {}: {what}", self.seed);
    }

    fn change_want(&mut self) {
        if self.rng.below(3) > 0 {
            if let Some(object) = self.any_object() {
                self.log(|| format!("want {object:?}"));
                self.wants.insert(object.key(), object.clone());
                match object {
                    Object::Route(route) if self.rng.below(2) == 0 => self.fib.set_bulk(route),
                    object => self.fib.set_want(object),
                }
            }
            return;
        }
        let keys: Vec<Key> = self.wants.keys().cloned().collect();
        if let Some(key) = self.rng.pick(&keys) {
            self.log(|| format!("unwant {key:?}"));
            self.wants.remove(key);
            self.fib.unwant(key);
        }
    }

    fn change_link(&mut self) {
        let Some(index) = self.any_link() else {
            self.new_link();
            return;
        };
        self.log(|| format!("change link {index}"));
        let up = self.kernel.link(index).is_some_and(|link| link.up);
        match self.rng.below(12) {
            0 if self.kernel.links().count() > 2 => self.kernel.delete_link(index),
            1 if self.kernel.links().count() < 6 => {
                self.new_link();
            }
            2 => self.kernel.set_carrier(index, up),
            3 => {
                self.names += 1;
                let name: IfName = format!("r{}", self.names).parse().unwrap();
                self.kernel.rename(index, name);
            }
            4 => {
                self.kernel.set_up(index, !up);
                self.kernel.set_up(index, up);
            }
            5..=7 => self.kernel.set_up(index, !up),
            _ => self.kernel.set_up(index, true),
        }
    }

    /// Other programs: they delete ours, put their own, take theirs away again.
    fn meddle(&mut self) {
        let keys: Vec<Key> = self.kernel.objects().map(Object::key).collect();
        match self.rng.below(20) {
            0..=4 => {
                if let Some(key) = self.rng.pick(&keys) {
                    self.log(|| format!("meddler deletes {key:?}"));
                    self.kernel.delete(key);
                }
            }
            5..=7 => {
                let theirs: Vec<&Key> = keys
                    .iter()
                    .filter(|key| self.kernel.object(key).is_some_and(|o| protocol(o) != OURS))
                    .collect();
                if let Some(key) = self.rng.pick(&theirs) {
                    self.kernel.delete(key);
                }
            }
            8..=9 => {
                if let Some(object) = self.any_object() {
                    let mut object = foreign(object);
                    if let Object::Neighbour(n) = &mut object
                        && self.rng.below(2) == 0
                    {
                        n.state = 4;
                    }
                    self.log(|| format!("meddler puts {object:?}"));
                    self.kernel.put(&object).ok();
                }
            }
            10 => {
                if let Some(object) = self.any_object() {
                    let object = foreign(object);
                    self.log(|| format!("meddler replaces {object:?}"));
                    self.kernel.replace(&object).ok();
                }
            }
            11 => {
                // Another daemon with our number, or the operator by hand.
                if let Some(object) = self.any_object() {
                    self.log(|| format!("twin puts {object:?}"));
                    self.kernel.replace(&object).ok();
                }
            }
            _ => {}
        }
    }

    fn drain_notices(&mut self) {
        while let Some(notice) = self.fib.poll_notice() {
            self.log(|| format!("    {notice:?}"));
            match notice {
                Notice::ScanNeeded => self.scan_asked = true,
                Notice::Link(LinkChange::Gone { index, .. }) => self.unwant_on(index),
                Notice::InSync(key)
                    if !self.fib.in_sync(&key) && !self.wants.contains_key(&key) => {}
                _ => {}
            }
        }
    }

    /// What the owner does when a link is gone.
    fn unwant_on(&mut self, index: IfIndex) {
        let on = |object: &Object| match object {
            Object::Address(a) => a.index == index,
            Object::Neighbour(n) => n.index == index,
            Object::Route(r) => r.next_hops.iter().any(|hop| hop.index == index),
            _ => false,
        };
        let gone: Vec<Key> = self
            .wants
            .iter()
            .filter(|(_, o)| on(o))
            .map(|(k, _)| k.clone())
            .collect();
        for key in gone {
            self.wants.remove(&key);
            self.fib.unwant(&key);
        }
    }

    /// Everything is to go, whatever links do meanwhile.
    fn leave(&mut self) {
        self.log(|| "---- leave".into());
        self.wants.clear();
        self.fib.release();
        for _ in 0..20 {
            self.change_link();
            self.drain_notices();
            self.apply_batch(4);
        }
    }

    /// Nobody does anything any more; messages come in, retries fall due.
    fn rest(&mut self) {
        self.log(|| "---- rest".into());
        self.pruning = true;
        self.fib.allow_prune();
        let end = self.now + Duration::from_secs(300);
        let mut rounds = 0;
        while self.now < end {
            loop {
                self.drain_notices();
                let batches = self.fib_moves();
                if !batches {
                    break;
                }
                rounds += 1;
                if rounds > 5000 {
                    self.fail("no rest: it loops");
                }
            }
            match self.fib.poll_timeout() {
                Some(at) if at > self.now => self.now = at,
                Some(_) => self.fail("a timeout in the past"),
                None => break,
            }
        }
    }

    fn fib_moves(&mut self) -> bool {
        let mut moved = false;
        while self.kernel.waiting() > 0 {
            self.hear_one();
            self.drain_notices();
            moved = true;
        }
        while !self.outcomes.is_empty() {
            self.hand_in_outcomes();
            moved = true;
        }
        while !self.scan.is_empty() || self.scan_asked {
            self.read_scan_line();
            moved = true;
        }
        let flying = self.outcomes.len();
        self.apply_batch(64);
        self.drain_notices();
        moved | self.scan_asked | (self.outcomes.len() > flying)
    }

    fn check_rest(&self) {
        for there in self.kernel.objects().filter(|o| protocol(o) == OURS) {
            let key = there.key();
            let Some(want) = self.wants.get(&key) else {
                self.fail(&format!("left over: {there:?}"));
            };
            if !self.fib.in_sync(&key) {
                let failed = self.kernel.clone().apply(&Change::Replace(want.clone()));
                let foreign_twin = matches!(self.fib.status(&key), Status::Foreign);
                if failed == Outcome::Done && !self.is_down(want) || foreign_twin {
                    self.fail(&format!(
                        "{:?}: wanted {want:?}, there {there:?}",
                        self.fib.status(&key)
                    ));
                }
            }
        }
        for (key, want) in &self.wants {
            self.check_want(key, want);
        }
        let mirrored: Vec<Key> = self.fib.ours().map(|object| object.key()).collect();
        let ours = self.kernel.objects().filter(|o| protocol(o) == OURS);
        let there: Vec<Key> = ours.map(Object::key).collect();
        // What crossed with its link going down is looked at again when it comes up.
        let excused = |key: &&Key| self.wants.get(*key).is_some_and(|want| self.is_down(want));
        let strange = |key: &&Key| mirrored.contains(key) != there.contains(key) && !excused(key);
        if mirrored.iter().chain(&there).any(|key| strange(&key)) {
            self.fail(&format!("mirror {mirrored:?}\nkernel {there:?}"));
        }
        for link in self.kernel.links() {
            if self.fib.link(link.index) != Some(link) {
                self.fail(&format!(
                    "link {link:?} is mirrored as {:?}",
                    self.fib.link(link.index)
                ));
            }
            let mirrored: Vec<Key> = self
                .fib
                .addresses(link.index)
                .map(|(a, _)| Key::Address(a.index, a.addr, a.len))
                .collect();
            let there = self.kernel.objects().map(Object::key);
            let there: Vec<Key> = there
                .filter(|k| matches!(k, Key::Address(i, ..) if *i == link.index))
                .collect();
            if mirrored != there {
                self.fail(&format!("addresses {mirrored:?}, kernel {there:?}"));
            }
        }
    }

    fn is_down(&self, want: &Object) -> bool {
        let down = |index| !self.kernel.link(index).is_some_and(|link| link.up);
        match want {
            Object::Address(a) => down(a.index),
            Object::Neighbour(n) => down(n.index),
            Object::Route(r) => r.next_hops.iter().any(|hop| down(hop.index)),
            _ => false,
        }
    }

    fn check_want(&self, key: &Key, want: &Object) {
        let there = self.kernel.object(key);
        let status = self.fib.status(key);
        match there {
            Some(there) if protocol(there) == OURS => {}
            Some(Object::Neighbour(n)) if n.state & 0x80 == 0 && !self.is_down(want) => {
                self.fail(&format!(
                    "{status:?}: a learned neighbour stands in for {want:?}"
                ));
            }
            Some(there) => {
                let down = self.is_down(want) && status == Status::Pending;
                // What the kernel would refuse anyway is refused for that reason first.
                let down = down || matches!(status, Status::Failed { errno, .. } if errno != 17);
                if status != Status::Foreign && !down {
                    self.fail(&format!(
                        "{status:?}: {there:?} is foreign, wanted {want:?}"
                    ));
                }
            }
            None => {
                let outcome = self.kernel.clone().apply(&Change::Add(want.clone()));
                if outcome == Outcome::Done && !self.is_down(want) {
                    self.fail(&format!("{status:?}: not there: {want:?}"));
                }
                if status == Status::InSync {
                    self.fail(&format!("not there, but in sync: {want:?}"));
                }
            }
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn at_rest_the_kernel_has_what_is_wanted() {
    let steps = number("WALK_STEPS", 2000);
    let seeds = match number("WALK_SEED", u64::MAX) {
        u64::MAX => 0..number("WALK_SEEDS", 50),
        seed => seed..seed + 1,
    };
    let mut rested = 0;
    for seed in seeds {
        let mut walk = Walk::new(seed);
        for _ in 0..steps {
            walk.step();
        }
        walk.rest();
        walk.check_rest();
        rested += walk.fib.bulk_at_rest().0;
        // Again from there: what a rest left behind must not bite later.
        for _ in 0..steps / 4 {
            walk.step();
        }
        walk.rest();
        walk.check_rest();
        for _ in 0..20 {
            walk.step();
        }
        walk.leave();
        walk.rest();
        walk.check_rest();
    }
    assert!(rested > 0, "no route came to rest");
}
