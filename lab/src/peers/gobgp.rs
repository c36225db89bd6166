//! GoBGP: its configuration, its process, its answers.
//!
//! GoBGP writes nothing to the kernel. For a route of its own it gives the session's own address as
//! next hop whatever the family, unless it is told one: [`Router::next_hops`].

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tapway_model::{Family, Prefix};
use tempfile::TempDir;

use super::{GracefulRestart, Neighbor, Peer, PeerView, Remote, RouteInfo, Router};
use crate::netns::Netns;
use crate::process::Proc;
use crate::wait::wait_for;

/// `api.PeerState.SessionState`: established.
const ESTABLISHED: u64 = 6;

/// A running GoBGP.
#[derive(Debug)]
pub struct GoBgp {
    // Dropped first, while its files are there.
    process: Option<Proc>,
    router: Router,
    dir: TempDir,
}

impl GoBgp {
    /// Starts GoBGP in a namespace.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(ns: &Netns, router: Router) -> GoBgp {
        let mut gobgp = GoBgp {
            process: None,
            router,
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        Peer::start(&mut gobgp, ns);
        gobgp
    }

    /// What `gobgp` prints for a command, or why it failed.
    ///
    /// # Errors
    /// What it printed when it failed.
    pub fn gobgp(&self, command: &str) -> Result<String, String> {
        let output = Command::new("gobgp")
            .args(["--target", &self.target()])
            .args(command.split_whitespace())
            .output()
            .unwrap_or_else(|e| panic!("cannot run gobgp (package gobgpd): {e}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
        }
    }

    fn target(&self) -> String {
        format!("unix://{}", self.dir.path().join("api.sock").display())
    }

    #[track_caller]
    fn json(&self, command: &str) -> Value {
        let text = self
            .gobgp(&format!("{command} -j"))
            .unwrap_or_else(|e| panic!("gobgp {command}: {e}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("gobgp {command}: {e}: {text}"))
    }

    #[track_caller]
    fn rib(&self, what: &str, prefix: Prefix) {
        let family = word(prefix.family());
        let own = &self.router.next_hops;
        let hop = own.iter().find(|a| Family::of(a) == prefix.family());
        let hop = hop.map(|a| format!(" nexthop {a}")).unwrap_or_default();
        if let Err(e) = self.gobgp(&format!("global rib -a {family} {what} {prefix}{hop}")) {
            panic!("gobgp cannot {what} {prefix}: {e}");
        }
    }
}

impl Peer for GoBgp {
    fn program(&self) -> &'static str {
        "gobgp"
    }

    fn view(&self, neighbor: &str) -> PeerView {
        let address = key(self.router.find(neighbor));
        let state = self.json(&format!("neighbor {address}"));
        let tables = Family::ALL.map(|f| self.json(&format!("global rib -a {}", word(f))));
        view(&state, &tables, &self.log())
    }

    fn announce(&mut self, prefix: Prefix) {
        self.router.originates.push(prefix);
        self.rib("add", prefix);
    }

    fn withdraw(&mut self, prefix: Prefix) {
        self.router.originates.retain(|p| *p != prefix);
        self.rib("del", prefix);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(Duration::from_secs(10));
        }
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn start(&mut self, ns: &Netns) {
        let file = self.dir.path().join("gobgp.toml");
        fs::write(&file, config(&self.router)).expect("gobgp.toml");
        // One that was killed leaves it there.
        let _ = fs::remove_file(self.dir.path().join("api.sock"));
        let mut command = ns.command("gobgpd");
        command.arg("-f").arg(&file);
        command.args(["--api-hosts", &self.target()]);
        command.args(["--pprof-disable", "--log-plain"]);
        let process = Proc::spawn("gobgpd", &mut command, &self.dir.path().join("log"));
        self.process = Some(process);
        // Neighbours are added after the API is up.
        let last = self
            .router
            .neighbors
            .last()
            .map_or("global".into(), |n| format!("neighbor {}", key(n)));
        wait_for(Duration::from_secs(20), "GoBGP answers", || {
            self.gobgp(&last).map_err(|e| format!("{e}{}", self.log()))
        });
        for prefix in &self.router.originates {
            self.rib("add", *prefix);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

fn word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn key(neighbor: &Neighbor) -> String {
    match &neighbor.remote {
        Remote::LinkLocal(address, interface) => format!("{address}%{interface}"),
        Remote::Address(_) | Remote::Interface(_) => neighbor.address(),
    }
}

fn config(router: &Router) -> String {
    let mut text = format!(
        "[global.config]\nas = {}\nrouter-id = \"{}\"\nport = {}\n",
        router.asn, router.id, router.port
    );
    for neighbor in &router.neighbors {
        neighbor_table(&mut text, neighbor);
    }
    text
}

fn neighbor_table(text: &mut String, neighbor: &Neighbor) {
    let mut line = |s: String| {
        let _ = writeln!(text, "{s}");
    };
    line("[[neighbors]]\n[neighbors.config]".into());
    match &neighbor.remote {
        Remote::Interface(name) => line(format!("neighbor-interface = \"{name}\"")),
        _ => line(format!("neighbor-address = \"{}\"", key(neighbor))),
    }
    line(format!("peer-as = {}", neighbor.asn));
    if let Some(password) = &neighbor.password {
        line(format!("auth-password = \"{password}\""));
    }
    line("[neighbors.transport.config]".into());
    line(format!("remote-port = {}", neighbor.port));
    line(format!("passive-mode = {}", neighbor.passive));
    if let Some(local) = neighbor.local {
        line(format!("local-address = \"{local}\""));
    }
    let (hold, keepalive) = neighbor.timers;
    line(format!(
        "[neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\nhold-time = {hold}\nkeepalive-interval = {keepalive}"
    ));
    if neighbor.ttl_security {
        line("[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255".into());
    }
    if let Some(hops) = neighbor.multihop {
        line(format!(
            "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = {hops}"
        ));
    }
    let restart = neighbor.graceful_restart != GracefulRestart::Off;
    let helper = neighbor.graceful_restart == GracefulRestart::Helper;
    let (time, long_lived) = match neighbor.long_lived {
        Some(_) => (1, true),
        None => (120, false),
    };
    line(format!(
        "[neighbors.graceful-restart.config]\nenabled = {restart}\nhelper-only = {helper}\nrestart-time = {time}\nlong-lived-enabled = {long_lived}"
    ));
    if neighbor.client {
        line("[neighbors.route-reflector.config]\nroute-reflector-client = true".into());
    }
    for family in &neighbor.families {
        line(format!(
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = {restart}"
        ));
        if let Some(time) = neighbor.long_lived {
            line(format!(
                "[neighbors.afi-safis.long-lived-graceful-restart.config]\nenabled = true\nrestart-time = {time}"
            ));
        }
        if neighbor.add_paths {
            line("[neighbors.afi-safis.add-paths.config]\nreceive = true\nsend-max = 8".into());
        }
    }
}

/// From `neighbor ADDRESS -j`, `global rib -j` of each family, and the log.
fn view(neighbor: &Value, tables: &[Value], log: &str) -> PeerView {
    let address = neighbor["state"]["neighbor_address"].as_str();
    let mut view = PeerView {
        established: neighbor["state"]["session_state"].as_u64() == Some(ESTABLISHED),
        last_error: address.and_then(|a| last_error(log, a)),
        ..PeerView::default()
    };
    for (prefix, paths) in tables.iter().filter_map(Value::as_object).flatten() {
        let Ok(prefix) = prefix.parse() else { continue };
        // Paths name a link-local neighbour without its interface.
        let bare = address.map(|a| a.split('%').next().unwrap_or(a));
        let from = |path: &&Value| bare.is_some() && path["neighbor-ip"].as_str() == bare;
        for path in paths.as_array().into_iter().flatten().filter(from) {
            view.put(prefix, route(path));
        }
    }
    view
}

fn route(path: &Value) -> RouteInfo {
    let mut route = RouteInfo {
        stale: path["stale"] == true,
        ..RouteInfo::default()
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    for attribute in path["attrs"].as_array().into_iter().flatten() {
        match attribute["type"].as_u64() {
            // AS_PATH, NEXT_HOP, MULTI_EXIT_DISC, LOCAL_PREF, COMMUNITIES, ORIGINATOR_ID, CLUSTER_LIST, MP_REACH_NLRI.
            Some(2) => {
                route.as_path = attribute["as_paths"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(|segment| segment["asns"].as_array().cloned().unwrap_or_default())
                    .filter_map(|n| number(&n))
                    .collect();
            }
            Some(3 | 14) => {
                route.next_hops = attribute["nexthop"]
                    .as_str()
                    .and_then(|a| a.parse().ok())
                    .into_iter()
                    .collect();
            }
            Some(4) => route.med = number(&attribute["metric"]),
            Some(5) => route.local_pref = number(&attribute["value"]),
            Some(9) => {
                route.originator_id = attribute["value"].as_str().and_then(|id| id.parse().ok());
            }
            Some(10) => {
                route.clusters = attribute["value"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|id| id.as_str()?.parse().ok())
                    .collect();
            }
            Some(8) => {
                route.communities = attribute["communities"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(number)
                    .map(|c| format!("{}:{}", c >> 16, c & 0xffff))
                    .collect();
            }
            _ => {}
        }
    }
    route
}

/// The last end of a session with `address`, and the last message of RFC 9003 from there.
fn last_error(log: &str, address: &str) -> Option<String> {
    let keys = [format!(" Key={address} "), format!(" Key=\"{address}\" ")];
    let of_neighbor = |line: &&str| keys.iter().any(|key| line.contains(key));
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}="))?.1;
        Some(match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?.to_string(),
            None => rest.split(' ').next()?.to_string(),
        })
    };
    let lines: Vec<&str> = log.lines().filter(of_neighbor).collect();
    let down = lines.iter().rev().find(|l| l.contains("msg=\"Peer Down\""));
    let said = lines
        .iter()
        .rev()
        .find_map(|l| field(l, "Communicated-Reason"));
    let parts: Vec<String> = down
        .and_then(|l| field(l, "Reason"))
        .into_iter()
        .chain(said)
        .collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read() {
        let neighbor = json!({"state": {"neighbor_address": "10.9.1.1", "session_state": 3}});
        let table = json!({
            "203.0.113.1/32": [{"stale": true, "neighbor-ip": "10.9.1.1", "attrs": [
                {"type": 1, "value": 0},
                {"type": 2, "as_paths": [{"segment_type": 2, "num": 1, "asns": [65001]}]},
                {"type": 3, "nexthop": "10.9.1.1"},
                {"type": 4, "metric": 7},
                {"type": 8, "communities": [(64612_u32 << 16) | 90]}]}],
            "203.0.113.3/32": [{"stale": false, "attrs": []}],
        });
        let log = "\
time=\"x\" level=warning msg=\"received notification\" Code=6 Communicated-Reason=\"bye all\" Data=\"[]\" Key=10.9.1.1 Subcode=2 Topic=Peer
time=\"x\" level=info msg=\"Peer Down\" Key=10.9.1.1 Reason=\"notification-received code 6(cease)\" State=BGP_FSM_ESTABLISHED Topic=Peer
time=\"x\" level=info msg=\"Peer Down\" Key=10.9.1.2 Reason=other State=BGP_FSM_ESTABLISHED Topic=Peer
";
        let view = view(&neighbor, &[table], log);
        assert!(!view.established);
        assert_eq!(
            view.last_error.as_deref(),
            Some("notification-received code 6(cease): bye all")
        );
        assert!(view.has_exactly(&["203.0.113.1/32"]));
        let route = view.route("203.0.113.1/32");
        assert!(route.stale);
        assert_eq!(route.as_path, [65001]);
        assert_eq!(route.communities, ["64612:90"]);
        assert_eq!(route.med, Some(7));
    }
}
