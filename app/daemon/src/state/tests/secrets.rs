//! Passwords of peers: not longer on the disk than the peers, and for nobody else to read.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn peer(name: &str, password: Option<&str>) -> Record {
    let value = password.map(|password| json!({"asn": 65000, "password": password}));
    Record::Peer(name.parse().unwrap(), value)
}

fn holds(dir: &Path, text: &str) -> bool {
    let bytes = fs::read(log_path(dir)).unwrap();
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

/// The thread answers before it tidies up; what is queued behind finds it done.
fn keep_and_tidy(writer: &Writer, record: Record) {
    keep(writer, vec![record]).unwrap();
    keep(writer, vec![Record::Counter("after".into(), 1)]).unwrap();
}

#[test]
fn a_password_goes_with_its_peer_and_with_the_next_one() {
    let dir = directory();
    let opened = quiet(dir.path());
    let writer = &opened.writer;
    keep_and_tidy(writer, peer("tor1", Some("first-s3cret")));
    keep_and_tidy(writer, peer("tor2", Some("second-s3cret")));
    assert!(holds(dir.path(), "first-s3cret") && holds(dir.path(), "second-s3cret"));
    keep_and_tidy(writer, peer("tor1", Some("third-s3cret")));
    assert!(!holds(dir.path(), "first-s3cret"));
    assert!(holds(dir.path(), "third-s3cret") && holds(dir.path(), "second-s3cret"));
    keep_and_tidy(writer, peer("tor1", None));
    keep_and_tidy(writer, peer("tor2", None));
    assert!(!holds(dir.path(), "s3cret"));
    assert_eq!(opened.writer.close(), Ok(()));
    assert_eq!(quiet(dir.path()).state.peers.len(), 0);
}

#[test]
fn one_that_an_earlier_run_left_goes_at_the_start() {
    let dir = directory();
    let (bytes, _) = log_of(&[peer("tor1", Some("s3cret")), peer("tor1", None)]);
    fs::write(log_path(dir.path()), bytes).unwrap();
    let opened = quiet(dir.path());
    keep_and_tidy(&opened.writer, Record::Counter("c".into(), 1));
    assert!(!holds(dir.path(), "s3cret"));
}

#[test]
fn nobody_else_can_read_the_log() {
    let dir = directory();
    let mode = || {
        fs::metadata(log_path(dir.path()))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(quiet(dir.path()).writer.close(), Ok(()));
    assert_eq!(mode(), 0o600);
    fs::set_permissions(log_path(dir.path()), fs::Permissions::from_mode(0o644)).unwrap();
    let opened = quiet(dir.path());
    assert_eq!(mode(), 0o600);
    keep_and_tidy(&opened.writer, peer("tor1", Some("s3cret")));
    keep_and_tidy(&opened.writer, peer("tor1", None));
    assert_eq!(mode(), 0o600);
}
