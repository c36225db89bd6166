//! Next hops: who is asked where they are, and what answers do.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, NextHop, NlriEntry, UpdateBuilder};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, drain, tor};
use crate::config::{GracefulRestart, PeerAsn, PeerConfig, Reach};
use crate::*;

const FAR: &str = "203.0.113.1";
const FARTHER: &str = "203.0.113.2";
const DEFAULT: &str = "0.0.0.0/0";

/// A speaker that asks where next hops are, with two internal peers several hops away.
fn far() -> Speaker {
    at(Reach::Multihop(4))
}

fn at(reach: Reach) -> Speaker {
    let internal = |_, peer: &mut PeerConfig| {
        peer.asn = PeerAsn::Internal;
        peer.reach = reach;
        peer.import = policy_name("all");
        peer.client = true;
    };
    let mut speaker = several::with(2, internal);
    speaker.follow_next_hops();
    assert_eq!(news(&mut speaker), [""; 0]);
    speaker
}

fn send(speaker: &mut Speaker, node: usize, prefix: &str, next_hop: NextHop, local_pref: u32) {
    let attributes = Attributes {
        as_path: AsPath::sequence([65_100]),
        local_pref: Some(local_pref),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    let prefix: Prefix = prefix.parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, next_hop, [prefix])
        .unwrap();
    speaker.handle_data(NOW, conn(node), &bytes);
}

fn v4(addr: &str) -> NextHop {
    NextHop::V4(addr.parse().unwrap())
}

fn withdraw(speaker: &mut Speaker, node: usize, prefix: &str) {
    let mut bytes = Vec::new();
    let prefix: Prefix = prefix.parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .withdraw([NlriEntry { prefix, path_id: 0 }]);
    speaker.handle_data(NOW, conn(node), &bytes);
}

/// What is asked.
fn news(speaker: &mut Speaker) -> Vec<String> {
    let mut all: Vec<String> = core::iter::from_fn(|| speaker.poll_next_hop())
        .map(|news| match news {
            NextHopNews::Track(addr) => alloc::format!("track {addr}"),
            NextHopNews::Forget(addr) => alloc::format!("forget {addr}"),
        })
        .collect();
    all.sort();
    all
}

fn answer(speaker: &mut Speaker, next_hop: &str, metric: Option<u32>, moved: bool) {
    let next_hop: IpAddr = next_hop.parse().unwrap();
    let answer = NextHopAnswer {
        next_hop,
        metric,
        moved,
    };
    speaker.set_next_hops(NOW, [answer]);
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
    }
}

/// The next hops of the routes that the kernel should have.
fn installed(speaker: &Speaker) -> Vec<String> {
    let all = speaker.installable(Family::Ipv4).into_iter();
    all.map(|leg| leg.next_hop.to_string()).collect()
}

#[test]
fn each_is_asked_for_once_and_forgotten_with_its_last_route() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    assert_eq!(news(&mut speaker), ["track 203.0.113.1"]);
    send(&mut speaker, 2, DEFAULT, v4(FAR), 100);
    send(&mut speaker, 2, "198.18.0.0/15", v4(FAR), 90);
    assert_eq!(news(&mut speaker), [""; 0]);
    withdraw(&mut speaker, 1, DEFAULT);
    withdraw(&mut speaker, 2, DEFAULT);
    assert_eq!(news(&mut speaker), [""; 0]);
    withdraw(&mut speaker, 2, "198.18.0.0/15");
    assert_eq!(news(&mut speaker), ["forget 203.0.113.1"]);
}

#[test]
fn link_local_ones_are_on_the_link_and_not_asked_for() {
    let mut speaker = at(Reach::Direct);
    let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
    let global = "2001:db8::9".parse().unwrap();
    let prefix = "2001:db8:1::/48";
    send(
        &mut speaker,
        1,
        prefix,
        NextHop::V6WithLinkLocal { global, link_local },
        100,
    );
    assert_eq!(news(&mut speaker), [""; 0]);
    let of = |speaker: &Speaker| speaker.received_at(&tor(1), prefix.parse().unwrap());
    assert_eq!(
        of(&speaker)
            .iter()
            .map(|r| (r.metric, r.best))
            .collect::<Vec<_>>(),
        [(Some(0), true)]
    );
    send(&mut speaker, 1, prefix, NextHop::V6(global), 100);
    assert_eq!(news(&mut speaker), ["track 2001:db8::9"]);
}

