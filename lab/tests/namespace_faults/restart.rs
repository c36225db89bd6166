//! What a stop, a crash and a shutdown leave in the kernel, and who may start beside whom.

use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use serde_json::json;
use tapway_lab::{Netns, Recorder, Tapwayd, wait_for};

use crate::bed::{Bed, SOON};

/// What nobody may touch.
const RECORDED: [&str; 7] = [
    "link", "address", "route", "rule", "neigh", "netconf", "nexthop",
];

fn everything(bed: &Bed) -> String {
    [
        "-4 route show table all proto 112",
        "-6 route show table all proto 112",
        "address show",
        "neigh show nud permanent",
        "-4 rule show",
        "-6 rule show",
    ]
    .map(|what| {
        let lines = bed.host.ip(what);
        format!("# {}\n{lines}", what.trim_end_matches(" proto 112"))
    })
    .concat()
}

fn busy() -> Bed {
    let bed = Bed::with(json!({"network": {"blue": {"table": 90}}}), &[]);
    bed.plug("tap0");
    bed.plug("tap1");
    bed.guest(
        "tap0",
        &["203.0.113.1", "2001:db8:77::1", "2001:db8:78::/64"],
    );
    bed.tapwayd.put_text(
        "tap1",
        "name = \"tap1\"\n[[nic]]\ninterface = \"tap1\"\nnetwork = \"blue\"\naddresses = [\"192.0.2.90\"]\nroutes = [\"192.0.2.96/28\"]\n\
         [[claim]]\nowner = \"host\"\nprefix = \"192.0.2.53/32\"\n",
    );
    bed.announces(&ANNOUNCED);
    bed
}

const ANNOUNCED: [&str; 6] = [
    "203.0.113.1/32",
    "2001:db8:77::1/128",
    "2001:db8:78::/64",
    "192.0.2.90/32",
    "192.0.2.96/28",
    "192.0.2.53/32",
];

