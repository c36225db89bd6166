//! Time of one evaluation. Run with `cargo bench -p tapway-bgp --bench policy`.

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use tapway_bgp::config::{Change, Match, PathMatch, Policy, Rule, Set, Verdict};
use tapway_bgp::policy::{
    AnyOf, Context, PathRegex, Pattern, Policies, PrefixMatch, PrefixSet, RouteAttributes,
    RouteView, Way,
};
use tapway_bgp::{AsPath, Attributes, Community, NextHop};
use tapway_model::{PeerName, PolicyName, Prefix};

const ROUNDS: u32 = 2_000_000;
const PREFIXES: u32 = 100_000;

/// A step through all 32-bit numbers that visits them in no order.
fn scatter(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761)
}

fn time(what: &str, mut one: impl FnMut(u32) -> bool) {
    let start = Instant::now();
    let mut hits = 0u32;
    for i in 0..ROUNDS {
        hits += u32::from(black_box(one(i)));
    }
    let each = start.elapsed().as_nanos() / u128::from(ROUNDS);
    println!("{what:<60} {each:>6} ns  ({hits} of {ROUNDS} held)");
}

fn sets() {
    let v4 = |i: u32| Prefix::truncated(Ipv4Addr::from(scatter(i)).into(), 16 + (i % 9) as u8);
    let v6 = |i: u32| {
        let bits = 0x2001u128 << 112 | u128::from(scatter(i)) << 80;
        Prefix::truncated(Ipv6Addr::from(bits).into(), 32 + (i % 17) as u8)
    };
    let set = |prefix: &dyn Fn(u32) -> Prefix| {
        let of = |i| PrefixMatch {
            prefix: prefix(i),
            ge: prefix(i).len(),
            le: 24 + prefix(i).len() / 2,
        };
        PrefixSet::new((0..PREFIXES).map(of).collect())
    };
    let (in_v4, in_v6) = (set(&v4), set(&v6));
    time("100,000 IPv4 prefixes, any order", |i| {
        in_v4.contains(&v4(i % (2 * PREFIXES)))
    });
    time("100,000 IPv6 prefixes, any order", |i| {
        in_v6.contains(&v6(i % (2 * PREFIXES)))
    });
}

fn policies() {
    let communities = |value| AnyOf(vec![vec![Pattern::exactly(Community(value))]]);
    let mut rules: Vec<Rule> = (0..20u32)
        .map(|i| Rule {
            matches: Match {
                communities: communities(i),
                ..Match::default()
            },
            set: Set::default(),
            call: None,
            action: Verdict::Reject,
        })
        .collect();
    rules.push(Rule {
        matches: Match {
            as_path: PathMatch {
                regex: vec![PathRegex::new("^65000_.*_64512$").unwrap_or_else(|e| panic!("{e}"))],
                ..PathMatch::default()
            },
            ..Match::default()
        },
        set: Set {
            local_pref: Some(200),
            ..Set::default()
        },
        call: None,
        action: Verdict::Accept,
    });
    let tagged = Rule {
        matches: Match::default(),
        set: Set {
            communities: Change {
                add: vec![Community(7)],
                ..Change::default()
            },
            ..Set::default()
        },
        ..rules[20].clone()
    };
    let name = |text: &str| text.parse::<PolicyName>().unwrap_or_else(|e| panic!("{e}"));
    let mut policies = Policies::default();
    policies.set([
        Policy {
            name: name("p"),
            rules,
        },
        Policy {
            name: name("tag"),
            rules: vec![tagged],
        },
    ]);
    let peer: PeerName = "tor1".parse().unwrap_or_else(|e| panic!("{e}"));
    let attributes = Attributes {
        as_path: AsPath::sequence([65000, 64500, 64501, 64512]),
        communities: (100..108).map(Community).collect(),
        ..Attributes::default()
    };
    let route = RouteView::received(
        Prefix::DEFAULT_V4,
        &peer,
        NextHop::V4([192, 0, 2, 1].into()),
        RouteAttributes::Values(&attributes),
    );
    let context = Context {
        way: Way::Import,
        peer: Some(&peer),
        asn: 64612,
    };
    for (what, name) in [
        ("all: built in", name("all")),
        (
            "20 rules on 8 communities, then a regex on 4 ASes",
            name("p"),
        ),
        ("one rule that adds a community to 8", name("tag")),
    ] {
        let policy = policies.named(&name);
        time(what, |_| policy.evaluate(&route, &context).accepted);
    }
}

/// What it takes to make things ready: once, when a policy is read.
fn make() {
    let once = |what: &str, one: &dyn Fn()| {
        let start = Instant::now();
        one();
        let took = start.elapsed().as_micros();
        println!("{what:<60} {took:>6} us");
    };
    let entries: Vec<PrefixMatch> = (0..PREFIXES)
        .map(|i| PrefixMatch {
            prefix: Prefix::truncated(Ipv4Addr::from(scatter(i)).into(), 24),
            ge: 24,
            le: 32,
        })
        .collect();
    once("making a set of 100,000 prefixes", &|| {
        black_box(PrefixSet::new(entries.clone()));
    });
    for text in [
        "^65000_.*_64512$",
        "_(1|2)*1(1|2){12}_",
        "(1|2)*1(1|2){40}",
        "([0-9]{1,9}_){1,200}",
    ] {
        let good = PathRegex::new(text).is_ok();
        let what = if good { "making" } else { "refusing" };
        once(&format!("{what} {text}"), &|| {
            let _ = black_box(PathRegex::new(text));
        });
    }
}

fn main() {
    make();
    sets();
    policies();
}
