//! Next hops several hops away: received routes follow the routes that other programs put into the kernel.

use serde_json::json;
use tapway_api::list::List;
use tapway_api::peer::Peer;
use tapway_api::route::{Route, RouteState};
use tapway_lab::{Netns, Recorder, Tapwayd, veth, wait_for};

use crate::bed::SOON;

const AS: u32 = 64612;
const PREFIX: &str = "198.18.0.0/15";
const PREFIX6: &str = "2001:db8:99::/48";

/// A host with a reflector on each of two links, `up1` and `up2`. Both announce the same prefix, each with its own far next
/// hop: 10.9.0.1 and 10.9.0.2.
struct Fabric {
    tapwayd: Tapwayd,
    _reflectors: Vec<(Netns, Tapwayd)>,
    host: Netns,
}

impl Fabric {
    fn new() -> Fabric {
        let host = Netns::new("host");
        let start = |number: usize| {
            let ns = Netns::new(&format!("rr{number}"));
            let link = format!("up{number}");
            veth(&host, &link, &ns, "down0");
            for (ns, interface, end) in [(&host, &link[..], 1), (&ns, "down0", 2)] {
                ns.address(interface, &format!("198.51.10{number}.{end}/24"));
                ns.address(interface, &format!("2001:db8:f{number}::{end}/64"));
            }
            let address = format!("198.51.10{number}.1");
            let reflector = Tapwayd::start(
                &ns,
                json!({
                    "router": {"asn": AS, "router_id": format!("192.0.2.{number}")},
                    "peer": {"host": {"address": address, "asn": "internal", "passive": true, "multihop": 4}},
                    "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
                }),
            );
            for (name, prefix, next_hop) in [
                ("far", PREFIX, format!("10.9.0.{number}")),
                ("far6", PREFIX6, format!("2001:db8:9::{number}")),
            ] {
                reflector.put_text(
                    name,
                    &format!(
                        "name = \"{name}\"\n[[claim]]\nowner = \"host\"\nkind = \"route\"\nprefix = \"{prefix}\"\nnext_hop = \"{next_hop}\"\n"
                    ),
                );
            }
            (ns, reflector)
        };
        let reflectors = vec![start(1), start(2)];
        let peer = |number: usize| {
            json!({
                "address": format!("198.51.10{number}.2"), "asn": "internal", "multihop": 4,
                "import": "all", "install": true, "connect_retry": "1s",
            })
        };
        let config = json!({
            "router": {"asn": AS, "router_id": "192.0.2.11"},
            "peer": {"rr1": peer(1), "rr2": peer(2)},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        });
        let mut tapwayd = Tapwayd::prepare(&host, config).arguments(&["--scan-interval", "0"]);
        tapwayd.restart(&host);
        tapwayd.wait_established(SOON);
        let fabric = Fabric {
            tapwayd,
            _reflectors: reflectors,
            host,
        };
        for peer in ["rr1", "rr2"] {
            fabric.received(peer, |all| all.len() == 2);
        }
        fabric
    }

    /// Waits until what a reflector sent is as wanted.
    #[track_caller]
    fn received(&self, peer: &str, wanted: impl Fn(&[Route]) -> bool) -> Vec<Route> {
        wait_for(SOON, format!("what {peer} sends"), || {
            let list: List<Route> = self.tapwayd.json(&["route", "list", "--received", peer]);
            match wanted(&list.items) {
                true => Ok(list.items),
                false => Err(format!("{:#?}", list.items)),
            }
        })
    }

    /// Waits until the kernel's only received route to `prefix` has these ways: `via GATEWAY dev INTERFACE`.
    #[track_caller]
    fn leads(&self, prefix: &str, ways: &[&str]) {
        wait_for(SOON, format!("{prefix} leads {ways:?}"), || {
            let shown = self.host.routes(&format!("{prefix} proto 112"));
            let lines = usize::from(!ways.is_empty());
            let vias: usize = shown.iter().map(|l| l.matches("via ").count()).sum();
            let all = ways.iter().all(|w| shown.concat().contains(w));
            match shown.len() == lines && vias == ways.len() && all {
                true => Ok(()),
                false => Err(format!("{shown:?}")),
            }
        });
    }
}

