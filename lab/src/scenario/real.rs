//! The stage in network namespaces: the daemon itself, and a second one as its fabric router.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::route::Route;
use tapway_api::status::DaemonState;
use tapway_model::Prefix;
use tapway_model::spec::{InstanceSpec, NicSpec};

use super::{Ours, Stage};
use crate::{Netns, Tapwayd, veth, wait_for};

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(60);
const GUEST_MAC: &str = "52:54:00:00:00:01";

/// One hypervisor, one router, and a namespace for the guests' ends.
pub struct Real {
    // Daemons end before their namespaces do.
    hypervisor: Tapwayd,
    router: Tapwayd,
    host: Netns,
    guests: Netns,
    _tor: Netns,
    hidden: Option<PathBuf>,
}

impl Real {
    /// A hypervisor with an established session and an empty directory of files. It never scans
    /// without a reason.
    pub fn new() -> Real {
        let (host, tor, guests) = (Netns::new("host"), Netns::new("tor"), Netns::new("vm"));
        veth(&host, "up0", &tor, "down0");
        host.address("up0", "198.51.100.11/24");
        host.address("up0", "2001:db8:f::11/64");
        tor.address("down0", "198.51.100.1/24");
        let router = Tapwayd::start(
            &tor,
            json!({
                "router": {"asn": 65000, "router_id": "192.0.2.1"},
                "peer": {"hv": {"address": "198.51.100.11", "asn": 64612, "passive": true, "import": "all", "export": "none"}},
            }),
        );
        let mut hypervisor = Tapwayd::prepare(
            &host,
            json!({
                "router": {"asn": 64612, "router_id": "192.0.2.11"},
                "peer": {"tor": {"address": "198.51.100.1", "asn": 65000, "connect_retry": "1s"}},
                "source": {"files": {"grace": "2s"}},
            }),
        )
        .arguments(&["--scan-interval", "0"]);
        hypervisor.restart(&host);
        hypervisor.wait_established(PATIENCE);
        Real {
            hypervisor,
            router,
            host,
            guests,
            _tor: tor,
            hidden: None,
        }
    }

    fn received(&self, stale_too: bool) -> BTreeSet<Prefix> {
        let routes: List<Route> = self.router.json(&["route", "list", "--received", "hv"]);
        routes
            .items
            .into_iter()
            .filter(|r| stale_too || !r.stale)
            .map(|r| r.prefix)
            .collect()
    }

    fn routes(&self, arguments: &str) -> Vec<Value> {
        ["-4", "-6"]
            .iter()
            .flat_map(|family| {
                let found = self
                    .host
                    .ip_json(&format!("{family} route show {arguments}"));
                found.as_array().cloned().unwrap_or_default()
            })
            .collect()
    }

    fn foreign(&self, prefix: &str, interface: &str) -> String {
        format!("{prefix} dev {interface} scope link metric 10 proto static")
    }
}

impl Default for Real {
    fn default() -> Self {
        Real::new()
    }
}

impl Stage for Real {
    fn plug(&mut self, interface: &str) {
        veth(&self.host, interface, &self.guests, interface);
    }

    fn unplug(&mut self, interface: &str) {
        self.host.link_del(interface);
    }

    fn set_up(&mut self, interface: &str, up: bool) {
        self.host
            .link_set(interface, if up { "up" } else { "down" });
    }

    fn set_carrier(&mut self, interface: &str, carrier: bool) {
        self.guests
            .link_set(interface, if carrier { "up" } else { "down" });
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.host.link_set(from, "down");
        self.host.link_set(from, &format!("name {to}"));
        self.host.link_set(to, "up");
    }

    fn put(&mut self, name: &str, interface: &str, addresses: &[&str]) {
        self.hypervisor.put(&InstanceSpec {
            name: name.to_owned(),
            nic: vec![NicSpec {
                interface: interface.to_owned(),
                mac: Some(GUEST_MAC.to_owned()),
                addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
                ..NicSpec::default()
            }],
            claim: Vec::new(),
        });
    }

    fn delete(&mut self, name: &str) {
        self.hypervisor.delete(name);
    }

    fn lose_directory(&mut self) {
        let here = self.hypervisor.instances();
        let there = here.with_extension("away");
        std::fs::rename(&here, &there).expect("the directory is there");
        self.hidden = Some(there);
    }

    fn return_directory(&mut self) {
        let there = self.hidden.take().expect("the directory was moved away");
        std::fs::rename(there, self.hypervisor.instances()).expect("its place is free");
    }

    fn kill(&mut self) {
        self.hypervisor.kill();
    }

    fn start(&mut self) {
        self.hypervisor.restart(&self.host);
    }

    fn shutdown(&mut self, message: &str) {
        let answer = self.hypervisor.tapway(&["shutdown", "--message", message]);
        assert_eq!(answer.code, 0, "{answer:?}");
        wait_for(PATIENCE, "the daemon ends", || {
            if self.hypervisor.is_running() {
                Err("runs")
            } else {
                Ok(())
            }
        });
    }

    fn remove_behind(&mut self, object: Ours) {
        match object {
            Ours::Route(prefix) => self.host.ip(&format!("route del {prefix} proto 112")),
            Ours::Neighbour(addr, on) => self.host.ip(&format!("neigh del {addr} dev {on}")),
            Ours::Address(addr, on) => self.host.ip(&format!("addr del {addr}/32 dev {on}")),
        };
    }

    fn has(&mut self, object: Ours) -> bool {
        let (arguments, on) = match object {
            Ours::Route(prefix) => return self.wired().contains(&crate::sim::prefix(prefix)),
            Ours::Neighbour(addr, on) => (format!("neigh show {addr} dev {on} nud permanent"), on),
            Ours::Address(addr, on) => (format!("addr show dev {on} to {addr}"), on),
        };
        let there = self
            .host
            .try_exec(&format!("ip link show {on}"))
            .status
            .success();
        there && !self.host.ip(&arguments).trim().is_empty()
    }

    fn put_foreign_route(&mut self, prefix: &str, interface: &str) {
        let route = self.foreign(prefix, interface);
        self.host.ip(&format!("route add {route}"));
    }

    fn remove_foreign_route(&mut self, prefix: &str, interface: &str) {
        let route = self.foreign(prefix, interface);
        self.host.ip(&format!("route del {route}"));
    }

    fn has_foreign_route(&mut self, prefix: &str, interface: &str) -> bool {
        let route = self.foreign(prefix, interface);
        !self
            .host
            .ip(&format!("route show {route}"))
            .trim()
            .is_empty()
    }

    fn announced(&mut self) -> BTreeSet<Prefix> {
        self.received(false)
    }

    fn kept(&mut self) -> BTreeSet<Prefix> {
        self.received(true)
    }

    fn wired(&mut self) -> BTreeSet<Prefix> {
        let ours = self.routes("proto 112");
        ours.iter()
            .filter_map(|route| route["dst"].as_str()?.parse().ok())
            .collect()
    }

    fn settled(&mut self) -> bool {
        self.hypervisor.status().state == DaemonState::Running
    }

    fn until(&mut self, what: &str, condition: &mut dyn FnMut(&mut Self) -> bool) {
        wait_for(PATIENCE, what, || {
            if condition(self) {
                return Ok(());
            }
            Err(format!(
                "announced {:?}, wired {:?}\n{}",
                self.announced(),
                self.wired(),
                self.hypervisor.log()
            ))
        });
    }
}
