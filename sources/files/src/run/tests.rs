use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;

use crate::control::{Remote, control};

/// A running source on a directory of its own, and what it said.
struct Rig {
    root: tempfile::TempDir,
    dir: PathBuf,
    remote: Remote,
    events: Receiver<FileEvent>,
    thread: Option<JoinHandle<Result<(), Closed>>>,
}

const DEADLINE: Duration = Duration::from_secs(20);

impl Rig {
    fn new(prepare: impl FnOnce(&Path)) -> Rig {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("above/instances.d");
        fs::create_dir_all(&dir).unwrap();
        prepare(&dir);
        let (remote, control) = control().unwrap();
        let (sender, events) = sync_channel(16);
        let config = Config::new(&dir);
        let thread = std::thread::spawn(move || {
            run(config, &control, |event| {
                sender.send(event).map_err(|_| Closed)
            })
        });
        Rig {
            root,
            dir,
            remote,
            events,
            thread: Some(thread),
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.dir.join(file), text).unwrap();
    }

    fn next(&self) -> String {
        match self.events.recv_timeout(DEADLINE) {
            Ok(event) => word(event),
            Err(e) => panic!("nothing was said: {e}"),
        }
    }

    /// The words said until `last`, which must come.
    fn until(&self, last: &str) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            words.push(self.next());
            if words.last().is_some_and(|w| w.starts_with(last)) {
                return words;
            }
        }
    }

    /// Asks for a listing and returns what was said before it: nothing is left to be said then.
    fn settled(&self) -> Vec<String> {
        self.remote.refresh();
        let mut words = self.until("begin");
        words.pop();
        self.until("complete");
        words
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.remote.stop();
        // The source may be blocked in its sender: listen until it is gone.
        while self.events.recv_timeout(DEADLINE) != Err(RecvTimeoutError::Disconnected) {}
        let result = self.thread.take().unwrap().join().unwrap();
        if !std::thread::panicking() {
            assert_eq!(result, Ok(()));
        }
    }
}

fn word(event: FileEvent) -> String {
    match event {
        FileEvent::Source(SourceEvent::Put(i)) => format!("put {} {}", i.name, i.nics[0].interface),
        FileEvent::Source(SourceEvent::Gone(name)) => format!("gone {name}"),
        FileEvent::Source(SourceEvent::Begin) => "begin".into(),
        FileEvent::Source(SourceEvent::Complete) => "complete".into(),
        FileEvent::Source(SourceEvent::Dead(why)) => format!("dead {why}"),
        FileEvent::Problem(p) => format!("problem {p}"),
        FileEvent::Mended { file } => format!("mended {file}"),
        FileEvent::Overrun => "overrun".into(),
    }
}

fn text(name: &str, interface: &str) -> String {
    format!(
        "name = \"{name}\"\n[[nic]]\ninterface = \"{interface}\"\naddresses = [\"203.0.113.1\"]\n"
    )
}

#[test]
fn an_empty_directory_is_a_live_source_that_has_nothing() {
    let rig = Rig::new(|_| ());
    assert_eq!(rig.until("complete"), ["begin", "complete"]);
}

#[test]
fn files_come_change_and_go() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    assert_eq!(
        rig.until("complete"),
        ["begin", "put web1 tap0", "complete"]
    );
    rig.write("web2.toml", &text("web2", "tap1"));
    assert_eq!(rig.next(), "put web2 tap1");
    rig.write("web2.toml", &text("web2", "tap9"));
    assert_eq!(rig.next(), "put web2 tap9");
    fs::remove_file(rig.dir.join("web1.toml")).unwrap();
    assert_eq!(rig.next(), "gone web1");
    // Moved away, and back in.
    let elsewhere = rig.root.path().join("kept");
    fs::rename(rig.dir.join("web2.toml"), &elsewhere).unwrap();
    assert_eq!(rig.next(), "gone web2");
    fs::rename(&elsewhere, rig.dir.join("web2.toml")).unwrap();
    assert_eq!(rig.next(), "put web2 tap9");
    // Linked in, by either kind of link.
    fs::write(&elsewhere, text("web3", "tap3")).unwrap();
    fs::hard_link(&elsewhere, rig.dir.join("hard.toml")).unwrap();
    assert_eq!(rig.next(), "put web3 tap3");
    fs::remove_file(rig.dir.join("hard.toml")).unwrap();
    assert_eq!(rig.next(), "gone web3");
    symlink(&elsewhere, rig.dir.join("soft.toml")).unwrap();
    assert_eq!(rig.next(), "put web3 tap3");
}

