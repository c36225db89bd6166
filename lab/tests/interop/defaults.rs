//! Received default routes: one route over all peers, behind the host's own; nothing is passed on.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::PeerDetail;
use tapway_api::plan::{Plan, PlanKind, PlanLine};
use tapway_api::route::{Route, RouteState};
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Netns, Tapwayd, veth, wait_for};

use super::fabric::{HOST_AS, OLD, SOON, WEB, extend, instance, wait_kernel, wait_routes};

/// What one of the routers announces besides defaults.
const MORE: &str = "198.18.0.0/15";

/// A router of several, and its peer.
pub(super) fn router(host: &Netns, number: u8, program: &str) -> (Netns, Box<dyn Peer>) {
    router_with(host, number, program, |neighbor| neighbor)
}

/// With more to say of its neighbour.
pub(super) fn router_with(
    host: &Netns,
    number: u8,
    program: &str,
    more: impl FnOnce(Neighbor) -> Neighbor,
) -> (Netns, Box<dyn Peer>) {
    let ns = Netns::new(program);
    let (up, down) = (format!("up{number}"), "down0");
    veth(host, &up, &ns, down);
    let addresses = [(&ns, down, 0), (host, up.as_str(), 1)];
    for (at, interface, end) in addresses {
        at.address(interface, &format!("198.51.100.{}/31", 2 * number + end));
        at.address(interface, &format!("2001:db8:f{number}::{}/64", end + 1));
    }
    let neighbor = Neighbor::at("host", &format!("198.51.100.{}", 2 * number + 1), HOST_AS);
    let neighbor = more(neighbor);
    let mut router = Router::new(65000 + u32::from(number), Ipv4Addr::new(192, 0, 2, number))
        .neighbor(neighbor)
        .originate("0.0.0.0/0")
        .originate("::/0");
    if number == 1 {
        router = router.originate(MORE);
    }
    let peer = peers::start(program, &ns, router);
    (ns, peer)
}

#[test]
fn two_peers_make_one_route_behind_the_own() {
    let host = Netns::new("host");
    let guest = Netns::new("guest");
    veth(&host, "tap0", &guest, "eth0");
    veth(&host, "tap1", &guest, "eth1");
    let (_bird_ns, mut bird) = router(&host, 1, "bird");
    let (_frr_ns, frr) = router(&host, 2, "frr");
    let tapwayd = Tapwayd::start(
        &host,
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {
                "one": {"address": "198.51.100.2", "asn": 65001, "connect_retry": "1s"},
                "two": {"address": "198.51.100.4", "asn": 65002, "connect_retry": "1s"},
            },
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        }),
    );
    tapwayd.put(&instance("web", "tap0", &WEB, None));
    wait_routes(&*bird, &WEB);
    wait_routes(&*frr, &WEB);

    // One route for each family, with a leg to each peer.
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    wait_default(&host, "-6", 20, &["up1", "up2"]);
    // The rest is kept for display and is neither used nor passed on.
    assert!(host.routes(MORE).is_empty(), "{MORE} is in the kernel");
    let received: List<Route> = tapwayd.json(&["route", "list", "--received", "one"]);
    let more = received.items.iter().find(|r| r.prefix.to_string() == MORE);
    let more = more.expect("what is rejected is shown");
    assert_eq!((more.state, more.installed), (RouteState::Rejected, false));
    let installed = received.items.iter().filter(|r| r.installed).count();
    assert_eq!(installed, 2, "{received:#?}");
    // A change makes sure that all was sent that would be.
    tapwayd.put(&instance("old", "tap1", &OLD, None));
    let both = [WEB, OLD].concat();
    wait_routes(&*bird, &both);
    wait_routes(&*frr, &both);

    // A default of the host's own goes first.
    host.ip("route add default via 198.51.100.2 metric 100");
    host.ip("-6 route add default via 2001:db8:f1::1 metric 1024");
    wait_default(&host, "-4", 101, &["up1", "up2"]);
    wait_default(&host, "-6", 1025, &["up1", "up2"]);
    host.ip("route del default via 198.51.100.2 metric 100");
    host.ip("-6 route del default via 2001:db8:f1::1 metric 1024");
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    wait_default(&host, "-6", 20, &["up1", "up2"]);

    // One leg goes, then the other.
    bird.withdraw("0.0.0.0/0".parse().expect("a prefix"));
    wait_default(&host, "-4", 20, &["up2"]);
    wait_default(&host, "-6", 20, &["up1", "up2"]);
    host.link_set("up2", "down");
    wait_kernel(&host, "default proto 112", 1);
    wait_default(&host, "-6", 20, &["up1"]);
    bird.announce("0.0.0.0/0".parse().expect("a prefix"));
    wait_default(&host, "-4", 20, &["up1"]);
}

