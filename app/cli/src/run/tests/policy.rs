//! `tapway policy test`: what it asks, and what the page about policies says that it answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tapway_api::ApiError;
use tapway_api::policy::{PolicyTest, PolicyTested};
use tapway_bgp::config::SpeakerConfig;
use tapway_bgp::{Announcement, AnnouncementId, Speaker, StartKind};
use tapway_daemon::config::{Config, Known, check};
use tapway_daemon::policy_test;
use tapway_model::spec::InstanceSpec;
use tapway_model::{ClaimKind, Domain, Instance, Instant, PolicyName, Prefix};

use super::*;

const PAGE: &str = include_str!("../../../../../docs/policy.md");
const ROUTER: &str = "[router]\nasn = 64612\n";

#[test]
fn options_become_a_question() {
    let daemon = Daemon::new(|_| (200, r#"{"items":[]}"#.to_owned()));
    let file = daemon.file(
        "next.toml",
        "[router]\nasn = 5\n[policy.p]\nrules = [{ action = \"accept\" }]\n",
    );
    for (command, body) in [
        (
            "policy test p 10.0.0.0/8 192.0.2.1",
            json!({"prefixes": ["10.0.0.0/8", "192.0.2.1/32"]}),
        ),
        (
            "policy test p ::/0 --received tor1 --peer tor2 --as-path 65000 --community 1:2 --community no-export \
             --large-community 1:2:3 --extended-community rt:1:2 --med 5 --local-pref 6 --origin igp --next-hop fe80::1 --rpki not-found",
            json!({"prefixes": ["::/0"], "received": "tor1", "peer": "tor2", "as_path": "65000",
                   "communities": ["1:2", "no-export"], "large_communities": ["1:2:3"],
                   "extended_communities": ["rt:1:2"], "med": 5, "local_pref": 6, "origin": "igp",
                   "next_hop": "fe80::1", "rpki": "not-found"}),
        ),
        (
            "policy test p ::/0 --kind guest-bgp --instance web1 --tag a --tag b --network public --rules",
            json!({"prefixes": ["::/0"], "kind": "guest-bgp", "instance": "web1", "tags": ["a", "b"],
                   "network": "public"}),
        ),
        (
            &format!("policy test p ::/0 -f {file}"),
            json!({"prefixes": ["::/0"], "policies": {"p": {"rules": [{"action": "accept"}]}}}),
        ),
    ] {
        let (result, _) = daemon.run(command);
        assert_eq!(result.unwrap(), Answer::Yes, "{command}");
        let request = daemon.requests.recv().unwrap();
        assert_eq!(request.line, "POST /v1/policies/p/test");
        assert_eq!(request.body, body, "{command}");
    }
    let without = daemon.file("without.toml", "[router]\nasn = 5\n");
    let failure = daemon.run(&format!("policy test p ::/0 -f {without}"));
    let text = failure.0.unwrap_err().to_string();
    assert!(
        text.contains("there is no [policy.NAME] table in it"),
        "{text}"
    );
}

#[test]
fn policies_are_applied_before_those_that_call_them() {
    let item = r#"{"items":[{"name":"x","outcome":"created"}]}"#;
    let daemon = Daemon::new(move |_| (200, item.to_owned()));
    let rules =
        |called: &str| format!("rules = [{{ action = \"next\" }}, {{ call = \"{called}\" }}]\n");
    let file = daemon.file(
        "p.toml",
        &format!(
            "[policy.a]\n{}[policy.b]\n{}[policy.c]\nrules = []\n[policy.x]\n{}[policy.y]\n{}[policy.z]\nrules = 5\n",
            rules("b"),
            rules("c"),
            rules("y"),
            rules("x"),
        ),
    );
    let (result, _) = daemon.run(&format!("policy apply -f {file}"));
    assert_eq!(result.unwrap(), Answer::Yes);
    let order: Vec<String> = (0..6)
        .map(|_| daemon.requests.recv().unwrap().line)
        .collect();
    let expected = ["c", "b", "a", "y", "x", "z"].map(|name| format!("PUT /v1/policies/{name}"));
    assert_eq!(order, expected);
}

#[test]
fn a_refusal_has_its_place_in_the_file() {
    let refused = |key: &str| {
        let body = json!({"error": {"code": "invalid", "message": "\"acept\" is no action",
                                    "place": {"key": key}}});
        Daemon::new(move |_| (422, body.to_string()))
    };
    let rule = "rules = [\n  { action = \"acept\" },\n]\n";
    let tables = format!("[policy.q]\nrules = []\n[policy.p]\n{rule}");
    for (command, text, key, shown) in [
        (
            "policy apply -f",
            &tables,
            "rules[0].action",
            "p.toml:5:14: policy.p.rules[0].action: ",
        ),
        (
            "policy apply p -f",
            &rule.to_owned(),
            "rules[0].action",
            "p.toml:2:14: rules[0].action: ",
        ),
        (
            "policy test p ::/0 -f",
            &tables,
            "policies.p.rules[0].action",
            "p.toml:5:14: policy.p.rules[0].action: ",
        ),
        ("policy test p ::/0 -f", &tables, "as_path", "as_path: "),
    ] {
        let daemon = refused(key);
        let file = daemon.file("p.toml", text);
        let failure = daemon.run(&format!("{command} {file}")).0.unwrap_err();
        assert_eq!(failure.code(), 1);
        let folder = file.strip_suffix("p.toml").unwrap();
        let text = failure.to_string().replace(folder, "");
        assert_eq!(text, format!("{shown}\"acept\" is no action"), "{command}");
    }
}

/// The routes of an instance, announced by whatever happens in the kernel.
fn announce(speaker: &mut Speaker, instance: &Instance) {
    for nic in &instance.nics {
        let of = |prefixes: &[Prefix], kind| prefixes.iter().map(move |p| (*p, kind)).collect();
        let claims: [Vec<(Prefix, ClaimKind)>; 3] = [
            of(&nic.addresses, ClaimKind::Address),
            of(&nic.routes, ClaimKind::Route),
            of(&nic.anycast, ClaimKind::Anycast),
        ];
        for (prefix, kind) in claims.into_iter().flatten() {
            let announcement = Announcement {
                id: AnnouncementId {
                    domain: Domain::MAIN,
                    prefix,
                },
                kind,
                network: nic.network.clone(),
                peers: None,
                instances: vec![instance.name.clone()],
                tags: nic.tags.clone(),
                next_hop: None,
            };
            speaker.announce(Instant::from_nanos(1), announcement);
        }
    }
}

/// A speaker with this configuration on a host with these instances.
fn speaker(config: &Config, instances: &[Instance]) -> Speaker {
    let now = Instant::from_nanos(1);
    let own = SpeakerConfig {
        asn: config.router.asn,
        router_id: Ipv4Addr::new(192, 0, 2, 11),
        graceful_restart: None,
        cluster_id: None,
        decision: tapway_bgp::config::DECISION,
    };
    let mut speaker = Speaker::new(own, 1, StartKind::Cold);
    speaker.set_policies(now, config.policies.clone());
    for peer in config.peers.values() {
        speaker.set_peer(now, peer.clone());
    }
    for instance in instances {
        announce(&mut speaker, instance);
    }
    speaker
}

fn answer(config: &Config, instances: &[Instance], request: &Request) -> (u16, String) {
    let path = request.line.strip_prefix("POST /v1/policies/").unwrap();
    let name: PolicyName = path.strip_suffix("/test").unwrap().parse().unwrap();
    let test: PolicyTest = serde_json::from_value(request.body.clone()).unwrap();
    let speaker = speaker(config, instances);
    let tested: Result<PolicyTested, ApiError> = policy_test::read(&test).and_then(|given| {
        policy_test::test(&speaker, config.policies.clone(), given, &name, &test)
    });
    match tested {
        Ok(tested) => (200, serde_json::to_string(&tested).unwrap()),
        Err(error) => (
            error.error.code.status(),
            serde_json::to_string(&error).unwrap(),
        ),
    }
}

/// A line as a shell splits it: words, and texts in double quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Fenced blocks of the page: their language and their text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    let mut rest = PAGE;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (language, after) = after.split_once('\n').unwrap();
        let (text, after) = after.split_once("```\n").unwrap();
        all.push((language, text));
        rest = after;
    }
    all
}

