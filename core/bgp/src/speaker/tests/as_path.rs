//! AS numbers at the border: another local AS, ours in what comes, the peer's and private ones in what goes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tapway_bgp_wire::{AsPath, MessageType, Open};

use super::net::*;
use super::raw::Raw;
use super::several::{self, NOW, tor};
use super::transit::transit;
use crate::config::{
    LocalAs, PeerAsn, PeerConfig, PeerRole, Prepend, PrependAs, RemovePrivate, Role, Set,
};
use crate::*;

const PREFIX: &str = "198.18.1.0/24";
/// What a peer takes for our AS, 65001; the peers are 65002 and 65003.
const LOCAL: u32 = 64999;

fn local(replace: bool, prepend: bool) -> Option<LocalAs> {
    Some(LocalAs {
        asn: LOCAL,
        replace,
        prepend,
    })
}

/// Two peers who are told all of each other.
fn world(set: Set, change: impl Fn(usize, &mut PeerConfig)) -> Speaker {
    let mut speaker = several::with(2, |node, peer| {
        peer.export = policy_name("transit");
        change(node, peer);
    });
    speaker.set_policies(NOW, [transit(set)]);
    several::drain(&mut speaker);
    speaker
}

/// The path that the second peer is told of a route that the first one sent with this path.
fn passed(speaker: &mut Speaker, sent: &[u32]) -> Option<String> {
    several::send(speaker, 1, PREFIX, |a| a.as_path = AsPath::sequence(sent));
    told(speaker)
}

fn told(speaker: &mut Speaker) -> Option<String> {
    several::drain(speaker);
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
        several::drain(speaker);
    }
    speaker.advertised(&tor(2)).next().map(|r| r.as_path)
}

fn refused(speaker: &Speaker) -> Option<Refusal> {
    speaker.received(&tor(1)).next().unwrap().refused
}

/// RFC 7947 §2.2.2.1.
#[test]
fn a_route_server_need_not_be_in_the_path() {
    let set = |speaker: &mut Speaker, any_first| {
        let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
        config.as_path.any_first = any_first;
        assert_eq!(speaker.set_peer(NOW, config), PeerChange::Applied);
    };
    let mut speaker = world(Set::default(), |_, _| {});
    assert_eq!(passed(&mut speaker, &[65100, 65101]), None);
    assert_eq!(refused(&speaker), Some(Refusal::FirstAs));
    set(&mut speaker, true);
    assert_eq!(told(&mut speaker).as_deref(), Some("65001 65100 65101"));
    assert_eq!(refused(&speaker), None);
    // A loop is one all the same.
    assert_eq!(passed(&mut speaker, &[65100, 65001]), None);
    assert_eq!(refused(&speaker), Some(Refusal::AsLoop));
    let path = passed(&mut speaker, &[65100]);
    assert_eq!(path.as_deref(), Some("65001 65100"));
    set(&mut speaker, false);
    assert_eq!(told(&mut speaker), None);
    assert_eq!(refused(&speaker), Some(Refusal::FirstAs));
}

#[test]
fn our_open_has_the_local_as() {
    for (asn, field) in [(LOCAL, LOCAL as u16), (4_200_000_001, 23456)] {
        let raw = Raw::new(|peer| {
            peer.as_path.local = Some(LocalAs {
                asn,
                replace: false,
                prepend: true,
            });
        });
        let body = &raw.said[tapway_bgp_wire::HEADER_LEN..];
        assert_eq!(body[1..3], field.to_be_bytes());
        let open = Open::decode(body).unwrap();
        assert_eq!(open.capabilities.four_octet_asn(), Some(asn));
    }
}

/// Who is in our own AS, or in the one that it takes for ours, is no external peer.
#[test]
fn a_local_as_is_for_other_ases() {
    for (theirs, up) in [(asn(1), true), (asn(0), false), (LOCAL, false)] {
        let mut raw = Raw::new(|peer| {
            peer.asn = PeerAsn::External;
            peer.as_path.local = local(false, true);
        });
        raw.open(|open| {
            open.asn = theirs;
            let four = tapway_bgp_wire::Capability::FourOctetAs(theirs);
            open.capabilities.0.retain(|c| c.code() != four.code());
            open.capabilities.0.push(four);
        });
        raw.keepalive();
        assert_eq!(raw.state() == State::Established, up, "{theirs}");
        let bad_peer_as = (MessageType::Notification, 2, 2);
        assert_eq!(raw.messages().pop() == Some(bad_peer_as), !up);
    }
}

/// RFC 7705 §3.3: by default both are in front of what is sent, with "replace" the local one alone; our own routes, too.
#[test]
fn what_is_sent_has_the_local_as_in_front() {
    for (replace, own, of_other) in [
        (false, "64999 65001", "64999 65001 65002 7"),
        (true, "64999", "64999 65002 7"),
    ] {
        let mut speaker = world(Set::default(), |node, peer| {
            if node == 2 {
                peer.as_path.local = local(replace, true);
            }
        });
        assert_eq!(passed(&mut speaker, &[asn(1), 7]).unwrap(), of_other);
        speaker.announce(NOW, announcement("203.0.113.1/32"));
        let routes = several::routes_to(&mut speaker, 2);
        let told: Vec<String> = routes.iter().map(|(.., a)| a.as_path.to_string()).collect();
        assert_eq!(told, [own]);
    }
}