/// Restarts the daemon in `how` and proves that the kernel was not touched.
fn restart_is_silent(how: impl FnOnce(&mut Bed)) {
    let mut bed = busy();
    let before = everything(&bed);
    let sysctls = || {
        [
            "net/ipv4/conf/all/forwarding",
            "net/ipv6/conf/all/forwarding",
        ]
        .map(|p| bed.host.read_sysctl(p))
    };
    assert_eq!(sysctls(), ["1", "1"]);
    let recorder = Recorder::start(&bed.host, &RECORDED);
    how(&mut bed);
    bed.tapwayd.wait_established(SOON);
    bed.announces(&ANNOUNCED);
    // Past the grace: leftovers would be pruned now.
    wait_for(SOON, "the grace is over", || {
        let status = bed.tapwayd.status();
        if status.grace_left_s.is_none() && status.warm_start {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
    let heard = recorder.end(&bed.host);
    let touched: Vec<&String> = heard
        .iter()
        .filter(|line| {
            let ours = [
                "112",
                "tap0",
                "tap1",
                "203.0.113",
                "169.254.0.1",
                "forwarding",
                "lookup 90",
                "table 90",
            ];
            // The kernel itself may learn that a guest's neighbour is stale; permanent ones are ours.
            ours.iter().any(|o| line.contains(o))
                && (!line.contains("lladdr") || line.contains("PERMANENT"))
        })
        .collect();
    assert!(touched.is_empty(), "the kernel was touched: {touched:#?}");
    assert_eq!(everything(&bed), before);
}

#[test]
fn a_crash_leaves_the_kernel_alone() {
    restart_is_silent(Bed::crash);
}

#[test]
fn a_stop_leaves_the_kernel_alone() {
    restart_is_silent(|bed| {
        bed.tapwayd.stop();
        bed.tapwayd.restart(&bed.host);
    });
}

#[test]
fn the_recorder_sees_what_is_touched() {
    let bed = busy();
    let recorder = Recorder::start(&bed.host, &RECORDED);
    bed.tapwayd.delete("tap1");
    bed.announces(&ANNOUNCED[..3]);
    bed.wired_in("90", &[]);
    let heard = recorder.end(&bed.host).join("\n");
    for text in ["192.0.2.90 dev tap1", "192.0.2.53", "proto 112"] {
        assert!(heard.contains(text), "no {text} in {heard}");
    }
}

#[test]
fn shutdown_takes_all_of_ours_and_nothing_else() {
    let mut bed = busy();
    bed.host
        .ip_batch("route add blackhole 198.18.0.0/15\naddress add 203.0.113.250/32 dev tap0\n");
    bed.host.ip("rule add priority 29999 lookup 91 protocol 4");
    let answer = bed.tapwayd.tapway(&["shutdown", "--message", "moved away"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(bed.tapwayd.process().expect("started").wait(SOON).success());
    bed.announces(&[]);
    let left = everything(&bed);
    for ours in [
        "proto 112",
        "169.254.0.1",
        "fe80::1/",
        "203.0.113.1 ",
        "192.0.2.53",
        "lookup 90",
    ] {
        assert!(!left.contains(ours), "{ours} is left in {left}");
    }
    for foreign in ["203.0.113.250", "29999"] {
        assert!(left.contains(foreign), "{foreign} is gone from {left}");
    }
    assert_eq!(bed.host.routes("198.18.0.0/15").len(), 1);
    for path in [
        "net/ipv4/conf/all/forwarding",
        "net/ipv6/conf/all/forwarding",
    ] {
        assert_eq!(bed.host.read_sysctl(path), "0", "{path}");
    }
    // The next start is a cold one, and all comes back.
    bed.tapwayd.restart(&bed.host);
    assert!(!bed.tapwayd.status().warm_start);
    bed.announces(&ANNOUNCED);
}

#[test]
fn a_second_daemon_names_the_first() {
    let mut bed = Bed::new();
    let pid = bed.tapwayd.process().expect("it runs").pid();
    assert_eq!(bed.tapwayd.status().pid, pid);

    let refused = |second: &mut Tapwayd, ns: &Netns| {
        second.launch(ns);
        let status = second.process().expect("started").wait(SOON);
        assert_eq!(status.code(), Some(1));
        second.log()
    };
    // The same protocol number in one namespace.
    let mut second = Tapwayd::prepare(&bed.host, Bed::config(json!({})));
    let log = refused(&mut second, &bed.host);
    let said = format!("another tapwayd (pid {pid}) owns kernel objects with protocol number 112");
    assert!(log.contains(&said), "{log}");

    // The same state directory, from another namespace.
    let other = Netns::new("other");
    let mut third = Tapwayd::prepare(&other, Bed::config(json!({})));
    std::fs::remove_dir_all(third.state()).ok();
    std::os::unix::fs::symlink(bed.tapwayd.state(), third.state()).expect("a symbolic link");
    let log = refused(&mut third, &other);
    assert!(
        log.contains(&format!("pid {pid}")) && names(&log, &third.state()),
        "{log}"
    );

    // Another number gets along.
    let mut fourth = Tapwayd::prepare(
        &bed.host,
        json!({"router": {"asn": 64613, "router_id": "192.0.2.12", "protocol": 113}}),
    );
    fourth.restart(&bed.host);
    assert!(bed.tapwayd.is_running());
    assert_eq!(bed.tapwayd.status().pid, pid);
}

fn names(log: &str, path: &Path) -> bool {
    log.contains(&path.display().to_string())
}

#[test]
fn a_stranger_on_the_socket_of_the_lock_keeps_no_daemon_from_starting() {
    let host = Netns::new("host");
    // Somebody has the name, and takes no connections: asking who it is would wait for ever.
    let held = host.run_in(|| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let name = SocketAddrUnix::new_abstract_name(b"tapwayd/protocol/112").expect("a name");
        let mut held = vec![socket().expect("a socket")];
        rustix::net::bind(&held[0], &name).expect("the name is free");
        rustix::net::listen(&held[0], 0).expect("it listens");
        loop {
            held.push(socket().expect("a socket"));
            if rustix::net::connect(held.last().expect("one"), &name).is_err() {
                return held;
            }
        }
    });
    let config = || Bed::config(json!({}));
    let mut first = Tapwayd::start(&host, config());
    first.logs("it is ignored");
    // The lock holds all the same.
    let pid = first.status().pid;
    let mut second = Tapwayd::prepare(&host, config());
    second.launch(&host);
    let status = second.process().expect("started").wait(SOON);
    assert_eq!(status.code(), Some(1));
    let said = format!("another tapwayd (pid {pid}) owns kernel objects");
    assert!(second.log().contains(&said), "{}", second.log());
    assert!(first.is_running());
    drop(held);
}

#[test]
fn a_disabled_peer_hears_nothing_from_a_start() {
    let mut bed = Bed::new();
    let disabled = bed.tapwayd.tapway(&["peer", "disable", "tor"]);
    assert_eq!(disabled.code, 0, "{disabled:?}");
    bed.tapwayd.stop();
    let heard = |bed: &Bed| {
        let text = bed
            .tor
            .run_in(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
        let text = text.expect("counters");
        let tcp = text.lines().rfind(|line| line.starts_with("Tcp:"));
        let segments = tcp.and_then(|line| line.split(' ').nth(10).map(str::to_owned));
        segments.expect("InSegs")
    };
    // The end of the session before may still be on its way: what is compared begins after it.
    let sockets = || bed.tor.exec("ss -Htan state connected").trim().to_owned();
    wait_for(SOON, "no connection is left", || {
        let left: Vec<String> = sockets()
            .lines()
            .filter(|line| !line.starts_with("TIME-WAIT"))
            .map(str::to_owned)
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    let before = heard(&bed);
    bed.tapwayd.restart(&bed.host);
    wait_for(SOON, "it has settled", || {
        let status = bed.tapwayd.status();
        let peers = &status.peers;
        if status.grace_left_s.is_none() && peers.disabled == 1 {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
    assert_eq!(heard(&bed), before);
    let enabled = bed.tapwayd.tapway(&["peer", "enable", "tor"]);
    assert_eq!(enabled.code, 0, "{enabled:?}");
    bed.tapwayd.wait_established(SOON);
}