#[test]
fn no_more_ways_than_maximum_paths() {
    let host = Netns::new("host");
    let (_bird_ns, _bird) = router(&host, 1, "bird");
    let (_frr_ns, mut frr) = router(&host, 2, "frr");
    let (_third_ns, _third) = router(&host, 3, "bird");
    let peer = |number: u8| {
        json!({
            "address": format!("198.51.100.{}", 2 * number),
            "asn": 65000 + u32::from(number),
            "connect_retry": "1s",
        })
    };
    let config = |router: Value| {
        let mut own = json!({"asn": HOST_AS, "router_id": "192.0.2.11"});
        extend(&mut own, router);
        let peers = json!({"one": peer(1), "two": peer(2), "three": peer(3)});
        json!({"router": own, "peer": peers})
    };
    let tapwayd = Tapwayd::start(&host, config(json!({"maximum_paths": 2})));
    // The lower identifiers come first.
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    wait_default(&host, "-6", 20, &["up1", "up2"]);
    frr.withdraw("0.0.0.0/0".parse().expect("a prefix"));
    wait_default(&host, "-4", 20, &["up1", "up3"]);
    frr.announce("0.0.0.0/0".parse().expect("a prefix"));
    wait_default(&host, "-4", 20, &["up1", "up2"]);
    for (keys, over) in [
        (json!({"maximum_paths": {"external": 1}}), &["up1"][..]),
        (json!({}), &["up1", "up2", "up3"]),
        (json!({"decision": {"multipath_relax": false}}), &["up1"]),
    ] {
        tapwayd.configure(config(keys));
        let answer = tapwayd.tapway(&["config", "reload"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        wait_default(&host, "-4", 20, over);
        wait_default(&host, "-6", 20, over);
    }
    for peer in tapwayd.peers() {
        assert_eq!(established_count(&tapwayd, peer.name.as_str()), 1);
    }
}

/// How often a peer's session was up, which it is.
#[track_caller]
pub(super) fn established_count(tapwayd: &Tapwayd, peer: &str) -> u64 {
    let detail: PeerDetail = tapwayd.json(&["peer", "show", peer]);
    detail.session.expect("a session").established_count
}

#[test]
fn the_plan_shows_a_default_that_somebody_is_in_the_way_of() {
    let host = Netns::new("host");
    host.ip("link set lo up");
    host.ip("route add unreachable default metric 50");
    let (_bird_ns, _bird) = router(&host, 1, "bird");
    let (_frr_ns, _frr) = router(&host, 2, "frr");
    let peer = |number: u8| {
        json!({
            "address": format!("198.51.100.{}", 2 * number),
            "asn": 65000 + u32::from(number),
            "connect_retry": "1s",
            "install": {"metric": 50},
        })
    };
    let tapwayd = Tapwayd::start(
        &host,
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {"one": peer(1), "two": peer(2)},
        }),
    );
    wait_default(&host, "-6", 50, &["up1", "up2"]);
    let want = Plan {
        lines: vec![PlanLine {
            kind: PlanKind::Kernel,
            command: "ip route add default proto 112 metric 50 \
                nexthop via 198.51.100.2 dev up1 weight 1 nexthop via 198.51.100.4 dev up2 weight 1"
                .to_owned(),
            reason: Some("somebody else's object is in the way".to_owned()),
        }],
        reload: None,
    };
    wait_for(SOON, "the default in the plan, with its reason", || {
        let plan: Plan = tapwayd.json(&["plan"]);
        if plan == want {
            Ok(())
        } else {
            Err(format!("{plan:#?}"))
        }
    });
    assert_eq!(host.ip("-4 route show default proto 112"), "");

    host.ip("route del unreachable default metric 50");
    wait_default(&host, "-4", 50, &["up1", "up2"]);
    let plan: Plan = tapwayd.json(&["plan"]);
    assert_eq!(plan, Plan::default());
}

/// Waits until there is one default of ours with this metric over these interfaces.
#[track_caller]
pub(super) fn wait_default(host: &Netns, family: &str, metric: u64, over: &[&str]) {
    wait_for(SOON, format!("a default {metric} over {over:?}"), || {
        let routes = host.ip_json(&format!("{family} route show default proto 112"));
        let routes = routes.as_array().cloned().unwrap_or_default();
        let [route] = &routes[..] else {
            return Err(format!("{routes:#?}"));
        };
        let mut seen: Vec<&str> = match route["nexthops"].as_array() {
            Some(legs) => legs.iter().filter_map(|l| l["dev"].as_str()).collect(),
            None => route["dev"].as_str().into_iter().collect(),
        };
        seen.sort_unstable();
        if seen == over && route["metric"] == metric {
            Ok(())
        } else {
            Err(format!("{route:#}"))
        }
    });
}
