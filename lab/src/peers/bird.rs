//! BIRD 2: its configuration, its process, its answers.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use tapway_model::{Family, Prefix};
use tempfile::TempDir;

use super::{GracefulRestart, Neighbor, Peer, PeerView, Remote, RouteInfo, Router};
use crate::netns::Netns;
use crate::process::Proc;
use crate::wait::wait_for;

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    // Dropped first, while its files are there.
    process: Option<Proc>,
    router: Router,
    dir: TempDir,
}

impl Bird {
    /// Starts BIRD in a namespace.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(ns: &Netns, router: Router) -> Bird {
        let mut bird = Bird {
            process: None,
            router,
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        Peer::start(&mut bird, ns);
        bird
    }

    /// What `birdc` says to a command, without its greeting.
    pub fn birdc(&self, command: &str) -> String {
        let output = Command::new("birdc")
            .arg("-s")
            .arg(self.path("bird.ctl"))
            .args(command.split_whitespace())
            .output();
        match output {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.lines().skip(1).map(|l| format!("{l}\n")).collect()
            }
            Err(e) => panic!("cannot run birdc (package bird2): {e}"),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn write(&self) {
        fs::write(self.path("bird.conf"), config(&self.router)).expect("bird.conf");
    }

    fn configure(&self) {
        self.write();
        let answer = self.birdc("configure");
        assert!(answer.contains("Reconfigur"), "birdc configure: {answer}");
    }
}

impl Peer for Bird {
    fn program(&self) -> &'static str {
        "bird"
    }

    fn view(&self, neighbor: &str) -> PeerView {
        self.router.find(neighbor);
        let protocol = self.birdc(&format!("show protocols all {neighbor}"));
        let routes = self.birdc(&format!("show route all protocol {neighbor}"));
        view(&protocol, &routes)
    }

    fn announce(&mut self, prefix: Prefix) {
        self.router.originates.push(prefix);
        self.configure();
    }

