//! The switches of the decision process: each makes another route the winner, and turning it takes effect on what is there.

use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp_wire::{AsPath, Attributes};
use tapway_model::{Family, PeerName};

use super::net::*;
use super::several::{self, NOW, drain, tor};
use crate::config::{DECISION, Decision, PeerAsn, PeerConfig};
use crate::*;

const DEFAULT: &str = "0.0.0.0/0";

/// What peers 1, 2, … send, and how far their next hops are.
type Sent = [(fn(&mut Attributes), u32)];

fn decided(change: impl FnOnce(&mut Decision)) -> Decision {
    let mut decision = DECISION;
    change(&mut decision);
    decision
}

/// Peers that sent the default route; internal ones or each of another AS.
fn with(sent: &Sent, decision: Decision, internal: bool) -> Speaker {
    let relation = |_, peer: &mut PeerConfig| {
        if internal {
            peer.asn = PeerAsn::Internal;
        }
    };
    let mut speaker = several::with(sent.len(), relation);
    speaker.follow_next_hops();
    set(&mut speaker, decision);
    for (node, (change, metric)) in (1..).zip(sent) {
        several::send(&mut speaker, node, DEFAULT, |attributes| {
            attributes.local_pref = internal.then_some(100);
            change(attributes);
        });
        let next_hop: IpAddr = addresses(node).v4.unwrap().into();
        let answer = NextHopAnswer {
            next_hop,
            metric: Some(*metric),
            moved: false,
        };
        speaker.set_next_hops(NOW, [answer]);
    }
    work(&mut speaker);
    taken(&mut speaker);
    speaker
}

fn set(speaker: &mut Speaker, decision: Decision) {
    let mut config = speaker.config().clone();
    config.decision = decision;
    speaker.set_config(NOW, config);
}

fn work(speaker: &mut Speaker) {
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
    }
    drain(speaker);
}

/// How many prefixes are news for the kernel.
fn taken(speaker: &mut Speaker) -> usize {
    core::iter::from_fn(|| speaker.take_installable_change(Family::Ipv4)).count()
}

/// Whose routes share the traffic.
fn winners(speaker: &Speaker) -> Vec<PeerName> {
    let legs = speaker.installable_to(DEFAULT.parse().unwrap());
    legs.into_iter().map(|leg| leg.peer).collect()
}

fn turned(decision: &Decision, change: impl FnOnce(&mut Decision)) -> Decision {
    let mut decision = *decision;
    change(&mut decision);
    decision
}

/// Turns a switch on and off: who wins, and that no session notices.
fn check(
    name: &str,
    sent: &Sent,
    before: Decision,
    on: fn(&mut Decision),
    off: usize,
    with_it: usize,
) {
    let mut speaker = with(sent, before, false);
    assert_eq!(winners(&speaker), [tor(off)], "without {name}");
    for (decision, winner) in [(turned(&before, on), with_it), (before, off)] {
        set(&mut speaker, decision);
        work(&mut speaker);
        assert_eq!(winners(&speaker), [tor(winner)], "{name}");
        assert_eq!(taken(&mut speaker), 1, "{name} is news for the kernel");
        for peer in speaker.peers() {
            assert_eq!(peer.state, State::Established, "{name}");
        }
    }
    // Turned before the routes come it is the same.
    let speaker = with(sent, turned(&before, on), false);
    assert_eq!(winners(&speaker), [tor(with_it)], "{name} from the start");
}

#[test]
fn each_switch_makes_another_winner() {
    let one = decided(|d| d.maximum_paths_external = 1);
    // Where all is equal the lower identifier wins, which is that of the first.
    let meds: &Sent = &[(|a| a.med = Some(10), 0), (|a| a.med = Some(5), 0)];
    check(
        "always_compare_med",
        meds,
        one,
        |d| d.always_compare_med = true,
        1,
        2,
    );
    check(
        "missing_med_is_worst",
        &[(|_| {}, 0), (|a| a.med = Some(5), 0)],
        turned(&one, |d| d.always_compare_med = true),
        |d| d.missing_med_is_worst = true,
        1,
        2,
    );
    check(
        "ignore_as_path",
        &[
            (|a| a.as_path = AsPath::sequence([asn(1), 7, 8]), 0),
            (|a| a.as_path = AsPath::sequence([asn(2), 7]), 0),
        ],
        one,
        |d| d.ignore_as_path = true,
        2,
        1,
    );
    check(
        "ignore_metric",
        &[(|_| {}, 20), (|_| {}, 10)],
        one,
        |d| d.ignore_metric = true,
        2,
        1,
    );
}

#[test]
fn routes_of_one_neighbouring_as_or_of_all_share_the_traffic() {
    let mut speaker = with(&[(|_| {}, 0), (|_| {}, 0)], DECISION, false);
    assert_eq!(winners(&speaker), [tor(1), tor(2)]);
    set(&mut speaker, decided(|d| d.multipath_same_as = true));
    work(&mut speaker);
    assert_eq!(winners(&speaker), [tor(1)]);
    assert_eq!(taken(&mut speaker), 1);
    // Behind internal peers it is the AS where the route came from.
    let via: [fn(&mut Attributes); 3] = [
        |a| a.as_path = AsPath::sequence([7, 9]),
        |a| a.as_path = AsPath::sequence([8, 9]),
        |a| a.as_path = AsPath::sequence([7, 10]),
    ];
    let sent = via.map(|change| (change, 0));
    let mut speaker = with(&sent, DECISION, true);
    assert_eq!(winners(&speaker), [tor(1), tor(2), tor(3)]);
    set(&mut speaker, decided(|d| d.multipath_same_as = true));
    work(&mut speaker);
    assert_eq!(winners(&speaker), [tor(1), tor(3)]);
}

#[test]
fn each_relation_has_its_own_number_of_paths() {
    let sent: &Sent = &[(|_| {}, 0), (|_| {}, 0), (|_| {}, 0)];
    let decision = decided(|d| (d.maximum_paths_external, d.maximum_paths_internal) = (2, 1));
    let mut speaker = with(sent, decision, false);
    assert_eq!(winners(&speaker), [tor(1), tor(2)]);
    let mut internal = with(sent, decision, true);
    assert_eq!(winners(&internal), [tor(1)]);
    for speaker in [&mut speaker, &mut internal] {
        set(speaker, DECISION);
        work(speaker);
        assert_eq!(winners(speaker), [tor(1), tor(2), tor(3)]);
        assert_eq!(taken(speaker), 1);
    }
}
