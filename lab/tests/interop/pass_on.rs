//! What one router sent goes to another where a rule says so, and nowhere else.

use std::net::IpAddr;

use serde_json::{Value, json};
use tapway_api::doctor::{CheckStatus, Diagnosis};
use tapway_api::peer::SessionState;
use tapway_lab::Tapwayd;
use tapway_lab::peers::{self, Neighbor, Router};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const SENT: &str = "198.18.0.0/15";
const CLAIM: &str = "203.0.113.1/32";

#[test]
fn a_rule_passes_on_what_a_peer_sent() {
    let switch = Switch::new();
    let peer = |number: usize, export: &str| {
        let (_, address, asn) = ROUTERS[number];
        json!({"address": address, "asn": asn, "import": "all", "export": export, "passive": true})
    };
    let config = |next_hop: Value| {
        let mut frr = peer(1, "transit");
        frr["next_hop"] = next_hop;
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "policy": {"transit": {"rules": [
                {"match": {"from": "peer", "received_from": "bird"}, "set": {"add_communities": ["64612:7"]}, "action": "accept"},
            ]}},
            "peer": {"bird": peer(0, "transit"), "frr": frr, "gobgp": peer(2, "all")},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        })
    };
    let tapwayd = Tapwayd::start(&switch.host, config(json!("self")));
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    let start = |number: usize, originates: Option<&str>| {
        let (program, address, asn) = ROUTERS[number];
        let id = address.parse().expect("an address");
        let mut router = Router::new(asn, id)
            .neighbor(Neighbor::at("host", HOST, HOST_AS))
            .next_hop(address);
        if let Some(prefix) = originates {
            router = router.originate(prefix);
        }
        peers::start(program, &switch.routers[number], router)
    };
    let mut bird = start(0, Some(SENT));
    let frr = start(1, None);
    let gobgp = start(2, None);

    let view = frr.wait_until("host", SOON, "what bird sent", &mut |view| {
        view.established && view.has_exactly(&[SENT])
    });
    let route = view.route(SENT);
    assert_eq!(route.as_path, [HOST_AS, ROUTERS[0].2]);
    assert_eq!(
        route.next_hops,
        [HOST.parse::<std::net::IpAddr>().expect("an address")]
    );
    assert_eq!(route.communities, ["64612:7"]);
    // Packets for it come here, and the kernel has no route.
    let diagnosis: Diagnosis = tapwayd.json(&["doctor"]);
    let check = diagnosis.checks.iter().find(|c| c.name == "transit");
    let check = check.expect("the check is there");
    assert_eq!(check.status, CheckStatus::Warning);
    assert_eq!(check.detail, ["frr may be told what bird sent"]);
    // `all` is for our own, and nobody is told what it sent itself.
    gobgp.wait_until("host", SOON, "the claim alone", &mut |view| {
        view.established && view.has_exactly(&[CLAIM])
    });

    // It may keep its next hop, or have another one, without a new session.
    let written = "198.51.100.77";
    for (next_hop, expected) in [
        (json!("unchanged"), ROUTERS[0].1),
        (json!({"ipv4": written, "ipv6": "unchanged"}), written),
        (json!({"ipv4": "self"}), HOST),
    ] {
        tapwayd.configure(config(next_hop));
        let answer = tapwayd.tapway(&["config", "reload"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        let expected: IpAddr = expected.parse().expect("an address");
        frr.wait_until("host", SOON, "the next hop", &mut |view| {
            view.established && view.ways(SENT) == [expected]
        });
    }
    let sessions = tapwayd.peers();
    let frr_session = sessions.iter().find(|p| p.name.as_str() == "frr");
    assert!(frr_session.is_some_and(|p| p.state == SessionState::Established));

    bird.withdraw(SENT.parse().expect("a prefix"));
    frr.wait_until("host", SOON, "nothing", &mut |view| view.has_exactly(&[]));
    bird.announce(SENT.parse().expect("a prefix"));
    frr.wait_until("host", SOON, "it again", &mut |view| {
        view.has_exactly(&[SENT])
    });
    // In all that time nobody sent anything back.
    assert!(bird.view("host").routes.is_empty());
    bird.stop();
    frr.wait_until("host", SOON, "nothing", &mut |view| view.has_exactly(&[]));
}
