//! Many routes: what is long is done in slices, and what is asked meanwhile is answered as if it were done.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, NextHop, UpdateBuilder};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::several::{self, NOW, conn, tor};
use crate::config::{Match, PeerAsn, Policy, Rule, Set, Verdict};
use crate::*;

const MANY: u32 = 40_000;

fn prefix(n: u32) -> Prefix {
    Prefix::host(Ipv4Addr::from(0x0a00_0000 + n).into())
}

/// The peer sends many routes.
fn send(speaker: &mut Speaker, node: usize) {
    let attributes = Attributes {
        as_path: AsPath::sequence([asn(node)]),
        ..Attributes::default()
    };
    let next_hop = NextHop::V4(addresses(node).v4.unwrap());
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&attributes, next_hop, (0..MANY).map(prefix))
        .unwrap();
    for piece in bytes.chunks(65_536) {
        speaker.handle_data(NOW, conn(node), piece);
    }
}

/// Lets the speaker work, and says how many slices that took.
fn work(speaker: &mut Speaker) -> usize {
    let mut slices = 0;
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
        slices += 1;
        assert!(slices < 1000, "it never ends");
    }
    slices
}

fn changed(speaker: &mut Speaker) -> usize {
    core::iter::from_fn(|| speaker.take_installable_change(Family::Ipv4)).count()
}

fn counts(speaker: &Speaker, node: usize) -> (usize, usize) {
    let family = &speaker.peer(&tor(node)).unwrap().families[0];
    (family.received, family.accepted)
}

#[test]
fn a_lost_peer_is_swept_in_slices_and_counts_no_more_at_once() {
    let mut speaker = several::with(2, |_, _| {});
    send(&mut speaker, 1);
    send(&mut speaker, 2);
    several::drain(&mut speaker);
    assert_eq!(counts(&speaker, 1), (MANY as usize, MANY as usize));
    assert_eq!(changed(&mut speaker), MANY as usize);
    assert_eq!(speaker.installable_to(prefix(7)).len(), 2);
    speaker.handle_link_down(NOW, 1);
    assert_eq!(counts(&speaker, 1), (0, 0));
    assert_eq!(speaker.received(&tor(1)).count(), 0);
    let last = speaker.installable_to(prefix(MANY - 1));
    assert_eq!((last.len(), &last[0].peer), (1, &tor(2)));
    assert!(work(&mut speaker) > 2);
    assert_eq!(changed(&mut speaker), MANY as usize);
    speaker.handle_link_down(NOW, 2);
    work(&mut speaker);
    assert_eq!(changed(&mut speaker), MANY as usize);
    assert_eq!(speaker.installable_to(prefix(7)), []);
    assert!(speaker.shared.rib.is_empty());
}

#[test]
fn a_changed_import_is_taken_over_in_slices() {
    let mut speaker = several::with(1, |_, peer| peer.import = policy_name("in"));
    let policy = |action| Policy {
        name: policy_name("in"),
        rules: [Rule {
            matches: Match::default(),
            set: Set::default(),
            call: None,
            action,
        }]
        .into(),
    };
    speaker.set_policies(NOW, [policy(Verdict::Accept)]);
    send(&mut speaker, 1);
    several::drain(&mut speaker);
    assert_eq!(counts(&speaker, 1).1, MANY as usize);
    for (action, accepted) in [(Verdict::Reject, 0), (Verdict::Accept, MANY as usize)] {
        speaker.set_policies(NOW, [policy(action)]);
        // Told again meanwhile: it begins anew, once.
        speaker.set_policies(NOW, [policy(Verdict::Next)]);
        speaker.set_policies(NOW, [policy(action)]);
        assert!(work(&mut speaker) > 2);
        assert_eq!(counts(&speaker, 1), (MANY as usize, accepted));
    }
}

