//! Bounds on work: what a change touches, and how many messages and bytes a full table takes.

use core::time::Duration;

use super::net::*;
use super::several;
use crate::*;

/// 10.0.0.0/8, one address after the other.
fn prefix(i: u32) -> alloc::string::String {
    alloc::format!("10.{}.{}.{}/32", i >> 16, (i >> 8) & 255, i & 255)
}

/// A speaker whose session takes everything, with `count` routes announced and sent.
fn with(count: u32) -> Net {
    let mut net = established(Transport::V4, |_, _, _| {});
    for i in 0..count {
        net.announce(0, &prefix(i));
    }
    net.run(Duration::from_secs(1));
    assert_eq!(net.received(1).len(), count as usize);
    net
}

#[test]
fn a_full_table_is_packed() {
    let net = with(10_000);
    let sent = net.peer(0).sent;
    assert_eq!(sent.announced, 10_000);
    assert!(sent.update < 100, "{} messages", sent.update);
    assert!(sent.bytes < 60_000, "{} bytes", sent.bytes);
}

#[test]
fn a_single_change_sends_a_single_message() {
    let mut net = with(10_000);
    let now = net.now;
    let one = |net: &mut Net| {
        let transmit = net.speaker(0).poll_transmit(now).unwrap();
        assert!(net.speaker(0).poll_transmit(now).is_none());
        transmit.bytes.len()
    };
    net.announce(0, "203.0.113.1/32");
    assert!(one(&mut net) < 80);
    net.withdraw(0, "203.0.113.1/32");
    assert!(one(&mut net) < 40);
    // The same once more is nothing.
    net.announce(0, &prefix(17));
    assert!(net.speaker(0).poll_transmit(now).is_none());
}

#[test]
fn withdrawals_overtake_a_full_table() {
    let mut net = with(10_000);
    let now = net.now;
    net.speaker(1)
        .reset_soft(now, &name("peer"), SoftReset::Both);
    net.run(LATENCY);
    net.withdraw(0, &prefix(9_999));
    let first = net.speaker(0).poll_transmit(now).unwrap();
    let withdrawn = net.peer(0).sent.withdrawn;
    assert_eq!(withdrawn, 1, "in the first of {} bytes", first.bytes.len());
}

/// Not a benchmark, but it prints times: `cargo test --release -p tapway-bgp speed -- --nocapture`.
#[test]
fn times() {
    extern crate std;
    use std::time::Instant;

    let mut net = established(Transport::V4, |_, _, _| {});
    let now = net.now;
    let (mut announced, mut encoded, mut bytes) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..10 {
        net = established(Transport::V4, |_, _, _| {});
        let all: alloc::vec::Vec<_> = (0..10_000).map(|i| announcement(&prefix(i))).collect();
        let start = Instant::now();
        for announcement in all {
            net.speaker(0).announce(now, announcement);
        }
        announced = announced.min(start.elapsed());
        bytes = 0;
        let start = Instant::now();
        while let Some(transmit) = net.speaker(0).poll_transmit(now) {
            bytes += transmit.bytes.len();
        }
        encoded = encoded.min(start.elapsed());
    }
    let start = Instant::now();
    for _ in 0..1000 {
        net.announce(0, "203.0.113.1/32");
        net.speaker(0).poll_transmit(now);
        net.withdraw(0, "203.0.113.1/32");
        net.speaker(0).poll_transmit(now);
    }
    let single = start.elapsed() / 2000;
    std::println!(
        "10,000 announced {announced:?}, encoded {encoded:?} ({bytes} bytes); one change {single:?}"
    );
    assert!(bytes > 50_000);
}

/// Prints times, as above: peers that are told the same cost little more than one.
#[test]
fn times_of_many_peers() {
    extern crate std;
    use std::time::Instant;

    let mut all = Duration::MAX;
    let mut bytes = 0;
    for _ in 0..5 {
        let mut speaker = several::with(20, |_, _| {});
        for i in 0..10_000 {
            speaker.announce(several::NOW, announcement(&prefix(i)));
        }
        bytes = 0;
        let start = Instant::now();
        while let Some(transmit) = speaker.poll_transmit(several::NOW) {
            bytes += transmit.bytes.len();
        }
        all = all.min(start.elapsed());
    }
    std::println!("10,000 to each of 20 peers {all:?} ({bytes} bytes)");
    assert!(bytes > 20 * 50_000);
}
