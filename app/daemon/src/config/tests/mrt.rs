//! `[mrt]`.

use super::*;
use crate::mrt::MrtConfig;

fn mrt(keys: &str) -> Option<MrtConfig> {
    config(&format!("{SMALLEST}[mrt]\n{keys}\n")).mrt
}

#[test]
fn a_file_is_enough_and_what_is_shown_can_be_written() {
    assert_eq!(config(SMALLEST).mrt, None);
    assert_eq!(mrt(""), None);
    let plain = mrt("file = \"/x/%Y.mrt\"").unwrap();
    assert_eq!(plain.file.to_string(), "/x/%Y.mrt");
    assert_eq!(plain.rotate, Duration::from_secs(900));
    assert_eq!((plain.max_size, plain.sent), (None, false));
    let keys = "file = \"/x/%Y.mrt\"\nrotate = \"1m\"\nmax_size_mib = 5\nsent = true";
    let whole = config(&format!("{SMALLEST}[mrt]\n{keys}\n"));
    let shown = whole.redacted();
    let text = toml::to_string(&serde_json::json!({ "mrt": shown["mrt"] })).unwrap();
    assert_eq!(config(&format!("{SMALLEST}{text}")).mrt, whole.mrt);
    assert_eq!(whole.mrt.unwrap().max_size, Some(5 << 20));
}

#[test]
fn wrong_values_have_a_place_and_a_remedy() {
    for (keys, place, part) in [
        ("rotate = \"1m\"", "mrt", "the key \"file\" is missing"),
        ("file = \"x\"", "mrt.file", "begins with /"),
        ("file = \"/x%j\"", "mrt.file", "\"%j\" is no field"),
        (
            "file = \"/x\"\nrotate = \"1s\"",
            "mrt.rotate",
            "must be from 10s to",
        ),
        (
            "file = \"/x\"\nmax_size_mib = 0",
            "mrt.max_size_mib",
            "must be from 1 to",
        ),
    ] {
        let text = format!("{SMALLEST}[mrt]\n{keys}\n");
        let problems = check("f", &text, &Known::default()).unwrap_err();
        assert_eq!(problems.len(), 1, "{keys}");
        assert_eq!(problems[0].key.as_deref(), Some(place), "{keys}");
        assert!(problems[0].reason.contains(part), "{}", problems[0].reason);
    }
}
