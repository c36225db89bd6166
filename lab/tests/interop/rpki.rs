//! Routes of a real BIRD, judged by what RPKI caches say.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tapway_api::list::List;
use tapway_api::peer::PeerDetail;
use tapway_api::problem::{Problem, ProblemKind};
use tapway_api::route::{Route, RouteState};
use tapway_api::rpki::{CacheState, RpkiAnswer, RpkiCache, RpkiState};
use tapway_lab::peers::{self, Neighbor, Router};
use tapway_lab::{Netns, Tapwayd, veth, wait_for};

use super::cache::Cache;
use super::fabric::{HOST_AS, ROUTER_AS, SOON};

/// What nobody says anything about, and what the cache says something about.
const PLAIN: &str = "198.18.0.0/16";
const HELD: &str = "198.19.0.0/16";

fn config(with_cache: bool) -> Value {
    let mut config = json!({
        "router": {"asn": HOST_AS, "router_id": "192.0.2.11"},
        "peer": {"tor": {
            "address": "198.51.100.0", "asn": ROUTER_AS, "connect_retry": "1s",
            "import": "strict", "install": true,
        }},
        "policy": {"strict": {"rules": [
            {"match": {"rpki": "invalid"}, "action": "reject"},
            {"action": "accept"},
        ]}},
        "source": {"files": {"grace": "1s"}, "api": {"grace": "1s"}},
    });
    if with_cache {
        config["rpki"] = json!({"near": {
            "server": "198.51.100.0:8323", "local_address": "198.51.100.1", "retry": "1s",
        }});
    }
    config
}

/// Waits until these are in the kernel, and no other of the two.
#[track_caller]
fn installed(host: &Netns, prefixes: &[&str]) {
    wait_for(SOON, format!("exactly {prefixes:?} in the kernel"), || {
        let there = |prefix: &&str| !host.routes(&format!("{prefix} proto 112")).is_empty();
        let found: Vec<&str> = [PLAIN, HELD].into_iter().filter(there).collect();
        (found == prefixes)
            .then_some(())
            .ok_or(format!("{found:?}"))
    });
}

/// Waits until the one cache is as it should be.
#[track_caller]
pub(super) fn cache(tapwayd: &Tapwayd, what: &str, is: impl Fn(&RpkiCache) -> bool) -> RpkiCache {
    wait_for(SOON, what, || {
        let mut caches: List<RpkiCache> = tapwayd.json(&["rpki"]);
        let cache = caches.items.pop().ok_or("no cache".to_owned())?;
        if is(&cache) {
            Ok(cache)
        } else {
            Err(format!("{cache:?}"))
        }
    })
}

fn sessions(tapwayd: &Tapwayd) -> u64 {
    let detail: PeerDetail = tapwayd.json(&["peer", "show", "tor"]);
    detail.session.expect("a session").established_count
}

#[test]
fn a_route_is_refused_and_accepted_as_the_cache_says() {
    let (host, tor) = (Netns::new("host"), Netns::new("tor"));
    veth(&host, "up0", &tor, "down0");
    tor.address("down0", "198.51.100.0/31");
    host.address("up0", "198.51.100.1/31");
    let at = SocketAddr::from(([198, 51, 100, 0], 8323));
    let cache_process = Cache::start(&tor, at, 7, &[(HELD, 64500)]);
    let neighbor = Neighbor::at("host", "198.51.100.1", HOST_AS);
    let router = Router::new(ROUTER_AS, Ipv4Addr::new(192, 0, 2, 1))
        .neighbor(neighbor)
        .originate(PLAIN)
        .originate(HELD);
    let _bird = peers::start("bird", &tor, router);
    let tapwayd = Tapwayd::start(&host, config(true));

    // Somebody else may announce it: it is refused.
    installed(&host, &[PLAIN]);
    let synced = cache(&tapwayd, "synced", |c| c.state == CacheState::Synced);
    assert_eq!((synced.version, synced.session), (Some(1), Some(7)));
    assert_eq!((synced.serial, synced.ipv4, synced.ipv6), (Some(1), 1, 0));
    assert_eq!(tapwayd.tapway(&["rpki"]).code, 0);
    let received: List<Route> = tapwayd.json(&["route", "list", "--received", "tor"]);
    let states: Vec<_> = received.items.iter().map(|r| (r.rpki, r.state)).collect();
    let expected = [
        (Some(RpkiState::NotFound), RouteState::Accepted),
        (Some(RpkiState::Invalid), RouteState::Rejected),
    ];
    assert_eq!(states, expected);
    let answer: RpkiAnswer = tapwayd.json(&["rpki", HELD, "AS65000"]);
    assert_eq!(answer.state, Some(RpkiState::Invalid));
    assert_eq!((answer.vrps[0].asn, answer.vrps[0].max_length), (64500, 16));
    assert_eq!(tapwayd.tapway(&["rpki", HELD, "65000"]).code, 1);
    assert_eq!(tapwayd.tapway(&["rpki", HELD, "64500"]).code, 0);
    let tested = tapwayd.tapway(&["policy", "test", "strict", HELD]);
    assert_eq!(tested.code, 1, "{tested:?}");
    assert!(tested.out.contains("rpki invalid"), "{tested:?}");
    let session = sessions(&tapwayd);

    // The router may announce it, too: it is accepted, and the session is the same.
    cache_process.say(&[(HELD, 64500), (HELD, ROUTER_AS)]);
    installed(&host, &[PLAIN, HELD]);
    cache_process.say(&[(HELD, ROUTER_AS)]);
    cache(&tapwayd, "serial 3", |c| c.serial == Some(3) && c.ipv4 == 1);

    // It dies: what it said counts on, and somebody is told.
    cache_process.end(&tor);
    cache(&tapwayd, "lost", |c| c.error.is_some() && c.ipv4 == 1);
    assert_eq!(tapwayd.tapway(&["rpki"]).code, 1);
    let problems: List<Problem> = tapwayd.json(&["problem", "list"]);
    assert!(
        problems.items.iter().any(|p| p.kind == ProblemKind::Rpki),
        "{problems:?}"
    );
    installed(&host, &[PLAIN, HELD]);

    // It is another one when it comes back, and says something else.
    let other = Cache::start(&tor, at, 8, &[(HELD, 64500)]);
    installed(&host, &[PLAIN]);
    let back = cache(&tapwayd, "synced again", |c| c.state == CacheState::Synced);
    assert_eq!(
        (back.session, back.serial, back.error),
        (Some(8), Some(1), None)
    );

    // Without a cache nothing is invalid, and the policy asks for nothing.
    tapwayd.configure(config(false));
    let answer = tapwayd.tapway(&["config", "reload"]);
    assert!(answer.out.contains("rpki near: gone"), "{answer:?}");
    installed(&host, &[PLAIN, HELD]);
    let answer = tapwayd.tapway(&["problem", "list"]);
    assert!(answer.out.contains("there is no cache"), "{answer:?}");
    assert!(
        tapwayd
            .tapway(&["doctor"])
            .out
            .contains("there is no cache")
    );
    assert_eq!(sessions(&tapwayd), session);
    other.end(&tor);
}
