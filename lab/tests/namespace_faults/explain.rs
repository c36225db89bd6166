//! `tapway explain`, with each link of the chain really broken.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tapway_api::doctor::CheckStatus;
use tapway_api::explain::{LinkState, Stage};
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON, instance};

/// Waits until the chain for `prefix` breaks at `stage` (nowhere: `None`) with these words in its
/// sentence, and checks what a person reads and the exit code.
#[track_caller]
fn breaks(bed: &Bed, prefix: &str, stage: Option<Stage>, words: &[&str]) {
    wait_for(
        SOON,
        format!("{prefix} breaks at {stage:?} with {words:?}"),
        || {
            let explained = bed.explain(prefix);
            let broken = explained.first_broken.map(|i| &explained.links[i]);
            let text = broken.map_or(&explained.verdict, |b| &b.summary);
            if broken.map(|b| b.stage) == stage && words.iter().all(|w| text.contains(w)) {
                Ok(())
            } else {
                Err(format!("{explained:#?}"))
            }
        },
    );
    let explained = bed.explain(prefix);
    let human = bed.tapwayd.tapway(&["explain", prefix]);
    println!("{}", human.out);
    let Some(broken) = explained.first_broken.map(|i| &explained.links[i]) else {
        assert_eq!(human.code, 0, "{human:?}");
        assert!(!human.out.contains("✗"), "{}", human.out);
        return;
    };
    assert_eq!(human.code, 1, "{human:?}");
    let (head, end) = human
        .out
        .rsplit_once("The first broken link is the ")
        .expect("the broken link's name");
    assert!(end.contains(&broken.summary), "{}", human.out);
    assert!(
        head.contains(&format!("✗ {}", end.split(':').next().unwrap_or_default())),
        "{}",
        human.out
    );
    let remedy = broken.remedy.as_deref().unwrap_or_default();
    assert!(
        !remedy.is_empty() || !broken.detail.is_empty(),
        "no remedy: {broken:?}"
    );
    assert!(end.contains(remedy), "{}", human.out);
    // What comes after a broken link that all depends on is not guessed at.
    let at = explained.first_broken.unwrap_or_default();
    if broken.stage != Stage::Peer {
        let after = &explained.links[at + 1..];
        assert!(
            after.iter().all(|l| l.state == LinkState::Skipped),
            "{after:?}"
        );
    }
}

const A: &str = "203.0.113.1";
const A6: &str = "2001:db8:77::1";

fn one_guest() -> Bed {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &[A, A6]);
    breaks(&bed, A, None, &["wired and announced to 1 of 1 peers"]);
    breaks(&bed, A6, None, &["wired and announced to 1 of 1 peers"]);
    bed
}

#[test]
fn no_source_claims_it() {
    let bed = one_guest();
    breaks(
        &bed,
        "203.0.113.77",
        Some(Stage::Claim),
        &["no source says that anybody owns 203.0.113.77/32"],
    );
    bed.tapwayd.delete("tap0");
    breaks(&bed, A, Some(Stage::Claim), &["no source says"]);
}

#[test]
fn the_conflict_is_lost() {
    let bed = one_guest();
    bed.plug("tap1");
    // A subnet around the other's address: what is inside of it is refused to it.
    bed.guest("tap1", &["203.0.113.0/28"]);
    breaks(
        &bed,
        "203.0.113.0/28",
        Some(Stage::Conflict),
        &["refused", "tap0", "was first"],
    );
    breaks(&bed, A, None, &["1 of 1 peers"]);
}

#[test]
fn outside_allow() {
    let bed = Bed::with(
        json!({"network": {"public": {"allow": ["192.0.2.0/24"]}}}),
        &[],
    );
    bed.plug("tap0");
    let text = instance("tap0", &[A]).replace("mac =", "network = \"public\"\nmac =");
    bed.tapwayd.put_text("tap0", &text);
    breaks(
        &bed,
        A,
        Some(Stage::Claim),
        &[
            "203.0.113.1/32 is claimed, but the claim is not used: ",
            "outside what network public allows (192.0.2.0/24)",
        ],
    );
    let remedy = bed.explain(A).links[0].remedy.clone();
    assert_eq!(
        remedy.as_deref(),
        Some("extend allow in [network.public] or remove the claim")
    );
}

#[test]
fn the_interface() {
    let bed = one_guest();
    bed.guests.link_set("tap0", "down");
    breaks(
        &bed,
        A,
        Some(Stage::Interface),
        &["interface tap0 has no carrier"],
    );
    bed.host.link_set("tap0", "down");
    breaks(&bed, A, Some(Stage::Interface), &["interface tap0 is down"]);
    bed.host.link_del("tap0");
    breaks(
        &bed,
        A,
        Some(Stage::Interface),
        &["interface tap0 does not exist"],
    );
    bed.plug("tap0");
    breaks(&bed, A, None, &["1 of 1 peers"]);
}

