//! Time and memory of a route. Run with `cargo bench -p tapway-rib`.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tapway_bgp_wire::{AsPath, Attributes, EncodeContext, NextHop, NlriEntry, RawAttributes};
use tapway_model::{Family, Prefix};
use tapway_rib::{
    Exported, GroupConfig, GroupId, Import, MemberId, Next, Paths, Rib, RouteView, SourceId,
    SourceInfo,
};

const MILLION: u32 = 1_000_000;
const BACKLOG: usize = 4 << 20;
const BATCH: usize = 4096;

fn main() {
    one_to_one("1,000,000 routes, rising prefixes, one block", |i| i, 1);
    one_to_one("1,000,000 routes, no order, one block", scatter, 1);
    one_to_one(
        "1,000,000 routes, rising prefixes, 150,000 blocks",
        |i| i,
        150_000,
    );
    spread(
        "10 senders x 100,000 routes to 10 receivers",
        10,
        100_000,
        10,
    );
    spread("1 sender x 200,000 routes to 20 receivers", 1, 200_000, 20);
    same_prefixes();
    late_members();
    changes();
}

/// A step through all 32-bit numbers that visits them in no order.
fn scatter(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761) >> 8
}

fn prefix(i: u32) -> NlriEntry {
    NlriEntry::from(Prefix::host(Ipv4Addr::from(0x0a00_0000 + i).into()))
}

fn hop() -> NextHop {
    NextHop::V4(Ipv4Addr::new(192, 0, 2, 1))
}

fn attributes(block: u32) -> Vec<u8> {
    let attributes = Attributes {
        as_path: AsPath::sequence([65001, 64512 + block % 1000, 4_200_000_000 + block]),
        ..Attributes::default()
    };
    let mut bytes = Vec::new();
    attributes.encode_with(true, Some(hop()), &mut bytes);
    bytes
}

fn export(_: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>) -> Exported {
    let next_hop = NextHop::V4(Ipv4Addr::new(192, 0, 2, 254));
    if let Some(used) = route.used {
        let mut attributes = used.raw.decode();
        attributes.as_path.prepend(65000, 1);
        attributes.encode_with(true, Some(next_hop), block);
    }
    Exported {
        next_hop: Some(next_hop),
        for_attributes: true,
    }
}

fn rib() -> Rib {
    let mut rib = Rib::new([1; 16]);
    let id = rib.intern(RawAttributes::new(&[]), hop());
    rib.set_next_hop(hop(), Some(0));
    // Somebody must keep the next hop.
    black_box(id);
    rib
}

fn source(rib: &mut Rib, n: u32) -> SourceId {
    rib.add_source(SourceInfo {
        router_id: n.into(),
        addr: Ipv4Addr::from(n).into(),
        external: true,
        class: 1,
    })
}

/// As the routes of UPDATEs with some hundred prefixes each, or fewer where there are many blocks.
fn fill(
    rib: &mut Rib,
    source: SourceId,
    routes: impl Iterator<Item = u32>,
    blocks: u32,
    count: u32,
) {
    let run = (count / blocks).clamp(1, 800);
    let mut routes = routes.peekable();
    let mut n = 0;
    while routes.peek().is_some() {
        let raw = attributes(n % blocks);
        n += 1;
        let id = rib.intern(RawAttributes::new(&raw), hop());
        for i in routes.by_ref().take(run as usize) {
            rib.insert(
                source,
                prefix(i),
                id,
                Import::Accepted {
                    attributes: id,
                    weight: 0,
                },
            );
        }
        rib.release(id);
    }
}

fn group(rib: &mut Rib) -> GroupId {
    rib.add_group(GroupConfig {
        family: Family::Ipv4,
        encode: EncodeContext::default(),
        paths: Paths::Best,
        backlog: BACKLOG,
    })
}

/// All members read in turn until they have everything. Bytes and UPDATEs of all together.
fn drain(rib: &mut Rib, members: &[MemberId]) -> (usize, usize) {
    let (mut bytes, mut updates) = (0, 0);
    let mut idle = 0;
    while idle < members.len() {
        idle = 0;
        for member in members {
            match rib.next(*member, BATCH, &mut export) {
                Next::Chunk(chunk) => {
                    bytes += chunk.bytes.len();
                    updates += chunk.updates as usize;
                }
                Next::More => {}
                Next::Idle => idle += 1,
            }
        }
    }
    (bytes, updates)
}

fn row(what: &str, time: Duration, routes: u32) {
    let each = time.as_nanos() as f64 / f64::from(routes);
    println!(
        "  {what:<52} {:>8.1} ms  {each:>7.1} ns a route",
        time.as_secs_f64() * 1e3
    );
}

fn timed<T>(what: &str, routes: u32, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    row(what, start.elapsed(), routes);
    result
}

