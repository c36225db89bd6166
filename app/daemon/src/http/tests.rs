//! The server on a real Unix socket, with a thread in the place of the main loop.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapway_api::endpoint::{self, Method};
use tapway_api::event::{Event, LOST, Level};
use tapway_api::write::{Applied, AppliedItem, Outcome};
use tapway_api::{ApiError, ErrorCode};

use super::*;

/// A server, a directory for its socket, and a thread that answers.
struct Fixture {
    server: Option<Server>,
    events: EventSink,
    socket: PathBuf,
    main_loop: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// Answers every request with `answer`.
    fn new(answer: impl FnMut(Call) + Send + 'static) -> Fixture {
        Fixture::with(64, Gate::DEADLINE, None, answer)
    }

    fn with(
        capacity: usize,
        deadline: Duration,
        http: Option<&str>,
        mut answer: impl FnMut(Call) + Send + 'static,
    ) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("run/tapway.sock");
        let (wake, woken) = mpsc::channel();
        let (gate, inbox) = queue(capacity, move || {
            let _ = wake.send(());
        });
        let main_loop = std::thread::spawn(move || {
            while woken.recv().is_ok() {
                while let Some(call) = inbox.next_call() {
                    answer(call);
                }
            }
        });
        let events = EventSink::new();
        let config = HttpConfig {
            socket: socket.clone(),
            http: http.map(|addr| addr.parse().unwrap()),
        };
        let server = Server::start(&config, gate.with_deadline(deadline), events.clone()).unwrap();
        Fixture {
            server: Some(server),
            events,
            socket,
            main_loop: Some(main_loop),
            _dir: dir,
        }
    }

    fn client(&self) -> Client<UnixStream> {
        Client::new(UnixStream::connect(&self.socket).unwrap())
    }

    /// Ends the server and the thread; what they waited for is over.
    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        if let Some(main_loop) = self.main_loop.take() {
            main_loop.join().unwrap();
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.end();
    }
}

/// An HTTP/1.1 connection, as plain as can be.
struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Reply {
    fn error(&self) -> ApiError {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

impl<S: Read + Write> Client<S> {
    fn new(stream: S) -> Client<S> {
        Client {
            stream: BufReader::new(stream),
        }
    }

    fn send(&mut self, method: &str, path: &str, body: &[u8]) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: tapway\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }

    fn head(&mut self) -> Reply {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}"));
        let mut reply = Reply {
            status: status.parse().unwrap(),
            headers: BTreeMap::new(),
            body: String::new(),
        };
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let Some((key, value)) = line.trim_end().split_once(": ") else {
                return reply;
            };
            reply
                .headers
                .insert(key.to_ascii_lowercase(), value.to_owned());
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.send(method, path, body.as_ref());
        let mut reply = self.head();
        let length: usize = reply.headers["content-length"].parse().unwrap();
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        reply.body = String::from_utf8(bytes).unwrap();
        reply
    }

    /// The next piece of a body without a length.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        self.stream.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.truncate(size);
        (size > 0).then_some(bytes)
    }
}

/// Says what was asked, in the text of the answer.
fn echo(call: Call) {
    let text = format!("{:?}", call.request);
    call.responder.send(Ok(ApiReply::done(text)));
}

const WEB1: &str = r#"{"name":"web1","nic":[{"interface":"tap0","addresses":["203.0.113.1"]}]}"#;

#[test]
fn every_endpoint_is_there_and_becomes_its_request() {
    let mut fixture = Fixture::new(echo);
    let mut client = fixture.client();
    for endpoint in endpoint::ALL {
        if endpoint.path == endpoint::EVENTS {
            continue;
        }
        let query = match endpoint.path {
            endpoint::EXPLAIN | endpoint::RPKI_STATE => "?prefix=203.0.113.1",
            _ => "",
        };
        let body = match endpoint.body {
            "InstanceBody" => WEB1.to_owned(),
            "[InstanceBody]" => format!("[{WEB1}]"),
            "PeerBody" => "{}".to_owned(),
            "Drain" => "{\"on\":true}".to_owned(),
            "MrtDump" => "{\"file\":\"/tmp/rib\"}".to_owned(),
            "PolicyBody" => "{\"rules\":[]}".to_owned(),
            "PolicyTest" => "{\"prefixes\":[\"203.0.113.1/32\"]}".to_owned(),
            _ => String::new(),
        };
        let path = format!("{}{query}", endpoint::of(endpoint.path, "web1"));
        let reply = client.ask(&endpoint.method.to_string(), &path, body);
        assert_eq!(
            reply.status, 200,
            "{} {path}: {}",
            endpoint.method, reply.body
        );
        assert_eq!(reply.headers["content-type"], "application/json");
    }
    fixture.end();
}

