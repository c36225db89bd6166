//! Every mistake in a policy, as it is shown.

use super::*;

/// A configuration whose policy `p` has this one rule; it begins in line 5, column 3.
fn with(rule: &str) -> String {
    format!("{SMALLEST}[policy.p]\nrules = [\n  {rule}\n]\n")
}

/// The one problem of it, without the file.
fn problem(rule: &str) -> String {
    let found = problems(&with(rule));
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found[0].strip_prefix("t.toml:").unwrap().to_string()
}

#[test]
fn every_wrong_value_is_refused_with_place_and_remedy() {
    for (rule, shown) in [
        (
            "{ action = \"permit\" }",
            "5:14: policy.p.rules[0].action: \"permit\" is no action; write \"accept\", \"reject\" or \"next\"",
        ),
        (
            "{ action = \"acept\" }",
            "5:14: policy.p.rules[0].action: \"acept\" is no action; did you mean \"accept\"?",
        ),
        (
            "{ set = { med = 5 } }",
            "5:3: policy.p.rules[0]: the key \"action\" is missing; add action = \"accept\", \"reject\" or \"next\", or call a policy",
        ),
        (
            "{ mach = {}, action = \"next\" }",
            "5:5: policy.p.rules[0].mach: there is no key \"mach\" here; did you mean match?",
        ),
        (
            "{ call = \"a b\" }",
            "5:12: policy.p.rules[0].call: the policy name \"a b\" has the character ' '; use letters, digits and . _ - : @ +",
        ),
    ] {
        assert_eq!(problem(rule), shown, "{rule}");
    }
}

#[test]
fn every_wrong_condition() {
    for (key, shown) in [
        (
            "prefixes = \"10.0.0.0/8 ge 4\"",
            "prefixes[0]: no length fits; it must hold that 8 <= ge <= le <= 32",
        ),
        (
            "prefixes = [\"10.0.0.0/8 lt 4\"]",
            "prefixes[0]: \"lt\" is not known here; write like \"10.0.0.0/8 ge 24 le 32\"",
        ),
        (
            "prefixes = [\"10.0.0.0/8 ge\"]",
            "prefixes[0]: ge wants one length; write like \"10.0.0.0/8 ge 24 le 32\"",
        ),
        (
            "prefixes = [\"10.0.0.0/8 le 9 le 9\"]",
            "prefixes[0]: le wants one length; write like \"10.0.0.0/8 ge 24 le 32\"",
        ),
        (
            "prefixes = [\"0.0.0.0/0\", \"10.0.0.1/8\"]",
            "prefixes[1]: 10.0.0.1/8 has host bits set; write 10.0.0.0/8 for the network or 10.0.0.1/32 for the one address",
        ),
        (
            "family = \"ipv4\"",
            "family: \"ipv4\" is no family; did you mean \"ipv4-unicast\"?",
        ),
        (
            "kind = \"adress\"",
            "kind[0]: \"adress\" is no kind of claim; did you mean \"address\"?",
        ),
        (
            "from = \"peers\"",
            "from: \"peers\" is not known; write \"peer\" for what peers sent, and received_from for which of them",
        ),
        (
            "received_from = \"tor1\"",
            "received_from: only what peers sent is received; write from = \"peer\" beside it",
        ),
        (
            "from = \"peer\", tag = \"dns\"",
            "tag: what a peer sent is no claim, so that this rule never holds; remove this key or from",
        ),
        (
            "peer = \"tor9\"",
            "peer[0]: there is no peer tor9; define [peer.tor9] or remove the name",
        ),
        (
            "communities = \"65536:1\"",
            "communities[0]: \"65536:1\" is no community; write two numbers up to 65535 like \"64612:90\", or a name like \"no-export\"",
        ),
        (
            "communities = [\"1:2 no_export\"]",
            "communities[0]: \"no_export\" is no community; did you mean \"no-export\"?",
        ),
        (
            "large_communities = \"1:2\"",
            "large_communities[0]: \"1:2\" is no large community; write three numbers up to 4294967295 like \"64612:1:2\"",
        ),
        (
            "extended_communities = \"rt:1\"",
            "extended_communities[0]: \"rt:1\" is no extended community; write one like \"rt:64612:100\", \"soo:192.0.2.1:5\" or \"0x0002fc6400000064\"",
        ),
        (
            "as_path = { first = 0 }",
            "as_path.first[0]: 0 is no AS number; they go from 1 to 4294967295",
        ),
        (
            "as_path = { lenght = 2 }",
            "as_path.lenght: there is no key \"lenght\" here; did you mean length?",
        ),
        (
            "as_path = { length = \"ge 5 le 2\" }",
            "as_path.length: no length fits; 5 is more than 2",
        ),
        (
            "as_path = { length = \"5\" }",
            "as_path.length: \"5\" is not known here; write like \"ge 2 le 5\"",
        ),
        (
            "as_path = { length = \"\" }",
            "as_path.length: it says nothing; write a number or like \"ge 2 le 5\"",
        ),
        (
            "as_path = { length = -1 }",
            "as_path.length: -1 is no length; write 0 or more",
        ),
        (
            "as_path = { regex = [\"_1_\", \"(1\"] }",
            "as_path.regex[1]: \"(1\" is no regular expression for AS paths: unclosed group; write one like \"^65000_\" or \"_64512$\"",
        ),
        (
            "next_hop = \"192.0.2.1/24\"",
            "next_hop[0]: 192.0.2.1/24 has host bits set; write 192.0.2.0/24 for the network or 192.0.2.1/32 for the one address",
        ),
        (
            "rpki = \"invald\"",
            "rpki[0]: \"invald\" is no RPKI state; did you mean \"invalid\"?",
        ),
    ] {
        let found = problem(&format!("{{ match = {{ {key} }}, action = \"next\" }}"));
        let (place, text) = found.split_once(": ").unwrap();
        assert_eq!(text, format!("policy.p.rules[0].match.{shown}"), "{key}");
        assert!(place.starts_with("5:"), "{key}: {place}");
    }
}

