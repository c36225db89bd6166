//! `tapway drain`: the host becomes the last choice of its routers, also over a restart.

use serde_json::json;
use tapway_lab::peers::PeerView;

use super::fabric::{Fabric, SOON, Transport, WEB, wait_routes};

with_every_peer!(drains);

/// GRACEFUL_SHUTDOWN as the peers print it.
const NAMES: [&str; 2] = ["65535:0", "gracefulShutdown"];

fn are_last_choice(view: &PeerView) -> bool {
    WEB.iter().all(|prefix| {
        let communities = &view.route(prefix).communities;
        communities.iter().any(|c| NAMES.contains(&c.as_str()))
    })
}

fn drains(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let mut tapwayd = fabric.start_tapwayd(json!({}));
    assert!(!are_last_choice(&wait_routes(&*peer, &WEB)));
    let wait = |what: &str, last: bool| {
        peer.wait_until("host", SOON, what, &mut |view| {
            view.established
                && view.has_exactly(&WEB)
                && !view.any_stale()
                && are_last_choice(view) == last
        });
    };

    assert_eq!(tapwayd.tapway(&["drain", "on"]).code, 0);
    assert!(tapwayd.status().draining);
    wait("has the routes as the last choice", true);
    fabric.wait_reachable();

    // It is the operator's word, and outlives the daemon.
    tapwayd.kill();
    tapwayd.launch(&fabric.host);
    wait("has them as the last choice after a restart", true);
    assert!(tapwayd.status().draining);

    assert_eq!(tapwayd.tapway(&["drain", "off"]).code, 0);
    assert!(!tapwayd.status().draining);
    wait("has them as usual again", false);
    fabric.wait_reachable();
}
