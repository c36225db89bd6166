//! Input that is wrong, and the answer that each has.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapway_api::instance::ClaimState;
use tapway_api::list::List;
use tapway_api::problem::ProblemKind;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON, instance};

#[test]
fn two_nics_with_one_address() {
    let bed = Bed::new();
    for tap in ["tap0", "tap1"] {
        bed.plug(tap);
    }
    bed.guest("tap0", &["203.0.113.1", "203.0.113.10"]);
    bed.announces(&["203.0.113.1/32", "203.0.113.10/32"]);
    bed.guest("tap1", &["203.0.113.1", "203.0.113.11"]);
    bed.announces(&["203.0.113.1/32", "203.0.113.10/32", "203.0.113.11/32"]);
    bed.wired(&[
        "203.0.113.1 dev tap0",
        "203.0.113.10 dev tap0",
        "203.0.113.11 dev tap1",
    ]);
    let conflicts = bed.conflicts();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(conflicts[0].holder.prefix.to_string(), "203.0.113.1/32");
    assert_eq!(conflicts[0].holder.owner, "nic tap0");
    assert_eq!(conflicts[0].others.len(), 1);
    assert_eq!(conflicts[0].others[0].owner, "nic tap1");
    let shown = bed.tapwayd.tapway(&["conflict", "list"]).out;
    println!("{shown}");
    for word in [
        "203.0.113.1/32",
        "held by",
        "nic tap0",
        "refused to",
        "nic tap1",
    ] {
        assert!(shown.contains(word), "no {word} in {shown}");
    }
    let refused = &bed.claims("tap1")[0];
    assert_eq!(refused.state, ClaimState::Conflict, "{refused:?}");
    // The order is kept: a restart does not let the other in.
    let mut bed = bed;
    bed.crash();
    bed.announces(&["203.0.113.1/32", "203.0.113.10/32", "203.0.113.11/32"]);
    bed.wired(&[
        "203.0.113.1 dev tap0",
        "203.0.113.10 dev tap0",
        "203.0.113.11 dev tap1",
    ]);
    assert_eq!(bed.conflicts()[0].holder.owner, "nic tap0");
    bed.tapwayd.delete("tap0");
    bed.wired(&["203.0.113.1 dev tap1", "203.0.113.11 dev tap1"]);
    bed.announces(&["203.0.113.1/32", "203.0.113.11/32"]);
    assert!(bed.conflicts().is_empty());
}

#[test]
fn an_address_outside_allow() {
    let bed = Bed::with(
        json!({"network": {"public": {"allow": ["203.0.113.0/24"]}}}),
        &[],
    );
    bed.plug("tap0");
    bed.tapwayd.put_text(
        "tap0",
        &instance("tap0", &["203.0.113.1", "198.18.0.1"])
            .replace("mac =", "network = \"public\"\nmac ="),
    );
    bed.announces(&["203.0.113.1/32"]);
    bed.wired(&["203.0.113.1 dev tap0"]);
    let problem = bed.one_problem();
    assert_eq!(problem.kind, ProblemKind::Claim);
    let text = format!("{} {}", problem.message, problem.remedy.unwrap_or_default());
    for word in [
        "198.18.0.1/32 is outside what network public allows (203.0.113.0/24)",
        "extend allow in [network.public]",
    ] {
        assert!(text.contains(word), "no {word} in {text}");
    }
    let claim = bed
        .claims("tap0")
        .into_iter()
        .find(|c| c.prefix.to_string() == "198.18.0.1/32")
        .expect("the claim");
    assert_eq!(claim.state, ClaimState::Refused, "{claim:?}");
}

#[test]
fn wrong_files() {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    let nic = "name = \"bad\"\n[[nic]]\ninterface = \"tap9\"\n";
    for (line, column, text, said) in [
        (
            4,
            7,
            format!("{nic}mac = \"33:33:00:00:00:01\"\n"),
            "33:33:00:00:00:01 is a multicast MAC",
        ),
        (
            4,
            14,
            format!("{nic}addresses = [\"203.0.113.5/24\"]\n"),
            "203.0.113.5/24 has host bits set; write 203.0.113.0/24",
        ),
        (
            4,
            1,
            format!("{nic}adresses = [\"203.0.113.5\"]\n"),
            "did you mean addresses?",
        ),
        (4, 12, format!("{nic}network = [\n"), "unclosed array"),
    ] {
        bed.tapwayd.put_text("bad", &text);
        wait_for(SOON, format!("{said} at {line}:{column}"), || {
            let problems = bed.problems();
            let [problem] = problems.as_slice() else {
                return Err(format!("{problems:?}"));
            };
            let place = problem.place.clone().unwrap_or_default();
            let all = format!(
                "{}; {}",
                problem.message,
                problem.remedy.clone().unwrap_or_default()
            );
            if (place.line, place.column) == (Some(line), Some(column)) && all.contains(said) {
                Ok(())
            } else {
                Err(format!("{problem:?}"))
            }
        });
        println!("{}", bed.tapwayd.tapway(&["problem", "list"]).out);
    }
    bed.announces(&["203.0.113.1/32"]);
    bed.tapwayd.delete("bad");
    bed.no_problem();
}

