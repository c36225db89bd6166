//! A peer that sends byte by byte, and one that sends for ever and never reads.

use std::io::Write;

use tapway_lab::wait_for;
use tapway_sys::tcp::tcp_unsent;

use crate::bed::SOON;
use crate::bgp::{connect, next};
use crate::hostile::{
    KEEPALIVE, OPEN, PLAYED, TO_PLAYED, is_untouched, memory, message, passive, takes, update,
    with_played,
};

const ROUTE_REFRESH: u8 = 5;
/// Version 4, AS 65001, hold time 90 s, a router id, and that it may ask for everything again.
const PLAYED_OPEN: &[u8] = &[4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 77, 4, 2, 2, 2, 0];

/// A route to 10.x.y.0/24 with a community.
fn route(number: u16, community: u32) -> Vec<u8> {
    let [a, b, c, d] = community.to_be_bytes();
    let [high, low] = number.to_be_bytes();
    update(
        &[
            &[0x40, 1, 1, 0],
            &[0x40, 2, 4, 2, 1, 0xfd, 0xe9],
            &[0x40, 3, 4, 198, 51, 100, 2],
            &[0xc0, 8, 4, a, b, c, d],
        ],
        &[24, 10, high, low],
    )
}

#[test]
fn one_byte_in_each_segment() {
    let bed = with_played(passive());
    let mut stream = connect(&bed.tor, PLAYED, TO_PLAYED);
    stream.set_nodelay(true).expect("a socket");
    let all = [
        message(OPEN, PLAYED_OPEN),
        message(KEEPALIVE, &[]),
        route(1, 1),
        message(KEEPALIVE, &[]),
        route(2, 2),
    ]
    .concat();
    for byte in &all {
        stream.write_all(&[*byte]).expect("it reads");
        // What waits to be sent would go out together with the next one.
        wait_for(SOON, "it is sent", || {
            match tcp_unsent(&stream).expect("a socket") {
                0 => Ok(()),
                waiting => Err(waiting),
            }
        });
    }
    takes(&bed, "10.0.1.0/24");
    takes(&bed, "10.0.2.0/24");
    is_untouched(&bed, "raw");
    let sent = bed.tor.exec(&format!("ss -Htin dst {TO_PLAYED}"));
    let mut words = sent.split_whitespace();
    let segments = words.find_map(|word| word.strip_prefix("data_segs_out:"));
    let segments: usize = segments.and_then(|n| n.parse().ok()).expect("a count");
    assert!(segments >= all.len(), "{segments} for {} bytes", all.len());
}

/// The peer asks for everything again and again and reads nothing of it, and changes its own routes all the time.
#[test]
fn sending_for_ever_without_reading() {
    const CLAIMS: u16 = 2_000;
    const ROUNDS: u32 = 20_000;
    /// What this may take of the daemon's memory, in KiB: it asks for 150 MiB.
    const MOST: u64 = 4 * 1024;

    let mut bed = with_played(passive());
    let prefixes: Vec<String> = (0..CLAIMS)
        .map(|n| format!("203.{}.{}.0/24", n >> 8, n & 255))
        .collect();
    let claims = prefixes.iter().map(|prefix| {
        format!("[[claim]]\nowner = \"host\"\nkind = \"route\"\nprefix = \"{prefix}\"\n")
    });
    let text: String = claims.collect();
    bed.tapwayd
        .put_text("many", &format!("name = \"many\"\n{text}"));
    bed.announces(&prefixes.iter().map(String::as_str).collect::<Vec<_>>());

    let mut stream = connect(&bed.tor, PLAYED, TO_PLAYED);
    let hello = [message(OPEN, PLAYED_OPEN), message(KEEPALIVE, &[])].concat();
    stream.write_all(&hello).expect("it reads");
    assert_eq!(next(&mut stream).map(|m| m.0), Some(OPEN));
    stream.write_all(&route(0, 0)).expect("it reads");
    takes(&bed, "10.0.0.0/24");
    bed.tapwayd.wait_established(SOON);
    let before = memory(&mut bed);
    let again = message(ROUTE_REFRESH, &[0, 1, 0, 1]);
    for round in 1..=ROUNDS {
        let number = (round % 1_000) as u16;
        let both = [&again[..], &route(number, round)].concat();
        stream.write_all(&both).expect("it reads");
    }
    // Behind all of that: it was read.
    stream.write_all(&route(1_000, 0)).expect("it reads");
    takes(&bed, "10.3.232.0/24");
    let grown = memory(&mut bed).saturating_sub(before);
    println!("{grown} KiB more for {ROUNDS} requests");
    assert!(grown < MOST, "{grown} KiB more");

    // Nobody else has to wait.
    is_untouched(&bed, "raw");
    is_untouched(&bed, "tor");
    bed.plug("tap0");
    bed.guest("tap0", &["198.18.0.1"]);
    let all = prefixes.iter().map(String::as_str).chain(["198.18.0.1/32"]);
    bed.announces(&all.collect::<Vec<_>>());
}
