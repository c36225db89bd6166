//! Lists of the kernel that change while the daemon reads them (`NLM_F_DUMP_INTR`).

use std::fmt::Write as _;

use tapway_lab::{Proc, wait_for};

use crate::bed::{Bed, SOON};

/// So many addresses that the list of them has many parts.
const ADDRESSES: u32 = 2000;
/// Starts of the daemon, each with a scan.
const STARTS: u32 = 5;

/// Whether a list of the addresses is torn at this moment, as the kernel says.
fn is_torn(bed: &Bed) -> bool {
    let mut command = bed.host.command("ip");
    let output = command.args(["address", "show"]).output().expect("ip");
    String::from_utf8_lossy(&output.stderr).contains("Dump was interrupted")
}

#[test]
fn starts_amid_torn_lists_take_nothing_away() {
    let mut bed = Bed::new();
    let routes = ["203.0.113.1 dev tap0", "203.0.113.2 dev tap1"];
    let prefixes = ["203.0.113.1/32", "203.0.113.2/32"];
    for (n, tap) in (1..).zip(["tap0", "tap1"]) {
        bed.plug(tap);
        bed.guest(tap, &[&format!("203.0.113.{n}")]);
    }
    bed.wired(&routes);
    bed.announces(&prefixes);
    bed.plug("many");
    let mut many = String::new();
    for n in 0..ADDRESSES {
        let _ = writeln!(many, "address add 10.77.{}.{}/32 dev many", n >> 8, n & 255);
    }
    bed.host.ip_batch(&many);
    let changes =
        "address add 10.78.0.1/32 dev many\naddress del 10.78.0.1/32 dev many\n".repeat(200);

    let folder = tempfile::tempdir().expect("a folder");
    let heard = folder.path().join("heard");
    let mut command = bed.host.command("ip");
    command.args(["monitor", "route", "neigh", "address"]);
    let mut monitor = Proc::spawn("ip monitor", &mut command, &heard);

    let file = folder.path().join("changes");
    std::fs::write(&file, changes).expect("a file");
    let mut command = bed.host.command("sh");
    let again = format!("while ip -batch {}; do :; done", file.display());
    command.args(["-c", &again]);
    let mut others = Proc::spawn("changes", &mut command, &folder.path().join("others"));
    for _ in 0..STARTS {
        wait_for(SOON, "a torn list", || {
            if is_torn(&bed) { Ok(()) } else { Err("whole") }
        });
        bed.crash();
        bed.wired(&routes);
        bed.announces(&prefixes);
    }
    assert!(others.is_running(), "{}", others.log());
    others.kill();
    bed.tapwayd.wait_established(SOON);
    bed.wired(&routes);
    bed.announces(&prefixes);
    bed.no_problem();
    monitor.kill();
    let heard = monitor.log();
    assert!(heard.contains("10.78.0.1"), "it heard nothing");
    for ours in ["203.0.113.", "169.254.0.1"] {
        let deleted = |line: &&str| line.starts_with("Deleted") && line.contains(ours);
        let deleted: Vec<&str> = heard.lines().filter(deleted).collect();
        assert!(deleted.is_empty(), "{deleted:?}");
    }
}
