//! What is passed on of what peers sent, and what is different about it then.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{
    AsPath, AsSegment, AttributeCode, AttributeFlags, Attributes, Community, EncodeContext,
    ExtendedCommunity, NextHop, SegmentKind, UnknownAttribute, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use crate::config::{
    GracefulRestart, Match, PeerAsn, Policy, Prepend, PrependAs, Rule, Set, SetNextHop, Verdict,
};
use crate::*;

/// How long a restart may take.
const RESTART: Duration = Duration::from_secs(10);
const PREFIX: &str = "198.18.1.0/24";

/// Passes everything on, with these changes.
pub(super) fn transit(set: Set) -> Policy {
    let rule = |matches| Rule {
        matches,
        set: set.clone(),
        call: None,
        action: Verdict::Accept,
    };
    let from_peer = Match {
        from_peer: true,
        ..Match::default()
    };
    Policy {
        name: policy_name("transit"),
        rules: [rule(from_peer), rule(Match::default())].into(),
    }
}

/// Two peers, of which one hears of the other; the second one is in our AS if `internal`.
fn world(internal: bool, set: Set) -> Speaker {
    let mut speaker = several::with(2, |node, peer| {
        peer.import = policy_name("all");
        peer.export = policy_name("transit");
        peer.install = None;
        peer.graceful_restart = Some(GracefulRestart {
            time: RESTART,
            notification: false,
            long_lived: None,
        });
        if node == 2 && internal {
            peer.asn = PeerAsn::Internal;
        }
    });
    speaker.set_policies(NOW, [transit(set)]);
    several::drain(&mut speaker);
    speaker
}

/// What the second peer is told of a route from the first.
fn passed(speaker: &mut Speaker, change: impl FnOnce(&mut Attributes)) -> Option<AdvertisedRoute> {
    several::send(speaker, 1, PREFIX, change);
    several::drain(speaker);
    speaker.advertised(&tor(2)).next()
}

#[test]
fn draining_adds_a_community_and_takes_none() {
    for (internal, local_pref) in [(false, None), (true, Some(0))] {
        let mut speaker = world(internal, Set::default());
        speaker.set_draining(NOW, true);
        let route = passed(&mut speaker, |a| {
            a.communities = [Community(7), Community(u32::MAX - 7)].into();
        })
        .unwrap();
        let shutdown = Community::GRACEFUL_SHUTDOWN.0;
        assert_eq!(route.communities, [7, shutdown, u32::MAX - 7]);
        assert_eq!(route.local_pref, local_pref);
        speaker.set_draining(NOW, false);
        several::drain(&mut speaker);
        let route = speaker.advertised(&tor(2)).next().unwrap();
        assert_eq!(route.communities, [7, u32::MAX - 7]);
    }
}

/// RFC 4360 §6.
#[test]
fn non_transitive_extended_communities_end_at_the_border() {
    let (crosses, stays) = (
        ExtendedCommunity([0x00, 2, 0, 1, 0, 0, 0, 1]),
        ExtendedCommunity([0x40, 4, 0, 1, 0, 0, 0, 1]),
    );
    for (internal, expected) in [
        (false, Vec::from([crosses])),
        (true, [crosses, stays].into()),
    ] {
        let mut speaker = world(internal, Set::default());
        let route = passed(&mut speaker, |a| {
            a.extended_communities = [crosses, stays].into();
        });
        assert_eq!(route.unwrap().extended_communities, expected);
    }
}

#[test]
fn prepending_is_for_external_peers() {
    let prepend = Prepend {
        asn: PrependAs::Own,
        count: 2,
    };
    let set = Set {
        prepend: Some(prepend),
        ..Set::default()
    };
    let (us, them) = (asn(0), asn(1));
    for (internal, path) in [
        (false, alloc::format!("{us} {us} {us} {them}")),
        (true, them.to_string()),
    ] {
        let mut speaker = world(internal, set.clone());
        assert_eq!(passed(&mut speaker, |_| ()).unwrap().as_path, path);
    }
}

