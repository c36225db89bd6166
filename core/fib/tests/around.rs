//! Routes of ours around an address, beside a search of all of them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tapway_fib::{Fib, KernelEvent, Object, Route, RouteKind};
use tapway_model::{Instant, Prefix};

const OURS: u8 = 112;

/// Addresses that share many bits with each other, or few.
fn addr() -> impl Strategy<Value = IpAddr> {
    let bits = prop_oneof![0..8u32, (0..32u32).prop_map(|n| 1 << n)];
    prop_oneof![
        bits.clone()
            .prop_map(|n| Ipv4Addr::from(0x0a09_0900 ^ n).into()),
        (bits, any::<bool>()).prop_map(|(n, high)| {
            let n = u128::from(n) << if high { 96 } else { 0 };
            Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0009 ^ n).into()
        }),
    ]
}

fn route() -> impl Strategy<Value = Route> {
    (addr(), 0..=128u8, 253..=255u32, 1..3u32).prop_map(|(addr, len, table, metric)| {
        let most = if addr.is_ipv4() { 32 } else { 128 };
        Route {
            table,
            prefix: Prefix::truncated(addr, len.min(most)),
            metric,
            kind: RouteKind::Unicast,
            scope: 0,
            next_hops: vec![],
            prefsrc: None,
            protocol: OURS,
        }
    })
}

proptest! {
    #[test]
    fn all_are_found_and_the_longest_first(routes in prop::collection::vec(route(), 0..60), asked in addr()) {
        let mut fib = Fib::new(OURS);
        let there = routes.iter().cloned().map(|r| KernelEvent::Present(Object::Route(r)));
        let scan = [KernelEvent::ScanBegin].into_iter().chain(there);
        for event in scan.chain([KernelEvent::ScanEnd]) {
            fib.handle_event(Instant::from_nanos(1), event);
        }
        let key = |r: &Route| (r.prefix.len(), r.prefix, r.metric);
        for table in 253..=255 {
            let covers = |r: &&Route| r.table == table && r.prefix.contains_addr(&asked);
            let mut all: Vec<_> = routes.iter().filter(covers).map(key).collect();
            all.sort_by_key(|key| std::cmp::Reverse(*key));
            all.dedup();
            let found = fib.held_around(table, asked);
            let found: Vec<_> = found.map(|route| key(&route)).collect();
            prop_assert_eq!(found, all);
        }
    }
}
