//! A state directory that cannot be written.

use std::fs;

use tapway_api::doctor::CheckStatus;
use tapway_api::problem::ProblemKind;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON, instance};

#[test]
fn it_starts_without_a_state_directory_and_keeps_all_once_there_is_one() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    bed.plug("tap1");
    bed.tapwayd.stop();
    let state = bed.tapwayd.state();
    fs::remove_dir_all(&state).expect("a state directory");
    fs::write(&state, "in the way").expect("a file in its place");
    bed.tapwayd.restart(&bed.host);

    // Wired and announced; an apply is in effect, and answered with what is wrong.
    bed.guest("tap0", &["203.0.113.1"]);
    let spec = bed.tapwayd.config_file().with_file_name("spec.toml");
    fs::write(&spec, instance("tap1", &["203.0.113.2"])).expect("a file");
    let applied = bed
        .tapwayd
        .tapway(&["instance", "apply", "-f", &spec.to_string_lossy()]);
    assert_eq!(applied.code, 1, "{applied:?}");
    for words in [
        "it is in effect, but a restart may forget it",
        &*state.to_string_lossy(),
        "File exists",
        "make the state directory writable",
    ] {
        assert!(applied.err.contains(words), "no {words:?} in {applied:?}");
    }
    bed.announces(&["203.0.113.1/32", "203.0.113.2/32"]);
    assert_eq!(bed.one_problem().kind, ProblemKind::State);
    bed.tapwayd.logs("nothing is kept across restarts: ");
    let status = bed.tapwayd.status();
    assert!(!status.healthy);
    let concerned = |c: &String| c.starts_with("nothing is kept across restarts: ");
    assert!(status.concerns.iter().any(concerned), "{status:?}");
    let state_check = |bed: &Bed| bed.check("state").status;
    assert_eq!(state_check(&bed), CheckStatus::Failed);

    // It takes the directory up by itself.
    fs::remove_file(&state).expect("the file in its place");
    bed.no_problem();
    bed.tapwayd.logs("state is kept again");
    assert_eq!(state_check(&bed), CheckStatus::Ok);
    wait_for(SOON, "healthy", || {
        let status = bed.tapwayd.status();
        if status.healthy {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
    bed.tapwayd.delete("tap0");
    bed.announces(&["203.0.113.2/32"]);
    bed.crash();
    bed.announces(&["203.0.113.2/32"]);
    bed.wired(&["203.0.113.2 dev tap1"]);
}
