//! A reload with real peers: which sessions it ends is told before, by `plan` and `config check`, and no other ends.

use serde_json::{Value, json};
use tapway_api::config::{Checked, SessionEnd, SessionEndKind};
use tapway_api::peer::SessionState;
use tapway_api::plan::Plan;
use tapway_lab::{Netns, Tapwayd, wait_for};

use super::defaults::{established_count, router, router_with, wait_default};
use super::fabric::{HOST_AS, SOON, extend};

fn config(router: Value, password: &str) -> Value {
    let mut own = json!({"asn": HOST_AS, "router_id": "192.0.2.11"});
    extend(&mut own, router);
    let peer = |number: u8| {
        json!({
            "address": format!("198.51.100.{}", 2 * number),
            "asn": 65000 + u32::from(number),
            "connect_retry": "1s",
        })
    };
    let mut one = peer(1);
    extend(&mut one, json!({"password": password}));
    json!({"router": own, "peer": {"one": one, "two": peer(2)}})
}

/// Takes over a configuration; what it would do to sessions is told before, and what it did after.
#[track_caller]
fn reload(tapwayd: &Tapwayd, config: Value, expected: &[(&str, &str)]) {
    tapwayd.configure(config);
    let expected: Vec<SessionEnd> = expected
        .iter()
        .map(|(peer, why)| SessionEnd {
            peer: peer.parse().expect("a name"),
            end: SessionEndKind::Reset,
            why: (*why).to_owned(),
        })
        .collect();
    let plan: Plan = tapwayd.json(&["plan"]);
    let foreseen = plan.reload.expect("something differs");
    let checked: Checked = tapwayd.json(&["config", "check"]);
    assert_eq!(checked, foreseen);
    assert_eq!(foreseen.sessions, expected);
    let text = tapwayd.tapway(&["plan"]).out;
    for SessionEnd { peer, why, .. } in &expected {
        let line = format!("#   session {peer} is reset: {why}");
        assert!(text.contains(&line), "{text}");
    }
    let done: Checked = tapwayd.json(&["config", "reload"]);
    assert!(done.loaded && done.sessions == expected, "{done:#?}");
    let plan: Plan = tapwayd.json(&["plan"]);
    assert_eq!(plan.reload, None);
}

#[track_caller]
fn wait_up(tapwayd: &Tapwayd, peer: &str) {
    wait_for(SOON, format!("{peer} is up"), || {
        let all = tapwayd.peers();
        let found = all.iter().find(|p| p.name.as_str() == peer);
        match found.map(|p| p.state) {
            Some(SessionState::Established) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn counts(tapwayd: &Tapwayd) -> [u64; 2] {
    ["one", "two"].map(|peer| established_count(tapwayd, peer))
}

#[test]
fn it_ends_the_sessions_that_it_names_and_no_other() {
    let host = Netns::new("host");
    let with_password = |neighbor: tapway_lab::peers::Neighbor| neighbor.password("right");
    let (_bird_ns, _bird) = router_with(&host, 1, "bird", with_password);
    let (_frr_ns, _frr) = router(&host, 2, "frr");
    let tapwayd = Tapwayd::start(&host, config(json!({}), "right"));
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    wait_default(&host, "-6", 20, &["up1", "up2"]);

    // Another password of one peer: the other one's session and its way stay.
    reload(
        &tapwayd,
        config(json!({}), "wrong"),
        &[("one", "password differs")],
    );
    wait_default(&host, "-4", 20, &["up2"]);
    assert_eq!(established_count(&tapwayd, "two"), 1);
    reload(&tapwayd, config(json!({}), "right"), &[]);
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    assert_eq!(counts(&tapwayd), [2, 1]);

    // What is no matter to sessions.
    let more = json!({
        "maximum_paths": 1,
        "cluster_id": "10.0.0.1",
        "next_hop_via_default": true,
        "listen": [],
        "decision": {"always_compare_med": true},
    });
    reload(&tapwayd, config(more, "right"), &[]);
    wait_default(&host, "-4", 20, &["up1"]);
    assert_eq!(counts(&tapwayd), [2, 1]);

    // What is in every OPEN.
    let id = json!({"router_id": "192.0.2.12"});
    let why = "router_id of [router] differs";
    reload(&tapwayd, config(id, "right"), &[("one", why), ("two", why)]);
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    for peer in ["one", "two"] {
        wait_up(&tapwayd, peer);
    }
    assert_eq!(counts(&tapwayd), [3, 2]);
}
