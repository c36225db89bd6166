//! Every rendering of the answers in `testdata/*.json` against `testdata/*.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tapway-cli` writes the texts anew; read the difference before committing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::style::Style;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Compares a text with what is kept, or keeps it.
pub(crate) fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
        return;
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        text,
        kept,
        "{}: run UPDATE_GOLDEN=1 cargo test -p tapway-cli if the new text is right",
        path.display()
    );
}

/// Reads an answer, checks that reading it lost nothing, renders it.
fn case<T: Serialize + DeserializeOwned>(name: &str, render: fn(&T, Style) -> String) {
    let json = fs::read(testdata().join(format!("{name}.json"))).unwrap();
    let value: T = serde_json::from_slice(&json).unwrap_or_else(|e| panic!("{name}: {e}"));
    let whole: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), whole, "{name}");
    let text = render(&value, Style::PLAIN);
    assert!(text.ends_with('\n'), "{name}");
    for line in text.lines() {
        assert_eq!(
            line,
            line.trim_end(),
            "{name}: a space at the end of a line"
        );
    }
    golden(&testdata().join(format!("{name}.txt")), &text);
}

#[test]
fn answers_read_well() {
    case("status", status::render);
    case("status-unhealthy", status::render);
    case("instance-list", instance::list);
    case("instance-show", instance::show);
    case("peer-list", peer::list);
    case("peer-show", peer::show);
    case("peer-show-down", peer::show);
    case("policy-list", policy::list);
    case("policy-show", policy::show);
    case("policy-test", policy::tested);
    case("policy-test-rules", policy::tested_with_rules);
    case("route-list", route::list);
    case("rpki-caches", rpki::caches);
    case("bmp-list", bmp::list);
    case("bmp-show", bmp::show);
    case("rpki-state", rpki::answer);
    case("rpki-vrps", rpki::answer);
    case("announcement-list", announcement::list);
    case("conflict-list", conflict::list);
    case("problem-list", problem::list);
    case("source-list", source::list);
    case("kernel-list", kernel::list);
    case("plan", plan::render);
    case("plan-empty", plan::render);
    case("explain-ok", explain::render);
    case("explain-broken", explain::render);
    case("doctor", doctor::render);
    case("doctor-ok", doctor::render);
    case("event", event::line);
    case("config-show", config::show);
    case("config-check", config::checked);
    case("config-reload", config::checked);
    case("applied", write::applied);
    case("done", write::done);
}

#[test]
fn empty_lists_say_so() {
    fn empty<T>(render: fn(&tapway_api::List<T>, Style) -> String) -> String {
        render(&tapway_api::List::whole(Vec::new()), Style::PLAIN)
    }
    for text in [
        empty(instance::list),
        empty(peer::list),
        empty(policy::list),
        empty(route::list),
        empty(rpki::caches),
        empty(bmp::list),
        empty(announcement::list),
        empty(conflict::list),
        empty(problem::list),
        empty(source::list),
        empty(kernel::list),
    ] {
        assert!(text.starts_with("No"), "{text}");
        assert!(text.ends_with(".\n"), "{text}");
    }
}

#[test]
fn many_applied_objects_are_counted() {
    use tapway_api::write::{Applied, AppliedItem, Outcome};
    let mut all = Applied::default();
    for i in 0..1000 {
        all.items.push(AppliedItem {
            name: format!("web{i}"),
            outcome: Outcome::Created,
            notes: Vec::new(),
        });
    }
    all.items[7].notes.push("the file wins".to_owned());
    assert_eq!(
        write::applied(&all, Style::PLAIN),
        "web7 created\n  ! the file wins\n1,000 objects applied\n"
    );
}