#[test]
fn lists_come_in_pages() {
    let mut speaker = several::with(1, |_, _| {});
    send(&mut speaker, 1);
    for n in 0..1000 {
        speaker.announce(
            NOW,
            announcement(&alloc::format!("203.0.{}.{}/32", n >> 8, n & 255)),
        );
    }
    while !several::drain(&mut speaker).is_empty() || work(&mut speaker) > 0 {}
    let tor1 = tor(1);
    let all: Vec<Prefix> = speaker.received(&tor1).map(|r| r.prefix).collect();
    assert!(all.is_sorted() && all.len() == MANY as usize);
    let (page, last) = speaker.received_page(&tor1, Family::Ipv4, Some(all[99]), 10);
    let page: Vec<Prefix> = page.iter().map(|r| r.prefix).collect();
    assert_eq!((&page[..], last), (&all[100..110], Some(all[109])));
    let told: Vec<Prefix> = speaker.advertised(&tor1).map(|r| r.prefix).collect();
    assert!(told.is_sorted() && told.len() == 1000);
    let own: Vec<Prefix> = speaker
        .announcements_after(Family::Ipv4, Some(told[9]))
        .map(|a| a.id.prefix)
        .collect();
    assert_eq!(own, told[10..]);
    // Own routes are among the prefixes that are looked at.
    let (page, last) = speaker.advertised_page(&tor1, Family::Ipv4, Some(told[0]), 3);
    assert_eq!((page.len(), last), (3, Some(told[3])));
    let (page, _) = speaker.in_use_page(Family::Ipv4, None, 5);
    assert_eq!(page.len(), 5);
}

#[test]
fn only_so_many_paths_share() {
    let mut speaker = several::with(3, |_, _| {});
    for node in 1..=3 {
        several::send(&mut speaker, node, "0.0.0.0/0", |_| {});
    }
    let default = "0.0.0.0/0".parse().unwrap();
    assert_eq!(speaker.installable_to(default).len(), 3);
    let mut config = speaker.config().clone();
    for paths in [2, 1, 3] {
        config.decision.maximum_paths_external = paths;
        changed(&mut speaker);
        speaker.set_config(NOW, config.clone());
        work(&mut speaker);
        assert_eq!(speaker.installable_to(default).len(), usize::from(paths));
        assert_eq!(changed(&mut speaker), 1);
    }
}

/// A switch of the decision is followed in slices; what is not looked at yet is as it was.
#[test]
fn a_switch_of_the_decision_is_followed_in_slices() {
    let mut speaker = several::with(2, |_, _| {});
    speaker.follow_next_hops();
    for node in 1..=2 {
        send(&mut speaker, node);
        let answer = NextHopAnswer {
            next_hop: addresses(node).v4.unwrap().into(),
            metric: Some(30 - 10 * node as u32),
            moved: false,
        };
        speaker.set_next_hops(NOW, [answer]);
    }
    work(&mut speaker);
    let best = |speaker: &Speaker, node: usize| {
        let peer = tor(node);
        speaker.received(&peer).filter(|route| route.best).count()
    };
    assert_eq!(best(&speaker, 2), MANY as usize);
    let mut config = speaker.config().clone();
    config.decision.ignore_metric = true;
    speaker.set_config(NOW, config);
    let done = best(&speaker, 1);
    assert!(done < MANY as usize / 4, "{done} in one turn");
    assert!(work(&mut speaker) > 2);
    assert_eq!(best(&speaker, 1), MANY as usize);
}

#[test]
fn a_first_session_is_no_news_for_the_kernel() {
    let mut speaker = several::with(1, |_, _| {});
    send(&mut speaker, 1);
    work(&mut speaker);
    assert_eq!(changed(&mut speaker), MANY as usize);
    let mut peer = speaker.peer_config(&tor(1)).unwrap().clone();
    peer.name = tor(2);
    peer.asn = PeerAsn::Number(asn(2));
    several::come(&mut speaker, 2, peer);
    work(&mut speaker);
    assert_eq!(changed(&mut speaker), 0, "it has no routes yet");
}

/// An own route stands before a received one, which goes to the kernel nevertheless.
#[test]
fn own_and_received_routes_to_one_prefix() {
    let mut speaker = several::with(2, |_, _| {});
    several::send(&mut speaker, 1, "203.0.113.1/32", |_| {});
    speaker.announce(NOW, announcement("203.0.113.1/32"));
    several::drain(&mut speaker);
    for node in 1..=2 {
        let told: Vec<_> = speaker.advertised(&tor(node)).collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].as_path, asn(0).to_string());
    }
    let prefix = "203.0.113.1/32".parse().unwrap();
    assert_eq!(speaker.installable_to(prefix).len(), 1);
    assert!(speaker.withdraw(NOW, &announcement("203.0.113.1/32").id));
    several::drain(&mut speaker);
    assert_eq!(speaker.advertised(&tor(2)).count(), 0);
}
