//! Graceful restart (RFC 4724): the daemon is killed and started again while packets flow.

use std::time::Instant;

use serde_json::json;
use tapway_lab::Recorder;

use super::fabric::{Fabric, OLD, SOON, Transport, WEB, all, old, wait_kernel, wait_routes};

with_every_peer_and_transport!(no_route_and_no_packet_is_lost);

/// What of the kernel's state must not move while the daemon restarts.
const WATCHED: [&str; 4] = ["203.0.113.1", "2001:db8:77::", "default", "169.254.0.1"];

/// `kill -9`, an instance is removed meanwhile, restart: the peer loses no route of what stayed, not one
/// packet is lost, the kernel is not touched; what is gone is withdrawn and nothing stays stale.
fn no_route_and_no_packet_is_lost(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let mut tapwayd = fabric.start_tapwayd(json!({}));
    tapwayd.put(&old());
    let both = all(&[&WEB, &OLD]);
    wait_routes(&*peer, &both);
    wait_kernel(&fabric.host, "default proto 112", 2);
    fabric.wait_reachable();
    let pings = fabric.pings();
    pings.wait_answered(10);
    let changes = Recorder::start(&fabric.host, &["route", "address"]);

    tapwayd.kill();
    tapwayd.delete("old");
    peer.wait_until("host", SOON, "keeps the routes of the dead", &mut |v| {
        !v.established && v.has_exactly(&both) && v.any_stale()
    });
    pings.wait_answered(30);
    tapwayd.launch(&fabric.host);
    let end = Instant::now() + SOON;
    loop {
        let view = peer.view("host");
        for prefix in WEB {
            view.route(prefix);
        }
        if view.established && view.has_exactly(&WEB) && !view.any_stale() {
            break;
        }
        assert!(Instant::now() < end, "{view:#?}\n{}", tapwayd.log());
    }
    wait_kernel(&fabric.host, "dev tap1 proto 112", 0);
    wait_kernel(&fabric.host, "default proto 112", 2);
    pings.wait_answered(30);
    pings.assert_none_lost();
    let moved = changes.end(&fabric.host);
    let moved: Vec<&String> = moved
        .iter()
        .filter(|line| WATCHED.iter().any(|w| line.contains(w)))
        .filter(|line| !line.contains("tap1"))
        .collect();
    assert!(moved.is_empty(), "the restart changed: {moved:#?}");
}
