//! One session with both families: what the peer learns, and when it loses it.

use serde_json::json;
use tapway_api::peer::SessionState;
use tapway_lab::wait_for;

use super::fabric::{Fabric, OLD, SOON, Transport, WEB, all, old, wait_kernel, wait_routes};

with_every_peer_and_transport!(comes_and_goes);

/// Instances come by file and by API and go; packets reach the guest; a lost link ends the session.
fn comes_and_goes(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let tapwayd = fabric.start_tapwayd(json!({}));

    let seen = wait_routes(&*peer, &WEB);
    for (prefix, allowed) in WEB.iter().zip(fabric.next_hops()) {
        let route = seen.route(prefix);
        assert_eq!(route.as_path, [64612], "{prefix}");
        assert!(
            !route.next_hops.is_empty() && route.next_hops.iter().all(|h| allowed.contains(h)),
            "{prefix} via {:?}, not {allowed:?}",
            route.next_hops
        );
    }
    for default in wait_kernel(&fabric.host, "default proto 112", 2) {
        assert!(default.contains("metric 20"), "{default}");
    }
    fabric.wait_reachable();

    tapwayd.put(&old());
    wait_routes(&*peer, &all(&[&WEB, &OLD]));
    tapwayd.delete("old");
    wait_routes(&*peer, &WEB);
    wait_kernel(&fabric.host, "dev tap1 proto 112", 0);

    tapwayd.apply(&old());
    wait_routes(&*peer, &all(&[&WEB, &OLD]));
    let removed = tapwayd.tapway(&["instance", "remove", "old"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    wait_routes(&*peer, &WEB);

    // Over IPv6 only the carrier is lost, else the link is taken down.
    let (cut, interface, reason) = match transport {
        Transport::Ipv6 => (&fabric.router, "down0", "interface up0 has no carrier"),
        Transport::Ipv4 | Transport::LinkLocal => (&fabric.host, "up0", "interface up0 is down"),
    };
    cut.link_set(interface, "down");
    wait_for(SOON, "the lost link ends the session", || {
        let peers = tapwayd.peers();
        let told = peers[0].last_error.as_deref();
        if peers[0].state != SessionState::Established && told == Some(reason) {
            Ok(())
        } else {
            Err(format!("{peers:#?}"))
        }
    });
    wait_kernel(&fabric.host, "default proto 112", 0);
    if program != "gobgp" {
        peer.wait_until("host", SOON, "sees the link down too", &mut |v| {
            !v.established
        });
    }
    cut.link_set(interface, "up");
    fabric.route_for_gobgp();
    wait_routes(&*peer, &WEB);
    wait_kernel(&fabric.host, "default proto 112", 2);
    fabric.wait_reachable();
}

/// IPv4 over a link without IPv4 addresses needs RFC 8950 at both ends; without it, the other family goes
/// on, and the reason is told.
#[test]
fn without_a_next_hop_one_family_is_not_sent() {
    let fabric = Fabric::new("bird", Transport::LinkLocal);
    let mut neighbor = fabric.neighbor();
    neighbor.extended_next_hop = false;
    let peer = fabric.start_peer(neighbor);
    let tapwayd = fabric.start_tapwayd(json!({}));
    wait_routes(&*peer, &WEB[1..]);
    for (prefix, code) in WEB.iter().zip([1, 0]) {
        let told = tapwayd.tapway(&["explain", prefix]);
        assert_eq!(told.code, code, "{told:?}");
        assert_eq!(told.out.contains("RFC 8950"), code == 1, "{}", told.out);
    }
}
