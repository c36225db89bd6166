//! A put touches only its own prefixes, however many there are.

use alloc::format;
use alloc::vec::Vec;
use std::time::Instant as Clock;

use tapway_model::{ClaimKind, Prefix};

use super::build::{instance, intent, nic, one, own};
use crate::{Intent, SourceEvent};

fn crowd(intent: &mut Intent, from: u32, count: u32) -> std::time::Duration {
    let make = |i: u32| {
        let mut nic = nic(&format!("tap{i}"), &[]);
        nic.addresses.push(Prefix::host(
            core::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into(),
        ));
        one(&format!("vm{i}"), nic)
    };
    let all: Vec<_> = (from..from + count).map(make).collect();
    let begin = Clock::now();
    for instance in all {
        intent.put1("files", instance);
        while intent.poll_change().is_some() {}
        while intent.poll_record().is_some() {}
    }
    begin.elapsed()
}

#[test]
fn a_put_costs_the_same_with_100_000_claims_present() {
    let mut intent = intent();
    let subnet = own("network", "default", "10.0.0.0/8", ClaimKind::Address);
    intent.put1("api", instance("net", Vec::new(), Vec::from([subnet])));
    let empty = crowd(&mut intent, 1, 10_000);
    crowd(&mut intent, 10_001, 90_000);
    let full = crowd(&mut intent, 100_001, 10_000);
    std::println!("10,000 puts: {empty:?} into none, {full:?} into 100,000 claims");
    assert_eq!(intent.effective_all().count(), 110_001);
    // Something that looks at all claims would cost thousands of times as much.
    assert!(full < empty * 20, "{full:?} against {empty:?}");
    if !cfg!(debug_assertions) {
        assert!(full.as_millis() < 500, "{full:?}");
    }
    let begin = Clock::now();
    intent.say(2, "files", SourceEvent::Dead("lost".into()));
    std::println!("the death of a source of 110,000: {:?}", begin.elapsed());
    assert!(begin.elapsed().as_millis() < 50);
}
