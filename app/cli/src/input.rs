//! Files with instances, peers and policies, in TOML or JSON.
//!
//! Everything is checked here already, because here the place of what is wrong is known.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use tapway_document::{Problem, parse, parse_json, read_text};
use tapway_model::PolicyName;
use tapway_model::spec::{InstanceSpec, SpecError};

use crate::failure::Failure;

/// The longest file that is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A text and what to call it in messages.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Text {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(path: &Path) -> Result<Text, Problem> {
        if path != Path::new("-") {
            return Ok(Text {
                name: path.display().to_string(),
                text: read_text(path, MAX_FILE)?,
            });
        }
        let name = "standard input".to_owned();
        let mut text = String::new();
        match std::io::stdin()
            .lock()
            .take(MAX_FILE + 1)
            .read_to_string(&mut text)
        {
            Err(error) => Err(Problem::new(name, error)),
            Ok(_) if text.len() as u64 > MAX_FILE => {
                Err(Problem::new(name, "is larger than 64 MiB")
                    .with_remedy("give it in several parts"))
            }
            Ok(_) => Ok(Text { name, text }),
        }
    }

    /// What the daemon refused, with the place in this text that it is about. `whole` makes of the key that
    /// the daemon names the one that the text has.
    pub(crate) fn locate(&self, failure: Failure, whole: impl Fn(&str) -> String) -> Failure {
        let Failure::Refused(mut refused) = failure else {
            return failure;
        };
        let place = refused.error.place.get_or_insert_default();
        let key = whole(place.key.as_deref().unwrap_or_default());
        place.file = Some(self.name.clone());
        if !self.is_json()
            && let Ok(document) = parse::<Map<String, Value>>(&self.name, &self.text)
        {
            let found = document.problem(&SpecError {
                key: key.clone(),
                reason: String::new(),
            });
            (place.line, place.column) = (found.line, found.column);
        }
        place.key = Some(key).filter(|key| !key.is_empty());
        Failure::Refused(refused)
    }

    /// JSON by its name; else by its first character, since a TOML text begins with a key, a
    /// comment, or a table like `[[nic]]`.
    fn is_json(&self) -> bool {
        match Path::new(&self.name).extension().and_then(|e| e.to_str()) {
            Some("json") => return true,
            Some("toml") => return false,
            _ => {}
        }
        let mut start = self.text.chars().filter(|c| !c.is_whitespace());
        match start.next() {
            Some('{') => true,
            Some('[') => matches!(start.next(), Some('{' | ']') | None),
            _ => false,
        }
    }
}

