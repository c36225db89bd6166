//! Files of records: names, rotation, sizes, and disks that take nothing.

use rustix::fs::FileType;
use tapway_bgp::{ConnInfo, State};
use tapway_model::{Instant, PeerName};

use super::*;
use crate::mrt::Template;

/// Far beyond what anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of the record of [`change`].
const RECORD: u64 = 16 + 20 + 4;

fn at(seconds: u64) -> Time {
    Time {
        now: Instant::ZERO,
        unix: Duration::from_secs(seconds),
    }
}

fn change() -> Report {
    Report::State {
        peer: PeerName::new("tor1").unwrap(),
        asn: Some(65001),
        local_asn: 65000,
        ends: Some(ConnInfo {
            local: "192.0.2.1:179".parse().unwrap(),
            remote: "192.0.2.2:40000".parse().unwrap(),
            ifindex: 0,
        }),
        from: State::Idle,
        to: State::Connect,
    }
}

struct Bed {
    folder: tempfile::TempDir,
    recorder: Recorder,
    kinds: Vec<&'static str>,
}

impl Bed {
    fn new(name: &str, max_size: Option<u64>) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("{}/{name}", folder.path().display());
        let config = MrtConfig {
            file: Template::parse(&file).unwrap(),
            rotate: Duration::from_secs(60),
            max_size,
            sent: false,
        };
        let waker = Arc::new(Waker::new().unwrap());
        Bed {
            folder,
            recorder: Recorder::start(config, None, waker).unwrap(),
            kinds: Vec::new(),
        }
    }

    /// Records one change and waits until it is written, or lost.
    fn record(&mut self, seconds: u64) {
        let before = self.recorder.written() + self.recorder.lost();
        self.recorder.report(at(seconds), &change());
        let deadline = std::time::Instant::now() + DEADLINE;
        self.flush(seconds);
        while self.recorder.written() + self.recorder.lost() == before {
            assert!(std::time::Instant::now() < deadline, "not written");
            std::thread::yield_now();
        }
        // What is said of it comes after it is counted.
        while self.recorder.shared.waiting.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
    }

    fn flush(&mut self, seconds: u64) {
        let events = self.recorder.flush(at(seconds));
        self.kinds.extend(events.iter().map(|e| e.kind));
    }

    /// Waits until this was told.
    fn told(&mut self, kind: &str) {
        let deadline = std::time::Instant::now() + DEADLINE;
        while !self.kinds.contains(&kind) {
            assert!(std::time::Instant::now() < deadline, "{kind} is not told");
            self.flush(0);
            std::thread::yield_now();
        }
    }

    /// Names and sizes of files.
    fn files(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, entry.metadata().unwrap().len())
            })
            .collect();
        all.sort();
        all
    }
}

fn files(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect()
}

#[test]
fn a_file_for_each_interval() {
    let mut bed = Bed::new("up.%H%M%S", None);
    for seconds in [0, 59, 60, 61, 200] {
        bed.record(seconds);
    }
    assert_eq!(
        bed.files(),
        files(&[
            ("up.000000", 2 * RECORD),
            ("up.000100", 2 * RECORD),
            ("up.000300", RECORD),
        ])
    );
    assert_eq!((bed.recorder.written(), bed.recorder.lost()), (5, 0));
    assert_eq!(bed.recorder.problem(), None);
}

#[test]
fn a_file_that_is_full_has_a_next_one() {
    let mut bed = Bed::new("up.%M", Some(2 * RECORD));
    for seconds in [1, 2, 3, 4, 5, 60] {
        bed.record(seconds);
    }
    let all = [
        ("up.00", 2 * RECORD),
        ("up.00.1", 2 * RECORD),
        ("up.00.2", RECORD),
        ("up.01", RECORD),
    ];
    assert_eq!(bed.files(), files(&all));
    // Another start goes on where there is room.
    let config = bed.recorder.config().clone();
    let waker = Arc::new(Waker::new().unwrap());
    bed.recorder = Recorder::start(config, None, waker).unwrap();
    bed.record(6);
    bed.record(7);
    let all = [
        ("up.00", 2 * RECORD),
        ("up.00.1", 2 * RECORD),
        ("up.00.2", 2 * RECORD),
        ("up.00.3", RECORD),
        ("up.01", RECORD),
    ];
    assert_eq!(bed.files(), files(&all));
}

