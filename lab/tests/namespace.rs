//! The laboratory's own tools, in namespaces.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tapway_lab::{Netns, Pinger, Proc, veth, wait_for};

const SOON: Duration = Duration::from_secs(10);

fn pair() -> (Netns, Netns) {
    let (a, b) = (Netns::new("a"), Netns::new("b"));
    veth(&a, "eth0", &b, "eth1");
    for (ns, interface, v4, v6) in [
        (&a, "eth0", "198.51.100.1/24", "2001:db8:1::1/64"),
        (&b, "eth1", "198.51.100.2/24", "2001:db8:1::2/64"),
    ] {
        ns.address(interface, v4);
        ns.address(interface, v6);
    }
    (a, b)
}

#[test]
fn a_namespace_goes_with_all_that_runs_in_it() {
    let ns = Netns::new("gone");
    let (name, path) = (ns.name().to_string(), ns.path());
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut sleeper = Proc::spawn("sleep", ns.command("sleep").arg("1000"), log.path());
    let pid = sleeper.pid();
    wait_for(SOON, "sleep runs in the namespace", || {
        let pids = ns.pids();
        if pids == [pid] {
            Ok(())
        } else {
            Err(format!("{pids:?}"))
        }
    });
    assert!(Netns::list().contains(&name));
    drop(ns);
    assert!(!path.exists());
    assert!(!sleeper.wait(SOON).success());
}

#[test]
fn a_panic_cleans_up() {
    let (tell, told) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let ns = Netns::new("panic");
        let log = tempfile::NamedTempFile::new().unwrap();
        let sleeper = Proc::spawn("sleep", ns.command("sleep").arg("1000"), log.path());
        tell.send((ns.path(), sleeper.pid())).unwrap();
        std::panic::resume_unwind(Box::new("as intended"));
    });
    let (path, pid) = told.recv().unwrap();
    assert!(panicked.join().is_err());
    assert!(!path.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn what_a_killed_test_left_is_swept() {
    // The name that a test with the highest process id there can be would have given it.
    let stale = "tw-4194305-0-stale";
    let made = std::process::Command::new("ip")
        .args(["netns", "add", stale])
        .status()
        .unwrap();
    assert!(made.success());
    // The sweep is done once per process, so another one has to make a namespace.
    let me = std::env::current_exe().unwrap();
    let swept = std::process::Command::new(me)
        .args(["--exact", "a_panic_cleans_up"])
        .output()
        .unwrap();
    assert!(swept.status.success(), "{swept:?}");
    assert!(!Netns::list().contains(&stale.to_string()));
}

#[test]
fn closures_and_sysctls_stay_inside() {
    let ns = Netns::new("in");
    ns.sysctl("net/ipv4/ip_default_ttl", "77");
    assert_eq!(ns.read_sysctl("net/ipv4/ip_default_ttl"), "77");
    let outside = std::fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    assert_ne!(outside.trim(), "77");
    let inside = ns.run_in(|| std::net::TcpListener::bind(("127.0.0.1", 179)).unwrap());
    drop(inside);
}

#[test]
fn links_of_every_kind() {
    let (a, _b) = pair();
    a.bridge("br0");
    a.tap("tap0");
    a.link_set("tap0", "master br0");
    a.ip_batch("link set lo mtu 9000\nroute add 203.0.113.0/24 via 198.51.100.2 proto 112\n");
    assert_eq!(
        a.routes("proto 112"),
        ["203.0.113.0/24 via 198.51.100.2 dev eth0"]
    );
    assert!(a.ifindex("tap0") > 1);
    assert_eq!(a.mac("eth0").len(), 17);
    assert!(a.link_local("eth0").is_unicast_link_local());
    a.link_del("br0");
}

#[test]
fn the_ping_counts_every_loss() {
    let (a, b) = pair();
    for (target, address, dev) in [
        ("198.51.100.2", "198.51.100.2/24", "eth1"),
        ("2001:db8:1::2", "2001:db8:1::2/64", "eth1"),
    ] {
        let target: IpAddr = target.parse().unwrap();
        let ping = Pinger::start(&a, target);
        let answered = |ping: &Pinger, n: usize| {
            let before = ping.answered();
            wait_for(SOON, format!("{n} more answers from {target}"), || {
                let now = ping.answered();
                if now >= before + n { Ok(()) } else { Err(now) }
            });
        };
        answered(&ping, 20);
        assert_eq!(ping.lost(), 0);
        b.ip(&format!("address del {address} dev {dev}"));
        wait_for(SOON, "ten are lost", || {
            let lost = ping.lost();
            if lost >= 10 { Ok(()) } else { Err(lost) }
        });
        b.address(dev, address);
        answered(&ping, 20);
        let report = ping.stop();
        assert!(report.lost.len() >= 10, "{report}");
        assert_eq!(report.duplicates, 0);
        let gap = Duration::from_millis(10) * u32::try_from(report.lost.len()).unwrap();
        assert!(
            report.longest_gap >= gap - Duration::from_millis(10),
            "{report}"
        );
        // Losses of one outage follow each other.
        let (first, last) = (report.lost.first().unwrap(), report.lost.last().unwrap());
        assert_eq!(
            last.sequence - first.sequence + 1,
            report.lost.len() as u64,
            "{report}"
        );
    }
}
