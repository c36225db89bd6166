//! Forwarding, and what turning it on would break.
//!
//! `net.ipv6.conf.all.forwarding = 1` makes the kernel a router, and a router ignores router
//! advertisements and drops the default routes learned from them, unless `accept_ra` of the interface is 2
//! (`Documentation/networking/ip-sysctl.rst`). So interfaces that hold such a default, and those towards
//! peers, where one may be learned later, get 2 in the place of 1 first, and forwarding is asked for when
//! the kernel has confirmed that. Guests' interfaces never do: a guest is no router for the host.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tapway_fib::{Fib, Key, Object, Sysctl};
use tapway_model::{Family, IfName};

/// `RTPROT_RA` in `linux/rtnetlink.h`.
const RTPROT_RA: u8 = 9;

/// The sysctl that forwards IPv4.
pub(crate) const IPV4: &str = "ipv4/conf/all/forwarding";
/// The sysctl that forwards IPv6.
pub(crate) const IPV6: &str = "ipv6/conf/all/forwarding";

/// Sysctls asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    needed: bool,
    /// Values of `accept_ra` that were asked for; what is still unknown after the answer does not exist.
    watched: BTreeSet<String>,
    unanswered: bool,
    accept_ra: BTreeSet<Key>,
}

impl Forwarding {
    /// Somebody needs forwarding. It stays until `Fib::release`.
    pub(crate) fn need(&mut self, fib: &mut Fib) -> bool {
        let first = !self.needed;
        if first {
            self.needed = true;
            fib.set_want(sysctl(IPV4, "1"));
        }
        first
    }

    /// Every value that was asked for is known, or does not exist. True when that is news.
    pub(crate) fn answered(&mut self) -> bool {
        core::mem::take(&mut self.unanswered)
    }

    /// Goes as far as the kernel's answers allow. Returns sysctls to watch: paths below `/proc/sys/net`.
    pub(crate) fn update(&mut self, uplinks: &BTreeSet<IfName>, fib: &mut Fib) -> Vec<String> {
        if !self.needed {
            return Vec::new();
        }
        let mut ask = Vec::new();
        let mut names = ra_interfaces(fib);
        names.extend(
            uplinks
                .iter()
                .filter(|name| fib.link_named(name).is_some())
                .cloned(),
        );
        self.forget_gone(fib);
        for name in names {
            let path = format!("ipv6/conf/{name}/accept_ra");
            match fib.sysctl(&path) {
                Some("1") => {
                    let object = sysctl(&path, "2");
                    if self.accept_ra.insert(object.key()) {
                        fib.set_want(object);
                    }
                }
                Some(_) => {}
                None if self.watched.insert(path.clone()) => {
                    self.unanswered = true;
                    ask.push(path);
                }
                None => {}
            }
        }
        if !self.unanswered && self.accept_ra.iter().all(|key| fib.in_sync(key)) {
            fib.set_want(sysctl(IPV6, "1"));
        }
        ask
    }

    /// An interface that is gone takes its sysctls along; a new one of its name has its own.
    fn forget_gone(&mut self, fib: &mut Fib) {
        let gone = |path: &str, fib: &Fib| {
            let name = path
                .split('/')
                .nth(2)
                .and_then(|name| IfName::new(name).ok());
            name.is_none_or(|name| fib.link_named(&name).is_none())
        };
        self.watched.retain(|path| !gone(path, fib));
        let keys: Vec<Key> = self.accept_ra.iter().cloned().collect();
        for key in keys {
            if matches!(&key, Key::Sysctl(path) if gone(path, fib)) {
                fib.unwant(&key);
                self.accept_ra.remove(&key);
            }
        }
    }

    /// Whether a confirmed object is one that this waits for.
    pub(crate) fn waits_for(&self, key: &Key) -> bool {
        self.accept_ra.contains(key)
    }
}

fn ra_interfaces(fib: &Fib) -> BTreeSet<IfName> {
    fib.foreign_defaults(Family::Ipv6)
        .filter(|route| route.protocol == RTPROT_RA)
        .flat_map(|route| route.next_hops.iter())
        .filter_map(|hop| fib.link(hop.index))
        .map(|link| link.name.clone())
        .collect()
}

fn sysctl(path: &str, value: &str) -> Object {
    Object::Sysctl(Sysctl {
        path: path.to_string(),
        value: value.to_string(),
    })
}
