//! Coming to rest, and comparing what is there with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapway_fib::{Change, Key, NextHop, Object, Route, RouteKind};
use tapway_intent::SourceEvent;
use tapway_model::{Domain, Family, Prefix};
use tapway_node::{Explanation, Stage, Verdict};

use super::{Walk, content};
use crate::sim::model::{Due, OURS, protocol};
use crate::sim::watch::FORWARDING;
use crate::sim::{ROUTER_ADDR, prefix};

/// Longer than every retry and back-off, and the grace.
const REST: Duration = Duration::from_secs(130);
/// Longer than anything that is kept of a lost session.
const LONG_REST: Duration = Duration::from_secs(400);

impl Walk {
    /// Lets everything come to rest and compares it with the model; perhaps restarts the daemon then.
    pub(super) fn rest(&mut self) -> String {
        self.count("step: rest");
        let mut what = "everything comes to rest".to_owned();
        if !self.world.is_running() {
            what += &format!(", {}", self.start());
        }
        if !self.world.has_uplink() && !self.dice.once_in(4) {
            self.world.set_uplink(true);
            what += ", the uplink goes up";
        }
        self.pass(REST);
        for _ in 0..3 {
            let routers = 0..=self.others.len();
            let up = |router| self.world.is_established_with(router);
            if !self.world.has_uplink() || !routers.into_iter().all(up) {
                self.pass(LONG_REST);
            }
        }
        self.free_disk();
        self.compare();
        if self.world.is_established() {
            self.router_forgot = false;
        }
        if self.faults.is_empty() && self.dice.once_in(3) {
            what += &self.restart_unchanged();
        }
        what
    }

    /// Kernel, router and explanations against the model.
    fn compare(&mut self) {
        let mut due = self.model.due(&self.world.kernel, content::ROUTER);
        self.add_received_default(&mut due);
        *self.tally.entry("prefixes announced at rest").or_insert(0) +=
            due.seen_prefixes().len() as u64;
        *self.tally.entry("kernel objects at rest").or_insert(0) += due.must.len() as u64;
        self.compare_kernel(&due);
        self.compare_states();
        self.compare_router(&due);
        self.compare_others();
        self.compare_explanations(&due);
        if !self.faults.is_empty() {
            let scene = self.scene();
            self.faults.extend(scene);
        }
        let kept: BTreeSet<_> = (self.world.kept())
            .map(|(source, i)| (source.clone(), i.name.clone(), format!("{i:?}")))
            .collect();
        let said: BTreeSet<_> = (self.model.instances())
            .map(|(source, i)| (source.clone(), i.name.clone(), format!("{i:?}")))
            .collect();
        if kept != said {
            self.fault(format!("on disk: {kept:?}; said: {said:?}"));
        }
    }

    /// Links and what was said, for whoever looks for the cause.
    pub(super) fn scene(&self) -> Vec<String> {
        let links = self.world.kernel.links().map(|link| {
            let (name, index, up, carrier) = (&link.name, link.index, link.up, link.carrier);
            format!("link {name}: index {index}, up {up}, carrier {carrier}")
        });
        let said = self.model.instances().map(|(source, instance)| {
            let words = super::step::words(instance);
            format!("said by {source}: {words}")
        });
        let mut scene: Vec<String> = links.chain(said).collect();
        scene.extend(self.model.ranking());
        if let Some(node) = self.world.running() {
            let seen = node.fib().foreign_defaults(Family::Ipv4);
            scene.extend(seen.map(|route| format!("the daemon sees their {route:?}")));
        }
        let theirs = (self.world.kernel.objects()).filter(|o| protocol(o) != Some(OURS));
        scene.extend(theirs.map(|object| format!("theirs: {object:?}")));
        for (_, prefix, _) in self.model.claimed() {
            let covering = self.world.running().map(|n| n.intent().covering(&prefix));
            for c in covering.into_iter().flat_map(|c| c.claims) {
                let (domain, claim) = (c.domain, c.claim);
                scene.push(format!(
                    "daemon's order {}: {claim} in {domain}",
                    claim.order
                ));
            }
        }
        scene
    }

    /// Each object asked for, and all at once: the same answer.
    fn compare_states(&mut self) {
        let Some(node) = self.world.running() else {
            return;
        };
        let fib = node.fib();
        let differs = |(object, status): (&Object, tapway_fib::Status)| {
            let asked = fib.status(&object.key());
            (asked != status).then(|| format!("{object:?}: {status:?}, asked for {asked:?}"))
        };
        let faults: Vec<String> = fib.states().filter_map(differs).collect();
        for fault in faults {
            self.fault(fault);
        }
    }

    /// The router's default route, behind every default of the host's own.
    fn add_received_default(&self, due: &mut Due) {
        let Some(eth0) = self.world.index("eth0") else {
            return;
        };
        if !self.router_announces_default || !self.world.is_established() {
            return;
        }
        let own = self
            .world
            .kernel
            .objects()
            .filter_map(|object| match object {
                Object::Route(r) if r.prefix == Prefix::DEFAULT_V4 && r.protocol != OURS => {
                    Some(r.metric + 1)
                }
                _ => None,
            });
        let route = Object::Route(Route {
            table: 254,
            prefix: prefix("0.0.0.0/0"),
            metric: own.max().unwrap_or(0).max(20),
            kind: RouteKind::Unicast,
            scope: 0,
            next_hops: vec![NextHop {
                index: eth0,
                via: Some(ROUTER_ADDR.into()),
                onlink: false,
                weight: 1,
            }],
            prefsrc: None,
            protocol: OURS,
        });
        due.must.insert(route.key(), route);
    }

