//! A small kernel to test against: links, addresses, rules, routes, neighbours, sysctls, and what
//! Linux does to one when another goes, told or untold (measured on Linux 6.18).
//!
//! [`Kernel::apply`] is our own writer: its messages are dropped, as the shell drops those of its own
//! socket, but side effects are told. [`Kernel::put`], [`Kernel::replace`] and [`Kernel::delete`] are
//! other programs. Messages wait in a queue until [`Kernel::poll_event`], or are lost by
//! [`Kernel::lose_events`]. It has no clock and no randomness.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

use tapway_model::{Family, IfName, Prefix};

use crate::compare::normal;
use crate::{
    Address, Change, IfIndex, KernelEvent, Key, Link, NextHop, Object, Outcome, Route, RouteKind,
    RouteList, RouteSearch, Sysctl, is_link_local,
};

/// No such file or directory.
pub const ENOENT: i32 = 2;
/// No such process: no such route.
pub const ESRCH: i32 = 3;
/// File exists: something has this key.
pub const EEXIST: i32 = 17;
/// No such device.
pub const ENODEV: i32 = 19;
/// Invalid argument: the preferred source is not an address of this host.
pub const EINVAL: i32 = 22;
/// Cannot assign requested address: no such address.
pub const EADDRNOTAVAIL: i32 = 99;
/// Network is down: the link of a way out is.
pub const ENETDOWN: i32 = 100;
/// Network is unreachable: the gateway is not on-link.
pub const ENETUNREACH: i32 = 101;
/// No route to host: an `unreachable` route.
pub const EHOSTUNREACH: i32 = 113;

/// `RT_TABLE_MAIN`
const TABLE_MAIN: u32 = 254;

/// A network namespace of a small Linux.
#[derive(Clone, Debug)]
pub struct Kernel {
    links: BTreeMap<IfIndex, Link>,
    objects: BTreeMap<Key, Object>,
    sysctls: BTreeMap<String, String>,
    /// Ways out of standing routes that lead nowhere now.
    dead: BTreeSet<(Key, IfIndex)>,
    queue: VecDeque<KernelEvent>,
    last_index: IfIndex,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel::new()
    }
}

impl Kernel {
    /// A namespace without links.
    pub fn new() -> Self {
        Kernel {
            links: BTreeMap::new(),
            objects: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            dead: BTreeSet::new(),
            queue: VecDeque::new(),
            last_index: 0,
        }
    }

    /// Makes a link, down and without carrier. Indexes are never used twice.
    pub fn add_link(&mut self, name: IfName) -> IfIndex {
        self.last_index += 1;
        let index = self.last_index;
        let link = Link {
            index,
            name,
            mac: None,
            up: false,
            carrier: false,
            loopback: false,
            master: None,
            kind: None,
            mtu: 1500,
        };
        self.links.insert(index, link.clone());
        self.tell(KernelEvent::Link(link));
        index
    }

