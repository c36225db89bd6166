//! What differs between two configurations, in words: what a reload takes over, and what only a restart does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde_json::Value;
use tapway_api::config::Checked;

use crate::config::Config;

/// Notes all that is different in `new`.
pub(super) fn compare(old: &Config, new: &Config, checked: &mut Checked) {
    router(old, new, &mut checked.changes);
    let lines = &mut checked.changes;
    named("peer", by_key(&old.peers), by_key(&new.peers), lines);
    let networks = |c: &'_ Config| c.networks.clone().into_iter().map(|n| (n.name.clone(), n));
    named(
        "network",
        networks(old).collect(),
        networks(new).collect(),
        lines,
    );
    let policies = |c: &'_ Config| c.policies.clone().into_iter().map(|p| (p.name.clone(), p));
    named(
        "policy",
        policies(old).collect(),
        policies(new).collect(),
        lines,
    );
    named("rpki", by_key(&old.caches), by_key(&new.caches), lines);
    named(
        "bmp",
        by_key(&old.collectors),
        by_key(&new.collectors),
        lines,
    );
    match (&old.mrt, &new.mrt) {
        (None, Some(_)) => lines.push("mrt: new".to_owned()),
        (Some(_), None) => lines.push("mrt: gone".to_owned()),
        (old, new) if old != new => lines.push("mrt: changed".to_owned()),
        _ => {}
    }
    needs_restart(old, new, &mut checked.needs_restart);
}

fn by_key<N: Clone + Ord, T: Clone>(all: &BTreeMap<N, T>) -> BTreeMap<N, T> {
    all.clone()
}

/// Sections of one kind, by their names.
pub(super) fn named<N: Ord + Display, T: PartialEq>(
    kind: &str,
    old: BTreeMap<N, T>,
    new: BTreeMap<N, T>,
    lines: &mut Vec<String>,
) {
    for (name, value) in &new {
        match old.get(name) {
            None => lines.push(format!("{kind} {name}: new")),
            Some(was) if was != value => lines.push(format!("{kind} {name}: changed")),
            Some(_) => {}
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(name)) {
        lines.push(format!("{kind} {name}: gone"));
    }
}

/// What is different under `[router]`, key by key; what only a restart changes is told elsewhere.
fn router(old: &Config, new: &Config, lines: &mut Vec<String>) {
    let (old, new) = (old.router.value(), new.router.value());
    let keys = |of: &Value| -> BTreeSet<String> {
        let keys = of.as_object().map(|keys| keys.keys().cloned().collect());
        keys.unwrap_or_default()
    };
    for key in keys(&old).union(&keys(&new)) {
        if key == "protocol" || old.get(key) == new.get(key) {
            continue;
        }
        let how = match (old.get(key), new.get(key)) {
            // Only two may be absent, and have a value all the same.
            (Some(_), None) if key == "router_id" => {
                "gone; the one in use stays, also over restarts".to_owned()
            }
            (Some(_), None) => "gone; it is the router id now".to_owned(),
            (Some(old), Some(new)) => format!("{old} becomes {new}"),
            (_, Some(new)) => format!("{new} now"),
            (None, None) => continue,
        };
        lines.push(format!("router {key}: {how}"));
    }
}

fn needs_restart(old: &Config, new: &Config, lines: &mut Vec<String>) {
    let mut say = |differs: bool, what: &str| {
        if differs {
            lines.push(what.to_owned());
        }
    };
    say(
        old.router.protocol != new.router.protocol,
        "[router] protocol changed: what is in the kernel carries the number of the start",
    );
    say(
        old.state_dir != new.state_dir,
        "[router] state_dir changed: the state of this run is in the other one",
    );
    say(
        old.source_files != new.source_files,
        "[source.files] changed: its directory is watched since the start",
    );
    say(
        old.api_grace != new.api_grace,
        "[source.api] changed: its grace began with the start",
    );
    say(
        old.api != new.api,
        "[api] changed: its socket and address are those of the start",
    );
}
