//! Groups: what is shared, what is bounded, and what goes first.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tapway_bgp_wire::{
    Attributes, DecodeContext, EncodeContext, Frame, Message, NextHop, NlriEntry, PerFamily,
    RawAttributes,
};
use tapway_model::{Family, Prefix};
use tapway_rib::{
    Chunk, Exported, GroupConfig, GroupId, Import, MemberId, Next, Paths, Rib, RouteView, SourceId,
};

const BACKLOG: usize = 2000;
/// Prefixes in one batch.
const BATCH: usize = 100;

fn prefix(n: u32) -> Prefix {
    Prefix::host(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn hop() -> NextHop {
    NextHop::V4(Ipv4Addr::new(192, 0, 2, 1))
}

fn entry(n: u32, path_id: u32) -> NlriEntry {
    NlriEntry {
        prefix: prefix(n),
        path_id,
    }
}

fn config(paths: Paths) -> GroupConfig {
    GroupConfig {
        family: Family::Ipv4,
        encode: EncodeContext {
            add_path: PerFamily::from_fn(|_| paths != Paths::Best),
            ..EncodeContext::default()
        },
        paths,
        backlog: BACKLOG,
    }
}

struct Fixture {
    rib: Rib,
    group: GroupId,
    /// How often export was asked.
    exports: usize,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(Paths::Best)
    }

    fn with(paths: Paths) -> Fixture {
        let mut rib = Rib::new([3; 16]);
        let group = rib.add_group(config(paths));
        Fixture {
            rib,
            group,
            exports: 0,
        }
    }

    fn join(&mut self) -> MemberId {
        self.rib.join(self.group, None).expect("a group")
    }

    fn announce(&mut self, prefixes: impl IntoIterator<Item = u32>, med: u32) {
        self.announce_paths(prefixes.into_iter().map(|n| (n, 0)), med);
    }

    fn announce_paths(&mut self, paths: impl IntoIterator<Item = (u32, u32)>, med: u32) {
        let attributes = Attributes {
            med: Some(med),
            ..Attributes::default()
        };
        let mut block = Vec::new();
        attributes.encode(true, &mut block);
        let id = self.rib.intern(RawAttributes::new(&block), hop());
        for (n, path_id) in paths {
            let import = Import::Accepted {
                attributes: id,
                weight: 0,
            };
            self.rib
                .insert(SourceId::LOCAL, entry(n, path_id), id, import);
        }
        self.rib.release(id);
    }

    fn withdraw(&mut self, n: u32) {
        self.rib.withdraw(SourceId::LOCAL, entry(n, 0));
    }

    fn next(&mut self, member: MemberId) -> Option<Chunk> {
        let exports = &mut self.exports;
        let mut export = |_: GroupId, route: &RouteView<'_>, block: &mut Vec<u8>| {
            *exports += 1;
            let attributes = route.used.expect("it counts").raw.decode();
            attributes.encode_with(true, Some(hop()), block);
            Exported {
                next_hop: Some(hop()),
                for_attributes: true,
            }
        };
        loop {
            match self.rib.next(member, BATCH, &mut export) {
                Next::Chunk(chunk) => return Some(chunk),
                Next::More => {}
                Next::Idle => return None,
            }
        }
    }

    fn drain(&mut self, member: MemberId) -> Vec<Chunk> {
        std::iter::from_fn(|| self.next(member)).collect()
    }
}

/// Announced and withdrawn prefixes of a chunk.
fn read(chunk: &Chunk) -> (Vec<Prefix>, Vec<Prefix>) {
    let cx = DecodeContext {
        internal: true,
        ..DecodeContext::default()
    };
    let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
    let mut bytes = &chunk.bytes[..];
    while let Some((len, frame)) = Frame::next(bytes, cx.max_len()).expect("a message") {
        let Ok(Message::Update(update)) = frame.decode(&cx) else {
            panic!("no UPDATE")
        };
        withdrawn.extend(update.unreach().flat_map(|n| n.iter()).map(|e| e.prefix));
        announced.extend(update.reach().flat_map(|r| r.nlri.iter()).map(|e| e.prefix));
        bytes = &bytes[len..];
    }
    (announced, withdrawn)
}

#[test]
fn members_read_the_same_bytes() {
    let mut f = Fixture::new();
    let members = [f.join(), f.join(), f.join()];
    f.announce(0..250, 1);
    let chunks = members.map(|m| f.drain(m));
    assert_eq!(f.exports, 1, "once for a block of attributes");
    assert_eq!(chunks[0].len(), 3);
    for others in &chunks[1..] {
        let same = |(a, b): (&Chunk, &Chunk)| Arc::ptr_eq(&a.bytes, &b.bytes);
        assert!(others.len() == 3 && chunks[0].iter().zip(others).all(same));
    }
}

