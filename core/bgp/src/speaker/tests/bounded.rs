//! Memory in bytes, under a peer that sends for ever and under one that never reads.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use allocation_counter::AllocationInfo;
use tapway_bgp_wire::{
    AttributeCode, AttributeFlags, Attributes, Community, EncodeContext, MessageType,
    UnknownAttribute, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::raw::{Raw, from_peer, hop, one};
use crate::config::PrefixLimit;
use crate::*;

const MIB: u64 = 1 << 20;
const NEXT_HOP: &str = "198.51.100.2";

/// Whoever reads what the speaker has to say, and what is new for the kernel.
fn read(raw: &mut Raw) {
    raw.drain();
    raw.said.clear();
    while raw.speaker.poll_timeout().is_some_and(|at| at <= raw.now) {
        raw.speaker.handle_timeout(raw.now);
    }
    for family in Family::ALL {
        while raw.speaker.take_installable_change(family).is_some() {}
    }
}

fn limited(max: u32) -> Raw {
    let mut raw = Raw::new(|peer| peer.prefix_limit = PrefixLimit::new(max));
    raw.open(|_| {});
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    raw
}

/// What was in use at most while this was done.
fn most(work: impl FnOnce()) -> u64 {
    let AllocationInfo { bytes_max, .. } = allocation_counter::measure(work);
    bytes_max
}

/// The prefix number `n` by attributes that have not been there before.
fn message(n: u32, prefixes: u32, extra: usize) -> Vec<u8> {
    let mut attributes = Attributes {
        communities: vec![Community(n)],
        ..from_peer()
    };
    if extra > 0 {
        attributes.unknown = vec![UnknownAttribute {
            flags: AttributeFlags(0xd0),
            code: AttributeCode(200),
            value: vec![n as u8; extra],
        }];
    }
    let prefix = Prefix::host(Ipv4Addr::from(0x0a00_0000 + n % prefixes).into());
    let mut bytes = Vec::new();
    let cx = EncodeContext {
        max_len: 65_535,
        ..EncodeContext::default()
    };
    UpdateBuilder::new(&mut bytes, cx)
        .announce(&attributes, hop(NEXT_HOP), [prefix])
        .unwrap();
    bytes
}

#[test]
fn under_a_peer_that_sends_for_ever() {
    // Messages, prefixes that they are about, octets of an attribute that nobody knows, and MiB that this may take.
    for (messages, prefixes, extra, bound) in [
        (200_000, 1_000, 0, 1),
        (2_000, 1, 65_400, 1),
        (2_000, 10, 65_400, 2),
    ] {
        let mut raw = limited(1_000);
        let mut sent = 0;
        let used = most(|| {
            for n in 0..messages {
                let bytes = message(n, prefixes, extra);
                sent += bytes.len() as u64;
                // As from a socket, which has no messages.
                for piece in bytes.chunks(16_384) {
                    raw.speaker.handle_data(raw.now, raw.conn, piece);
                }
                if n % 64 == 0 {
                    read(&mut raw);
                }
            }
        });
        assert_eq!(raw.state(), State::Established);
        assert!(sent > 10 * MIB, "{sent} octets are not for ever");
        assert!(
            used < bound * MIB,
            "{used} octets for {sent} sent, {prefixes} prefixes"
        );
    }
}

/// It wants everything again and again, and takes nothing; what it is to be told changes all the time.
#[test]
fn under_a_peer_that_never_reads() {
    let mut raw = limited(1_000);
    let claim = |n: u32| announcement(&alloc::format!("203.0.{}.{}/32", n / 256, n % 256));
    for n in 0..1_000 {
        raw.speaker.announce(raw.now, claim(n));
    }
    assert!(raw.speaker.poll_transmit(raw.now).is_some());
    raw.speaker.handle_blocked(raw.now, raw.conn);
    read(&mut raw);
    let refresh = one(MessageType::RouteRefresh);
    let keepalive = one(MessageType::Keepalive);
    let used = most(|| {
        for n in 0..100_000u32 {
            raw.speaker.handle_data(raw.now, raw.conn, &refresh);
            raw.speaker.handle_data(raw.now, raw.conn, &keepalive);
            let claim = claim(n % 1_000);
            raw.speaker.withdraw(raw.now, &claim.id);
            raw.speaker.announce(raw.now, claim);
            if n % 64 == 0 {
                read(&mut raw);
                assert!(raw.speaker.poll_transmit(raw.now).is_none());
            }
        }
    });
    assert_eq!(raw.state(), State::Established);
    assert!(used < MIB / 4, "{used} octets");

    // When it reads again it is told everything once, however often it asked.
    raw.speaker.handle_writable(raw.now, raw.conn);
    let mut octets = 0;
    while let Some(transmit) = raw.speaker.poll_transmit(raw.now) {
        octets += transmit.bytes.len();
    }
    assert!((5_000..40_000).contains(&octets), "{octets} octets");
}
