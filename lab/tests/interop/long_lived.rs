//! Long-lived graceful restart (RFC 9494) with real routers, both ways.

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::route::Route;
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Tapwayd, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const CLAIM: &str = "203.0.113.1/32";
/// What each router announces.
const SENT: [&str; 3] = ["198.18.0.0/24", "198.18.1.0/24", "198.18.2.0/24"];
/// LLGR_STALE, as the programs write it.
const MARKS: [&str; 2] = ["65535:6", "llgrStale"];

fn is_marked(communities: &[String]) -> bool {
    communities.iter().any(|c| MARKS.contains(&c.as_str()))
}

fn config() -> Value {
    let peer = |(program, address, asn): (&str, &str, u32)| {
        let peer = json!({"address": address, "asn": asn, "import": "all", "export": "transit", "connect_retry": "1s",
            "graceful_restart": {"time": "1s", "long_lived": "10m"}});
        (program.to_owned(), peer)
    };
    let peers: serde_json::Map<String, Value> = ROUTERS.into_iter().map(peer).collect();
    json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "policy": {"transit": {"rules": [
            {"match": {"from": "peer"}, "action": "accept"},
            {"action": "accept"},
        ]}},
        "peer": peers,
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn start(switch: &Switch, number: usize) -> Box<dyn Peer> {
    let (program, address, asn) = ROUTERS[number];
    let id = address.parse().expect("an address");
    let host = Neighbor::at("host", HOST, HOST_AS).long_lived(600);
    let router = Router::new(asn, id)
        .neighbor(host)
        .next_hop(address)
        .originate(SENT[number]);
    peers::start(program, &switch.routers[number], router)
}

/// Waits until the router has the host's route and those of the others, the latter marked or not.
fn wait_has(router: &dyn Peer, prefix: &str, marked: bool) {
    let what = format!(
        "{prefix}, {} LLGR_STALE",
        if marked { "with" } else { "without" }
    );
    router.wait_until("host", SOON, &what, &mut |view| {
        view.routes
            .iter()
            .any(|(p, route)| p.to_string() == prefix && is_marked(&route.communities) == marked)
    });
}

#[test]
fn both_sides_keep_the_routes_of_the_other() {
    let switch = Switch::new();
    let mut tapwayd = Tapwayd::start(&switch.host, config());
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    let mut routers: Vec<Box<dyn Peer>> = (0..3).map(|n| start(&switch, n)).collect();
    for (number, router) in routers.iter().enumerate() {
        wait_has(&**router, CLAIM, false);
        for sent in SENT.iter().enumerate().filter(|(n, _)| *n != number) {
            wait_has(&**router, sent.1, false);
        }
    }

    // We are away for longer than our restart time.
    tapwayd.kill();
    for router in &routers {
        wait_has(&**router, CLAIM, true);
    }
    tapwayd.restart(&switch.host);
    for router in &routers {
        wait_has(&**router, CLAIM, false);
    }

    // They are, one after the other: the others are told so.
    for number in 0..3 {
        let (program, _, _) = ROUTERS[number];
        wait_received(&tapwayd, program, false);
        routers[number].kill();
        wait_received(&tapwayd, program, true);
        for other in (0..3).filter(|other| *other != number) {
            wait_has(&*routers[other], SENT[number], true);
        }
        routers[number].start(&switch.routers[number]);
        wait_received(&tapwayd, program, false);
        for other in (0..3).filter(|other| *other != number) {
            wait_has(&*routers[other], SENT[number], false);
        }
    }
}

/// Waits until what a router announced is kept long, or not.
fn wait_received(tapwayd: &Tapwayd, program: &str, kept_long: bool) {
    wait_for(SOON, format!("{program}: kept long {kept_long}"), || {
        let routes: List<Route> = tapwayd.json(&["route", "list", "--received", program]);
        let own = routes.items.iter().find(|r| {
            SENT.contains(&r.prefix.to_string().as_str()) && r.as_path.split(' ').count() == 1
        });
        match own {
            Some(route) if route.long_lived_stale == kept_long && route.stale == kept_long => {
                Ok(())
            }
            other => Err(format!("{other:#?}")),
        }
    });
}