#[test]
fn from_afar_a_link_local_part_says_nothing() {
    let mut speaker = far();
    let link_local: Ipv6Addr = "fe80::9".parse().unwrap();
    let global = "2001:db8::9".parse().unwrap();
    let with = NextHop::V6WithLinkLocal { global, link_local };
    let prefix = "2001:db8:1::/48";
    let v6 = |addr: &str| NextHop::V6(addr.parse().unwrap());
    send(&mut speaker, 1, prefix, v6("2001:db8::8"), 100);
    send(&mut speaker, 2, prefix, with, 200);
    assert_eq!(
        news(&mut speaker),
        ["track 2001:db8::8", "track 2001:db8::9"]
    );
    answer(&mut speaker, "2001:db8::8", Some(7), false);
    answer(&mut speaker, "2001:db8::9", None, false);
    let installed = |speaker: &Speaker| {
        let all = speaker.installable(Family::Ipv6).into_iter();
        let legs = all.map(|leg| (leg.next_hop.to_string(), leg.ifindex));
        legs.collect::<Vec<_>>()
    };
    // One that nothing leads to takes no working route out.
    assert_eq!(installed(&speaker), [("2001:db8::8".to_string(), 0)]);
    answer(&mut speaker, "2001:db8::9", Some(9), false);
    assert_eq!(installed(&speaker), [("2001:db8::9".to_string(), 0)]);
    // Link-local alone it is of no use.
    send(&mut speaker, 2, prefix, NextHop::LinkLocal(link_local), 200);
    let of = speaker.received_at(&tor(2), prefix.parse().unwrap());
    assert_eq!(of[0].refused, Some(Refusal::BadNextHop));
    assert_eq!(installed(&speaker), [("2001:db8::8".to_string(), 0)]);
}

#[test]
fn a_route_that_leads_nowhere_is_not_eligible() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 200);
    send(&mut speaker, 2, DEFAULT, v4(FARTHER), 100);
    // Nothing is lost while the answers are to come.
    assert_eq!(installed(&speaker), [FAR]);
    answer(&mut speaker, FARTHER, Some(7), false);
    answer(&mut speaker, FAR, None, false);
    assert_eq!(installed(&speaker), [FARTHER]);
    let first = &speaker.received_at(&tor(1), DEFAULT.parse().unwrap())[0];
    assert_eq!(
        (&first.refused, first.metric, first.best),
        (&None, None, false)
    );
    let other = &speaker.received_at(&tor(2), DEFAULT.parse().unwrap())[0];
    assert_eq!((other.metric, other.best), (Some(7), true));
    answer(&mut speaker, FARTHER, None, false);
    assert_eq!(installed(&speaker), [""; 0]);
    answer(&mut speaker, FAR, Some(0), false);
    assert_eq!(installed(&speaker), [FAR]);
}

#[test]
fn what_leads_nowhere_is_told_to_nobody() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    answer(&mut speaker, FAR, None, false);
    assert_eq!(several::routes_to(&mut speaker, 2), []);
    answer(&mut speaker, FAR, Some(3), false);
    let told = several::routes_to(&mut speaker, 2);
    let told: Vec<String> = told.iter().map(|(p, ..)| p.to_string()).collect();
    assert_eq!(told, [DEFAULT]);
}

#[test]
fn one_that_is_looked_for_is_told_only_where_something_was_told_before() {
    let mut speaker = far();
    let told = |speaker: &mut Speaker| {
        let told = several::routes_to(speaker, 2).into_iter();
        told.map(|(prefix, ..)| prefix.to_string())
            .collect::<Vec<_>>()
    };
    let seek = |speaker: &mut Speaker| speaker.seek_next_hops(NOW, [FARTHER.parse().unwrap()]);
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    answer(&mut speaker, FAR, Some(3), false);
    assert_eq!(told(&mut speaker), [DEFAULT]);
    // It takes the place of what was told, which is not withdrawn; a new one is not told.
    send(&mut speaker, 1, DEFAULT, v4(FARTHER), 100);
    send(&mut speaker, 1, "198.18.0.0/15", v4(FARTHER), 100);
    seek(&mut speaker);
    assert_eq!(told(&mut speaker), [DEFAULT]);
    assert_eq!(told(&mut speaker), [""; 0]);
    answer(&mut speaker, FARTHER, Some(9), false);
    assert_eq!(told(&mut speaker), ["198.18.0.0/15"]);
}

