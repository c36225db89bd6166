//! tapwayd and each real peer: what an instance's file makes the peer know.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;
use tapway_lab::peers::{self, Neighbor, Router};
use tapway_lab::{Netns, Pinger, Tapwayd, mac_of, veth, wait_for};
use tapway_model::spec::{InstanceSpec, NicSpec};

const SOON: Duration = Duration::from_secs(30);

fn guest(name: &str, addresses: &[&str]) -> InstanceSpec {
    InstanceSpec {
        name: name.into(),
        nic: vec![NicSpec {
            interface: name.into(),
            mac: Some(mac_of(1)),
            addresses: addresses.iter().map(|a| a.to_string()).collect(),
            ..NicSpec::default()
        }],
        claim: Vec::new(),
    }
}

/// Both families on one session over IPv4; an instance comes and goes; the daemon dies and comes
/// back; the goodbye is heard.
fn with(program: &str) {
    let (host, tor, vm) = (Netns::new("host"), Netns::new("tor"), Netns::new("vm"));
    veth(&host, "up0", &tor, "down0");
    veth(&host, "g1", &vm, "eth0");
    for (ns, interface, end) in [(&tor, "down0", 0), (&host, "up0", 1)] {
        ns.address(interface, &format!("198.51.100.{end}/31"));
        ns.address(interface, &format!("2001:db8:f::{end}/127"));
    }
    vm.ip_batch(&format!(
        "link set eth0 address {}\n\
         address add 203.0.113.1/32 dev eth0\n\
         address add 2001:db8:77::1/128 dev eth0 nodad\n\
         route add default via 169.254.0.1 dev eth0 onlink\n\
         route add default via fe80::1 dev eth0\n",
        mac_of(1)
    ));
    let to_host = Neighbor::at("host", "198.51.100.1", 64612);
    let router = Router::new(65000, Ipv4Addr::new(192, 0, 2, 1))
        .neighbor(to_host)
        .install();
    let peer = peers::start(program, &tor, router);
    let mut tapwayd = Tapwayd::start(
        &host,
        json!({
            "router": {"asn": 64612, "router_id": "192.0.2.11"},
            "peer": {"tor1": {"address": "198.51.100.0", "asn": 65000, "connect_retry": "1s"}},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        }),
    );
    tapwayd.put(&guest("g1", &["203.0.113.1", "2001:db8:77::1"]));
    let mine = ["203.0.113.1/32", "2001:db8:77::1/128"];
    let has = |prefixes: &[&str]| {
        let what = format!("has exactly {prefixes:?}, none stale");
        peer.wait_until("host", SOON, &what, &mut |v| {
            v.established && v.has_exactly(prefixes) && !v.any_stale()
        })
    };
    let seen = has(&mine);
    assert_eq!(seen.route(mine[0]).as_path, [64612]);
    for (prefix, hop) in mine.iter().zip(["198.51.100.1", "2001:db8:f::1"]) {
        let hop = hop.parse().expect("an address");
        assert!(seen.route(prefix).next_hops.contains(&hop), "{seen:#?}");
    }

    // GoBGP puts nothing into the kernel, so the router there gets its routes by hand.
    if program == "gobgp" {
        tor.ip("route add 203.0.113.1 via 198.51.100.1");
    }
    wait_for(SOON, "the route is in the router's kernel", || {
        let routes = tor.routes("203.0.113.1");
        if routes.is_empty() {
            Err("no route")
        } else {
            Ok(())
        }
    });
    let ping = Pinger::start(&tor, "203.0.113.1".parse().expect("an address"));
    let answered = |more: usize| {
        let before = ping.answered();
        wait_for(SOON, "answers", || {
            let now = ping.answered() - before;
            if now >= more { Ok(()) } else { Err(now) }
        });
    };
    answered(10);
    tapwayd.kill();
    peer.wait_until("host", SOON, "keeps the routes of the dead", &mut |v| {
        !v.established && v.has_exactly(&mine) && v.any_stale()
    });
    answered(50);
    tapwayd.restart(&host);
    has(&mine);
    answered(50);
    let report = ping.stop();
    assert!(report.lost.is_empty(), "{report}");

    tapwayd.delete("g1");
    has(&[]);
    tapwayd.put(&guest("g1", &["203.0.113.1"]));
    has(&mine[..1]);
    let said = tapwayd.tapway(&["shutdown", "--message", "power off"]);
    assert_eq!(said.code, 0, "{said:?}");
    peer.wait_until("host", SOON, "hears the goodbye", &mut |v| {
        !v.established
            && v.routes.is_empty()
            && v.last_error
                .as_ref()
                .is_some_and(|e| e.contains("power off"))
    });
}

#[test]
fn bird() {
    with("bird");
}

#[test]
fn frr() {
    with("frr");
}

#[test]
fn gobgp() {
    with("gobgp");
}
