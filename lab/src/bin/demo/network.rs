//! The network of the demo.
//!
//! ```text
//!        r1          r2          fabric routers, AS 65001 and 65002, each offers the default route
//!       / | \       / | \
//!    hv1 hv2 hv3 hv1 hv2 hv3     hypervisors, AS 64612, one link and session to each router
//!    g1  g3  g5                  guests: one namespace each, a /32 and a /128 or /64
//!    g2  g4  g6
//! ```
//!
//! Guests' routes go from hypervisors to routers, which put them into their kernels; the default
//! route goes the other way. No router passes on what it was told, so nothing here hides behind
//! another protocol or a static route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};
use tapway_lab::{Netns, Tapwayd, mac_of, veth};
use tapway_model::spec::{ClaimSpec, InstanceSpec, NicSpec};

use crate::screen::Screen;

/// Beginning of the names of namespaces that stay.
pub(crate) const KEPT: &str = "tapway-demo-";

/// How many there are of each.
pub(crate) const ROUTERS: usize = 2;
pub(crate) const HYPERVISORS: usize = 3;
pub(crate) const GUESTS: usize = 6;

/// The guest that arrives last, by its place.
pub(crate) const LAST: usize = GUESTS - 1;

/// A machine that runs tapwayd.
pub(crate) struct Router {
    pub(crate) name: String,
    // Dropped before the namespace that it runs in.
    pub(crate) tapwayd: Tapwayd,
    pub(crate) ns: Netns,
}

/// A guest.
pub(crate) struct Guest {
    /// Its number, from 1.
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) ns: Netns,
    /// The hypervisor that it runs on.
    pub(crate) home: Option<usize>,
}

/// All of it.
pub(crate) struct Network {
    pub(crate) routers: Vec<Router>,
    pub(crate) hypervisors: Vec<Router>,
    pub(crate) guests: Vec<Guest>,
}

impl Network {
    /// Makes the machines and links, and starts the daemons. No guest runs yet.
    pub(crate) fn new(keep: bool, screen: &Screen) -> Network {
        screen.chapter("two fabric routers, three hypervisors, six guests");
        let make = |name: &str| {
            if keep {
                Netns::kept(&format!("{KEPT}{name}"))
            } else {
                Netns::new(name)
            }
        };
        let fabric: Vec<Netns> = (1..=ROUTERS).map(|r| make(&format!("r{r}"))).collect();
        let hosts: Vec<Netns> = (1..=HYPERVISORS).map(|h| make(&format!("hv{h}"))).collect();
        for (r, router) in (1..).zip(&fabric) {
            for sysctl in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
                router.sysctl(sysctl, "1");
            }
            for (h, host) in (1..).zip(&hosts) {
                link(r, router, h, host);
            }
        }
        let guests = (1..=GUESTS)
            .zip(1..)
            .map(|(n, number)| Guest {
                number,
                name: format!("g{n}"),
                ns: make(&format!("g{n}")),
                home: None,
            })
            .collect();
        screen.say("namespaces and links are there; starting five daemons");
        let start = |name: String, ns: Netns, config: Value| Router {
            tapwayd: Tapwayd::start(&ns, config),
            name,
            ns,
        };
        let network = Network {
            routers: (1..)
                .zip(fabric)
                .map(|(r, ns)| start(format!("r{r}"), ns, router_config(r)))
                .collect(),
            hypervisors: (1..)
                .zip(hosts)
                .map(|(h, ns)| start(format!("hv{h}"), ns, hypervisor_config(h)))
                .collect(),
            guests,
        };
        for router in &network.routers {
            router.tapwayd.put(&default_route());
        }
        network
    }

    /// Plugs a guest's cable into a hypervisor: what happens when a VM starts there.
    pub(crate) fn plug(&mut self, guest: usize, home: usize) {
        let guest = &mut self.guests[guest];
        let host = &self.hypervisors[home];
        veth(&host.ns, &guest.name, &guest.ns, "eth0");
        let (v4, v6) = (guest.v4(), guest.v6());
        let length = guest.v6_length();
        guest.ns.ip_batch(&format!(
            "link set eth0 address {mac}\n\
             address add {v4}/32 dev eth0\n\
             address add {v6}/{length} dev eth0 nodad\n\
             route add default via 169.254.0.1 dev eth0 onlink\n\
             route add default via fe80::1 dev eth0\n",
            mac = guest.mac()
        ));
        guest.home = Some(home);
    }

    /// Writes the guest's file on its hypervisor.
    pub(crate) fn define(&self, guest: usize) {
        let guest = &self.guests[guest];
        if let Some(home) = guest.home {
            self.hypervisors[home].tapwayd.put(&guest.instance());
        }
    }

    /// Pulls the cable: what happens when a VM stops. Its file stays.
    pub(crate) fn unplug(&mut self, guest: usize) {
        let guest = &mut self.guests[guest];
        if let Some(home) = guest.home.take() {
            self.hypervisors[home].ns.link_del(&guest.name);
        }
    }

    /// What each router's kernel has learned, as `ip route` shows it.
    pub(crate) fn learned(&self) -> Vec<Vec<String>> {
        let of = |router: &Router| router.ns.routes("proto 112");
        self.routers.iter().map(of).collect()
    }

    /// How many routes are kept anywhere for a neighbour that restarts.
    pub(crate) fn stale(&self) -> u64 {
        let all = self.routers.iter().chain(&self.hypervisors);
        all.flat_map(|router| router.tapwayd.peers())
            .flat_map(|peer| peer.families)
            .map(|family| family.stale)
            .sum()
    }

    /// Prints commands to look around.
    pub(crate) fn show_around(&self) {
        println!("\nTo look around, choose a machine and ask it:");
        if let Some(folder) = Tapwayd::programs() {
            println!("  PATH=$PATH:{}", folder.display());
        }
        for router in self.hypervisors.iter().chain(&self.routers) {
            let socket = router.tapwayd.socket();
            println!(
                "  alias {}='tapway --socket {}'",
                router.name,
                socket.display()
            );
        }
        let (guest, target) = (&self.guests[0], self.guests[LAST].v4());
        println!("  hv1 peer list; hv1 instance list; r1 route list; hv1 watch");
        println!("  hv1 explain {}; hv1 doctor", guest.v4());
        println!("  ip -n {} route", self.hypervisors[0].ns.name());
        println!("  ip -n {} route", self.routers[0].ns.name());
        println!("  ip netns exec {} ping {target}", guest.ns.name());
    }

    /// Prints the end of every daemon's log.
    pub(crate) fn show_logs(&mut self) {
        for router in self.hypervisors.iter().chain(&self.routers) {
            let log = router.tapwayd.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(25);
            println!("---- {}\n{}", router.name, lines[from..].join("\n"));
        }
    }
}

