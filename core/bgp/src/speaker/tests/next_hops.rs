//! Next hops: who is asked where they are, and what answers do.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, NextHop, NlriEntry, UpdateBuilder};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, drain, tor};
use crate::config::{PeerAsn, PeerConfig, Reach};
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
