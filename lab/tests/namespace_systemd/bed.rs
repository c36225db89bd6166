//! The network around the machine: a client, a router with BIRD, the host's interfaces, a guest.
//!
//! ```text
//! client eth0 --- c0 router down0 --- up0 host tap0 --- eth0 guest
//! ```

use std::net::{IpAddr, Ipv4Addr};

use tapway_api::status::Status;
use tapway_lab::peers::{Bird, Neighbor, Peer, PeerView, Router};
use tapway_lab::{Netns, Pinger, Recorder, mac_of, veth, wait_for};

use crate::machine::{Machine, SOON};

/// What the guest owns.
pub(crate) const WEB: [&str; 2] = ["203.0.113.1/32", "2001:db8:77::/64"];
/// Where it answers.
const TARGETS: [&str; 2] = ["203.0.113.1", "2001:db8:77::10"];
/// What of the host's kernel must not move while the daemon restarts.
const WATCHED: [&str; 4] = ["203.0.113.1", "2001:db8:77::", "default", "169.254.0.1"];

/// As in the README, with short timers.
pub(crate) const CONFIG: &str = r#"
[router]
asn = 64612
router_id = "192.0.2.11"

[peer.tor1]
address = "198.51.100.0"
asn = 65000
connect_retry = "1s"

[source.files]
path = "/etc/tapway/instances.d"
grace = "1s"

[source.api]
grace = "1s"
"#;

/// The network, with BIRD running, and nothing on the host.
pub(crate) struct Bed {
    bird: Bird,
    client: Netns,
    router: Netns,
    pub(crate) host: Netns,
    _guest: Netns,
}

impl Bed {
    #[track_caller]
    pub(crate) fn new() -> Bed {
        let (client, router) = (Netns::new("client"), Netns::new("router"));
        let (host, guest) = (Netns::new("host"), Netns::new("guest"));
        veth(&client, "eth0", &router, "c0");
        veth(&router, "down0", &host, "up0");
        veth(&host, "tap0", &guest, "eth0");
        client.ip_batch(
            "address add 192.0.2.10/24 dev eth0\n\
             address add 2001:db8:c::10/64 dev eth0 nodad\n\
             route add default via 192.0.2.1\n\
             route add default via 2001:db8:c::1\n",
        );
        router.ip_batch(
            "address add 192.0.2.1/24 dev c0\n\
             address add 2001:db8:c::1/64 dev c0 nodad\n\
             address add 198.51.100.0/31 dev down0\n\
             address add 2001:db8:f::1/64 dev down0 nodad\n",
        );
        router.sysctl("net/ipv4/ip_forward", "1");
        router.sysctl("net/ipv6/conf/all/forwarding", "1");
        host.sysctl("net/ipv6/conf/up0/keep_addr_on_down", "1");
        host.address("up0", "198.51.100.1/31");
        host.address("up0", "2001:db8:f::2/64");
        guest.ip_batch(&format!(
            "link set eth0 address {}\n\
             address add {}/32 dev eth0\n\
             address add {}/64 dev eth0 nodad\n\
             route add default via 169.254.0.1 dev eth0 onlink\n\
             route add default via fe80::1 dev eth0\n",
            mac_of(1),
            TARGETS[0],
            TARGETS[1],
        ));
        let bird = Router::new(65000, Ipv4Addr::new(192, 0, 2, 1))
            .neighbor(Neighbor::at("host", "198.51.100.1", 64612))
            .originate("0.0.0.0/0")
            .originate("::/0")
            .install();
        Bed {
            bird: Bird::start(&router, bird),
            client,
            router,
            host,
            _guest: guest,
        }
    }

