//! What a collector hears: pmbmpd of pmacct, which many networks run, beside a real BIRD that sends routes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tapway_api::bmp::{Collector, CollectorState};
use tapway_api::list::List;
use tapway_api::problem::{Problem, ProblemKind};
use tapway_lab::peers::{self, Neighbor, Router};
use tapway_lab::{Netns, Proc, Tapwayd, veth, wait_for};

use super::fabric::{HOST_AS, ROUTER_AS, SOON};

/// What BIRD sends; the second one is refused.
pub(super) const SENT: &str = "198.18.0.0/16";
pub(super) const REFUSED: &str = "198.19.0.0/16";
pub(super) const CLAIM: &str = "203.0.113.1/32";
pub(super) const BIRD: &str = "198.51.100.0";

/// A host beside BIRD that refuses one of its routes, and tells a collector if asked.
pub(super) fn config(collector: bool) -> Value {
    let mut config = json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "peer": {"tor": {
            "address": BIRD, "asn": ROUTER_AS, "connect_retry": "1s", "import": "some",
        }},
        "policy": {"some": {"rules": [
            {"match": {"prefixes": [REFUSED]}, "action": "reject"},
            {"set": {"local_pref": 333}, "action": "accept"},
        ]}},
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    });
    if collector {
        config["bmp"] = json!({"noc": {
            "server": "localhost:1790",
            "local_address": "127.0.0.1",
            "tables": ["adj-rib-in-pre", "adj-rib-in-post", "adj-rib-out", "loc-rib"],
            "statistics": "1s", "retry": "1s",
        }});
    }
    config
}

/// A pmbmpd, and what it writes down: a line of JSON for everything it is told.
struct Pmbmpd {
    process: Proc,
    log: PathBuf,
}