#[test]
fn the_examples_of_the_page_are_true() {
    let mut instances: Vec<Instance> = Vec::new();
    let mut config = None;
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for (language, text) in blocks() {
        match language {
            "toml" if text.starts_with("name =") => {
                let spec: InstanceSpec = tapway_document::parse("page", text).unwrap().value;
                instances.push(spec.parse().unwrap());
            }
            "toml" => {
                let whole = format!("{ROUTER}{text}");
                let checked = check("page", &whole, &Known::default());
                config = Some(checked.unwrap_or_else(|e| panic!("{text}\n{e:#?}")));
            }
            "console" => {
                let config: Config = config.clone().unwrap();
                for example in text.split("$ tapway ").skip(1) {
                    let (command, expected) = example.split_once('\n').unwrap();
                    let (of_config, of_host) = (config.clone(), instances.clone());
                    let daemon = Daemon::new(move |request| answer(&of_config, &of_host, request));
                    let (result, out) = daemon.run_words(words(command));
                    let out = match &result {
                        Ok(_) => out,
                        Err(failure) => failure.to_string(),
                    };
                    assert_eq!(out, expected, "$ tapway {command}");
                    let rejects = expected.contains(": reject, ");
                    let expected = if rejects { Answer::No } else { Answer::Yes };
                    assert_eq!(result.unwrap(), expected, "$ tapway {command}");
                    let policy = words(command)[2].clone();
                    *asked.entry(policy).or_default() += 1;
                }
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(asked.len(), 11, "{asked:?}");
}