/// RFC 4271 §5.1.3.
#[test]
fn no_peer_is_told_to_send_to_itself() {
    let unchanged = Set {
        next_hop: Some(SetNextHop::Unchanged),
        ..Set::default()
    };
    let mut speaker = world(false, unchanged);
    let prefix: Prefix = PREFIX.parse().unwrap();
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(1)]),
        ..Attributes::default()
    };
    for (by, passes) in [(2, false), (1, true), (2, false)] {
        let next_hop = NextHop::V4(addresses(by).v4.unwrap());
        let mut bytes = Vec::new();
        UpdateBuilder::new(&mut bytes, EncodeContext::default())
            .announce(&attributes, next_hop, [prefix])
            .unwrap();
        speaker.handle_data(NOW, conn(1), &bytes);
        several::drain(&mut speaker);
        let told = speaker.advertised(&tor(2)).next().map(|r| r.next_hop);
        assert_eq!(told, passes.then_some(next_hop));
    }
}

/// There is no confederation whose segments could be taken out of the path (RFC 5065 §4).
#[test]
fn a_path_through_a_confederation_stays_inside() {
    // The first peer is in our AS here, and external ones hear of it.
    let mut speaker = several::with(2, |node, peer| {
        peer.export = policy_name("transit");
        if node == 1 {
            peer.asn = PeerAsn::Internal;
        }
    });
    speaker.set_policies(NOW, [transit(Set::default())]);
    let mut send = |kind| {
        passed(&mut speaker, |a| {
            let asns = [64600].into();
            a.as_path.segments = [AsSegment { kind, asns }].into();
            a.local_pref = Some(100);
        })
    };
    assert!(send(SegmentKind::Sequence).is_some());
    assert_eq!(send(SegmentKind::ConfedSequence), None);
}

/// After a warm start, with the first peer as it was and a new session with the second one.
fn started_again(change: impl FnOnce(&mut Speaker)) -> Speaker {
    let mut speaker = world(false, Set::default());
    change(&mut speaker);
    speaker.set_start(&warm());
    speaker.set_restart_done(NOW);
    speaker.handle_closed(NOW, conn(2), "gone");
    several::accept(&mut speaker, 2, conn(77), Ipv4Addr::new(192, 0, 2, 3));
    several::drain(&mut speaker);
    speaker
}

/// A peer has sent all.
fn end(speaker: &mut Speaker, number: usize) {
    let mut bytes = Vec::new();
    for family in Family::ALL {
        UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(family);
    }
    speaker.handle_data(NOW, conn(number), &bytes);
    several::drain(speaker);
}

/// Whether the second peer was told that it has all.
fn ended(speaker: &Speaker) -> bool {
    speaker.peer(&tor(2)).unwrap().families[0].end_of_rib_sent
}

/// RFC 4724 §4.1.
#[test]
fn end_of_rib_waits_for_what_is_passed_on() {
    let mut speaker = started_again(|speaker| several::send(speaker, 1, PREFIX, |_| ()));
    assert_eq!(speaker.advertised(&tor(2)).count(), 1);
    assert!(!ended(&speaker), "the first peer may have more to tell");
    end(&mut speaker, 1);
    assert!(!ended(&speaker), "and so may this one");
    end(&mut speaker, 77);
    assert!(ended(&speaker));
}

#[test]
fn end_of_rib_waits_no_longer_than_a_restart_takes() {
    let mut speaker = started_again(|_| ());
    assert!(!ended(&speaker));
    let at = NOW + RESTART;
    assert!(speaker.poll_timeout().is_some_and(|due| due <= at));
    speaker.handle_timeout(at);
    while speaker.poll_transmit(at).is_some() {}
    assert!(ended(&speaker));
}

#[test]
fn end_of_rib_waits_for_no_peer_that_is_disabled() {
    let speaker = started_again(|speaker| _ = speaker.disable(NOW, &tor(1), None));
    assert!(ended(&speaker));
}

/// Who exports nothing but its own has nothing to wait for.
#[test]
fn end_of_rib_of_own_routes_waits_for_nobody() {
    let mut speaker = several::with(2, |_, _| ());
    speaker.set_start(&warm());
    speaker.set_restart_done(NOW);
    speaker.handle_closed(NOW, conn(2), "gone");
    several::accept(&mut speaker, 2, conn(77), Ipv4Addr::new(192, 0, 2, 3));
    several::drain(&mut speaker);
    assert!(speaker.peer(&tor(2)).unwrap().families[0].end_of_rib_sent);
}

