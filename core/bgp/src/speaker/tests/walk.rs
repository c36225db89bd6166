//! Random walks: whatever happens on the way, at rest the peer has what is announced, and nothing else.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::time::Duration;

use super::net::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn walk(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let transport = [Transport::V4, Transport::V6, Transport::LinkLocal][random.below(3) as usize];
    let mut net = established(transport, |_, _, _| {});
    // What each node announces.
    let mut model: [BTreeSet<String>; 2] = Default::default();
    for step in 0..steps {
        let node = random.below(2) as usize;
        let now = net.now;
        match random.below(24) {
            0..=8 => {
                let prefix = match random.below(2) {
                    0 => alloc::format!("203.0.113.{}/32", random.below(20)),
                    _ => alloc::format!("2001:db8:1::{:x}/128", 1 + random.below(20)),
                };
                if model[node].remove(&prefix) {
                    net.withdraw(node, &prefix);
                } else {
                    net.announce(node, &prefix);
                    model[node].insert(prefix);
                }
            }
            9 => net.break_connections(),
            10 => {
                net.link_down(node);
                net.reach(node, transport);
            }
            11 => {
                net.speaker(node).reset_hard(now, &name("peer"), None);
            }
            12 => {
                net.speaker(node)
                    .reset_soft(now, &name("peer"), SoftReset::Both);
            }
            13 => {
                let config = net.nodes[node]
                    .speaker
                    .peer_config(&name("peer"))
                    .unwrap()
                    .clone();
                let start = if random.below(2) == 0 {
                    warm()
                } else {
                    StartKind::Cold
                };
                net.replace(node, start, config);
                for prefix in &model[node] {
                    net.announce(node, prefix);
                }
                net.reach(node, transport);
                if random.below(2) == 0 {
                    net.run(SECOND * random.below(40) as u32);
                }
                let now = net.now;
                net.speaker(node).set_restart_done(now);
            }
            14 => net.nodes[node].stalled = true,
            15 => net.unstall(node),
            16 if net.cut => net.mend(),
            16 => net.cut = true,
            17 => {
                let mut config = net.nodes[node]
                    .speaker
                    .peer_config(&name("peer"))
                    .unwrap()
                    .clone();
                config.hold_time = SECOND * (9 + random.below(90) as u32);
                net.speaker(node).set_peer(now, config);
            }
            18 => {
                net.speaker(node).disable(now, &name("peer"), None);
                net.run(SECOND * random.below(10) as u32);
                let now = net.now;
                net.speaker(node).enable(now, &name("peer"));
            }
            _ => net.run(LATENCY * random.below(20_000) as u32 / 4),
        }
        if step % 100 == 99 {
            rest(&mut net, &model, seed, step);
        }
    }
    rest(&mut net, &model, seed, steps);
}

/// Everything works again, and time passes: compare.
fn rest(net: &mut Net, model: &[BTreeSet<String>; 2], seed: u64, step: usize) {
    net.mend();
    net.unstall(0);
    net.unstall(1);
    net.run(600 * SECOND);
    assert_eq!(
        net.states(),
        [State::Established; 2],
        "seed {seed} step {step}"
    );
    for (node, announced) in model.iter().enumerate() {
        let received: BTreeSet<String> = net.received(1 - node).into_iter().collect();
        assert_eq!(received, *announced, "seed {seed} step {step} node {node}");
        let peer = net.peer(node);
        assert_eq!(
            peer.families
                .iter()
                .map(|f| f.pending + f.stale)
                .sum::<usize>(),
            0
        );
        let advertised: usize = peer.families.iter().map(|f| f.advertised).sum();
        assert_eq!(advertised, announced.len(), "seed {seed} step {step}");
        assert!(
            peer.families
                .iter()
                .all(|f| f.end_of_rib_sent && f.end_of_rib_received)
        );
    }
}

#[test]
fn at_rest_the_peer_has_what_is_announced() {
    for seed in 0..60 {
        walk(seed, 400);
    }
}

/// A speaker is a value: a copy that is told the same does the same.
#[test]
fn a_copy_does_the_same() {
    let mut net = established(Transport::V4, |_, _, _| {});
    for i in 0..50 {
        net.announce(0, &alloc::format!("203.0.113.{i}/32"));
    }
    net.nodes[0].speaker.poll_transmit(net.now);
    let mut copy = net.nodes[0].speaker.clone();
    let conn = net.peer(0).connection.unwrap().0;
    for step in 0..20u32 {
        let now = net.now + SECOND * 20 * step;
        for speaker in [&mut net.nodes[0].speaker, &mut copy] {
            speaker.announce(now, announcement("2001:db8:1::1/128"));
            speaker.handle_timeout(now);
            if step == 15 {
                speaker.handle_closed(now, conn, "gone");
            }
        }
        loop {
            let (a, b) = (
                net.nodes[0].speaker.poll_transmit(now),
                copy.poll_transmit(now),
            );
            assert_eq!(a, b);
            let (c, d) = (net.nodes[0].speaker.poll_action(), copy.poll_action());
            assert_eq!(c, d);
            if a.is_none() && c.is_none() {
                break;
            }
        }
        assert_eq!(net.nodes[0].speaker.poll_timeout(), copy.poll_timeout());
    }
}
