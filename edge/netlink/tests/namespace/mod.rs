//! A network namespace for one test: made by a thread that enters a new one, gone with its sockets
//! when the thread ends, however the test ends. Nothing here touches the namespace of the test runner.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant as Clock};

use tapway_fib::{
    Address, Change, IfIndex, KernelEvent, Neighbour, NextHop, Object, Outcome, Route, RouteKind,
    Rule,
};
use tapway_model::{Family, IfName, Instant, Prefix};
use tapway_netlink::{Monitor, MonitorConfig, Writer};

/// Our protocol number in the tests.
pub const OURS: u8 = 112;

/// The inside of a namespace: lo, and a veth pair `a0`, `a1`, all up.
pub struct Namespace {
    pub writer: Writer,
    pub a0: IfIndex,
    pub a1: IfIndex,
}

/// Runs a test inside. Fails when this is not possible, unless `TAPWAY_TEST_UNPRIVILEGED=1` is set.
pub fn run(test: impl FnOnce(&mut Namespace) + Send) {
    tapway_sys::netns::for_test(|| {
        ip("link set lo up");
        ip("link add a0 type veth peer name a1");
        for name in ["a0", "a1"] {
            // No duplicate address detection, no router solicitations, no generated addresses.
            tapway_sys::sysctl::write(&format!("ipv6/conf/{name}/accept_dad"), "0")
                .expect("sysctl");
            tapway_sys::sysctl::write(&format!("ipv6/conf/{name}/addr_gen_mode"), "1")
                .expect("sysctl");
            ip(&format!("link set {name} up"));
        }
        let mut namespace = Namespace {
            writer: Writer::open().expect("writer"),
            a0: index("a0"),
            a1: index("a1"),
        };
        test(&mut namespace);
    });
}

/// Runs `ip` with many commands, a line each.
pub fn ip_batch(commands: &str) {
    let mut writer = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip is installed");
    let mut input = writer.stdin.take().expect("a pipe");
    input.write_all(commands.as_bytes()).expect("ip reads");
    drop(input);
    assert!(writer.wait().expect("ip ends").success());
}

impl Namespace {
    /// Applies changes that must all succeed.
    pub fn done(&mut self, changes: &[Change]) {
        for (change, outcome) in changes.iter().zip(self.writer.apply(changes)) {
            assert_eq!(outcome, Outcome::Done, "{change:?}");
        }
    }

    /// Applies a change that must fail.
    pub fn refused(&mut self, change: Change) -> (i32, String) {
        match self.writer.apply(std::slice::from_ref(&change)).remove(0) {
            Outcome::Done => panic!("{change:?} was not refused"),
            Outcome::Failed { errno, message } => (errno, message.unwrap_or_default()),
        }
    }

    /// A monitor that has done its first scan, and what that told.
    pub fn monitor(&self) -> (Watch, Vec<KernelEvent>) {
        let config = MonitorConfig::new(OURS, self.writer.port());
        let mut watch = Watch {
            monitor: Monitor::open(config).expect("monitor"),
            now: Instant::from_nanos(1),
        };
        let events = watch.read();
        assert!(
            events.contains(&KernelEvent::ScanBegin)
                && events.last() == Some(&KernelEvent::ScanEnd),
            "{events:?}"
        );
        (watch, events)
    }

    /// Everything of ours that is there, as a scan tells it.
    pub fn ours(&self) -> Vec<Object> {
        let (_, events) = self.monitor();
        events
            .into_iter()
            .filter_map(|e| match e {
                KernelEvent::Present(object) if protocol(&object) == OURS => Some(object),
                _ => None,
            })
            .collect()
    }
}

pub fn protocol(object: &Object) -> u8 {
    match object {
        Object::Sysctl(_) => 0,
        Object::Address(a) => a.protocol,
        Object::Rule(r) => r.protocol,
        Object::Route(r) => r.protocol,
        Object::Neighbour(n) => n.protocol,
    }
}

/// A monitor and a clock that only we advance.
pub struct Watch {
    pub monitor: Monitor,
    pub now: Instant,
}