#[test]
fn a_file_that_ends_in_the_midst_of_a_record_is_left_alone() {
    let mut bed = Bed::new("up", None);
    bed.record(1);
    let path = bed.folder.path().join("up");
    // Nobody but us would write there; but a run may have ended in the midst of it.
    let config = bed.recorder.config().clone();
    for torn in [RECORD - 1, 11] {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(torn).unwrap();
        let waker = Arc::new(Waker::new().unwrap());
        bed.recorder = Recorder::start(config.clone(), None, waker).unwrap();
        bed.record(2);
        assert_eq!(bed.files()[0], ("up".to_owned(), torn));
    }
    assert_eq!(bed.files()[1..], files(&[("up.1", 2 * RECORD)]));
}

#[test]
fn a_folder_that_cannot_be_written_costs_records_and_mends() {
    let mut bed = Bed::new("sub/up", None);
    let folder = bed.folder.path().join("sub");
    // A file where a folder should be: even root cannot write there.
    fs::write(&folder, "").unwrap();
    bed.record(1);
    bed.record(2);
    bed.told("mrt.failed");
    assert_eq!(bed.kinds, ["mrt.failed"]);
    assert_eq!((bed.recorder.written(), bed.recorder.lost()), (0, 2));
    let problem = bed.recorder.problem().unwrap();
    assert!(problem.starts_with("cannot open "), "{problem}");
    assert!(problem.ends_with("2 records are lost so far"), "{problem}");
    fs::remove_file(&folder).unwrap();
    bed.record(3);
    bed.told("mrt.mended");
    assert_eq!((bed.recorder.written(), bed.recorder.lost()), (1, 2));
    let problem = bed.recorder.problem().unwrap();
    assert_eq!(problem, "2 records were lost since recording began");
}

#[test]
fn the_last_records_are_written_before_the_daemon_ends() {
    let Bed {
        folder,
        mut recorder,
        ..
    } = Bed::new("up", None);
    for _ in 0..100 {
        recorder.report(at(1), &change());
    }
    recorder.flush(at(1));
    recorder.finish(std::time::Instant::now() + DEADLINE);
    let length = fs::metadata(folder.path().join("up")).unwrap().len();
    assert_eq!(length, 100 * RECORD);
}

#[test]
fn a_recorder_waits_for_the_one_before_it() {
    let mut old = Bed::new("pipe", None);
    let pipe = old.folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
    // Its thread cannot open this before somebody reads.
    old.recorder.report(at(1), &change());
    old.recorder.flush(at(1));
    let mut new = Bed::new("up", None);
    let (config, waker) = (
        new.recorder.config().clone(),
        Arc::new(Waker::new().unwrap()),
    );
    new.recorder = Recorder::start(config, Some(old.recorder.retire()), waker).unwrap();
    new.recorder.report(at(1), &change());
    new.recorder.flush(at(1));
    // Another one writes in the meantime, from its start on.
    let mut other = Bed::new("up", None);
    (0..100).for_each(|_| other.record(1));
    assert_eq!((new.recorder.written(), new.recorder.lost()), (0, 0));
    let read = fs::read(&pipe).unwrap();
    assert_eq!(read.len() as u64, RECORD);
    new.record(2);
    assert_eq!(new.files(), files(&[("up", 2 * RECORD)]));
}

#[test]
fn a_full_disk_is_told_and_waits_for_nobody() {
    let mut bed = Bed::new("up", None);
    // Every write to it fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", bed.folder.path().join("up")).unwrap();
    bed.record(1);
    bed.told("mrt.failed");
    let problem = bed.recorder.problem().unwrap();
    assert!(problem.contains("No space left"), "{problem}");
    assert_eq!(bed.recorder.lost(), 1);
}

#[test]
fn what_may_wait_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("up");
    // A pipe that nobody reads: opening it waits for a reader for ever.
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let config = MrtConfig {
        file: Template::parse(pipe.to_str().unwrap()).unwrap(),
        rotate: Duration::from_secs(60),
        max_size: None,
        sent: false,
    };
    let mut recorder = Recorder::start(config, None, Arc::new(Waker::new().unwrap())).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 * WAITING as u64 / (RECORD * 1000) {
        for _ in 0..1000 {
            recorder.report(at(1), &change());
        }
        kinds.extend(recorder.flush(at(1)).iter().map(|e| e.kind));
    }
    assert!(recorder.shared.waiting.load(Ordering::Acquire) <= WAITING);
    assert!(recorder.lost() > 0);
    assert_eq!(kinds, ["mrt.lost"], "told once");
    // Lets the thread end.
    drop(recorder);
    drop(File::open(&pipe).unwrap());
}
