//! Roles (RFC 9234): who may have a session with whom, and which routes go where.

use alloc::string::ToString;
use alloc::vec::Vec;

use tapway_bgp_wire::{
    Attributes, Capability, ErrorCode, HEADER_LEN, MessageType, Open, Role as WireRole,
    UpdateBuilder,
};
use tapway_model::Prefix;

use super::net::*;
use super::raw::{Raw, from_peer, hop};
use super::several::{self, NOW, conn, tor};
use super::transit::transit;
use crate::config::{PeerAsn, PeerConfig, PeerRole, Role, Set};
use crate::*;

const PREFIX: &str = "198.18.1.0/24";
const OWN: &str = "203.0.113.1/32";
/// An AS that has nothing to do with us.
const FAR: u32 = 65099;

fn role(role: Role) -> Option<PeerRole> {
    Some(PeerRole {
        role,
        strict: false,
    })
}

fn strict(ours: Role) -> Option<PeerRole> {
    Some(PeerRole {
        role: ours,
        strict: true,
    })
}

/// What the speaker says, up to the first answer to this OPEN.
fn after_open(ours: Option<PeerRole>, roles: &[WireRole]) -> Raw {
    let mut raw = Raw::new(|peer| peer.role = ours);
    raw.open(|open| {
        open.capabilities
            .0
            .extend(roles.iter().map(|r| Capability::Role(*r)))
    });
    raw
}

#[test]
fn our_open_says_our_role() {
    let said = |change: fn(&mut PeerConfig)| {
        let raw = Raw::new(change);
        let open = Open::decode(&raw.said[HEADER_LEN..]).unwrap();
        let roles: Vec<WireRole> = open.capabilities.roles().collect();
        // Code 9, one octet.
        let bytes = raw.said.windows(3).any(|w| w == [9, 1, 3]);
        (roles, bytes)
    };
    let customer = Vec::from([WireRole::Customer]);
    assert_eq!(
        said(|peer| peer.role = role(Role::Customer)),
        (customer, true)
    );
    assert_eq!(said(|_| ()), (Vec::new(), false));
    // Roles are between ASes.
    let internal = |peer: &mut PeerConfig| {
        peer.asn = PeerAsn::Internal;
        peer.role = role(Role::Customer);
    };
    assert_eq!(said(internal), (Vec::new(), false));
}

#[test]
fn roles_that_do_not_belong_together_end_the_session() {
    use WireRole::{Customer, Peer, Provider, Unknown};
    for (ours, theirs, up) in [
        (role(Role::Customer), &[Provider][..], true),
        (role(Role::Customer), &[Provider, Provider], true),
        (role(Role::Customer), &[], true),
        (strict(Role::Customer), &[Provider], true),
        (None, &[Provider], true),
        (role(Role::Customer), &[Customer], false),
        (role(Role::Customer), &[Provider, Peer], false),
        (role(Role::Customer), &[Unknown(7)], false),
        (strict(Role::Customer), &[], false),
        (None, &[Provider, Peer], false),
    ] {
        let mut raw = after_open(ours, theirs);
        raw.keepalive();
        let what = (ours, theirs);
        assert_eq!(raw.state() == State::Established, up, "{what:?}");
        assert_eq!(raw.closed, !up, "{what:?}");
        let last = raw.messages().pop().unwrap();
        let ErrorCode { code, subcode } = ErrorCode::ROLE_MISMATCH;
        let mismatch = (MessageType::Notification, code, subcode);
        assert_eq!(last == mismatch, !up, "{what:?} {last:?}");
    }
    let raw = after_open(strict(Role::Customer), &[]);
    let (_, sent) = raw.speaker.peer(&name("peer")).unwrap().last_sent.unwrap();
    assert_eq!(
        sent.to_string(),
        "OPEN Message Error: Role Mismatch: the peer says no role, and role_strict asks for provider; give it that role, or remove role_strict"
    );
}

#[test]
fn the_session_shows_its_roles() {
    for (theirs, confirmed) in [(&[WireRole::Provider][..], true), (&[], false)] {
        let raw = after_open(role(Role::Customer), theirs);
        let negotiated = raw.speaker.peer(&name("peer")).unwrap().negotiated.unwrap();
        assert_eq!(negotiated.role, Some(Role::Customer));
        assert_eq!(negotiated.role_confirmed, confirmed);
    }
}

