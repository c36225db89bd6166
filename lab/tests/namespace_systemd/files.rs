//! The daemon's files under the unit: where they are, and who may read them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tapway_lab::wait_for;

use crate::bed::{Bed, CONFIG};
use crate::machine::{Machine, SOON};

fn mode(path: &Path) -> String {
    let metadata = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    format!("{:o}", metadata.permissions().mode() & 0o7777)
}

/// The modes of files, not folders, in one of the machine's folders; sockets by themselves.
fn modes(machine: &Machine, folder: &str) -> (Vec<String>, Vec<String>) {
    let (mut files, mut sockets) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(machine.path(folder)).expect("a folder") {
        let path = entry.expect("a file").path();
        match path.metadata().expect("a file").file_type() {
            t if t.is_socket() => sockets.push(mode(&path)),
            t if t.is_file() => files.push(mode(&path)),
            _ => {}
        }
    }
    (files, sockets)
}

/// State, with passwords in it, is for root alone; whoever is in the socket's group may ask the daemon.
#[test]
fn each_folder_is_there_and_open_to_those_it_is_for() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    machine.do_systemctl("start tapwayd");
    bed.announced();
    for (folder, want) in [
        ("var/lib/tapway", "700"),
        ("run/tapway", "755"),
        ("var/log/tapway", "750"),
    ] {
        assert_eq!(mode(&machine.path(folder)), want, "{folder}");
    }
    let (state, _) = modes(&machine, "var/lib/tapway");
    assert!(
        !state.is_empty() && state.iter().all(|m| m == "600"),
        "{state:?}"
    );
    let (locks, sockets) = modes(&machine, "run/tapway");
    assert_eq!(sockets, ["660"]);
    assert!(
        !locks.is_empty() && locks.iter().all(|m| m == "600"),
        "{locks:?}"
    );
}

/// What the daemon is told to write is where it was told to, or an error with a remedy.
#[test]
fn mrt_files_are_where_they_were_wanted_or_nowhere() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    let config = CONFIG.to_string()
        + "[mrt]\nfile = \"/var/log/tapway/updates.%Y%m%d.%H%M.mrt\"\nsent = true\n";
    machine.write("etc/tapway/tapway.toml", &config);
    machine.boot();
    machine.do_systemctl("start tapwayd");
    bed.announced();
    for file in ["var/log/tapway/rib.mrt", "var/lib/tapway/rib.mrt"] {
        let said = machine.tapway(&["mrt", "dump", &format!("/{file}")]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(
            machine.path(file).metadata().is_ok_and(|m| m.len() > 0),
            "{file}: {said:?}"
        );
    }
    wait_for(SOON, "messages are recorded", || {
        let files = fs::read_dir(machine.path("var/log/tapway")).expect("a folder");
        let mut names = files.map(|f| {
            f.expect("a file")
                .file_name()
                .into_string()
                .unwrap_or_default()
        });
        if names.any(|n| n.starts_with("updates.")) {
            Ok(())
        } else {
            Err(machine.journal(Some("tapwayd")))
        }
    });
    for file in ["/var/tmp/rib.mrt", "/tmp/rib.mrt", "/etc/tapway/rib.mrt"] {
        let said = machine.tapway(&["mrt", "dump", file]);
        assert_ne!(said.code, Some(0), "{file}: {said:?}");
        assert!(
            said.err.contains("/var/log/tapway") && said.err.contains("ReadWritePaths"),
            "{said:?}"
        );
    }
}