#[test]
fn who_may_draw_packets_here() {
    let unchanged = Set {
        next_hop: Some(SetNextHop::Unchanged),
        ..Set::default()
    };
    for (set, draws) in [(Set::default(), true), (unchanged, false)] {
        let mut speaker = world(false, set);
        assert_eq!(speaker.draws_transit(&tor(2), &tor(1)), draws);
        assert!(!speaker.draws_transit(&tor(2), &tor(2)));
        let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
        config.export = policy_name("claims");
        speaker.set_peer(NOW, config);
        assert!(!speaker.draws_transit(&tor(1), &tor(2)), "its own only");
        speaker.disable(NOW, &tor(2), None);
        assert!(!speaker.draws_transit(&tor(2), &tor(1)));
    }
    assert!(!world(false, Set::default()).draws_transit(&tor(9), &tor(1)));
}

#[test]
fn what_a_peer_sent_itself_is_not_counted_as_told() {
    let mut speaker = world(false, Set::default());
    for i in 0..50 {
        several::send(&mut speaker, 1, &alloc::format!("198.18.{i}.0/24"), |_| ());
    }
    several::send(&mut speaker, 2, "198.18.0.0/24", |_| ());
    several::send(&mut speaker, 2, "198.18.99.0/24", |_| ());
    several::drain(&mut speaker);
    for (node, told) in [(1, 1), (2, 50)] {
        assert_eq!(speaker.advertised(&tor(node)).count(), told);
        let summary = speaker.peer(&tor(node)).unwrap();
        assert_eq!(summary.families[0].advertised, told);
    }
}

#[test]
fn who_is_back_at_once_is_not_told_its_own_of_before() {
    let mut speaker = several::with(2, |_, peer| {
        peer.export = policy_name("transit");
        peer.install = None;
        peer.graceful_restart = None;
    });
    speaker.set_policies(NOW, [transit(Set::default())]);
    // More than one slice sweeps.
    let all = (0..60_000u32).map(|i| Prefix::host(Ipv4Addr::from(0x0a00_0000 + i).into()));
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(1)]),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, NextHop::V4(addresses(1).v4.unwrap()), all)
        .unwrap();
    speaker.handle_data(NOW, conn(1), &bytes);
    several::drain(&mut speaker);
    speaker.handle_closed(NOW, conn(1), "gone");
    let before = speaker.peer(&tor(1)).unwrap().sent.announced;
    several::accept(&mut speaker, 1, conn(77), Ipv4Addr::new(192, 0, 2, 2));
    several::drain(&mut speaker);
    assert!(
        speaker.poll_timeout().is_some_and(|at| at <= NOW),
        "the sweep goes on"
    );
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
        several::drain(&mut speaker);
    }
    let after = speaker.peer(&tor(1)).unwrap();
    assert_eq!(
        (after.state, after.sent.announced),
        (State::Established, before)
    );
    assert_eq!(speaker.advertised(&tor(2)).count(), 0);
}

/// RFC 4271 §5: what is optional and transitive goes on although it is not known here, and the partial flag says so.
#[test]
fn what_nobody_here_knows_goes_on_bit_by_bit() {
    let mut speaker = world(false, Set::default());
    let sent = UnknownAttribute {
        flags: AttributeFlags(0xc0),
        code: AttributeCode(200),
        value: (0..=99).collect(),
    };
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(1)]),
        unknown: [sent.clone()].into(),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    let next_hop = NextHop::V4(addresses(1).v4.unwrap());
    let prefix: Prefix = PREFIX.parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, next_hop, [prefix])
        .unwrap();
    // It comes as its originator sends it: we would say already that we do not know it.
    let at = bytes
        .windows(3)
        .position(|w| w == [0xe0, 200, 100])
        .unwrap();
    bytes[at] = 0xc0;
    speaker.handle_data(NOW, conn(1), &bytes);
    let told = several::routes_to(&mut speaker, 2);
    let told: Vec<UnknownAttribute> = told.into_iter().flat_map(|(_, _, a)| a.unknown).collect();
    let partial = UnknownAttribute {
        flags: AttributeFlags(0xe0),
        ..sent
    };
    assert_eq!(told, [partial]);
}
