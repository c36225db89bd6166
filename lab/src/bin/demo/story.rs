//! What happens in the demo, step by step.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tapway_lab::{PingReport, Pinger, wait_for};

use crate::network::{HYPERVISORS, LAST, Network, Router};
use crate::screen::{Screen, lost};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a guest that moved may be without answers, once its file is written. Guests ask again for their gateway after a
/// second when they asked before it was there.
const MOVED: Duration = Duration::from_secs(2);

/// How many answered pings show that traffic flows: more than a second of it.
const A_WHILE: usize = 120;

/// Tells the whole story.
pub(crate) fn tell(network: &mut Network, screen: &mut Screen) {
    sessions(network, screen);
    guests(network, screen);
    all_pairs(network, screen);
    one_more(network, screen);
    stop(network, screen);
    moves(network, screen);
    dies(network, screen, "hv1", |n| &mut n.hypervisors[0]);
    dies(network, screen, "r1", |n| &mut n.routers[0]);
    explain(network, screen);
}

fn sessions(network: &Network, screen: &mut Screen) {
    let start = Instant::now();
    for router in network.routers.iter().chain(&network.hypervisors) {
        router.tapwayd.wait_established(LIMIT);
    }
    screen.took("six BGP sessions, both families on each", start.elapsed());
    for host in &network.hypervisors {
        wait_for(LIMIT, format!("default routes on {}", host.name), || {
            let routes = host.ns.routes("default proto 112");
            let both = ["up1", "up2"].map(|up| routes.iter().filter(|r| r.contains(up)).count());
            if both == [2, 2] {
                Ok(())
            } else {
                Err(format!("{routes:?}"))
            }
        });
    }
    screen.took(
        "default routes over both routers on each hypervisor",
        start.elapsed(),
    );
}

fn guests(network: &mut Network, screen: &mut Screen) {
    screen.chapter("guests start: five files are written");
    for guest in 0..LAST {
        network.plug(guest, guest / 2);
    }
    let start = Instant::now();
    for guest in 0..LAST {
        network.define(guest);
    }
    for guest in 0..LAST {
        wait_learned(network, guest, true);
    }
    screen.took("ten prefixes in both routers' kernels", start.elapsed());
}

fn all_pairs(network: &Network, screen: &mut Screen) {
    screen.chapter("every guest pings every other, over IPv4 and IPv6");
    let start = Instant::now();
    let running = &network.guests[..LAST];
    let pings: Vec<(String, Pinger)> = running
        .iter()
        .flat_map(|from| running.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.number != to.number)
        .flat_map(|(from, to)| {
            [to.v4(), to.v6()].map(|target| {
                let name = format!("{} to {target}", from.name);
                (name, Pinger::start(&from.ns, target))
            })
        })
        .collect();
    answered(&pings, 5);
    let count = pings.len();
    drop(pings);
    screen.took(
        &format!("{count} of {count} pairs answer five times"),
        start.elapsed(),
    );
}

fn one_more(network: &mut Network, screen: &mut Screen) {
    screen.chapter("a guest is added: g6 on hv3");
    network.plug(LAST, HYPERVISORS - 1);
    let pings = both(network, 0, LAST);
    let start = Instant::now();
    network.define(LAST);
    screen.say("its file is written");
    let reached = first_answers(&pings, start);
    screen.took("file written -> g1 reaches g6 over IPv4 and IPv6", reached);
    drop(pings);
}

fn stop(network: &mut Network, screen: &mut Screen) {
    screen.chapter("a guest stops: g2 on hv1, while g1 beside it is pinged from g6");
    let pings = both(network, LAST, 0);
    let home = network.guests[1].home;
    let start = Instant::now();
    network.unplug(1);
    screen.say("its interface is gone");
    wait_learned(network, 1, false);
    let gone = start.elapsed();
    if let Some(home) = home {
        network.hypervisors[home].tapwayd.delete("g2");
    }
    answered(&pings, A_WHILE);
    let reports = stopped(pings);
    let well = all_answered(&reports);
    screen.under_ping(
        "interface gone -> withdrawn from both routers' kernels",
        well,
        gone,
        &lost(&reports),
    );
}