/// What clients have of each other stays theirs until it is known where it leads.
#[test]
fn after_a_restart_end_of_rib_waits_for_what_is_looked_for() {
    let after = |seconds| NOW + Duration::from_secs(seconds);
    for found in [true, false] {
        let mut speaker = several::with(1, |_, peer| {
            peer.asn = PeerAsn::Internal;
            peer.reach = Reach::Multihop(4);
            peer.client = true;
            peer.graceful_restart = Some(GracefulRestart {
                time: Duration::from_secs(10),
                notification: false,
                long_lived: None,
            });
        });
        speaker.follow_next_hops();
        speaker.set_start(&warm());
        speaker.set_restart_done(NOW);
        speaker.handle_closed(NOW, conn(1), "gone");
        several::accept(&mut speaker, 1, conn(11), [192, 0, 2, 2].into());
        send(&mut speaker, 11, DEFAULT, v4(FAR), 100);
        let mut bytes = Vec::new();
        for family in Family::ALL {
            UpdateBuilder::new(&mut bytes, EncodeContext::default()).end_of_rib(family);
        }
        speaker.handle_data(NOW, conn(11), &bytes);
        speaker.seek_next_hops(NOW, [FAR.parse().unwrap()]);
        drain(&mut speaker);
        let ended = |speaker: &Speaker| {
            let summary = speaker.peer(&tor(1)).unwrap();
            summary.families[0].end_of_rib_sent
        };
        assert!(!ended(&speaker));
        if found {
            answer(&mut speaker, FAR, Some(1), false);
        } else {
            speaker.handle_timeout(after(9));
            drain(&mut speaker);
            assert!(!ended(&speaker));
            // Not for ever.
            speaker.handle_timeout(after(10));
        }
        drain(&mut speaker);
        assert!(ended(&speaker));
    }
}

#[test]
fn what_is_known_comes_before_what_is_looked_for() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    send(&mut speaker, 2, DEFAULT, v4(FARTHER), 100);
    answer(&mut speaker, FAR, Some(1_000_000), false);
    speaker.seek_next_hops(NOW, [FARTHER.parse().unwrap()]);
    assert_eq!(installed(&speaker), [FAR]);
    // Until nothing else is left.
    answer(&mut speaker, FAR, None, false);
    assert_eq!(installed(&speaker), [FARTHER]);
    answer(&mut speaker, FARTHER, Some(1), false);
    answer(&mut speaker, FAR, Some(0), false);
    assert_eq!(installed(&speaker), [FAR]);
}

#[test]
fn the_nearer_of_two_exits_is_taken() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    send(&mut speaker, 2, DEFAULT, v4(FARTHER), 100);
    answer(&mut speaker, FAR, Some(20), false);
    answer(&mut speaker, FARTHER, Some(10), false);
    assert_eq!(installed(&speaker), [FARTHER]);
    answer(&mut speaker, FAR, Some(5), false);
    assert_eq!(installed(&speaker), [FAR]);
    answer(&mut speaker, FARTHER, Some(5), false);
    assert_eq!(installed(&speaker), [FAR, FARTHER]);
}

#[test]
fn one_that_moved_is_looked_at_again_in_the_kernel_and_told_nobody() {
    let mut speaker = far();
    send(&mut speaker, 1, DEFAULT, v4(FAR), 100);
    answer(&mut speaker, FAR, Some(1), false);
    drain(&mut speaker);
    let changed = |speaker: &mut Speaker| {
        core::iter::from_fn(|| speaker.take_installable_change(Family::Ipv4)).count()
    };
    assert_eq!(changed(&mut speaker), 1);
    answer(&mut speaker, FAR, Some(1), false);
    assert_eq!(changed(&mut speaker), 0);
    answer(&mut speaker, FAR, Some(1), true);
    assert_eq!(changed(&mut speaker), 1);
    assert_eq!(drain(&mut speaker), []);
}

#[test]
fn nobody_is_asked_before_somebody_says_that_he_knows() {
    let mut speaker = several::with(1, |_, _| {});
    several::send(&mut speaker, 1, DEFAULT, |_| {});
    assert_eq!(news(&mut speaker), [""; 0]);
    assert_eq!(speaker.installable(Family::Ipv4).len(), 1);
}
