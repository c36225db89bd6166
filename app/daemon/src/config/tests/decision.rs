//! `[router.decision]` and `maximum_paths`.

use tapway_bgp::config::{DECISION, Decision};

use super::*;

fn decision(keys: &str) -> Decision {
    config(&format!("[router]\nasn = 1\n{keys}"))
        .router
        .decision
}

#[test]
fn each_key_is_one_switch() {
    assert_eq!(decision(""), DECISION);
    type Turn = fn(&mut Decision);
    let rows: [(&str, Turn); 9] = [
        ("decision.always_compare_med = true", |d| {
            d.always_compare_med = true;
        }),
        ("decision.missing_med_as_worst = true", |d| {
            d.missing_med_is_worst = true;
        }),
        ("decision.ignore_as_path = true", |d| {
            d.ignore_as_path = true;
        }),
        ("decision.ignore_igp_metric = true", |d| {
            d.ignore_metric = true;
        }),
        ("decision.multipath_relax = false", |d| {
            d.multipath_same_as = true;
        }),
        ("decision = { multipath_relax = true }", |_| {}),
        ("maximum_paths = 16", |d| {
            (d.maximum_paths_external, d.maximum_paths_internal) = (16, 16);
        }),
        ("maximum_paths = { internal = 4 }", |d| {
            d.maximum_paths_internal = 4;
        }),
        ("maximum_paths = { external = 1, internal = 4 }", |d| {
            (d.maximum_paths_external, d.maximum_paths_internal) = (1, 4);
        }),
    ];
    for (keys, turn) in rows {
        let mut expected = DECISION;
        turn(&mut expected);
        assert_eq!(decision(keys), expected, "{keys}");
        // What is shown can be read again.
        let shown = config(&format!("[router]\nasn = 1\n{keys}")).router.value();
        let again = format!(
            "decision = {}\nmaximum_paths = {}",
            toml_inline(&shown["decision"]),
            toml_inline(&shown["maximum_paths"])
        );
        assert_eq!(decision(&again), expected, "{again}");
    }
}

fn toml_inline(value: &serde_json::Value) -> String {
    let Some(table) = value.as_object() else {
        return value.to_string();
    };
    let keys: Vec<String> = table.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

#[test]
fn wrong_values_are_named() {
    for (keys, error) in [
        (
            "maximum_paths = 0",
            "t.toml:3:17: router.maximum_paths: 0 is no number of paths; write 1 (the best route alone) to 256",
        ),
        (
            "maximum_paths = { external = 257 }",
            "t.toml:3:30: router.maximum_paths.external: 257 is no number of paths; write 1 (the best route alone) to 256",
        ),
        (
            "maximum_paths = { ibgp = 2 }",
            "t.toml:3:19: router.maximum_paths.ibgp: there is no key \"ibgp\" here; known here: external, internal",
        ),
        (
            "maximum_paths = \"all\"",
            "t.toml:3:17: router.maximum_paths: string \"all\" is not allowed here; write a whole number or a table",
        ),
        (
            "decision.always_compare_mde = true",
            "t.toml:3:10: router.decision.always_compare_mde: there is no key \"always_compare_mde\" here; did you mean always_compare_med?",
        ),
        (
            "decision.ignore_as_path = 1",
            "t.toml:3:27: router.decision.ignore_as_path: integer `1` is not allowed here; write true or false",
        ),
    ] {
        assert_eq!(problems(&format!("[router]\nasn = 1\n{keys}")), [error]);
    }
}
