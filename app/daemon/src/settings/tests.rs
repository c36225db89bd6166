//! Policies of file and API together, and what a reload changes.

use std::fs;
use std::net::Ipv4Addr;

use serde_json::json;
use tapway_api::config::Checked;
use tapway_model::Instant;
use tapway_node::{Listen, Node, Restored, Start};

use super::*;

const FILE: &str = r#"
[router]
asn = 64612
[peer.tor1]
address = "198.51.100.1"
asn = 65000
import = "in"
export = "out"
[policy.in]
rules = [{ call = "default-route" }]
[policy.out]
rules = [{ call = "shared" }]
[policy.shared]
rules = [{ action = "accept" }]
"#;

struct Bed {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Bed {
    fn new(text: &str) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("tapway.toml");
        fs::write(&config, text).unwrap();
        let args = Args {
            config,
            check: false,
            state_dir: None,
            socket: None,
            realtime: false,
            log: String::new(),
            scan_interval: 0,
        };
        let settings = Settings::load(&args).unwrap();
        Bed { dir, settings }
    }

    fn write(&self, text: &str) {
        fs::write(self.dir.path().join("tapway.toml"), text).unwrap();
    }

    fn apply(&mut self, name: &str, rules: Value) -> Result<Applied<Policy>, String> {
        let policy = read_policy(&policy(name), json!({ "rules": rules })).unwrap();
        let applied = self.settings.apply_policy(policy);
        applied.map_err(|error| error.to_string())
    }

    /// What the node has been told.
    fn node(&self) -> Node {
        let config = NodeConfig {
            speaker: tapway_bgp::config::SpeakerConfig {
                asn: 64612,
                router_id: Ipv4Addr::new(192, 0, 2, 11),
                graceful_restart: None,
                cluster_id: None,
                decision: tapway_bgp::config::DECISION,
            },
            protocol: 112,
            listen: Listen::Auto,
            networks: Vec::new(),
            peers: self.settings.peers(),
            policies: self.settings.policies_in_force(),
            sources: BTreeMap::new(),
            withdraw_without_carrier: true,
            next_hop_via_default: false,
            seeds: 1.into(),
        };
        let (restored, start) = (Restored::default(), Start::Cold);
        Node::new(Instant::ZERO, config, restored, Vec::new(), start)
    }
}

fn policy(name: &str) -> PolicyName {
    PolicyName::new(name).unwrap()
}

#[test]
fn what_the_api_applies_is_checked_with_what_is_there() {
    let mut bed = Bed::new(FILE);
    for (name, rules, error) in [
        (
            "mine",
            json!([{"action": "accept"}, {"call": "shard"}]),
            "rules[1].call: there is no policy shard; did you mean shared?",
        ),
        (
            "mine",
            json!([{"call": "mine"}]),
            "rules[0].call: mine calls mine: a policy cannot come back to itself; remove one of the calls",
        ),
        (
            "shared",
            json!([{"call": "out"}]),
            "rules[0].call: out calls shared calls out: a policy cannot come back to itself; remove one of the calls",
        ),
        (
            "in",
            json!([{"set": {"next_hop": "self"}, "action": "accept"}]),
            "peer tor1 has import = \"in\": rule 1 of policy in sets next_hop = \"self\", which means something only to what is sent; write an address there, or use another policy",
        ),
    ] {
        assert_eq!(bed.apply(name, rules).err().as_deref(), Some(error));
    }
    // A circle may be noticed where others call; it is still this one's doing.
    bed.apply("a", json!([{"action": "accept"}])).unwrap();
    bed.apply("z", json!([{"call": "a"}])).unwrap();
    assert_eq!(
        bed.apply("a", json!([{"call": "z"}])).err().as_deref(),
        Some(
            "policy.z.rules[0].call: a calls z calls a: a policy cannot come back to itself; remove one of the calls"
        )
    );
    bed.settings.remove_policy(&policy("z")).unwrap();
    let good = bed.apply("mine", json!([{"call": "shared"}])).unwrap();
    assert!(good.effective.is_some() && good.notes.is_empty());
    let named = bed
        .apply(
            "mine",
            json!([{"match": {"peer": "tor9"}, "call": "shared"}]),
        )
        .unwrap();
    assert_eq!(
        named.notes,
        ["it names the peer tor9, and there is none yet"]
    );
    assert_eq!(
        bed.settings.callers(&policy("shared")),
        ["mine (rule 1)", "out (rule 1)"]
    );
    assert_eq!(bed.settings.callers(&policy("out")), [""; 0]);
    let wins = bed.apply("out", json!([{"action": "reject"}])).unwrap();
    assert!(
        wins.effective.is_none() && wins.notes[0].contains("wins"),
        "{:?}",
        wins.notes
    );
    let shown = bed.settings.policies(bed.node().config());
    let shared = shown.iter().find(|p| p.name.as_str() == "shared").unwrap();
    assert_eq!(shared.used_by, ["mine (rule 1)", "out (rule 1)"]);
    let default = shown
        .iter()
        .find(|p| p.name.as_str() == "default-route")
        .unwrap();
    assert_eq!(default.used_by, ["in (rule 1)"]);
}

