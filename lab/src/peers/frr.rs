//! FRR: zebra and bgpd with every path of their own, their configuration, their answers.
//!
//! The daemons give up root for the user `frr`, who has to own their directory. That also clears the
//! order to die with the test; the namespace's removal ends them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tapway_model::{Family, Prefix};
use tempfile::TempDir;

use super::{GracefulRestart, Neighbor, Peer, PeerView, Remote, RouteInfo, Router};
use crate::netns::Netns;
use crate::process::Proc;
use crate::wait::wait_for;

/// Where Debian puts the daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// A running FRR: zebra and bgpd.
#[derive(Debug)]
pub struct Frr {
    // Dropped first, while their files are there: bgpd, then zebra.
    processes: Vec<Proc>,
    router: Router,
    dir: TempDir,
}

impl Frr {
    /// Starts zebra and bgpd in a namespace.
    ///
    /// # Panics
    /// When they do not start.
    #[track_caller]
    pub fn start(ns: &Netns, router: Router) -> Frr {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let mut frr = Frr {
            processes: Vec::new(),
            router,
            dir,
        };
        Peer::start(&mut frr, ns);
        frr
    }

    /// What `vtysh` prints for these commands.
    pub fn vtysh(&self, commands: &[&str]) -> String {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(self.dir.path());
        command.arg("--config_dir").arg(self.dir.path());
        for line in commands {
            command.args(["-c", line]);
        }
        match command.output() {
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr);
                format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
            }
            Err(e) => panic!("cannot run vtysh (package frr): {e}"),
        }
    }

    fn daemon(&self, ns: &Netns, name: &str, config: &str, more: &[&str]) -> Proc {
        let dir = self.dir.path();
        let file = |suffix: &str| dir.join(format!("{name}.{suffix}"));
        fs::write(file("conf"), config).expect("FRR's configuration");
        chown_to_frr(&file("conf"));
        let mut command = ns.command(Path::new(DAEMONS).join(name));
        command.arg("-f").arg(file("conf"));
        command.arg("-i").arg(file("pid"));
        command.arg("-z").arg(dir.join("zserv.api"));
        command.arg("--vty_socket").arg(dir);
        command.args(["-P", "0", "--log", "stdout", "--log-level", "informational"]);
        command.args(more);
        Proc::spawn(name, &mut command, &self.log_of(name))
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    fn network(&self, prefix: Prefix, no: &str) {
        let router = format!("router bgp {}", self.router.asn);
        let family = format!("address-family {} unicast", word(prefix.family()));
        let network = format!("{no}network {prefix}");
        let answer = self.vtysh(&["configure terminal", &router, &family, &network]);
        assert!(!answer.contains('%'), "vtysh: {answer}");
    }
}

impl Peer for Frr {
    fn program(&self) -> &'static str {
        "frr"
    }

    fn view(&self, neighbor: &str) -> PeerView {
        let key = self.router.find(neighbor).address();
        let text = self.vtysh(&[
            "show bgp neighbors json",
            "show bgp ipv4 unicast json detail",
            "show bgp ipv6 unicast json detail",
        ]);
        let answers: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect();
        match answers.as_deref() {
            Ok([neighbors, tables @ ..]) => view(&key, neighbors, tables),
            other => panic!("vtysh printed no JSON ({other:?}): {text}"),
        }
    }

    fn announce(&mut self, prefix: Prefix) {
        self.router.originates.push(prefix);
        self.network(prefix, "");
    }

    fn withdraw(&mut self, prefix: Prefix) {
        self.router.originates.retain(|p| *p != prefix);
        self.network(prefix, "no ");
    }

    fn stop(&mut self) {
        for mut process in std::mem::take(&mut self.processes) {
            process.stop(Duration::from_secs(10));
        }
    }

    fn kill(&mut self) {
        self.processes.clear();
    }

    fn start(&mut self, ns: &Netns) {
        fs::write(
            self.dir.path().join("vtysh.conf"),
            "no service integrated-vtysh-config\n",
        )
        .expect("vtysh.conf");
        chown_to_frr(self.dir.path());
        let zserv = self.dir.path().join("zserv.api");
        // A killed zebra leaves it.
        let _ = fs::remove_file(&zserv);
        let zebra = self.daemon(ns, "zebra", "", &[]);
        // A bgpd that finds no zebra tries again ten seconds later, and knows no interface till then.
        wait_for(Duration::from_secs(20), "zebra listens", || {
            UnixStream::connect(&zserv).map(drop)
        });
        let port = self.router.port.to_string();
        let bgpd = self.daemon(ns, "bgpd", &config(&self.router), &["-p", &port]);
        self.processes = vec![bgpd, zebra];
        wait_for(Duration::from_secs(20), "FRR answers", || {
            let answer = self.vtysh(&["show bgp neighbors json", "show zebra client summary"]);
            if answer.contains("bgp") && !answer.contains("not running") {
                Ok(())
            } else {
                Err(format!("{answer}{}", self.log()))
            }
        });
    }

    fn log(&self) -> String {
        ["zebra", "bgpd"]
            .map(|name| fs::read_to_string(self.log_of(name)).unwrap_or_default())
            .concat()
    }
}

