//! Why what one peer sent does not go to another.

use alloc::vec::Vec;

use tapway_bgp_wire::{Attributes, Community};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use super::transit::transit;
use crate::config::{
    Match, PeerAsn, PeerConfig, PeerRole, Policy, Role, Rule, Set, SetNextHop, Verdict,
};
use crate::*;

const PREFIX: &str = "198.18.1.0/24";

/// `tor1` and `tor2`; what the first sends may go to the second.
fn world(change: impl Fn(usize, &mut PeerConfig)) -> Speaker {
    let mut speaker = several::with(2, |node, peer| {
        peer.import = policy_name("all");
        peer.export = policy_name("transit");
        peer.install = None;
        change(node, peer);
    });
    speaker.set_policies(NOW, [transit(Set::default())]);
    several::drain(&mut speaker);
    speaker
}

/// What is said of a route of the first peer, towards the second.
fn why(speaker: &mut Speaker, change: impl FnOnce(&mut Attributes)) -> Option<NotPassed> {
    several::send(speaker, 1, PREFIX, change);
    several::drain(speaker);
    speaker.why_not_passed(&tor(2), PREFIX.parse().unwrap())
}

fn internal(_: usize, peer: &mut PeerConfig) {
    peer.asn = PeerAsn::Internal;
}

#[test]
fn what_passes_is_said_with_its_next_hop() {
    let mut speaker = world(|_, _| {});
    let Some(NotPassed::Sent(hop)) = why(&mut speaker, |_| {}) else {
        panic!("it is passed on");
    };
    let told = speaker.advertised(&tor(2)).next().unwrap();
    assert_eq!(hop, told.next_hop);
    let prefix = PREFIX.parse().unwrap();
    assert_eq!(
        speaker.why_not_passed(&tor(1), prefix),
        Some(NotPassed::ItsOwn)
    );
    speaker.handle_closed(NOW, conn(2), "gone");
    let down = speaker.why_not_passed(&tor(2), prefix);
    assert!(matches!(down, Some(NotPassed::SessionDown(_))), "{down:?}");
}

#[test]
fn before_it_is_sent_it_is_pending() {
    let mut speaker = world(|_, _| {});
    several::send(&mut speaker, 1, PREFIX, |_| {});
    let prefix = PREFIX.parse().unwrap();
    assert_eq!(
        speaker.why_not_passed(&tor(2), prefix),
        Some(NotPassed::Pending)
    );
}

#[test]
fn where_only_own_routes_go_nothing_is_said() {
    let mut speaker = world(|_, peer| peer.export = policy_name("claims"));
    assert_eq!(why(&mut speaker, |_| {}), None);
    // Nor of own routes.
    let mut speaker = world(|_, _| {});
    speaker.announce(NOW, announcement(PREFIX));
    several::drain(&mut speaker);
    assert_eq!(why(&mut speaker, |_| {}), None);
}

#[test]
fn each_reason() {
    let reject = Rule {
        matches: Match {
            from_peer: true,
            ..Match::default()
        },
        set: Set::default(),
        call: None,
        action: Verdict::Reject,
    };
    let other_next_hop = Set {
        next_hop: Some(SetNextHop::Unchanged),
        ..Set::default()
    };
    let filtered = |rule| NotPassed::Filtered {
        policy: policy_name("transit"),
        rule,
    };
    let policy = |rules: Vec<Rule>| Policy {
        name: policy_name("transit"),
        rules,
    };
    let mut speaker = world(|_, _| {});
    speaker.set_policies(NOW, [policy([reject.clone()].into())]);
    assert_eq!(why(&mut speaker, |_| {}), Some(filtered(Some(0))));
    let elsewhere = Match {
        from_peer: true,
        as_path: crate::config::PathMatch {
            first: [77].into(),
            ..Default::default()
        },
        ..Match::default()
    };
    let never = Rule {
        matches: elsewhere,
        action: Verdict::Accept,
        ..reject
    };
    speaker.set_policies(NOW, [policy([never].into())]);
    assert_eq!(why(&mut speaker, |_| {}), Some(filtered(None)));

    let mut speaker = world(|_, _| {});
    let confined = why(&mut speaker, |a| {
        a.communities = [Community::NO_EXPORT].into();
    });
    assert_eq!(confined, Some(NotPassed::Confined));

    let mut speaker = world(internal);
    let none = |a: &mut Attributes| a.as_path = Default::default();
    assert_eq!(why(&mut speaker, none), Some(NotPassed::Internal));

    let mut speaker = world(|node, peer| {
        peer.role = (node == 2).then_some(PeerRole {
            role: Role::Customer,
            strict: false,
        });
    });
    let leak = why(&mut speaker, |a| a.only_to_customer = Some(asn(1)));
    assert_eq!(leak, Some(NotPassed::Role(Role::Customer)));

    let mut speaker = world(|node, peer| {
        if node == 2 {
            peer.graceful_restart = None;
        }
    });
    let stale = why(&mut speaker, |a| {
        a.communities = [Community::LLGR_STALE].into();
    });
    assert_eq!(stale, Some(NotPassed::LongLivedStale));

    // The next hop is the peer itself.
    let mut speaker = world(|_, _| {});
    speaker.set_policies(NOW, [transit(other_next_hop)]);
    several::drain(&mut speaker);
    let by = tapway_bgp_wire::NextHop::V4(addresses(2).v4.unwrap());
    several::send_by(&mut speaker, 1, PREFIX, by);
    several::drain(&mut speaker);
    let why = speaker.why_not_passed(&tor(2), PREFIX.parse().unwrap());
    assert!(matches!(why, Some(NotPassed::NoNextHop(_))), "{why:?}");
}