#[test]
fn a_file_of_a_hundred_megabytes_is_not_read() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    let pid = bed.tapwayd.process().expect("it runs").pid();
    let read = || {
        let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("/proc/PID/io");
        let line = io
            .lines()
            .find_map(|l| l.strip_prefix("rchar: "))
            .expect("rchar");
        line.parse::<u64>().expect("a number")
    };
    let before = read();
    let huge = bed.tapwayd.instances().join("huge.toml");
    fs::File::create(&huge)
        .and_then(|f| f.set_len(100_000_000))
        .expect("a large file");
    let problem = bed.one_problem();
    assert_eq!(problem.kind, ProblemKind::File);
    assert!(problem.subject.ends_with("huge.toml"), "{problem:?}");
    assert!(
        problem
            .message
            .contains("has 100000000 bytes; at most 1048576 are read"),
        "{problem:?}"
    );
    let more = read() - before;
    assert!(more < 10_000_000, "{more} bytes were read");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    fs::remove_file(huge).expect("it is there");
    bed.no_problem();
}

#[test]
fn ten_thousand_files_at_once() {
    const FILES: u32 = 10_000;
    let bed = Bed::new();
    let address = |n: u32| format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
    let (here, next) = (
        bed.tapwayd.instances(),
        bed.tapwayd.state().with_extension("next"),
    );
    fs::create_dir(&next).expect("a directory");
    for n in 0..FILES {
        let text = format!(
            "name = \"s{n}\"\n[[claim]]\nowner = \"host\"\nprefix = \"{}/32\"\n",
            address(n)
        );
        fs::write(next.join(format!("s{n}.toml")), text).expect("a file");
    }
    // All of them are there from one moment to the next.
    let begin = Instant::now();
    fs::remove_dir(&here).expect("an empty directory");
    fs::rename(&next, &here).expect("the full directory");
    wait_for(
        Duration::from_secs(90),
        "the router has 10,000 routes",
        || {
            let list: List<Value> =
                bed.router
                    .json(&["route", "list", "--received", "host", "--limit", "0"]);
            if list.total == u64::from(FILES) {
                Ok(())
            } else {
                Err(format!("{} routes", list.total))
            }
        },
    );
    println!("10,000 files: all announced after {:?}", begin.elapsed());
    assert_eq!(bed.source("files").instances, u64::from(FILES));
    bed.no_problem();
    let answer = bed.tapwayd.tapway(&["explain", &address(FILES - 1)]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

/// A request over the daemon's socket: the status and the body.
fn http(bed: &Bed, request: &[u8]) -> (u16, String) {
    let mut socket = UnixStream::connect(bed.tapwayd.socket()).expect("the socket");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    // It may answer and close before it has read a body that is too large.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {text}"));
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_string())
}

fn put(path: &str, body: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn wrong_requests() {
    let bed = Bed::new();
    let long = "x".repeat(5 << 20);
    for (request, status, said) in [
        (
            put("/v1/instances/a", "{\"name\": \"a\", "),
            400,
            vec!["\"malformed\"", "\"line\":1"],
        ),
        (
            put("/v1/instances/a", "\u{0}\u{1}"),
            400,
            vec!["\"malformed\""],
        ),
        (
            put("/v1/instances/a", r#"{"name":"a","nics":[]}"#),
            400,
            vec!["did you mean nic?"],
        ),
        (
            put(
                "/v1/instances/a",
                r#"{"name":"a","nic":[{"interface":"tap0","mac":"33:33:00:00:00:01"}]}"#,
            ),
            422,
            vec!["nic[0].mac", "multicast MAC"],
        ),
        (
            put(
                "/v1/instances/a",
                r#"{"name":"a","nic":[{"interface":"tap0","addresses":["203.0.113.1/24"]}]}"#,
            ),
            422,
            vec!["nic[0].addresses[0]", "host bits"],
        ),
        (
            put("/v1/instances/a", r#"{"name":"b"}"#),
            422,
            vec!["write the same name in both"],
        ),
        (put("/v1/instances/a", &long), 413, vec!["too-large"]),
        (
            put("/v1/peers/p", r#"{"address":"192.0.2.1","ans":1}"#),
            422,
            vec!["did you mean asn?"],
        ),
        (put("/v1/instance/a", "{}"), 404, vec!["no-such-route"]),
        (put("/v1/status", "{}"), 405, vec!["method-not-allowed"]),
        (b"\x16\x03\x01\x00\x00 hello\r\n\r\n".to_vec(), 400, vec![]),
    ] {
        let (got, body) = http(&bed, &request);
        println!("{got} {}", body.trim());
        let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
        assert_eq!(got, status, "{shown}\n{body}");
        for word in said {
            assert!(body.contains(word), "no {word:?} in {body} for {shown}");
        }
    }
    assert_eq!(bed.tapwayd.status().instances, 0);

    let file = bed.tapwayd.state().with_extension("web.toml");
    for (text, said) in [
        (
            "name = \"web\"\n[[nic]]\ninterface = \"tap0\"\nadresses = []\n",
            ":4:1: ",
        ),
        (
            "name = \"web\"\n[[nic]]\ninterface = \"tap0\"\nmac = \"33:33:00:00:00:01\"\n",
            ":4:7: ",
        ),
        ("name = \"web\n", ":1:"),
    ] {
        fs::write(&file, text).expect("a file");
        let answer = bed
            .tapwayd
            .tapway(&["instance", "apply", "-f", &file.to_string_lossy()]);
        assert_eq!(answer.code, 2, "{answer:?}");
        let place = format!("{}{said}", file.display());
        assert!(answer.err.contains(&place), "no {place} in {answer:?}");
    }
    // What conflicts is taken, with a note.
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    fs::write(
        &file,
        "name = \"web\"\n[[nic]]\ninterface = \"tap1\"\naddresses = [\"203.0.113.1\"]\n",
    )
    .expect("a file");
    let answer = bed
        .tapwayd
        .tapway(&["instance", "apply", "-f", &file.to_string_lossy()]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(
        answer.out.contains("refused") && answer.out.contains("tap0"),
        "{answer:?}"
    );
}
