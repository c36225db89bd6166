//! A hypervisor, its router and its guests: what every test here starts from.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tapway_api::conflict::Conflict;
use tapway_api::doctor::{Check, Diagnosis};
use tapway_api::explain::Explanation;
use tapway_api::instance::{Claim, InstanceDetail};
use tapway_api::kernel::{KernelKind, KernelObject};
use tapway_api::list::List;
use tapway_api::problem::Problem;
use tapway_api::route::Route;
use tapway_api::source::Source;
use tapway_lab::{Netns, Tapwayd, mac_of, veth, wait_for};

/// Long enough for a loaded machine; what waits ends as soon as it can.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A network of three namespaces: the host with the daemon under test, its router (a tapwayd that
/// keeps what it is told), and one that holds the guests' ends of their interfaces.
pub(crate) struct Bed {
    pub(crate) tapwayd: Tapwayd,
    pub(crate) router: Tapwayd,
    pub(crate) host: Netns,
    pub(crate) tor: Netns,
    pub(crate) guests: Netns,
}

impl Bed {
    /// With the session up.
    pub(crate) fn new() -> Bed {
        Bed::with(json!({}), &[])
    }

    /// With more in the daemon's configuration, and more arguments.
    pub(crate) fn with(more: Value, arguments: &[&str]) -> Bed {
        let bed = Bed::prepared(more, arguments);
        bed.tapwayd.wait_established(SOON);
        bed
    }

    /// Without waiting for the session.
    pub(crate) fn prepared(more: Value, arguments: &[&str]) -> Bed {
        let (host, tor) = (Netns::new("host"), Netns::new("tor"));
        veth(&host, "up0", &tor, "down0");
        for (ns, interface, end) in [(&tor, "down0", 0), (&host, "up0", 1)] {
            ns.address(interface, &format!("198.51.100.{end}/31"));
            ns.address(interface, &format!("2001:db8:f::{end}/127"));
        }
        let router = Tapwayd::start(
            &tor,
            json!({
                "router": {"asn": 65000, "router_id": "192.0.2.1"},
                "peer": {"host": {"address": "198.51.100.1", "asn": 64612, "import": "all", "passive": true}},
            }),
        );
        let mut tapwayd = Tapwayd::prepare(&host, Bed::config(more))
            .arguments(&["--scan-interval", "0"])
            .arguments(arguments);
        tapwayd.restart(&host);
        Bed {
            tapwayd,
            router,
            guests: Netns::new("guests"),
            host,
            tor,
        }
    }

    /// The daemon's configuration, with more in it.
    pub(crate) fn config(more: Value) -> Value {
        let mut config = json!({
            "router": {"asn": 64612, "router_id": "192.0.2.11"},
            "peer": {"tor": {"address": "198.51.100.0", "asn": 65000, "connect_retry": "1s"}},
            "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
        });
        merge(&mut config, more);
        config
    }

    /// Kills the daemon and starts it again.
    pub(crate) fn crash(&mut self) {
        self.tapwayd.kill();
        self.tapwayd.restart(&self.host);
    }

    /// Starts a guest: its interface appears, the guest's end up.
    pub(crate) fn plug(&self, interface: &str) {
        veth(&self.host, interface, &self.guests, interface);
    }

    /// Writes the file of a guest whose instance, file and interface have one name.
    pub(crate) fn guest(&self, name: &str, addresses: &[&str]) {
        self.tapwayd.put_text(name, &instance(name, addresses));
    }

    /// Waits until the router has exactly these routes of ours, none stale.
    #[track_caller]
    pub(crate) fn announces(&self, prefixes: &[&str]) {
        let want: BTreeSet<String> = prefixes.iter().map(|p| p.to_string()).collect();
        wait_for(SOON, format!("the router has exactly {want:?}"), || {
            let list: List<Route> =
                self.router
                    .json(&["route", "list", "--received", "host", "--limit", "10000"]);
            let stale = list.items.iter().any(|r| r.stale);
            let have: BTreeSet<String> = list.items.iter().map(|r| r.prefix.to_string()).collect();
            if have == want && !stale {
                Ok(())
            } else {
                Err(format!("{have:?}{}", if stale { ", stale" } else { "" }))
            }
        });
    }