/// Two peers with these roles of ours, told all of each other; the second one may be internal.
fn world(first: Option<Role>, second: Option<Role>, internal: bool) -> Speaker {
    let mut speaker = several::with(2, |node, peer| {
        peer.export = policy_name("transit");
        let ours = if node == 1 { first } else { second };
        peer.role = ours.and_then(role);
        if node == 2 && internal {
            peer.asn = PeerAsn::Internal;
        }
    });
    speaker.set_policies(NOW, [transit(Set::default())]);
    several::drain(&mut speaker);
    speaker
}

/// The OTC of the route when it has come from the first peer and gone to the second one; `None`: it has not.
fn passed(speaker: &mut Speaker, otc: Option<u32>) -> Option<Option<u32>> {
    several::send(speaker, 1, PREFIX, |a| a.only_to_customer = otc);
    several::drain(speaker);
    let told = speaker.advertised(&tor(2)).next();
    told.map(|route| route.only_to_customer)
}

/// RFC 9234 §5, ingress: what is marked shows where it goes inside the AS.
#[test]
fn what_is_received_is_marked_or_refused() {
    let remote = asn(1);
    let leak = |by| (Some(Refusal::RouteLeak(by)), None);
    let kept = |otc| (None, Some(otc));
    for (ours, otc, expected) in [
        (Some(Role::Customer), None, kept(Some(remote))),
        (Some(Role::Customer), Some(FAR), kept(Some(FAR))),
        (Some(Role::RouteServerClient), None, kept(Some(remote))),
        (Some(Role::Peer), None, kept(Some(remote))),
        (Some(Role::Peer), Some(remote), kept(Some(remote))),
        (Some(Role::Peer), Some(FAR), leak(FAR)),
        (Some(Role::Provider), None, kept(None)),
        (Some(Role::Provider), Some(remote), leak(remote)),
        (Some(Role::RouteServer), Some(FAR), leak(FAR)),
        (None, None, kept(None)),
        (None, Some(FAR), kept(Some(FAR))),
    ] {
        let mut speaker = world(ours, None, true);
        let told = passed(&mut speaker, otc);
        let received = speaker.received(&tor(1)).next().unwrap();
        let what = (ours, otc);
        assert_eq!((received.refused, told), expected, "{what:?}");
        assert_eq!(received.only_to_customer, otc, "shown as it came");
        let installed = speaker.installable_to(PREFIX.parse().unwrap()).len();
        assert_eq!(installed, usize::from(told.is_some()), "{what:?}");
    }
}

/// RFC 9234 §5, egress.
#[test]
fn what_goes_out_is_marked_or_held() {
    let us = asn(0);
    for (to, otc, expected) in [
        (Some(Role::Provider), None, Some(Some(us))),
        (Some(Role::Provider), Some(FAR), Some(Some(FAR))),
        (Some(Role::RouteServer), None, Some(Some(us))),
        (Some(Role::Peer), None, Some(Some(us))),
        (Some(Role::Peer), Some(FAR), None),
        (Some(Role::Customer), None, Some(None)),
        (Some(Role::Customer), Some(FAR), None),
        (Some(Role::RouteServerClient), Some(FAR), None),
        (None, None, Some(None)),
        (None, Some(FAR), Some(Some(FAR))),
    ] {
        // From a peer without a role.
        assert_eq!(
            passed(&mut world(None, to, false), otc),
            expected,
            "{to:?} {otc:?}"
        );
    }
    // From one provider to another, or to a peer: never; down to a customer, with the first mark.
    let customer = Some(Role::Customer);
    assert_eq!(passed(&mut world(customer, customer, false), None), None);
    assert_eq!(
        passed(&mut world(customer, Some(Role::Peer), false), None),
        None
    );
    assert_eq!(
        passed(&mut world(customer, Some(Role::Provider), false), None),
        Some(Some(asn(1)))
    );
}

