//! Roles with real routers: BIRD sells transit to the host, FRR is its peer, GoBGP knows no roles.

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::SessionState;
use tapway_api::route::{Route, RouteState};
use tapway_lab::peers::{self, Neighbor, Peer, Role, Router};
use tapway_lab::{Tapwayd, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const SENT: &str = "198.18.0.0/15";
const CLAIM: &str = "203.0.113.1/32";
const BIRD: usize = 0;
const FRR: usize = 1;
const GOBGP: usize = 2;

fn peer(number: usize, role: Option<&str>) -> Value {
    let (_, address, asn) = ROUTERS[number];
    let mut peer = json!({"address": address, "asn": asn, "import": "all", "export": "transit", "passive": true});
    if let Some(role) = role {
        peer["role"] = role.into();
        peer["role_strict"] = true.into();
    }
    peer
}

fn config(bird: Value, frr: Value) -> Value {
    json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "policy": {"transit": {"rules": [
            {"match": {"from": "peer"}, "action": "accept"},
            {"action": "accept"},
        ]}},
        "peer": {"bird": bird, "frr": frr, "gobgp": peer(GOBGP, None)},
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn start(switch: &Switch, number: usize, neighbor: Neighbor, sends: bool) -> Box<dyn Peer> {
    let (program, address, asn) = ROUTERS[number];
    let id = address.parse().expect("an address");
    let mut router = Router::new(asn, id).neighbor(neighbor).next_hop(address);
    if sends {
        router = router.originate(SENT);
    }
    peers::start(program, &switch.routers[number], router)
}

fn host() -> Neighbor {
    Neighbor::at("host", HOST, HOST_AS)
}

fn reload(tapwayd: &Tapwayd, config: Value) {
    tapwayd.configure(config);
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[test]
fn what_comes_from_above_goes_down_only() {
    let switch = Switch::new();
    let tapwayd = Tapwayd::start(
        &switch.host,
        config(peer(BIRD, Some("customer")), peer(FRR, Some("peer"))),
    );
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
    let mut bird = start(&switch, BIRD, host().role(Role::Provider), true);
    let frr = start(&switch, FRR, host().role(Role::Peer), false);
    let gobgp = start(&switch, GOBGP, host(), false);

    // To the provider our own goes without a mark, to the peer with ours; what the provider sent does not go there.
    for (router, otc) in [(&bird, None), (&frr, Some(HOST_AS))] {
        let view = router.wait_until("host", SOON, "the claim alone", &mut |view| {
            view.established && view.has_exactly(&[CLAIM])
        });
        assert_eq!(view.route(CLAIM).otc, otc, "{}", router.program());
    }
    // Who has no role may have all. By then the peer would have been told, too.
    gobgp.wait_until("host", SOON, "both", &mut |view| {
        view.established && view.has_exactly(&[CLAIM, SENT])
    });
    assert!(frr.view("host").has_exactly(&[CLAIM]));
    let explained = tapwayd.tapway(&["explain", SENT]).out;
    for line in [
        "bird sends 198.18.0.0/15 by next hop 198.51.100.11: best",
        "passed on to gobgp by next hop 198.51.100.1",
        "not passed on to frr: it is for customers only, and our role there is peer (RFC 9234)",
    ] {
        assert!(explained.contains(line), "{line}: {explained}");
    }
    let shown = tapwayd.tapway(&["peer", "show", "bird"]).out;
    assert!(shown.contains("65011, our role: customer"), "{shown}");
    assert!(shown.contains("roles"), "{shown}");
    let shown = tapwayd.tapway(&["route", "list", "--received", "bird"]).out;
    assert!(shown.contains("only to customer 65011"), "{shown}");

    // BIRD leaks: it is our customer now, and passes on what somebody marked.
    bird.stop();
    let mut role = peer(BIRD, Some("provider"));
    role["role_strict"] = false.into();
    reload(&tapwayd, config(role, peer(FRR, Some("peer"))));
    let mut bird = start(&switch, BIRD, host().otc(65099), true);
    wait_for(SOON, "the leak is refused", || {
        let routes: List<Route> = tapwayd.json(&["route", "list", "--received", "bird"]);
        let leak = "route leak (RFC 9234): AS 65099 gave it to customers only, so it should not come from here";
        match &routes.items[..] {
            [route]
                if route.state == RouteState::Unusable && route.reason.as_deref() == Some(leak) =>
            {
                Ok(())
            }
            other => Err(format!("{other:#?}")),
        }
    });
    gobgp.wait_until("host", SOON, "the claim alone", &mut |view| {
        view.has_exactly(&[CLAIM])
    });

    // Two customers have nothing to say to each other.
    bird.stop();
    let bird = start(&switch, BIRD, host().role(Role::Customer), true);
    bird.wait_until("host", SOON, "up", &mut |view| view.established);
    reload(
        &tapwayd,
        config(peer(BIRD, Some("customer")), peer(FRR, Some("peer"))),
    );
    wait_for(SOON, "the roles do not belong together", || {
        let peers = tapwayd.peers();
        let bird = peers.iter().find(|p| p.name.as_str() == "bird");
        let bird = bird.ok_or("no such peer")?;
        let error = bird.last_error.clone().unwrap_or_default();
        match bird.state != SessionState::Established && error.contains("Role Mismatch") {
            true => Ok(()),
            false => Err(format!("{bird:#?}")),
        }
    });
}

/// BIRD is a route server: what FRR sends comes without BIRD's AS, by FRR's next hop (RFC 7947).
#[test]
fn a_route_server_leaves_itself_out() {
    let switch = Switch::new();
    let config = |enforce: Option<bool>| {
        let mut bird = peer(BIRD, Some("route-server-client"));
        bird["install"] = true.into();
        bird["export"] = "claims".into();
        if let Some(enforce) = enforce {
            bird["enforce_first_as"] = enforce.into();
        }
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {"bird": bird},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        })
    };
    let tapwayd = Tapwayd::start(&switch.host, config(None));
    let ((_, server, server_as), (_, client, client_as)) = (ROUTERS[BIRD], ROUTERS[FRR]);
    let id = server.parse().expect("an address");
    let router = Router::new(server_as, id)
        .neighbor(host().served().role(Role::RouteServer))
        .neighbor(Neighbor::at("frr", client, client_as).served());
    let _bird = peers::start("bird", &switch.routers[BIRD], router);
    let id = client.parse().expect("an address");
    let router = Router::new(client_as, id)
        .neighbor(Neighbor::at("server", server, server_as))
        .next_hop(client)
        .originate(SENT);
    let _frr = peers::start("frr", &switch.routers[FRR], router);
    let received = |state: RouteState, reason: Option<&str>| {
        wait_for(SOON, format!("{SENT} is {state:?}"), || {
            let routes: List<Route> = tapwayd.json(&["route", "list", "--received", "bird"]);
            match &routes.items[..] {
                [route] if route.state == state && route.reason.as_deref() == reason => {
                    assert_eq!(route.as_path, "65012", "{route:#?}");
                    assert_eq!(route.next_hops, [client], "{route:#?}");
                    Ok(())
                }
                other => Err(format!("{other:#?}")),
            }
        });
    };
    received(RouteState::Accepted, None);
    wait_for(SOON, "it is in the kernel", || {
        let way = switch.host.ip(&format!("route show {SENT}"));
        match way.contains(&format!("via {client} ")) {
            true => Ok(()),
            false => Err(way),
        }
    });
    reload(&tapwayd, config(Some(true)));
    let reason = "its AS_PATH does not begin with the peer's AS; if the peer is a route server, set its role = \"route-server-client\" \
        or enforce_first_as = false";
    received(RouteState::Unusable, Some(reason));
    wait_for(SOON, "it is gone from the kernel", || {
        match switch.host.ip(&format!("route show {SENT}")) {
            way if way.is_empty() => Ok(()),
            way => Err(way),
        }
    });
}
