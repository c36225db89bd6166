use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;
use tapway_intent::{OrderKey, OrderRecord, Record as Intent};
use tapway_model::spec::{ClaimSpec, InstanceSpec, NicSpec};
use tapway_model::{Domain, Instance, InstanceName, Owner, SourceName};

use super::load::log_path;
use super::log::{Batch, MAGIC};
use super::*;

mod closed;
mod damage;
mod full_disk;
mod secrets;

const DEADLINE: Duration = Duration::from_secs(20);

/// A directory in memory where there is one: these tests wait for the disk thousands of times.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn quiet(dir: &Path) -> Opened {
    open(dir, 1000, |_| ()).unwrap()
}

fn instance(name: &str, addresses: &[&str]) -> Arc<Instance> {
    let spec = InstanceSpec {
        name: name.into(),
        nic: vec![NicSpec {
            interface: "tap0".into(),
            mac: Some("52:54:00:12:34:56".into()),
            addresses: addresses.iter().map(|a| (*a).to_string()).collect(),
            ..NicSpec::default()
        }],
        claim: vec![ClaimSpec {
            owner: "host".into(),
            prefix: "192.0.2.53".into(),
            ..ClaimSpec::default()
        }],
    };
    Arc::new(spec.parse().unwrap())
}

fn put(source: &str, name: &str, addresses: &[&str]) -> Record {
    let source = SourceName::new(source).unwrap();
    Record::Intent(Intent::Put(source, instance(name, addresses)))
}

fn gone(source: &str, name: &str) -> Record {
    Record::Intent(Intent::Gone(
        SourceName::new(source).unwrap(),
        InstanceName::new(name).unwrap(),
    ))
}

fn claim_key(owner: Owner) -> OrderKey {
    OrderKey::Claim {
        domain: Domain(90),
        owner,
        prefix: "203.0.113.1".parse().unwrap(),
    }
}

fn order(key: OrderKey, number: u64) -> Record {
    Record::Intent(Intent::Order(OrderRecord { key, number }))
}

/// Records of every kind, none of which replaces another.
fn one_of_each() -> Vec<Record> {
    vec![
        put("files", "web1", &["203.0.113.1", "2001:db8::/64"]),
        put("api", "web1", &[]),
        order(claim_key(Owner::Nic("tap0".parse().unwrap())), 7),
        order(claim_key(Owner::Network("public".parse().unwrap())), 8),
        order(claim_key(Owner::Host), 9),
        order(
            OrderKey::Instance {
                source: "files".parse().unwrap(),
                instance: "web1".parse().unwrap(),
            },
            u64::MAX,
        ),
        Record::Peer(
            "tor1".parse().unwrap(),
            Some(json!({"asn": 5, "password": "é\n\"x"})),
        ),
        Record::Disabled("tor1".parse().unwrap(), true),
        Record::Policy("p".parse().unwrap(), Some(json!({"rules": []}))),
        Record::Sysctl(
            "ipv4/ip_forward".into(),
            Some(OldSysctl {
                value: "0".into(),
                boot_id: "b".into(),
            }),
        ),
        Record::RouterId("192.0.2.11".parse().unwrap()),
        Record::Counter("starts".into(), u64::MAX),
    ]
}

fn state_of(records: &[Record]) -> State {
    let mut state = State::default();
    for record in records {
        state.apply(record.clone());
    }
    state
}

/// The bytes of a log with these records, and where each ends.
fn log_of(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let mut batch = Batch::default();
    let mut ends = Vec::new();
    for record in records {
        batch.push(record).unwrap();
        ends.push(MAGIC.len() + batch.bytes.len());
    }
    ([MAGIC, &batch.bytes[..]].concat(), ends)
}

/// Appends and waits until it is on the disk.
fn keep(writer: &Writer, records: Vec<Record>) -> Result<(), String> {
    waiting(writer, records).recv_timeout(DEADLINE).unwrap()
}

fn waiting(writer: &Writer, records: Vec<Record>) -> Receiver<Result<(), String>> {
    let (sender, receiver) = channel();
    let ack: Ack = Box::new(move |result| sender.send(result).unwrap());
    writer.append(records, Some(ack)).unwrap();
    receiver
}

#[test]
fn what_was_kept_is_there_again() {
    let dir = directory();
    let path = dir.path().join("a/b");
    let records = one_of_each();
    let opened = quiet(&path);
    assert!(opened.state.is_empty() && opened.problems.is_empty());
    keep(&opened.writer, records.clone()).unwrap();
    // On the disk before the daemon ends in good order.
    let (bytes, _) = log_of(&records);
    assert_eq!(fs::read(log_path(&path)).unwrap(), bytes);
    drop(opened);
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&log_path(&path))), (0o700, 0o600));

    let opened = quiet(&path);
    assert_eq!(opened.state, state_of(&records));
    assert_eq!(opened.state.len(), records.len());
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    let removals = vec![
        gone("files", "web1"),
        gone("api", "web1"),
        gone("api", "never-there"),
        Record::Intent(Intent::OrderGone(claim_key(Owner::Host))),
        Record::Peer("tor1".parse().unwrap(), None),
        Record::Disabled("tor1".parse().unwrap(), false),
        Record::Policy("p".parse().unwrap(), None),
        Record::Sysctl("ipv4/ip_forward".into(), None),
        Record::Counter("starts".into(), 3),
    ];
    opened.writer.append(removals.clone(), None).unwrap();
    assert_eq!(
        opened.writer.close(),
        Ok(()),
        "closing writes what is queued"
    );
    let all = [records, removals].concat();
    let opened = quiet(&path);
    assert_eq!(opened.state, state_of(&all));
    assert_eq!(opened.state.counters["starts"], 3);
    assert!(opened.state.instances.is_empty() && opened.state.order.len() == 3);
}

