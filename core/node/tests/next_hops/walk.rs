//! A random walk: other programs, guests, peers and links change what next hops are reached by, in any order, told and untold;
//! the daemon is restarted. From time to time everything comes to rest, and must be what a simple model says: a next hop is
//! where the kernel would send to it if there were no received routes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tapway_fib::{IfIndex, Key, Object, Route, RouteKind, RouteNews};
use tapway_intent::SourceEvent;
use tapway_model::{Prefix, SourceName};
use tapway_node::{CLAIM_METRIC, Start};

use crate::world::*;

const SEEDS: u64 = 50;
const STEPS: usize = 500;

/// Prefixes of other programs' routes, the default first.
const FOREIGN: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.9.0.0/16",
    "10.9.9.0/24",
    "10.9.9.9/32",
    "10.8.0.0/16",
    "10.8.8.0/24",
    "10.3.0.0/16",
];
const METRICS: [u32; 4] = [0, 7, 50, 100];
/// Next hops: the last is on a link.
const HOPS: [&str; 5] = [FAR, "10.9.1.1", FARTHER, "10.3.0.1", "198.51.100.77"];
/// Some lie around next hops, one does not.
const RECEIVED: [&str; 8] = [
    "10.0.0.0/8",
    "10.9.0.0/16",
    "10.9.9.0/24",
    "10.9.9.8/29",
    "10.8.0.0/16",
    "10.8.8.0/24",
    "10.3.0.0/24",
    PREFIX,
];
/// What the guest has, one of them in the midst of routes; always the last.
const CLAIMS: [&str; 5] = [FAR, FARTHER, "10.3.0.1", "10.9.8.0/21", "10.4.0.1"];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// Where a next hop is: metric and ways.
type Way = (u32, BTreeSet<(IfIndex, IpAddr)>);

struct Walk {
    dice: Dice,
    world: World,
    via_default: bool,
    /// The next hop by which each peer announces a prefix.
    announced: BTreeMap<(u8, &'static str), &'static str>,
    claims: BTreeSet<&'static str>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut dice = Dice(seed);
        let via_default = dice.roll(2) == 0;
        let mut walk = Walk {
            dice,
            world: World::with(via_default),
            via_default,
            announced: BTreeMap::new(),
            claims: BTreeSet::new(),
        };
        walk.tell_claims();
        walk
    }

    fn step(&mut self) -> String {
        for number in [1, 2] {
            self.world.keep_alive(number);
        }
        let what = match self.dice.roll(20) {
            0..4 => self.put(),
            4..6 => self.delete(),
            6 => self.untold(RouteNews::Changed),
            7 => self.untold(RouteNews::Lost),
            8..12 => self.announce(),
            12..14 => self.withdraw(),
            14 => self.claim(),
            15 => self.link(),
            16 => {
                let scan = self.world.kernel.scan();
                self.world.node.handle_kernel(self.world.now, scan);
                "a scan".to_owned()
            }
            17 => {
                self.rest();
                match self.dice.roll(3) {
                    0 => self.restart(),
                    _ => "rest".to_owned(),
                }
            }
            18 => {
                self.world.slow = !self.world.slow;
                format!("searches are slow: {}", self.world.slow)
            }
            _ => {
                let time = (1 + self.dice.roll(200) as u32) * MILLISECOND;
                self.world.advance(time);
                format!("{time:?} pass")
            }
        };
        if self.dice.roll(2) == 0 {
            self.world.settle();
            return what + "; settled";
        }
        what
    }

    /// Another program puts a route in, or in the place of its own.
    fn put(&mut self) -> String {
        let (to, metric) = (self.dice.pick(&FOREIGN), self.dice.pick(&METRICS));
        let mut ways = [("198.51.100.254", ETH0), ("198.51.101.254", ETH1)].to_vec();
        if self.dice.roll(2) == 0 {
            ways.reverse();
        }
        let (via, index) = ways[0];
        let mut route = foreign(to, via, index, metric);
        match self.dice.roll(8) {
            0 => {
                let (via, index) = ways[1];
                route
                    .next_hops
                    .extend(foreign(to, via, index, metric).next_hops);
            }
            1 if to != FOREIGN[0] => {
                route.kind = RouteKind::Unreachable;
                route.next_hops.clear();
            }
            _ => {}
        }
        let done = self.world.kernel.replace(&Object::Route(route));
        format!("{to} metric {metric} via {via}: {done:?}")
    }

