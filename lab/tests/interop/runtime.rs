//! Peers that are applied while the daemon runs.

use std::io::Write as _;

use serde_json::{Value, json};
use tapway_api::peer::{Origin, PeerDetail};
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

/// The same of a policy: what it sets is seen at the peer at once, after a restart, and changed without a new session; one
/// that is in use stays.
#[test]
fn policies_are_applied_kept_and_removed() {
    let fabric = Fabric::new("bird", Transport::Ipv4);
    let peer = fabric.start_peer(fabric.neighbor());
    let mut config = fabric.config(json!({}));
    let mut tor = config["peer"]["tor"].take();
    config["peer"] = json!({});
    tor["export"] = json!("marks");
    let marks = |community: &str| {
        let rule = json!({"set": {"communities": [community]}, "call": "claims"});
        json!({"policy": {"marks": {"rules": [rule]}}})
    };
    let marked = |community: &str| {
        peer.wait_until("host", SOON, community, &mut |v| {
            let has = |p: &&str| v.route(p).communities == [community];
            v.established && v.has_exactly(&WEB) && !v.any_stale() && WEB.iter().all(has)
        });
    };
    let mut tapwayd = Tapwayd::prepare(&fabric.host, config);
    tapwayd.put(&super::fabric::web());
    tapwayd.restart(&fabric.host);

    apply_file(&tapwayd, "policy", &marks("64612:1"));
    apply(&tapwayd, &tor);
    marked("64612:1");
    tapwayd.kill();
    tapwayd.restart(&fabric.host);
    marked("64612:1");
    let sessions = |tapwayd: &Tapwayd| {
        let detail: PeerDetail = tapwayd.json(&["peer", "show", "tor"]);
        detail.session.expect("it is up").established_count
    };
    let before = sessions(&tapwayd);
    apply_file(&tapwayd, "policy", &marks("64612:2"));
    marked("64612:2");
    assert_eq!(sessions(&tapwayd), before, "without a new session");

    let refused = tapwayd.tapway(&["policy", "remove", "marks"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("tor"), "{refused:?}");
    marked("64612:2");
    done(&tapwayd, &["peer", "remove", "tor"]);
    done(&tapwayd, &["policy", "remove", "marks"]);
    tapwayd.kill();
    tapwayd.restart(&fabric.host);
    let left = tapwayd.tapway(&["policy", "show", "marks"]);
    assert_eq!(left.code, 1, "{left:?}");
}

#[track_caller]
fn apply(tapwayd: &Tapwayd, tor: &Value) {
    apply_file(tapwayd, "peer", &json!({"peer": {"tor": tor}}));
}

#[track_caller]
fn apply_file(tapwayd: &Tapwayd, what: &str, content: &Value) {
    let mut file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile()
        .expect("a temporary file");
    write!(file, "{content}").expect("a temporary file");
    done(
        tapwayd,
        &[what, "apply", "-f", &file.path().to_string_lossy()],
    );
}

#[track_caller]
fn done(tapwayd: &Tapwayd, arguments: &[&str]) {
    let answer = tapwayd.tapway(arguments);
    assert_eq!(answer.code, 0, "{answer:?}");
}
