//! AS numbers at the border, with real routers: another local AS, ours in what comes, the peer's and private ones in what goes.

use serde_json::{Value, json};
use tapway_api::peer::SessionState;
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Netns, Tapwayd, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const SENT: &str = "198.18.0.0/15";
const CLAIM: &str = "203.0.113.1/32";
/// What a peer takes for the host's AS.
const LOCAL_AS: u32 = 64999;
const BIRD: usize = 0;
const FRR: usize = 1;
const BIRD_AS: u32 = ROUTERS[BIRD].2;
const FRR_AS: u32 = ROUTERS[FRR].2;

fn config(bird: Value, frr: Value) -> Value {
    let peer = |number: usize, asn: u32, more: Value| {
        let mut peer = json!({"address": ROUTERS[number].1, "asn": asn, "import": "all", "export": "transit", "passive": true});
        for (key, value) in more.as_object().into_iter().flatten() {
            peer[key] = value.clone();
        }
        peer
    };
    json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "policy": {"transit": {"rules": [
            {"match": {"from": "peer"}, "action": "accept"},
            {"action": "accept"},
        ]}},
        "peer": {"bird": peer(BIRD, BIRD_AS, bird), "frr": peer(FRR, FRR_AS, frr)},
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn host_with_claim(ns: &Netns, config: Value) -> Tapwayd {
    let tapwayd = Tapwayd::start(ns, config);
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    tapwayd
}

fn start(switch: &Switch, number: usize, asn: u32, host: Neighbor, sends: bool) -> Box<dyn Peer> {
    let (program, address, _) = ROUTERS[number];
    let id = address.parse().expect("an address");
    let mut router = Router::new(asn, id).neighbor(host).next_hop(address);
    if sends {
        router = router.originate(SENT);
    }
    peers::start(program, &switch.routers[number], router)
}

/// Changes the settings; the sessions stay.
fn reload(tapwayd: &Tapwayd, config: Value) {
    tapwayd.configure(config);
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    for peer in tapwayd.peers() {
        assert_eq!(peer.state, SessionState::Established, "{peer:#?}");
    }
}

/// Waits until a router has a prefix by this path.
#[track_caller]
fn has(router: &dyn Peer, prefix: &str, path: &[u32]) {
    router.wait_until(
        "host",
        SOON,
        &format!("{prefix} by {path:?}"),
        &mut |view| {
            let key = prefix.parse().expect("a prefix");
            let route = view.routes.get(&key);
            view.established && route.is_some_and(|route| route.as_path == path)
        },
    );
}

#[test]
fn a_peer_may_take_us_for_another_as() {
    let switch = Switch::new();
    let settings = |replace: bool, prepend: bool| {
        let local = json!({"asn": LOCAL_AS, "replace": replace, "prepend": prepend});
        config(json!({"local_asn": local}), json!({}))
    };
    let tapwayd = host_with_claim(&switch.host, settings(false, true));
    let as_local = Neighbor::at("host", HOST, LOCAL_AS);
    let bird = start(&switch, BIRD, BIRD_AS, as_local, true);
    let host = Neighbor::at("host", HOST, HOST_AS);
    let frr = start(&switch, FRR, FRR_AS, host, false);
    has(bird.as_ref(), CLAIM, &[LOCAL_AS, HOST_AS]);
    has(frr.as_ref(), SENT, &[HOST_AS, LOCAL_AS, BIRD_AS]);
    let shown = tapwayd.tapway(&["peer", "show", "bird"]).out;
    assert!(shown.contains("takes us for AS 64999"), "{shown}");

    reload(&tapwayd, settings(true, false));
    has(bird.as_ref(), CLAIM, &[LOCAL_AS]);
    has(frr.as_ref(), SENT, &[HOST_AS, BIRD_AS]);
}

/// FRR is in the AS of BIRD here, and takes nothing that has gone through it.
#[test]
fn two_sites_of_one_as_hear_of_each_other() {
    let switch = Switch::new();
    let settings = |frr: Value| {
        let mut config = config(json!({}), frr);
        config["peer"]["frr"]["asn"] = BIRD_AS.into();
        config
    };
    let tapwayd = host_with_claim(&switch.host, settings(json!({})));
    let host = || Neighbor::at("host", HOST, HOST_AS);
    let _bird = start(&switch, BIRD, BIRD_AS, host(), true);
    let frr = start(&switch, FRR, BIRD_AS, host(), false);
    has(frr.as_ref(), CLAIM, &[HOST_AS]);
    wait_for(SOON, "FRR is told of it", || {
        let told = tapwayd
            .tapway(&["route", "list", "--advertised", "frr"])
            .out;
        told.contains(SENT).then_some(()).ok_or(told)
    });
    assert!(frr.view("host").has_exactly(&[CLAIM]));
    reload(&tapwayd, settings(json!({"as_override": true})));
    has(frr.as_ref(), SENT, &[HOST_AS, HOST_AS]);
}

/// All ASes of this network are private.
#[test]
fn private_numbers_go_or_become_ours() {
    let switch = Switch::new();
    let settings = |how: &str| config(json!({}), json!({"remove_private_as": how}));
    let tapwayd = host_with_claim(&switch.host, settings("all"));
    let host = || Neighbor::at("host", HOST, HOST_AS);
    let _bird = start(&switch, BIRD, BIRD_AS, host().prepend(3333), true);
    let frr = start(&switch, FRR, FRR_AS, host(), false);
    has(frr.as_ref(), SENT, &[HOST_AS, 3333]);
    reload(&tapwayd, settings("if-all"));
    has(frr.as_ref(), SENT, &[HOST_AS, BIRD_AS, 3333]);
    reload(&tapwayd, settings("replace"));
    has(frr.as_ref(), SENT, &[HOST_AS, HOST_AS, 3333]);
}

/// BIRD sends what has gone through the host's AS.
#[test]
fn our_as_may_be_in_what_comes() {
    let switch = Switch::new();
    let settings = |bird: Value| config(bird, json!({}));
    let tapwayd = host_with_claim(&switch.host, settings(json!({})));
    let host = || Neighbor::at("host", HOST, HOST_AS);
    let _bird = start(&switch, BIRD, BIRD_AS, host().prepend(HOST_AS), true);
    let frr = start(&switch, FRR, FRR_AS, host(), false);
    has(frr.as_ref(), CLAIM, &[HOST_AS]);
    let shown = || tapwayd.tapway(&["route", "list", "--received", "bird"]).out;
    wait_for(SOON, "the loop is refused", || {
        let shown = shown();
        let refused = shown.contains("our AS is in its AS_PATH");
        refused.then_some(()).ok_or(shown)
    });
    reload(&tapwayd, settings(json!({"allow_own_as": 1})));
    has(frr.as_ref(), SENT, &[HOST_AS, BIRD_AS, HOST_AS]);
}
