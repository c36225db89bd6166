use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tapway_bgp::config::SpeakerConfig;
use tapway_bgp::{ConnId, ConnInfo, Endpoint, LocalAddresses, StartKind, State};
use tapway_model::Instant;
use tapway_rpki::{Vrp, VrpSet, VrpTable};

use super::*;
use crate::config::{Config, Known, check};

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const CONN: ConnId = ConnId::Incoming(1);

/// A host that exports by `out`, and the router `tor1`, which tags what it sends.
const HOST: &str = r#"
[router]
asn = 64612
[peer.tor1]
address = "198.51.100.1"
asn = 65000
passive = true
import = "in"
export = "out"
[peer.tor2]
address = "198.51.100.3"
asn = 65001
import = "in"
[peer.hv]
address = "198.51.100.4"
asn = "internal"
client = true
[peer.core]
address = "198.51.100.5"
asn = 64612
[peer.core2]
address = "198.51.100.6"
asn = 64612
[policy.in]
rules = [
  { match = { communities = "65000:1", as_path = { first = 65000 } }, set = { local_pref = 200 }, action = "accept" },
  { match = { from = "peer", large_communities = "1:2:3", peer = "tor2" }, action = "accept" },
]
[policy.out]
rules = [
  { match = { kind = "anycast", next_hop = "192.0.2.9" }, action = "reject" },
  { action = "accept" },
]
"#;

const ROUTER: &str = r#"
[router]
asn = 65000
[peer.host]
address = "198.51.100.2"
asn = 64612
passive = true
export = "tag"
[policy.tag]
rules = [{ set = { communities = "65000:1", med = 7 }, action = "accept" }]
"#;

