//! Policies: what a peer makes of what they set, what they make of what it sends, and a reload.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::PeerDetail;
use tapway_api::policy::PolicyTested;
use tapway_api::route::Route;
use tapway_lab::peers::{Bird, Frr, Neighbor, Peer, Router};
use tapway_lab::{Netns, Tapwayd, mac_of, veth, wait_for};
use tapway_model::spec::{InstanceSpec, NicSpec};

use super::fabric::{HOST_AS, ROUTER_AS, SOON, wait_kernel};

const PLAIN: &str = "203.0.113.1/32";
const SHARED: &str = "203.0.113.10/32";
const HIDDEN: &str = "10.9.9.9/32";

/// Received: to a table of its own, nowhere, and to the main one.
const ASIDE: &str = "198.18.0.0/16";
const NOWHERE: &str = "198.19.0.0/16";
const DEFAULT: &str = "0.0.0.0/0";

fn config(med: u32, table: u32) -> Value {
    json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "peer": {"tor": {
            "address": "198.51.100.0", "asn": ROUTER_AS, "connect_retry": "1s",
            "import": "in", "export": "out", "install": true,
        }},
        "policy": {
            "out": {"rules": [
                {"match": {"kind": "anycast"}, "call": "marks"},
                {"match": {"prefixes": ["203.0.113.0/24 ge 32"]}, "action": "accept"},
            ]},
            "marks": {"rules": [{
                "set": {
                    "communities": ["64612:90", "no-export"],
                    "large_communities": "64612:1:2",
                    "extended_communities": "rt:64612:100",
                    "med": med,
                    "prepend": {"count": 2, "asn": 65010},
                    "origin": "incomplete",
                },
                "action": "accept",
            }]},
            "in": {"rules": [
                {"match": {"prefixes": [ASIDE], "as_path": {"regex": "^65000$"}},
                 "set": {"install": {"table": table, "metric": 77}}, "action": "accept"},
                {"match": {"prefixes": [NOWHERE]}, "set": {"install": false}, "action": "accept"},
                {"call": "default-route"},
            ]},
        },
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn instance() -> InstanceSpec {
    InstanceSpec {
        name: "web".into(),
        nic: vec![NicSpec {
            interface: "tap0".into(),
            mac: Some(mac_of(1)),
            addresses: vec!["203.0.113.1".into(), "10.9.9.9".into()],
            anycast: vec!["203.0.113.10".into()],
            ..NicSpec::default()
        }],
        claim: Vec::new(),
    }
}

/// `show` prints all that the router knows of a prefix.
fn scenario<P: Peer>(
    start: impl Fn(&Netns, Router) -> P,
    show: impl Fn(&P) -> String,
    shown: &[&str],
) {
    let (host, tor, guest) = (Netns::new("host"), Netns::new("tor"), Netns::new("guest"));
    veth(&host, "up0", &tor, "down0");
    veth(&host, "tap0", &guest, "eth0");
    tor.address("down0", "198.51.100.0/31");
    host.address("up0", "198.51.100.1/31");
    let mut router = Router::new(ROUTER_AS, Ipv4Addr::new(192, 0, 2, 1)).neighbor(Neighbor::at(
        "host",
        "198.51.100.1",
        HOST_AS,
    ));
    for prefix in [ASIDE, NOWHERE, DEFAULT] {
        router = router.originate(prefix);
    }
    let peer = start(&tor, router);
    let tapwayd = Tapwayd::start(&host, config(10, 90));
    tapwayd.put(&instance());

    // Out: what the policy lets through, with what it sets.
    let with_med = |med| {
        let what = format!("has {PLAIN}, and {SHARED} with MED {med}");
        peer.wait_until("host", SOON, &what, &mut |v| {
            v.established && v.has_exactly(&[PLAIN, SHARED]) && v.route(SHARED).med == Some(med)
        })
    };
    let seen = with_med(10);
    assert_eq!(seen.route(PLAIN).as_path, [HOST_AS]);
    assert!(seen.route(PLAIN).communities.is_empty(), "{seen:#?}");
    assert_eq!(seen.route(SHARED).as_path, [HOST_AS, 65010, 65010]);
    let text = show(&peer);
    for part in shown {
        assert!(text.contains(part), "no {part} in {text}");
    }

    let sent: List<Route> = tapwayd.json(&["route", "list", "--advertised", "tor"]);
    let shared = sent.items.iter().find(|r| r.prefix.to_string() == SHARED);
    let shared = shared.expect("it was sent");
    assert_eq!(shared.communities, ["64612:90", "no-export"]);
    assert_eq!(shared.large_communities, ["64612:1:2"]);
    assert_eq!(shared.extended_communities, ["rt:64612:100"]);
    assert_eq!(shared.origin, "incomplete");

    // In: where it goes.
    let aside = |table: u32| {
        wait_for(SOON, format!("{ASIDE} is in table {table} alone"), || {
            // The table itself may not be there yet, which `ip` takes for a mistake.
            let found = host.routes(&format!("{ASIDE} table all proto 112"));
            let well =
                |r: &String| r.contains(&format!("table {table} ")) && r.contains("metric 77");
            let alone = found.len() == 1 && found.iter().all(well);
            alone.then_some(()).ok_or(format!("{found:#?}"))
        });
    };
    aside(90);
    wait_kernel(&host, "default proto 112", 1);
    assert!(
        host.routes(NOWHERE).is_empty(),
        "{NOWHERE} is in the kernel"
    );
    let tor: PeerDetail = tapwayd.json(&["peer", "show", "tor"]);
    assert_eq!(tor.peer.families[0].accepted, 3, "{tor:#?}");

    // Asked, the policies say what they did.
    let tested: PolicyTested = tapwayd.json(&["policy", "test", "in", ASIDE, NOWHERE, DEFAULT]);
    let rules: Vec<_> = tested.items.iter().map(|t| (t.accepted, t.rule)).collect();
    assert_eq!(rules, [(true, Some(1)), (true, Some(2)), (true, None)]);
    let answer = tapwayd.tapway(&["policy", "test", "out", SHARED, HIDDEN]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let expected = format!(
        "{SHARED}: accept, rule 1 of marks\n  \
           anycast claim of web in network default, exported to tor\n  \
           med 10\n  origin incomplete\n  prepend 65010 65010\n  communities 64612:90 no-export\n  \
           large_communities 64612:1:2\n  extended_communities rt:64612:100\n\
         {HIDDEN}: reject, no rule decides\n  \
           address claim of web in network default, exported to tor\n"
    );
    assert_eq!(answer.out, expected);

    // A reload: other values, the same session.
    tapwayd.configure(config(20, 91));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("policy marks: changed"), "{answer:?}");
    assert!(!answer.out.contains("policy out"), "{answer:?}");
    with_med(20);
    aside(91);
    let session = |detail: PeerDetail| detail.session.expect("a session").established_count;
    assert_eq!(
        session(tapwayd.json(&["peer", "show", "tor"])),
        session(tor)
    );

    // What others call stays.
    let mut rest = config(20, 91);
    rest["policy"]
        .as_object_mut()
        .expect("policies")
        .remove("marks");
    tapwayd.configure(rest);
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let told = format!("{}{}", answer.out, answer.err);
    assert!(told.contains("policy.out.rules[0].call"), "{answer:?}");
    assert!(told.contains("there is no policy marks"), "{answer:?}");
    wait_for(SOON, "the peer still has both", || {
        let view = peer.view("host");
        let both = view.has_exactly(&[PLAIN, SHARED]);
        both.then_some(()).ok_or(format!("{view:#?}"))
    });
}

#[test]
fn bird() {
    scenario(
        Bird::start,
        |bird: &Bird| bird.birdc(&format!("show route all {SHARED}")),
        &[
            "(64612,90)",
            "(64612, 1, 2)",
            "(rt, 64612, 100)",
            "BGP.origin: Incomplete",
        ],
    );
}

#[test]
fn frr() {
    let command = format!("show bgp ipv4 unicast {SHARED}");
    scenario(
        Frr::start,
        move |frr: &Frr| frr.vtysh(&[&command]),
        &[
            "64612:90",
            "Large Community: 64612:1:2",
            "RT:64612:100",
            "Origin incomplete",
        ],
    );
}