    /// Waits until the host's kernel has exactly these routes of ours, as `prefix dev interface`.
    #[track_caller]
    pub(crate) fn wired(&self, routes: &[&str]) {
        self.wired_in("main", routes);
    }

    /// The same in another table.
    #[track_caller]
    pub(crate) fn wired_in(&self, table: &str, routes: &[&str]) {
        wait_for(SOON, format!("the kernel has exactly {routes:?}"), || {
            let mut have: Vec<String> = self
                .host
                .routes(&format!("table {table} proto 112"))
                .iter()
                .map(|line| {
                    let words: Vec<&str> = line.split(' ').collect();
                    let keep = words
                        .iter()
                        .position(|w| *w == "dev")
                        .map_or(0, |at| at + 2);
                    words[..keep.min(words.len())].join(" ")
                })
                .collect();
            have.sort();
            let mut want = routes.to_vec();
            want.sort_unstable();
            if have == want {
                Ok(())
            } else {
                Err(format!("{have:?}"))
            }
        });
    }

    /// Waits until what `ip` prints contains all of these words, somewhere.
    #[track_caller]
    pub(crate) fn ip_shows(&self, arguments: &str, texts: &[&str]) {
        wait_for(SOON, format!("ip {arguments} shows {texts:?}"), || {
            let shown = self.host.ip(arguments);
            if texts.iter().all(|t| shown.contains(t)) {
                Ok(())
            } else {
                Err(shown)
            }
        });
    }

    pub(crate) fn kernel(&self, kind: KernelKind) -> Vec<KernelObject> {
        let list: List<KernelObject> = self.tapwayd.json(&["kernel", "list"]);
        list.items.into_iter().filter(|o| o.kind == kind).collect()
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.tapwayd
            .json::<List<Problem>>(&["problem", "list"])
            .items
    }

    /// Waits until exactly one problem is there, and returns it.
    #[track_caller]
    pub(crate) fn one_problem(&self) -> Problem {
        wait_for(SOON, "one problem", || {
            let mut problems = self.problems();
            match problems.pop() {
                Some(one) if problems.is_empty() => Ok(one),
                last => Err(format!("{problems:?} {last:?}")),
            }
        })
    }

    /// One of the checks of `doctor`.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) -> Check {
        let diagnosis: Diagnosis = self.tapwayd.json(&["doctor"]);
        let mut checks = diagnosis.checks.into_iter();
        checks
            .find(|check| check.name == name)
            .unwrap_or_else(|| panic!("no check {name}"))
    }

    #[track_caller]
    pub(crate) fn no_problem(&self) {
        wait_for(SOON, "no problem", || {
            let problems = self.problems();
            if problems.is_empty() {
                Ok(())
            } else {
                Err(format!("{problems:?}"))
            }
        });
    }

    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        self.tapwayd
            .json::<List<Conflict>>(&["conflict", "list"])
            .items
    }

    #[track_caller]
    pub(crate) fn source(&self, name: &str) -> Source {
        let list: List<Source> = self.tapwayd.json(&["source", "list"]);
        let found = list.items.into_iter().find(|s| s.name.as_str() == name);
        found.unwrap_or_else(|| panic!("no source {name}"))
    }

    /// The claims of an instance's only NIC.
    #[track_caller]
    pub(crate) fn claims(&self, instance: &str) -> Vec<Claim> {
        let mut list: List<InstanceDetail> = self.tapwayd.json(&["instance", "show", instance]);
        assert_eq!(list.items.len(), 1, "instances named {instance}");
        list.items.remove(0).instance.nics.remove(0).claims
    }

    pub(crate) fn explain(&self, prefix: &str) -> Explanation {
        self.tapwayd.json(&["explain", prefix])
    }
}

/// The text of an instance's file.
pub(crate) fn instance(name: &str, addresses: &[&str]) -> String {
    let number = name.bytes().fold(0, |n, b| n * 31 + u32::from(b)) & 0xff_ffff;
    format!(
        "name = \"{name}\"\n[[nic]]\ninterface = \"{name}\"\nmac = \"{}\"\naddresses = {addresses:?}\n",
        mac_of(number)
    )
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
