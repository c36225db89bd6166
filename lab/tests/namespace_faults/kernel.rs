//! The kernel's state changes behind the daemon's back.

use serde_json::json;
use tapway_api::instance::ClaimState;
use tapway_api::kernel::{KernelKind, KernelStatus};
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

const V4: &str = "203.0.113.1";
const V6: &str = "2001:db8:77::1";
const ROUTES: [&str; 2] = ["203.0.113.1 dev tap0", "2001:db8:77::1 dev tap0"];
const BOTH: [&str; 2] = ["203.0.113.1/32", "2001:db8:77::1/128"];

/// A guest that runs, wired and announced.
fn running() -> Bed {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &[V4, V6]);
    all_well(&bed);
    bed
}

#[track_caller]
fn all_well(bed: &Bed) {
    bed.wired(&ROUTES);
    bed.announces(&BOTH);
    bed.ip_shows("address show dev tap0", &["169.254.0.1/32", "fe80::1/128"]);
    bed.ip_shows("neigh show dev tap0 nud permanent", &[V4, V6]);
}

#[test]
fn the_interface_comes_late() {
    let bed = Bed::new();
    bed.guest("tap0", &[V4, V6]);
    wait_for(SOON, "the claims wait", || {
        let answer = bed.tapwayd.tapway(&["instance", "show", "tap0"]);
        if answer.code == 0 {
            Ok(())
        } else {
            Err(answer.err)
        }
    });
    for claim in bed.claims("tap0") {
        assert_eq!(claim.state, ClaimState::Waiting);
        assert_eq!(
            claim.reason.as_deref(),
            Some("interface tap0 does not exist")
        );
    }
    bed.announces(&[]);
    bed.plug("tap0");
    all_well(&bed);
    assert!(
        bed.claims("tap0")
            .iter()
            .all(|c| c.state == ClaimState::Announced)
    );
}

#[test]
fn down_and_up() {
    let bed = running();
    for _ in 0..2 {
        bed.host.link_set("tap0", "down");
        bed.announces(&[]);
        assert_eq!(
            bed.claims("tap0")[0].reason.as_deref(),
            Some("interface tap0 is down")
        );
        bed.host.link_set("tap0", "up");
        all_well(&bed);
    }
}

#[test]
fn carrier_lost_and_back() {
    let bed = running();
    bed.guests.link_set("tap0", "down");
    bed.announces(&[]);
    assert_eq!(
        bed.claims("tap0")[0].reason.as_deref(),
        Some("interface tap0 has no carrier")
    );
    bed.guests.link_set("tap0", "up");
    all_well(&bed);
}

#[test]
fn renamed_and_renamed_back() {
    let bed = running();
    let rename = |from: &str, to: &str| {
        bed.host.ip_batch(&format!(
            "link set {from} down\nlink set {from} name {to}\nlink set {to} up\n"
        ));
    };
    rename("tap0", "tap9");
    bed.announces(&[]);
    bed.wired(&[]);
    wait_for(SOON, "nothing of ours is left on tap9", || {
        let shown = bed.host.ip("address show dev tap9") + &bed.host.ip("neigh show dev tap9");
        if shown.contains("169.254.0.1") || shown.contains("fe80::1/") || shown.contains(V4) {
            Err(shown)
        } else {
            Ok(())
        }
    });
    rename("tap9", "tap0");
    all_well(&bed);
}

#[test]
fn made_again_with_another_index() {
    let bed = running();
    let before = bed.host.ifindex("tap0");
    bed.host.link_del("tap0");
    bed.announces(&[]);
    // Somebody else takes the number that would be next.
    bed.host.bridge("other0");
    bed.plug("tap0");
    assert_ne!(bed.host.ifindex("tap0"), before);
    all_well(&bed);
}

