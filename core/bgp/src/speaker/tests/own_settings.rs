//! Our own settings change while sessions are up, and what of any settings would end one is known beforehand.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{AsPath, Attributes};
use tapway_model::{Family, IfName};

use super::net::*;
use super::several::{self, NOW, drain, tor};
use crate::config::{
    AddPaths, GracefulRestart, LocalAs, PeerAddress, PeerAsn, PeerConfig, PeerRole, PrefixLimit,
    Reach, Role, Secret, SendPaths, SpeakerConfig,
};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn causes(speaker: &Speaker, node: usize, own: &SpeakerConfig) -> Vec<String> {
    let peer = speaker.peer_config(&tor(node)).unwrap();
    let causes = speaker.resets(&tor(node), peer, own);
    causes.iter().map(ToString::to_string).collect()
}

fn states(speaker: &Speaker) -> Vec<State> {
    speaker.peers().map(|peer| peer.state).collect()
}

fn work(speaker: &mut Speaker) {
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
    }
}

/// The AS paths that a peer has been told.
fn told(speaker: &Speaker, node: usize) -> Vec<String> {
    let peer = tor(node);
    let all = speaker.advertised(&peer).map(|route| route.as_path);
    all.collect()
}

#[test]
fn another_router_id_resets_every_session() {
    let mut net = established(Transport::V4, |_, _, _| {});
    let mut own = net.speaker(0).config().clone();
    own.router_id = Ipv4Addr::new(192, 0, 2, 99);
    let peer = net.speaker(0).peer_config(&name("peer")).unwrap().clone();
    let causes = net.speaker(0).resets(&name("peer"), &peer, &own);
    assert_eq!(causes, [ResetCause::Router("router_id")]);
    let now = net.now;
    net.speaker(0).set_config(now, own);
    net.run(5 * SECOND);
    assert_eq!(net.states(), [State::Established; 2]);
    assert_eq!(net.peer(0).established_count, 2);
    let got = net.peer(1).last_received.unwrap().1;
    assert_eq!(
        (got.code, got.subcode),
        (6, 6),
        "Other Configuration Change"
    );
    let negotiated = net.peer(1).negotiated.unwrap();
    assert_eq!(negotiated.router_id, Ipv4Addr::new(192, 0, 2, 99));
}

/// The first peer is told our AS, the second takes us for another one, the third is to become internal.
#[test]
fn another_as_resets_those_who_are_told_of_it() {
    let local = LocalAs {
        asn: 64_999,
        replace: false,
        prepend: true,
    };
    let mut speaker = several::with(3, |node, peer| {
        if node == 2 {
            peer.as_path.local = Some(local);
        }
    });
    speaker.announce(NOW, announcement("203.0.113.1/32"));
    // What has our AS in its path has been here.
    several::send(&mut speaker, 2, "198.51.100.0/24", |a| {
        a.as_path = AsPath::sequence([asn(2), asn(3)]);
    });
    drain(&mut speaker);
    let path = |us: u32| [alloc::format!("64999 {us}")];
    assert_eq!(told(&speaker, 2), path(asn(0)));
    let mut own = speaker.config().clone();
    own.asn = asn(3);
    let asn_differs = ["asn of [router] differs"];
    assert_eq!(causes(&speaker, 1, &own), asn_differs);
    assert_eq!(causes(&speaker, 2, &own), [""; 0]);
    assert_eq!(causes(&speaker, 3, &own), asn_differs);
    speaker.set_config(NOW, own.clone());
    work(&mut speaker);
    drain(&mut speaker);
    let up = State::Established;
    let left: Vec<_> = states(&speaker).into_iter().map(|s| s == up).collect();
    assert_eq!(left, [false, true, false]);
    // The one that stays is told our new AS, behind the one that it knows.
    assert_eq!(told(&speaker, 2), path(asn(3)));
    let peer = tor(2);
    let refused: Vec<_> = speaker.received(&peer).map(|r| r.refused).collect();
    assert_eq!(refused, [Some(Refusal::AsLoop)]);
    // Nothing differs: nothing happens.
    speaker.set_config(NOW, own);
    assert_eq!(states(&speaker)[1], State::Established);
}