    /// Other programs' routes.
    fn foreign(&self) -> Vec<Route> {
        let routes = self
            .world
            .kernel
            .objects()
            .filter_map(|object| match object {
                Object::Route(route) if route.protocol != 112 => Some(route.clone()),
                _ => None,
            });
        routes.collect()
    }

    fn delete(&mut self) -> String {
        let all = self.foreign();
        if all.is_empty() {
            return "nothing to delete".to_owned();
        }
        let route = &all[self.dice.roll(all.len())];
        let key = Key::Route(route.table, route.prefix, route.metric);
        assert!(self.world.kernel.delete(&key));
        format!("{} metric {} deleted", route.prefix, route.metric)
    }

    /// Something happens of which only `news` is told. The default is told by another socket.
    fn untold(&mut self, news: RouteNews) -> String {
        self.world.settle();
        let mut what = format!("only {news:?} is told of this:");
        for _ in 0..=self.dice.roll(2) {
            let all = self.foreign();
            let few: Vec<&Route> = all.iter().filter(|r| r.prefix.len() > 0).collect();
            if !few.is_empty() {
                let route = few[self.dice.roll(few.len())];
                let key = Key::Route(route.table, route.prefix, route.metric);
                self.world.kernel.delete(&key);
                what += &format!(" {} metric {} deleted", route.prefix, route.metric);
            }
            if news == RouteNews::Lost {
                let to = self.dice.pick(&FOREIGN[1..]);
                let route = foreign(to, "198.51.101.254", ETH1, self.dice.pick(&METRICS));
                what += &format!(" {to} metric {}", route.metric);
                _ = self.world.kernel.replace(&Object::Route(route));
            }
        }
        while self.world.kernel.poll_event().is_some() {}
        self.world.node.handle_routes(self.world.now, [news]);
        what
    }

    fn announce(&mut self) -> String {
        let number = self.dice.pick(&[1, 2]);
        let (hop, to) = (self.dice.pick(&HOPS), self.dice.pick(&RECEIVED));
        self.announced.insert((number, to), hop);
        self.world.hear(number, &announcement(hop, &[to]));
        format!("rr{number} announces {to} by {hop}")
    }

    fn withdraw(&mut self) -> String {
        let all: Vec<_> = self.announced.keys().copied().collect();
        if all.is_empty() {
            return "nothing to withdraw".to_owned();
        }
        let (number, to) = self.dice.pick(&all);
        self.announced.remove(&(number, to));
        self.world.hear(number, &withdrawal(&[to]));
        format!("rr{number} withdraws {to}")
    }

    fn claim(&mut self) -> String {
        let addr = self.dice.pick(&CLAIMS[..4]);
        if !self.claims.remove(addr) {
            self.claims.insert(addr);
        }
        self.tell_claims();
        format!("the guest has {:?}", self.claims)
    }

    fn tell_claims(&mut self) {
        let source = SourceName::new("api").unwrap();
        let instance = guest(self.claims.iter().chain([&CLAIMS[4]]));
        let (node, now) = (&mut self.world.node, self.world.now);
        node.handle_source(now, &source, SourceEvent::Begin);
        node.handle_source(now, &source, SourceEvent::Put(instance));
        node.handle_source(now, &source, SourceEvent::Complete);
    }

    fn link(&mut self) -> String {
        let index = self.dice.pick(&[ETH0, ETH1]);
        let link = self.world.kernel.link(index).unwrap();
        let (up, carrier) = (link.up, link.carrier);
        match self.dice.roll(2) {
            0 => self.world.kernel.set_up(index, !up),
            _ => self.world.kernel.set_carrier(index, !carrier),
        }
        let link = self.world.kernel.link(index).unwrap();
        format!("link {index}: up {}, carrier {}", link.up, link.carrier)
    }

    /// The daemon dies and comes back to what it left: nothing moves.
    fn restart(&mut self) -> String {
        let kernel = self.world.kernel.clone();
        self.world = World::on(kernel, Start::Warm, self.via_default);
        self.world.slow = self.dice.roll(2) == 0;
        let mut late = self.announced.clone();
        if self.dice.roll(2) == 0 {
            self.tell_claims();
        }
        self.world.settle();
        for number in [1, 2] {
            self.world.establish(number);
        }
        while !late.is_empty() {
            let all: Vec<_> = late.keys().copied().collect();
            let (number, to) = self.dice.pick(&all);
            let hop = late.remove(&(number, to)).unwrap();
            self.world.hear(number, &announcement(hop, &[to]));
            if self.dice.roll(2) == 0 {
                self.world.settle();
            }
        }
        self.tell_claims();
        for number in [1, 2] {
            self.world.end_of_rib(number);
        }
        self.rest();
        assert_eq!(self.world.changes, [""; 0], "after a restart");
        "a restart".to_owned()
    }

