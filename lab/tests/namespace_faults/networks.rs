//! What several NICs have in common: a bridge, or an address.

use serde_json::json;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

/// Asserts that `prefix` was withdrawn once since the start, with no route left.
///
/// The log is in order, but another thread writes it: once it has a withdrawal, it has all before.
#[track_caller]
fn withdrawn_once(bed: &Bed, prefix: &str) {
    bed.announces(&[]);
    let of = |line: &&str| line.contains("claim.withdrawn") && line.contains(prefix);
    let withdrawals = wait_for(SOON, "the log has a withdrawal", || {
        let log = bed.tapwayd.log();
        let lines: Vec<String> = log.lines().filter(of).map(str::to_owned).collect();
        if lines.is_empty() {
            Err(log)
        } else {
            Ok(lines)
        }
    });
    assert_eq!(withdrawals.len(), 1, "{withdrawals:#?}");
}

/// Waits until the guests' namespace gets an answer from `to`.
#[track_caller]
fn answers(bed: &Bed, to: &str) {
    wait_for(SOON, format!("{to} answers"), || {
        let ping = bed
            .guests
            .try_exec(&format!("ping -n -c 1 -W 1 -i 0.2 {to}"));
        match ping.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&ping.stdout).into_owned()),
        }
    });
}

#[test]
fn guests_on_a_bridge_have_their_gateway_and_routes_there() {
    let bed = Bed::with(
        json!({"network": {"lan": {"bridge": "br0", "gateway": ["192.0.2.1", "fe80::1"]}}}),
        &[],
    );
    let bridge = || {
        bed.host.bridge("br0");
        bed.host.link_set("tap0", "master br0");
    };
    bed.plug("tap0");
    bridge();
    bed.tapwayd.put_text(
        "web1",
        "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\nnetwork = \"lan\"\nmac = \"52:54:00:00:00:07\"\n\
         addresses = [\"192.0.2.7\", \"2001:db8:77::7\"]\n",
    );
    let announced = ["192.0.2.7/32", "2001:db8:77::7/128"];
    let wired = ["192.0.2.7 dev br0", "2001:db8:77::7 dev br0"];
    bed.announces(&announced);
    bed.wired(&wired);
    bed.ip_shows("address show dev br0", &["192.0.2.1/32", "fe80::1/128"]);
    bed.ip_shows(
        "neigh show dev br0 nud permanent",
        &[
            "192.0.2.7 lladdr 52:54:00:00:00:07",
            "2001:db8:77::7 lladdr",
        ],
    );
    let of_tap = bed.host.ip("address show dev tap0");
    assert!(!of_tap.contains("192.0.2.1/"), "{of_tap}");

    // The guest reaches its gateway, and through it the router.
    bed.tor.exec("ip route add 192.0.2.0/24 via 198.51.100.1");
    for line in [
        "ip link set tap0 address 52:54:00:00:00:07",
        "ip address add 192.0.2.7/32 dev tap0",
        "ip route add 192.0.2.1 dev tap0",
        "ip route add default via 192.0.2.1",
    ] {
        bed.guests.exec(line);
    }
    answers(&bed, "192.0.2.1");
    answers(&bed, "198.51.100.0");

    bed.host.link_del("br0");
    bed.announces(&[]);
    bridge();
    bed.announces(&announced);
    bed.wired(&wired);
    bed.ip_shows("address show dev br0", &["192.0.2.1/32", "fe80::1/128"]);
    answers(&bed, "198.51.100.0");
}

#[test]
fn a_shared_address_stays_announced_while_one_guest_has_it() {
    let bed = Bed::new();
    for tap in ["tap0", "tap1", "tap2"] {
        bed.plug(tap);
        let text = format!(
            "name = \"{tap}\"\n[[nic]]\ninterface = \"{tap}\"\nmac = \"52:54:00:00:00:07\"\nanycast = [\"203.0.113.50\"]\n"
        );
        bed.tapwayd.put_text(tap, &text);
    }
    let prefix = "203.0.113.50/32";
    let through = |taps: &[&str]| {
        wait_for(SOON, format!("the route goes through {taps:?}"), || {
            let shown = bed.host.ip("route show 203.0.113.50 proto 112");
            let here = ["tap0", "tap1", "tap2"].into_iter();
            let here: Vec<&str> = here
                .filter(|tap| shown.contains(&format!("dev {tap}")))
                .collect();
            if here == taps { Ok(()) } else { Err(shown) }
        });
    };
    through(&["tap0", "tap1", "tap2"]);
    bed.announces(&[prefix]);
    let neighbours = bed.host.ip("neigh show nud permanent");
    assert!(!neighbours.contains("203.0.113.50"), "{neighbours}");

    // Whoever comes, goes or loses its link: the network hears nothing of it.
    bed.guests.link_set("tap0", "down");
    through(&["tap1", "tap2"]);
    bed.guests.link_set("tap0", "up");
    through(&["tap0", "tap1", "tap2"]);
    bed.host.link_del("tap1");
    through(&["tap0", "tap2"]);
    bed.tapwayd.delete("tap0");
    through(&["tap2"]);
    bed.announces(&[prefix]);

    // The last one takes it along.
    bed.host.link_set("tap2", "down");
    withdrawn_once(&bed, prefix);
}

#[test]
fn an_instance_that_changes_its_interface_stays_announced() {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.plug("tap1");
    let on = |tap: &str| {
        let text = format!(
            "name = \"web1\"\n[[nic]]\ninterface = \"{tap}\"\nmac = \"52:54:00:00:00:07\"\naddresses = [\"203.0.113.9\"]\n"
        );
        bed.tapwayd.put_text("web1", &text);
        bed.wired(&[&format!("203.0.113.9 dev {tap}")]);
    };
    on("tap0");
    bed.announces(&["203.0.113.9/32"]);
    on("tap1");
    bed.ip_shows("neigh show dev tap1 nud permanent", &["203.0.113.9"]);
    bed.announces(&["203.0.113.9/32"]);
    bed.tapwayd.delete("web1");
    withdrawn_once(&bed, "203.0.113.9/32");
}