#[test]
fn a_foreign_route_is_in_the_way() {
    let bed = Bed::new();
    bed.host.ip("route add blackhole 203.0.113.1 metric 10");
    bed.plug("tap0");
    bed.guest("tap0", &[A]);
    breaks(
        &bed,
        A,
        Some(Stage::KernelRoute),
        &["somebody else's object is where route 203.0.113.1/32 dev tap0"],
    );
}

/// Breaks at the kernel's route with these words, whole again after `mend`.
#[track_caller]
fn goes_elsewhere(bed: &Bed, prefix: &str, words: &[&str], mend: impl FnOnce()) {
    breaks(bed, prefix, Some(Stage::KernelRoute), words);
    let verdict = bed.explain(prefix).verdict;
    assert!(verdict.starts_with("not reachable: "), "{verdict}");
    mend();
    breaks(bed, prefix, None, &["1 of 1 peers"]);
}

#[test]
fn a_better_foreign_route_wins() {
    let bed = one_guest();
    bed.host.ip("route add 203.0.113.1/32 dev up0");
    let words = "packets that come in by up0 do not take our route but 203.0.113.1/32 dev up0 metric 0 in table 254";
    goes_elsewhere(&bed, A, &[words], || {
        bed.host.ip("route del 203.0.113.1/32 dev up0 metric 0");
    });
    bed.host
        .ip("-6 route add 2001:db8:77::1/128 dev up0 metric 5");
    goes_elsewhere(&bed, A6, &["2001:db8:77::1/128 dev up0 metric 5"], || {
        bed.host
            .ip("-6 route del 2001:db8:77::1/128 dev up0 metric 5");
    });
    bed.host.ip("route add blackhole 203.0.113.1/32 metric 3");
    goes_elsewhere(
        &bed,
        A,
        &["packets that come in by up0 do not take our route"],
        || {
            bed.host.ip("route del blackhole 203.0.113.1/32 metric 3");
        },
    );
}

#[test]
fn a_more_specific_route_or_another_table_wins() {
    let bed = one_guest();
    bed.plug("tap1");
    bed.guest("tap1", &["198.18.7.0/24"]);
    let inside = "198.18.7.9";
    breaks(&bed, inside, None, &["1 of 1 peers"]);
    bed.host.ip("route add 198.18.7.8/29 dev up0");
    goes_elsewhere(
        &bed,
        inside,
        &["198.18.7.8/29 dev up0", "in table 254"],
        || {
            bed.host.ip("route del 198.18.7.8/29 dev up0");
        },
    );
    // A rule before ours and main's.
    for (family, asked, via) in [("-4", A, "198.51.100.0"), ("-6", A6, "2001:db8:f::")] {
        bed.host
            .ip(&format!("{family} route add default via {via} table 200"));
        bed.host
            .ip(&format!("{family} rule add priority 100 lookup 200"));
        let default = if family == "-4" { "0.0.0.0/0" } else { "::/0" };
        goes_elsewhere(&bed, asked, &[default, "in table 200"], || {
            bed.host
                .ip(&format!("{family} rule del priority 100 lookup 200"));
        });
    }
}

#[test]
fn an_interface_does_not_forward() {
    let bed = one_guest();
    for name in ["up0", "tap0"] {
        let sysctl = format!("net/ipv4/conf/{name}/forwarding");
        bed.host.sysctl(&sysctl, "0");
        let words = format!("net.ipv4.conf.{name}.forwarding is 0");
        goes_elsewhere(&bed, A, &[&words], || bed.host.sysctl(&sysctl, "1"));
    }
}

#[test]
fn the_kernel_refuses() {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.host.sysctl("net/ipv6/conf/tap0/disable_ipv6", "1");
    bed.guest("tap0", &[A, A6]);
    breaks(&bed, A, None, &["1 of 1 peers"]);
    breaks(
        &bed,
        A6,
        Some(Stage::KernelRoute),
        &[
            "the kernel refuses route 2001:db8:77::1/128 dev tap0",
            "IPv6 is disabled",
        ],
    );
    bed.host.sysctl("net/ipv6/conf/tap0/disable_ipv6", "0");
    breaks(&bed, A6, None, &["1 of 1 peers"]);
}

