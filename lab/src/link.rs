//! Links and addresses in namespaces.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::netns::{Netns, ip};
use crate::wait::wait_for;

/// Joins two namespaces by a pair of interfaces, both up.
///
/// # Panics
/// When it cannot be made.
#[track_caller]
pub fn veth(a: &Netns, a_interface: &str, b: &Netns, b_interface: &str) {
    ip(&[
        "link",
        "add",
        a_interface,
        "netns",
        a.name(),
        "type",
        "veth",
        "peer",
        "name",
        b_interface,
        "netns",
        b.name(),
    ]);
    a.link_set(a_interface, "up");
    b.link_set(b_interface, "up");
}

/// A MAC address from a number: `02:00:00:00:01:02` from 258.
pub fn mac_of(number: u32) -> String {
    let [a, b, c, d] = number.to_be_bytes();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

impl Netns {
    /// Changes a link: `ns.link_set("eth0", "down")`.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[track_caller]
    pub fn link_set(&self, interface: &str, what: &str) {
        self.ip(&format!("link set dev {interface} {what}"));
    }

    /// Removes a link.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn link_del(&self, interface: &str) {
        self.ip(&format!("link del dev {interface}"));
    }

    /// Adds an address with its length, usable at once.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[track_caller]
    pub fn address(&self, interface: &str, address: &str) {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface}{nodad}"));
    }

    /// Adds a bridge, up.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn bridge(&self, name: &str) {
        self.ip(&format!("link add {name} type bridge"));
        self.link_set(name, "up");
    }

    /// Adds a persistent tap without a program behind it, up. It has no carrier.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn tap(&self, name: &str) {
        self.ip(&format!("tuntap add dev {name} mode tap"));
        self.link_set(name, "up");
    }

    /// The kernel's number of an interface.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn ifindex(&self, interface: &str) -> u32 {
        let links = self.ip_json(&format!("link show dev {interface}"));
        let index = links[0]["ifindex"].as_u64();
        index.and_then(|i| u32::try_from(i).ok()).expect("ifindex")
    }

    /// An interface's MAC address.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn mac(&self, interface: &str) -> String {
        let links = self.ip_json(&format!("link show dev {interface}"));
        links[0]["address"].as_str().expect("a MAC").to_string()
    }

    /// An interface's link-local address, once it has one.
    ///
    /// # Panics
    /// When it has none after five seconds.
    #[track_caller]
    pub fn link_local(&self, interface: &str) -> Ipv6Addr {
        let arguments = format!("-6 address show dev {interface} scope link");
        wait_for(
            Duration::from_secs(5),
            format!("{interface} has a link-local address"),
            || {
                let seen = self.ip_json(&arguments);
                seen[0]["addr_info"]
                    .as_array()
                    .and_then(|all| all.iter().find_map(|a| a["local"].as_str()?.parse().ok()))
                    .ok_or_else(|| seen.to_string())
            },
        )
    }

    /// Routes as `ip route` prints them, IPv4 then IPv6, one each: `ns.routes("proto 112")`, or those
    /// of the family of a prefix: `ns.routes("203.0.113.1")`.
    ///
    /// # Panics
    /// When `ip` fails.
    #[track_caller]
    pub fn routes(&self, which: &str) -> Vec<String> {
        let families: &[&str] = match which {
            w if w.contains(':') => &["-6"],
            w if w.contains('.') => &["-4"],
            _ => &["-4", "-6"],
        };
        families
            .iter()
            .flat_map(|family| {
                let text = self.ip(&format!("{family} -oneline route show {which}"));
                text.lines()
                    .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}