#[test]
fn peers_of_file_and_api_do_not_keep_each_other_out() {
    let text = |more: &str| format!("{FILE}{more}\n");
    let edge = "[peer.edge]\nrange = [\"10.0.0.0/24\"]\nasn = \"external\"\npassword = \"x\"";
    let mut bed = Bed::new(&text(edge));
    let apply = |bed: &mut Bed, name: &str, keys: Value| {
        let mut value = json!({"asn": 65000});
        let keys = keys.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(keys);
        let applied = bed
            .settings
            .apply_peer(&PeerName::new(name).unwrap(), value);
        applied.err().map(|error| error.to_string())
    };
    for (keys, error) in [
        (
            json!({"address": "10.0.0.7"}),
            "address: 10.0.0.7 is in the range of peer edge, whose password the kernel would want of it; give it one, or take it out of the range",
        ),
        (
            json!({"range": ["2001:db8::/64", "10.0.0.0/24"], "password": "y"}),
            "range[1]: peer edge has the range 10.0.0.0/24 already, and nobody would get in by this one; take it out of one of the two",
        ),
        (
            json!({"range": ["198.51.100.0/24"], "password": "y"}),
            "password: 198.51.100.1 of peer tor1 is in this range and has no password, which the kernel would want of it; give that peer one first, or take it out of the range",
        ),
    ] {
        assert_eq!(apply(&mut bed, "mine", keys).as_deref(), Some(error));
    }
    let good = json!({"address": "10.0.0.7", "password": "y"});
    assert_eq!(apply(&mut bed, "mine", good), None);
    // Nor does the file keep out what the API applied.
    let plain = json!({"address": "172.16.0.1"});
    assert_eq!(apply(&mut bed, "plain", plain), None);
    let wider = edge.replace("\"10.0.0.0/24\"", "\"10.0.0.0/24\", \"172.16.0.0/12\"");
    bed.write(&text(&wider));
    let node = bed.node();
    let (checked, change) = bed.settings.reload(&node);
    assert!(change.is_none(), "{checked:?}");
    assert_eq!(
        checked.problems[0].message,
        "172.16.0.1 of peer plain is in this range and has no password, which the kernel would want of it; give that peer one first, or take it out of the range"
    );
    let place = checked.problems[0].place.as_ref().unwrap();
    assert_eq!(place.key.as_deref(), Some("peer.edge.password"));
    // Unless the file has one of that name, which wins.
    bed.write(&text(&format!(
        "{wider}\n[peer.plain]\naddress = \"203.0.113.9\"\nasn = 65001"
    )));
    let (checked, _) = bed.settings.reload(&node);
    assert!(checked.loaded, "{checked:?}");
}

#[test]
fn a_reload_changes_only_what_differs() {
    let mut bed = Bed::new(FILE);
    let node = bed.node();
    let (checked, change) = bed.settings.reload(&node);
    assert!(checked.loaded && checked.changes.is_empty());
    let change = change.unwrap();
    assert!(change.policies.is_empty() && change.peers.is_empty());
    assert!(change.removed_policies.is_empty() && change.removed_peers.is_empty());
    bed.write(&FILE.replace(
        "{ action = \"accept\" }",
        "{ set = { med = 5 }, action = \"accept\" }",
    ));
    let (checked, change) = bed.settings.reload(&node);
    assert_eq!(checked.changes, ["policy shared: changed"]);
    let change = change.unwrap();
    let names: Vec<&str> = change.policies.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["shared"]);
    assert!(change.peers.is_empty());
    bed.write(&FILE.replace("shared", "common"));
    let (checked, change) = bed.settings.reload(&node);
    assert_eq!(
        checked.changes,
        [
            "policy common: new",
            "policy out: changed",
            "policy shared: gone"
        ]
    );
    let change = change.unwrap();
    assert_eq!(change.removed_policies, [policy("shared")]);
    assert!(change.peers.is_empty());
}

#[test]
fn a_reload_does_not_take_away_what_the_api_calls() {
    let mut bed = Bed::new(FILE);
    bed.apply("mine", json!([{"call": "shared"}])).unwrap();
    let node = bed.node();
    bed.write(&FILE.replace("shared", "common"));
    let (checked, change) = bed.settings.reload(&node);
    assert!(change.is_none() && !checked.ok);
    assert_eq!(checked.problems.len(), 1);
    assert!(
        checked.problems[0]
            .message
            .starts_with("there is no policy shared"),
        "{:?}",
        checked.problems
    );
    // Lost while the daemon was away: told at the start, and no reason to refuse what does not mend it.
    let mut again = Bed::new(&FILE.replace("shared", "common"));
    again
        .settings
        .api_policies
        .clone_from(&bed.settings.api_policies);
    let (checked, change) = again.settings.reload(&node);
    assert!(change.is_some() && checked.ok, "{checked:?}");
    again.write(&FILE.replace("call = \"shared\"", "call = \"lost\""));
    let (checked, change) = again.settings.reload(&node);
    assert!(
        change.is_none() && checked.problems.len() == 1,
        "{checked:?}"
    );
}