#[test]
fn every_wrong_change() {
    for (key, shown) in [
        ("med = -1", "med: -1 does not fit; write 0 to 4294967295"),
        (
            "local_pref = 4294967296",
            "local_pref: 4294967296 does not fit; write 0 to 4294967295",
        ),
        (
            "origin = \"incomplet\"",
            "origin: \"incomplet\" is no origin; did you mean \"incomplete\"?",
        ),
        (
            "prepend = 99",
            "prepend: 99 times is not sensible; write 0 to 25",
        ),
        (
            "prepend = { count = 26 }",
            "prepend.count: 26 times is not sensible; write 0 to 25",
        ),
        (
            "prepend = { asn = \"first\" }",
            "prepend.asn: \"first\" is no AS; write a number without quotes, \"own\" or \"last\"",
        ),
        (
            "prepend = { asn = 23456 }",
            "prepend.asn: 23456 stands for numbers that do not fit (RFC 6793) and belongs to nobody",
        ),
        (
            "prepend = \"2\"",
            "prepend: string \"2\" is not allowed here; write a whole number or a table",
        ),
        (
            "communities = \"64612:*\"",
            "communities[0]: \"64612:*\" is many communities; write one, since only conditions and what is removed take \"*\"",
        ),
        (
            "add_communities = [\"1:2\", \"blakhole\"]",
            "add_communities[1]: \"blakhole\" is no community; did you mean \"blackhole\"?",
        ),
        (
            "remove_large_communities = \"1:2:x\"",
            "remove_large_communities[0]: \"1:2:x\" is no large community; write three numbers up to 4294967295 like \"64612:1:2\"",
        ),
        (
            "next_hop = \"me\"",
            "next_hop: \"me\" is not known; write \"self\", \"unchanged\" or { ipv4 = \"192.0.2.1\", ipv6 = \"2001:db8::1\" }",
        ),
        (
            "next_hop = {}",
            "next_hop: no address is in it; write ipv4, ipv6 or both",
        ),
        (
            "next_hop = { ipv4 = \"2001:db8::1\" }",
            "next_hop.ipv4: 2001:db8::1 is not of the family ipv4-unicast",
        ),
        (
            "install = { table = 255 }",
            "install.table: table 255 (local) belongs to the kernel; use another",
        ),
        (
            "install = { metric = 0 }",
            "install.metric: 0 is no metric; write 1 to 4294967294, but not 10",
        ),
    ] {
        let found = problem(&format!("{{ set = {{ {key} }}, action = \"next\" }}"));
        let (place, text) = found.split_once(": ").unwrap();
        assert_eq!(text, format!("policy.p.rules[0].set.{shown}"), "{key}");
        assert!(place.starts_with("5:"), "{key}: {place}");
    }
}

