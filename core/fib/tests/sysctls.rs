//! Sysctls: the old value is told before it is overwritten, and comes back at the end.

#![allow(clippy::unwrap_used, reason = "tests")]

mod objects;

use objects::*;
use tapway_fib::*;

const PATH: &str = "ipv4/ip_forward";
const NOTHING: [&str; 0] = [];

fn changed(old: &str, new: &str, ours: bool) -> Notice {
    Notice::SysctlChanged {
        path: PATH.into(),
        old: old.into(),
        new: new.into(),
        ours,
    }
}

fn want(host: &mut Host, value: &str) -> Key {
    host.fib.set_want(sysctl(PATH, value));
    sysctl(PATH, value).key()
}

#[test]
fn nothing_is_written_before_the_old_value_is_known() {
    let mut host = Host::new();
    let key = want(&mut host, "1");
    assert_eq!(
        host.notices(),
        [Notice::SysctlUnknown { path: PATH.into() }]
    );
    assert_eq!(host.run(), NOTHING);
    assert_eq!(host.fib.status(&key), Status::Pending);
    host.kernel.set_sysctl(PATH, "0\n");
    host.hear();
    assert_eq!(host.notices(), [changed("0", "1", true)]);
    assert_eq!(host.run(), ["sysctl -w net.ipv4.ip_forward=1"]);
    assert_eq!(host.notices(), [Notice::InSync(key)]);
    assert_eq!(
        (host.fib.sysctl(PATH), host.kernel.sysctl(PATH)),
        (Some("1"), Some("1"))
    );
}

#[test]
fn a_value_known_before_it_is_wanted_is_told_as_well() {
    let mut host = Host::new();
    host.kernel.set_sysctl(PATH, "0");
    host.hear();
    assert_eq!(host.fib.sysctl(PATH), Some("0"));
    want(&mut host, "1");
    assert_eq!(host.notices(), [changed("0", "1", true)]);
    assert_eq!(host.run().len(), 1);
}

#[test]
fn an_equal_value_is_left_alone_and_never_restored() {
    let mut host = Host::new();
    host.kernel.set_sysctl(PATH, "1");
    let key = want(&mut host, "1");
    assert_eq!(host.run(), NOTHING);
    assert_eq!(
        host.notices(),
        [
            Notice::SysctlUnknown { path: PATH.into() },
            Notice::InSync(key)
        ]
    );
    host.fib.release();
    assert_eq!(host.run(), NOTHING);
}

#[test]
fn lists_are_compared_word_by_word() {
    let mut host = Host::new();
    host.kernel.set_sysctl("ipv4/ping_group_range", "0\t100");
    host.fib.set_want(sysctl("ipv4/ping_group_range", "0 100"));
    assert_eq!(host.run(), NOTHING);
    assert!(host.fib.in_sync(&sysctl("ipv4/ping_group_range", "").key()));
}

#[test]
fn somebody_elses_change_is_repaired_a_few_times() {
    let mut host = Host::new();
    host.kernel.set_sysctl(PATH, "0");
    let key = want(&mut host, "1");
    host.run();
    for round in 0..5 {
        host.notices();
        host.kernel.set_sysctl(PATH, "0");
        assert_eq!(host.run().len(), 1, "round {round}");
        assert_eq!(
            host.notices(),
            [
                changed("1", "0", false),
                Notice::OutOfSync(key.clone()),
                Notice::Repaired(key.clone()),
                Notice::InSync(key.clone())
            ]
        );
        host.later(100);
    }
    host.kernel.set_sysctl(PATH, "0");
    assert_eq!(host.run(), NOTHING);
    assert!(matches!(
        host.fib.status(&key),
        Status::Failed { errno: 16, .. }
    ));
    host.now = host.fib.poll_timeout().unwrap();
    assert_eq!(host.run().len(), 1);
    assert_eq!(host.kernel.sysctl(PATH), Some("1"));
}

#[test]
fn release_restores_what_was_found() {
    let mut host = Host::new();
    host.kernel.set_sysctl(PATH, "0");
    host.kernel.set_sysctl("ipv6/conf/all/forwarding", "0");
    host.kernel.set_sysctl("ipv6/conf/tap1/accept_ra", "1");
    host.hear();
    want(&mut host, "1");
    host.fib.set_want(sysctl("ipv6/conf/all/forwarding", "1"));
    host.fib.set_want(sysctl("ipv6/conf/tap1/accept_ra", "2"));
    assert_eq!(host.run().len(), 3);
    host.fib.release();
    assert_eq!(
        host.run(),
        [
            "sysctl -w net.ipv6.conf.all.forwarding=0",
            "sysctl -w net.ipv4.ip_forward=0",
            "sysctl -w net.ipv6.conf.tap1.accept_ra=1"
        ]
    );
    assert_eq!(host.run(), NOTHING);
}

#[test]
fn the_value_kept_from_an_earlier_run_is_restored() {
    let mut host = Host::unscanned();
    host.fib.record_old_sysctl(PATH, "0".into());
    host.kernel.set_sysctl(PATH, "1");
    host.scan();
    assert_eq!(host.run(), NOTHING, "not before pruning is allowed");
    want(&mut host, "1");
    assert_eq!(host.run(), NOTHING);
    assert!(
        !host
            .notices()
            .iter()
            .any(|n| matches!(n, Notice::SysctlChanged { .. }))
    );
    host.fib.release();
    assert_eq!(host.run(), ["sysctl -w net.ipv4.ip_forward=0"]);
}

#[test]
fn what_somebody_else_set_stays() {
    let mut host = Host::new();
    host.kernel.set_sysctl(PATH, "0");
    want(&mut host, "1");
    host.run();
    host.kernel.set_sysctl(PATH, "2");
    host.hear();
    host.fib.release();
    assert_eq!(host.run(), NOTHING);
    assert_eq!(host.kernel.sysctl(PATH), Some("2"));
}

#[test]
fn the_sysctls_of_a_deleted_link_are_forgotten() {
    let mut host = Host::new();
    let path = "ipv4/conf/tap1/forwarding";
    host.kernel.set_sysctl(path, "0");
    host.kernel.set_sysctl("ipv4/conf/tap10/forwarding", "0");
    host.fib.set_want(sysctl(path, "1"));
    assert_eq!(host.run().len(), 1);
    host.notices();
    host.kernel.delete_link(1);
    host.hear();
    assert!(
        host.notices()
            .contains(&Notice::SysctlUnknown { path: path.into() })
    );
    assert_eq!(host.fib.sysctl(path), None);
    assert_eq!(host.fib.sysctl("ipv4/conf/tap10/forwarding"), Some("0"));
    host.fib.unwant(&sysctl(path, "").key());
    assert_eq!(host.run(), NOTHING);
}
