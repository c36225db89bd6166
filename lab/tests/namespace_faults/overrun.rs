//! The kernel's queue of notifications overruns.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::bed::{Bed, SOON};

/// More than the monitor's queue takes, each one a message that its filter lets pass.
const FLOOD: u32 = 80_000;

#[test]
fn what_was_deleted_in_a_flood_is_put_back() {
    let mut bed = Bed::new();
    bed.plug("tap0");
    bed.plug("tap1");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.guest("tap1", &["203.0.113.2"]);
    let routes = ["203.0.113.1 dev tap0", "203.0.113.2 dev tap1"];
    bed.wired(&routes);
    bed.announces(&["203.0.113.1/32", "203.0.113.2/32"]);

    let mut flood = String::new();
    for i in 0..FLOOD {
        let kind = ["blackhole", "unreachable"][usize::from(i % 2 == 0)];
        let _ = writeln!(flood, "route replace {kind} 240.0.0.1 table 100");
    }
    // Lost: the deletion, and the end of an interface.
    flood.push_str("route del 203.0.113.1 dev tap0\nneigh del 203.0.113.1 dev tap0\naddress del 169.254.0.1/32 dev tap0\nlink del tap1\n");
    let daemon = bed.tapwayd.process().expect("it runs");
    daemon.signal(Signal::STOP);
    bed.host.ip_batch(&flood);
    let drops = drops(&bed);
    bed.tapwayd.process().expect("it runs").signal(Signal::CONT);
    assert!(drops > 0, "the queue took all of the flood");

    bed.wired(&routes[..1]);
    bed.announces(&["203.0.113.1/32"]);
    bed.ip_shows("address show dev tap0", &["169.254.0.1/32"]);
    bed.ip_shows("neigh show dev tap0 nud permanent", &["203.0.113.1"]);
    bed.tapwayd.wait_established(SOON);
}

/// Messages that the kernel could not put into a socket's queue, in the daemon's namespace.
fn drops(bed: &Bed) -> u64 {
    let text = bed
        .host
        .run_in(|| std::fs::read_to_string("/proc/thread-self/net/netlink"))
        .expect("/proc/net/netlink");
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok())
        .sum()
}