/// A peer of "any AS but ours" that the new AS is the AS of cannot stay, though it is never told of ours.
#[test]
fn an_external_peer_whose_as_becomes_ours_is_reset() {
    let mut speaker = several::with(1, |_, peer| {
        peer.asn = PeerAsn::External;
        peer.as_path.local = Some(LocalAs {
            asn: 64_999,
            replace: false,
            prepend: true,
        });
    });
    let mut own = speaker.config().clone();
    own.asn = asn(2);
    assert_eq!(causes(&speaker, 1, &own), [""; 0]);
    own.asn = asn(1);
    assert_eq!(causes(&speaker, 1, &own), ["asn of [router] differs"]);
    speaker.set_config(NOW, own);
    assert_ne!(states(&speaker), [State::Established]);
}

#[test]
fn the_decision_and_the_cluster_reset_nobody() {
    let mut speaker = several::with(2, |_, _| {});
    let mut own = speaker.config().clone();
    own.cluster_id = Some(Ipv4Addr::new(10, 0, 0, 1));
    own.decision.always_compare_med = true;
    own.graceful_restart = None;
    assert_eq!(causes(&speaker, 1, &own), [""; 0]);
    speaker.set_config(NOW, own);
    work(&mut speaker);
    assert_eq!(states(&speaker), [State::Established; 2]);
}

#[test]
fn every_setting_that_ends_a_session_is_named() {
    type Change = fn(&mut PeerConfig);
    let rows: [(&str, Change); 14] = [
        ("address", |p| {
            p.address = PeerAddress::Ip {
                addr: Ipv4Addr::new(198, 51, 100, 99).into(),
                interface: None,
            };
        }),
        ("interface", |p| {
            p.address = PeerAddress::Interface(IfName::new("eth7").unwrap());
        }),
        ("port", |p| p.port = 1179),
        ("local_address", |p| {
            p.local_address = Some(Ipv4Addr::new(198, 51, 100, 1).into());
        }),
        ("asn", |p| p.asn = PeerAsn::External),
        ("families", |p| p.families = [Family::Ipv4].to_vec()),
        ("password", |p| {
            p.password = Some(Secret::new("x".into()));
        }),
        ("hold_time", |p| p.hold_time = 9 * SECOND),
        ("keepalive", |p| p.keepalive = Some(SECOND)),
        ("ttl_security", |p| p.reach = Reach::TtlSecurity),
        ("multihop", |p| p.reach = Reach::Multihop(3)),
        ("add_paths", |p| {
            p.add_paths = AddPaths {
                receive: false,
                send: Some(SendPaths::All),
            };
        }),
        ("graceful_restart", |p| {
            p.graceful_restart = Some(GracefulRestart {
                time: 7 * SECOND,
                notification: false,
                long_lived: None,
            });
        }),
        ("role", |p| {
            p.role = Some(PeerRole {
                role: Role::Customer,
                strict: false,
            });
        }),
    ];
    let speaker = several::with(1, |_, _| {});
    let own = speaker.config().clone();
    for (key, change) in rows {
        let mut peer = speaker.peer_config(&tor(1)).unwrap().clone();
        change(&mut peer);
        let causes = speaker.resets(&tor(1), &peer, &own);
        assert_eq!(causes, [ResetCause::Peer(key)]);
        let mut changed = speaker.clone();
        assert_eq!(changed.set_peer(NOW, peer), PeerChange::Reset, "{key}");
    }
}

#[test]
fn so_is_a_limit_that_is_exceeded_already() {
    let mut speaker = several::with(1, |_, _| {});
    for prefix in ["203.0.113.0/24", "198.51.100.0/24"] {
        several::send(&mut speaker, 1, prefix, |_: &mut Attributes| {});
    }
    let own = speaker.config().clone();
    let mut peer = speaker.peer_config(&tor(1)).unwrap().clone();
    peer.prefix_limit = PrefixLimit::new(2);
    assert_eq!(speaker.resets(&tor(1), &peer, &own), []);
    peer.prefix_limit = PrefixLimit::new(1);
    let causes = speaker.resets(&tor(1), &peer, &own);
    let texts: Vec<_> = causes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["it has sent 2 ipv4-unicast prefixes, and prefix_limit is 1 now"]
    );
    assert_eq!(speaker.set_peer(NOW, peer.clone()), PeerChange::Reset);
    // Without a session there is nothing to end.
    assert_eq!(speaker.resets(&tor(1), &peer, &own), []);
    assert_eq!(speaker.resets(&tor(9), &peer, &own), []);
}
