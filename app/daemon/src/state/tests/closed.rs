//! A directory that cannot be used when the daemon starts.

use super::*;

#[test]
fn what_can_be_read_is_known_and_what_comes_is_written_when_it_can_be() {
    let dir = directory();
    let state = dir.path().join("state");
    let first = filled("first");
    let opened = quiet(&state);
    keep(&opened.writer, vec![first.clone()]).unwrap();
    assert_eq!(opened.writer.close(), Ok(()));
    // The lock cannot be opened for writing, as on a read-only disk.
    let lock = state.join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();

    let (sender, news) = channel();
    let opened = open(&state, 100, move |progress| {
        let _ = sender.send(progress);
    })
    .unwrap();
    assert_eq!(opened.state, state_of(std::slice::from_ref(&first)));
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    let error = keep(&opened.writer, vec![filled("second")]).unwrap_err();
    let path = lock.display().to_string();
    for words in [
        path.as_str(),
        "cannot open the lock: Is a directory",
        "belongs to this user",
    ] {
        assert!(error.contains(words), "no {words:?} in {error}");
    }
    assert!(matches!(
        news.recv_timeout(DEADLINE),
        Ok(Progress::Failing(_))
    ));

    fs::remove_dir(&lock).unwrap();
    while news.recv_timeout(DEADLINE).unwrap() != Progress::Kept {}
    keep(&opened.writer, vec![filled("third")]).unwrap();
    assert_eq!(opened.writer.close(), Ok(()));
    let opened = quiet(&state);
    assert_eq!(
        opened.state,
        state_of(&[first, filled("second"), filled("third")])
    );
}

#[test]
fn a_directory_that_appears_later() {
    let dir = directory();
    let (parent, state) = (dir.path().join("file"), dir.path().join("file/state"));
    fs::write(&parent, "not a directory").unwrap();
    let (sender, news) = channel();
    let opened = open(&state, 100, move |progress| {
        let _ = sender.send(progress);
    })
    .unwrap();
    assert_eq!(opened.state, State::default());
    keep(&opened.writer, vec![filled("first")]).unwrap_err();
    fs::remove_file(&parent).unwrap();
    while news.recv_timeout(DEADLINE).unwrap() != Progress::Kept {}
    assert_eq!(opened.writer.close(), Ok(()));
    assert_eq!(quiet(&state).state, state_of(&[filled("first")]));
}

#[test]
fn one_that_never_does() {
    let dir = directory();
    let parent = dir.path().join("file");
    fs::write(&parent, "not a directory").unwrap();
    let opened = open(&parent.join("state"), 100, |_| {}).unwrap();
    keep(&opened.writer, vec![filled("first")]).unwrap_err();
    let error = opened.writer.close().unwrap_err();
    assert!(error.starts_with("1 records were lost: "), "{error}");
}

fn filled(name: &str) -> Record {
    Record::Peer(name.parse().unwrap(), Some(json!("z")))
}