    /// Everything comes to rest and is what it should be.
    fn rest(&mut self) {
        self.world.slow = false;
        // A search that is under way ends now: one that took seconds would be followed by minutes without.
        self.world.settle();
        for _ in 0..3 {
            self.world.advance(10 * SECOND);
            for number in [1, 2] {
                self.world.keep_alive(number);
            }
        }
        self.world.settle();
        let ways: BTreeMap<&str, Option<Way>> =
            HOPS.iter().map(|hop| (*hop, self.way(&ip(hop)))).collect();
        for hop in self.announced.values() {
            let found = self.world.node.next_hop(&ip(hop));
            let found = found.unwrap_or_else(|| panic!("nothing is known of {hop}"));
            let legs = |r: &tapway_node::Reached| {
                let legs = r.ways.iter().map(|w| (w.index, w.via.unwrap()));
                (r.metric, legs.collect())
            };
            let is = found.as_ref().ok().map(legs);
            assert_eq!(is, ways[hop], "{hop}: {found:?}");
        }
        let mut due: BTreeMap<Prefix, BTreeSet<(IfIndex, IpAddr)>> = BTreeMap::new();
        for to in RECEIVED {
            let by = [1, 2].into_iter();
            let by = by.filter_map(|n| ways[self.announced.get(&(n, to))?].clone());
            let by: Vec<Way> = by.collect();
            if let Some(nearest) = by.iter().map(|(metric, _)| *metric).min() {
                let best = by.into_iter().filter(|(metric, _)| *metric == nearest);
                due.insert(prefix(to), best.flat_map(|(_, legs)| legs).collect());
            }
        }
        let installed = self.received().map(|r| {
            let legs = r.next_hops.iter().map(|leg| (leg.index, leg.via.unwrap()));
            (r.prefix, legs.collect())
        });
        assert_eq!(installed.collect::<BTreeMap<_, _>>(), due);
    }

    /// Received routes in the kernel.
    fn received(&self) -> impl Iterator<Item = &Route> {
        let objects = self.world.kernel.objects();
        objects.filter_map(|object| match object {
            Object::Route(r) if r.protocol == 112 && r.metric == 20 => Some(r),
            _ => None,
        })
    }

    /// The model.
    fn way(&self, hop: &IpAddr) -> Option<Way> {
        let usable = |index: IfIndex| {
            let link = self.world.kernel.link(index);
            link.is_some_and(|link| link.up && link.carrier)
        };
        if prefix("198.51.100.0/24").contains_addr(hop) && usable(ETH0) {
            return Some((0, [(ETH0, *hop)].into()));
        }
        let mut bare = self.world.kernel.clone();
        for route in self.received() {
            bare.delete(&Key::Route(route.table, route.prefix, route.metric));
        }
        let route = bare.lookup(*hop).ok().flatten()?;
        if route.protocol == 112 || route.prefix.len() == 0 && !self.via_default {
            return None;
        }
        let legs = route.next_hops.iter().filter(|leg| usable(leg.index));
        let legs: BTreeSet<_> = legs.map(|leg| (leg.index, leg.via.unwrap())).collect();
        (!legs.is_empty()).then_some((route.metric, legs))
    }
}

fn walk(seed: u64) {
    let mut trail = Vec::new();
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut walk = Walk::new(seed);
        for _ in 0..STEPS {
            trail.push("…".to_owned());
            let what = walk.step();
            *trail.last_mut().unwrap() = what;
        }
        assert_eq!(CLAIM_METRIC, 10);
        walk.rest();
    }));
    if walked.is_err() {
        let from = trail.len().saturating_sub(30);
        for (at, what) in trail.iter().enumerate().skip(from) {
            eprintln!("{at}: {what}");
        }
        panic!(
            "TAPWAY_SEED={seed} walks it again: failed at step {}",
            trail.len()
        );
    }
}

#[test]
fn at_rest_next_hops_are_where_the_kernel_says() {
    match std::env::var("TAPWAY_SEED") {
        Ok(seed) => walk(seed.parse().unwrap()),
        Err(_) => (0..SEEDS).for_each(walk),
    }
}
