//! Peers by interface: each side finds the other by its router advertisements.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use tapway_lab::peers::{self, Neighbor};
use tapway_lab::{Netns, Pinger, Tapwayd, mac_of, veth, wait_for};
use tapway_model::spec::InstanceSpec;

use super::fabric::{
    Fabric, HOST_AS, SOON, Transport, WEB, extend, instance, wait_kernel, wait_routes,
};

/// FRR's `neighbor INTERFACE interface`, ours `interface = "up0"` with `asn = "external"`.
#[test]
fn frr_by_interface() {
    with_frr(Neighbor::interface("host", "down0", HOST_AS), json!({}));
}

#[test]
fn frr_by_interface_with_md5_and_gtsm() {
    let neighbor = Neighbor::interface("host", "down0", HOST_AS)
        .password("s3cret")
        .ttl_security();
    with_frr(
        neighbor,
        json!({"password": "s3cret", "ttl_security": true}),
    );
}

fn with_frr(neighbor: Neighbor, secrets: Value) {
    let fabric = Fabric::new("frr", Transport::LinkLocal);
    let peer = peers::start("frr", &fabric.router, fabric.router(neighbor));
    let mut config = fabric.config(json!({}));
    let mut tor = by_interface("up0");
    extend(&mut tor, secrets);
    config["peer"]["tor"] = tor;
    let mut tapwayd = Tapwayd::prepare(&fabric.host, config);
    tapwayd.put(&super::fabric::web());
    tapwayd.restart(&fabric.host);
    wait_routes(&*peer, &WEB);
    wait_kernel(&fabric.host, "default proto 112", 2);
    fabric.wait_reachable();

    // The same after a restart without a packet lost, and after the link was down.
    let pings = fabric.pings();
    pings.wait_answered(5);
    tapwayd.kill();
    peer.wait_until("host", SOON, "keeps the routes of the dead", &mut |v| {
        !v.established && v.has_exactly(&WEB)
    });
    tapwayd.restart(&fabric.host);
    wait_routes(&*peer, &WEB);
    tapwayd.wait_established(SOON);
    pings.wait_answered(20);
    pings.assert_none_lost();
    fabric.host.link_set("up0", "down");
    wait_kernel(&fabric.host, "default proto 112", 0);
    fabric.host.link_set("up0", "up");
    wait_routes(&*peer, &WEB);
    wait_kernel(&fabric.host, "default proto 112", 2);
    fabric.wait_reachable();
}

/// Two hosts back to back, each with a guest: the guests reach each other.
#[test]
fn tapwayd_and_tapwayd() {
    let (one, two) = (Netns::new("one"), Netns::new("two"));
    veth(&one, "up0", &two, "up0");
    let (guest_one, of_one) = host_with_guest(&one, 1);
    let (guest_two, of_two) = host_with_guest(&two, 2);
    let start = |ns: &Netns, number: u32, guest: &InstanceSpec| {
        let mut peer = by_interface("up0");
        peer["import"] = json!("all");
        peer["install"] = json!(true);
        let mut tapwayd = Tapwayd::prepare(
            ns,
            json!({
                "router": {"asn": HOST_AS + number, "router_id": format!("192.0.2.{number}")},
                "peer": {"other": peer},
                "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
            }),
        );
        tapwayd.put(guest);
        tapwayd.restart(ns);
        tapwayd
    };
    let tapwayd_one = start(&one, 1, &of_one);
    let mut tapwayd_two = start(&two, 2, &of_two);
    tapwayd_one.wait_established(SOON);
    tapwayd_two.wait_established(SOON);
    wait_kernel(&one, "proto 112 metric 20", 2);
    wait_kernel(&two, "proto 112 metric 20", 2);
    let pings = [
        (&guest_one, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2))),
        (&guest_one, "2001:db8:72::10".parse().expect("an address")),
        (&guest_two, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))),
        (&guest_two, "2001:db8:71::10".parse().expect("an address")),
    ]
    .map(|(ns, target)| {
        let first = Pinger::start(ns, target);
        wait_answered(&first, 1);
        Pinger::start(ns, target)
    });
    pings.iter().for_each(|p| wait_answered(p, 5));

    tapwayd_two.kill();
    wait_for(SOON, "the routes of the dead are kept", || {
        let peers = tapwayd_one.peers();
        let stale: u64 = peers[0].families.iter().map(|f| f.stale).sum();
        if stale == 2 {
            Ok(())
        } else {
            Err(format!("{peers:#?}"))
        }
    });
    pings.iter().for_each(|p| wait_answered(p, 20));
    tapwayd_two.restart(&two);
    tapwayd_two.wait_established(SOON);
    wait_for(SOON, "nothing is stale", || {
        let peers = tapwayd_one.peers();
        let all = peers[0].families.iter();
        if all.clone().count() == 2 && all.clone().all(|f| f.stale == 0 && f.received == 1) {
            Ok(())
        } else {
            Err(format!("{peers:#?}"))
        }
    });
    pings.iter().for_each(|p| wait_answered(p, 20));
    for ping in pings {
        let report = ping.stop();
        assert!(report.lost.is_empty(), "{report}");
    }
}

fn by_interface(interface: &str) -> Value {
    json!({"interface": interface, "asn": "external", "connect_retry": "1s"})
}

fn host_with_guest(host: &Netns, number: u32) -> (Netns, InstanceSpec) {
    let guest = Netns::new("guest");
    veth(host, "tap0", &guest, "eth0");
    guest.ip_batch(&format!(
        "link set eth0 address {}\n\
         address add 203.0.113.{number}/32 dev eth0\n\
         address add 2001:db8:7{number}::10/64 dev eth0 nodad\n\
         route add default via 169.254.0.1 dev eth0 onlink\n\
         route add default via fe80::1 dev eth0\n",
        mac_of(number)
    ));
    let addresses = [
        format!("203.0.113.{number}"),
        format!("2001:db8:7{number}::/64"),
    ];
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let spec = instance("guest", "tap0", &addresses, Some(mac_of(number)));
    (guest, spec)
}

#[track_caller]
fn wait_answered(ping: &Pinger, more: usize) {
    let before = ping.answered();
    wait_for(SOON, "answers", || {
        let now = ping.answered() - before;
        if now >= more { Ok(()) } else { Err(now) }
    });
}
