//! TTL security (RFC 5082) on the listener: who is not next to us does not even get a handshake.

use std::net::SocketAddr;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tapway_lab::{Netns, Tapwayd, wait_for};

use crate::bed::{Bed, SOON};

/// Begins to connect to the host from the router's namespace, with this TTL.
fn call(bed: &Bed, ttl: u32) -> Socket {
    bed.tor.run_in(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_ttl_v4(ttl).expect("a TTL");
        socket.set_nonblocking(true).expect("a mode");
        let to: SocketAddr = "198.51.100.1:179".parse().expect("an address");
        let begun = socket.connect(&to.into());
        assert!(begun.is_err(), "it cannot be there at once");
        socket
    })
}

fn drops(host: &Netns) -> u64 {
    let text = host.run_in(|| std::fs::read_to_string("/proc/thread-self/net/netstat"));
    let text = text.expect("counters");
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let at = names.split(' ').position(|name| name == "TCPMinTTLDrop");
    let value = at.and_then(|at| values.split(' ').nth(at));
    value.and_then(|v| v.parse().ok()).expect("TCPMinTTLDrop")
}

#[test]
fn the_listener_of_near_peers_alone_drops_what_comes_from_afar() {
    let peer =
        json!({"address": "198.51.100.0", "asn": 65000, "ttl_security": true, "passive": true});
    let config = |more| Bed::config(json!({"peer": {"tor": peer, "other": more}}));
    let far = json!({"address": "198.51.100.9", "asn": 65009, "multihop": 2});
    let near = json!({"address": "198.51.100.9", "asn": 65009, "ttl_security": true});
    let bed = Bed::prepared(json!({"peer": {"tor": peer}}), &[]);
    listens(&bed.tapwayd, &bed.host);
    let before = drops(&bed.host);
    let caller = call(&bed, 64);
    wait_for(SOON, "the handshake is dropped", || {
        match drops(&bed.host) {
            now if now > before => Ok(()),
            now => Err(now),
        }
    });
    assert!(caller.peer_addr().is_err(), "nobody answered");
    answered(&call(&bed, 255));
    // One that may be far opens the listener that it comes in by, and closes it when it goes.
    for (more, is_open) in [(far, true), (near, false)] {
        bed.tapwayd.configure(config(more));
        let read = bed.tapwayd.tapway(&["config", "reload"]);
        assert_eq!(read.code, 0, "{read:?}");
        let before = drops(&bed.host);
        let caller = call(&bed, 64);
        if is_open {
            answered(&caller);
        } else {
            wait_for(SOON, "the handshake is dropped", || {
                match drops(&bed.host) {
                    now if now > before => Ok(()),
                    now => Err(now),
                }
            });
        }
    }
}

fn listens(tapwayd: &Tapwayd, host: &Netns) {
    wait_for(SOON, "it listens", || {
        let sockets = host.exec("ss -Htln");
        let own = sockets.lines().any(|line| line.contains("198.51.100.1"));
        if own {
            Ok(())
        } else {
            Err(format!("{sockets}\n{}", tapwayd.log()))
        }
    });
}

#[track_caller]
fn answered(caller: &Socket) {
    wait_for(SOON, "the handshake is answered", || {
        match caller.peer_addr() {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    });
}