#[test]
fn calls_are_checked_between_policies() {
    let text = |calls: &[(&str, &str)]| {
        let policies: Vec<String> = calls
            .iter()
            .map(|(name, called)| format!("[policy.{name}]\nrules = [{{ call = \"{called}\" }}]\n"))
            .collect();
        format!("{SMALLEST}{}", policies.concat())
    };
    assert_eq!(
        problems(&text(&[("edge", "core"), ("core", "claims")])),
        [""; 0]
    );
    for (calls, shown) in [
        (
            &[("edge", "corr"), ("core", "claims")][..],
            "t.toml:4:19: policy.edge.rules[0].call: there is no policy corr; did you mean core?",
        ),
        (
            &[("edge", "elsewhere")],
            "t.toml:4:19: policy.edge.rules[0].call: there is no policy elsewhere; define [policy.elsewhere] or write one of claims, default-route, all, none, edge",
        ),
        (
            &[("edge", "edge")],
            "t.toml:4:19: policy.edge.rules[0].call: edge calls edge: a policy cannot come back to itself; remove one of the calls",
        ),
        (
            &[("a", "b"), ("b", "c"), ("c", "a")],
            "t.toml:8:19: policy.c.rules[0].call: a calls b calls c calls a: a policy cannot come back to itself; remove one of the calls",
        ),
    ] {
        assert_eq!(problems(&text(calls)), [shown]);
    }
}

#[test]
fn calls_may_lead_through_what_the_api_applied() {
    let spec: PolicySpec =
        serde_json::from_value(serde_json::json!({ "rules": [{ "call": "edge" }] })).unwrap();
    let of_api = spec.parse(PolicyName::new("mine").unwrap()).unwrap();
    let known = Known {
        policies: [of_api.name.clone()].into(),
        defined: vec![of_api],
        ..Known::default()
    };
    let text =
        |called: &str| format!("{SMALLEST}[policy.edge]\nrules = [{{ call = \"{called}\" }}]\n");
    assert!(check("t", &text("claims"), &known).is_ok());
    let found = check("t", &text("mine"), &known).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].reason.starts_with("edge calls mine calls edge: "),
        "{found:?}"
    );
}

#[test]
fn a_peer_uses_a_policy_for_what_it_can_be_used_for() {
    let rule = "{ set = { next_hop = \"self\" }, action = \"accept\" }";
    let policies = format!(
        "[policy.outer]\nrules = [{{ call = \"inner\" }}]\n[policy.inner]\nrules = [{rule}]\n"
    );
    let text = format!("{}{policies}", peer("import = \"outer\""));
    let shown = "t.toml:6:10: peer.tor1.import: rule 1 of policy inner sets next_hop = \"self\", which means something only to what is sent; write an address there, or use another policy";
    assert_eq!(problems(&text), [shown]);
    let text = format!("{}{policies}", peer("export = \"outer\""));
    assert_eq!(problems(&text), [""; 0]);
}
