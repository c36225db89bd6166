//! Peers that are applied while the daemon runs.

use std::io::Write as _;

use serde_json::{Value, json};
use tapway_api::peer::Origin;
use tapway_lab::{Tapwayd, wait_for};

use super::fabric::{Fabric, SOON, Transport, WEB, wait_routes};

with_every_peer!(applied_kept_and_removed);

/// `tapway peer apply` makes a session at once and it is there after a restart; disabled and enabled it
/// stays what it was told; removed it is told, and does not come back.
fn applied_kept_and_removed(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let mut config = fabric.config(json!({}));
    let tor = config["peer"]["tor"].take();
    config["peer"] = json!({});
    let mut tapwayd = Tapwayd::prepare(&fabric.host, config);
    tapwayd.put(&super::fabric::web());
    tapwayd.restart(&fabric.host);
    assert!(tapwayd.peers().is_empty());

    apply(&tapwayd, &tor);
    wait_routes(&*peer, &WEB);
    assert_eq!(tapwayd.peers()[0].origin, Origin::Api);
    tapwayd.kill();
    tapwayd.restart(&fabric.host);
    wait_routes(&*peer, &WEB);

    done(
        &tapwayd,
        &["peer", "disable", "tor", "-m", "spring cleaning"],
    );
    peer.wait_until("host", SOON, "hears why", &mut |v| {
        let told = v.last_error.as_deref().unwrap_or_default();
        !v.established && v.routes.is_empty() && told.contains("spring cleaning")
    });
    tapwayd.kill();
    tapwayd.restart(&fabric.host);
    assert!(tapwayd.peers()[0].disabled);
    assert!(!peer.view("host").established);
    done(&tapwayd, &["peer", "enable", "tor"]);
    wait_routes(&*peer, &WEB);

    done(&tapwayd, &["peer", "remove", "tor"]);
    peer.wait_until("host", SOON, "lost all of it", &mut |v| {
        !v.established && v.routes.is_empty()
    });
    wait_for(SOON, "no peer is left", || {
        let peers = tapwayd.peers();
        if peers.is_empty() {
            Ok(())
        } else {
            Err(format!("{peers:?}"))
        }
    });
    tapwayd.stop();
    tapwayd.restart(&fabric.host);
    assert!(tapwayd.peers().is_empty());
}

#[track_caller]
fn apply(tapwayd: &Tapwayd, tor: &Value) {
    let mut file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile()
        .expect("a temporary file");
    write!(file, "{}", json!({"peer": {"tor": tor}})).expect("a temporary file");
    done(
        tapwayd,
        &["peer", "apply", "-f", &file.path().to_string_lossy()],
    );
}

#[track_caller]
fn done(tapwayd: &Tapwayd, arguments: &[&str]) {
    let answer = tapwayd.tapway(arguments);
    assert_eq!(answer.code, 0, "{answer:?}");
}
