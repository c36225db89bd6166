//! Marks: however often a session is lost, what was not heard of since goes.

use std::net::Ipv4Addr;

use tapway_bgp_wire::{NextHop, NlriEntry, RawAttributes};
use tapway_model::{Family, Prefix};
use tapway_rib::{Import, Rib, SourceInfo};

#[test]
fn marks_do_not_run_out() {
    let mut rib = Rib::new([1; 16]);
    let addr = Ipv4Addr::new(192, 0, 2, 1);
    let source = rib.add_source(SourceInfo {
        router_id: addr,
        addr: addr.into(),
        external: true,
        class: 0,
    });
    let id = rib.intern(RawAttributes::new(&[]), NextHop::V4(addr));
    let import = Import::Accepted {
        attributes: id,
        weight: 0,
    };
    let family = Family::Ipv4;
    for round in 0..1000 {
        // Half of them come again, and the session is lost without an end marker.
        for n in 0..10 {
            let prefix = Prefix::host(Ipv4Addr::from(0x0a00_0000 + round * 5 + n).into());
            rib.insert(source, NlriEntry::from(prefix), id, import);
        }
        rib.remove_stale(source, family);
        rib.mark_stale(source, family);
        while rib.work(1) {}
        let counts = rib.counts(source, family);
        assert_eq!((counts.routes, counts.stale), (10, 10), "round {round}");
    }
    rib.remove_stale(source, family);
    while rib.work(1) {}
    assert_eq!(rib.counts(source, family).routes, 0);
}
