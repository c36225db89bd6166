//! What decoding and encoding an UPDATE of 500 prefixes costs: time and allocations.
//!
//! `cargo run --release -p tapway-bgp-wire --example decode_speed`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use tapway_bgp_wire::{
    AsPath, Attributes, Community, DecodeContext, EncodeContext, LargeCommunity, NextHop, Update,
    UpdateBuilder,
};
use tapway_model::Prefix;

const PREFIXES: u32 = 500;
const BATCHES: u32 = 1000;
const ROUNDS: u32 = 50;

fn main() {
    let v4: Vec<Prefix> = (0..PREFIXES)
        .map(|n| Prefix::truncated(Ipv4Addr::from_bits(0x0b00_0000 + (n << 8)).into(), 24))
        .collect();
    let v6: Vec<Prefix> = (0..PREFIXES)
        .map(|n| {
            let bits = 0x2001_0db8 << 96 | u128::from(n) << 80;
            Prefix::truncated(Ipv6Addr::from_bits(bits).into(), 48)
        })
        .collect();
    let next_hop = NextHop::V4(Ipv4Addr::new(192, 0, 2, 1));
    run("IPv4, 500 x /24", &v4, next_hop);
    let next_hop = NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    run("IPv6, 500 x /48", &v6, next_hop);
}

/// Six attributes, as a route of the internet has them.
fn attributes() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([65001, 3356, 1299, 4_200_000_001]),
        med: Some(50),
        communities: (0..4).map(|n| Community(0xfde9_0000 + n)).collect(),
        large_communities: vec![LargeCommunity {
            global: 65001,
            local1: 1,
            local2: 2,
        }],
        ..Attributes::default()
    }
}

fn run(name: &str, prefixes: &[Prefix], next_hop: NextHop) {
    let attributes = attributes();
    let mut out = Vec::new();
    let messages = UpdateBuilder::new(&mut out, EncodeContext::default())
        .announce(&attributes, next_hop, prefixes.iter().copied())
        .expect("it fits");
    assert_eq!(messages, 1);
    let body = out[19..].to_vec();
    let cx = DecodeContext::default();

    measure(&format!("{name}: decode"), || {
        black_box(Update::decode(black_box(&body), &cx).expect("it is right"));
    });
    measure(&format!("{name}: decode and read all prefixes"), || {
        let update = Update::decode(black_box(&body), &cx).expect("it is right");
        black_box(read(&update));
    });
    measure(
        &format!("{name}: decode, prefixes, attribute values"),
        || {
            let update = Update::decode(black_box(&body), &cx).expect("it is right");
            black_box(update.attributes().decode());
            black_box(read(&update));
        },
    );
    measure(&format!("{name}: encode into a used buffer"), || {
        out.clear();
        UpdateBuilder::new(&mut out, EncodeContext::default())
            .announce(&attributes, next_hop, black_box(prefixes).iter().copied())
            .expect("it fits");
        black_box(&out);
    });
}

/// Looks at every prefix, as a table that hashes it would.
fn read(update: &Update<'_>) -> u64 {
    let entries = update.reach().flat_map(|reach| reach.nlri.iter());
    entries.fold(0, |sum, entry| {
        let addr = match entry.prefix.addr() {
            IpAddr::V4(addr) => u64::from(addr.to_bits()),
            IpAddr::V6(addr) => (addr.to_bits() >> 64) as u64,
        };
        sum ^ addr.wrapping_mul(u64::from(entry.prefix.len()) + 1)
    })
}

/// Prints the time of a round, the best of many batches as others use the machine, too, and its allocations.
fn measure(name: &str, mut round: impl FnMut()) {
    round();
    let allocations = allocation_counter::measure(&mut round);
    let best = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                round();
            }
            start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
        })
        .fold(f64::INFINITY, f64::min);
    println!(
        "{name:56} {best:8.0} ns {:4} allocations {:6} bytes",
        allocations.count_total, allocations.bytes_total
    );
}
