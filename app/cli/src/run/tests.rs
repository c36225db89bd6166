//! Commands against a socket that answers with what the test says.

mod policy;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use serde_json::{Value, json};
use tapway_model::spec::NicSpec;

use super::*;

/// Listens, and answers each request as `answer` says.
struct Daemon {
    dir: tempfile::TempDir,
    requests: mpsc::Receiver<Request>,
}

#[derive(Debug, PartialEq)]
struct Request {
    line: String,
    body: Value,
}

impl Daemon {
    fn new(answer: impl Fn(&Request) -> (u16, String) + Send + 'static) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        let (sender, requests) = mpsc::channel();
        // Ends with the test's process: accept has no end of its own.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = read(&mut stream) {
                    let (status, body) = answer(&request);
                    let text = format!(
                        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.get_mut().write_all(text.as_bytes()).is_err() {
                        break;
                    }
                    let _ = sender.send(request);
                }
            }
        });
        Daemon { dir, requests }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    fn run(&self, line: &str) -> (Result<Answer, Failure>, String) {
        self.run_words(line.split_whitespace().map(str::to_owned).collect())
    }

    fn run_words(&self, words: Vec<String>) -> (Result<Answer, Failure>, String) {
        let socket = self.socket().display().to_string();
        let words = ["tapway".to_owned(), "--socket".to_owned(), socket]
            .into_iter()
            .chain(words);
        let mut out = Vec::new();
        let result = run(Args::try_parse_from(words).unwrap(), &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).ok()? == 0 {
            return None;
        }
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        if line.is_empty() {
            line = header.trim_end_matches(" HTTP/1.1").to_owned();
        }
        if let Some(text) = header.to_lowercase().strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Request { line, body })
}

const DONE: &str = r#"{"text":"so it is"}"#;

#[test]
fn commands_become_requests() {
    let daemon = Daemon::new(|_| (200, DONE.to_owned()));
    for (command, line, body) in [
        (
            "instance remove a:b",
            "DELETE /v1/instances/a%3Ab",
            Value::Null,
        ),
        ("peer remove tor1", "DELETE /v1/peers/tor1", Value::Null),
        (
            "peer reset tor1",
            "POST /v1/peers/tor1/reset",
            json!({"kind": "soft"}),
        ),
        (
            "peer reset tor1 --in",
            "POST /v1/peers/tor1/reset",
            json!({"kind": "soft-in"}),
        ),
        (
            "peer reset tor1 --out",
            "POST /v1/peers/tor1/reset",
            json!({"kind": "soft-out"}),
        ),
        (
            "peer reset tor1 --hard -m bye",
            "POST /v1/peers/tor1/reset",
            json!({"kind": "hard", "message": "bye"}),
        ),
        (
            "peer disable tor1 --message x",
            "POST /v1/peers/tor1/disable",
            json!({"message": "x"}),
        ),
        (
            "peer enable tor1",
            "POST /v1/peers/tor1/enable",
            Value::Null,
        ),
        ("policy remove p", "DELETE /v1/policies/p", Value::Null),
        (
            "source refresh files",
            "POST /v1/sources/files/refresh",
            Value::Null,
        ),
        (
            "source forget files",
            "POST /v1/sources/files/forget",
            Value::Null,
        ),
        (
            "shutdown --message gone",
            "POST /v1/shutdown",
            json!({"message": "gone"}),
        ),
    ] {
        let (result, out) = daemon.run(command);
        assert_eq!(
            (result.unwrap(), out.as_str()),
            (Answer::Yes, "so it is\n"),
            "{command}"
        );
        let request = daemon.requests.recv().unwrap();
        assert_eq!(
            (request.line.as_str(), request.body),
            (line, body),
            "{command}"
        );
        // JSON is what the daemon said.
        let (_, out) = daemon.run(&format!("-o json {command}"));
        assert_eq!(out, format!("{DONE}\n"), "{command}");
        daemon.requests.recv().unwrap();
    }
    for (command, line) in [
        (
            "-o json route list --received tor1 --prefix 2001:db8::/64 --family 4 --limit 5",
            "GET /v1/routes?received=tor1&prefix=2001%3Adb8%3A%3A%2F64&family=ipv4-unicast&limit=5",
        ),
        (
            "-o json explain 203.0.113.1 --network public",
            "GET /v1/explain?prefix=203.0.113.1%2F32&network=public",
        ),
        ("-o json instance show web1", "GET /v1/instances/web1"),
        (
            "-o json instance list --offset 3",
            "GET /v1/instances?offset=3",
        ),
        ("-o json config show", "GET /v1/config"),
    ] {
        daemon.run(command).0.unwrap();
        assert_eq!(daemon.requests.recv().unwrap().line, line);
    }
}

