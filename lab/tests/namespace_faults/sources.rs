//! A dead source never withdraws; a broken file keeps its last good version; what the API applied and
//! what was said last outlive the daemon, and a damaged log costs only what is damaged.

use std::fs;
use std::path::PathBuf;

use tapway_api::problem::ProblemKind;
use tapway_api::source::SourceState;
use tapway_lab::wait_for;
use tapway_model::spec::{InstanceSpec, NicSpec};

use crate::bed::{Bed, SOON, instance};

const THREE: [&str; 3] = ["203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"];

fn three_guests() -> Bed {
    let bed = Bed::new();
    for n in 1..=3 {
        bed.plug(&format!("tap{n}"));
        bed.guest(&format!("tap{n}"), &[&format!("203.0.113.{n}")]);
    }
    bed.announces(&THREE);
    bed
}

fn spec(name: &str, address: &str) -> InstanceSpec {
    InstanceSpec {
        name: name.into(),
        nic: vec![NicSpec {
            interface: name.into(),
            addresses: vec![address.into()],
            ..NicSpec::default()
        }],
        claim: Vec::new(),
    }
}

/// Waits until no start-up grace runs any more and leftovers would be gone.
#[track_caller]
fn grace_is_over(bed: &Bed) {
    wait_for(SOON, "the grace is over", || {
        let status = bed.tapwayd.status();
        match status.grace_left_s {
            None => Ok(()),
            Some(_) => Err(format!("{status:?}")),
        }
    });
}

#[test]
fn a_source_that_is_gone_at_the_start_withdraws_nothing() {
    let mut bed = three_guests();
    let (here, away) = (
        bed.tapwayd.instances(),
        bed.tapwayd.state().with_extension("away"),
    );
    fs::rename(&here, &away).expect("the directory goes");
    bed.crash();
    grace_is_over(&bed);
    bed.announces(&THREE);
    bed.wired(&[
        "203.0.113.1 dev tap1",
        "203.0.113.2 dev tap2",
        "203.0.113.3 dev tap3",
    ]);
    let source = bed.source("files");
    assert_eq!(source.state, SourceState::Stale, "{source:?}");
    assert_eq!(
        (source.instances, source.stale_instances),
        (3, 3),
        "{source:?}"
    );
    assert!(
        source
            .reason
            .as_ref()
            .is_some_and(|r| r.contains("instances.d")),
        "{source:?}"
    );
    let shown = bed.tapwayd.tapway(&["source", "list"]);
    assert!(shown.out.contains("stale"), "{}", shown.out);
    assert_eq!(bed.one_problem().kind, ProblemKind::Source);
    assert_eq!(bed.tapwayd.tapway(&["status"]).code, 1);

    // It comes back with one file less: that one goes, the others stay.
    fs::remove_file(away.join("tap2.toml")).expect("a file");
    fs::rename(&away, &here).expect("the directory comes back");
    bed.announces(&[THREE[0], THREE[2]]);
    bed.wired(&["203.0.113.1 dev tap1", "203.0.113.3 dev tap3"]);
    let source = bed.source("files");
    assert_eq!(source.state, SourceState::Live, "{source:?}");
    assert_eq!(
        (source.instances, source.stale_instances),
        (2, 0),
        "{source:?}"
    );
    bed.no_problem();
    assert_eq!(bed.tapwayd.tapway(&["status"]).code, 0);
}