/// The instances in these files and directories, all checked, each name once.
///
/// # Errors
/// Everything that is wrong, not only the first.
pub(crate) fn instances(paths: &[PathBuf]) -> Result<Vec<InstanceSpec>, Failure> {
    let mut problems = Vec::new();
    let mut all: Vec<InstanceSpec> = Vec::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for path in files(paths)? {
        match Text::read(&path).and_then(|text| Ok((instances_of(&text)?, text.name))) {
            Ok((specs, file)) => {
                for spec in specs {
                    if let Some(other) = names.insert(spec.name.clone(), file.clone()) {
                        let reason = format!("the instance {} is in {other} already", spec.name);
                        problems.push(
                            Problem::new(&file, reason)
                                .with_remedy("give every instance its own name"),
                        );
                    }
                    all.push(spec);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(Failure::Inputs(problems))
    }
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let failed = |error| Problem::new(path.display().to_string(), error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let hidden = file
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let known = file.extension().is_some_and(|e| e == "toml" || e == "json");
            if known && !hidden {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(Problem::new(
                path.display().to_string(),
                "this directory has no .toml or .json file",
            ));
        }
        found.sort();
        all.extend(found);
    }
    Ok(all)
}

/// `[[instance]]` tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    instance: Vec<InstanceSpec>,
}

fn instances_of(text: &Text) -> Result<Vec<InstanceSpec>, Problem> {
    if text.is_json() {
        let bytes = text.text.as_bytes();
        let (specs, many) = if text.text.trim_start().starts_with('[') {
            (parse_json::<Vec<InstanceSpec>>(&text.name, bytes)?, true)
        } else {
            (vec![parse_json(&text.name, bytes)?], false)
        };
        check(&specs, |i, error| {
            let at = if many {
                format!("[{i}].")
            } else {
                String::new()
            };
            Problem::new(&text.name, error.reason).key(format!("{at}{}", error.key))
        })?;
        return Ok(specs);
    }
    let has_many = |line: &str| line.trim_start().starts_with("[[instance]]");
    if text.text.lines().any(has_many) {
        let document = parse::<Many>(&text.name, &text.text)?;
        check(&document.value.instance, |i, error| {
            document.problem(&SpecError {
                key: format!("instance[{i}].{}", error.key),
                reason: error.reason,
            })
        })?;
        return Ok(document.value.instance);
    }
    let document = parse::<InstanceSpec>(&text.name, &text.text)?;
    check(std::slice::from_ref(&document.value), |_, error| {
        document.problem(&error)
    })?;
    Ok(vec![document.value])
}

fn check(
    specs: &[InstanceSpec],
    problem: impl Fn(usize, SpecError) -> Problem,
) -> Result<(), Problem> {
    for (i, spec) in specs.iter().enumerate() {
        spec.parse().map_err(|error| problem(i, error))?;
    }
    Ok(())
}

/// The named objects in a text: `[peer.NAME]` tables for the kind `peer`, or, when a name is given,
/// the keys of that one.
///
/// # Errors
/// When it is neither TOML nor JSON, or holds anything else.
pub(crate) fn objects(
    text: &Text,
    kind: &str,
    name: Option<&str>,
) -> Result<Vec<(String, Value)>, Problem> {
    let mut keys: Map<String, Value> = if text.is_json() {
        parse_json(&text.name, text.text.as_bytes())?
    } else {
        parse(&text.name, &text.text)?.value
    };
    let tables = keys.remove(kind);
    if let Some(name) = name {
        if tables.is_some() {
            return Err(Problem::new(
                &text.name,
                format!("holds a key \"{kind}\", so it is not the keys of one {kind}"),
            )
            .with_remedy(format!(
                "leave the name {name} out of the command to apply [{kind}.NAME] tables"
            )));
        }
        return Ok(vec![(name.to_owned(), Value::Object(keys))]);
    }
    if let Some(key) = keys.keys().next() {
        return Err(
            Problem::new(&text.name, format!("only [{kind}.NAME] tables can be here"))
                .key(key)
                .with_remedy(format!(
                    "remove it, or name the {kind} in the command if these are its keys"
                )),
        );
    }
    match tables {
        Some(Value::Object(tables)) if !tables.is_empty() => Ok(tables.into_iter().collect()),
        _ => Err(Problem::new(
            &text.name,
            format!("there is no [{kind}.NAME] table in it"),
        )),
    }
}

/// Policies in an order in which they can be applied one by one: those that are called before those that
/// call them. Between those that call each other, which the daemon refuses, any order.
pub(crate) fn called_first(mut policies: Vec<(String, Value)>) -> Vec<(String, Value)> {
    fn place(name: &str, left: &mut Vec<(String, Value)>, placed: &mut Vec<(String, Value)>) {
        let Some(at) = left.iter().position(|(n, _)| n == name) else {
            return;
        };
        let policy = left.remove(at);
        let rules = policy.1.get("rules").and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            if let Some(called) = rule.get("call").and_then(Value::as_str) {
                place(called, left, placed);
            }
        }
        placed.push(policy);
    }
    let mut placed = Vec::with_capacity(policies.len());
    while let Some((name, _)) = policies.first() {
        let name = name.clone();
        place(&name, &mut policies, &mut placed);
    }
    placed
}

/// The `[policy.NAME]` tables in a text that may hold anything else besides, like the daemon's
/// configuration.
///
/// # Errors
/// When it is neither TOML nor JSON, or has no such table.
pub(crate) fn policies(text: &Text) -> Result<BTreeMap<PolicyName, Value>, Problem> {
    let mut keys: Map<String, Value> = if text.is_json() {
        parse_json(&text.name, text.text.as_bytes())?
    } else {
        parse(&text.name, &text.text)?.value
    };
    let tables = match keys.remove("policy") {
        Some(Value::Object(tables)) if !tables.is_empty() => tables,
        _ => {
            return Err(Problem::new(
                &text.name,
                "there is no [policy.NAME] table in it",
            ));
        }
    };
    let named = tables.into_iter().map(|(name, value)| {
        let name = PolicyName::new(&name)
            .map_err(|error| Problem::new(&text.name, error).key(format!("policy.{name}")))?;
        Ok((name, value))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