#[test]
fn a_reload_takes_over_the_routers_settings() {
    let mut bed = Bed::new(FILE);
    let node = bed.node();
    assert_eq!(bed.settings.pending(&node), None);
    let router = r#"[router]
asn = 64613
router_id = "192.0.2.12"
cluster_id = "10.0.0.1"
maximum_paths = 4
listen = []
next_hop_via_default = true
withdraw_without_carrier = false
graceful_restart = false
protocol = 113
state_dir = "/srv/tapway"
[router.decision]
always_compare_med = true
"#;
    bed.write(&FILE.replace("[router]\nasn = 64612\n", router));
    let pending = bed.settings.pending(&node).unwrap();
    let (checked, change) = bed.settings.reload(&node);
    assert_eq!(
        checked.changes,
        [
            "router asn: 64612 becomes 64613",
            "router cluster_id: \"10.0.0.1\" now",
            "router decision: {\"always_compare_med\":false,\"ignore_as_path\":false,\"ignore_igp_metric\":false,\"missing_med_as_worst\":false,\"multipath_relax\":true} becomes {\"always_compare_med\":true,\"ignore_as_path\":false,\"ignore_igp_metric\":false,\"missing_med_as_worst\":false,\"multipath_relax\":true}",
            "router graceful_restart: {\"notification\":false,\"time\":\"120s\"} becomes false",
            "router listen: \"auto\" becomes []",
            "router maximum_paths: 256 becomes 4",
            "router next_hop_via_default: false becomes true",
            "router router_id: \"192.0.2.12\" now",
            "router withdraw_without_carrier: true becomes false",
            "peer tor1: changed",
        ]
    );
    assert_eq!(
        checked.needs_restart,
        [
            "[router] protocol changed: what is in the kernel carries the number of the start",
            "[router] state_dir changed: the state of this run is in the other one",
        ]
    );
    // It was told before as it was done.
    assert_eq!(
        pending,
        Checked {
            loaded: false,
            ..checked
        }
    );
    let router = change.unwrap().router;
    assert_eq!(router.speaker.asn, 64613);
    assert_eq!(router.speaker.router_id, Ipv4Addr::new(192, 0, 2, 12));
    assert_eq!(router.speaker.cluster_id, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(router.speaker.decision.maximum_paths_internal, 4);
    assert!(router.speaker.decision.always_compare_med);
    assert_eq!(
        (router.listen, router.speaker.graceful_restart),
        (Listen::Never, None)
    );
    assert!(router.next_hop_via_default && !router.withdraw_without_carrier);
    assert_eq!(bed.settings.protocol(), 112);
    // What needs a restart is told until then, and nothing else.
    let left = bed.settings.pending(&node).unwrap();
    assert_eq!((left.changes.len(), left.needs_restart.len()), (0, 2));
    // Without a router id of its own the one in force stays.
    bed.write(FILE);
    let (checked, change) = bed.settings.reload(&node);
    let gone = "router router_id: gone; the one in use stays, also over restarts".to_owned();
    assert!(checked.changes.contains(&gone), "{checked:?}");
    let router = change.unwrap().router;
    assert_eq!(router.speaker.router_id, node.config().speaker.router_id);
}

#[test]
fn peers_of_the_api_follow_the_file() {
    let mut bed = Bed::new(FILE);
    for (name, more) in [
        ("follows", json!({"address": "198.51.100.7"})),
        (
            "own",
            json!({"address": "198.51.100.8", "graceful_restart": true}),
        ),
    ] {
        let mut value = json!({"asn": 65000});
        let more = more.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(more);
        let name = PeerName::new(name).unwrap();
        bed.settings.apply_peer(&name, value).unwrap();
    }
    let node = bed.node();
    let off = FILE.replace("asn = 64612", "asn = 64612\ngraceful_restart = false");
    bed.write(&off);
    let (checked, change) = bed.settings.reload(&node);
    let peers: Vec<&String> = checked
        .changes
        .iter()
        .filter(|line| line.starts_with("peer"))
        .collect();
    assert_eq!(peers, ["peer tor1: changed", "peer follows: changed"]);
    let change = change.unwrap();
    let changed: Vec<&str> = change.peers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(changed, ["follows", "tor1"]);
    assert!(change.peers.iter().all(|p| p.graceful_restart.is_none()));
    // And keep it where it would not fit them.
    let name = PeerName::new("local").unwrap();
    let local = json!({"address": "198.51.100.9", "asn": 65000, "local_asn": 64999});
    bed.settings.apply_peer(&name, local).unwrap();
    bed.write(&FILE.replace("asn = 64612", "asn = 64999"));
    let (checked, change) = bed.settings.reload(&node);
    assert!(change.is_none());
    assert_eq!(
        checked.problems[0].message,
        "peer local of the API does not fit this AS: local_asn: 64999 is the router's own AS, which the peer sees anyway; remove the key"
    );
}
