//! Writing TOML from JSON values, so that a test can say its configuration with `json!`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// TOML of an object: a `[table]` for each object in it, a `[table.name]` for each object of objects.
pub(crate) fn toml_text(root: &Value) -> String {
    let mut text = String::new();
    if let Value::Object(root) = root {
        table(&mut text, "", root);
    }
    text
}

fn table(text: &mut String, path: &str, entries: &Map<String, Value>) {
    let is_table = |value: &Value| path.matches('.').count() < 1 && value.is_object();
    for (key, value) in entries.iter().filter(|(_, v)| !is_table(v)) {
        let _ = writeln!(text, "{} = {}", word(key), inline(value));
    }
    for (key, value) in entries.iter().filter(|(_, v)| is_table(v)) {
        let Value::Object(inner) = value else {
            continue;
        };
        let path = match path {
            "" => word(key),
            outer => format!("{outer}.{}", word(key)),
        };
        // A table that only holds tables needs no header of its own.
        if inner.is_empty() || inner.values().any(|v| !v.is_object()) {
            let _ = writeln!(text, "\n[{path}]");
        }
        table(text, &path, inner);
    }
}

fn inline(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        // Strings of JSON are strings of TOML; TOML has no null.
        Value::Array(items) => format!("[{}]", list(items.iter().map(inline).collect())),
        Value::Object(entries) => {
            let pairs = entries
                .iter()
                .map(|(key, value)| format!("{} = {}", word(key), inline(value)));
            format!("{{ {} }}", list(pairs.collect()))
        }
        other => other.to_string(),
    }
}

fn word(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_string()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_and_values() {
        let text = toml_text(&json!({
            "router": {"asn": 64612, "listen": [], "graceful_restart": false},
            "peer": {"tor 1": {"address": "fe80::1%eth0", "next_hop": {"ipv4": "192.0.2.1"}}},
            "source": {"files": {}},
        }));
        assert_eq!(
            text,
            "
[peer.\"tor 1\"]
address = \"fe80::1%eth0\"
next_hop = { ipv4 = \"192.0.2.1\" }

[router]
asn = 64612
graceful_restart = false
listen = []

[source.files]
"
        );
    }
}