#[test]
fn a_second_daemon_is_told_the_pid_of_the_first() {
    let dir = directory();
    let first = quiet(dir.path());
    let error = open(dir.path(), 10, |_| ()).unwrap_err().to_string();
    let told = format!(
        "{}: is in use by another tapwayd (pid {}); stop it, or give this one its own with --state-dir",
        dir.path().display(),
        std::process::id()
    );
    assert_eq!(error, told);
    drop(first);
    drop(quiet(dir.path()));
}

#[test]
fn a_record_too_long_is_refused_and_the_others_are_kept() {
    let dir = directory();
    let (sender, news) = channel();
    let opened = open(dir.path(), 10, move |p| {
        let _ = sender.send(p);
    })
    .unwrap();
    let long = Record::Peer("p".parse().unwrap(), Some(json!("x".repeat(17 << 20))));
    let error = keep(&opened.writer, vec![long, put("api", "a", &[])]).unwrap_err();
    assert!(error.contains("too long to keep"), "{error}");
    assert!(matches!(
        news.recv_timeout(DEADLINE),
        Ok(Progress::Notice(_))
    ));
    keep(&opened.writer, vec![]).unwrap();
    drop(opened);
    assert_eq!(quiet(dir.path()).state, state_of(&[put("api", "a", &[])]));
}

#[test]
fn an_old_log_is_written_anew_when_most_of_it_is_out_of_date() {
    let dir = directory();
    let mut records = one_of_each();
    let opened = quiet(dir.path());
    keep(&opened.writer, records.clone()).unwrap();
    let filler = "x".repeat(4000);
    let size = || fs::metadata(log_path(dir.path())).unwrap().len();
    let mut largest = 0;
    // 2 MiB of one key, so that there are at least 1 MiB that say nothing.
    for i in 0..500 {
        let record = Record::Policy("busy".parse().unwrap(), Some(json!({"n": i, "x": filler})));
        keep(&opened.writer, vec![record.clone()]).unwrap();
        largest = largest.max(size());
        records.push(record);
    }
    // The last compaction comes after the last answer.
    drop(opened);
    assert!(largest > 1 << 20, "{largest}");
    assert!(largest < 3 << 19, "{largest}: it never shrank");
    let opened = quiet(dir.path());
    assert_eq!(opened.state, state_of(&records));
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
}

/// Any sequence of records, whatever was written anew on the way, gives the state that the records
/// give when they are applied one by one.
#[test]
fn a_random_walk_ends_where_the_model_ends() {
    for seed in 1..=20u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let dir = directory();
        let mut model = State::default();
        for _ in 0..5 {
            let opened = quiet(dir.path());
            assert_eq!(opened.state, model, "seed {seed}");
            assert!(
                opened.problems.is_empty(),
                "seed {seed}: {:?}",
                opened.problems
            );
            for _ in 0..next(60) {
                let name = format!("i{}", next(6));
                let record = match next(6) {
                    0 => gone("api", &name),
                    1 => put("api", &name, &["203.0.113.7"]),
                    2 => put("files", &name, &[]),
                    3 => Record::Peer(name.parse().unwrap(), None),
                    4 => Record::Counter(name, next(100)),
                    // Enough that the log is written anew now and then.
                    _ => Record::Peer(
                        name.parse().unwrap(),
                        Some(json!("y".repeat(usize::try_from(next(200_000)).unwrap()))),
                    ),
                };
                model.apply(record.clone());
                opened.writer.append(vec![record], None).unwrap();
            }
        }
    }
}

#[test]
fn a_full_queue_gives_records_back_and_a_closed_one_too() {
    use super::queue::{Job, Queue};
    let job = |n: usize| Job {
        records: vec![Record::Counter("c".into(), 1); n],
        ack: None,
    };
    let queue = Queue::new(10);
    // Into an empty queue everything fits, or a large request could never be made.
    assert!(queue.push(job(25)).is_ok());
    assert_eq!(queue.push(job(1)).err().unwrap().records.len(), 1);
    assert_eq!(queue.take().unwrap().len(), 1);
    assert!(queue.push(job(6)).is_ok());
    assert!(queue.push(job(4)).is_ok());
    assert!(queue.push(job(1)).is_err());
    assert_eq!(queue.len(), 10);
    assert!(!queue.pause(Duration::ZERO));
    queue.close();
    assert!(
        queue.pause(DEADLINE),
        "a closed queue ends every pause at once"
    );
    assert_eq!(queue.take().unwrap().len(), 2);
    assert!(queue.push(job(1)).is_err());
    assert!(queue.take().is_none());
}