    fn compare_kernel(&mut self, due: &Due) {
        let objects = self.world.kernel.objects();
        let ours: BTreeMap<Key, Object> = objects
            .filter(|object| protocol(object) == Some(OURS))
            .map(|object| (object.key(), object.clone()))
            .collect();
        for (key, want) in &due.must {
            match ours.get(key) {
                None => {
                    let status = self.world.running().map(|node| node.fib().status(key));
                    self.fault(format!("not in the kernel: {want:?}; {status:?}"));
                }
                Some(have) if !same(want, have) => {
                    self.fault(format!("in the kernel: {have:?}, due: {want:?}"));
                }
                Some(_) => {}
            }
        }
        for (key, have) in &ours {
            if !due.must.contains_key(key) && !due.may.contains(key) {
                self.fault(format!("in the kernel without a reason: {have:?}"));
            }
        }
        for path in FORWARDING {
            if due.forwards && self.world.kernel.sysctl(path) != Some("1") {
                self.fault(format!("{path} is not 1"));
            }
        }
    }

    fn compare_router(&mut self, due: &Due) {
        let announced: BTreeSet<(Domain, Prefix)> = (self.world.node().claims())
            .filter(|(_, _, announced)| *announced)
            .map(|(id, _, _)| *id)
            .collect();
        let want: BTreeSet<(Domain, Prefix)> = due.announced.keys().copied().collect();
        for (domain, prefix) in announced.symmetric_difference(&want) {
            let is = announced.contains(&(*domain, *prefix));
            let text = if is { "is" } else { "is not" };
            self.fault(format!("{prefix} in {domain} {text} announced"));
        }
        let (fresh, received) = (self.world.fresh(), self.world.received());
        let seen = match self.world.is_established() {
            true => due.seen_prefixes(),
            // By now the router has dropped all.
            false => BTreeSet::new(),
        };
        for (what, has) in [("fresh", fresh), ("stale or fresh", received)] {
            if has != seen {
                self.fault(format!("the router has {what}: {has:?}, due: {seen:?}"));
            }
        }
        if self.world.has_uplink() && !self.world.is_established() {
            self.fault("the session does not come back".to_owned());
        }
    }

    /// Whether a claim is announced, and the first broken link of its chain, tell the same.
    fn compare_explanations(&mut self, due: &Due) {
        let (now, up) = (self.world.now, self.world.is_established());
        for (domain, prefix, network) in self.model.claimed() {
            let explanation = self.world.node().explain(now, prefix, Some(&network));
            let whole = explanation.claimed == Some(prefix) && is_whole(&explanation);
            let announced = due.announced.get(&(domain, prefix)) == Some(&network);
            self.count("explanations compared");
            if whole != announced {
                self.fault(format!(
                    "{prefix} in {network} is announced: {announced}, explained: {explanation:#?}"
                ));
            }
            let has_it = (explanation.steps.iter())
                .any(|step| step.stage == Stage::Peer && step.verdict == Verdict::Ok);
            if has_it
                && !(up && due.seen_prefixes().contains(&prefix))
                && !self.is_due_at_another(&prefix)
            {
                self.fault(format!(
                    "{prefix} is at no router, explained: {explanation:#?}"
                ));
            }
        }
    }

    /// A daemon that dies and comes back to an unchanged world changes nothing in the kernel, and the
    /// router loses nothing, whether its sources live or not.
    fn restart_unchanged(&mut self) -> String {
        self.count("step: restart unchanged");
        let had = self.world.received();
        self.world.watch.done.clear();
        self.world.kill();
        let down = Duration::from_millis(self.dice.roll(90_000));
        self.pass(down);
        self.start();
        self.check_unchanged(&had, "after the start");
        let mut what = format!("; the daemon is dead for {down:?} and starts");
        for source in ["files", "api"] {
            match self.dice.roll(4) {
                0 => self.say(source, SourceEvent::Dead("lost".to_owned())),
                1 => continue,
                _ => {
                    self.say(source, SourceEvent::Begin);
                    for instance in self.model.instances_of(&super::step::source_name(source)) {
                        self.say(source, SourceEvent::Put(instance));
                    }
                    self.say(source, SourceEvent::Complete);
                    what += &format!(", {source} says the same");
                    continue;
                }
            }
            what += &format!(", {source} is dead");
        }
        for _ in 0..4 {
            self.pass(Duration::from_secs(12));
            self.check_unchanged(&had, "later");
        }
        self.pass(REST);
        self.compare();
        what
    }

    fn check_unchanged(&mut self, had: &BTreeSet<Prefix>, when: &str) {
        self.due = self.model.due(&self.world.kernel, content::ROUTER);
        let forwards = self.due.forwards;
        for change in std::mem::take(&mut self.world.watch.done) {
            // Without a guest left nobody needs forwarding any more, and when all sources have spoken what
            // was kept for a silent one goes.
            let expected = match &change {
                Change::Replace(Object::Sysctl(_)) => !forwards,
                Change::Remove(object) => !self.due.must.contains_key(&object.key()),
                _ => false,
            };
            if !expected {
                self.fault(format!("a restart with nothing changed, {when}: {change}"));
            }
        }
        let has = self.world.received();
        if !had.is_subset(&has) {
            let lost: Vec<String> = had.difference(&has).map(Prefix::to_string).collect();
            self.fault(format!("the router lost {} {when}", lost.join(", ")));
        }
    }
}

fn is_whole(explanation: &Explanation) -> bool {
    let mut before = explanation.steps.iter().filter(|s| s.stage < Stage::Peer);
    before.all(|step| step.verdict != Verdict::Broken)
}

/// Flags are the kernel's, and so is the scope of an IPv6 address.
fn same(want: &Object, have: &Object) -> bool {
    match (want, have) {
        (Object::Address(w), Object::Address(h)) => w.addr.is_ipv6() || w.scope == h.scope,
        (want, have) => want == have,
    }
}
