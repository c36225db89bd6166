//! `[rpki.NAME]`.

use super::*;
use tapway_model::CacheName;
use tapway_rpki::{CacheConfig, RpkiState};

/// A configuration with a cache of these keys. They begin in line 4.
fn cache(keys: &str) -> String {
    format!("{SMALLEST}[rpki.near]\n{keys}\n")
}

fn near(keys: &str) -> CacheConfig {
    let name = CacheName::new("near").unwrap();
    config(&cache(keys)).caches[&name].clone()
}

#[test]
fn servers() {
    for (text, shown) in [
        ("rpki.example.org", "rpki.example.org:323"),
        ("rpki.example.org.:8282", "rpki.example.org.:8282"),
        ("localhost:3323", "localhost:3323"),
        ("192.0.2.1", "192.0.2.1:323"),
        ("192.0.2.1:8282", "192.0.2.1:8282"),
        ("2001:db8::1", "[2001:db8::1]:323"),
        ("[2001:db8::1]", "[2001:db8::1]:323"),
        ("[2001:db8::1]:8282", "[2001:db8::1]:8282"),
    ] {
        let found = near(&format!("server = {text:?}"));
        assert_eq!(found.server.to_string(), shown, "{text}");
    }
}

#[test]
fn a_server_is_enough() {
    let plain = near("server = \"192.0.2.1\"");
    assert_eq!((plain.preference, plain.local_address), (100, None));
    assert_eq!(
        (plain.refresh, plain.retry, plain.expire),
        (None, None, None)
    );
    let full = near(
        "server = \"192.0.2.1\"\ntransport = \"tcp\"\nlocal_address = \"192.0.2.2\"\npreference = 0\nrefresh = \"5m\"\nretry = \"30s\"\nexpire = \"1h\"",
    );
    assert_eq!(full.preference, 0);
    assert_eq!(full.refresh, Some(Duration::from_secs(300)));
    assert_eq!(full.expire, Some(Duration::from_secs(3600)));
    // What is shown can be written.
    let whole = config(&cache(
        "server = \"192.0.2.1\"\npreference = 7\nretry = \"30s\"",
    ));
    let shown = whole.redacted();
    let text = toml::to_string(&serde_json::json!({ "rpki": shown["rpki"] })).unwrap();
    let again = config(&format!("{SMALLEST}{text}"));
    assert_eq!(again.caches, whole.caches);
}

#[test]
fn wrong_values_have_a_place_and_a_remedy() {
    let example = "write one like \"rpki.example.org:323\", \"192.0.2.1\" or \"[2001:db8::1]:323\"";
    for (keys, shown) in [
        ("", "3:7: rpki.near: the key \"server\" is missing; add server = \"…\" with the name or address of the cache".to_owned()),
        ("server = \"192.0.2.1:x\"", format!("4:10: rpki.near.server: \"192.0.2.1:x\" has no port behind its colon; {example}")),
        ("server = \"a b\"", format!("4:10: rpki.near.server: \"a b\" is no server; {example}")),
        ("server = \"192.0.2.300\"", format!("4:10: rpki.near.server: \"192.0.2.300\" is no server; {example}")),
        ("server = \"[::1\"", format!("4:10: rpki.near.server: \"[::1\" is no server; {example}")),
        ("server = \"fe80::1\"", "4:10: rpki.near.server: fe80::1 is link-local; write an address that is good everywhere".to_owned()),
        ("server = \"a\"\ntransport = \"tls\"", "5:13: rpki.near.transport: this version of tapway speaks plain TCP with caches, and no tls; run the cache on this host or in a network that you trust, or bring tls up beside tapway (stunnel, ssh -L) and write the near end as server".to_owned()),
        ("server = \"a\"\ntransport = \"udp\"", "5:13: rpki.near.transport: \"udp\" is no transport; write \"tcp\"".to_owned()),
        ("server = \"a\"\npreference = 256", "5:14: rpki.near.preference: 256 is no preference; write 0 (asked first) to 255".to_owned()),
        ("server = \"a\"\nrefresh = \"2d\"", "5:11: rpki.near.refresh: \"2d\" is not a duration; write one like \"90s\", \"300ms\" or \"2m\"".to_owned()),
        ("server = \"a\"\nexpire = \"5m\"", "5:10: rpki.near.expire: must be from 600s to 172800s (RFC 8210 §6)".to_owned()),
        ("server = \"a\"\nexpire = \"10m\"\nrefresh = \"10m\"", "5:10: rpki.near.expire: 600s is not longer than refresh = \"600s\"; what a cache said would be forgotten before it is asked again (RFC 8210 §6)".to_owned()),
        ("server = \"192.0.2.1\"\nlocal_address = \"2001:db8::1\"", "5:17: rpki.near.local_address: 2001:db8::1 and the server's 192.0.2.1 are not of one family".to_owned()),
    ] {
        assert_eq!(problems(&cache(keys)), [format!("t.toml:{shown}")], "{keys}");
    }
    let unknown = problems(&cache("server = \"a\"\nprefrence = 1"));
    assert!(unknown[0].contains("preference"), "{unknown:?}");
}

#[test]
fn policies_ask_for_states() {
    let text = |rpki: &str| {
        format!(
            "{SMALLEST}[policy.p]\nrules = [{{ match = {{ rpki = {rpki} }}, action = \"reject\" }}]\n"
        )
    };
    for (rpki, states) in [
        ("\"invalid\"", &[RpkiState::Invalid][..]),
        (
            "[\"valid\", \"not-found\"]",
            &[RpkiState::Valid, RpkiState::NotFound],
        ),
    ] {
        let policies = config(&text(rpki)).policies;
        assert_eq!(policies[0].rules[0].matches.rpki, states);
        let shown = policy_value(&policies[0]);
        let again: PolicySpec = serde_json::from_value(shown).unwrap();
        assert_eq!(
            again.parse(policies[0].name.clone()),
            Ok(policies[0].clone())
        );
    }
}