/// RFC 7705 §3.3: unless it says "no prepend", what comes by the session has gone through the local AS.
#[test]
fn what_is_received_has_gone_through_the_local_as() {
    let mut speaker = world(Set::default(), |node, peer| {
        if node == 1 {
            peer.as_path.local = local(false, true);
        }
    });
    let path = passed(&mut speaker, &[asn(1), 7]).unwrap();
    assert_eq!(path, "65001 64999 65002 7");
    let received = speaker.received(&tor(1)).next().unwrap();
    assert_eq!(received.as_path, "65002 7", "shown as it came");
    // Without a reset.
    let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
    config.as_path.local = local(true, false);
    assert_eq!(speaker.set_peer(NOW, config.clone()), PeerChange::Applied);
    assert_eq!(told(&mut speaker).unwrap(), "65001 65002 7");
    config.as_path.local = None;
    assert_eq!(speaker.set_peer(NOW, config), PeerChange::Reset);
}

#[test]
fn our_as_may_be_in_a_path_so_many_times() {
    let us = asn(0);
    for (allowed, path, refusal) in [
        (0, &[us][..], Some(Refusal::AsLoop)),
        (0, &[LOCAL], Some(Refusal::AsLoop)),
        (0, &[7], None),
        (1, &[us], None),
        (1, &[LOCAL, us], None),
        (1, &[us, us], Some(Refusal::AsLoop)),
        (1, &[LOCAL, LOCAL], Some(Refusal::AsLoop)),
        (2, &[us, 7, us], None),
    ] {
        let mut speaker = world(Set::default(), |_, peer| {
            peer.as_path.local = local(false, false);
            peer.as_path.allow_own = allowed;
        });
        passed(&mut speaker, &[&[asn(1)], path].concat());
        assert_eq!(refused(&speaker), refusal, "{allowed} {path:?}");
    }
    // The local AS of one session means nothing on others; what is allowed changes without a reset.
    let mut speaker = world(Set::default(), |_, _| ());
    passed(&mut speaker, &[asn(1), LOCAL]);
    assert_eq!(refused(&speaker), None);
    assert_eq!(passed(&mut speaker, &[asn(1), us]), None);
    let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
    config.as_path.allow_own = 1;
    assert_eq!(speaker.set_peer(NOW, config), PeerChange::Applied);
    assert_eq!(told(&mut speaker).unwrap(), "65001 65002 65001");
}

#[test]
fn the_as_of_the_peer_becomes_ours() {
    for (rules, path) in [
        ((false, None), "65001 65002 65003 7 65003"),
        ((true, None), "65001 65002 65001 7 65001"),
        ((true, local(true, true)), "64999 65002 64999 7 64999"),
    ] {
        let mut speaker = world(Set::default(), |node, peer| {
            if node == 2 {
                (peer.as_path.override_peer, peer.as_path.local) = rules;
            }
        });
        let sent = [asn(1), asn(2), 7, asn(2)];
        assert_eq!(passed(&mut speaker, &sent).unwrap(), path, "{rules:?}");
    }
}

/// RFC 6996; the peers' own are private here, too.
#[test]
fn private_numbers_stay_here() {
    use RemovePrivate::{All, IfAll, Replace};
    for (how, sent, path) in [
        (None, &[asn(1), 7][..], "65001 65002 7"),
        (Some(All), &[asn(1), 7], "65001 7"),
        (Some(All), &[asn(1), asn(2), 64512], "65001 65003"),
        (Some(IfAll), &[asn(1), 7], "65001 65002 7"),
        (Some(IfAll), &[asn(1), 64512], "65001"),
        (Some(Replace), &[asn(1), 7, 64512], "65001 65001 7 65001"),
    ] {
        let mut speaker = world(Set::default(), |node, peer| {
            if node == 2 {
                peer.as_path.remove_private = how;
            }
        });
        assert_eq!(
            passed(&mut speaker, sent).unwrap(),
            path,
            "{how:?} {sent:?}"
        );
    }
}

#[test]
fn what_a_policy_puts_in_front_stays() {
    let prepend = |asn| Set {
        prepend: Some(Prepend { asn, count: 2 }),
        ..Set::default()
    };
    for (asn_of, replace, path) in [
        (PrependAs::Own, false, "64999 65001 65001 65001 7"),
        // The peer is not to see our AS.
        (PrependAs::Own, true, "64999 64999 64999 7"),
        (PrependAs::Number(64512), true, "64999 64512 64512 7"),
    ] {
        let mut speaker = world(prepend(asn_of), |node, peer| {
            if node == 2 {
                peer.as_path.local = local(replace, true);
                peer.as_path.remove_private = Some(RemovePrivate::All);
            }
        });
        assert_eq!(passed(&mut speaker, &[asn(1), 7]).unwrap(), path);
    }
}

/// RFC 9234 §5 means the AS that the peer sees.
#[test]
fn a_role_marks_with_the_local_as() {
    let mut speaker = world(Set::default(), |node, peer| {
        if node == 2 {
            peer.as_path.local = local(false, true);
            peer.role = Some(PeerRole {
                role: Role::Provider,
                strict: false,
            });
        }
    });
    passed(&mut speaker, &[asn(1)]);
    let told = speaker.advertised(&tor(2)).next().unwrap();
    assert_eq!(told.only_to_customer, Some(LOCAL));
}
