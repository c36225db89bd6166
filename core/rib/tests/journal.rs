//! Notes of received routes that changed: which there are, and that they are bounded.

use std::net::Ipv4Addr;

use tapway_bgp_wire::{NextHop, NlriEntry, RawAttributes};
use tapway_model::{Family, Prefix};
use tapway_rib::{AttrId, Follow, Import, Judged, Rib, SourceId, SourceInfo};

fn rib() -> (Rib, SourceId, AttrId) {
    let mut rib = Rib::new([1; 16]);
    let addr = Ipv4Addr::new(192, 0, 2, 1);
    let source = rib.add_source(SourceInfo {
        router_id: addr,
        addr: addr.into(),
        external: true,
        class: 0,
    });
    let id = rib.intern(RawAttributes::new(&[]), NextHop::V4(addr));
    (rib, source, id)
}

fn entry(number: u32) -> NlriEntry {
    Prefix::host(Ipv4Addr::from(0x0a00_0000 + number).into()).into()
}

const fn accepted(attributes: AttrId) -> Import {
    Import::Accepted {
        attributes,
        weight: 0,
    }
}

/// Which routes were noted, and whether they went by themselves.
fn notes(rib: &mut Rib) -> Vec<(NlriEntry, bool)> {
    std::iter::from_fn(|| rib.take_note())
        .map(|note| (note.entry, note.swept))
        .collect()
}

#[test]
fn every_change_is_noted_and_nothing_else() {
    let (mut rib, source, id) = rib();
    rib.insert(source, entry(1), id, accepted(id));
    assert_eq!(notes(&mut rib), [], "nobody follows");
    rib.follow(Follow {
        changes: true,
        sweeps: true,
    });
    rib.insert(source, entry(1), id, accepted(id));
    assert_eq!(notes(&mut rib), [], "nothing changed");
    rib.insert(source, entry(2), id, Import::Refused);
    rib.insert(source, entry(1), id, Import::Refused);
    rib.insert(SourceId::LOCAL, entry(3), id, accepted(id));
    assert_eq!(notes(&mut rib), [(entry(2), false), (entry(1), false)]);
    let judge = |rib: &mut Rib, judged: Judged| {
        let mut page = Some(0);
        while let Some(next) = page {
            page = rib.judge(source, Family::Ipv4, next, |_| judged.clone());
        }
    };
    judge(&mut rib, Judged::Refused);
    assert_eq!(notes(&mut rib), [], "refused before");
    judge(&mut rib, Judged::Accepted { weight: 0 });
    assert_eq!(notes(&mut rib), [(entry(1), false), (entry(2), false)]);
    let used = rib.route(source, entry(2), |route| route.used.is_some());
    assert_eq!(used, Some(true));
    rib.withdraw(source, entry(2));
    assert_eq!(notes(&mut rib), [(entry(2), false)]);
    assert_eq!(rib.route(source, entry(2), |_| ()), None);
    rib.mark_stale(source, Family::Ipv4);
    rib.insert(source, entry(1), id, accepted(id));
    assert_eq!(notes(&mut rib), [(entry(1), false)], "it was stale");
    rib.insert(source, entry(1), id, accepted(id));
    assert_eq!(notes(&mut rib), []);
    rib.mark_stale(source, Family::Ipv4);
    rib.remove_stale(source, Family::Ipv4);
    while rib.work(1) {}
    assert_eq!(notes(&mut rib), [(entry(1), true)]);
}

#[test]
fn sweeps_alone() {
    let (mut rib, source, id) = rib();
    rib.follow(Follow {
        changes: false,
        sweeps: true,
    });
    rib.insert(source, entry(1), id, accepted(id));
    rib.insert(source, entry(2), id, accepted(id));
    rib.withdraw(source, entry(2));
    rib.remove_source(source);
    while rib.work(1) {}
    assert_eq!(notes(&mut rib), [(entry(1), true)]);
}

#[test]
fn too_many_are_counted_as_lost_once() {
    let (mut rib, source, id) = rib();
    rib.follow(Follow {
        changes: true,
        sweeps: false,
    });
    for number in 0..300_000 {
        rib.insert(source, entry(number), id, accepted(id));
    }
    assert!(rib.take_lost_notes());
    assert!(!rib.take_lost_notes());
    assert_eq!(notes(&mut rib).len(), 1 << 18);
    rib.insert(source, entry(300_000), id, accepted(id));
    rib.follow(Follow::default());
    assert_eq!(notes(&mut rib), []);
}