#[test]
fn own_routes_are_marked_too() {
    for (to, otc) in [
        (Some(Role::Provider), Some(asn(0))),
        (Some(Role::Peer), Some(asn(0))),
        (Some(Role::Customer), None),
        (None, None),
    ] {
        let mut speaker = world(None, to, false);
        speaker.announce(NOW, announcement(OWN));
        let routes = several::routes_to(&mut speaker, 2);
        let told: Vec<_> = routes
            .iter()
            .map(|(p, _, a)| (*p, a.only_to_customer))
            .collect();
        let prefix: Prefix = OWN.parse().unwrap();
        assert_eq!(told, [(prefix, otc)], "{to:?}");
    }
}

/// What is held back from a peer when its route becomes one for customers only is withdrawn.
#[test]
fn a_mark_that_comes_later_withdraws() {
    let mut speaker = world(None, Some(Role::Customer), false);
    assert_eq!(passed(&mut speaker, None), Some(None));
    assert_eq!(passed(&mut speaker, Some(FAR)), None);
    assert_eq!(speaker.peer(&tor(2)).unwrap().sent.withdrawn, 1);
}

/// The attribute is known here: it goes on as it came, without the partial flag.
#[test]
fn a_mark_is_passed_on_as_it_is() {
    let mut speaker = world(None, None, false);
    several::send(&mut speaker, 1, PREFIX, |a| a.only_to_customer = Some(FAR));
    let mut bytes = Vec::new();
    while let Some(transmit) = speaker.poll_transmit(NOW) {
        if transmit.conn == conn(2) {
            bytes.extend(transmit.bytes);
        }
    }
    let attribute = [&[0xc0, 35, 4][..], &FAR.to_be_bytes()].concat();
    assert!(bytes.windows(7).any(|w| w == attribute));
}

/// RFC 9234 §5: of another length than four octets, it is treated as a withdraw.
#[test]
fn a_malformed_mark_withdraws_the_route_and_the_session_stays() {
    let mut raw = after_open(role(Role::Customer), &[WireRole::Provider]);
    raw.keepalive();
    let marked = Attributes {
        only_to_customer: Some(asn(1)),
        ..from_peer()
    };
    let mut bytes = Vec::new();
    let prefix: Prefix = PREFIX.parse().unwrap();
    UpdateBuilder::new(&mut bytes, Default::default())
        .announce(&marked, hop("198.51.100.2"), [prefix])
        .unwrap();
    raw.feed(&bytes);
    assert_eq!(raw.refusal(), None);
    // The last octet of the AS goes, and with it one of all three lengths: of attribute, attributes and message.
    let at = bytes.windows(3).position(|w| w == [0xc0, 35, 4]).unwrap();
    bytes.remove(at + 6);
    for length in [at + 2, HEADER_LEN + 3, 17] {
        bytes[length] -= 1;
    }
    raw.feed(&bytes);
    assert_eq!(raw.state(), State::Established);
    assert_eq!(raw.speaker.received(&name("peer")).count(), 0);
    assert_eq!(raw.speaker.peer(&name("peer")).unwrap().bad_updates, 1);
}

#[test]
fn another_role_needs_another_session() {
    let mut speaker = world(None, Some(Role::Customer), false);
    let mut config = speaker.peer_config(&tor(2)).unwrap().clone();
    config.role = strict(Role::Customer);
    assert_eq!(speaker.set_peer(NOW, config), PeerChange::Reset);
}

/// Routes that are kept while the peer restarts are judged by the role that is agreed on then.
#[test]
fn routes_of_before_are_judged_by_the_new_role() {
    let mut speaker = world(None, None, true);
    assert_eq!(passed(&mut speaker, Some(FAR)), Some(Some(FAR)));
    speaker.handle_closed(NOW, conn(1), "gone");
    let mut config = speaker.peer_config(&tor(1)).unwrap().clone();
    config.role = role(Role::Provider);
    speaker.set_peer(NOW, config);
    several::accept(&mut speaker, 1, conn(77), [192, 0, 2, 2].into());
    several::drain(&mut speaker);
    while speaker.poll_timeout().is_some_and(|at| at <= NOW) {
        speaker.handle_timeout(NOW);
        several::drain(&mut speaker);
    }
    let route = speaker.received(&tor(1)).next().unwrap();
    assert!(route.stale);
    assert_eq!(route.refused, Some(Refusal::RouteLeak(FAR)));
    assert_eq!(speaker.advertised(&tor(2)).count(), 0);
}