#[test]
fn requests_carry_what_was_sent() {
    let mut fixture = Fixture::new(echo);
    let mut client = fixture.client();
    for (method, path, body, part) in [
        ("GET", "/v1/status", "", "Status"),
        (
            "GET",
            "/v1/instances?source=files&limit=5&offset=10",
            "",
            "limit: Some(5), offset: Some(10)",
        ),
        (
            "GET",
            "/v1/instances/a%3Ab%40c",
            "",
            r#"InstanceShow(\"a:b@c\")"#,
        ),
        (
            "PUT",
            "/v1/instances/web1",
            WEB1,
            r#"InstanceApply([Instance { name: \"web1\""#,
        ),
        (
            "DELETE",
            "/v1/instances/web1",
            "",
            r#"InstanceRemove(\"web1\")"#,
        ),
        (
            "PUT",
            "/v1/peers/tor1",
            r#"{"asn":65000}"#,
            r#"PeerApply(\"tor1\", Object {\"asn\": Number(65000)})"#,
        ),
        (
            "POST",
            "/v1/peers/tor1/reset",
            "",
            "Reset { kind: Soft, message: None }",
        ),
        (
            "POST",
            "/v1/peers/tor1/reset",
            r#"{"kind":"hard","message":"bye"}"#,
            r#"Reset { kind: Hard, message: Some(\"bye\") }"#,
        ),
        (
            "GET",
            "/v1/routes?received=tor1&prefix=2001:db8::%2F64&family=ipv6-unicast",
            "",
            "prefix: Some(2001:db8::/64), family: Some(Ipv6)",
        ),
        (
            "GET",
            "/v1/explain?prefix=203.0.113.1&network=public",
            "",
            r#"prefix: 203.0.113.1/32, network: Some(\"public\")"#,
        ),
        ("PUT", "/v1/drain", r#"{"on":true}"#, "Drain { on: true }"),
        (
            "POST",
            "/v1/shutdown",
            r#"{"message":"moving out"}"#,
            r#"Shutdown { message: Some(\"moving out\") }"#,
        ),
    ] {
        let reply = client.ask(method, path, body);
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        assert!(reply.body.contains(part), "{method} {path}: {}", reply.body);
    }
    fixture.end();
}

#[test]
fn bad_requests_are_told_what_and_where() {
    let mut fixture = Fixture::new(|call| panic!("must not reach the main loop: {call:?}"));
    let mut client = fixture.client();
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(256));
    let twice = format!("[{WEB1},{WEB1}]");
    for (method, path, body, status, place, part) in [
        ("GET", "/v1/nothing", "", 404, "", "no route /v1/nothing"),
        ("GET", "/v1/peers/", "", 404, "", "no route"),
        ("POST", "/v1/status", "", 405, "", "POST is not for"),
        ("DELETE", "/v1/instances", "", 405, "", "DELETE is not for"),
        (
            "PUT",
            "/v1/instances/web1",
            "",
            400,
            "line 1",
            "not JSON: EOF",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            "{\n  \"name\": nope}",
            400,
            "line 2, column 12",
            "not JSON: expected ident",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            "{} trailing",
            400,
            "line 1, column 2",
            "the key \"name\" is missing",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            r#"{"name":"web1"} x"#,
            400,
            "line 1, column 17",
            "trailing characters",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            r#"{"name":"web1","nic":[{"interface":7}]}"#,
            400,
            "line 1, column 36: nic[0].interface",
            "integer `7` is not allowed here",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            r#"{"name":"web1","nics":[]}"#,
            400,
            "nics",
            "there is no key \"nics\"",
        ),
        (
            "PUT",
            "/v1/instances/web1",
            r#"{"name":"web1","nic":[{"interface":"tap0","mac":"01:00:5e:00:00:01"}]}"#,
            422,
            "nic[0].mac",
            "multicast",
        ),
        (
            "PUT",
            "/v1/instances/web2",
            WEB1,
            422,
            "name",
            "the body names \"web1\", the path \"web2\"",
        ),
        (
            "POST",
            "/v1/instances",
            WEB1,
            400,
            "line 1",
            "map is not allowed here",
        ),
        (
            "POST",
            "/v1/instances",
            r#"[{"name":"a"},{"name":"b","nic":[{"interface":"t","addresses":["10.0.0.1/24"]}]}]"#,
            422,
            "[1].nic[0].addresses[0]",
            "host bits",
        ),
        (
            "POST",
            "/v1/instances",
            twice.as_str(),
            422,
            "[1].name",
            "of [0] already",
        ),
        (
            "GET",
            "/v1/instances?limit=10001",
            "",
            422,
            "limit",
            "too many for one page",
        ),
        (
            "GET",
            "/v1/instances?limit=x",
            "",
            400,
            "",
            "limit: invalid digit",
        ),
        (
            "GET",
            "/v1/instances?size=1",
            "",
            400,
            "",
            "unknown field `size`",
        ),
        ("GET", "/v1/explain", "", 400, "", "missing field `prefix`"),
        (
            "GET",
            "/v1/explain?prefix=10.0.0.1%2F24",
            "",
            400,
            "",
            "host bits",
        ),
        (
            "GET",
            "/v1/routes?best=true&received=tor1",
            "",
            422,
            "received",
            "exclude each other",
        ),
        ("GET", "/v1/peers/a%20b", "", 400, "", "character ' '"),
        ("GET", "/v1/peers/%ff", "", 400, "", "UTF-8"),
        (
            "PUT",
            "/v1/peers/tor1",
            "[1]",
            400,
            "line 1",
            "not an object",
        ),
        (
            "PUT",
            "/v1/policies/p",
            "null",
            400,
            "line 1",
            "not an object",
        ),
        (
            "PUT",
            "/v1/policies/p",
            "{\"rules\":[{\"action\":\"acept\"}]}",
            422,
            "rules[0].action",
            "did you mean \"accept\"?",
        ),
        (
            "POST",
            "/v1/policies/p/test",
            "{\"prefixes\":[]}",
            422,
            "prefixes",
            "0 prefixes cannot be tested at a time",
        ),
        (
            "POST",
            "/v1/peers/tor1/disable",
            long.as_str(),
            422,
            "message",
            "256 bytes",
        ),
        (
            "POST",
            "/v1/peers/tor1/reset",
            r#"{"kind":"gentle"}"#,
            400,
            "kind",
            "there is no value \"gentle\"",
        ),
    ] {
        let reply = client.ask(method, path, body);
        assert_eq!(
            reply.status, status,
            "{method} {path} {body}: {}",
            reply.body
        );
        let error = reply.error().error;
        let at = error.place.map(|p| p.to_string()).unwrap_or_default();
        assert!(at.contains(place), "{method} {path} {body}: at {at:?}");
        assert!(
            error.message.contains(part),
            "{method} {path} {body}: {}",
            error.message
        );
        assert_eq!(error.code.status(), status);
    }
    let reply = client.ask("POST", "/v1/instances/web1", "");
    assert_eq!(reply.status, 405);
    let mut allowed: Vec<&str> = reply.headers["allow"].split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PUT"]);
    fixture.end();
}

