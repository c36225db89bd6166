//! Routes judged by what the RPKI says, and again when it says something else.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tapway_bgp_wire::{AsPath, AsSegment, SegmentKind};
use tapway_model::Family;
use tapway_rpki::{RpkiState, Vrp, VrpSet, VrpTable};

use super::net::*;
use super::several::{self, NOW, tor};
use crate::config::{Match, Policy, Rule, Set, Verdict};
use crate::*;

const A: &str = "203.0.113.0/24";
const B: &str = "198.51.100.0/24";

fn vrps(all: &[(&str, u32)]) -> VrpTable {
    let vrp = |(prefix, asn): &(&str, u32)| Vrp::new(prefix.parse().unwrap(), 24, *asn).unwrap();
    VrpTable::union([&all.iter().map(vrp).collect::<VrpSet>()])
}

fn set_vrps(speaker: &mut Speaker, all: &[(&str, u32)]) {
    let table = vrps(all);
    let changed = table.changed_from(speaker.vrps());
    speaker.set_vrps(NOW, table, &changed);
}

/// Rejects what is invalid and accepts the rest.
fn strict() -> Policy {
    let rule = |rpki: &[RpkiState], action| Rule {
        matches: Match {
            rpki: rpki.into(),
            ..Match::default()
        },
        set: Set::default(),
        call: None,
        action,
    };
    Policy {
        name: policy_name("strict"),
        rules: [
            rule(&[RpkiState::Invalid], Verdict::Reject),
            rule(&[], Verdict::Accept),
        ]
        .into(),
    }
}

/// A policy of that name that only calls `strict`.
fn caller(name: &str) -> Policy {
    let call = Rule {
        matches: Match::default(),
        set: Set::default(),
        call: Some(policy_name("strict")),
        action: Verdict::Next,
    };
    Policy {
        name: policy_name(name),
        rules: [call].into(),
    }
}

/// The prefixes that count.
fn accepted(speaker: &Speaker) -> Vec<String> {
    let tor1 = tor(1);
    let routes = speaker.received(&tor1);
    let accepted = routes.filter(|r| r.refused.is_none());
    accepted.map(|r| r.prefix.to_string()).collect()
}

#[test]
fn routes_are_judged_again_when_the_vrps_change() {
    let mut speaker = several::with(1, |_, peer| peer.import = policy_name("in"));
    speaker.set_policies(NOW, [strict(), caller("in")]);
    for prefix in [A, B] {
        several::send(&mut speaker, 1, prefix, |_| ());
    }
    let tor1 = asn(1);
    // Nothing is known: nothing is invalid.
    assert_eq!(accepted(&speaker), [B, A]);
    set_vrps(&mut speaker, &[(A, tor1 + 1)]);
    assert_eq!(accepted(&speaker), [B]);
    assert_eq!(installed(&speaker), [B]);
    set_vrps(&mut speaker, &[(A, tor1 + 1), (A, tor1), (B, tor1)]);
    assert_eq!(accepted(&speaker), [B, A]);
    assert_eq!(installed(&speaker), [B, A]);
    set_vrps(&mut speaker, &[("0.0.0.0/0", 0)]);
    assert_eq!(accepted(&speaker), [""; 0]);
    set_vrps(&mut speaker, &[]);
    assert_eq!(accepted(&speaker), [B, A]);
    // A route that comes later is judged by what holds then.
    set_vrps(&mut speaker, &[(A, 1)]);
    several::send(&mut speaker, 1, A, |_| ());
    assert_eq!(accepted(&speaker), [B]);
    assert_eq!(speaker.peer(&tor(1)).unwrap().established_count, 1);
}

fn installed(speaker: &Speaker) -> Vec<String> {
    let routes = speaker.installable(Family::Ipv4).into_iter();
    routes.map(|i| i.prefix.to_string()).collect()
}

#[test]
fn the_origin_is_the_end_of_the_path() {
    let mut speaker = several::with(1, |_, peer| peer.import = policy_name("strict"));
    speaker.set_policies(NOW, [strict()]);
    set_vrps(&mut speaker, &[(A, 7)]);
    let segment = |kind, asns: &[u32]| AsSegment {
        kind,
        asns: asns.into(),
    };
    use SegmentKind::{Sequence, Set};
    let first = asn(1);
    let rows = [
        (AsPath::sequence([first, 7]), true),
        (AsPath::sequence([first, 7, 8]), false),
        (
            AsPath {
                segments: [segment(Sequence, &[first]), segment(Set, &[7])].into(),
            },
            false,
        ),
        (
            AsPath {
                segments: [
                    segment(Sequence, &[first]),
                    segment(Set, &[8]),
                    segment(Sequence, &[7]),
                ]
                .into(),
            },
            true,
        ),
    ];
    for (path, good) in rows {
        let text = path.to_string();
        several::send(&mut speaker, 1, A, |a| a.as_path = path);
        let expected: &[&str] = if good { &[A] } else { &[] };
        assert_eq!(accepted(&speaker), expected, "{text}");
    }
}

#[test]
fn own_routes_are_judged_on_their_way_out() {
    let mut net = established(Transport::V4, |node, _, peer| {
        if node == 1 {
            peer.export = policy_name("strict");
        }
    });
    let now = net.now;
    net.speaker(1).set_policies(now, [strict()]);
    net.announce(1, "203.0.113.0/24");
    let advertised = |net: &mut Net| {
        net.run(core::time::Duration::from_secs(1));
        let peer = name("peer");
        let routes = net.speaker(1).advertised(&peer);
        routes.map(|r| r.prefix.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(advertised(&mut net), [A]);
    for (origin, there) in [(asn(1) + 1, false), (asn(1), true)] {
        let table = vrps(&[(A, origin)]);
        let changed = table.changed_from(net.speaker(1).vrps());
        let now = net.now;
        net.speaker(1).set_vrps(now, table, &changed);
        let expected: &[&str] = if there { &[A] } else { &[] };
        assert_eq!(advertised(&mut net), expected, "{origin}");
    }
}