fn chown_to_frr(path: &Path) {
    let done = Command::new("chown").arg("frr:frr").arg(path).status();
    assert!(
        done.as_ref().is_ok_and(|s| s.success()),
        "cannot give {} to the user frr (package frr): {done:?}",
        path.display()
    );
}

fn word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn config(router: &Router) -> String {
    let mut text = format!(
        "router bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n no bgp network import-check\n",
        router.asn, router.id
    );
    if let Some(time) = router.neighbors.iter().find_map(|n| n.long_lived) {
        let _ = writeln!(
            text,
            " bgp graceful-restart restart-time 1\n bgp long-lived-graceful-restart stale-time {time}"
        );
    }
    for neighbor in &router.neighbors {
        neighbor_lines(&mut text, neighbor);
    }
    for family in Family::ALL {
        let _ = writeln!(text, " address-family {} unicast", word(family));
        for prefix in router.originates.iter().filter(|p| p.family() == family) {
            let _ = writeln!(text, "  network {prefix}");
        }
        for neighbor in &router.neighbors {
            let key = neighbor.address();
            if neighbor.families.contains(&family) {
                let _ = writeln!(text, "  neighbor {key} activate");
                if neighbor.client {
                    let _ = writeln!(text, "  neighbor {key} route-reflector-client");
                } else {
                    let _ = writeln!(text, "  neighbor {key} route-map own out");
                }
                if neighbor.add_paths {
                    let _ = writeln!(text, "  neighbor {key} addpath-tx-all-paths");
                }
            }
        }
        text.push_str(" exit-address-family\n");
    }
    // What it learned from one neighbour is not passed on to another.
    text.push_str("exit\nbgp as-path access-list own permit ^$\nroute-map own permit 10\n match as-path own\n");
    text
}

fn neighbor_lines(text: &mut String, neighbor: &Neighbor) {
    let key = neighbor.address();
    let mut line = |s: String| {
        let _ = writeln!(text, " neighbor {key} {s}");
    };
    match &neighbor.remote {
        Remote::Interface(_) => line(format!("interface remote-as {}", neighbor.asn)),
        Remote::Address(_) => line(format!("remote-as {}", neighbor.asn)),
        Remote::LinkLocal(_, interface) => {
            line(format!("remote-as {}", neighbor.asn));
            line(format!("interface {interface}"));
        }
    }
    let (hold, keepalive) = neighbor.timers;
    line(format!("timers {keepalive} {hold}"));
    line("timers connect 1".into());
    if neighbor.port != 179 {
        line(format!("port {}", neighbor.port));
    }
    if let Some(local) = neighbor.local {
        line(format!("update-source {local}"));
    }
    if let Some(password) = &neighbor.password {
        line(format!("password {password}"));
    }
    if neighbor.ttl_security {
        line("ttl-security hops 1".into());
    }
    if let Some(hops) = neighbor.multihop {
        line(format!("ebgp-multihop {hops}"));
    }
    if neighbor.passive {
        line("passive".into());
    }
    if let Some(role) = neighbor.role {
        line(format!("local-role {} strict-mode", role.word()));
    }
    if neighbor.extended_next_hop {
        line("capability extended-nexthop".into());
    }
    line(
        match neighbor.graceful_restart {
            GracefulRestart::Off => "graceful-restart-disable",
            GracefulRestart::Helper => "graceful-restart-helper",
            GracefulRestart::Full => "graceful-restart",
        }
        .into(),
    );
}