#[test]
fn a_body_too_large_is_refused_and_the_connection_lives() {
    let mut fixture = Fixture::new(echo);
    let mut client = fixture.client();
    let reply = client.ask("PUT", "/v1/instances/web1", vec![b' '; body::MAX_BODY + 1]);
    assert_eq!(reply.status, 413);
    assert!(reply.error().to_string().contains("larger than 4 MiB"));
    let mut fits = WEB1.as_bytes().to_vec();
    fits.resize(body::MAX_BODY, b' ');
    assert_eq!(client.ask("PUT", "/v1/instances/web1", fits).status, 200);
    fixture.end();
}

#[test]
fn answers_and_errors_of_the_main_loop_come_through() {
    let mut fixture = Fixture::new(|call| {
        let answer = match &call.request {
            ApiRequest::InstanceApply(all) => Ok(ApiReply::Applied(Applied {
                items: vec![AppliedItem {
                    name: all[0].name.to_string(),
                    outcome: Outcome::Created,
                    notes: Vec::new(),
                }],
            })),
            ApiRequest::PeerShow(name) => Err(ApiError::not_found("peer", name)),
            // Dropped without an answer.
            _ => return,
        };
        call.responder.send(answer);
    });
    let mut client = fixture.client();
    let reply = client.ask("PUT", "/v1/instances/web1", WEB1);
    assert_eq!(
        reply.body,
        r#"{"items":[{"name":"web1","outcome":"created"}]}"#
    );
    let reply = client.ask("GET", "/v1/peers/tor9", "");
    assert_eq!(reply.status, 404);
    assert_eq!(
        serde_json::from_str::<Value>(&reply.body).unwrap(),
        json!({"error": {
            "code": "not-found",
            "message": "there is no peer named \"tor9\"",
            "remedy": "`tapway peer list` shows what there is",
        }})
    );
    let reply = client.ask("GET", "/v1/plan", "");
    assert_eq!(
        (reply.status, reply.error().error.code),
        (500, ErrorCode::Internal)
    );
    fixture.end();
}

