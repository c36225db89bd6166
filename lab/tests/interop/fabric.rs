//! The network of a scenario: a client, its router with the real peer, a host with tapwayd, a guest.
//!
//! ```text
//! client eth0 --- c0 router down0 --- up0 host tap0 --- eth0 guest
//!                                              tap1 --- eth1 guest
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Value, json};
use tapway_lab::peers::{self, Neighbor, Peer, PeerView, Router};
use tapway_lab::{Netns, Pinger, Tapwayd, mac_of, veth, wait_for};
use tapway_model::spec::{InstanceSpec, NicSpec};

/// How long anything may take on a slow machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The router's AS.
pub(crate) const ROUTER_AS: u32 = 65000;
/// The host's AS.
pub(crate) const HOST_AS: u32 = 64612;

const ROUTER4: &str = "198.51.100.0";
pub(crate) const HOST4: &str = "198.51.100.1";
const ROUTER6: &str = "2001:db8:f::1";
pub(crate) const HOST6: &str = "2001:db8:f::2";

/// What the guest `web` on `tap0` owns.
pub(crate) const WEB: [&str; 2] = ["203.0.113.1/32", "2001:db8:77::/64"];
/// What `old` on `tap1` owns.
pub(crate) const OLD: [&str; 2] = ["203.0.113.2/32", "2001:db8:78::/64"];

const WEB4: &str = "203.0.113.1";
const WEB6: &str = "2001:db8:77::10";

/// What the session runs over. Both families are on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Ipv4,
    Ipv6,
    /// Link-local addresses of a link that has no others, IPv4 by RFC 8950. GoBGP offers that only to
    /// neighbours that it finds itself, so the link has others too when it is the peer.
    LinkLocal,
}

/// The namespaces, wired.
pub(crate) struct Fabric {
    pub(crate) client: Netns,
    pub(crate) router: Netns,
    pub(crate) host: Netns,
    pub(crate) guest: Netns,
    pub(crate) program: &'static str,
    pub(crate) transport: Transport,
}

impl Fabric {
    pub(crate) fn new(program: &'static str, transport: Transport) -> Fabric {
        let fabric = Fabric {
            client: Netns::new("client"),
            router: Netns::new("router"),
            host: Netns::new("host"),
            guest: Netns::new("guest"),
            program,
            transport,
        };
        let (client, router, host) = (&fabric.client, &fabric.router, &fabric.host);
        veth(client, "eth0", router, "c0");
        client.ip_batch(
            "address add 192.0.2.10/24 dev eth0\n\
             address add 2001:db8:c::10/64 dev eth0 nodad\n\
             route add default via 192.0.2.1\n\
             route add default via 2001:db8:c::1\n",
        );
        router.ip_batch(
            "address add 192.0.2.1/24 dev c0\n\
             address add 2001:db8:c::1/64 dev c0 nodad\n",
        );
        router.sysctl("net/ipv4/ip_forward", "1");
        router.sysctl("net/ipv6/conf/all/forwarding", "1");
        veth(router, "down0", host, "up0");
        for (ns, interface) in [(router, "down0"), (host, "up0")] {
            ns.sysctl(&format!("net/ipv6/conf/{interface}/keep_addr_on_down"), "1");
        }
        if fabric.numbered() {
            router.address("down0", &format!("{ROUTER4}/31"));
            router.address("down0", &format!("{ROUTER6}/64"));
            host.address("up0", &format!("{HOST4}/31"));
            host.address("up0", &format!("{HOST6}/64"));
        }
        fabric.wire_guest();
        fabric
    }

    fn wire_guest(&self) {
        let guest = &self.guest;
        veth(&self.host, "tap0", guest, "eth0");
        veth(&self.host, "tap1", guest, "eth1");
        guest.ip_batch(&format!(
            "link set eth0 address {}\n\
             address add {WEB4}/32 dev eth0\n\
             address add {WEB6}/64 dev eth0 nodad\n\
             route add default via 169.254.0.1 dev eth0 onlink\n\
             route add default via fe80::1 dev eth0\n",
            mac_of(1)
        ));
    }

    /// Whether the link between router and host has addresses besides link-local ones.
    pub(crate) fn numbered(&self) -> bool {
        self.transport != Transport::LinkLocal || self.program == "gobgp"
    }

    /// The host as the router's neighbour `host`.
    pub(crate) fn neighbor(&self) -> Neighbor {
        match self.transport {
            Transport::Ipv4 => Neighbor::at("host", HOST4, HOST_AS),
            Transport::Ipv6 => Neighbor::at("host", HOST6, HOST_AS),
            Transport::LinkLocal => {
                let host = self.host.link_local("up0");
                Neighbor::link_local("host", host, "down0", HOST_AS)
            }
        }
    }

    /// The router, which announces defaults and puts what it learns into its kernel.
    pub(crate) fn router(&self, neighbor: Neighbor) -> Router {
        Router::new(ROUTER_AS, Ipv4Addr::new(192, 0, 2, 1))
            .neighbor(neighbor)
            .originate("0.0.0.0/0")
            .originate("::/0")
            .next_hop(ROUTER4)
            .next_hop(ROUTER6)
            .install()
    }

    /// Starts the peer on the router.
    pub(crate) fn start_peer(&self, neighbor: Neighbor) -> Box<dyn Peer> {
        self.route_for_gobgp();
        peers::start(self.program, &self.router, self.router(neighbor))
    }