#[test]
fn somebody_turns_forwarding_off_again_and_again() {
    let bed = one_guest();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bed.host.run_in(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = std::fs::write("/proc/sys/net/ipv4/ip_forward", "0");
                    std::thread::park_timeout(std::time::Duration::from_millis(2));
                }
            });
        });
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            breaks(
                &bed,
                A,
                Some(Stage::KernelRoute),
                &["net.ipv4.conf.all.forwarding is not 1"],
            );
            wait_for(SOON, "the doctor sees it", || {
                let check = bed.check("forwarding-ipv4");
                match check.status {
                    CheckStatus::Failed => Ok(()),
                    _ => Err(check.summary),
                }
            });
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = seen {
            std::panic::resume_unwind(panic);
        }
    });
    bed.tapwayd
        .logs("another program keeps undoing sysctl net.ipv4.conf.all.forwarding = 1");
    // What the remedy says.
    bed.host.sysctl("net/ipv4/conf/all/forwarding", "1");
    breaks(&bed, A, None, &["1 of 1 peers"]);
    assert_eq!(bed.check("forwarding-ipv4").status, CheckStatus::Ok);
}

#[test]
fn the_session_is_down() {
    let mut bed = one_guest();
    bed.router.stop();
    breaks(
        &bed,
        A,
        Some(Stage::Peer),
        &["the session with tor is not up"],
    );
    bed.router.restart(&bed.tor);
    breaks(&bed, A, None, &["1 of 1 peers"]);
    bed.tor.link_set("down0", "down");
    breaks(
        &bed,
        A,
        Some(Stage::Peer),
        &["the session with tor is not up"],
    );
    let human = bed.tapwayd.tapway(&["explain", A]).out;
    assert!(human.contains("interface up0 has no carrier"), "{human}");
}

#[test]
fn no_next_hop_of_the_family() {
    let bed = one_guest();
    bed.host.ip("-6 address flush dev up0");
    breaks(
        &bed,
        A6,
        Some(Stage::Peer),
        &["there is no next hop that tor would accept"],
    );
    breaks(&bed, A, None, &["1 of 1 peers"]);
    bed.announces(&["203.0.113.1/32"]);
    bed.host.address("up0", "2001:db8:f::1/127");
    breaks(&bed, A6, None, &["1 of 1 peers"]);
    bed.announces(&["203.0.113.1/32", "2001:db8:77::1/128"]);
}

#[test]
fn filtered_by_policy() {
    let bed = Bed::with(
        json!({
            "policy": {"some": {"rules": [
                {"match": {"prefixes": ["203.0.113.0/30 le 32"]}, "action": "reject"},
                {"match": {"prefixes": ["203.0.113.0/24 le 32"]}, "action": "accept"},
            ]}},
            "peer": {"tor": {"export": "some"}},
        }),
        &[],
    );
    bed.plug("tap0");
    bed.guest("tap0", &[A, "203.0.113.9", A6]);
    breaks(
        &bed,
        A,
        Some(Stage::Peer),
        &["policy some keeps it from tor: rule 1 rejects it"],
    );
    breaks(
        &bed,
        A6,
        Some(Stage::Peer),
        &["policy some keeps it from tor: no rule accepts it"],
    );
    let verdict = bed.explain(A).verdict;
    let said = "wired, but announced to no peer: policy some keeps it from tor: rule 1 rejects it";
    assert_eq!(verdict, said);
    breaks(&bed, "203.0.113.9", None, &["1 of 1 peers"]);
    bed.announces(&["203.0.113.9/32"]);
}

#[test]
fn not_shown_to_any_peer() {
    let bed = Bed::prepared(
        json!({
            "network": {"inner": {"peers": ["other"]}},
            "peer": {"other": {"address": "198.51.100.9", "asn": 65009, "multihop": 2}},
        }),
        &[],
    );
    bed.plug("tap0");
    let text = instance("tap0", &[A]).replace("mac =", "network = \"inner\"\nmac =");
    bed.tapwayd.put_text("tap0", &text);
    breaks(
        &bed,
        A,
        Some(Stage::Peer),
        &["the session with other is not up"],
    );
    let explained = bed.explain(A);
    let tor = explained
        .links
        .iter()
        .find(|l| l.peer.as_ref().is_some_and(|p| p.as_str() == "tor"));
    let tor = tor.expect("a line for tor");
    assert_eq!(tor.state, LinkState::NotApplicable);
    assert_eq!(tor.summary, "network inner is not shown to tor");
}

#[test]
fn an_arriving_guest() {
    let bed = Bed::new();
    bed.plug("tap0");
    let text = instance("tap0", &[A]).replace("mac =", "state = \"arriving\"\nmac =");
    bed.tapwayd.put_text("tap0", &text);
    breaks(
        &bed,
        A,
        Some(Stage::Announcement),
        &["the guest is still arriving"],
    );
    bed.guest("tap0", &[A]);
    breaks(&bed, A, None, &["1 of 1 peers"]);
}