#[test]
fn a_full_queue_and_a_slow_main_loop_are_503() {
    let (release, held) = mpsc::channel::<()>();
    let (seen, asked) = mpsc::channel();
    let mut fixture = Fixture::with(1, Duration::from_millis(300), None, move |call| {
        seen.send(call.request.clone()).unwrap();
        let _ = held.recv();
        call.responder.send(Ok(ApiReply::done("late")));
    });
    let mut first = fixture.client();
    first.send("GET", "/v1/plan", b"");
    assert_eq!(asked.recv().unwrap(), ApiRequest::Plan);
    // The main loop is busy: one more fits into the queue, and none after it.
    let mut second = fixture.client();
    second.send("GET", "/v1/kernel", b"");
    let mut third = fixture.client();
    let deadline = Instant::now() + Duration::from_secs(10);
    let full = loop {
        let reply = third.ask("GET", "/v1/doctor", "");
        if reply.error().error.code == ErrorCode::Overloaded {
            break reply;
        }
        assert!(Instant::now() < deadline, "{}", reply.body);
    };
    assert_eq!(
        (full.status, full.headers["retry-after"].as_str()),
        (503, "1")
    );
    let late = first.head();
    assert_eq!(late.status, 503);
    assert_eq!(second.head().status, 503);
    // What nobody waits for any more is not even looked at.
    drop(release);
    while third.ask("GET", "/v1/status", "").status != 200 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(asked.recv().unwrap(), ApiRequest::Status);
    fixture.end();
}

#[test]
fn a_connection_is_kept() {
    let mut fixture = Fixture::new(echo);
    let mut client = fixture.client();
    for _ in 0..1000 {
        assert_eq!(client.ask("GET", "/v1/status", "").status, 200);
    }
    fixture.end();
}

fn event(n: u32) -> Event {
    Event {
        time_ms: u64::from(n),
        level: Level::Info,
        kind: "claim.announced".into(),
        subject: "203.0.113.1/32".into(),
        text: "x".repeat(500),
        fields: BTreeMap::new(),
    }
}

/// Asks for events and returns when the server knows it.
fn watch(fixture: &Fixture) -> Client<UnixStream> {
    let mut client = fixture.client();
    client.send("GET", "/v1/events", b"");
    let reply = client.head();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    client
}