    /// GoBGP puts nothing into the kernel, so its router's routes to the guest are made by hand.
    pub(crate) fn route_for_gobgp(&self) {
        if self.program == "gobgp" {
            for prefix in WEB {
                let hop = if prefix.contains(':') { HOST6 } else { HOST4 };
                self.router.ip(&format!("route replace {prefix} via {hop}"));
            }
        }
    }

    /// Where the host finds the router.
    pub(crate) fn router_address(&self) -> String {
        match self.transport {
            Transport::Ipv4 => ROUTER4.into(),
            Transport::Ipv6 => ROUTER6.into(),
            Transport::LinkLocal => format!("{}%up0", self.router.link_local("down0")),
        }
    }

    /// The host's configuration; `more` are further keys of its peer `tor`.
    pub(crate) fn config(&self, more: Value) -> Value {
        let mut peer = json!({
            "address": self.router_address(),
            "asn": ROUTER_AS,
            "connect_retry": "1s",
        });
        extend(&mut peer, more);
        json!({
            "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
            "peer": {"tor": peer},
            "source": {"files": {"grace": "2s"}, "api": {"grace": "2s"}},
        })
    }

    /// Starts the daemon on the host with the instance `web`.
    pub(crate) fn start_tapwayd(&self, more: Value) -> Tapwayd {
        let mut tapwayd = Tapwayd::prepare(&self.host, self.config(more));
        tapwayd.put(&web());
        tapwayd.restart(&self.host);
        tapwayd
    }

    /// The host's next hops for IPv4 and IPv6 that the router may see on this session.
    pub(crate) fn next_hops(&self) -> [Vec<IpAddr>; 2] {
        let link_local = IpAddr::V6(self.host.link_local("up0"));
        let global4 = IpAddr::V4(parse(HOST4));
        let global6 = IpAddr::V6(parse::<Ipv6Addr>(HOST6));
        match (self.transport, self.numbered()) {
            (Transport::LinkLocal, false) => [vec![link_local], vec![link_local]],
            (Transport::LinkLocal, true) => [vec![global4], vec![global6, link_local]],
            _ => [vec![global4], vec![global6]],
        }
    }

    /// The client pings the guest over both families, every 10 ms.
    pub(crate) fn pings(&self) -> Pings {
        Pings([
            Pinger::start(&self.client, parse(WEB4)),
            Pinger::start(&self.client, parse(WEB6)),
        ])
    }

    /// Waits until the client reaches the guest over both families. The first packets may be lost
    /// while neighbours are looked up.
    #[track_caller]
    pub(crate) fn wait_reachable(&self) {
        for target in [WEB4, WEB6] {
            let ping = Pinger::start(&self.client, parse(target));
            wait_for(SOON, format!("{target} answers"), || {
                if ping.answered() > 0 {
                    return Ok(());
                }
                let routes = [
                    ("router", self.router.routes("")),
                    ("host", self.host.routes("")),
                ];
                Err(format!("{routes:#?}"))
            });
        }
    }
}

/// Running pings.
pub(crate) struct Pings([Pinger; 2]);

impl Pings {
    /// Waits until so many more were answered in each family.
    #[track_caller]
    pub(crate) fn wait_answered(&self, more: usize) {
        let before: Vec<usize> = self.0.iter().map(Pinger::answered).collect();
        for (ping, before) in self.0.iter().zip(before) {
            wait_for(SOON, "answers", || {
                let now = ping.answered() - before;
                if now >= more { Ok(()) } else { Err(now) }
            });
        }
    }

    /// Ends them; none may be lost.
    #[track_caller]
    pub(crate) fn assert_none_lost(self) {
        let [v4, v6] = self.0.map(Pinger::stop);
        assert!(
            v4.lost.is_empty() && v6.lost.is_empty(),
            "IPv4: {v4}; IPv6: {v6}"
        );
    }
}

/// Waits until the peer has exactly these prefixes of the host, none left from a former session.
#[track_caller]
pub(crate) fn wait_routes(peer: &dyn Peer, prefixes: &[&str]) -> PeerView {
    let what = format!("up, with exactly {prefixes:?}, none stale");
    peer.wait_until("host", SOON, &what, &mut |v| {
        v.established && v.has_exactly(prefixes) && !v.any_stale()
    })
}

/// Waits until a route is gone from, or in, a kernel.
#[track_caller]
pub(crate) fn wait_kernel(ns: &Netns, which: &str, count: usize) -> Vec<String> {
    wait_for(
        SOON,
        format!("{count} routes {which:?} in the kernel"),
        || {
            let routes = ns.routes(which);
            if routes.len() == count {
                Ok(routes)
            } else {
                Err(format!("{routes:#?}"))
            }
        },
    )
}

/// The instance of the guest that is there.
pub(crate) fn web() -> InstanceSpec {
    instance("web", "tap0", &WEB, Some(mac_of(1)))
}

/// An instance whose guest is not looked at.
pub(crate) fn old() -> InstanceSpec {
    instance("old", "tap1", &OLD, None)
}

/// An instance with one NIC.
pub(crate) fn instance(
    name: &str,
    interface: &str,
    addresses: &[&str],
    mac: Option<String>,
) -> InstanceSpec {
    InstanceSpec {
        name: name.into(),
        nic: vec![NicSpec {
            interface: interface.into(),
            mac,
            addresses: addresses.iter().map(|a| a.to_string()).collect(),
            ..NicSpec::default()
        }],
        claim: Vec::new(),
    }
}

/// Prefixes of several lists.
pub(crate) fn all<'a>(lists: &[&[&'a str]]) -> Vec<&'a str> {
    lists.concat()
}

#[track_caller]
fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a literal")
}

/// Adds the keys of one object to another.
pub(crate) fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
