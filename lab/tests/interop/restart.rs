//! Graceful restart (RFC 4724): the daemon is killed and started again while packets flow.

use std::time::Instant;

use serde_json::json;
use tapway_lab::{Netns, Proc, wait_for};
use tempfile::TempDir;

use super::fabric::{Fabric, OLD, SOON, Transport, WEB, all, old, wait_kernel, wait_routes};

with_every_peer_and_transport!(no_route_and_no_packet_is_lost);

/// What of the kernel's state must not move while the daemon restarts.
const WATCHED: [&str; 4] = ["203.0.113.1", "2001:db8:77::", "default", "169.254.0.1"];

/// `kill -9`, an instance is removed meanwhile, restart: the peer loses no route of what stayed, not one
/// packet is lost, the kernel is not touched; what is gone is withdrawn and nothing stays stale.
fn no_route_and_no_packet_is_lost(program: &'static str, transport: Transport) {
    let fabric = Fabric::new(program, transport);
    let peer = fabric.start_peer(fabric.neighbor());
    let mut tapwayd = fabric.start_tapwayd(json!({}));
    tapwayd.put(&old());
    let both = all(&[&WEB, &OLD]);
    wait_routes(&*peer, &both);
    wait_kernel(&fabric.host, "default proto 112", 2);
    fabric.wait_reachable();
    let pings = fabric.pings();
    pings.wait_answered(10);
    let changes = Changes::follow(&fabric.host);

    tapwayd.kill();
    tapwayd.delete("old");
    peer.wait_until("host", SOON, "keeps the routes of the dead", &mut |v| {
        !v.established && v.has_exactly(&both) && v.any_stale()
    });
    pings.wait_answered(30);
    tapwayd.launch(&fabric.host);
    let end = Instant::now() + SOON;
    loop {
        let view = peer.view("host");
        for prefix in WEB {
            view.route(prefix);
        }
        if view.established && view.has_exactly(&WEB) && !view.any_stale() {
            break;
        }
        assert!(Instant::now() < end, "{view:#?}\n{}", tapwayd.log());
    }
    wait_kernel(&fabric.host, "dev tap1 proto 112", 0);
    wait_kernel(&fabric.host, "default proto 112", 2);
    pings.wait_answered(30);
    pings.assert_none_lost();
    let moved = changes.lines();
    let moved: Vec<&String> = moved
        .iter()
        .filter(|line| WATCHED.iter().any(|w| line.contains(w)))
        .filter(|line| !line.contains("tap1"))
        .collect();
    assert!(moved.is_empty(), "the restart changed: {moved:#?}");
}

/// What the kernel tells of routes and addresses.
struct Changes {
    monitor: Proc,
    _folder: TempDir,
}

impl Changes {
    fn follow(ns: &Netns) -> Changes {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = ns.command("ip");
        command.args(["-oneline", "monitor", "route", "address"]);
        let monitor = Proc::spawn("ip monitor", &mut command, &folder.path().join("log"));
        // It follows once it tells of a change.
        let mut n = 0;
        wait_for(SOON, "ip monitor follows", || {
            n += 1;
            ns.ip(&format!("address add 127.1.0.{n}/32 dev lo"));
            let said = monitor.log();
            if said.contains("127.1.0.") {
                Ok(())
            } else {
                Err(said)
            }
        });
        Changes {
            monitor,
            _folder: folder,
        }
    }

    fn lines(&self) -> Vec<String> {
        self.monitor.log().lines().map(str::to_string).collect()
    }
}