    fn withdraw(&mut self, prefix: Prefix) {
        self.router.originates.retain(|p| *p != prefix);
        self.configure();
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
        self.write();
        let mut command = ns.command("bird");
        command
            .args(["-f", "-c", &self.path("bird.conf")])
            .args(["-s", &self.path("bird.ctl")]);
        let process = Proc::spawn("bird", &mut command, &self.dir.path().join("log"));
        self.process = Some(process);
        wait_for(Duration::from_secs(10), "BIRD answers", || {
            let answer = self.birdc("show status");
            if answer.contains("Daemon is up") {
                Ok(())
            } else {
                Err(format!("{answer}{}", self.log()))
            }
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

fn config(router: &Router) -> String {
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{ scan time 60; }}\n",
        router.id
    );
    for (family, word) in [(Family::Ipv4, "ipv4"), (Family::Ipv6, "ipv6")] {
        let _ = writeln!(text, "protocol static own_{word} {{\n  {word};");
        for prefix in router.originates.iter().filter(|p| p.family() == family) {
            let _ = writeln!(text, "  route {prefix} unreachable;");
        }
        text.push_str("}\n");
        if router.install {
            let _ = writeln!(
                text,
                "protocol kernel {{ merge paths yes; {word} {{ import none; export where source = RTS_BGP; }}; }}"
            );
        }
    }
    for neighbor in &router.neighbors {
        protocol(&mut text, router, neighbor);
    }
    text
}

fn protocol(text: &mut String, router: &Router, neighbor: &Neighbor) {
    let remote = match &neighbor.remote {
        Remote::Address(address) => address.to_string(),
        Remote::LinkLocal(address, interface) => format!("{address}%'{interface}'"),
        Remote::Interface(_) => panic!("BIRD 2.0 cannot find a neighbour by its interface"),
    };
    let local = neighbor.local.map(|l| format!("{l} ")).unwrap_or_default();
    let mut line = |s: String| {
        let _ = writeln!(text, "{s}");
    };
    line(format!("protocol bgp {} {{", neighbor.name));
    line(format!(
        "  local {local}port {} as {};",
        router.port, router.asn
    ));
    line(format!(
        "  neighbor {remote} port {} as {};",
        neighbor.port, neighbor.asn
    ));
    match neighbor.multihop {
        Some(hops) => line(format!("  multihop {hops};")),
        None => line("  direct;".into()),
    }
    if neighbor.ttl_security {
        line("  ttl security on;".into());
    }
    if let Some(password) = &neighbor.password {
        line(format!("  password \"{password}\";"));
    }
    if neighbor.client {
        line("  rr client;".into());
    }
    if neighbor.served {
        line("  rs client;".into());
    }
    if neighbor.passive {
        line("  passive;".into());
    }
    if let Some(role) = neighbor.role {
        line(format!("  local role {}; require roles on;", role.word()));
    }
    let (hold, keepalive) = neighbor.timers;
    line(format!(
        "  hold time {hold}; keepalive time {keepalive}; connect delay time 1; connect retry time 1; error wait time 1, 2;"
    ));
    let restart = match neighbor.graceful_restart {
        GracefulRestart::Off => "off",
        GracefulRestart::Helper => "aware",
        GracefulRestart::Full => "on",
    };
    line(match neighbor.long_lived {
        Some(time) => format!(
            "  graceful restart {restart}; graceful restart time 1; long lived graceful restart on; long lived stale time {time};"
        ),
        None => format!("  graceful restart {restart}; long lived graceful restart off;"),
    });
    for family in &neighbor.families {
        let (word, extended) = match family {
            Family::Ipv4 if neighbor.extended_next_hop => ("ipv4", " extended next hop on;"),
            Family::Ipv4 => ("ipv4", ""),
            Family::Ipv6 => ("ipv6", ""),
        };
        let add_paths = if neighbor.add_paths {
            " add paths on;"
        } else {
            ""
        };
        // To a client goes what came by BGP too, by the next hop that it has.
        let what = match neighbor.client || neighbor.served {
            true => "export all;".to_owned(),
            false => {
                let otc = neighbor.otc.map(|asn| format!("bgp_otc = {asn}; "));
                let prepend = neighbor.prepend;
                let prepend = prepend.map(|asn| format!("bgp_path.prepend({asn}); "));
                let changes: String = otc.into_iter().chain(prepend).collect();
                format!(
                    "export filter {{ if source != RTS_STATIC then reject; {changes}accept; }}; next hop self;"
                )
            }
        };
        line(format!(
            "  {word} {{ import all; {what}{extended}{add_paths} }};"
        ));
    }
    line("}".into());
}

/// From `show protocols all` and `show route all protocol`.
fn view(protocol: &str, routes: &str) -> PeerView {
    let field = |name: &str| {
        protocol
            .lines()
            .find_map(|l| l.trim().strip_prefix(name))
            .map(|rest| rest.trim().to_string())
    };
    let restarting = protocol.contains("graceful restart active");
    let mut view = PeerView {
        established: field("BGP state:").as_deref() == Some("Established"),
        last_error: match (field("Last error:"), field("Message:")) {
            (Some(error), Some(message)) => Some(format!("{error}: {message}")),
            (error, message) => error.or(message),
        },
        ..PeerView::default()
    };
    let mut current: Option<(Prefix, RouteInfo)> = None;
    let new = || RouteInfo {
        stale: restarting,
        ..RouteInfo::default()
    };
    for line in routes.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if !line.starts_with(char::is_whitespace)
            && let Ok(prefix) = first.parse()
        {
            current
                .replace((prefix, new()))
                .into_iter()
                .for_each(|(prefix, route)| view.put(prefix, route));
        } else if line.starts_with(' ')
            && let Some((prefix, _)) = current
        {
            // Another path of the same prefix; what belongs to one begins with a tabulator.
            current
                .replace((prefix, new()))
                .into_iter()
                .for_each(|(prefix, route)| view.put(prefix, route));
        }
        let Some((_, route)) = &mut current else {
            continue;
        };
        match first {
            // A link-local address alone is shown in the second place, behind an empty one.
            "BGP.next_hop:" => {
                route.next_hops = words
                    .filter_map(|w| w.parse().ok())
                    .filter(|hop: &IpAddr| !hop.is_unspecified())
                    .collect();
            }
            "BGP.as_path:" => route.as_path = words.filter_map(|w| w.parse().ok()).collect(),
            "BGP.local_pref:" => route.local_pref = words.next().and_then(|w| w.parse().ok()),
            "BGP.originator_id:" => route.originator_id = words.next().and_then(|w| w.parse().ok()),
            "BGP.cluster_list:" => route.clusters = words.filter_map(|w| w.parse().ok()).collect(),
            "BGP.otc:" => route.otc = words.next().and_then(|w| w.parse().ok()),
            "BGP.med:" => route.med = words.next().and_then(|w| w.parse().ok()),
            "BGP.community:" => {
                route.communities = words
                    .map(|w| w.trim_matches(['(', ')']).replace(',', ":"))
                    .collect();
            }
            _ => {}
        }
    }
    if let Some((prefix, route)) = current {
        view.put(prefix, route);
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let protocol = "\
frr        BGP        ---        start  06:50:41.799  Active        Received: Administrative shutdown
  Message:        good night
  BGP state:          Active
    Neighbor address: 10.9.0.0
    Neighbor graceful restart active
    Last error:       Received: Administrative shutdown
";
        let routes = "\
Table master4:
203.0.113.2/32       unicast [frr 06:50:15.867] * (100) [AS65002i]
	via 10.9.0.0 on e0
	Type: BGP univ
	BGP.as_path: 65002 65010
	BGP.next_hop: 10.9.0.0
	BGP.med: 7
	BGP.community: (64612,90) (64612,91)
                     unreachable [frr 06:50:15.867 from 10.9.0.3] (100) [i]
	BGP.next_hop: 10.9.0.9
	BGP.local_pref: 100
	BGP.originator_id: 10.0.0.9
	BGP.cluster_list: 10.0.0.1 10.0.0.2

Table master6:
2001:db8:77::2/128   unicast [frr 06:50:15.867 from 10.9.0.0] * (100) [AS65002i]
	via 2001:db8:9::1 on e0
	BGP.next_hop: 2001:db8:9::1 fe80::1
";
        let view = view(protocol, routes);
        assert!(!view.established);
        assert_eq!(
            view.last_error.as_deref(),
            Some("Received: Administrative shutdown: good night")
        );
        assert!(view.has_exactly(&["203.0.113.2/32", "2001:db8:77::2/128"]));
        assert!(view.any_stale());
        let v4 = view.route("203.0.113.2/32");
        assert_eq!(v4.as_path, [65002, 65010]);
        assert_eq!(v4.med, Some(7));
        assert_eq!(v4.communities, ["64612:90", "64612:91"]);
        assert_eq!(view.route("2001:db8:77::2/128").next_hops.len(), 2);
        let ways = ["10.9.0.0", "10.9.0.9"].map(|a| a.parse::<IpAddr>().expect("an address"));
        assert_eq!(view.ways("203.0.113.2/32"), ways);
        let reflected = &view.more[0].1;
        assert_eq!(reflected.local_pref, Some(100));
        assert_eq!(reflected.originator_id, Some([10, 0, 0, 9].into()));
        assert_eq!(reflected.clusters.len(), 2);
    }
}