impl Pmbmpd {
    fn start(ns: &Netns, folder: &Path, name: &str) -> Pmbmpd {
        let log = folder.join(format!("{name}.json"));
        let file = folder.join(format!("{name}.conf"));
        let text = format!(
            "bmp_daemon_ip: 127.0.0.1\nbmp_daemon_port: 1790\nbmp_daemon_max_peers: 4\nbmp_daemon_msglog_file: {}\nbmp_daemon_msglog_output: json\n",
            log.display()
        );
        fs::write(&file, text).expect("a file");
        let mut command = ns.command("pmbmpd");
        command.arg("-f").arg(&file);
        let process = Proc::spawn("pmbmpd", &mut command, &folder.join(format!("{name}.log")));
        Pmbmpd { process, log }
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        // The last line may not be whole yet.
        let lines = text.lines();
        lines.filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// Waits for a line with all of this.
    #[track_caller]
    fn hears(&self, what: &Value) -> Value {
        let all = what.as_object().expect("an object");
        wait_for(SOON, format!("pmbmpd hears {what}"), || {
            let lines = self.lines();
            let found = lines
                .iter()
                .find(|line| all.iter().all(|(key, value)| line.get(key) == Some(value)));
            let tail = || {
                lines
                    .iter()
                    .rev()
                    .take(8)
                    .map(|l| format!("\n{l}"))
                    .collect()
            };
            found.cloned().ok_or_else(|| -> String { tail() })
        })
    }
}

#[track_caller]
fn collector(tapwayd: &Tapwayd, what: &str, is: impl Fn(&Collector) -> bool) -> Collector {
    wait_for(SOON, what, || {
        let mut all: List<Collector> = tapwayd.json(&["bmp", "list"]);
        let collector = all.items.pop().ok_or("no collector".to_owned())?;
        match is(&collector) {
            true => Ok(collector),
            false => Err(format!("{collector:?}")),
        }
    })
}

#[test]
fn a_collector_hears_what_peers_say_and_are_told() {
    let (host, tor) = (Netns::new("host"), Netns::new("tor"));
    veth(&host, "up0", &tor, "down0");
    tor.address("down0", "198.51.100.0/31");
    host.address("up0", "198.51.100.1/31");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut first = Pmbmpd::start(&host, folder.path(), "first");
    let router = Router::new(ROUTER_AS, Ipv4Addr::new(192, 0, 2, 1))
        .neighbor(Neighbor::at("host", "198.51.100.1", HOST_AS))
        .originate(SENT)
        .originate(REFUSED);
    let mut bird = peers::start("bird", &tor, router);
    let tapwayd = Tapwayd::start(&host, config(true));
    tapwayd.put_text(
        "web1",
        &format!("name = \"web1\"\n[[claim]]\nowner = \"host\"\nprefix = \"{CLAIM}\"\n"),
    );

    let init = first.hears(&json!({"bmp_msg_type": "init"}));
    let description = init["bmp_init_info_sysdescr"].as_str().unwrap_or_default();
    assert!(description.starts_with("tapway "), "{init}");
    let up = first.hears(&json!({"bmp_msg_type": "peer_up", "peer_ip": BIRD}));
    assert_eq!(up["peer_asn"], json!(ROUTER_AS));
    assert_eq!(up["bgp_id"], json!("192.0.2.1"));
    assert_eq!(up["local_ip"], json!("198.51.100.1"));
    first.hears(&json!({"bmp_msg_type": "peer_up", "peer_type": 3}));

    // Each table has what it should have.
    let route = |post: u8, prefix: &str| {
        json!({
            "event_type": "log", "log_type": "update", "peer_ip": BIRD,
            "is_in": 1, "is_post": post, "ip_prefix": prefix,
        })
    };
    let received = first.hears(&route(0, SENT));
    assert_eq!(received["as_path"], json!(ROUTER_AS.to_string()));
    assert_eq!(received["bgp_nexthop"], json!(BIRD));
    assert_ne!(received["local_pref"], json!(333), "{received}");
    first.hears(&route(0, REFUSED));
    let imported = first.hears(&route(1, SENT));
    assert_eq!(imported["local_pref"], json!(333), "{imported}");
    let sent = first.hears(&json!({"log_type": "update", "is_out": 1, "ip_prefix": CLAIM}));
    assert_eq!(sent["peer_ip"], json!(BIRD));
    assert_eq!(sent["as_path"], json!(HOST_AS.to_string()));
    first.hears(&json!({"log_type": "update", "is_loc": 1, "ip_prefix": CLAIM}));
    let best = first.hears(&json!({"log_type": "update", "is_loc": 1, "ip_prefix": SENT}));
    assert_eq!(best["local_pref"], json!(333), "{best}");
    first.hears(&json!({"bmp_msg_type": "stats", "counter_type": 7, "counter_value": 2}));
    first.hears(&json!({"bmp_msg_type": "stats", "counter_type": 8, "counter_value": 2}));
    let refused = |line: &Value| {
        line["ip_prefix"] == json!(REFUSED)
            && (line["is_post"] == json!(1) || line["is_loc"] == json!(1))
    };
    assert!(!first.lines().iter().any(refused), "{REFUSED} is refused");

    let synced = collector(&tapwayd, "synced", |c| c.state == CollectorState::Synced);
    assert_eq!((synced.sessions, synced.dropped), (1, 0));
    assert!(synced.messages > 0 && synced.bytes > 0, "{synced:?}");
    assert_eq!(tapwayd.tapway(&["bmp", "show", "noc"]).code, 0);

    // A withdraw is in all of them.
    bird.withdraw(SENT.parse().expect("a prefix"));
    for table in [
        json!({"peer_ip": BIRD, "is_in": 1, "is_post": 0}),
        json!({"peer_ip": BIRD, "is_in": 1, "is_post": 1}),
        json!({"is_loc": 1}),
    ] {
        let mut line = table;
        line["log_type"] = json!("withdraw");
        line["ip_prefix"] = json!(SENT);
        first.hears(&line);
    }

    // It dies: somebody is told, and the next one hears everything that there is.
    first.process.kill();
    collector(&tapwayd, "lost", |c| c.error.is_some());
    assert_eq!(tapwayd.tapway(&["bmp", "list"]).code, 1);
    let problems: List<Problem> = tapwayd.json(&["problem", "list"]);
    assert!(
        problems.items.iter().any(|p| p.kind == ProblemKind::Bmp),
        "{problems:?}"
    );
    let second = Pmbmpd::start(&host, folder.path(), "second");
    collector(&tapwayd, "synced again", |c| {
        c.state == CollectorState::Synced && c.sessions == 2 && c.error.is_none()
    });
    second.hears(&route(0, REFUSED));
    second.hears(&json!({"log_type": "update", "is_out": 1, "ip_prefix": CLAIM}));

    bird.stop();
    let down = second.hears(&json!({"bmp_msg_type": "peer_down", "peer_ip": BIRD}));
    assert!(
        [json!(3), json!(4)].contains(&down["reason_type"]),
        "{down}"
    );

    // Nobody is to be told any more.
    tapwayd.configure(config(false));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert!(answer.out.contains("bmp noc: gone"), "{answer:?}");
    let end = second.hears(&json!({"bmp_msg_type": "term"}));
    assert_eq!(
        end["bmp_term_info_string"],
        json!("the collector was removed from the configuration")
    );
}
