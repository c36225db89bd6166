//! Routes sent again (RFC 2918, RFC 7313).

use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::Family;

use super::net::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn with_routes(count: u8) -> Net {
    let mut net = established(Transport::V6, |_, _, _| {});
    for i in 1..=count {
        net.announce(1, &alloc::format!("203.0.113.{i}/32"));
        net.announce(1, &alloc::format!("2001:db8:1::{i:x}/128"));
    }
    net.run(SECOND);
    net
}

#[test]
fn soft_reset_asks_and_sends() {
    let mut net = with_routes(3);
    net.take_events(1);
    let (now, before) = (net.now, net.peer(0));
    let both = SoftReset::Both;
    let outcome = net.speaker(0).reset_soft(now, &name("peer"), both);
    assert_eq!(outcome, SoftOutcome::Done);
    net.run(SECOND);
    let after = net.peer(0);
    assert_eq!(after.received.announced - before.received.announced, 6);
    // BoRR and EoRR of both families, each way; a request of each family.
    assert_eq!(after.received.refresh - before.received.refresh, 4);
    assert_eq!(after.sent.refresh - before.sent.refresh, 6);
    assert_eq!(after.families[0].stale + after.families[1].stale, 0);
    assert_eq!(net.received(0).len(), 6);
    let asked: Vec<_> = net
        .take_events(1)
        .into_iter()
        .filter_map(|e| match e {
            Event::RefreshRequested { family, .. } => Some(family),
            _ => None,
        })
        .collect();
    assert_eq!(asked, Family::ALL);
    assert_eq!(after.established_count, 1);
}

#[test]
fn nothing_without_a_session() {
    let mut net = pair(Transport::V4, |_, _, _| {});
    let now = net.now;
    for (peer, way) in [("peer", SoftReset::Both), ("nobody", SoftReset::In)] {
        let outcome = net.speaker(0).reset_soft(now, &name(peer), way);
        assert_eq!(outcome, SoftOutcome::NoSession);
    }
}

#[test]
fn each_way_by_itself() {
    // The routes that each side is told again.
    for (way, told) in [
        (SoftReset::In, [4, 0]),
        (SoftReset::Out, [0, 2]),
        (SoftReset::Both, [4, 2]),
    ] {
        let mut net = with_routes(2);
        net.announce(0, "192.0.2.1/32");
        net.announce(0, "2001:db8:2::1/128");
        net.run(SECOND);
        let announced = |net: &Net| [0, 1].map(|node| net.peer(node).received.announced);
        let (now, before) = (net.now, announced(&net));
        let outcome = net.speaker(0).reset_soft(now, &name("peer"), way);
        assert_eq!(outcome, SoftOutcome::Done);
        net.run(SECOND);
        let after = announced(&net);
        assert_eq!(
            [after[0] - before[0], after[1] - before[1]],
            told,
            "{way:?}"
        );
        assert_eq!((net.received(0).len(), net.received(1).len()), (4, 2));
        assert_eq!(net.peer(0).established_count, 1);
    }
}

#[test]
fn what_the_receiver_has_too_much_goes_with_the_refresh() {
    use tapway_bgp_wire::{AfiSafi, RefreshSubtype, RouteRefresh};

    let mut net = with_routes(2);
    // Begin and end without the routes in between: all of the family go.
    let conn = net.peer(0).connection.unwrap().0;
    let now = net.now;
    for subtype in [RefreshSubtype::Begin, RefreshSubtype::End] {
        assert_eq!(net.received(0).len(), 4);
        let mut bytes = Vec::new();
        RouteRefresh {
            family: AfiSafi::IPV6_UNICAST,
            subtype,
        }
        .encode(&mut bytes);
        net.speaker(0).handle_data(now, conn, &bytes);
    }
    assert_eq!(net.received(0), ["203.0.113.1/32", "203.0.113.2/32"]);
}

#[test]
fn a_change_during_a_refresh_is_not_lost() {
    let mut net = with_routes(200);
    let now = net.now;
    net.speaker(0)
        .reset_soft(now, &name("peer"), SoftReset::Both);
    net.run(LATENCY);
    net.withdraw(1, "203.0.113.7/32");
    net.announce(1, "203.0.113.201/32");
    net.run(SECOND);
    let received = net.received(0);
    assert_eq!(received.len(), 400);
    assert!(!received.iter().any(|r| r == "203.0.113.7/32"));
    assert!(received.iter().any(|r| r == "203.0.113.201/32"));
}

#[test]
fn a_refresh_that_never_ends_is_ended() {
    use tapway_bgp_wire::{AfiSafi, RefreshSubtype, RouteRefresh};

    let mut net = with_routes(1);
    let (now, conn) = (net.now, net.peer(0).connection.unwrap().0);
    let mut bytes = Vec::new();
    RouteRefresh {
        family: AfiSafi::IPV6_UNICAST,
        subtype: RefreshSubtype::Begin,
    }
    .encode(&mut bytes);
    net.speaker(0).handle_data(now, conn, &bytes);
    net.run(350 * SECOND);
    assert_eq!(net.received(0).len(), 2);
    net.run(20 * SECOND);
    assert_eq!(net.received(0), ["203.0.113.1/32"]);
    assert_eq!(net.states(), [State::Established; 2]);
}

/// A thousand of these messages for IPv6.
fn flood(subtypes: &[tapway_bgp_wire::RefreshSubtype]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for subtype in subtypes.iter().cycle().take(1000) {
        tapway_bgp_wire::RouteRefresh {
            family: Family::Ipv6.into(),
            subtype: *subtype,
        }
        .encode(&mut bytes);
    }
    bytes
}

#[test]
fn a_flood_of_requests_is_one_transfer_at_a_time() {
    use tapway_bgp_wire::RefreshSubtype;

    let mut net = with_routes(200);
    net.take_events(1);
    let (now, conn) = (net.now, net.peer(1).connection.unwrap().0);
    let before = net.peer(1).sent;
    let bytes = flood(&[RefreshSubtype::Request]);
    // The second burst comes while the first one's transfer is not begun: it is the same.
    net.speaker(1).handle_data(now, conn, &bytes);
    net.speaker(1).handle_data(now, conn, &bytes);
    net.run(SECOND);
    let after = net.peer(1).sent;
    assert_eq!(after.announced - before.announced, 200);
    assert_eq!(
        after.refresh - before.refresh,
        2,
        "one beginning and one end"
    );
    let asked = |e: &Event| matches!(e, Event::RefreshRequested { .. });
    assert_eq!(net.take_events(1).iter().filter(|e| asked(e)).count(), 1);
    // One that comes after it is another.
    let now = net.now;
    net.speaker(1).handle_data(now, conn, &bytes);
    net.run(SECOND);
    assert_eq!(net.peer(1).sent.announced - after.announced, 200);
    assert_eq!(net.received(0).len(), 400);
}

#[test]
fn a_flood_of_beginnings_and_ends_is_swept_once() {
    use tapway_bgp_wire::RefreshSubtype;

    let mut net = with_routes(200);
    net.take_events(0);
    let (now, conn) = (net.now, net.peer(0).connection.unwrap().0);
    let bytes = flood(&[RefreshSubtype::Begin, RefreshSubtype::End]);
    net.speaker(0).handle_data(now, conn, &bytes);
    net.run(SECOND);
    let removed = |e: Event| match e {
        Event::StaleRemoved { routes, .. } => Some(routes),
        _ => None,
    };
    let removed: Vec<_> = net.take_events(0).into_iter().filter_map(removed).collect();
    assert_eq!(removed, [200]);
    assert_eq!(net.received(0).len(), 200);
}
