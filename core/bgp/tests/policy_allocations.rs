//! Evaluating a policy takes memory only where a list or the path is changed.

use tapway_bgp::config::{Change, Match, PathMatch, Policy, Rule, Set, Verdict};
use tapway_bgp::policy::{
    AnyOf, Context, PathRegex, Pattern, Policies, PrefixMatch, PrefixSet, RouteAttributes,
    RouteView, Way,
};
use tapway_bgp::{AsPath, Attributes, Community, NextHop};
use tapway_model::{PeerName, PolicyName};

fn rule(matches: Match, set: Set, action: Verdict) -> Rule {
    Rule {
        matches,
        set,
        call: None,
        action,
    }
}

/// Rules with every kind of condition, then one that sets `communities`.
fn policies(communities: Change<Community>) -> Policies {
    let prefixes = |text: &str| {
        PrefixSet::new(vec![PrefixMatch {
            prefix: text.parse().expect("a good text"),
            ge: 0,
            le: 32,
        }])
    };
    let misses = [
        Match {
            prefixes: prefixes("198.51.100.0/24"),
            ..Match::default()
        },
        Match {
            communities: AnyOf(vec![vec![Pattern::exactly(Community(1))]]),
            ..Match::default()
        },
        Match {
            as_path: PathMatch {
                regex: vec![PathRegex::new("_1_").expect("a good text")],
                ..PathMatch::default()
            },
            ..Match::default()
        },
        Match {
            next_hop: prefixes("198.51.100.0/24"),
            ..Match::default()
        },
    ];
    let set = Set {
        local_pref: Some(200),
        med: Some(5),
        communities,
        ..Set::default()
    };
    let mut rules: Vec<Rule> = misses
        .into_iter()
        .map(|matches| rule(matches, Set::default(), Verdict::Reject))
        .collect();
    rules.push(Rule {
        call: Some("none-of-it".parse().expect("a good text")),
        ..rule(Match::default(), set, Verdict::Accept)
    });
    let mut policies = Policies::default();
    policies.set([
        Policy {
            name: "p".parse().expect("a good text"),
            rules,
        },
        Policy {
            name: "none-of-it".parse().expect("a good text"),
            rules: Vec::new(),
        },
    ]);
    policies
}

#[test]
fn nothing_is_allocated_unless_a_list_is_changed() {
    let peer: PeerName = "tor1".parse().expect("a good text");
    let name: PolicyName = "p".parse().expect("a good text");
    let attributes = Attributes {
        as_path: AsPath::sequence([65000, 64512]),
        communities: vec![Community(64612 << 16 | 90)],
        ..Attributes::default()
    };
    let route = RouteView::received(
        "10.0.0.0/8".parse().expect("a good text"),
        &peer,
        NextHop::V4([192, 0, 2, 1].into()),
        RouteAttributes::Values(&attributes),
    );
    let context = Context {
        way: Way::Import,
        peer: Some(&peer),
        asn: 64612,
    };
    let add = |value| Change {
        add: vec![Community(value)],
        ..Change::default()
    };
    for (change, allocates) in [
        (Change::default(), false),
        (add(64612 << 16 | 90), false),
        (add(1), true),
    ] {
        let policies = policies(change);
        let mut accepted = false;
        let count = allocation_counter::measure(|| {
            let outcome = policies.named(&name).evaluate(&route, &context);
            accepted = outcome.accepted && outcome.changes.local_pref == Some(200);
        });
        assert!(accepted);
        assert_eq!(count.count_total > 0, allocates);
    }
}
