//! The two ways to stop: for a restart, and for good.

use serde_json::json;
use tapway_lab::wait_for;

use super::fabric::{Fabric, SOON, Transport, WEB, wait_kernel, wait_routes};

with_every_peer!(a_stop_says_nothing_and_a_shutdown_all);

/// SIGTERM leaves the kernel wired, and the peer keeps the routes; `tapway shutdown` withdraws, tells why
/// (RFC 9003), and takes out of the kernel all that is ours.
fn a_stop_says_nothing_and_a_shutdown_all(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let host = &fabric.host;
    let sysctls = [
        "net/ipv4/ip_forward",
        "net/ipv6/conf/all/forwarding",
        "net/ipv4/conf/tap0/forwarding",
        "net/ipv6/conf/tap0/forwarding",
    ];
    let before = sysctls.map(|key| host.read_sysctl(key));
    let peer = fabric.start_peer(fabric.neighbor());
    let mut tapwayd = fabric.start_tapwayd(json!({}));
    wait_routes(&*peer, &WEB);
    wait_kernel(host, "default proto 112", 2);
    fabric.wait_reachable();
    let pings = fabric.pings();
    pings.wait_answered(5);

    tapwayd.stop();
    let view = peer.wait_until("host", SOON, "keeps the routes", &mut |v| {
        !v.established && v.has_exactly(&WEB) && v.any_stale()
    });
    let why = view.last_error.unwrap_or_default().to_lowercase();
    for word in ["notification", "cease", "shutdown", "received"] {
        assert!(!why.contains(word), "the peer was told {why:?}");
    }
    pings.wait_answered(20);
    tapwayd.restart(host);
    wait_routes(&*peer, &WEB);
    pings.wait_answered(20);
    pings.assert_none_lost();

    let said = tapwayd.tapway(&["shutdown", "--message", "moving house"]);
    assert_eq!(said.code, 0, "{said:?}");
    peer.wait_until("host", SOON, "hears why", &mut |v| {
        let told = v.last_error.as_deref().unwrap_or_default();
        !v.established && v.routes.is_empty() && told.contains("moving house")
    });
    wait_for(SOON, "tapwayd ends", || {
        if tapwayd.is_running() {
            Err("it runs")
        } else {
            Ok(())
        }
    });
    assert_eq!(host.routes("proto 112"), [""; 0]);
    let addresses = host.ip("address show dev tap0");
    for gateway in ["169.254.0.1", "fe80::1/"] {
        assert!(!addresses.contains(gateway), "{addresses}");
    }
    for left in [
        host.ip("neighbour show nud permanent dev tap0"),
        host.ip("nexthop show"),
    ] {
        assert_eq!(left, "", "left in the kernel");
    }
    for family in ["-4", "-6"] {
        let rules = host.ip(&format!("-details {family} rule show"));
        assert!(!rules.contains("proto 112"), "{rules}");
    }
    assert_eq!(sysctls.map(|key| host.read_sysctl(key)), before);
}