fn config(text: &str) -> Config {
    check("t", text, &Known::default()).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn announcement(prefix: &str) -> Announcement {
    Announcement {
        id: AnnouncementId {
            domain: Domain::MAIN,
            prefix: prefix.parse().unwrap(),
        },
        kind: ClaimKind::Address,
        network: NetworkName::new("default").unwrap(),
        peers: None,
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: None,
    }
}

/// A speaker whose peer has connected to it.
fn connected(text: &str, host: u8, peer: &str, remote: u8) -> Speaker {
    let config = config(text);
    let own = SpeakerConfig {
        asn: config.router.asn,
        router_id: Ipv4Addr::new(192, 0, 2, host),
        graceful_restart: None,
        cluster_id: None,
        decision: tapway_bgp::config::DECISION,
    };
    let mut speaker = Speaker::new(own, 1, StartKind::Cold);
    speaker.set_policies(NOW, config.policies);
    let at = |last| SocketAddr::from(([198, 51, 100, last], 179));
    let name = PeerName::new(peer).unwrap();
    for peer in config.peers.into_values() {
        speaker.set_peer(NOW, peer);
    }
    let endpoint = Endpoint {
        remote: at(remote),
        local: None,
        ifindex: 1,
    };
    speaker.set_peer_endpoint(NOW, &name, Some(endpoint));
    let info = ConnInfo {
        local: at(host),
        remote: at(remote),
        ifindex: 1,
    };
    speaker.handle_accepted(NOW, CONN, info);
    let addresses = LocalAddresses {
        v4: Some([198, 51, 100, host].into()),
        ..LocalAddresses::default()
    };
    speaker.set_local_addresses(NOW, CONN, addresses);
    speaker
}

/// The host, to which the router has sent 10.0.0.0/8.
fn host() -> Speaker {
    let mut host = connected(HOST, 2, "tor1", 1);
    let mut router = connected(ROUTER, 1, "host", 2);
    router.announce(NOW, announcement("10.0.0.0/8"));
    let mut quiet = false;
    while !quiet {
        quiet = true;
        while let Some(sent) = host.poll_transmit(NOW) {
            router.handle_data(NOW, CONN, &sent.bytes);
            quiet = false;
        }
        while let Some(sent) = router.poll_transmit(NOW) {
            host.handle_data(NOW, CONN, &sent.bytes);
            quiet = false;
        }
    }
    let tor1 = host.peer(&PeerName::new("tor1").unwrap()).unwrap();
    assert_eq!(
        (tor1.state, tor1.families[0].received),
        (State::Established, 1)
    );
    host.announce(NOW, announcement("203.0.113.1/32"));
    host
}

fn ask(name: &str, question: Value) -> Result<PolicyTested, ApiError> {
    let question: PolicyTest = serde_json::from_value(question).unwrap();
    let name = PolicyName::new(name).unwrap();
    let given = read(&question)?;
    test(&host(), config(HOST).policies, given, &name, &question)
}

/// `what: by: route: changes`, one line for each route.
fn answers(name: &str, question: Value) -> Vec<String> {
    let tested = ask(name, question).unwrap_or_else(|e| panic!("{e}"));
    let line = |route: &TestedRoute| {
        let by = match (&route.policy, route.rule) {
            (Some(policy), Some(rule)) => format!("{policy} {rule}"),
            (Some(policy), None) => policy.to_string(),
            (None, _) => "nothing".to_owned(),
        };
        let set = serde_json::to_string(&route.set).unwrap();
        format!("{} by {by}: {} {set}", route.accepted, route.route)
    };
    let missing = tested.missing.iter().map(|p| format!("missing {p}"));
    tested.items.iter().map(line).chain(missing).collect()
}

#[test]
fn routes_that_are_there() {
    let both = json!({"prefixes": ["203.0.113.1/32", "10.0.0.0/8", "10.0.0.0/9"]});
    assert_eq!(
        answers("out", both.clone()),
        [
            "true by out 2: address claim in network default, exported to tor1 {}",
            "true by out 2: received from tor1 via 198.51.100.1, path 65000 {}",
            "missing 10.0.0.0/9",
        ]
    );
    assert_eq!(
        answers("in", both),
        [
            "false by nothing: address claim in network default {}",
            "true by in 1: received from tor1 via 198.51.100.1, path 65000 {\"local_pref\":200}",
            "missing 10.0.0.0/9",
        ]
    );
    assert_eq!(
        answers(
            "default-route",
            json!({"prefixes": ["10.0.0.0/8"], "peer": "tor2"})
        ),
        ["missing 10.0.0.0/8"]
    );
    assert_eq!(
        answers(
            "claims",
            json!({"prefixes": ["203.0.113.1/32"], "peer": "tor2"})
        ),
        ["true by claims: address claim in network default, exported to tor2 {}"]
    );
}

#[test]
fn a_described_route_is_like_the_one_that_is_there_but_for_what_is_said() {
    let asked = |more: Value| {
        let mut question = json!({"prefixes": ["10.0.0.0/8"], "received": "tor1"});
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        answers("in", question)
    };
    let from = "received from tor1 via 198.51.100.1, path";
    assert_eq!(
        asked(json!({})),
        [format!("true by in 1: {from} 65000 {{\"local_pref\":200}}")]
    );
    assert_eq!(
        asked(json!({"communities": []})),
        [format!("false by nothing: {from} 65000 {{}}")]
    );
    assert_eq!(
        asked(json!({"as_path": "65001 65000"})),
        [format!("false by nothing: {from} 65001 65000 {{}}")]
    );
    assert_eq!(
        asked(json!({"communities": [], "large_communities": ["1:2:3"], "peer": "tor2"})),
        [format!("true by in 2: {from} 65000, exported to tor2 {{}}")]
    );
    assert_eq!(
        answers(
            "in",
            json!({"prefixes": ["::/0"], "received": "tor2", "next_hop": "fe80::1"})
        ),
        ["false by nothing: received from tor2 via fe80::1 {}"]
    );
}

#[test]
fn what_is_reflected_passes_unless_a_rule_says_otherwise() {
    let from_to =
        |from: &str, to: &str| json!({"prefixes": ["10.0.0.0/8"], "received": from, "peer": to});
    for (from, to, expected) in [
        (
            "hv",
            "core",
            "true by nothing: received from hv, reflected to core {}",
        ),
        (
            "core",
            "hv",
            "true by nothing: received from core, reflected to hv {}",
        ),
        (
            "core",
            "core2",
            "false by nothing: received from core, exported to core2 {}",
        ),
        (
            "hv",
            "tor2",
            "false by nothing: received from hv, exported to tor2 {}",
        ),
        (
            "tor2",
            "hv",
            "false by nothing: received from tor2, exported to hv {}",
        ),
    ] {
        assert_eq!(answers("out", from_to(from, to)), [expected]);
    }
    assert_eq!(
        answers("none", from_to("hv", "core")),
        ["false by none: received from hv, reflected to core {}"]
    );
}

#[test]
fn described_claims() {
    let question = |more: &str| {
        let text = format!("{{\"prefixes\": [\"192.0.2.1/32\"], {more}}}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(
        answers(
            "out",
            question(r#""kind": "anycast", "next_hop": "192.0.2.9""#)
        ),
        ["false by out 1: anycast claim in network default, exported to tor1 {}"]
    );
    assert_eq!(
        answers(
            "out",
            question(r#""instance": "web9", "network": "public""#)
        ),
        ["true by out 2: address claim of web9 in network public, exported to tor1 {}"]
    );
}

#[test]
fn policies_of_the_question_are_in_the_place_of_those_in_force() {
    let with =
        |rules: Value| json!({"prefixes": ["10.0.0.0/8"], "policies": {"in": {"rules": rules}}});
    let tested = ask("in", with(json!([{"call": "out"}]))).unwrap();
    assert_eq!(tested.items[0].policy.as_ref().unwrap().as_str(), "out");
    let steps: Vec<_> = tested.items[0]
        .steps
        .iter()
        .map(|s| (s.policy.as_str(), s.rule, s.depth))
        .collect();
    assert_eq!(steps, [("in", 1, 0), ("out", 1, 1), ("out", 2, 1)]);
    for (rules, key, reason) in [
        (
            json!([{"call": "in"}]),
            "policies.in.rules[0].call",
            "in calls in: ",
        ),
        (
            json!([{"call": "oout"}]),
            "policies.in.rules[0].call",
            "did you mean out?",
        ),
        (
            json!([{"action": "acept"}]),
            "policies.in.rules[0].action",
            "did you mean \"accept\"?",
        ),
        (
            json!([{"axion": 5}]),
            "policies.in.rules[0].axion",
            "did you mean action?",
        ),
    ] {
        let error = ask("in", with(rules)).unwrap_err().error;
        assert_eq!(error.place.unwrap().key.unwrap(), key);
        assert!(error.message.contains(reason), "{}", error.message);
    }
}

#[test]
fn wrong_questions() {
    for (name, question, text) in [
        ("x", json!({}), "there is no policy named \"x\""),
        (
            "in",
            json!({"peer": "tor9"}),
            "there is no peer named \"tor9\"",
        ),
        (
            "in",
            json!({"received": "tor9"}),
            "there is no peer named \"tor9\"",
        ),
        (
            "in",
            json!({"as_path": "1"}),
            "as_path: a claim of ours has none before a policy",
        ),
        (
            "in",
            json!({"received": "tor1", "kind": "route"}),
            "kind: what a peer sent is no claim",
        ),
        (
            "in",
            json!({"received": "tor1", "as_path": "x"}),
            "as_path: \"x\" is no AS path",
        ),
        (
            "in",
            json!({"received": "tor1", "communities": ["1:2", "1:*"]}),
            "communities[1]: \"1:*\" is many communities",
        ),
        (
            "in",
            json!({"received": "tor1", "origin": "bgp"}),
            "origin: \"bgp\" is no origin",
        ),
    ] {
        let mut whole = json!({"prefixes": ["10.0.0.0/8"]});
        whole
            .as_object_mut()
            .unwrap()
            .extend(question.as_object().unwrap().clone());
        let error = ask(name, whole).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}

/// The state that each route was judged by, and whether it passes, `nothing` where none is shown.
fn states(speaker: &Speaker, question: Value) -> Vec<String> {
    let strict = json!({"rules": [
        {"match": {"rpki": "invalid"}, "action": "reject"},
        {"action": "accept"},
    ]});
    let mut question = question;
    question["policies"] = json!({ "strict": strict });
    let question: PolicyTest = serde_json::from_value(question).unwrap();
    let name = PolicyName::new("strict").unwrap();
    let given = read(&question).unwrap();
    let tested = test(speaker, config(HOST).policies, given, &name, &question).unwrap();
    let line = |route: &TestedRoute| {
        let state = serde_json::to_value(route.rpki).unwrap();
        format!("{} {}", state.as_str().unwrap_or("nothing"), route.accepted)
    };
    tested.items.iter().map(line).collect()
}

#[test]
fn rpki_states_are_looked_up_or_given() {
    let mut speaker = host();
    let there = json!({"prefixes": ["10.0.0.0/8"]});
    let described =
        json!({"prefixes": ["203.0.113.0/24"], "received": "tor1", "as_path": "65000 7"});
    let of_claim = json!({"prefixes": ["203.0.113.0/24"], "kind": "route"});
    assert_eq!(states(&speaker, there.clone()), ["nothing true"]);
    let mut given = there.clone();
    given["rpki"] = json!("invalid");
    assert_eq!(states(&speaker, given.clone()), ["invalid false"]);
    let vrp = |prefix: &str, asn| Vrp::new(prefix.parse().unwrap(), 24, asn).unwrap();
    let set: VrpSet = [vrp("10.0.0.0/8", 1), vrp("203.0.113.0/24", 7)]
        .into_iter()
        .collect();
    let table = VrpTable::union([&set]);
    let changed = table.changed_from(&VrpTable::default());
    speaker.set_vrps(NOW, table, &changed);
    assert_eq!(states(&speaker, there), ["invalid false"]);
    given["rpki"] = json!("valid");
    assert_eq!(states(&speaker, given), ["valid true"]);
    assert_eq!(states(&speaker, described), ["valid true"]);
    // A claim comes from our own AS.
    assert_eq!(states(&speaker, of_claim), ["invalid false"]);
}