#[test]
fn files_are_applied() {
    let daemon = Daemon::new(|_| {
        (
            200,
            r#"{"items":[{"name":"x","outcome":"created"}]}"#.to_owned(),
        )
    });
    let web = daemon.file(
        "web1.toml",
        "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\n",
    );
    let more = daemon.file("more.json", r#"[{"name":"a"},{"name":"b"}]"#);
    let (result, out) = daemon.run(&format!("instance apply -f {web} {more}"));
    assert_eq!(
        (result.unwrap(), out.as_str()),
        (Answer::Yes, "x created\n")
    );
    assert_eq!(
        daemon.requests.recv().unwrap(),
        Request {
            line: "POST /v1/instances".into(),
            body: json!([
                {"name": "web1", "nic": [{"interface": "tap0"}]},
                {"name": "a"},
                {"name": "b"},
            ]),
        }
    );
    let peers = daemon.file("peers.toml", "[peer.t1]\nasn = 1\n[peer.t2]\nasn = 2\n");
    let (result, out) = daemon.run(&format!("-o json peer apply -f {peers}"));
    assert_eq!(result.unwrap(), Answer::Yes);
    assert_eq!(
        out,
        "{\"items\":[{\"name\":\"x\",\"outcome\":\"created\"},{\"name\":\"x\",\"outcome\":\"created\"}]}\n"
    );
    for (name, asn) in [("t1", 1), ("t2", 2)] {
        let request = daemon.requests.recv().unwrap();
        assert_eq!(request.line, format!("PUT /v1/peers/{name}"));
        assert_eq!(request.body, json!({"asn": asn}));
    }
}

#[test]
fn exit_codes_say_how_it_went() {
    let unhealthy = |path: &str| match path {
        "GET /v1/status" => include_str!("../../testdata/status-unhealthy.json"),
        "GET /v1/doctor" => include_str!("../../testdata/doctor.json"),
        "POST /v1/config/check" => include_str!("../../testdata/config-check.json"),
        "POST /v1/policies/p/test" => include_str!("../../testdata/policy-test.json"),
        _ => include_str!("../../testdata/explain-broken.json"),
    };
    let daemon = Daemon::new(move |request| (200, unhealthy(&request.line).to_owned()));
    for output in ["table", "json"] {
        for command in [
            "status",
            "doctor",
            "config check",
            "explain 10.0.0.1",
            "policy test p ::/0",
        ] {
            let (result, _) = daemon.run(&format!("-o {output} {command}"));
            assert_eq!(result.unwrap(), Answer::No, "{command}");
        }
    }
    let error = r#"{"error":{"code":"not-found","message":"there is no peer named \"x\""}}"#;
    let daemon = Daemon::new(move |_| (404, error.to_owned()));
    let (result, out) = daemon.run("peer show x");
    let failure = result.unwrap_err();
    assert_eq!((failure.code(), out.as_str()), (1, ""));
    assert_eq!(failure.to_string(), "there is no peer named \"x\"");

    let daemon = Daemon::new(move |_| (200, "<html>".to_owned()));
    let failure = daemon.run("plan").0.unwrap_err();
    assert_eq!(failure.code(), 1);
    assert!(
        failure.to_string().contains("/v1/plan is not understood"),
        "{failure}"
    );

    // A wrong file is told of without asking the daemon.
    let broken = daemon.file("broken.toml", "name =");
    let failure = daemon
        .run(&format!("instance apply -f {broken}"))
        .0
        .unwrap_err();
    assert_eq!(failure.code(), 2);
    assert!(failure.to_string().contains("broken.toml:1:"), "{failure}");

    std::fs::remove_file(daemon.socket()).unwrap();
    let failure = daemon.run("status").0.unwrap_err();
    assert_eq!(failure.code(), 3);
    let text = failure.to_string();
    let socket = daemon.socket().display().to_string();
    assert!(
        text.contains(&socket) && text.contains("--socket"),
        "{text}"
    );
}

#[test]
fn a_daemon_that_goes_away_is_code_3() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let closer = thread::spawn(move || drop(listener.accept()));
    let words = ["tapway", "--socket", socket.to_str().unwrap(), "status"];
    let failure = run(Args::try_parse_from(words).unwrap(), &mut Vec::new()).unwrap_err();
    assert_eq!(failure.code(), 3, "{failure}");
    closer.join().unwrap();
}

