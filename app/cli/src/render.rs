//! Answers as text for people. Every function here is pure; its output is compared with the texts
//! in `testdata`.

pub(crate) mod announcement;
pub(crate) mod bmp;
pub(crate) mod config;
pub(crate) mod conflict;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod instance;
pub(crate) mod kernel;
pub(crate) mod peer;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod problem;
pub(crate) mod route;
pub(crate) mod rpki;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod write;

use serde::Serialize;
use serde_json::Value;

use crate::human::count;
use crate::style::{Style, Tone};

/// An enum's value as the API writes it.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Says under a list that it is only a part.
fn footer(shown: usize, total: u64, style: Style) -> String {
    if shown as u64 >= total {
        return String::new();
    }
    let text = format!(
        "{} of {} shown; --limit and --offset show others",
        count(shown as u64),
        count(total)
    );
    format!("{}\n", style.paint(Tone::Dim, &text))
}

/// A remedy on a line of its own.
fn remedy(indent: &str, text: &str, style: Style) -> String {
    format!(
        "{indent}{}\n",
        style.paint(Tone::Strong, &format!("→ {text}"))
    )
}

/// A JSON value as `key = value` lines in the manner of TOML, nested keys joined by dots.
fn settings(indent: &str, value: &Value) -> String {
    fn walk(indent: &str, path: &str, value: &Value, out: &mut String) {
        match value {
            Value::Object(keys) if !keys.is_empty() => {
                for (key, value) in keys {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(indent, &format!("{path}{dot}{key}"), value, out);
                }
            }
            Value::Null => {}
            value => out.push_str(&format!("{indent}{path} = {}\n", inline(value))),
        }
    }
    fn inline(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(inline).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(keys) if !keys.is_empty() => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{key} = {}", inline(value)))
                    .collect();
                format!("{{ {} }}", keys.join(", "))
            }
            value => value.to_string(),
        }
    }
    let mut out = String::new();
    walk(indent, "", value, &mut out);
    out
}

#[cfg(test)]
pub(crate) mod tests;