fn one_to_one(name: &str, order: fn(u32) -> u32, blocks: u32) {
    println!("{name}");
    let mut built = None;
    let memory = allocation_counter::measure(|| {
        let mut rib = rib();
        let from = source(&mut rib, 1);
        let to = group(&mut rib);
        let member = rib.join(to, None).expect("a group");
        timed("insert, decide, queue", MILLION, || {
            fill(&mut rib, from, (0..MILLION).map(order), blocks, MILLION)
        });
        let (bytes, updates) = timed("export, encode, read", MILLION, || {
            drain(&mut rib, &[member])
        });
        println!("  {updates} UPDATEs, {bytes} bytes");
        built = Some((rib, from, member));
    });
    let Some((mut rib, from, member)) = built else {
        return;
    };
    println!(
        "  {} bytes a route in use",
        memory.bytes_current / i64::from(MILLION)
    );
    timed("list 100 prefixes from the middle", 1, || {
        let middle = Some(prefix(MILLION / 2).prefix);
        rib.list(Family::Ipv4, middle, 100, |r| _ = black_box(r.prefix));
    });
    let freed = allocation_counter::measure(|| {
        timed("withdraw", MILLION, || {
            for i in (0..MILLION).map(order) {
                rib.withdraw(from, prefix(i));
            }
        });
        timed("export, encode, read withdraws", MILLION, || {
            drain(&mut rib, &[member])
        });
    });
    let kept = memory.bytes_current + freed.bytes_current;
    println!("  {kept} bytes stay in use after that");
    println!(
        "  {} prefixes and {} blocks stay",
        rib.len(Family::Ipv4),
        rib.blocks()
    );
}

fn spread(name: &str, senders: u32, each: u32, receivers: u32) {
    println!("{name}");
    let mut rib = rib();
    let sources: Vec<SourceId> = (1..=senders).map(|n| source(&mut rib, n)).collect();
    let to = group(&mut rib);
    let members: Vec<MemberId> = (0..receivers).filter_map(|_| rib.join(to, None)).collect();
    let start = Instant::now();
    for (n, source) in sources.iter().enumerate() {
        let first = n as u32 * each;
        fill(&mut rib, *source, first..first + each, 1, each);
    }
    let (bytes, _) = drain(&mut rib, &members);
    row("insert to read", start.elapsed(), senders * each);
    println!("  {bytes} bytes in all");
}

/// Ten senders of the same prefixes, all members of the group: every route is compared with nine others.
fn same_prefixes() {
    const EACH: u32 = 100_000;
    println!("10 peers of one group send the same 100,000 prefixes");
    let mut rib = rib();
    let to = group(&mut rib);
    let sources: Vec<SourceId> = (1..=10).rev().map(|n| source(&mut rib, n)).collect();
    let members: Vec<MemberId> = sources
        .iter()
        .filter_map(|s| rib.join(to, Some(*s)))
        .collect();
    let mut memory = 0;
    timed("insert, decide, read", 10 * EACH, || {
        for source in &sources {
            let used = allocation_counter::measure(|| fill(&mut rib, *source, 0..EACH, 1, EACH));
            memory += used.bytes_current;
            drain(&mut rib, &members);
        }
    });
    println!("  {} bytes a route in use", memory / i64::from(10 * EACH));
    timed(
        "one peer is lost: all is decided again, and read",
        EACH,
        || {
            rib.leave(members[9]);
            rib.remove_source(sources[9]);
            while rib.work(1) {}
            drain(&mut rib, &members[..9]);
        },
    );
}

fn late_members() {
    const ROUTES: u32 = 200_000;
    println!("20 members come when 200,000 routes are there already");
    let mut rib = rib();
    let from = source(&mut rib, 1);
    let to = group(&mut rib);
    let first = rib.join(to, None).expect("a group");
    fill(&mut rib, from, 0..ROUTES, 1, ROUTES);
    drain(&mut rib, &[first]);
    timed("join and read, 20 at once", 20 * ROUTES, || {
        let members: Vec<MemberId> = (0..20).filter_map(|_| rib.join(to, None)).collect();
        drain(&mut rib, &members)
    });
}

fn changes() {
    println!("1,000,000 routes by two next hops, one of which is lost: 1,000 of them are by it");
    let mut rib = rib();
    let from = source(&mut rib, 1);
    let other = NextHop::V4(Ipv4Addr::new(192, 0, 2, 77));
    fill(&mut rib, from, 0..MILLION, 1, MILLION);
    let id = rib.intern(RawAttributes::new(&attributes(7)), other);
    rib.set_next_hop(other, Some(5));
    while rib.work(1) {}
    for i in 500_000..501_000 {
        rib.insert(
            from,
            prefix(i),
            id,
            Import::Accepted {
                attributes: id,
                weight: 0,
            },
        );
    }
    timed("decide again", 1000, || {
        rib.set_next_hop(other, None);
        while rib.work(1) {}
    });
    timed("mark all stale", MILLION, || {
        rib.mark_stale(from, Family::Ipv4)
    });
    timed("remove all that is stale", MILLION, || {
        rib.remove_stale(from, Family::Ipv4);
        while rib.work(1) {}
    });
    println!("  {} prefixes stay", rib.len(Family::Ipv4));
}
