//! The prefix limit with real routers: a warning, the end of the session, and another chance after the time that is written.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::SessionState;
use tapway_api::problem::Problem;
use tapway_lab::peers::{self, Neighbor, Router};
use tapway_lab::{Tapwayd, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const RESTART: Duration = Duration::from_secs(4);
const PREFIXES: [&str; 3] = ["198.18.0.0/24", "198.18.1.0/24", "198.18.2.0/24"];

/// What is wrong with a peer.
fn problems(tapwayd: &Tapwayd, peer: &str) -> Vec<String> {
    let all: List<Problem> = tapwayd.json(&["problem", "list"]);
    let of_peer = all.items.into_iter().filter(|p| p.subject == peer);
    of_peer.map(|p| p.message).collect()
}

fn is_up(tapwayd: &Tapwayd, name: &str) -> bool {
    let peers = tapwayd.peers();
    let peer = peers.iter().find(|p| p.name.as_str() == name);
    peer.is_some_and(|p| p.state == SessionState::Established)
}

fn warned_ended_and_let_in_again(number: usize) {
    let switch = Switch::new();
    let (program, address, asn) = ROUTERS[number];
    let limit = json!({"max": 2, "warning": 100, "restart": format!("{}s", RESTART.as_secs())});
    let peer: Value = json!({"address": address, "asn": asn, "import": "all", "passive": true, "prefix_limit": limit});
    let tapwayd = Tapwayd::start(
        &switch.host,
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {program: peer},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        }),
    );
    let id = address.parse().expect("an address");
    let router = Router::new(asn, id)
        .neighbor(Neighbor::at("host", HOST, HOST_AS))
        .next_hop(address)
        .originate(PREFIXES[0]);
    let mut router = peers::start(program, &switch.routers[number], router);
    wait_for(SOON, "up", || {
        is_up(&tapwayd, program).then_some(()).ok_or("not up")
    });
    assert_eq!(problems(&tapwayd, program), [""; 0]);

    router.announce(PREFIXES[1].parse().expect("a prefix"));
    let near = "2 of at most 2 prefixes of ipv4-unicast are received; beyond that the session ends";
    wait_for(SOON, "a warning", || match problems(&tapwayd, program) {
        said if said == [near] => Ok(()),
        said => Err(format!("{said:?}")),
    });
    let listed = tapwayd.tapway(&["peer", "list"]).out;
    assert!(
        listed.contains("ipv4-unicast near its limit of 2 prefixes"),
        "{listed}"
    );

    let begin = Instant::now();
    router.announce(PREFIXES[2].parse().expect("a prefix"));
    let over = "it sent more than 2 prefixes of a family; it is let in again in";
    wait_for(SOON, "the end of the session", || {
        match problems(&tapwayd, program) {
            said if said.len() == 1 && said[0].starts_with(over) => Ok(()),
            said => Err(format!("{said:?}")),
        }
    });
    router.withdraw(PREFIXES[2].parse().expect("a prefix"));
    wait_for(SOON, "up again", || {
        is_up(&tapwayd, program).then_some(()).ok_or("not up")
    });
    assert!(begin.elapsed() >= RESTART, "{:?}", begin.elapsed());
    wait_for(SOON, "the warning", || match problems(&tapwayd, program) {
        said if said == [near] => Ok(()),
        said => Err(format!("{said:?}")),
    });
}

#[test]
fn bird() {
    warned_ended_and_let_in_again(0);
}

#[test]
fn frr() {
    warned_ended_and_let_in_again(1);
}

#[test]
fn gobgp() {
    warned_ended_and_let_in_again(2);
}