#[test]
fn those_who_come_together_are_brought_up_together() {
    let mut f = Fixture::new();
    let first = f.join();
    f.announce(0..250, 1);
    f.drain(first);
    let (a, b) = (f.join(), f.join());
    assert!(!f.rib.is_in_step(a) && !f.rib.is_in_step(b));
    let (a_chunks, b_chunks) = (f.drain(a), f.drain(b));
    let all: usize = a_chunks.iter().map(|c| c.announced as usize).sum();
    assert_eq!(all, 250);
    for (x, y) in a_chunks.iter().zip(&b_chunks) {
        assert!(Arc::ptr_eq(&x.bytes, &y.bytes));
    }
    assert!(f.rib.is_in_step(a) && f.rib.is_in_step(b));
    assert_eq!(f.drain(first), Vec::new(), "nobody else hears of it");
}

#[test]
fn a_slow_member_holds_up_nobody_and_costs_no_memory() {
    let mut f = Fixture::new();
    let (fast, slow) = (f.join(), f.join());
    for round in 0..50 {
        f.announce(0..1000, round);
        let sent: u32 = f.drain(fast).iter().map(|c| c.announced).sum();
        assert_eq!(sent, 1000, "round {round}");
        // A batch may be written when as much waits as may.
        let waiting = f.rib.group(f.group).expect("a group").waiting;
        assert!(waiting <= BACKLOG + BATCH * 5 + 100, "{waiting}");
    }
    assert!(!f.rib.is_in_step(slow));
    let sent: u32 = f.drain(slow).iter().map(|c| c.announced).sum();
    assert_eq!(sent, 1000, "what holds now, once");
    assert!(f.rib.is_in_step(slow));
}

/// What comes and goes while somebody does not read costs nothing: it is nothing to be told.
#[test]
fn what_a_slow_member_never_heard_of_is_not_kept_for_it() {
    let mut f = Fixture::new();
    let (fast, slow) = (f.join(), f.join());
    f.announce(0..200_000, 0);
    f.drain(fast);
    assert!(!f.rib.is_in_step(slow));
    let before = f.rib.len(Family::Ipv4);
    for round in 0..100 {
        let some = 1_000_000 + round * 1000..1_001_000 + round * 1000;
        f.announce(some.clone(), 0);
        f.drain(fast);
        some.for_each(|n| f.withdraw(n));
        f.drain(fast);
    }
    while f.rib.work(1) {}
    assert_eq!(f.rib.len(Family::Ipv4), before);
    let pending = f.rib.pending(slow);
    assert!(pending <= 200_100, "{pending} to be told");
}

/// The same of several routes to one prefix: only those are withdrawn that were told.
#[test]
fn paths_that_a_slow_member_never_heard_of_are_not_kept_for_it() {
    let mut f = Fixture::with(Paths::All);
    let (fast, slow) = (f.join(), f.join());
    f.announce_paths((0..1000).map(|n| (n, 1)), 0);
    f.drain(fast);
    f.drain(slow);
    f.announce(1000..3000, 0);
    f.drain(fast);
    assert!(f.rib.is_in_step(fast));
    // Each path comes before the one before it goes, so that each has another identifier.
    for path_id in 2..500 {
        f.announce_paths([(7, path_id)], path_id);
        f.drain(fast);
        f.rib.withdraw(SourceId::LOCAL, entry(7, path_id - 1));
        f.drain(fast);
    }
    assert!(!f.rib.is_in_step(slow));
    let sent = f.drain(slow);
    let withdrawn: u32 = sent.iter().map(|c| c.withdrawn).sum();
    assert_eq!(withdrawn, 1, "the one path that it had");
    let announced: u32 = sent.iter().map(|c| c.announced).sum();
    assert_eq!(announced, 2001);
}

/// What a member has read, and will read the withdraw of, counts as told when it goes to another group meanwhile.
#[test]
fn what_is_withdrawn_behind_a_members_back_goes_along_to_another_group() {
    let mut f = Fixture::new();
    let fast = f.join();
    f.announce(0..250, 0);
    f.drain(fast);
    let (ahead, behind) = (f.join(), f.join());
    f.announce([5000], 0);
    f.drain(fast);
    for member in [ahead, behind] {
        let told = (0..3).flat_map(|_| read(&f.next(member).expect("a chunk")).0);
        assert!(told.collect::<Vec<_>>().contains(&prefix(5000)));
    }
    f.withdraw(5000);
    f.drain(fast);
    let withdrawn = read(&f.next(ahead).expect("a chunk")).1;
    assert_eq!(withdrawn, [prefix(5000)]);
    f.announce([5000], 0);
    f.drain(fast);
    let other = f.rib.add_group(config(Paths::Best));
    let moved = f.rib.transfer(behind, other).expect("a group");
    f.withdraw(5000);
    let told = f.drain(moved);
    assert!(told.iter().any(|c| read(c).1 == [prefix(5000)]));
}