fn moves(network: &mut Network, screen: &mut Screen) {
    screen.chapter("a guest moves: g3 from hv2 to hv3, while g1 pings it");
    let pings = both(network, 0, 2);
    answered(&pings, A_WHILE);
    let start = Instant::now();
    network.unplug(2);
    screen.say("its interface on hv2 is gone");
    network.plug(2, HYPERVISORS - 1);
    screen.say("its interface on hv3 is there");
    let plugged = Instant::now();
    network.define(2);
    network.hypervisors[1].tapwayd.delete("g3");
    let back = first_answers(&pings, plugged);
    screen.say(&format!(
        "unplugging and plugging took {:.1} ms, of which tapway knows nothing",
        plugged.duration_since(start).as_secs_f64() * 1e3
    ));
    answered(&pings, A_WHILE);
    let reports = stopped(pings);
    // The ping cannot be answered while no cable is plugged in; nothing may be lost long after.
    let away = plugged.duration_since(start) + back + Duration::from_millis(100);
    let well = back <= MOVED && reports.iter().all(|r| r.longest_gap <= away);
    screen.under_ping(
        "file written on hv3 -> g3 answers from there",
        well,
        back,
        &lost(&reports),
    );
}

/// Kills a daemon under running pings and starts it again.
fn dies(
    network: &mut Network,
    screen: &mut Screen,
    name: &str,
    router: fn(&mut Network) -> &mut Router,
) {
    screen.chapter(&format!(
        "the daemon on {name} is killed (SIGKILL), under pings between g1 and g6"
    ));
    let mut pings = both(network, LAST, 0);
    pings.extend(both(network, 0, LAST));
    answered(&pings, A_WHILE);
    router(network).tapwayd.kill();
    screen.say("killed; the kernel keeps forwarding, the neighbours keep the routes");
    answered(&pings, A_WHILE);
    let start = Instant::now();
    let back = router(network);
    back.tapwayd.restart(&back.ns);
    screen.say("started again");
    back.tapwayd.wait_established(LIMIT);
    let took = start.elapsed();
    screen.say("its sessions are back");
    wait_for(LIMIT, "no neighbour has stale routes", || {
        let stale: u64 = network.stale();
        if stale == 0 { Ok(()) } else { Err(stale) }
    });
    screen.say("no neighbour has stale routes any more");
    answered(&pings, A_WHILE);
    let reports = stopped(pings);
    let well = all_answered(&reports);
    screen.under_ping(
        &format!("daemon on {name} killed; started again -> sessions back"),
        well,
        took,
        &lost(&reports),
    );
}

fn explain(network: &Network, screen: &mut Screen) {
    screen.chapter("why is g1 reachable? tapway explain 203.0.113.1 on hv1 says");
    let tapwayd = &network.hypervisors[0].tapwayd;
    let answer = tapwayd.tapway(&["explain", "203.0.113.1"]);
    println!("{}{}", answer.out, answer.err);
    screen.check(
        "tapway explain 203.0.113.1",
        answer.code == 0,
        &format!("exit code {}", answer.code),
    );
}

/// Waits until both routers' kernels have a guest's prefixes, or do not.
fn wait_learned(network: &Network, guest: usize, there: bool) {
    let prefixes = network.guests[guest].prefixes();
    let what = format!("{prefixes:?} learned: {there}");
    wait_for(LIMIT, what, || {
        let tables = network.learned();
        let has = |table: &Vec<String>, prefix: &String| {
            table.iter().any(|r| r.split(' ').next() == Some(prefix))
        };
        let as_wanted = tables
            .iter()
            .all(|table| prefixes.iter().all(|p| has(table, p) == there));
        if as_wanted {
            Ok(())
        } else {
            Err(format!("{tables:#?}"))
        }
    });
}

/// Pings from one guest to another, over both families.
fn both(network: &Network, from: usize, to: usize) -> Vec<(String, Pinger)> {
    let (from, to) = (&network.guests[from], &network.guests[to]);
    [to.v4(), to.v6()]
        .map(|target: IpAddr| {
            let name = format!("{} to {target}", from.name);
            (name, Pinger::start(&from.ns, target))
        })
        .into()
}

/// Waits until each of these has had so many more answers.
fn answered(pings: &[(String, Pinger)], more: usize) {
    let before: Vec<usize> = pings.iter().map(|(_, p)| p.answered()).collect();
    for ((name, ping), before) in pings.iter().zip(before) {
        wait_for(LIMIT, format!("{more} answers, {name}"), || {
            let now = ping.answered() - before;
            if now >= more {
                Ok(())
            } else {
                Err(format!("{now} answers"))
            }
        });
    }
}

/// How long after `start` all of these have had an answer.
fn first_answers(pings: &[(String, Pinger)], start: Instant) -> Duration {
    pings
        .iter()
        .map(|(name, ping)| {
            wait_for(LIMIT, format!("an answer, {name}"), || {
                ping.first_answer(start).ok_or("none yet")
            })
            .duration_since(start)
        })
        .max()
        .unwrap_or_default()
}

fn stopped(pings: Vec<(String, Pinger)>) -> Vec<PingReport> {
    pings.into_iter().map(|(_, ping)| ping.stop()).collect()
}

fn all_answered(reports: &[PingReport]) -> bool {
    reports.iter().all(|r| r.lost.is_empty())
}