#[test]
fn a_slow_watcher_is_told_what_it_lost_and_goes_on() {
    let mut fixture = Fixture::new(echo);
    assert!(!fixture.events.is_watched());
    let mut client = watch(&fixture);
    assert!(fixture.events.is_watched());
    // More than the broadcast, the buffers and the socket can hold.
    let total = 20_000;
    for n in 0..total {
        fixture.events.send(event(n));
    }
    let (mut got, mut lost, mut text) = (0u64, 0u64, Vec::new());
    while got + lost < u64::from(total) {
        text.extend(client.chunk().unwrap());
        while let Some(end) = text.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let event: Event = serde_json::from_slice(&line).unwrap();
            if event.kind == LOST {
                lost += event.fields["lost"].as_u64().unwrap();
            } else {
                assert_eq!(
                    event.time_ms,
                    got + lost,
                    "in order, without a hole unspoken of"
                );
                got += 1;
            }
        }
    }
    assert!(lost > 0 && got > 0, "got {got}, lost {lost}");
    // It goes on.
    fixture.events.send(event(1));
    let line = client.chunk().unwrap();
    assert_eq!(serde_json::from_slice::<Event>(&line).unwrap().time_ms, 1);
    // The end of the server is the end of the stream, not an error.
    fixture.end();
    assert_eq!(client.chunk(), None);
}

#[test]
fn watchers_are_limited_and_their_end_is_noticed() {
    let mut fixture = Fixture::new(echo);
    let mut watchers: Vec<_> = (0..32).map(|_| watch(&fixture)).collect();
    let mut client = fixture.client();
    let reply = client.ask("GET", "/v1/events", "");
    assert_eq!(
        (reply.status, reply.error().error.code),
        (503, ErrorCode::Overloaded)
    );
    watchers.pop();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        // A gone watcher is noticed when its connection ends.
        fixture.events.send(event(1));
        client.send("GET", "/v1/events", b"");
        if client.head().status == 200 {
            break;
        }
        client = fixture.client();
        assert!(Instant::now() < deadline);
    }
    fixture.end();
}

#[test]
fn tcp_is_for_reading_only() {
    let mut fixture = Fixture::with(8, Gate::DEADLINE, Some("127.0.0.1:0"), echo);
    let addr = fixture.server.as_ref().unwrap().http.unwrap();
    let mut client = Client::new(TcpStream::connect(addr).unwrap());
    assert_eq!(client.ask("GET", "/v1/status", "").status, 200);
    for endpoint in endpoint::ALL {
        if endpoint.method == Method::Get {
            continue;
        }
        let path = endpoint::of(endpoint.path, "web1");
        let reply = client.ask(&endpoint.method.to_string(), &path, "");
        assert_eq!(reply.status, 403, "{} {path}", endpoint.method);
        assert_eq!(reply.error().error.code, ErrorCode::ReadOnly);
    }
    fixture.end();
}

#[test]
fn the_socket_is_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let start = |socket: PathBuf| {
        let (gate, inbox) = queue(1, || {});
        Server::start(&HttpConfig { socket, http: None }, gate, EventSink::new())
            .map(|server| (server, inbox))
    };
    // A stale socket is replaced, with the right mode.
    let path = dir.path().join("a.sock");
    drop(UnixListener::bind(&path).unwrap());
    let (server, _inbox) = start(path.clone()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // A living one is not.
    let text = start(path.clone()).unwrap_err().to_string();
    let me = format!("process {} listens", std::process::id());
    assert!(text.contains(&me) && text.contains("--socket"), "{text}");
    // It goes away with the server, and only if it still is the server's.
    server.stop();
    assert!(!path.exists());
    let (server, _inbox) = start(path.clone()).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    server.stop();
    assert!(path.exists());
    let text = start(path).unwrap_err().to_string();
    assert!(text.contains("not a socket"), "{text}");
}

#[test]
fn requests_while_the_main_loop_is_gone_are_503() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let (gate, inbox) = queue(1, || {});
    drop(inbox);
    let config = HttpConfig {
        socket: socket.clone(),
        http: None,
    };
    let server = Server::start(&config, gate, EventSink::new()).unwrap();
    let mut client = Client::new(UnixStream::connect(&socket).unwrap());
    let reply = client.ask("GET", "/v1/status", "");
    assert_eq!(
        (reply.status, reply.error().error.code),
        (503, ErrorCode::Stopping)
    );
    server.stop();
}