#[test]
fn an_atomic_replacement_is_one_change() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    for (temp, interface) in [
        (".web1.toml.x1", "tap1"),
        ("web1.toml.tmp", "tap2"),
        ("new.toml~", "tap3"),
    ] {
        rig.write(temp, &text("web1", interface));
        fs::rename(rig.dir.join(temp), rig.dir.join("web1.toml")).unwrap();
        assert_eq!(rig.next(), format!("put web1 {interface}"));
    }
    assert_eq!(rig.settled(), [""; 0]);
}

#[test]
fn what_editors_leave_about_is_ignored() {
    let rig = Rig::new(|_| ());
    rig.until("complete");
    for name in [
        ".web1.toml.swp",
        ".#web1.toml",
        "#web1.toml#",
        "#web1.toml",
        "web1.toml~",
        "web1.toml.bak",
        "web1.toml.tmp",
        "web1.swp",
        ".web1.toml",
        "4913",
        "web1.TOML",
        "web1.conf",
        ".toml",
    ] {
        rig.write(name, &text("ghost", "tap0"));
    }
    assert_eq!(rig.settled(), [""; 0]);
    rig.write("web1.toml", &text("web1", "tap0"));
    assert_eq!(rig.next(), "put web1 tap0");
}

/// vim and emacs rename the old version to a backup name, then write the new one.
#[test]
fn an_editor_that_renames_the_old_version_away_takes_nothing_away() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    fs::rename(rig.dir.join("web1.toml"), rig.dir.join("web1.toml~")).unwrap();
    // Something else happens meanwhile, and is seen.
    rig.write("web2.toml", &text("web2", "tap2"));
    assert_eq!(rig.next(), "put web2 tap2");
    rig.write("web1.toml", &text("web1", "tap1"));
    assert_eq!(rig.next(), "put web1 tap1");
    // It never comes back: then it is gone, and no sooner, whatever is listed meanwhile.
    let before = Instant::now();
    fs::rename(rig.dir.join("web1.toml"), rig.dir.join("web1.toml.bak")).unwrap();
    rig.write("web3.toml", &text("web3", "tap3"));
    assert_eq!(rig.next(), "put web3 tap3");
    rig.remote.refresh();
    let listed = rig.until("complete");
    // On a slow machine the time may be over by now.
    let says = |word: &str| listed.iter().any(|said| said == word);
    assert!(
        says("put web1 tap1") || before.elapsed() >= BACKUP_GRACE,
        "{listed:?}"
    );
    if !says("gone web1") && says("put web1 tap1") {
        assert_eq!(rig.next(), "gone web1");
    }
    assert!(before.elapsed() >= BACKUP_GRACE);
}

