//! TCP MD5 (RFC 2385) and GTSM (RFC 5082): sessions with them, and none with the wrong ones.

use std::time::Duration;

use serde_json::{Value, json};
use tapway_api::peer::SessionState;
use tapway_lab::peers::{self, Peer};
use tapway_lab::{Tapwayd, try_wait_for, wait_for};

use super::fabric::{Fabric, SOON, Transport, WEB, wait_routes};

with_every_peer_and_transport!(md5_and_gtsm);
with_every_peer!(another_password);
with_every_peer!(another_ttl);

/// Both at once, whichever side connects.
fn md5_and_gtsm(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let mut neighbor = fabric.neighbor().ttl_security();
    let mut secrets = json!({"ttl_security": true});
    // GoBGP does not understand its own notation of a link-local address when it sets the key.
    if (program, transport) != ("gobgp", Transport::LinkLocal) {
        neighbor = neighbor.password("s3cret");
        secrets["password"] = json!("s3cret");
    }
    let peer = fabric.start_peer(neighbor);
    let tapwayd = fabric.start_tapwayd(secrets.clone());
    wait_routes(&*peer, &WEB);
    let shown = tapwayd.tapway(&["-o", "json", "peer", "show", "tor"]);
    assert!(!shown.out.contains("s3cret"), "{}", shown.out);
    // Being called must do alone, and so must calling. FRR calls no link-local address that it was told.
    let may_call = (program, transport) != ("frr", Transport::LinkLocal);
    for passive in [true, false] {
        if passive && !may_call {
            continue;
        }
        secrets["passive"] = json!(passive);
        reload(&fabric, &tapwayd, secrets.clone());
        let reset = tapwayd.tapway(&["peer", "reset", "tor", "--hard"]);
        assert_eq!(reset.code, 0, "{reset:?}");
        wait_routes(&*peer, &WEB);
        tapwayd.wait_established(SOON);
    }
}

/// No session with another password, or with one on one side only, and the reason is told; the right
/// one mends it.
fn another_password(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor().password("right"));
    let tapwayd = fabric.start_tapwayd(json!({"password": "wrong"}));
    wait_for(SOON, "the password is named as a reason", || {
        down_because(&*peer, &tapwayd, "the peer must have the same password")
    });
    reload(&fabric, &tapwayd, json!({}));
    wait_for(SOON, "its absence is named as a reason", || {
        down_because(
            &*peer,
            &tapwayd,
            "if the peer has a password, it must be here too",
        )
    });
    reload(&fabric, &tapwayd, json!({"password": "right"}));
    wait_routes(&*peer, &WEB);
}

/// With GTSM on our side only, what the peer sends with a TTL of 1 is not heard. On the peer's side only,
/// there is a session: we always send with a TTL of 255.
fn another_ttl(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let tapwayd = fabric.start_tapwayd(json!({"ttl_security": true}));
    let up = try_wait_for(Duration::from_secs(3), "a session", || {
        match tapwayd.peers()[0].state {
            SessionState::Established => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(up.is_err(), "there is a session");
    assert!(!peer.view("host").established, "there is a session");
    reload(&fabric, &tapwayd, json!({}));
    wait_routes(&*peer, &WEB);
    drop(peer);
    let router = fabric.router(fabric.neighbor().ttl_security());
    let peer = peers::start(program, &fabric.router, router);
    wait_routes(&*peer, &WEB);
}

/// Whether there is no session and the host tells this reason.
#[track_caller]
fn down_because(peer: &dyn Peer, tapwayd: &Tapwayd, reason: &str) -> Result<(), String> {
    assert!(!peer.view("host").established, "there is a session");
    let peers = tapwayd.peers();
    assert_ne!(peers[0].state, SessionState::Established);
    match &peers[0].last_error {
        Some(error) if error.contains(reason) => Ok(()),
        _ => Err(format!("{peers:#?}")),
    }
}

#[track_caller]
fn reload(fabric: &Fabric, tapwayd: &Tapwayd, more: Value) {
    tapwayd.configure(fabric.config(more));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
}