impl Watch {
    /// All that is there to read now, and the whole of a scan that is under way.
    pub fn read(&mut self) -> Vec<KernelEvent> {
        let mut poller = tapway_sys::poll::Poller::new().expect("epoll");
        poller
            .add(&self.monitor, 0, tapway_sys::poll::Interest::READ)
            .expect("epoll");
        let mut events = Vec::new();
        loop {
            let status = self.monitor.read(self.now, 256, &mut events).expect("read");
            if !status.more && !self.monitor.scanning() {
                return events;
            }
            if !status.more {
                let mut ready = Vec::new();
                poller
                    .wait(Some(Duration::from_secs(10)), &mut ready)
                    .expect("epoll");
                assert!(!ready.is_empty(), "the scan does not go on: {events:?}");
            }
        }
    }

    /// All that is there to read now but links: the kernel tells of a link's state in its own time.
    pub fn objects(&mut self) -> Vec<KernelEvent> {
        let mut events = self.read();
        events.retain(|event| !matches!(event, KernelEvent::Link(_)));
        events
    }

    /// Reads until an event is there that `wanted` accepts; for what the kernel does in its own time.
    pub fn until(&mut self, wanted: impl Fn(&KernelEvent) -> bool) -> Vec<KernelEvent> {
        let deadline = Clock::now() + Duration::from_secs(10);
        let mut poller = tapway_sys::poll::Poller::new().expect("epoll");
        poller
            .add(&self.monitor, 0, tapway_sys::poll::Interest::READ)
            .expect("epoll");
        let mut events = Vec::new();
        loop {
            events.extend(self.read());
            if events.iter().any(&wanted) {
                return events;
            }
            let left = deadline.saturating_duration_since(Clock::now());
            assert!(
                !left.is_zero(),
                "what was waited for did not come: {events:#?}"
            );
            poller.wait(Some(left), &mut Vec::new()).expect("epoll");
        }
    }
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip is installed");
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

pub fn index(name: &str) -> IfIndex {
    let text =
        std::fs::read_to_string(format!("/proc/thread-self/net/dev_snmp6/{name}")).expect("link");
    text.lines()
        .find_map(|line| line.strip_prefix("ifIndex"))
        .and_then(|number| number.trim().parse().ok())
        .expect("index")
}

pub fn prefix(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

/// A route to `to`; `via` is empty for on-link.
pub fn route(to: &str, metric: u32, hops: &[(IfIndex, &str)]) -> Route {
    let prefix = prefix(to);
    let mut next_hops: Vec<NextHop> = hops
        .iter()
        .map(|(index, via)| NextHop {
            index: *index,
            via: (!via.is_empty()).then(|| via.parse().expect("address")),
            onlink: false,
            weight: 1,
        })
        .collect();
    next_hops.sort();
    let on_link_v4 =
        prefix.family() == Family::Ipv4 && next_hops.iter().all(|hop| hop.via.is_none());
    Route {
        table: 254,
        prefix,
        metric,
        kind: if hops.is_empty() {
            RouteKind::Blackhole
        } else {
            RouteKind::Unicast
        },
        scope: if on_link_v4 && !hops.is_empty() {
            253
        } else {
            0
        },
        next_hops,
        prefsrc: None,
        protocol: OURS,
    }
}

pub fn address(index: IfIndex, addr: &str, len: u8) -> Address {
    let addr: std::net::IpAddr = addr.parse().expect("address");
    let link_local = matches!(addr, std::net::IpAddr::V6(a) if a.is_unicast_link_local());
    Address {
        index,
        addr,
        len,
        scope: if link_local { 253 } else { 0 },
        // Permanent; for IPv6 without duplicate address detection, so that it is not tentative.
        flags: if addr.is_ipv6() { 0x82 } else { 0x80 },
        protocol: OURS,
    }
}

pub fn neighbour(index: IfIndex, addr: &str, last: u8) -> Neighbour {
    Neighbour {
        index,
        addr: addr.parse().expect("address"),
        mac: Some([0x52, 0x54, 0, 0, 0, last]),
        state: 0x80,
        router: false,
        protocol: OURS,
    }
}

pub fn rule(family: Family, priority: u32, table: u32, iif: Option<&str>) -> Rule {
    Rule {
        family,
        priority,
        table,
        iif: iif.map(|name| IfName::new(name).expect("name")),
        protocol: OURS,
    }
}

pub fn add_route(route: &Route) -> Change {
    Change::Add(Object::Route(route.clone()))
}
