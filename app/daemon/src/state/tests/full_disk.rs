//! A disk that is really full: a small tmpfs in a mount namespace of its own. The test starts itself
//! again in there.

use std::process::Command;

use super::*;

const DIR: &str = "TAPWAY_TEST_SMALL_DISK";
const NAME: &str = "state::tests::full_disk::a_full_disk_holds_records_back_and_loses_none";

#[test]
fn a_full_disk_holds_records_back_and_loses_none() {
    if let Some(dir) = std::env::var_os(DIR) {
        return on_the_small_disk(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size=256k none \"${DIR}\" && exec \"$@\"");
    // As root a mount namespace is enough; others get a user namespace around it.
    for flags in ["-m", "-rm"] {
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", &script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .output();
        let Ok(output) = output else { break };
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if text.contains("running 1 test") {
            assert!(output.status.success(), "{text}");
            return;
        }
    }
    tapway_sys::testing::needs(false, "mount namespaces");
}

fn filled(name: &str, size: usize) -> Record {
    Record::Peer(name.parse().unwrap(), Some(json!("z".repeat(size))))
}

fn on_the_small_disk(dir: &Path) {
    let state = dir.join("state");
    let (sender, news) = channel();
    let opened = open(&state, 4, move |progress| {
        let _ = sender.send(progress);
    })
    .unwrap();
    keep(&opened.writer, vec![filled("first", 1000)]).unwrap();
    assert_eq!(news.recv_timeout(DEADLINE), Ok(Progress::Kept));
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![0; 160 << 10]).unwrap();

    // It does not fit any more. Who waits is told at once, and so is everybody else.
    let error = keep(&opened.writer, vec![filled("second", 100_000)]).unwrap_err();
    assert!(
        error.contains("cannot be written: No space left on device"),
        "{error}"
    );
    assert!(matches!(
        news.recv_timeout(DEADLINE),
        Ok(Progress::Failing(_))
    ));
    // The queue fills up, without blocking anybody, and then gives back.
    let late = waiting(&opened.writer, vec![filled("third", 10)]);
    let mut taken = 0;
    let back = loop {
        match opened
            .writer
            .append(vec![Record::Counter(format!("c{taken}"), 1)], None)
        {
            Ok(()) => taken += 1,
            Err(full) => break full.records,
        }
        assert!(taken < 10, "the queue has no bound");
    };
    assert_eq!(back, [Record::Counter(format!("c{taken}"), 1)]);
    assert!(late.recv_timeout(DEADLINE).unwrap().is_err());
    // What was written in part is not in the file.
    let (bytes, _) = log_of(&[filled("first", 1000)]);
    assert_eq!(fs::read(log_path(&state)).unwrap(), bytes);

    // There is room again: everything arrives by itself, in order.
    fs::remove_file(&ballast).unwrap();
    while news.recv_timeout(DEADLINE).unwrap() != Progress::Kept {}
    // What was queued meanwhile may not be taken yet; when it is, there is news of it.
    let mut again = back.clone();
    while let Err(full) = opened.writer.append(again, None) {
        again = full.records;
        news.recv_timeout(DEADLINE).unwrap();
    }
    assert_eq!(opened.writer.close(), Ok(()));
    let mut expected = vec![
        filled("first", 1000),
        filled("second", 100_000),
        filled("third", 10),
    ];
    expected.extend((0..taken).map(|i| Record::Counter(format!("c{i}"), 1)));
    expected.extend(back);
    let opened = quiet(&state);
    assert_eq!(opened.state, state_of(&expected));
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);

    // Full to the end: closing gives up after one more attempt, and says what is lost.
    fs::write(&ballast, vec![0; 100 << 10]).unwrap();
    let error = keep(&opened.writer, vec![filled("fourth", 100_000)]).unwrap_err();
    assert!(error.contains("No space left"), "{error}");
    opened
        .writer
        .append(vec![Record::Counter("last".into(), 1)], None)
        .unwrap();
    let error = opened.writer.close().unwrap_err();
    assert!(
        error.starts_with("2 records were lost: ") && error.contains("No space left"),
        "{error}"
    );
    // A full disk does not keep a daemon from starting, either.
    let opened = quiet(&state);
    assert_eq!(opened.state, state_of(&expected));
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
}