    /// The host as a fresh installation, with the README's configuration and one guest; not booted.
    #[track_caller]
    pub(crate) fn machine(&self) -> Machine<'_> {
        let machine = Machine::new(&self.host);
        machine.write("etc/tapway/tapway.toml", CONFIG);
        machine.write(
            "etc/tapway/instances.d/web.toml",
            &format!(
                "name = \"web\"\n[[nic]]\ninterface = \"tap0\"\nmac = \"{}\"\naddresses = {WEB:?}\n",
                mac_of(1)
            ),
        );
        machine
    }

    /// Waits until the router's view of the host satisfies `condition`.
    #[track_caller]
    pub(crate) fn router_sees(
        &self,
        what: &str,
        condition: &mut dyn FnMut(&PeerView) -> bool,
    ) -> PeerView {
        self.bird.wait_until("host", SOON, what, condition)
    }

    /// Waits until the router has the guest's prefixes in a session, none left from a former one, and the host is wired.
    #[track_caller]
    pub(crate) fn announced(&self) -> PeerView {
        let view = self.router_sees("up, with the guest's prefixes, none stale", &mut |v| {
            v.established && v.has_exactly(&WEB) && !v.any_stale()
        });
        wait_for(SOON, "the host's kernel has all of ours", || {
            let routes = self.host.routes("proto 112");
            let has = |what: &str| routes.iter().any(|r| r.starts_with(what));
            if has("203.0.113.1 dev tap0") && has("2001:db8:77::/64 dev tap0") && has("default") {
                Ok(())
            } else {
                Err(format!("{routes:#?}"))
            }
        });
        view
    }

    /// Waits until the daemon has a run before it to go on from, and would have removed by now what it does not want.
    #[track_caller]
    pub(crate) fn settled(&self, machine: &Machine) {
        wait_for(SOON, "the grace is over", || {
            let said = machine.tapway(&["-o", "json", "status"]);
            match serde_json::from_str::<Status>(&said.out) {
                Ok(status) if status.warm_start && status.grace_left_s.is_none() => Ok(()),
                _ => Err(format!("{said:?}")),
            }
        });
    }

    /// Begins to watch: packets from the client to the guest, routes of the host and of the router.
    #[track_caller]
    pub(crate) fn watch(&self) -> Watch<'_> {
        for target in TARGETS {
            let ping = self.pinger(target);
            // The first packets may be lost while neighbours are looked up.
            wait_for(SOON, format!("{target} answers"), || {
                if ping.answered() > 0 {
                    Ok(())
                } else {
                    Err("silence")
                }
            });
        }
        Watch {
            bed: self,
            host: Recorder::start(&self.host, &["route", "address", "link", "rule"]),
            router: Recorder::start(&self.router, &["route"]),
            pings: TARGETS.map(|target| self.pinger(target)),
        }
    }

    fn pinger(&self, target: &str) -> Pinger {
        let target: IpAddr = target.parse().expect("an address");
        Pinger::start(&self.client, target)
    }
}

/// What is watched while the daemon is restarted.
pub(crate) struct Watch<'a> {
    bed: &'a Bed,
    host: Recorder,
    router: Recorder,
    pings: [Pinger; 2],
}

impl Watch<'_> {
    /// Ends it: nothing of ours may have moved on the host, the router may have removed no route, and no packet may be lost.
    #[track_caller]
    pub(crate) fn nothing_happened(self) {
        for ping in &self.pings {
            let before = ping.answered();
            wait_for(SOON, "further answers", || {
                let more = ping.answered() - before;
                if more >= 10 { Ok(()) } else { Err(more) }
            });
        }
        let [v4, v6] = self.pings.map(Pinger::stop);
        assert!(
            v4.lost.is_empty() && v6.lost.is_empty(),
            "IPv4: {v4}; IPv6: {v6}"
        );
        let moved = ours(self.host.end(&self.bed.host));
        assert!(moved.is_empty(), "on the host: {moved:#?}");
        let removed: Vec<String> = ours(self.router.end(&self.bed.router))
            .into_iter()
            .filter(|line| line.starts_with("Deleted"))
            .collect();
        assert!(removed.is_empty(), "on the router: {removed:#?}");
    }
}

fn ours(lines: Vec<String>) -> Vec<String> {
    let is_ours = |line: &String| WATCHED.iter().any(|w| line.contains(w));
    lines.into_iter().filter(is_ours).collect()
}