#[test]
fn a_route_comes_moves_and_goes_with_the_route_to_its_next_hop() {
    let fabric = Fabric::new();
    let host = &fabric.host;
    fabric.leads(PREFIX, &[]);
    host.ip("route add default via 198.51.101.2");
    // A neighbour of the next hop leads nowhere either.
    host.ip("route add 10.9.0.4/30 via 198.51.101.2");
    let nowhere = |all: &[Route], words: &str| {
        let route = all.iter().find(|r| r.prefix.to_string() == PREFIX);
        route.is_some_and(|r| {
            let reason = r.reason.as_deref().unwrap_or_default();
            let told = reason.contains(words) && reason.contains("ip route add 10.9.0.1/32");
            r.state == RouteState::Unusable && !r.best && r.metric.is_none() && told
        })
    };
    fabric.received("rr1", |all| {
        nowhere(all, "only the default route leads to it")
    });
    fabric.leads(PREFIX, &[]);
    let explained = fabric.tapwayd.tapway(&["explain", "198.18.0.1"]);
    for words in [
        "rr1 sends 198.18.0.0/15 by next hop 10.9.0.1: not eligible",
        "rr2 sends 198.18.0.0/15 by next hop 10.9.0.2: not eligible",
        "ip route add 10.9.0.1/32",
    ] {
        assert!(explained.out.contains(words), "{}", explained.out);
    }

    host.ip("route add 10.9.0.1 via 198.51.101.2 metric 50");
    fabric.leads(PREFIX, &["via 198.51.101.2 dev up1"]);
    let route = fabric.received("rr1", |all| all.iter().any(|r| r.best));
    let route = route.iter().find(|r| r.best);
    assert!(route.is_some_and(|r| r.metric == Some(50) && r.installed));
    host.ip("route replace 10.9.0.1 via 198.51.101.3 metric 50");
    fabric.leads(PREFIX, &["via 198.51.101.3 dev up1"]);

    // The other path is nearer, then as near, then farther away.
    host.ip("route add 10.9.0.2 via 198.51.102.2 metric 20");
    fabric.leads(PREFIX, &["via 198.51.102.2 dev up2"]);
    host.ip("route add 10.9.0.1 via 198.51.101.4 metric 20");
    fabric.leads(
        PREFIX,
        &["via 198.51.101.4 dev up1", "via 198.51.102.2 dev up2"],
    );
    host.ip("route del 10.9.0.2 metric 20");
    fabric.leads(PREFIX, &["via 198.51.101.4 dev up1"]);
    host.ip("route del 10.9.0.1 metric 20");
    fabric.leads(PREFIX, &["via 198.51.101.3 dev up1"]);
    host.ip("route del 10.9.0.1 metric 50");
    fabric.leads(PREFIX, &[]);

    // Several ways, of which one goes without a word of its own.
    host.ip("route add 10.9.0.0/24 nexthop via 198.51.101.2 nexthop via 198.51.102.2");
    fabric.leads(
        PREFIX,
        &["via 198.51.101.2 dev up1", "via 198.51.102.2 dev up2"],
    );
    host.link_set("up2", "down");
    fabric.leads(PREFIX, &["via 198.51.101.2 dev up1"]);

    host.ip("-6 route add 2001:db8:9::/64 via 2001:db8:f1::2");
    fabric.leads(PREFIX6, &["via 2001:db8:f1::2 dev up1"]);
    host.ip("-6 route del 2001:db8:9::/64");
    fabric.leads(PREFIX6, &[]);
}

#[test]
fn a_restart_takes_nothing_out_that_is_still_right() {
    let mut fabric = Fabric::new();
    fabric
        .host
        .ip("route add 10.9.0.0/24 via 198.51.101.2 metric 50");
    fabric.leads(PREFIX, &["via 198.51.101.2 dev up1"]);
    let recorder = Recorder::start(&fabric.host, &["route"]);
    fabric.tapwayd.kill();
    fabric.tapwayd.restart(&fabric.host);
    // Then nothing is held any more that an earlier run put there.
    wait_for(SOON, "both reflectors have sent all", || {
        let peers = fabric.tapwayd.peers();
        let families =
            |p: &Peer| !p.families.is_empty() && p.families.iter().all(|f| f.end_of_rib_received);
        match peers.iter().all(families) {
            true => Ok(()),
            false => Err(format!("{peers:#?}")),
        }
    });
    fabric.received("rr1", |all| all.iter().any(|r| r.installed && !r.stale));
    let lines = recorder.end(&fabric.host);
    let touched = |line: &&String| line.contains(PREFIX);
    assert_eq!(lines.iter().filter(touched).count(), 0, "{lines:#?}");
    fabric
        .host
        .ip("route replace 10.9.0.0/24 via 198.51.101.3 metric 50");
    fabric.leads(PREFIX, &["via 198.51.101.3 dev up1"]);
}