#[test]
fn withdraws_overtake() {
    let mut f = Fixture::new();
    let member = f.join();
    f.announce([9999], 1);
    f.drain(member);
    f.announce(0..1000, 1);
    f.withdraw(9999);
    let (announced, withdrawn) = read(&f.next(member).expect("a chunk"));
    assert_eq!(withdrawn, [prefix(9999)]);
    assert_eq!(announced.len(), BATCH - 1);
}

#[test]
fn who_is_owed_a_withdraw_is_known() {
    let mut f = Fixture::new();
    let (fast, late) = (f.join(), f.join());
    f.announce(0..300, 1);
    f.drain(fast);
    f.next(late);
    assert!(!f.rib.owes_withdraws(fast) && !f.rib.owes_withdraws(late));
    f.announce(300..900, 1);
    f.withdraw(7);
    assert!(f.rib.owes_withdraws(fast) && f.rib.owes_withdraws(late));
    // It comes first, and the rest is no withdraw.
    assert_eq!(read(&f.next(fast).expect("a chunk")).1, [prefix(7)]);
    assert!(!f.rib.owes_withdraws(fast) && f.rib.pending(fast) > 0);
    // What waits before it is read first.
    let mut read_until = 0;
    while f.rib.owes_withdraws(late) {
        let withdrawn = read(&f.next(late).expect("a chunk")).1;
        assert_eq!(withdrawn.is_empty(), f.rib.owes_withdraws(late));
        read_until += 1;
    }
    assert_eq!(read_until, 3);
}

#[test]
fn a_flapping_prefix_starves_none() {
    let mut f = Fixture::new();
    let member = f.join();
    f.announce(0..1000, 0);
    let mut told = Vec::new();
    for med in 1..12 {
        told.extend(read(&f.next(member).expect("a chunk")).0);
        f.announce(0..BATCH as u32, med);
    }
    for n in 0..1000 {
        assert!(told.contains(&prefix(n)), "{n}");
    }
}

/// A transfer is over when all that was there has been told, whatever goes on changing; in the first lane and in others.
#[test]
fn a_transfer_ends_although_routes_change() {
    let mut f = Fixture::new();
    let first = f.join();
    for member in [first, f.join(), f.join()] {
        let all: u32 = 1000;
        let mut told = std::collections::BTreeSet::new();
        f.announce(0..all, 0);
        for med in 1.. {
            assert!(med < 100, "it never ends");
            let chunk = f.next(member);
            told.extend(chunk.iter().flat_map(|c| read(c).0));
            if f.rib.is_complete(member) {
                break;
            }
            f.announce(0..BATCH as u32 + 5, med);
        }
        assert_eq!(told.len(), all as usize);
    }
    f.rib.send_again(first);
    assert!(!f.rib.is_complete(first));
    f.drain(first);
    assert!(f.rib.is_complete(first));
}

#[test]
fn what_does_not_fit_is_counted_and_not_sent() {
    let mut f = Fixture::new();
    let member = f.join();
    let mut block = Vec::new();
    let attributes = Attributes {
        communities: (0..1010).map(tapway_bgp_wire::Community).collect(),
        ..Attributes::default()
    };
    attributes.encode(true, &mut block);
    let id = f.rib.intern(RawAttributes::new(&block), hop());
    let import = Import::Accepted {
        attributes: id,
        weight: 0,
    };
    f.rib
        .insert(SourceId::LOCAL, NlriEntry::from(prefix(1)), id, import);
    assert_eq!(f.drain(member), Vec::new());
    assert_eq!(f.rib.group(f.group).expect("a group").too_long, 1);
}

/// Peers can send attributes with the same hash only if they know the seed; the seed changes nothing that is seen.
#[test]
fn the_seed_is_not_seen() {
    let run = |seed| {
        let mut f = Fixture::new();
        f.rib = Rib::new([seed; 16]);
        f.group = f.rib.add_group(config(Paths::Best));
        let member = f.join();
        for n in 0..500 {
            f.announce([n], n % 7);
        }
        f.drain(member)
    };
    assert_eq!(run(1), run(2));
}