#[test]
fn a_source_that_dies_withdraws_nothing_until_it_is_forgotten() {
    let bed = three_guests();
    let (here, away) = (
        bed.tapwayd.instances(),
        bed.tapwayd.state().with_extension("away"),
    );
    fs::rename(&here, &away).expect("the directory goes");
    wait_for(SOON, "the source is stale", || {
        let source = bed.source("files");
        if source.state == SourceState::Stale {
            Ok(())
        } else {
            Err(format!("{source:?}"))
        }
    });
    bed.announces(&THREE);
    // An empty directory is no dead one; but this one is gone.
    let answer = bed.tapwayd.tapway(&["source", "forget", "files"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    bed.announces(&[]);
    bed.wired(&[]);
    fs::rename(&away, &here).expect("the directory comes back");
    bed.announces(&THREE);
}

#[test]
fn what_went_while_the_daemon_was_dead_is_withdrawn_after_the_grace() {
    let mut bed = three_guests();
    bed.tapwayd.kill();
    bed.tapwayd.delete("tap2");
    bed.tapwayd.restart(&bed.host);
    bed.announces(&[THREE[0], THREE[2]]);
    bed.wired(&["203.0.113.1 dev tap1", "203.0.113.3 dev tap3"]);
}

#[test]
fn a_broken_file_keeps_its_last_good_version() {
    let mut bed = three_guests();
    let broken =
        "name = \"tap1\"\n[[nic]]\ninterface = \"tap1\"\naddresses = [\"203.0.113.300\"]\n";
    bed.tapwayd.put_text("tap1", broken);
    let check = |bed: &Bed| {
        let problem = bed.one_problem();
        assert_eq!(problem.kind, ProblemKind::File);
        let place = problem.place.clone().expect("a place");
        assert_eq!(
            (place.line, place.column),
            (Some(4), Some(14)),
            "{problem:?}"
        );
        let shown = bed.tapwayd.tapway(&["problem", "list"]).out;
        assert!(shown.contains("instances.d/tap1.toml:4:14"), "{shown}");
        bed.announces(&THREE);
    };
    check(&bed);
    // The last good version outlives the daemon, too.
    bed.crash();
    grace_is_over(&bed);
    check(&bed);
    bed.wired(&[
        "203.0.113.1 dev tap1",
        "203.0.113.2 dev tap2",
        "203.0.113.3 dev tap3",
    ]);

    bed.guest("tap1", &["203.0.113.11"]);
    bed.announces(&["203.0.113.11/32", THREE[1], THREE[2]]);
    bed.no_problem();

    bed.tapwayd.put_text("tap1", broken);
    check_is_broken(&bed);
    bed.tapwayd.delete("tap1");
    bed.announces(&THREE[1..]);
    bed.no_problem();
}

fn check_is_broken(bed: &Bed) {
    assert_eq!(bed.one_problem().kind, ProblemKind::File);
    bed.announces(&["203.0.113.11/32", THREE[1], THREE[2]]);
}

#[test]
fn what_editors_leave_is_no_instance() {
    let bed = three_guests();
    for name in [
        ".tap4.toml.swp",
        "tap4.toml~",
        ".#tap4.toml",
        "#tap4.toml#",
        "tap4.toml.bak",
        "4913",
    ] {
        let text = instance("tap4", &["203.0.113.4"]);
        fs::write(bed.tapwayd.instances().join(name), text).expect("a file");
    }
    // What comes after them is seen, so they were too.
    bed.guest("tap3", &["203.0.113.33"]);
    bed.announces(&[THREE[0], THREE[1], "203.0.113.33/32"]);
    assert_eq!(bed.source("files").instances, 3);
    bed.no_problem();
}

/// Three instances of the API, known by name in the log.
fn three_of_the_api() -> Bed {
    let bed = Bed::new();
    for n in 1..=3 {
        bed.plug(&format!("api{n}"));
        bed.tapwayd
            .apply(&spec(&format!("api{n}"), &format!("203.0.113.{n}")));
    }
    bed.announces(&THREE);
    bed
}

fn log_of(bed: &Bed) -> PathBuf {
    bed.tapwayd.state().join("state.log")
}

#[test]
fn the_api_s_instances_outlive_the_daemon() {
    let mut bed = three_of_the_api();
    for _ in 0..2 {
        bed.crash();
        grace_is_over(&bed);
        bed.announces(&THREE);
    }
    let removed = bed.tapwayd.tapway(&["instance", "remove", "api2"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    bed.announces(&[THREE[0], THREE[2]]);
    bed.crash();
    grace_is_over(&bed);
    bed.announces(&[THREE[0], THREE[2]]);
    bed.no_problem();
}

/// Kills the daemon, damages its log with `damage`, starts it again, and expects that it says so and
/// that exactly `kept` is left after the grace.
fn with_damage(damage: impl FnOnce(&mut Vec<u8>), kept: &[&str]) {
    let mut bed = three_of_the_api();
    bed.tapwayd.kill();
    let mut bytes = fs::read(log_of(&bed)).expect("a log");
    damage(&mut bytes);
    fs::write(log_of(&bed), bytes).expect("a log");
    bed.tapwayd.restart(&bed.host);
    let problem = bed.one_problem();
    assert_eq!(problem.kind, ProblemKind::State, "{problem:?}");
    println!("{}", bed.tapwayd.tapway(&["problem", "list"]).out);
    bed.tapwayd.logs("state.log");
    grace_is_over(&bed);
    bed.announces(kept);
    // It goes on writing.
    bed.plug("api4");
    bed.tapwayd.apply(&spec("api4", "203.0.113.4"));
    bed.crash();
    grace_is_over(&bed);
    let mut with_the_fourth = kept.to_vec();
    with_the_fourth.push("203.0.113.4/32");
    bed.announces(&with_the_fourth);
}

fn last_of(bytes: &[u8], text: &str) -> usize {
    bytes
        .windows(text.len())
        .rposition(|w| w == text.as_bytes())
        .unwrap_or_else(|| panic!("no {text} in the log"))
}

#[test]
fn a_truncated_log_loses_its_tail_only() {
    with_damage(
        |bytes| {
            let at = last_of(bytes, "\"name\":\"api3\",\"nic\"");
            bytes.truncate(at);
        },
        &THREE[..2],
    );
}

#[test]
fn a_flipped_bit_loses_one_record_only() {
    with_damage(
        |bytes| {
            let at = last_of(bytes, "\"name\":\"api2\",\"nic\"");
            bytes[at + 10] ^= 0x10;
        },
        &[THREE[0], THREE[2]],
    );
}
