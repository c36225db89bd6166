//! Password files that everybody can read: refused, with what to do, and nothing else is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use tapway_api::peer::PeerDetail;
use tapway_api::problem::ProblemKind;
use tapway_lab::wait_for;
use tempfile::TempDir;

use crate::bed::{Bed, SOON};
use crate::config::check;

#[test]
fn a_password_that_all_can_read() {
    let bed = Bed::new();
    let key = bed.tapwayd.state().with_extension("key");
    fs::write(&key, "hunter2\n").expect("a file");
    let config = format!(
        "[router]\nasn = 64612\n[peer.tor]\naddress = \"192.0.2.1\"\nasn = 65000\npassword_file = \"{}\"\n[source.files]\npath = \"{}\"\n",
        key.display(),
        bed.tapwayd.instances().display()
    );
    for (mode, good) in [(0o644, false), (0o604, false), (0o600, true), (0o640, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("a mode");
        let (code, text) = check(&bed, &config);
        assert_eq!(code, i32::from(!good), "{mode:o}: {text}");
        if !good {
            println!("{text}");
            assert!(
                text.contains(&format!("chmod 600 {}", key.display())),
                "{text}"
            );
            assert!(text.contains("FILE:6:"), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A host and a router with the password `hunter2`, which the host has from a file, and a session.
fn guarded() -> (Bed, TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("tor.key");
    fs::write(&key, "hunter2\n").expect("a file");
    mode(&key, 0o600);
    let bed = Bed::prepared(json!({"peer": {"tor": {"password_file": key}}}), &[]);
    router_has(&bed, "hunter2");
    bed.tapwayd.wait_established(SOON);
    (bed, folder, key)
}

fn router_has(bed: &Bed, password: &str) {
    bed.router.configure(json!({
        "router": {"asn": 65000, "router_id": "192.0.2.1"},
        "peer": {"host": {
            "address": "198.51.100.1", "asn": 64612, "import": "all", "passive": true, "password": password
        }},
    }));
    let read = bed.router.tapway(&["config", "reload"]);
    assert_eq!(read.code, 0, "{read:?}");
}

/// How often the session with the router was up, when it is up.
#[track_caller]
fn established_count(bed: &Bed) -> Option<u64> {
    let peer: PeerDetail = bed.tapwayd.json(&["peer", "show", "tor"]);
    peer.session.map(|s| s.established_count)
}

/// What is said of the file.
fn reason(key: &Path) -> String {
    format!(
        "{0}: holds a secret, but has mode 0644: everybody on this machine can read or change it; run: chmod 600 {0}",
        key.display()
    )
}

#[test]
fn read_again_with_an_open_password_nothing_changes() {
    let (mut bed, _folder, key) = guarded();
    bed.plug("tap0");
    fs::write(&key, "other\n").expect("a file");
    mode(&key, 0o644);
    let line = fs::read_to_string(bed.tapwayd.config_file())
        .expect("a file")
        .lines()
        .position(|line| line.starts_with("password_file"))
        .expect("the key is there");
    let place = format!("{}:{}:", bed.tapwayd.config_file().display(), line + 1);

    let read = bed.tapwayd.tapway(&["config", "reload"]);
    assert_eq!(read.code, 1, "{read:?}");
    let said = format!("{}{}", read.out, read.err);
    println!("{said}");
    for word in [place.as_str(), "peer.tor.password_file", &reason(&key)] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    bed.tapwayd.process().expect("it runs").signal(Signal::HUP);
    bed.tapwayd
        .logs(&format!("{}; nothing was changed", reason(&key)));
    let log = bed.tapwayd.log();
    let told = log.lines().find(|line| line.contains("config.refused"));
    assert!(told.is_some_and(|line| line.contains(&place)), "{log}");
    let problem = bed.one_problem();
    assert_eq!(problem.kind, ProblemKind::Config);

    // All goes on as it was.
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    assert_eq!(established_count(&bed), Some(1));

    // Mended, it counts.
    mode(&key, 0o600);
    let read = bed.tapwayd.tapway(&["config", "reload"]);
    assert_eq!(read.code, 0, "{read:?}");
    bed.no_problem();
    router_has(&bed, "other");
    wait_for(
        SOON,
        "a session with the other password",
        || match established_count(&bed) {
            Some(2..) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    bed.announces(&["203.0.113.1/32"]);
    assert!(!bed.tapwayd.log().contains("hunter2"));
}

#[test]
fn started_with_an_open_password_it_ends_and_says_why() {
    let (mut bed, _folder, key) = guarded();
    bed.tapwayd.kill();
    mode(&key, 0o644);
    bed.tapwayd.launch(&bed.host);
    let status = bed.tapwayd.process().expect("started").wait(SOON);
    assert_eq!(status.code(), Some(1));
    bed.tapwayd.logs(&reason(&key));
    mode(&key, 0o600);
    bed.tapwayd.restart(&bed.host);
    bed.tapwayd.wait_established(SOON);
}

#[test]
fn applied_with_an_open_password_a_peer_stays_as_it_is() {
    let (mut bed, folder, _key) = guarded();
    let key = folder.path().join("late.key");
    fs::write(&key, "hunter3\n").expect("a file");
    mode(&key, 0o644);
    let file = folder.path().join("peer.json");
    let text = json!({"address": "198.51.100.9", "asn": 65009, "multihop": 2, "passive": true, "password_file": key});
    fs::write(&file, text.to_string()).expect("a file");
    let path = file.to_string_lossy().into_owned();
    let apply = |bed: &Bed| bed.tapwayd.tapway(&["peer", "apply", "-f", &path, "late"]);
    let known = |bed: &Bed| {
        bed.tapwayd
            .peers()
            .iter()
            .any(|p| p.name.as_str() == "late")
    };

    let refused = apply(&bed);
    println!("{}", refused.err);
    assert_ne!(refused.code, 0, "{refused:?}");
    for word in ["password_file", &reason(&key)] {
        assert!(refused.err.contains(word), "no {word} in {refused:?}");
    }
    assert!(!known(&bed));
    mode(&key, 0o600);
    assert_eq!(apply(&bed).code, 0);
    assert!(known(&bed));

    // Again, with another password in a file that is open by now: refused, and the peer keeps what it has.
    mode(&key, 0o644);
    let before: Value = bed.tapwayd.json(&["peer", "show", "late"]);
    let refused = apply(&bed);
    assert!(refused.err.contains(&reason(&key)), "{refused:?}");
    let after: Value = bed.tapwayd.json(&["peer", "show", "late"]);
    assert_eq!(before["config"]["password"], "***");
    assert_eq!(before["config"], after["config"]);

    // A restart finds it open: this peer rests, with the reason, and all others run.
    bed.crash();
    bed.tapwayd.wait_established(SOON);
    assert!(!known(&bed));
    let problem = bed.one_problem();
    println!("{problem:?}");
    assert_eq!(problem.subject, "peer late");
    assert!(problem.message.contains(&reason(&key)), "{problem:?}");
    assert!(problem.remedy.is_some_and(|r| r.contains("apply it again")));
    mode(&key, 0o600);
    assert_eq!(apply(&bed).code, 0);
    assert!(known(&bed));
    bed.no_problem();

    // Or it is removed, as the problem says.
    mode(&key, 0o644);
    bed.crash();
    bed.tapwayd.wait_established(SOON);
    bed.one_problem();
    let removed = bed.tapwayd.tapway(&["peer", "remove", "late"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    bed.no_problem();
    bed.crash();
    bed.tapwayd.wait_established(SOON);
    bed.no_problem();
}
