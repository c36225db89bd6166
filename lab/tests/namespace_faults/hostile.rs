//! BGP that is wrong, said to the real daemon: on a session, beside one from its peer's address, and from
//! an address that is no peer's.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::{PeerDetail, SessionState};
use tapway_lab::{veth, wait_for};

use crate::bed::{Bed, SOON};
use crate::bgp::{connect, next};

/// Message types (RFC 4271 §4.1).
pub(crate) const OPEN: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const NOTIFICATION: u8 = 3;
pub(crate) const KEEPALIVE: u8 = 4;

/// How often something is tried that must not pile up.
const OFTEN: usize = 300;

/// Code and subcode of the NOTIFICATION that comes before the daemon closes; what else comes is passed
/// over.
fn farewell(stream: &mut TcpStream) -> Option<(u8, u8)> {
    let mut last = None;
    while let Some((kind, body)) = next(stream) {
        last = (kind == NOTIFICATION).then(|| (body[0], body[1]));
    }
    last
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(19 + body.len()).expect("a short message");
    let mut bytes = vec![0xff; 16];
    bytes.extend(len.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// A KEEPALIVE with one byte of its header changed.
fn broken_header(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = message(KEEPALIVE, &[]);
    bytes[at] = value;
    bytes
}

/// Bytes without sense, the same in every run.
fn garbage(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    bytes.take(len).collect()
}

/// An UPDATE with these attributes and IPv4 prefixes, each `[length, bytes…]`.
pub(crate) fn update(attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = u16::try_from(attributes.len()).expect("few attributes");
    message(
        UPDATE,
        &[&[0, 0], &len.to_be_bytes()[..], &attributes, nlri].concat(),
    )
}

/// Descriptors that the daemon has open.
fn descriptors(bed: &mut Bed) -> usize {
    let pid = bed.tapwayd.process().expect("it runs").pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    open.expect("its descriptors").count()
}

/// What the daemon has in memory, in KiB.
pub(crate) fn memory(bed: &mut Bed) -> u64 {
    let pid = bed.tapwayd.process().expect("it runs").pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("VmRSS")
}

#[track_caller]
pub(crate) fn peer(bed: &Bed, name: &str) -> PeerDetail {
    bed.tapwayd.json(&["peer", "show", name])
}

/// Whether the session with this peer is up, and the only one since the start.
#[track_caller]
pub(crate) fn is_untouched(bed: &Bed, name: &str) {
    let peer = peer(bed, name);
    assert_eq!(peer.peer.state, SessionState::Established, "{peer:?}");
    let count = peer.session.as_ref().map(|s| s.established_count);
    assert_eq!(count, Some(1), "{peer:?}");
}

/// Reports of one kind in the log: at most one in ten seconds.
#[track_caller]
fn reported_seldom(bed: &Bed, kind: &str, since: Instant) {
    let reports = bed.tapwayd.log().matches(kind).count() as u64;
    let most = 1 + since.elapsed().as_secs() / 10;
    assert!((1..=most).contains(&reports), "{reports} reports of {kind}");
}

/// Waits until a second connection from the router's address is not refused at once: until then the
/// first is so young that the second is a collision.
fn beside(bed: &Bed) -> TcpStream {
    wait_for(SOON, "the daemon says OPEN on a second connection", || {
        let mut stream = connect(&bed.tor, "198.51.100.0", "198.51.100.1");
        match next(&mut stream) {
            Some((OPEN, _)) => Ok(stream),
            Some((NOTIFICATION, body)) => Err(format!("{body:?}")),
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn nonsense_beside_a_session_leaves_it_alone() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    let begin = Instant::now();
    let mut long = broken_header(16, 0x10);
    long[17] = 1;
    for (what, bytes, answer) in [
        ("garbage", garbage(4096), (1, 1)),
        ("a wrong marker", broken_header(3, 0), (1, 1)),
        ("18 bytes long", broken_header(17, 18), (1, 2)),
        ("4097 bytes long", long, (1, 2)),
        ("an unknown type", broken_header(18, 77), (1, 3)),
        ("an UPDATE before OPEN", update(&[], &[]), (5, 1)),
        ("an OPEN of version 3", message(OPEN, &[3; 10]), (2, 1)),
    ] {
        let mut stream = beside(&bed);
        stream.write_all(&bytes).expect("it listens");
        assert_eq!(farewell(&mut stream), Some(answer), "{what}");
        is_untouched(&bed, "tor");
    }
    bed.tapwayd
        .logs("closed another connection from its address: sent Message Header Error");

    // Silence in the middle of a message, again and again: the last one is kept, no other.
    let (descriptors_before, memory_before) = (descriptors(&mut bed), memory(&mut bed));
    let mut half: Vec<TcpStream> = Vec::new();
    for _ in 0..OFTEN {
        let mut stream = beside(&bed);
        stream
            .write_all(&message(UPDATE, &[0; 4000])[..4000])
            .expect("it listens");
        half.push(stream);
    }
    let last = half.pop().expect("one is left");
    for stream in &mut half {
        assert_eq!(farewell(stream), Some((6, 7)), "it made room");
    }
    drop(half);
    wait_for(SOON, "all but one are closed", || {
        match descriptors(&mut bed) {
            open if open <= descriptors_before + 1 => Ok(()),
            open => Err(format!("{open} descriptors, {descriptors_before} before")),
        }
    });
    drop(last);
    wait_for(SOON, "it is closed, too", || match descriptors(&mut bed) {
        open if open <= descriptors_before => Ok(()),
        open => Err(format!("{open} descriptors, {descriptors_before} before")),
    });
    let grown = memory(&mut bed).saturating_sub(memory_before);
    assert!(grown < 4096, "{grown} KiB more");

    is_untouched(&bed, "tor");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    is_untouched(&bed, "tor");
    reported_seldom(&bed, "peer.second-connection", begin);
    let log = bed.tapwayd.log();
    let reports: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("peer.second-connection"))
        .collect();
    println!("{}", reports.join("\n"));
    for word in [
        "subject=tor",
        "Message Header Error: Connection Not Synchronized",
    ] {
        assert!(reports[0].contains(word), "no {word} in {reports:?}");
    }
}

#[test]
fn who_is_no_peer_is_not_heard() {
    let mut bed = Bed::new();
    bed.tor.ip("address add 10.9.9.9/32 dev lo");
    bed.host.ip("route add 10.9.9.9/32 via 198.51.100.0");
    let before = descriptors(&mut bed);
    let begin = Instant::now();
    for _ in 0..OFTEN {
        let mut stream = connect(&bed.tor, "10.9.9.9", "198.51.100.1");
        // It may be closed already.
        let _ = stream.write_all(&garbage(4096));
        assert_eq!(next(&mut stream), None, "not a word");
    }
    bed.tapwayd
        .logs("closed a connection from 10.9.9.9, which is no peer");
    reported_seldom(&bed, "peer.unknown", begin);
    wait_for(SOON, "none is left", || match descriptors(&mut bed) {
        open if open <= before => Ok(()),
        open => Err(format!("{open} descriptors, {before} before")),
    });
    is_untouched(&bed, "tor");
}

/// Where the peer is that the test plays, and the daemon's end of their link.
pub(crate) const PLAYED: &str = "198.51.100.2";
pub(crate) const TO_PLAYED: &str = "198.51.100.3";

/// A bed with a link to the played peer `raw`, and more in the daemon's configuration.
pub(crate) fn with_played(more: Value) -> Bed {
    let bed = Bed::prepared(more, &[]);
    veth(&bed.host, "up1", &bed.tor, "down1");
    bed.host.address("up1", "198.51.100.3/31");
    bed.tor.address("down1", "198.51.100.2/31");
    let listens = || bed.host.exec("ss -Htln").contains(TO_PLAYED);
    wait_for(SOON, "it listens", || {
        if listens() { Ok(()) } else { Err("no") }
    });
    bed
}

/// The settings of a peer that connects.
pub(crate) fn passive() -> Value {
    json!({"peer": {"raw": {"address": PLAYED, "asn": 65001, "import": "all", "passive": true}}})
}

/// A peer that the test plays, with a session that is up.
fn play(bed: &Bed) -> TcpStream {
    let mut stream = connect(&bed.tor, PLAYED, TO_PLAYED);
    // Version 4, AS 65001, hold time 90 s, a router id, no capabilities: IPv4 unicast, AS numbers of
    // two octets.
    let open = message(OPEN, &[4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 77, 0]);
    stream.write_all(&open).expect("it listens");
    stream
        .write_all(&message(KEEPALIVE, &[]))
        .expect("it listens");
    for kind in [OPEN, KEEPALIVE] {
        let said = next(&mut stream);
        assert_eq!(said.as_ref().map(|s| s.0), Some(kind), "{said:?}");
    }
    stream
}

/// Whether the daemon has this prefix of the played peer.
fn has(bed: &Bed, prefix: &str) -> bool {
    let arguments = ["route", "list", "--received", "raw", "--prefix", prefix];
    bed.tapwayd.json::<List<Value>>(&arguments).total > 0
}

#[track_caller]
pub(crate) fn takes(bed: &Bed, prefix: &str) {
    wait_for(SOON, format!("{prefix} is there"), || {
        if has(bed, prefix) {
            Ok(())
        } else {
            Err(bed.tapwayd.log())
        }
    });
}

#[test]
fn a_peer_that_speaks_badly() {
    const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
    const AS_PATH: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
    const NEXT_HOP: &[u8] = &[0x40, 3, 4, 198, 51, 100, 2];
    const FINE: [&[u8]; 3] = [ORIGIN, AS_PATH, NEXT_HOP];
    const PREFIX: &[u8] = &[24, 192, 0, 2];

    let bed = with_played(passive());
    let mut stream = play(&bed);
    bed.tapwayd.wait_established(SOON);

    let begin = Instant::now();
    // RFC 7606, section 7: what is wrong, and whether the routes stay.
    let rows: [(&str, &[&[u8]], bool); 10] = [
        ("ORIGIN 7", &[&[0x40, 1, 1, 7], AS_PATH, NEXT_HOP], false),
        (
            "ORIGIN of 2 bytes",
            &[&[0x40, 1, 2, 0, 0], AS_PATH, NEXT_HOP],
            false,
        ),
        (
            "ORIGIN that is optional",
            &[&[0xc0, 1, 1, 0], AS_PATH, NEXT_HOP],
            false,
        ),
        (
            "AS_PATH longer than itself",
            &[ORIGIN, &[0x40, 2, 4, 2, 5, 0xfd, 0xe9], NEXT_HOP],
            false,
        ),
        (
            "NEXT_HOP of 5 bytes",
            &[ORIGIN, AS_PATH, &[0x40, 3, 5, 198, 51, 100, 2, 0]],
            false,
        ),
        ("no NEXT_HOP", &[ORIGIN, AS_PATH], false),
        (
            "MED of 3 bytes",
            &[ORIGIN, AS_PATH, NEXT_HOP, &[0x80, 4, 3, 0, 0, 1]],
            false,
        ),
        (
            "an attribute beyond the end",
            &[ORIGIN, AS_PATH, NEXT_HOP, &[0x80, 4, 200, 0]],
            false,
        ),
        (
            "AGGREGATOR of 5 bytes",
            &[ORIGIN, AS_PATH, NEXT_HOP, &[0xc0, 7, 5, 0, 1, 1, 1, 1]],
            true,
        ),
        (
            "ATOMIC_AGGREGATE of 1 byte",
            &[ORIGIN, AS_PATH, NEXT_HOP, &[0x40, 6, 1, 0]],
            true,
        ),
    ];
    for (number, (what, attributes, stays)) in (1u8..).zip(rows) {
        stream
            .write_all(&update(&FINE, PREFIX))
            .expect("it listens");
        takes(&bed, "192.0.2.0/24");
        let both = [update(attributes, PREFIX), update(&FINE, &[16, 10, number])].concat();
        stream.write_all(&both).expect("it listens");
        // Behind the bad one: it was read.
        takes(&bed, &format!("10.{number}.0.0/16"));
        assert_eq!(has(&bed, "192.0.2.0/24"), stays, "{what}");
        is_untouched(&bed, "raw");
    }
    bed.tapwayd.logs("its routes are withdrawn (RFC 7606)");
    reported_seldom(&bed, "peer.bad-update", begin);

    // What cannot be survived ends this session, with a word, and it may come back at once.
    for (bytes, answer) in [
        (broken_header(5, 0), (1, 1)),
        (broken_header(17, 18), (1, 2)),
        (
            message(OPEN, &[4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 77, 0]),
            (5, 3),
        ),
        (garbage(10_000), (1, 1)),
    ] {
        stream.write_all(&bytes).expect("it listens");
        assert_eq!(farewell(&mut stream), Some(answer));
        stream = play(&bed);
        stream
            .write_all(&update(&FINE, PREFIX))
            .expect("it listens");
        takes(&bed, "192.0.2.0/24");
    }
    assert_eq!(
        peer(&bed, "raw").session.map(|s| s.established_count),
        Some(5)
    );
    is_untouched(&bed, "tor");
}
