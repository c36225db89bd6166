//! Peers by range: real routers of three kinds connect from one subnet, none of them written down.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tapway_api::peer::SessionState;
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Netns, Tapwayd, veth, wait_for};

use super::fabric::{HOST_AS, SOON};

/// Program, address, AS.
pub(super) const ROUTERS: [(&str, &str, u32); 3] = [
    ("bird", "198.51.100.11", 65011),
    ("frr", "198.51.100.12", 65012),
    ("gobgp", "198.51.100.13", 65013),
];
pub(super) const HOST: &str = "198.51.100.1";
const CLAIM: &str = "203.0.113.1/32";

/// A host on a switch with three routers.
pub(super) struct Switch {
    pub(super) host: Netns,
    pub(super) routers: Vec<Netns>,
}

impl Switch {
    pub(super) fn new() -> Switch {
        let host = Netns::new("host");
        host.bridge("fabric");
        host.address("fabric", &format!("{HOST}/24"));
        let routers = ROUTERS.map(|(program, address, _)| {
            let router = Netns::new(program);
            veth(&host, program, &router, "eth0");
            host.link_set(program, "master fabric");
            router.address("eth0", &format!("{address}/24"));
            router
        });
        Switch {
            host,
            routers: routers.into(),
        }
    }

    /// Starts one of the routers.
    fn router(&self, number: usize, password: Option<&str>) -> Box<dyn Peer> {
        let (program, address, asn) = ROUTERS[number];
        let mut neighbor = Neighbor::at("host", HOST, HOST_AS);
        if let Some(password) = password {
            neighbor = neighbor.password(password);
        }
        let id: Ipv4Addr = address.parse().expect("an address");
        peers::start(
            program,
            &self.routers[number],
            Router::new(asn, id).neighbor(neighbor).next_hop(address),
        )
    }
}

fn config(edge: Value) -> Value {
    json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        // The members are meant by this, too.
        "network": {"default": {"peers": ["edge"]}},
        "policy": {"to-edge": {"rules": [{"match": {"peer": "edge"}, "action": "accept"}]}},
        "peer": {"edge": edge},
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn start(switch: &Switch, edge: Value) -> Tapwayd {
    let tapwayd = Tapwayd::start(&switch.host, config(edge));
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    tapwayd
}

fn reload(tapwayd: &Tapwayd, edge: Value) {
    tapwayd.configure(config(edge));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

fn has_the_claim(router: &dyn Peer) {
    router.wait_until("host", SOON, "up, with the claim", &mut |view| {
        view.established && view.has_exactly(&[CLAIM])
    });
}

/// Waits until exactly these routers are established peers.
#[track_caller]
fn members(tapwayd: &Tapwayd, numbers: &[usize]) {
    let want: BTreeSet<String> = numbers
        .iter()
        .map(|number| format!("edge@{}", ROUTERS[*number].1))
        .collect();
    wait_for(SOON, format!("the peers are {want:?}"), || {
        let peers = tapwayd.peers();
        let made = peers.iter().filter(|peer| peer.range.is_some());
        let up = made.clone().all(|p| p.state == SessionState::Established);
        let have: BTreeSet<String> = made.map(|peer| peer.name.to_string()).collect();
        match up && have == want {
            true => Ok(()),
            false => Err(format!("{peers:#?}")),
        }
    });
    let peers = tapwayd.peers();
    let range = peers.iter().find(|peer| peer.name.as_str() == "edge");
    let range = range.expect("the range itself is listed");
    assert_eq!(range.state, SessionState::Listening);
    assert_eq!(range.members, Some(numbers.len() as u64));
}

#[test]
fn whoever_connects_from_the_range_is_a_peer() {
    let switch = Switch::new();
    let edge = json!({"range": ["198.51.100.8/29"], "asn": "external", "export": "to-edge"});
    let tapwayd = start(&switch, edge.clone());
    let mut routers: Vec<_> = (0..3).map(|number| switch.router(number, None)).collect();
    for router in &routers {
        has_the_claim(router.as_ref());
    }
    members(&tapwayd, &[0, 1, 2]);
    let explained = tapwayd.tapway(&["explain", CLAIM]);
    assert!(explained.out.contains("3 of 3 peers"), "{explained:?}");

    // One that leaves is forgotten, and welcome again.
    routers[0].stop();
    members(&tapwayd, &[1, 2]);
    routers[0].start(&switch.routers[0]);
    has_the_claim(routers[0].as_ref());
    members(&tapwayd, &[0, 1, 2]);

    // A smaller range takes leave of those outside, and of nobody else.
    reload(
        &tapwayd,
        json!({"range": ["198.51.100.12/31"], "asn": "external", "export": "to-edge"}),
    );
    members(&tapwayd, &[1, 2]);
    routers[0].wait_until("host", SOON, "down", &mut |view| !view.established);
    reload(&tapwayd, edge);
    members(&tapwayd, &[0, 1, 2]);

    // Disabled, it takes leave of all until it is enabled.
    let answer = tapwayd.tapway(&["peer", "disable", "edge", "--message", "maintenance"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    for router in &routers {
        router.wait_until("host", SOON, "down", &mut |view| !view.established);
    }
    let answer = tapwayd.tapway(&["peer", "enable", "edge"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    members(&tapwayd, &[0, 1, 2]);
}

#[test]
fn a_range_has_a_password_and_a_limit() {
    let switch = Switch::new();
    let edge = |password: &str| {
        json!({
            "range": ["198.51.100.0/24"], "range_limit": 2, "asn": "external", "export": "to-edge", "password": password,
        })
    };
    let tapwayd = start(&switch, edge("s3cret"));
    let bird = switch.router(0, Some("s3cret"));
    let frr = switch.router(1, Some("another"));
    has_the_claim(bird.as_ref());
    members(&tapwayd, &[0]);
    let gobgp = switch.router(2, Some("s3cret"));
    has_the_claim(gobgp.as_ref());
    members(&tapwayd, &[0, 2]);
    assert!(!frr.view("host").established, "with another password");

    // A third one with the right password is one too many.
    drop(frr);
    let frr = switch.router(1, Some("s3cret"));
    tapwayd.logs("edge@198.51.100.12 is refused: the range has its 2 peers");
    members(&tapwayd, &[0, 2]);
    drop(gobgp);
    has_the_claim(frr.as_ref());
    members(&tapwayd, &[0, 1]);
}

#[test]
fn a_restart_keeps_what_members_have() {
    let switch = Switch::new();
    let mut tapwayd = start(
        &switch,
        json!({"range": ["198.51.100.0/24"], "asn": "external", "export": "to-edge"}),
    );
    let routers: Vec<_> = (0..2).map(|number| switch.router(number, None)).collect();
    for router in &routers {
        has_the_claim(router.as_ref());
    }
    tapwayd.kill();
    for router in &routers {
        router.wait_until("host", SOON, "stale routes", &mut |view| {
            !view.established && view.has_exactly(&[CLAIM])
        });
    }
    tapwayd.restart(&switch.host);
    for router in &routers {
        router.wait_until("host", SOON, "fresh routes", &mut |view| {
            view.established && view.has_exactly(&[CLAIM]) && !view.any_stale()
        });
    }
    members(&tapwayd, &[0, 1]);
}
