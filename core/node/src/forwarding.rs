//! Forwarding, and what turning it on would break.
//!
//! `net.ipv6.conf.all.forwarding = 1` makes the kernel a router, and a router ignores router
//! advertisements and drops the default routes learned from them, unless `accept_ra` of the interface is 2
//! (`Documentation/networking/ip-sysctl.rst`). So interfaces that hold such a default get 2 first, and
//! forwarding is asked for when the kernel has confirmed that.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use tapway_fib::{Fib, Key, Object, Sysctl};
use tapway_model::Family;

/// `RTPROT_RA` in `linux/rtnetlink.h`.
const RTPROT_RA: u8 = 9;

/// The sysctl that forwards IPv4.
pub(crate) const IPV4: &str = "ipv4/conf/all/forwarding";
/// The sysctl that forwards IPv6.
pub(crate) const IPV6: &str = "ipv6/conf/all/forwarding";

/// Sysctls asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    wanted: bool,
    accept_ra: BTreeSet<Key>,
    asked: bool,
}

impl Forwarding {
    /// Asks for forwarding once somebody needs it; it stays until `Fib::release`.
    pub(crate) fn need(&mut self, fib: &mut Fib) {
        self.wanted = true;
        self.update(fib);
    }

    /// Goes on where the kernel's answer let it stop.
    pub(crate) fn update(&mut self, fib: &mut Fib) {
        if !self.wanted || self.asked {
            return;
        }
        if self.accept_ra.is_empty() {
            fib.set_want(sysctl(IPV4, "1"));
        }
        for name in ra_interfaces(fib) {
            let object = sysctl(&format!("ipv6/conf/{name}/accept_ra"), "2");
            if self.accept_ra.insert(object.key()) {
                fib.set_want(object);
            }
        }
        if self.accept_ra.iter().all(|key| fib.in_sync(key)) {
            fib.set_want(sysctl(IPV6, "1"));
            self.asked = true;
        }
    }

    /// Whether a confirmed object is one that this waits for.
    pub(crate) fn waits_for(&self, key: &Key) -> bool {
        !self.asked && self.accept_ra.contains(key)
    }
}

fn ra_interfaces(fib: &Fib) -> BTreeSet<String> {
    fib.foreign_defaults(Family::Ipv6)
        .filter(|route| route.protocol == RTPROT_RA)
        .flat_map(|route| route.next_hops.iter())
        .filter_map(|hop| fib.link(hop.index))
        .map(|link| link.name.as_str().to_string())
        .collect()
}

fn sysctl(path: &str, value: &str) -> Object {
    Object::Sysctl(Sysctl {
        path: path.to_string(),
        value: value.to_string(),
    })
}