/// From `show bgp neighbors json` and the `json detail` of each family's table.
fn view(key: &str, neighbors: &Value, tables: &[Value]) -> PeerView {
    let state = &neighbors[key];
    let text = |name: &str| state[name].as_str().filter(|t| !t.is_empty());
    let error: Vec<&str> = [
        "lastResetDueTo",
        "lastNotificationReason",
        "lastShutdownDescription",
    ]
    .into_iter()
    .filter_map(text)
    .collect();
    let mut view = PeerView {
        established: text("bgpState") == Some("Established"),
        last_error: (!error.is_empty()).then(|| error.join(": ")),
        ..PeerView::default()
    };
    let entries = tables
        .iter()
        .filter_map(|t| t["routes"].as_object())
        .flatten();
    for (prefix, paths) in entries {
        let Ok(prefix) = prefix.parse() else { continue };
        let from = |path: &&Value| {
            let peer = &path["peer"];
            peer["peerId"] == key || peer["interface"] == key
        };
        for path in paths.as_array().into_iter().flatten().filter(from) {
            view.put(prefix, route(path));
        }
    }
    view
}

fn route(path: &Value) -> RouteInfo {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    RouteInfo {
        next_hops: list(&path["nexthops"])
            .iter()
            .filter_map(|hop| hop["ip"].as_str()?.parse().ok())
            .collect(),
        stale: path["stale"] == true,
        as_path: list(&path["aspath"]["segments"])
            .iter()
            .flat_map(|segment| list(&segment["list"]))
            .filter_map(|n| number(&n))
            .collect(),
        communities: list(&path["community"]["list"])
            .iter()
            .filter_map(|c| Some(c.as_str()?.to_string()))
            .collect(),
        med: number(&path["metric"]),
        otc: number(&path["otc"]),
        local_pref: number(&path["locPrf"]).or(number(&path["localPref"])),
        originator_id: path["originatorId"].as_str().and_then(|id| id.parse().ok()),
        clusters: list(&path["clusterList"]["list"])
            .iter()
            .filter_map(|id| id.as_str()?.parse().ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read() {
        let neighbors = json!({"10.9.0.1": {
            "bgpState": "Idle",
            "lastResetDueTo": "BGP Notification received",
            "lastNotificationReason": "Cease/Administrative Shutdown",
            "lastShutdownDescription": "good night",
        }});
        let table = json!({"routes": {
            "203.0.113.1/32": [
                {"prefix": "203.0.113.1/32", "version": 2},
                {"aspath": {"segments": [{"type": "as-sequence", "list": [65001, 65002]}]},
                 "metric": 7, "stale": true, "community": {"list": ["64612:90"]},
                 "nexthops": [{"ip": "10.9.0.1"}], "peer": {"peerId": "10.9.0.1"}}],
            "203.0.113.2/32": [{"sourced": true, "peer": {"peerId": "0.0.0.0"}}],
        }});
        let view = view("10.9.0.1", &neighbors, &[table]);
        assert!(!view.established);
        assert_eq!(
            view.last_error.as_deref(),
            Some("BGP Notification received: Cease/Administrative Shutdown: good night")
        );
        assert!(view.has_exactly(&["203.0.113.1/32"]));
        let route = view.route("203.0.113.1/32");
        assert!(route.stale);
        assert_eq!(route.as_path, [65001, 65002]);
        assert_eq!(route.communities, ["64612:90"]);
        assert_eq!(route.med, Some(7));
    }
}
