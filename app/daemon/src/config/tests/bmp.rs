//! `[bmp.NAME]`.

use tapway_bmp::{CollectorConfig, Tables};
use tapway_model::CollectorName;

use super::*;

/// A configuration with a collector of these keys. They begin in line 4.
fn collector(keys: &str) -> String {
    format!("{SMALLEST}[bmp.noc]\n{keys}\n")
}

fn noc(keys: &str) -> CollectorConfig {
    let name = CollectorName::new("noc").unwrap();
    config(&collector(keys)).collectors[&name].clone()
}

#[test]
fn a_server_with_a_port_is_enough() {
    let plain = noc("server = \"bmp.example.org:11019\"");
    assert_eq!(plain.server.to_string(), "bmp.example.org:11019");
    assert_eq!(plain.local_address, None);
    let before_policy = Tables {
        received: true,
        ..Tables::default()
    };
    assert_eq!(plain.tables, before_policy);
    assert_eq!(plain.statistics, Some(Duration::from_secs(60)));
    assert_eq!(plain.retry, Duration::from_secs(30));
    assert_eq!(plain.buffer, 64 << 20);
}

#[test]
fn what_is_shown_can_be_written() {
    let whole = config(&collector(
        "server = \"[2001:db8::1]:1790\"\nlocal_address = \"2001:db8::2\"\ntables = [\"loc-rib\", \"adj-rib-in-post\", \"adj-rib-out\"]\nstatistics = \"never\"\nretry = \"1s\"\nbuffer_mib = 2",
    ));
    let noc = whole.collectors.values().next().unwrap();
    let tables = noc.tables;
    assert!(!tables.received && tables.imported && tables.sent && tables.best);
    assert_eq!((noc.statistics, noc.buffer), (None, 2 << 20));
    let shown = whole.redacted();
    let text = toml::to_string(&serde_json::json!({ "bmp": shown["bmp"] })).unwrap();
    let again = config(&format!("{SMALLEST}{text}"));
    assert_eq!(again.collectors, whole.collectors);
}

#[test]
fn wrong_values_have_a_place_and_a_remedy() {
    let example =
        "write one like \"bmp.example.org:11019\", \"192.0.2.1:11019\" or \"[2001:db8::1]:11019\"";
    for (keys, place, reason) in [
        (
            "tables = [\"loc-rib\"]",
            "bmp.noc",
            "the key \"server\" is missing; add server = \"…\" with the name or address of the collector and its port".to_owned(),
        ),
        (
            "server = \"192.0.2.1\"",
            "bmp.noc.server",
            format!("\"192.0.2.1\" has no port; {example}"),
        ),
        (
            "server = \"192.0.2.1:0\"",
            "bmp.noc.server",
            format!("\"192.0.2.1:0\" has no port behind its colon; {example}"),
        ),
        (
            "server = \"192.0.2.1:1\"\nlocal_address = \"2001:db8::1\"",
            "bmp.noc.local_address",
            "2001:db8::1 and the server's 192.0.2.1 are not of one family".to_owned(),
        ),
        (
            "server = \"192.0.2.1:1\"\ntables = [\"loc-rip\"]",
            "bmp.noc.tables[0]",
            "\"loc-rip\" is no table; did you mean \"loc-rib\"?".to_owned(),
        ),
        (
            "server = \"192.0.2.1:1\"\ntables = []",
            "bmp.noc.tables",
            "no table; remove the section if the collector is to be told nothing".to_owned(),
        ),
        (
            "server = \"192.0.2.1:1\"\nstatistics = \"0s\"",
            "bmp.noc.statistics",
            "must be from 1s to 86400s".to_owned(),
        ),
        (
            "server = \"192.0.2.1:1\"\nretry = \"1h\"",
            "bmp.noc.retry",
            "must be from 1s to 720s".to_owned(),
        ),
        (
            "server = \"192.0.2.1:1\"\nbuffer_mib = 0",
            "bmp.noc.buffer_mib",
            "must be from 1 to 4096".to_owned(),
        ),
    ] {
        let problems = check("f", &collector(keys), &Known::default()).unwrap_err();
        let found: Vec<_> = problems
            .iter()
            .map(|p| (p.key.clone().unwrap_or_default(), p.reason.clone()))
            .collect();
        assert_eq!(found, [(place.to_owned(), reason)], "{keys}");
    }
}
