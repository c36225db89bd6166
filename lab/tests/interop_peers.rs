//! The real peers by themselves: what later tests rely on when they ask BIRD, FRR and GoBGP.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tapway_lab::peers::{self, GracefulRestart, Neighbor, Peer, Router};
use tapway_lab::{Netns, veth, wait_for};

const SOON: Duration = Duration::from_secs(30);

const A4: &str = "198.51.100.0";
const B4: &str = "198.51.100.1";
const A6: &str = "2001:db8:1::";
const B6: &str = "2001:db8:1::1";

fn pair() -> (Netns, Netns) {
    let (a, b) = (Netns::new("a"), Netns::new("b"));
    veth(&a, "eth0", &b, "eth1");
    a.ip_batch(&format!(
        "address add {A4}/31 dev eth0\naddress add {A6}/127 dev eth0 nodad\n"
    ));
    b.ip_batch(&format!(
        "address add {B4}/31 dev eth1\naddress add {B6}/127 dev eth1 nodad\n"
    ));
    (a, b)
}

fn router_a(neighbor: Neighbor) -> Router {
    Router::new(65001, Ipv4Addr::new(192, 0, 2, 1))
        .neighbor(neighbor)
        .originate("203.0.113.1/32")
        .originate("2001:db8:77::1/128")
}

fn router_b(neighbor: Neighbor) -> Router {
    Router::new(65002, Ipv4Addr::new(192, 0, 2, 2))
        .neighbor(neighbor)
        .originate("203.0.113.2/32")
        .originate("2001:db8:77::2/128")
}

const FROM_A: [&str; 2] = ["203.0.113.1/32", "2001:db8:77::1/128"];
const FROM_B: [&str; 2] = ["203.0.113.2/32", "2001:db8:77::2/128"];

fn has(peer: &dyn Peer, neighbor: &str, prefixes: &[&str]) -> peers::PeerView {
    let what = format!("up, with exactly {prefixes:?}");
    peer.wait_until(neighbor, SOON, &what, &mut |v| {
        v.established && v.has_exactly(prefixes)
    })
}

/// Both see each other's routes; a route comes and goes; a goodbye and a death are told apart.
fn meet(a_ns: &Netns, a: &mut dyn Peer, b: &mut dyn Peer, hop_a6: &str) {
    let seen = has(b, "a", &FROM_A);
    assert_eq!(seen.route(FROM_A[0]).as_path, [65001]);
    let hop: IpAddr = hop_a6.parse().expect("an address");
    assert!(
        seen.route(FROM_A[1]).next_hops.contains(&hop),
        "{seen:#?} has no next hop {hop}"
    );
    has(a, "b", &FROM_B);

    b.announce("203.0.113.77/32".parse().expect("a prefix"));
    has(a, "b", &[FROM_B[0], FROM_B[1], "203.0.113.77/32"]);
    b.withdraw("203.0.113.77/32".parse().expect("a prefix"));
    has(a, "b", &FROM_B);

    a.stop();
    b.wait_until("a", SOON, "the session ended", &mut |v| {
        !v.established && v.last_error.is_some() && v.routes.is_empty()
    });
    a.start(a_ns);
    has(b, "a", &FROM_A);
}

#[test]
fn bird_and_frr_over_ipv4_with_md5_and_gtsm() {
    let (a_ns, b_ns) = pair();
    let to_b = Neighbor::at("b", B4, 65002)
        .password("s3cret")
        .ttl_security();
    let to_a = Neighbor::at("a", A4, 65001)
        .password("s3cret")
        .ttl_security();
    let mut bird = peers::start("bird", &a_ns, router_a(to_b));
    let mut frr = peers::start("frr", &b_ns, router_b(to_a).install());
    meet(&a_ns, bird.as_mut(), frr.as_mut(), A6);
    // zebra installs them a moment after bgpd has them.
    wait_for(SOON, "FRR installs what it learns", || {
        match b_ns.routes("proto bgp").len() {
            2 => Ok(()),
            other => Err(format!("{other} routes")),
        }
    });
}

#[test]
fn frr_and_bird_over_link_local() {
    let (a_ns, b_ns) = pair();
    let (a_ll, b_ll) = (a_ns.link_local("eth0"), b_ns.link_local("eth1"));
    let to_b = Neighbor::link_local("b", b_ll, "eth0", 65002);
    let to_a = Neighbor::link_local("a", a_ll, "eth1", 65001);
    let mut frr = peers::start("frr", &a_ns, router_a(to_b));
    let mut bird = peers::start("bird", &b_ns, router_b(to_a));
    meet(&a_ns, frr.as_mut(), bird.as_mut(), &a_ll.to_string());
}

#[test]
fn bird_and_gobgp_over_ipv6() {
    let (a_ns, b_ns) = pair();
    let to_b = Neighbor::at("b", B6, 65002).extended_next_hop();
    let to_a = Neighbor::at("a", A6, 65001).extended_next_hop();
    let mut bird = peers::start("bird", &a_ns, router_a(to_b));
    let mut gobgp = peers::start("gobgp", &b_ns, router_b(to_a));
    meet(&a_ns, bird.as_mut(), gobgp.as_mut(), A6);
}

/// BIRD dies and comes back; `helper` keeps its routes all the while.
fn keeps_the_routes_of_the_dead(helper: &str) {
    let (a_ns, b_ns) = pair();
    let to_b = Neighbor::at("b", B6, 65002)
        .extended_next_hop()
        .graceful_restart(GracefulRestart::Full);
    let to_a = Neighbor::at("a", A6, 65001).extended_next_hop();
    let mut dying = peers::start("bird", &a_ns, router_a(to_b));
    let helper = peers::start(helper, &b_ns, router_b(to_a));
    has(helper.as_ref(), "a", &FROM_A);
    dying.kill();
    helper.wait_until("a", SOON, "stale routes", &mut |v| {
        !v.established && v.has_exactly(&FROM_A) && v.any_stale()
    });
    dying.start(&a_ns);
    helper.wait_until("a", SOON, "fresh routes", &mut |v| {
        v.established && v.has_exactly(&FROM_A) && !v.any_stale()
    });
}

#[test]
fn bird_keeps_the_routes_of_the_dead() {
    keeps_the_routes_of_the_dead("bird");
}

#[test]
fn frr_keeps_the_routes_of_the_dead() {
    keeps_the_routes_of_the_dead("frr");
}

#[test]
fn gobgp_keeps_the_routes_of_the_dead() {
    keeps_the_routes_of_the_dead("gobgp");
}
