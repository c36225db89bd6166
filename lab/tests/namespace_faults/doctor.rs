//! What `doctor` finds on a host where something is really wrong, and no longer once it is mended.

use std::net::{Ipv4Addr, TcpListener};

use tapway_api::doctor::CheckStatus;

use crate::bed::Bed;

#[track_caller]
fn is_well(bed: &Bed, name: &str) {
    let check = bed.check(name);
    assert_eq!(check.status, CheckStatus::Ok, "{check:?}");
}

fn with_a_guest() -> Bed {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    bed
}

#[test]
fn it_finds_strict_reverse_path_filters() {
    let bed = with_a_guest();
    bed.host.sysctl("net/ipv4/conf/tap0/rp_filter", "1");
    let check = bed.check("rp-filter");
    assert_eq!(check.status, CheckStatus::Warning);
    assert_eq!(check.detail, ["tap0"]);
    // The kernel takes the larger of both.
    bed.host.sysctl("net/ipv4/conf/all/rp_filter", "2");
    is_well(&bed, "rp-filter");
}

#[test]
fn it_finds_firewalls_that_drop_what_is_forwarded() {
    let bed = with_a_guest();
    is_well(&bed, "forward-drop");
    bed.host.exec("nft add table inet other");
    bed.host.exec(
        "nft add chain inet other forwarded { type filter hook forward priority 0; policy drop; }",
    );
    let check = bed.check("forward-drop");
    assert_ne!(check.status, CheckStatus::Ok);
    assert_eq!(check.detail, ["chain forwarded in table inet other"]);
    assert!(check.remedy.is_some());
    bed.host.exec("nft delete table inet other");
    is_well(&bed, "forward-drop");
}

#[test]
fn it_names_who_has_the_port() {
    let mut bed = with_a_guest();
    is_well(&bed, "bgp-port");
    bed.tapwayd.stop();
    let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 179));
    let holder = bed.host.run_in(bind).expect("the port is free");
    bed.tapwayd.restart(&bed.host);
    let check = bed.check("bgp-port");
    assert_eq!(check.status, CheckStatus::Failed);
    let pid = format!("(pid {})", std::process::id());
    assert!(
        check.detail.iter().any(|line| line.contains(&pid)),
        "{check:?}"
    );
    drop(holder);
    bed.tapwayd.stop();
    bed.tapwayd.restart(&bed.host);
    is_well(&bed, "bgp-port");
}
