//! Route reflection (RFC 4456): tapwayd over real routers, each of them over tapwayd, and two tapwayd beside each other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::route::{Route, RouteState};
use tapway_lab::peers::{self, Neighbor, Peer, Router};
use tapway_lab::{Netns, Tapwayd, veth, wait_for};

use super::fabric::{HOST_AS, SOON};
use super::ranges::{HOST, ROUTERS, Switch};

const CLAIM: &str = "203.0.113.1/32";
/// Of all clients.
const SHARED: &str = "198.18.0.0/15";
const OWN: [&str; 3] = ["198.19.1.0/24", "198.19.2.0/24", "198.19.3.0/24"];
const ID: [u8; 4] = [192, 0, 2, 11];
const SECOND: &str = "198.51.100.2";

fn address(number: usize) -> IpAddr {
    ROUTERS[number].1.parse().expect("an address")
}

fn id(number: usize) -> Ipv4Addr {
    ROUTERS[number].1.parse().expect("an address")
}

fn reflector(router_id: Ipv4Addr, peers: Value) -> Value {
    json!({
        "router": {"asn": HOST_AS, "router_id": router_id},
        "peer": peers,
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn claim(tapwayd: &Tapwayd) {
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );
}

/// One of the routers, as a client of these reflectors, announcing its own prefix and the shared one.
fn client(switch: &Switch, number: usize, reflectors: &[&str]) -> Box<dyn Peer> {
    let (program, at, _) = ROUTERS[number];
    let mut router = Router::new(HOST_AS, id(number)).next_hop(at);
    for (i, reflector) in reflectors.iter().enumerate() {
        router = router.neighbor(Neighbor::at(&format!("rr{i}"), reflector, HOST_AS));
    }
    let router = router.originate(OWN[number]).originate(SHARED);
    peers::start(program, &switch.routers[number], router)
}

#[test]
fn real_routers_are_clients() {
    let switch = Switch::new();
    let clients = json!({"range": ["198.51.100.8/29"], "asn": "internal", "client": true});
    let tapwayd = Tapwayd::start(
        &switch.host,
        reflector(ID.into(), json!({"clients": clients})),
    );
    claim(&tapwayd);
    let mut routers: Vec<_> = (0..3).map(|n| client(&switch, n, &[HOST])).collect();
    for (number, router) in routers.iter().enumerate() {
        let wanted: Vec<&str> = (0..3)
            .filter(|n| *n != number)
            .map(|n| OWN[n])
            .chain([CLAIM])
            .collect();
        let all = |view: &peers::PeerView| wanted.iter().all(|p| !view.ways(p).is_empty());
        let view = router.wait_until("rr0", SOON, "what the others announce", &mut |view| {
            view.established && all(view) && view.ways(OWN[number]).is_empty()
        });
        for other in (0..3).filter(|n| *n != number) {
            let route = view.route(OWN[other]);
            assert_eq!(route.next_hops, [address(other)], "{router:?}");
            assert_eq!(route.originator_id, Some(id(other)), "{router:?}");
            assert_eq!(route.clusters, [Ipv4Addr::from(ID)], "{router:?}");
            assert_eq!((&route.as_path[..], route.local_pref), (&[][..], Some(100)));
        }
        assert_eq!(view.route(CLAIM).originator_id, None);
    }
    // What all announce goes to all but the one whose route is the best; when it goes, the next one's is there.
    let shared = |router: &dyn Peer, by: usize| {
        router.wait_until("rr0", SOON, "the shared prefix", &mut |view| {
            view.ways(SHARED) == [address(by)]
        });
    };
    shared(routers[1].as_ref(), 0);
    shared(routers[2].as_ref(), 0);
    routers[0].withdraw(SHARED.parse().expect("a prefix"));
    shared(routers[0].as_ref(), 1);
    shared(routers[2].as_ref(), 1);
    routers[1].stop();
    shared(routers[0].as_ref(), 2);
    routers[2].wait_until("rr0", SOON, "nothing of it", &mut |view| {
        view.ways(SHARED).is_empty() && view.ways(OWN[1]).is_empty()
    });
    // All of it is best, and nothing of it in the kernel.
    let best = format!("clients@{}", ROUTERS[0].1);
    let received: List<Route> = tapwayd.json(&["route", "list", "--received", &best]);
    assert!(received.items.iter().all(|r| r.best && !r.installed));
    let best: List<Route> = tapwayd.json(&["route", "list", "--best"]);
    let shown: Vec<String> = best.items.iter().map(|r| r.prefix.to_string()).collect();
    assert!(
        [CLAIM, SHARED].iter().all(|p| shown.iter().any(|s| s == p)),
        "{shown:?}"
    );
    assert_eq!(best.total, shown.len() as u64, "{shown:?}");
    let kernel = switch.host.ip("route show table all");
    assert!(!kernel.contains("198.1"), "{kernel}");
}

#[test]
fn clients_have_all_paths_but_their_own() {
    let switch = Switch::new();
    let clients = json!({
        "range": ["198.51.100.8/29"], "asn": "internal", "client": true, "add_paths": "both",
    });
    let tapwayd = Tapwayd::start(
        &switch.host,
        reflector(ID.into(), json!({"clients": clients})),
    );
    let start = |number: usize| {
        let (program, at, _) = ROUTERS[number];
        let router = Router::new(HOST_AS, id(number))
            .next_hop(at)
            .neighbor(Neighbor::at("rr0", HOST, HOST_AS).add_paths())
            .originate(SHARED);
        peers::start(program, &switch.routers[number], router)
    };
    let mut routers: Vec<_> = (0..3).map(start).collect();
    let have = |routers: &[Box<dyn Peer>], of: &[usize], by: &[usize]| {
        for number in of {
            let others = by.iter().filter(|n| *n != number);
            let ways: Vec<IpAddr> = others.map(|n| address(*n)).collect();
            routers[*number].wait_until("rr0", SOON, "all paths but its own", &mut |view| {
                view.established && view.ways(SHARED) == ways
            });
        }
    };
    have(&routers, &[0, 1, 2], &[0, 1, 2]);
    let to_bird = format!("clients@{}", ROUTERS[0].1);
    let sent: List<Route> = tapwayd.json(&["route", "list", "--advertised", &to_bird]);
    let ids: BTreeSet<_> = sent.items.iter().filter_map(|r| r.path_id).collect();
    assert_eq!((sent.items.len(), ids.len()), (2, 2), "{sent:#?}");

    // Of two paths one dies, and comes back.
    routers[1].withdraw(SHARED.parse().expect("a prefix"));
    have(&routers, &[0, 1, 2], &[0, 2]);
    routers[1].announce(SHARED.parse().expect("a prefix"));
    have(&routers, &[0, 1, 2], &[0, 1, 2]);
    routers[0].stop();
    have(&routers, &[1, 2], &[1, 2]);

    // The best one alone is another thing to be told, and needs no new session.
    let one = json!({
        "range": ["198.51.100.8/29"], "asn": "internal", "client": true,
        "add_paths": {"receive": true, "send": {"max": 1}},
    });
    routers[0].start(&switch.routers[0]);
    have(&routers, &[0, 1, 2], &[0, 1, 2]);
    tapwayd.configure(reflector(ID.into(), json!({"clients": one})));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    have(&routers, &[1, 2], &[0]);
    routers[0].wait_until("rr0", SOON, "nothing", &mut |view| {
        view.established && view.ways(SHARED).is_empty()
    });
    let peers = tapwayd.peers();
    let range = peers.iter().find(|peer| peer.name.as_str() == "clients");
    assert!(range.is_some_and(|peer| peer.client && peer.members == Some(3)));
}

/// A router of another kind is the reflector of tapwayd and of another router.
fn above_us(program: usize, other: usize) {
    let switch = Switch::new();
    let (name, at, _) = ROUTERS[program];
    let tapwayd = Tapwayd::start(
        &switch.host,
        reflector(
            ID.into(),
            json!({"rr": {"address": at, "asn": "internal", "import": "all", "add_paths": "receive"}}),
        ),
    );
    claim(&tapwayd);
    let third = 3 - program - other;
    let router = Router::new(HOST_AS, id(program))
        .neighbor(Neighbor::at("host", HOST, HOST_AS).client().add_paths())
        .neighbor(Neighbor::at("edge", ROUTERS[other].1, HOST_AS).client())
        .neighbor(Neighbor::at("edge3", ROUTERS[third].1, HOST_AS).client());
    let _above = peers::start(name, &switch.routers[program], router);
    let other_router = client(&switch, other, &[at]);
    let _third = client(&switch, third, &[at]);

    let view = other_router.wait_until("rr0", SOON, "our claim", &mut |view| {
        !view.ways(CLAIM).is_empty()
    });
    let route = view.route(CLAIM);
    assert_eq!(
        route.next_hops,
        [HOST.parse::<IpAddr>().expect("an address")]
    );
    assert_eq!(route.originator_id, Some(ID.into()));
    let route = wait_for(SOON, "what the other client announces", || {
        let all: List<Route> = tapwayd.json(&["route", "list", "--received", "rr"]);
        let found = all
            .items
            .iter()
            .find(|r| r.prefix.to_string() == OWN[other]);
        found.cloned().ok_or(format!("{all:#?}"))
    });
    assert_eq!(route.state, RouteState::Accepted);
    assert_eq!(route.next_hops, [ROUTERS[other].1]);
    assert_eq!(route.originator_id, Some(id(other)));
    assert_eq!(route.cluster_list, [id(program)]);
    let text = tapwayd.tapway(&["route", "list", "--received", "rr"]).out;
    let note = format!(
        "reflected, originator {}, clusters {}",
        id(other),
        id(program)
    );
    assert!(text.contains(&note), "{text}");
    // Of what both announce, both paths, each by an identifier of its own.
    wait_for(SOON, "two paths", || {
        let all: List<Route> = tapwayd.json(&["route", "list", "--received", "rr"]);
        let shared = all.items.iter().filter(|r| r.prefix.to_string() == SHARED);
        let paths: BTreeSet<_> = shared.map(|r| (r.path_id, &r.next_hops[..])).collect();
        let ids: BTreeSet<_> = paths.iter().filter_map(|(id, _)| *id).collect();
        let hops: BTreeSet<_> = paths.iter().map(|(_, hops)| *hops).collect();
        match (ids.len(), hops.len()) {
            (2, 2) => Ok(()),
            _ => Err(format!("{all:#?}")),
        }
    });
}

#[test]
fn bird_above_us() {
    above_us(0, 1);
}

#[test]
fn frr_above_us() {
    above_us(1, 0);
}

#[test]
fn gobgp_above_us() {
    above_us(2, 0);
}

/// A second host on the switch.
fn second(switch: &Switch) -> Netns {
    let host = Netns::new("second");
    veth(&switch.host, "second", &host, "eth0");
    switch.host.link_set("second", "master fabric");
    host.address("eth0", &format!("{SECOND}/24"));
    host
}

/// Two reflectors, each a cluster: clients of both keep what they have when one dies, and what only one knows goes over the
/// other; what has been at one does not come back to it.
#[test]
fn one_of_two_reflectors_may_die() {
    let switch = Switch::new();
    let host = second(&switch);
    let ids = [Ipv4Addr::from(ID), Ipv4Addr::new(192, 0, 2, 12)];
    let start = |ns: &Netns, me: usize, other: &str| {
        let clients = json!({"range": ["198.51.100.8/29"], "asn": "internal", "client": true});
        let rr = json!({"address": other, "asn": "internal", "import": "all"});
        Tapwayd::start(
            ns,
            reflector(ids[me], json!({"clients": clients, "rr": rr})),
        )
    };
    let mut first = start(&switch.host, 0, SECOND);
    let second = start(&host, 1, HOST);
    let bird = client(&switch, 0, &[HOST, SECOND]);
    let frr = client(&switch, 1, &[HOST, SECOND]);
    // Of one reflector alone.
    let gobgp = client(&switch, 2, &[SECOND]);

    // From gobgp over the second to the first, and from there to its clients.
    for router in [&bird, &frr] {
        for (rr, clusters) in [("rr0", &[ids[0], ids[1]][..]), ("rr1", &[ids[1]])] {
            let view = router.wait_until(rr, SOON, "what gobgp announces", &mut |view| {
                !view.ways(OWN[2]).is_empty()
            });
            let route = view.route(OWN[2]);
            assert_eq!(route.originator_id, Some(id(2)));
            assert_eq!(route.clusters, clusters);
        }
    }
    // The first hears of what it has reflected only as the client has a session with the second, too; the second does not
    // tell it what it has heard from it.
    let received: List<Route> = second.json(&["route", "list", "--received", "rr"]);
    let own = received
        .items
        .iter()
        .filter(|r| r.prefix.to_string() == OWN[2]);
    assert_eq!(own.count(), 0, "{received:#?}");

    // The first dies: everything is there by the second.
    first.stop();
    for (number, router) in [&bird, &frr].into_iter().enumerate() {
        router.wait_until("rr0", SOON, "gone", &mut |view| !view.established);
        let view = router.view("rr1");
        for other in (0..3).filter(|n| *n != number) {
            assert_eq!(view.ways(OWN[other]), [address(other)]);
        }
    }
    gobgp.wait_until("rr0", SOON, "the others' prefixes", &mut |view| {
        view.ways(OWN[0]) == [address(0)] && view.ways(OWN[1]) == [address(1)]
    });
}

/// The reflector is killed and comes back: its clients keep what they have of each other, though it knows nothing at first.
#[test]
fn a_restart_of_the_reflector_takes_nothing_from_clients() {
    let switch = Switch::new();
    let clients = json!({
        "range": ["198.51.100.8/29"], "asn": "internal", "client": true, "graceful_restart": {"time": "20s"},
    });
    let mut tapwayd = Tapwayd::start(
        &switch.host,
        reflector(ID.into(), json!({"clients": clients})),
    );
    let mut routers: Vec<_> = (0..2).map(|n| client(&switch, n, &[HOST])).collect();
    let has =
        |router: &dyn Peer, what: &str, of: usize, condition: &dyn Fn(&peers::PeerView) -> bool| {
            router.wait_until("rr0", SOON, what, &mut |view| {
                condition(view) && view.ways(OWN[of]) == [address(of)]
            });
        };
    has(routers[0].as_ref(), "a route", 1, &|view| view.established);
    has(routers[1].as_ref(), "a route", 0, &|view| view.established);
    tapwayd.kill();
    // One of the two is away as well, so that the reflector cannot have its routes again.
    routers[1].kill();
    has(routers[0].as_ref(), "a stale route", 1, &|view| {
        !view.established
    });
    tapwayd.restart(&switch.host);
    has(routers[0].as_ref(), "a route still stale", 1, &|view| {
        view.established && view.any_stale()
    });
    let ended = || {
        let bird = format!("clients@{}", ROUTERS[0].1);
        let peers = tapwayd.peers();
        let peer = peers.iter().find(|p| p.name.as_str() == bird);
        peer.is_some_and(|p| p.families[0].end_of_rib_sent)
    };
    assert!(!ended(), "who comes by a range may come yet");
    routers[1].start(&switch.routers[1]);
    has(routers[0].as_ref(), "a fresh route", 1, &|view| {
        view.established && !view.any_stale()
    });
    assert!(ended());
}