#[test]
fn a_renamed_file_or_instance() {
    let rig = Rig::new(|dir| fs::write(dir.join("b.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    // Both directions of the names' order.
    fs::rename(rig.dir.join("b.toml"), rig.dir.join("c.toml")).unwrap();
    fs::rename(rig.dir.join("c.toml"), rig.dir.join("a.toml")).unwrap();
    assert_eq!(rig.settled(), [""; 0]);
    rig.write("a.toml", &text("web9", "tap0"));
    assert_eq!([rig.next(), rig.next()], ["gone web1", "put web9 tap0"]);
}

#[test]
fn a_half_written_file_is_not_read_before_it_is_closed() {
    use std::io::Write;
    let rig = Rig::new(|_| ());
    rig.until("complete");
    let mut file = fs::File::create(rig.dir.join("web1.toml")).unwrap();
    file.write_all(b"name = \"web1\"\n[[nic]]\ninter").unwrap();
    rig.write("other.toml", &text("other", "tap5"));
    assert_eq!(rig.next(), "put other tap5");
    file.write_all(b"face = \"tap0\"\n").unwrap();
    drop(file);
    assert_eq!(rig.next(), "put web1 tap0");
}

/// How systemd and others write atomically: a file without a name that is linked when it is complete.
#[test]
fn a_file_that_gets_its_name_at_the_end_is_read() {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    let rig = Rig::new(|_| ());
    rig.until("complete");
    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    let Ok(fd) = open(&rig.dir, flags, Mode::RUSR | Mode::WUSR) else {
        tapway_sys::testing::needs(false, "a file system with O_TMPFILE");
        return;
    };
    rustix::io::write(&fd, text("web1", "tap0").as_bytes()).unwrap();
    let here = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    linkat(
        CWD,
        here,
        CWD,
        rig.dir.join("web1.toml"),
        AtFlags::SYMLINK_FOLLOW,
    )
    .unwrap();
    drop(fd);
    assert_eq!(rig.next(), "put web1 tap0");
}

#[test]
fn a_broken_file_keeps_its_last_good_version() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    rig.write(
        "web1.toml",
        "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\naddresses = [\"203.0.113.1/24\"]\n",
    );
    let said = rig.next();
    let shown = format!(
        "problem {}/web1.toml:4:14: nic[0].addresses[0]: 203.0.113.1/24 has host bits set; write",
        rig.dir.display()
    );
    assert!(said.starts_with(&shown), "{said}");
    // A listing says the last good version again.
    rig.remote.refresh();
    assert_eq!(
        rig.until("complete"),
        ["begin", "put web1 tap0", "complete"]
    );
    rig.write("web1.toml", &text("web1", "tap0"));
    assert!(rig.next().starts_with("mended "));
    rig.write("web1.toml", "name = ");
    assert!(rig.next().starts_with("problem "));
    fs::remove_file(rig.dir.join("web1.toml")).unwrap();
    assert!(rig.next().starts_with("mended "));
    assert_eq!(rig.next(), "gone web1");
}

#[test]
fn a_file_of_100_mb_is_refused_unread() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    let huge = rig.root.path().join("huge");
    fs::File::create(&huge)
        .unwrap()
        .set_len(100_000_000)
        .unwrap();
    fs::rename(&huge, rig.dir.join("web1.toml")).unwrap();
    let said = rig.next();
    assert!(
        said.contains("has 100000000 bytes; at most 1048576 are read; split it"),
        "{said}"
    );
    assert_eq!(rig.settled(), [""; 0], "web1 stays");
}

#[test]
fn a_file_that_becomes_readable_is_read() {
    let rig = Rig::new(|_| ());
    rig.until("complete");
    let path = rig.dir.join("web1.toml");
    let hidden = rig.root.path().join("target");
    // A link whose target cannot be opened, as permissions do not stop root.
    symlink(&hidden, &path).unwrap();
    assert!(rig.next().contains("cannot be opened"));
    fs::write(&hidden, text("web1", "tap0")).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(rig.next().starts_with("mended"));
    fs::copy(&hidden, &path).unwrap();
    assert_eq!(rig.next(), "put web1 tap0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(rig.settled(), [""; 0]);
}

#[test]
fn a_vanished_directory_is_dead_and_withdraws_nothing() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    let away = rig.root.path().join("away");
    fs::rename(&rig.dir, &away).unwrap();
    let said = rig.next();
    assert!(
        said.starts_with("dead ") && said.contains("what it said last stays"),
        "{said}"
    );
    // Even the directory above goes and comes.
    fs::remove_dir(rig.dir.parent().unwrap()).unwrap();
    fs::create_dir(rig.dir.parent().unwrap()).unwrap();
    fs::rename(&away, &rig.dir).unwrap();
    assert_eq!(
        rig.until("complete"),
        ["begin", "put web1 tap0", "complete"]
    );
    rig.write("web2.toml", &text("web2", "tap1"));
    assert_eq!(rig.next(), "put web2 tap1");
}

#[test]
fn a_directory_that_was_never_there_may_come() {
    let rig = Rig::new(|dir| fs::remove_dir(dir).unwrap());
    assert!(rig.next().starts_with("dead "));
    fs::create_dir(&rig.dir).unwrap();
    assert_eq!(rig.until("complete"), ["begin", "complete"]);
    // A file in its place is no directory.
    fs::remove_dir(&rig.dir).unwrap();
    assert!(rig.next().starts_with("dead "));
}

#[test]
fn a_stop_reaches_a_dead_source() {
    let rig = Rig::new(|dir| fs::remove_dir_all(dir.parent().unwrap()).unwrap());
    assert!(rig.next().starts_with("dead "));
    drop(rig);
}

#[test]
fn ten_thousand_files_at_once_all_arrive() {
    let rig = Rig::new(|_| ());
    rig.until("complete");
    // Nobody listens meanwhile, so the source soon waits, and the kernel queues less than this.
    for i in 0..10_000 {
        rig.write(
            &format!("vm{i}.toml"),
            &text(&format!("vm{i}"), &format!("tap{i}")),
        );
    }
    rig.until("overrun");
    assert_eq!(rig.next(), "begin");
    let mut last = rig.until("complete");
    last.retain(|w| w.starts_with("put "));
    assert_eq!(last.len(), 10_000);
}

const MOUNTED: &str = "TAPWAY_TEST_MOUNTED";

/// Starts a test again in a mount namespace of its own, which then runs `inside`.
fn with_mounts(test: &str, inside: fn()) {
    if std::env::var_os(MOUNTED).is_some() {
        return inside();
    }
    for flags in ["-m", "-rm"] {
        let output = Command::new("unshare")
            .arg(flags)
            .arg(std::env::current_exe().unwrap())
            .arg(format!("run::tests::{test}"))
            .args(["--exact", "--nocapture"])
            .env(MOUNTED, "1")
            .output();
        let Ok(output) = output else { break };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if text.contains("running 1 test") {
            assert!(output.status.success(), "{text}");
            return;
        }
    }
    tapway_sys::testing::needs(false, "mount namespaces");
}

fn mount(dir: &Path) {
    sh("mount", &["-t", "tmpfs", "none"], dir);
}

fn sh(program: &str, arguments: &[&str], dir: &Path) {
    let done = Command::new(program).args(arguments).arg(dir).status();
    assert!(done.unwrap().success(), "{program} {arguments:?}");
}

#[test]
fn a_disk_that_is_unmounted_withdraws_nothing() {
    with_mounts(
        "a_disk_that_is_unmounted_withdraws_nothing",
        on_a_disk_that_goes_away,
    );
}

fn on_a_disk_that_goes_away() {
    let put = |dir: &Path| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap();
    let rig = Rig::new(|dir| {
        mount(dir);
        put(dir);
    });
    assert_eq!(
        rig.until("complete"),
        ["begin", "put web1 tap0", "complete"]
    );
    // What is below it is an empty directory, which alone would be a live source that has nothing.
    sh("umount", &[], &rig.dir);
    let said = rig.until("dead ");
    assert_eq!(said.len(), 1, "{said:?}");
    rig.remote.refresh();
    // Another disk, empty as well, is not the one that had files.
    mount(&rig.dir);
    rig.remote.refresh();
    put(&rig.dir);
    let said = rig.until("complete");
    let (before, last) = said.split_at(said.len() - 3);
    assert_eq!(last, ["begin", "put web1 tap0", "complete"]);
    assert!(
        before.iter().all(|word| word.starts_with("dead ")),
        "{said:?}"
    );
}

#[test]
fn a_disk_that_is_mounted_over_the_directory_is_followed() {
    with_mounts(
        "a_disk_that_is_mounted_over_the_directory_is_followed",
        under_another_disk,
    );
}

fn under_another_disk() {
    let rig = Rig::new(|dir| fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap());
    rig.until("complete");
    mount(&rig.dir);
    // Nothing happened in the directory that was there.
    let said = rig.until("dead ");
    assert_eq!(said.len(), 1, "{said:?}");
    rig.write("new", &text("web2", "tap2"));
    fs::rename(rig.dir.join("new"), rig.dir.join("web2.toml")).unwrap();
    let said = rig.until("complete");
    assert!(
        said.ends_with(&["begin", "put web2 tap2", "complete"].map(String::from)),
        "{said:?}"
    );
}

#[test]
fn a_directory_above_that_is_moved_takes_nothing_back() {
    let rig = Rig::new(|dir| {
        fs::write(dir.join("web1.toml"), text("web1", "tap0")).unwrap();
        fs::write(dir.join("web2.toml"), text("web2", "tap1")).unwrap();
    });
    rig.until("complete");
    let (above, away) = (rig.root.path().join("above"), rig.root.path().join("away"));
    fs::rename(&above, &away).unwrap();
    // What happens there now is not what the path leads to.
    fs::remove_file(away.join("instances.d/web1.toml")).unwrap();
    fs::write(away.join("instances.d/web2.toml"), text("web2", "tap7")).unwrap();
    let said = rig.until("dead ");
    assert_eq!(said.len(), 1, "{said:?}");
    fs::create_dir_all(&rig.dir).unwrap();
    fs::rename(away.join("instances.d"), &rig.dir).unwrap();
    let said = rig.until("complete");
    assert_eq!(said, ["begin", "put web2 tap7", "complete"]);
}

#[test]
fn a_link_that_is_set_to_another_directory_is_followed() {
    let rig = Rig::new(|dir| {
        let (one, other) = (dir.with_file_name("one"), dir.with_file_name("other"));
        for (dir, tap) in [(&one, "tap0"), (&other, "tap1")] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("web1.toml"), text("web1", tap)).unwrap();
        }
        fs::remove_dir(dir).unwrap();
        // Through another link, somewhere else.
        let links = dir.parent().unwrap().with_file_name("links");
        fs::create_dir(&links).unwrap();
        symlink(one, links.join("current")).unwrap();
        symlink(links.join("current"), dir).unwrap();
    });
    assert_eq!(
        rig.until("complete"),
        ["begin", "put web1 tap0", "complete"]
    );
    let current = rig.root.path().join("links/current");
    let new = rig.dir.with_file_name("new");
    symlink(rig.dir.with_file_name("other"), &new).unwrap();
    fs::rename(&new, &current).unwrap();
    let said = rig.until("complete");
    assert!(said[0].starts_with("dead "), "{said:?}");
    assert_eq!(said[said.len() - 2], "put web1 tap1");
}
