//! What decoding and encoding an UPDATE of 500 prefixes costs: time and allocations. Run with
//! `cargo bench -p tapway-bgp-wire`.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use tapway_bgp_wire::{
    AsPath, Attributes, Community, DecodeContext, EncodeContext, LargeCommunity, NextHop,
    NlriEntry, PerFamily, Update, UpdateBuilder,
};
use tapway_model::Prefix;

const PREFIXES: u32 = 500;
const BATCHES: u32 = 1000;
const ROUNDS: u32 = 50;
/// Path identifiers make the message longer than 4096 bytes.
const LONG: usize = 65_535;

fn main() {
    let v4: Vec<NlriEntry> = (0..PREFIXES)
        .map(|n| {
            let addr = Ipv4Addr::from_bits(0x0b00_0000 + (n << 8));
            entry(addr.into(), 24, n)
        })
        .collect();
    let v6: Vec<NlriEntry> = (0..PREFIXES)
        .map(|n| {
            let addr = Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n) << 80);
            entry(addr.into(), 48, n)
        })
        .collect();
    let plain = DecodeContext::default();
    let with_ids = DecodeContext {
        add_path: PerFamily {
            ipv4: true,
            ipv6: true,
        },
        ..plain
    };
    let two_octets = DecodeContext {
        four_octet_asn: false,
        ..plain
    };
    let by_v4 = NextHop::V4(Ipv4Addr::new(192, 0, 2, 1));
    let by_v6 = NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    run("IPv4, 500 x /24", &v4, by_v4, &plain);
    run("IPv6, 500 x /48", &v6, by_v6, &plain);
    run("IPv4, path identifiers", &v4, by_v4, &with_ids);
    run("IPv4, two-octet AS numbers", &v4, by_v4, &two_octets);
}

fn entry(addr: IpAddr, len: u8, path_id: u32) -> NlriEntry {
    let prefix = Prefix::truncated(addr, len);
    NlriEntry { prefix, path_id }
}

/// With NEXT_HOP, six of them, as a route of the internet has.
fn attributes() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([65001, 3356, 1299, 64512]),
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

fn run(name: &str, entries: &[NlriEntry], next_hop: NextHop, cx: &DecodeContext) {
    println!("{name}");
    let attributes = attributes();
    let encode = EncodeContext {
        four_octet_asn: cx.four_octet_asn,
        max_len: LONG,
        add_path: cx.add_path,
    };
    let mut out = Vec::new();
    let messages = UpdateBuilder::new(&mut out, encode)
        .announce(&attributes, next_hop, entries.iter().copied())
        .expect("it fits");
    assert_eq!(messages, 1);
    let body = out[19..].to_vec();

    measure("decode", || {
        black_box(Update::decode(black_box(&body), cx).expect("it is right"));
    });
    measure("decode, read all prefixes", || {
        let update = Update::decode(black_box(&body), cx).expect("it is right");
        black_box(read(&update));
    });
    measure("decode, read all prefixes and attribute values", || {
        let update = Update::decode(black_box(&body), cx).expect("it is right");
        black_box(update.attributes().decode());
        black_box(read(&update));
    });
    measure("encode into a used buffer", || {
        out.clear();
        UpdateBuilder::new(&mut out, encode)
            .announce(&attributes, next_hop, black_box(entries).iter().copied())
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
        sum ^ addr.wrapping_mul(u64::from(entry.prefix.len() ^ entry.path_id as u8) + 1)
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
        "  {name:52} {best:8.0} ns {:4} allocations {:6} bytes",
        allocations.count_total, allocations.bytes_total
    );
}