#[test]
fn long_lists_come_in_pages_and_are_shown_as_one() {
    let event =
        |i: u64| json!({"source": "files", "name": format!("i{i}"), "stale": false, "later": 1});
    let daemon = Daemon::new(move |request| {
        let offset = request
            .line
            .split_once("offset=")
            .map_or(0, |(_, n)| n.parse().unwrap());
        let items: Vec<Value> = (offset..25).take(10).map(event).collect();
        (200, json!({"items": items, "total": 25}).to_string())
    });
    let (_, out) = daemon.run("instance list");
    assert_eq!(out.lines().count(), 26, "{out}");
    assert!(out.contains("\ni24 "), "{out}");
    let (_, out) = daemon.run("-o json instance list");
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(whole["total"], 25);
    assert_eq!(whole["items"].as_array().unwrap().len(), 25);
    assert_eq!(whole["items"][24], event(24), "unknown keys are kept");
}

#[test]
fn events_are_printed_as_they_come() {
    let line = include_str!("../../testdata/event.json").replace('\n', "");
    // The answer ends after two events, as if the daemon had.
    let daemon = Daemon::new(move |_| (200, format!("{line}\n{line}\n")));
    for (command, part) in [("watch", "peer.down "), ("-o json watch", "{  \"time_ms\"")] {
        let (result, out) = daemon.run(command);
        assert_eq!(result.unwrap_err().code(), 3);
        assert_eq!(out.lines().filter(|l| l.contains(part)).count(), 2, "{out}");
    }
}

#[test]
fn bodies_are_cut_where_the_daemon_would_refuse() {
    let specs: Vec<InstanceSpec> = (0..40_000)
        .map(|i| InstanceSpec {
            name: format!("instance-{i}"),
            nic: vec![NicSpec {
                interface: format!("tap{i}"),
                addresses: vec!["203.0.113.1".into(); 4],
                ..NicSpec::default()
            }],
            claim: Vec::new(),
        })
        .collect();
    let all = bodies(&specs).unwrap();
    assert!(all.len() > 1);
    assert!(all.iter().all(|b| b.len() <= MAX_REQUEST + 1));
    let back: Vec<InstanceSpec> = all
        .iter()
        .flat_map(|b| serde_json::from_slice::<Vec<InstanceSpec>>(b).unwrap())
        .collect();
    assert_eq!(back, specs);
    assert_eq!(bodies(&[]).unwrap(), [b"[]"]);
}

#[test]
fn completions_need_no_daemon() {
    for shell in ["bash", "zsh", "fish"] {
        let words = ["tapway", "--socket", "/nonexistent", "completions", shell];
        let mut out = Vec::new();
        run(Args::try_parse_from(words).unwrap(), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("announcement"));
    }
}
