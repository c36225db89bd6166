//! Turning IPv6 forwarding on while the default route is learned from router advertisements.

use std::net::{Ipv6Addr, SocketAddrV6};

use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tapway_api::kernel::KernelKind;
use tapway_lab::{Netns, wait_for};

use crate::bed::{Bed, SOON};

/// A router advertisement (RFC 4861 §4.2) with a lifetime of half an hour, and nothing else.
const ADVERTISEMENT: [u8; 16] = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];

fn advertise(ns: &Netns, interface: &str) {
    let index = ns.ifindex(interface);
    ns.run_in(|| {
        let socket =
            Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("a socket");
        socket.set_multicast_hops_v6(255).expect("hop limit");
        socket.set_multicast_if_v6(index).expect("interface");
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = SocketAddrV6::new(all_nodes, 0, 0, index);
        socket
            .send_to(&ADVERTISEMENT, &to.into())
            .expect("an advertisement");
    });
}

#[test]
fn the_learned_default_survives_forwarding() {
    let bed = Bed::with(json!({}), &[]);
    let default = || bed.host.routes("default proto ra");
    // A router advertises only when it forwards.
    bed.tor.sysctl("net/ipv6/conf/all/forwarding", "1");
    bed.host.sysctl("net/ipv6/conf/up0/accept_ra", "1");
    wait_for(SOON, "a default from the advertisement", || {
        advertise(&bed.tor, "down0");
        let routes = default();
        if routes.is_empty() {
            Err("none")
        } else {
            Ok(())
        }
    });
    assert_eq!(bed.host.read_sysctl("net/ipv6/conf/all/forwarding"), "0");

    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1", "2001:db8:77::1"]);
    bed.announces(&["203.0.113.1/32", "2001:db8:77::1/128"]);
    wait_for(SOON, "forwarding is on", || {
        match bed
            .host
            .read_sysctl("net/ipv6/conf/all/forwarding")
            .as_str()
        {
            "1" => Ok(()),
            other => Err(other.to_string()),
        }
    });
    assert_eq!(bed.host.read_sysctl("net/ipv6/conf/up0/accept_ra"), "2");
    assert_eq!(default().len(), 1, "the default is gone");
    // And it lives on: the next advertisement is still heard.
    bed.host.ip("-6 route del default proto ra");
    wait_for(SOON, "the next advertisement", || {
        advertise(&bed.tor, "down0");
        if default().is_empty() {
            Err("none")
        } else {
            Ok(())
        }
    });

    for (path, old, new) in [
        ("ipv6/conf/up0/accept_ra", "1", "2"),
        ("ipv6/conf/all/forwarding", "0", "1"),
        ("ipv4/conf/all/forwarding", "0", "1"),
    ] {
        let shown = bed.kernel(KernelKind::Sysctl);
        let dotted = path.replace('/', ".");
        let object = shown
            .iter()
            .find(|o| o.object.contains(&dotted) || o.object.contains(path));
        let object = object.unwrap_or_else(|| panic!("no {path} in {shown:#?}"));
        assert_eq!(object.old_value.as_deref(), Some(old), "{object:?}");
        bed.tapwayd
            .logs(&format!("net.{dotted} was {old}, now {new}"));
    }
    // Old values come back, forwarding first, so that the default survives this too.
    let answer = bed.tapwayd.tapway(&["shutdown"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    for (path, value) in [
        ("net/ipv4/conf/all/forwarding", "0"),
        ("net/ipv6/conf/all/forwarding", "0"),
        ("net/ipv6/conf/up0/accept_ra", "1"),
    ] {
        assert_eq!(bed.host.read_sysctl(path), value, "{path}");
    }
}