/// Removes what `--keep` left.
pub(crate) fn clean() {
    for name in Netns::list().iter().filter(|n| n.starts_with(KEPT)) {
        Netns::remove(name);
        let _ = std::fs::remove_dir_all(std::env::temp_dir().join(name));
    }
}

impl Guest {
    pub(crate) fn v4(&self) -> IpAddr {
        Ipv4Addr::new(203, 0, 113, self.number).into()
    }

    pub(crate) fn v6(&self) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0xcb00, self.number.into(), 0, 0, 0, 1).into()
    }

    /// Every other guest has a whole /64.
    pub(crate) fn v6_length(&self) -> u8 {
        if self.number.is_multiple_of(2) {
            64
        } else {
            128
        }
    }

    /// What its hypervisor announces.
    pub(crate) fn prefixes(&self) -> [String; 2] {
        let v6 = match self.v6_length() {
            64 => format!("2001:db8:cb00:{:x}::/64", self.number),
            _ => self.v6().to_string(),
        };
        [self.v4().to_string(), v6]
    }

    fn mac(&self) -> String {
        mac_of(self.number.into())
    }

    fn instance(&self) -> InstanceSpec {
        InstanceSpec {
            name: self.name.clone(),
            nic: vec![NicSpec {
                interface: self.name.clone(),
                mac: Some(self.mac()),
                addresses: self.prefixes().to_vec(),
                ..NicSpec::default()
            }],
            claim: Vec::new(),
        }
    }
}

/// The addresses of the link between a router and a hypervisor, the router's first.
fn addresses(r: u8, h: u8) -> [[String; 2]; 2] {
    let base = r * 16 + h * 2;
    [0, 1].map(|end| {
        [
            format!("198.51.100.{}", base + end),
            format!("2001:db8:f:{r}{h}::{end}"),
        ]
    })
}

fn link(r: u8, router: &Netns, h: u8, host: &Netns) {
    let (down, up) = (format!("hv{h}"), format!("up{r}"));
    veth(router, &down, host, &up);
    let ends = addresses(r, h);
    for (ns, interface, [v4, v6]) in [(router, &down, &ends[0]), (host, &up, &ends[1])] {
        ns.ip_batch(&format!(
            "address add {v4}/31 dev {interface}\naddress add {v6}/127 dev {interface} nodad\n"
        ));
    }
}

fn router_config(r: u8) -> Value {
    let peers: Map<String, Value> = (1..)
        .take(HYPERVISORS)
        .map(|h: u8| {
            let [_, [address, _]] = addresses(r, h);
            let peer = json!({"address": address, "asn": 64612, "import": "all", "install": true});
            (format!("hv{h}"), peer)
        })
        .collect();
    json!({
        "router": {"asn": 65000 + u32::from(r), "router_id": format!("192.0.2.{r}")},
        "peer": peers,
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

fn hypervisor_config(h: u8) -> Value {
    let peers: Map<String, Value> = (1..)
        .take(ROUTERS)
        .map(|r: u8| {
            let [[address, _], _] = addresses(r, h);
            let peer = json!({"address": address, "asn": 65000 + u32::from(r)});
            (format!("r{r}"), peer)
        })
        .collect();
    json!({
        "router": {"asn": 64612, "router_id": format!("192.0.2.{}", 10 + h)},
        "peer": peers,
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    })
}

/// A router offers itself as the way to everything.
fn default_route() -> InstanceSpec {
    let claim = |prefix: &str| ClaimSpec {
        owner: "host".into(),
        prefix: prefix.into(),
        kind: Some("route".into()),
        ..ClaimSpec::default()
    };
    InstanceSpec {
        name: "default-route".into(),
        nic: Vec::new(),
        claim: vec![claim("0.0.0.0/0"), claim("::/0")],
    }
}
