//! Sysctls that somebody wants to know about.
//!
//! The kernel tells of some changes by netconf messages (forwarding, rp_filter, proxies) and of none
//! of the others (accept_ra); a message makes everything be read again that it may concern.

use std::collections::BTreeMap;

use tapway_fib::{KernelEvent, Object, Sysctl};

use crate::constants::{AF_INET, AF_INET6, NETCONFA_IFINDEX_ALL, NETCONFA_IFINDEX_DEFAULT};

/// The paths, each with its value when last read; `None` while there is no such file.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    values: BTreeMap<String, Option<String>>,
}

impl Watched {
    /// Watches one more, and tells its value.
    pub(crate) fn watch(&mut self, path: &str, events: &mut Vec<KernelEvent>) {
        let value = read(path);
        events.extend(value.clone().map(|value| present(path, value)));
        self.values.insert(path.to_owned(), value);
    }

    /// Reads all below `prefix` and tells what changed.
    pub(crate) fn reread(&mut self, prefix: &str, events: &mut Vec<KernelEvent>) {
        let below = self
            .values
            .range_mut(prefix.to_owned()..)
            .take_while(|(path, _)| path.starts_with(prefix));
        for (path, known) in below {
            let value = read(path);
            if value == *known {
                continue;
            }
            events.push(match (&value, known.take()) {
                (Some(value), _) => present(path, value.clone()),
                (None, Some(old)) => KernelEvent::Absent(Object::Sysctl(Sysctl {
                    path: path.clone(),
                    value: old,
                })),
                (None, None) => continue,
            });
            *known = value;
        }
    }

    /// Reads all of one interface.
    pub(crate) fn reread_interface(&mut self, name: &str, events: &mut Vec<KernelEvent>) {
        for family in ["ipv4", "ipv6"] {
            self.reread(&format!("{family}/conf/{name}/"), events);
            self.reread(&format!("{family}/neigh/{name}/"), events);
        }
    }

    /// Reads what a netconf message may concern.
    pub(crate) fn reread_netconf(
        &mut self,
        family: u8,
        index: i32,
        name: Option<&str>,
        events: &mut Vec<KernelEvent>,
    ) {
        let family = match family {
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => return,
        };
        match (index, name) {
            // What is set for all is copied to each.
            (NETCONFA_IFINDEX_ALL, _) => self.reread(&format!("{family}/"), events),
            (NETCONFA_IFINDEX_DEFAULT, _) => {
                self.reread(&format!("{family}/conf/default/"), events)
            }
            (_, Some(name)) => self.reread(&format!("{family}/conf/{name}/"), events),
            (_, None) => {}
        }
    }

    /// Reads and tells all.
    pub(crate) fn tell(&mut self, events: &mut Vec<KernelEvent>) {
        for (path, known) in &mut self.values {
            *known = read(path);
            events.extend(known.clone().map(|value| present(path, value)));
        }
    }
}

fn read(path: &str) -> Option<String> {
    tapway_sys::sysctl::read(path).ok()
}

fn present(path: &str, value: String) -> KernelEvent {
    KernelEvent::Present(Object::Sysctl(Sysctl {
        path: path.to_owned(),
        value,
    }))
}