    /// Deletes a link and what is on it.
    pub fn delete_link(&mut self, index: IfIndex) {
        self.set_up(index, false);
        let Some(link) = self.links.remove(&index) else {
            return;
        };
        for key in self.keys_on(index) {
            match self.objects.get(&key) {
                Some(Object::Route(route)) => {
                    let route = route.clone();
                    self.cut_route(&key, &route, index);
                }
                Some(Object::Address(_)) => self.drop_address(&key, true),
                _ => self.drop_object(&key, true),
            }
        }
        for room in ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"] {
            let room = format!("{room}/{}/", link.name);
            self.sysctls.retain(|path, _| !path.starts_with(&room));
        }
        self.tell(KernelEvent::LinkGone(index));
    }

    /// IPv4 loses the route, IPv6 only the way out.
    fn cut_route(&mut self, key: &Key, route: &Route, index: IfIndex) {
        self.dead.remove(&(key.clone(), index));
        let mut left = route.next_hops.clone();
        left.retain(|hop| hop.index != index);
        if route.prefix.family() == Family::Ipv4 {
            return self.drop_object(key, false);
        }
        if left.is_empty() {
            return self.drop_object(key, true);
        }
        let rest = normal(Object::Route(Route {
            next_hops: left,
            ..route.clone()
        }));
        self.objects.insert(key.clone(), rest.clone());
        self.tell(KernelEvent::Present(rest));
    }

    /// Sets a link up or down.
    pub fn set_up(&mut self, index: IfIndex, up: bool) {
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        if link.up == up {
            return;
        }
        link.up = up;
        let link = link.clone();
        self.tell(KernelEvent::Link(link));
        if up {
            self.dead.retain(|(_, leg)| *leg != index);
            return;
        }
        self.kill_ways(index, Family::Ipv4);
        for key in self.keys_on(index) {
            if matches!(key, Key::Neighbour(..)) {
                self.drop_object(&key, true);
            }
        }
        self.kill_ways(index, Family::Ipv6);
        for key in self.keys_on(index) {
            if matches!(key, Key::Address(_, IpAddr::V6(_), _)) {
                self.drop_address(&key, true);
            }
        }
    }

    /// Gives a link carrier, or takes it. Its routes stay.
    pub fn set_carrier(&mut self, index: IfIndex, carrier: bool) {
        self.change_link(index, |link| link.carrier = carrier);
    }

    /// Gives a link another name.
    pub fn rename(&mut self, index: IfIndex, name: IfName) {
        self.change_link(index, |link| link.name = name);
    }

    fn change_link(&mut self, index: IfIndex, change: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        let before = link.clone();
        change(link);
        if *link != before {
            let link = link.clone();
            self.tell(KernelEvent::Link(link));
        }
    }

    /// Sets a sysctl as another program does (or as the kernel has it at first), and tells.
    pub fn set_sysctl(&mut self, path: &str, value: &str) {
        self.sysctls.insert(path.into(), value.into());
        let (path, value) = (path.into(), value.into());
        self.tell(KernelEvent::Present(Object::Sysctl(Sysctl { path, value })));
    }

    /// The value of a sysctl.
    pub fn sysctl(&self, path: &str) -> Option<&str> {
        self.sysctls.get(path).map(String::as_str)
    }

    /// Applies one change of ours. The change itself is not told; what follows from it is.
    pub fn apply(&mut self, change: &Change) -> Outcome {
        let result = match change {
            Change::Add(object) => self.insert(object, true, false),
            Change::Replace(object) => self.insert(object, false, false),
            Change::Remove(object) => self.remove(object),
        };
        match result {
            Ok(()) => Outcome::Done,
            Err(errno) => Outcome::Failed {
                errno,
                message: None,
            },
        }
    }

    /// Another program adds an object.
    ///
    /// # Errors
    /// The kernel's `errno`.
    pub fn put(&mut self, object: &Object) -> Result<(), i32> {
        self.insert(object, true, true)
    }

    /// Another program puts an object in the place of whatever has its key.
    ///
    /// # Errors
    /// The kernel's `errno`.
    pub fn replace(&mut self, object: &Object) -> Result<(), i32> {
        self.insert(object, false, true)
    }

    /// Another program deletes an object; whether it was there.
    pub fn delete(&mut self, key: &Key) -> bool {
        let there = self.objects.contains_key(key);
        match key {
            Key::Address(..) => self.drop_address(key, true),
            _ => self.drop_object(key, true),
        }
        there
    }

    fn insert(&mut self, object: &Object, exclusive: bool, told: bool) -> Result<(), i32> {
        if let Object::Sysctl(sysctl) = object {
            let value = self.sysctls.get_mut(&sysctl.path).ok_or(ENOENT)?;
            value.clone_from(&sysctl.value);
            return Ok(());
        }
        let object = normal(object.clone());
        let key = object.key();
        self.check(&object)?;
        if exclusive && self.objects.contains_key(&key) {
            return Err(EEXIST);
        }
        if let Object::Address(address) = &object
            && address.addr.is_ipv4()
            && self.link(address.index).is_some_and(|link| link.up)
        {
            let v4 = |key: &Key| matches!(key, Key::Route(_, p, _) if p.family() == Family::Ipv4);
            self.dead
                .retain(|(key, leg)| *leg != address.index || !v4(key));
        }
        self.dead.retain(|(dead, _)| *dead != key);
        self.objects.insert(key, object.clone());
        if told {
            self.tell(KernelEvent::Present(object));
        }
        Ok(())
    }

    fn check(&self, object: &Object) -> Result<(), i32> {
        match object {
            Object::Sysctl(_) | Object::Rule(_) => Ok(()),
            Object::Neighbour(neighbour) => self.link(neighbour.index).map(drop).ok_or(ENODEV),
            Object::Address(address) => {
                self.link(address.index).ok_or(ENODEV)?;
                let twice = self.addresses().any(|a| {
                    a.index == address.index && a.addr == address.addr && a.len != address.len
                });
                if twice && address.addr.is_ipv6() {
                    Err(EEXIST)
                } else {
                    Ok(())
                }
            }
            Object::Route(route) => self.check_route(route),
        }
    }

    fn check_route(&self, route: &Route) -> Result<(), i32> {
        if let Some(addr) = route.prefsrc
            && !self.addresses().any(|address| address.addr == addr)
        {
            return Err(EINVAL);
        }
        for hop in &route.next_hops {
            let link = self.link(hop.index).ok_or(ENODEV)?;
            if !link.up {
                return Err(ENETDOWN);
            }
            match hop.via {
                Some(via) if !hop.onlink && !self.is_on_link(route.table, hop, &via) => {
                    return Err(ENETUNREACH);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_on_link(&self, table: u32, hop: &NextHop, via: &IpAddr) -> bool {
        is_link_local(via)
            || self.objects.values().any(|object| match object {
                Object::Address(a) => {
                    a.index == hop.index && Prefix::truncated(a.addr, a.len).contains_addr(via)
                }
                Object::Route(r) => {
                    let direct = NextHop {
                        index: hop.index,
                        via: None,
                        onlink: false,
                        weight: 1,
                    };
                    r.table == table && r.prefix.contains_addr(via) && r.next_hops == [direct]
                }
                _ => false,
            })
    }

    fn remove(&mut self, object: &Object) -> Result<(), i32> {
        let object = normal(object.clone());
        let key = object.key();
        let there = self.objects.get(&key);
        match (&object, there) {
            (Object::Address(_), None) => return Err(EADDRNOTAVAIL),
            (Object::Neighbour(_) | Object::Rule(_) | Object::Sysctl(_), None) => {
                return Err(ENOENT);
            }
            (Object::Route(_), None) => return Err(ESRCH),
            // Deletion compares the protocol of routes and rules only.
            (Object::Route(a), Some(Object::Route(b))) if a.protocol != b.protocol => {
                return Err(ESRCH);
            }
            (Object::Rule(a), Some(Object::Rule(b))) if a.protocol != b.protocol => {
                return Err(ENOENT);
            }
            _ => {}
        }
        match key {
            Key::Address(..) => self.drop_address(&key, false),
            _ => self.drop_object(&key, false),
        }
        Ok(())
    }

    fn drop_object(&mut self, key: &Key, told: bool) {
        self.dead.retain(|(dead, _)| dead != key);
        if let Some(object) = self.objects.remove(key)
            && told
        {
            self.tell(KernelEvent::Absent(object));
        }
    }

    /// With the last IPv4 address of a link go its IPv4 routes, untold, and neighbours. With a source
    /// address go the IPv4 routes that prefer it, untold; IPv6 routes forget the preference, untold.
    fn drop_address(&mut self, key: &Key, told: bool) {
        let Key::Address(index, addr, _) = *key else {
            return;
        };
        if !self.objects.contains_key(key) {
            return;
        }
        self.drop_object(key, told);
        let left = self
            .addresses()
            .any(|a| a.index == index && a.addr.is_ipv4());
        if addr.is_ipv4() && !left {
            self.kill_ways(index, Family::Ipv4);
            for key in self.keys_on(index) {
                if matches!(key, Key::Neighbour(_, IpAddr::V4(_))) {
                    self.drop_object(&key, true);
                }
            }
        }
        if self.addresses().any(|address| address.addr == addr) {
            return;
        }
        let mut lost = Vec::new();
        for (key, object) in &mut self.objects {
            if let Object::Route(route) = object
                && route.prefsrc == Some(addr)
            {
                route.prefsrc = None;
                lost.push(key.clone());
            }
        }
        if addr.is_ipv4() {
            for key in lost {
                self.drop_object(&key, false);
            }
        }
    }

    /// Routes through a link lose that way out, and go when it was the last. IPv6 tells, IPv4 does not.
    fn kill_ways(&mut self, index: IfIndex, family: Family) {
        for key in self.keys_on(index) {
            let Some(Object::Route(route)) = self.objects.get(&key) else {
                continue;
            };
            if route.prefix.family() != family {
                continue;
            }
            self.dead.insert((key.clone(), index));
            let gone = |hop: &NextHop| self.dead.contains(&(key.clone(), hop.index));
            if route.next_hops.iter().all(gone) {
                self.drop_object(&key, family == Family::Ipv6);
            }
        }
    }

    fn keys_on(&self, index: IfIndex) -> Vec<Key> {
        let on = |object: &Object| match object {
            Object::Address(a) => a.index == index,
            Object::Neighbour(n) => n.index == index,
            Object::Route(r) => {
                r.kind == RouteKind::Unicast && r.next_hops.iter().any(|hop| hop.index == index)
            }
            Object::Sysctl(_) | Object::Rule(_) => false,
        };
        self.objects
            .iter()
            .filter(|(_, o)| on(o))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn tell(&mut self, event: KernelEvent) {
        self.queue.push_back(event);
    }

    /// The next message to our monitor.
    pub fn poll_event(&mut self) -> Option<KernelEvent> {
        self.queue.pop_front()
    }

    /// How many messages wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The monitor's buffer overflows: what waits is lost, and only that is told.
    pub fn lose_events(&mut self) {
        self.queue.clear();
        self.tell(KernelEvent::Overrun);
    }

    /// What a scan would read now, from its beginning to its end.
    pub fn scan(&self) -> Vec<KernelEvent> {
        let mut lines = alloc::vec![KernelEvent::ScanBegin];
        lines.extend(self.links.values().cloned().map(KernelEvent::Link));
        lines.extend(self.objects.values().cloned().map(KernelEvent::Present));
        lines.extend(self.sysctls.iter().map(|(path, value)| {
            let (path, value) = (path.clone(), value.clone());
            KernelEvent::Present(Object::Sysctl(Sysctl { path, value }))
        }));
        lines.push(KernelEvent::ScanEnd);
        lines
    }

    /// Which route packets to `addr` would take, as `ip route get fibmatch` says it: the longest prefix of table main, the
    /// smallest metric. `None`: an address of this host.
    ///
    /// # Errors
    /// The kernel's `errno` when they are refused.
    pub fn lookup(&self, addr: IpAddr) -> Result<Option<Route>, i32> {
        if self.addresses().any(|own| own.addr == addr) {
            return Ok(None);
        }
        let routes = self.objects.values().filter_map(|object| match object {
            Object::Route(route) => Some(route),
            _ => None,
        });
        let taken = routes
            .filter(|route| route.table == TABLE_MAIN && route.prefix.contains_addr(&addr))
            .max_by_key(|route| (route.prefix.len(), Reverse(route.metric)));
        match taken {
            None => Err(ENETUNREACH),
            Some(route) if route.kind == RouteKind::Unreachable => Err(EHOSTUNREACH),
            // `throw`: as if it were not in this table, and there is no other.
            Some(route) if route.kind == RouteKind::Other(9) => Err(ENETUNREACH),
            Some(route) if route.kind != RouteKind::Unicast => Err(EINVAL),
            Some(route) => Ok(Some(route.clone())),
        }
    }

    /// The routes that a search means, ours too, as a list of the tables has them.
    pub fn search(&self, search: &RouteSearch) -> RouteList {
        let routes = self.objects.values().filter_map(|object| match object {
            Object::Route(route) => Some(route),
            _ => None,
        });
        let meant = routes.filter(|route| search.means(route.table, &route.prefix));
        RouteList::from(meant.cloned().collect::<Vec<Route>>())
    }

    /// The link with this index.
    pub fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// What has this key; no sysctls.
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Everything but links and sysctls, by key.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.objects.values().filter_map(|object| match object {
            Object::Address(address) => Some(address),
            _ => None,
        })
    }
}
