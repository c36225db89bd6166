//! Looking at the directory and its files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tapway_document::{Problem, read_text};

use crate::config::FILE_LIMIT;
use crate::parse::{name_place, parse, probable_name};
use crate::shelf::Reading;

/// Whether a file of this name counts.
pub(crate) fn counts(name: &str) -> bool {
    // `.toml` alone is a hidden file. Backups (`~`, `.bak`, `.swp`, `.tmp`) end otherwise.
    name.ends_with(".toml") && !name.starts_with(['.', '#'])
}

/// Every file that counts, read, in order of the names.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<(String, Reading)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if counts(&name) {
            names.push(name.into_owned());
        }
    }
    names.sort_unstable();
    let mut readings = read_all(directory, names);
    // One that went away meanwhile.
    readings.retain(|(_, reading)| !matches!(reading, Reading::Absent));
    Ok(readings)
}

/// Below this, a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1000;

fn read_all(directory: &Path, mut names: Vec<String>) -> Vec<(String, Reading)> {
    let read = |names: Vec<String>| -> Vec<(String, Reading)> {
        names
            .into_iter()
            .map(|name| {
                let reading = look(directory, &name);
                (name, reading)
            })
            .collect()
    };
    if names.len() < WORTH_A_THREAD {
        return read(names);
    }
    let rest = names.split_off(names.len() / 2);
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new()
            .name("files-list".into())
            .spawn_scoped(scope, || read(rest.clone()));
        let mut all = read(names);
        match other.map(|handle| handle.join()) {
            Ok(Ok(second)) => all.extend(second),
            // No thread to be had: then one after the other.
            _ => all.extend(read(rest.clone())),
        }
        all
    })
}

/// Reads one file.
pub(crate) fn look(directory: &Path, name: &str) -> Reading {
    let path = directory.join(name);
    let shown = path.display().to_string();
    let text = match read_text(&path, FILE_LIMIT) {
        Ok(text) => text,
        Err(problem) => {
            return match path.symlink_metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Reading::Absent,
                _ => Reading::Bad(problem, probable_name(name, None)),
            };
        }
    };
    match parse(&shown, &text) {
        Ok(instance) => Reading::Good(Arc::new(instance), name_place(&text)),
        Err(problem) => Reading::Bad(problem, probable_name(name, Some(&text))),
    }
}

/// Why the directory cannot be listed.
pub(crate) fn dead(directory: &Path, error: &io::Error) -> String {
    let what = Problem::new(
        directory.display().to_string(),
        format!("cannot be watched: {error}"),
    );
    format!("{what}; what it said last stays")
}
