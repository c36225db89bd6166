//! What a table of the internet's size costs. Run with `cargo bench -p tapway-rpki`.

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant as Clock;

use tapway_model::{CacheName, Instant, Prefix};
use tapway_rpki::pdu::Pdu;
use tapway_rpki::{
    Action, CacheConfig, Caches, ConnId, RpkiState, Serial, Server, Vrp, VrpSet, VrpTable,
};

const V4: u32 = 400_000;
const V6: u32 = 100_000;
const ROUNDS: u32 = 2_000_000;

/// A step through all 32-bit numbers that visits them in no order.
fn scatter(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761)
}

/// About as long as those of the internet are.
fn v4(i: u32) -> Prefix {
    let len = [24, 24, 24, 24, 23, 22, 22, 20, 19, 16][(scatter(i) % 10) as usize];
    Prefix::truncated(Ipv4Addr::from(scatter(i)).into(), len)
}

fn v6(i: u32) -> Prefix {
    let bits = 0x2001u128 << 112 | u128::from(scatter(i)) << 80;
    Prefix::truncated(Ipv6Addr::from(bits).into(), 29 + (i % 20) as u8)
}

fn all() -> Vec<Vrp> {
    let of = |i: u32, prefix: Prefix, longest: u8| {
        let max_len = if i.is_multiple_of(4) {
            longest
        } else {
            prefix.len()
        };
        Vrp::new(prefix, max_len, scatter(i) % 100_000 + 1)
    };
    let v4 = (0..V4).filter_map(|i| of(i, v4(i), 24));
    v4.chain((0..V6).filter_map(|i| of(i, v6(i), 48))).collect()
}

fn time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Clock::now();
    let result = black_box(work());
    println!(
        "{what:<60} {:>8.1} ms",
        start.elapsed().as_secs_f64() * 1000.0
    );
    result
}

fn each(what: &str, mut one: impl FnMut(u32) -> RpkiState) {
    let start = Clock::now();
    let mut covered = 0;
    for i in 0..ROUNDS {
        covered += u32::from(black_box(one(i)) != RpkiState::NotFound);
    }
    let each = start.elapsed().as_nanos() / u128::from(ROUNDS);
    println!("{what:<60} {each:>8} ns ({covered} of {ROUNDS} covered)");
}

/// An answer of a cache, as bytes.
fn answer(vrps: &[Vrp]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Pdu::CacheResponse { session: 1 }.write(1, &mut bytes);
    for vrp in vrps {
        let pdu = Pdu::Prefix {
            announce: true,
            vrp: Some(*vrp),
        };
        pdu.write(1, &mut bytes);
    }
    Pdu::EndOfData {
        session: 1,
        serial: Serial(1),
        timing: None,
    }
    .write(1, &mut bytes);
    bytes
}

/// The bytes of the process that are in memory (proc_pid_status(5)).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse::<usize>().ok());
    number.unwrap_or(0) / 1024
}

fn main() {
    let mut vrps = all();
    vrps.sort_unstable();
    vrps.dedup();
    println!("{} VRPs", vrps.len());
    let bytes = answer(&vrps);
    let before = resident();
    let mut caches = Caches::new(1);
    let server = Server {
        host: "a".into(),
        port: 323,
    };
    let Ok(name) = CacheName::new("a") else {
        return;
    };
    let config = CacheConfig {
        name,
        server,
        local_address: None,
        preference: 100,
        refresh: None,
        retry: None,
        expire: None,
    };
    caches.set(Instant::ZERO, vec![config]);
    while let Some(action) = caches.poll_action() {
        if let Action::Connect { conn, .. } = action {
            caches.handle_connected(Instant::ZERO, conn);
        }
    }
    time("all of it, in pieces of 64 KiB, up to the set", || {
        for piece in bytes.chunks(64 * 1024) {
            caches.handle_data(Instant::ZERO, ConnId(1), piece);
        }
    });
    let Some(update) = time("the table, and where it differs from nothing", || {
        caches.poll_update()
    }) else {
        return;
    };
    println!(
        "{:<60} {:>8} MiB",
        "set and table together",
        resident() - before
    );
    let table = update.table;
    each("a prefix among IPv4 ones, in no order", |i| {
        table.validate(&v4(i), Some(i))
    });
    each("a prefix among IPv6 ones, in no order", |i| {
        table.validate(&v6(i), Some(i))
    });
    let fewer: VrpSet = vrps.iter().skip(10).copied().collect();
    let fewer = VrpTable::union([&fewer]);
    time("what differs where ten are gone", || {
        fewer.changed_from(&table)
    });
}
