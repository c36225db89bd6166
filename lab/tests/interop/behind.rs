//! A received route around its own next hop, over another program's: the way follows what lies behind it.

use serde_json::json;
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Recorder, Tapwayd, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const GOBGP: usize = 2;
/// What the router announces, and by which next hop.
const AROUND: &str = "10.9.9.0/24";
const FAR: &str = "10.9.9.9";
const BESIDE: &str = "198.18.0.0/15";
/// What leads there.
const IGP: &str = "10.9.0.0/16";

/// A host with a router far away, and another program's route to its next hop.
fn start(switch: &Switch) -> (Tapwayd, Box<dyn Peer>) {
    let (program, address, _) = ROUTERS[GOBGP];
    switch.host.ip(&format!(
        "route add {IGP} via {} proto static",
        ROUTERS[0].1
    ));
    let tapwayd = Tapwayd::start(
        &switch.host,
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {"far": {
                "address": address, "asn": "internal", "multihop": 4, "passive": true,
                "import": "all", "install": true,
            }},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        }),
    );
    let id = address.parse().expect("an address");
    let router = Router::new(HOST_AS, id)
        .neighbor(Neighbor::at("host", HOST, HOST_AS).multihop(4))
        .next_hop(FAR)
        .originate(AROUND)
        .originate(BESIDE);
    let gobgp = peers::start(program, &switch.routers[GOBGP], router);
    (tapwayd, gobgp)
}

#[test]
fn what_is_hidden_is_followed() {
    let switch = Switch::new();
    let (tapwayd, _gobgp) = start(&switch);
    let goes_by = |router: Option<&str>| {
        wait_for(SOON, format!("{AROUND} goes by {router:?}"), || {
            let shown = switch.host.ip(&format!("route show {AROUND} proto 112"));
            let there = router.map(|via| format!("via {via} "));
            match there.map_or(shown.is_empty(), |via| shown.contains(&via)) {
                true => Ok(()),
                false => {
                    let peer = tapwayd.tapway(&["route", "list", "--received", "far"]);
                    Err(format!("{shown}\n{}", peer.out))
                }
            }
        });
    };
    goes_by(Some(ROUTERS[0].1));
    // The kernel, asked for the next hop, names our own route from now on.
    let named = switch.host.ip(&format!("route get fibmatch {FAR}"));
    assert!(named.starts_with(AROUND), "{named}");
    let moved = format!("route replace {IGP} via {} proto static", ROUTERS[1].1);
    switch.host.ip(&moved);
    goes_by(Some(ROUTERS[1].1));
    switch.host.ip(&format!("route del {IGP}"));
    goes_by(None);
    switch.host.ip(&moved);
    goes_by(Some(ROUTERS[1].1));
}

#[test]
fn a_restart_leaves_what_hides_its_next_hop() {
    let switch = Switch::new();
    let (mut tapwayd, mut gobgp) = start(&switch);
    let there = |to: &str| {
        let shown = switch.host.ip(&format!("route show {to} proto 112"));
        (!shown.is_empty(), shown)
    };
    for to in [AROUND, BESIDE] {
        wait_for(SOON, format!("{to} is in the kernel"), || match there(to) {
            (true, _) => Ok(()),
            (false, _) => Err(tapwayd.tapway(&["route", "list", "--received", "far"]).out),
        });
    }
    let recorder = Recorder::start(&switch.host, &["route"]);
    tapwayd.kill();
    gobgp.withdraw(BESIDE.parse().expect("a prefix"));
    tapwayd.restart(&switch.host);
    // What the run before left is held no longer.
    wait_for(SOON, format!("{BESIDE} is gone"), || match there(BESIDE) {
        (false, _) => Ok(()),
        (true, shown) => Err(shown),
    });
    let changes = recorder.end(&switch.host);
    let moved: Vec<_> = changes.iter().filter(|c| c.contains(AROUND)).collect();
    assert_eq!(moved, [""; 0], "{changes:#?}");
    assert!(there(AROUND).0);
}