#[test]
fn what_somebody_deletes_is_put_back() {
    let bed = Bed::with(json!({"network": {"blue": {"table": 90}}}), &[]);
    bed.plug("tap0");
    bed.plug("tap1");
    bed.guest("tap0", &[V4, V6]);
    bed.tapwayd.put_text(
        "tap1",
        "name = \"tap1\"\n[[nic]]\ninterface = \"tap1\"\nnetwork = \"blue\"\naddresses = [\"192.0.2.90\", \"2001:db8:90::/64\"]\n",
    );
    bed.announces(&[BOTH[0], BOTH[1], "192.0.2.90/32", "2001:db8:90::/64"]);
    let blue = ["192.0.2.90 dev tap1", "2001:db8:90::/64 dev tap1"];
    for (delete, said) in [
        (
            "route del 203.0.113.1 dev tap0",
            "route 203.0.113.1/32 dev tap0 metric 10 was removed",
        ),
        (
            "-6 route del 2001:db8:77::1 dev tap0",
            "route 2001:db8:77::1/128 dev tap0 metric 10 was removed",
        ),
        (
            "route del 192.0.2.90 dev tap1 table 90",
            "route 192.0.2.90/32 dev tap1 metric 10 was removed",
        ),
        (
            "-6 route del 2001:db8:90::/64 dev tap1 table 90",
            "route 2001:db8:90::/64 dev tap1 metric 10 was removed",
        ),
        (
            "address del 169.254.0.1/32 dev tap0",
            "address 169.254.0.1/32 on tap0 was removed",
        ),
        (
            "address del fe80::1/128 dev tap0",
            "address fe80::1/128 on tap0 was removed",
        ),
        (
            "neigh del 203.0.113.1 dev tap0",
            "neighbour 203.0.113.1 on tap0 was removed",
        ),
        (
            "neigh del 2001:db8:77::1 dev tap0",
            "neighbour 2001:db8:77::1 on tap0 was removed",
        ),
        (
            "-4 rule del priority 30000 table 90",
            "rule 30000 to table 90 was removed",
        ),
        (
            "-6 rule del priority 30000 table 90",
            "rule 30000 to table 90 was removed",
        ),
    ] {
        bed.host.ip(delete);
        bed.tapwayd.logs(said);
        bed.wired(&ROUTES);
        bed.wired_in("90", &blue);
        bed.ip_shows("address show dev tap0", &["169.254.0.1/32", "fe80::1/128"]);
        bed.ip_shows("neigh show dev tap0 nud permanent", &[V4, V6]);
        for family in ["-4", "-6"] {
            bed.ip_shows(
                &format!("{family} rule show"),
                &["30000:\tfrom all lookup 90"],
            );
        }
    }
    bed.announces(&[BOTH[0], BOTH[1], "192.0.2.90/32", "2001:db8:90::/64"]);
    bed.no_problem();
}

#[test]
fn all_at_once() {
    let bed = running();
    // They delete until nothing is left, and give up after some rounds if we are quicker.
    for line in [
        "-4 route flush proto 112",
        "-6 route flush proto 112",
        "neigh flush dev tap0 nud all",
        "address flush dev tap0",
    ] {
        bed.host
            .try_exec(&format!("ip -n {} {line}", bed.host.name()));
    }
    all_well(&bed);
}

#[test]
fn a_foreign_route_in_the_way_is_left_alone() {
    let bed = Bed::new();
    bed.plug("tap0");
    // The very key of ours: table main, the same prefix, the same metric.
    bed.host.ip("route add blackhole 203.0.113.1 metric 10");
    bed.host
        .ip("-6 route add blackhole 2001:db8:77::1 metric 10");
    bed.guest("tap0", &[V4, V6]);
    for prefix in BOTH {
        wait_for(SOON, format!("{prefix} is known to be in the way"), || {
            let routes = bed.kernel(KernelKind::Route);
            let found = routes.iter().find(|r| {
                r.object
                    .starts_with(prefix.split('/').next().expect("an address"))
            });
            match found {
                Some(r) if r.status == KernelStatus::Foreign => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
    bed.tapwayd
        .logs("somebody else's object is where route 203.0.113.1/32 dev tap0 metric 10 should be");
    bed.announces(&[]);
    assert!(bed.host.routes("203.0.113.1")[0].starts_with("blackhole 203.0.113.1"));
    assert!(bed.host.routes("2001:db8:77::1")[0].starts_with("blackhole 2001:db8:77::1"));
    bed.wired(&[]);
    bed.host.ip("route del blackhole 203.0.113.1 metric 10");
    bed.wired(&ROUTES[..1]);
    bed.host
        .ip("-6 route del blackhole 2001:db8:77::1 metric 10");
    all_well(&bed);
    bed.no_problem();
}
