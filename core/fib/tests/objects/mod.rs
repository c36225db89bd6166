//! Objects in few words, and a driver that plays the shell.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;
use std::time::Duration;

use tapway_fib::sim::Kernel;
use tapway_fib::*;
use tapway_model::{Family, Instant, Prefix};

pub(crate) const OURS: u8 = 112;
pub(crate) const STATIC: u8 = 4;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn address(index: IfIndex, text: &str) -> Object {
    let (addr, len) = text.split_once('/').unwrap();
    Object::Address(Address {
        index,
        addr: ip(addr),
        len: len.parse().unwrap(),
        scope: if addr.starts_with("fe80") { 253 } else { 0 },
        flags: 0,
        protocol: OURS,
    })
}

pub(crate) fn hop(index: IfIndex, via: Option<&str>) -> NextHop {
    NextHop {
        index,
        via: via.map(ip),
        onlink: false,
        weight: 1,
    }
}

pub(crate) fn route(to: &str, metric: u32, next_hops: Vec<NextHop>) -> Object {
    let prefix = prefix(to);
    let direct = next_hops.iter().all(|hop| hop.via.is_none()) && !next_hops.is_empty();
    Object::Route(Route {
        table: 254,
        prefix,
        metric,
        kind: if next_hops.is_empty() {
            RouteKind::Blackhole
        } else {
            RouteKind::Unicast
        },
        scope: if direct && prefix.family() == Family::Ipv4 {
            253
        } else {
            0
        },
        next_hops,
        prefsrc: None,
        protocol: OURS,
    })
}

pub(crate) fn direct(to: &str, index: IfIndex) -> Object {
    route(to, 10, vec![hop(index, None)])
}

pub(crate) fn neighbour(index: IfIndex, addr: &str, last: u8) -> Object {
    Object::Neighbour(Neighbour {
        index,
        addr: ip(addr),
        mac: Some([0x52, 0x54, 0, 0, 0, last]),
        state: 0x80,
        router: false,
        protocol: OURS,
    })
}

pub(crate) fn rule(priority: u32, table: u32) -> Object {
    Object::Rule(Rule {
        family: Family::Ipv4,
        priority,
        table,
        iif: None,
        protocol: OURS,
    })
}

pub(crate) fn sysctl(path: &str, value: &str) -> Object {
    Object::Sysctl(Sysctl {
        path: path.into(),
        value: value.into(),
    })
}

pub(crate) fn protocol(object: &Object) -> u8 {
    match object {
        Object::Sysctl(_) => 0,
        Object::Address(a) => a.protocol,
        Object::Rule(r) => r.protocol,
        Object::Route(r) => r.protocol,
        Object::Neighbour(n) => n.protocol,
    }
}

/// The same object, put there by somebody else.
pub(crate) fn foreign(mut object: Object) -> Object {
    match &mut object {
        Object::Sysctl(_) => {}
        Object::Address(a) => a.protocol = 0,
        Object::Rule(r) => r.protocol = STATIC,
        Object::Route(r) => r.protocol = STATIC,
        Object::Neighbour(n) => n.protocol = 0,
    }
    object
}

/// A reconciler and a kernel, joined without delay.
pub(crate) struct Host {
    pub(crate) fib: Fib,
    pub(crate) kernel: Kernel,
    pub(crate) now: Instant,
}

impl Host {
    /// With links 1, 2, 3 (tap1, tap2, tap3), up and with carrier, and a first scan done.
    pub(crate) fn new() -> Host {
        let mut host = Host::unscanned();
        host.scan();
        host.fib.allow_prune();
        host.notices();
        host
    }

    pub(crate) fn unscanned() -> Host {
        let mut kernel = Kernel::new();
        for n in 1..=3 {
            let index = kernel.add_link(format!("tap{n}").parse().unwrap());
            kernel.set_up(index, true);
            kernel.set_carrier(index, true);
        }
        while kernel.poll_event().is_some() {}
        Host {
            fib: Fib::new(OURS),
            kernel,
            now: Instant::from_nanos(1_000_000_000),
        }
    }

    pub(crate) fn scan(&mut self) {
        for event in self.kernel.scan() {
            self.fib.handle_event(self.now, event);
        }
    }

    /// Delivers what waits.
    pub(crate) fn hear(&mut self) {
        while let Some(event) = self.kernel.poll_event() {
            self.fib.handle_event(self.now, event);
        }
    }

    /// Delivers and applies until nothing moves; the changes as command lines.
    pub(crate) fn run(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            self.hear();
            let Some(batch) = self.fib.poll_batch(self.now, 64) else {
                return lines;
            };
            let mut outcomes = Vec::new();
            for change in &batch.changes {
                lines.push(self.fib.command(change).to_string());
                outcomes.push(self.kernel.apply(change));
            }
            self.fib.handle_outcomes(self.now, batch.id, &outcomes);
        }
    }

    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.fib.poll_notice()).collect()
    }

    pub(crate) fn later(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    pub(crate) fn has(&self, object: &Object) -> bool {
        self.kernel
            .object(&object.key())
            .is_some_and(|o| protocol(o) == protocol(object))
    }
}
