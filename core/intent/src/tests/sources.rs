//! Sources that live, die, list and stay silent; what is persisted; order across a restart.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tapway_model::{Domain, Instance, Nic};

use super::build::{at, intent, network, nic, one, source};
use crate::{Intent, OrderKey, OrderRecord, Record, SourceConfig, SourceEvent, SourceState};

fn web(n: u8) -> Arc<Instance> {
    one(
        &alloc::format!("web{n}"),
        nic(&alloc::format!("t{n}"), &[&alloc::format!("10.0.0.{n}")]),
    )
}

fn put(n: u8) -> SourceEvent {
    SourceEvent::Put(web(n))
}

fn gone(n: u8) -> SourceEvent {
    SourceEvent::Gone(web(n).name.clone())
}

/// Which of `web1`, `web2`, … count; negative: stale.
fn have(intent: &Intent) -> Vec<i16> {
    let number = |i: crate::InstanceView| {
        let n: i16 = i.instance.name.as_str()[3..].parse().unwrap();
        if i.stale { -n } else { n }
    };
    let all: Vec<i16> = intent.instances().map(number).collect();
    assert_eq!(intent.effective_all().count(), all.len());
    for effective in intent.effective_all() {
        let n: i16 = effective.holders[0].owner.to_string()[5..].parse().unwrap();
        assert!(all.contains(&if effective.holders[0].stale { -n } else { n }));
    }
    all
}

#[test]
fn only_gone_and_complete_remove() {
    use SourceEvent::{Begin, Complete};
    let dead = || SourceEvent::Dead("socket closed".into());
    // What was restored; what is said at which second; what there is at the end.
    type Row = (&'static [u8], Vec<(u64, SourceEvent)>, u64, &'static [i16]);
    let rows: Vec<Row> = vec![
        (&[], vec![(1, put(1)), (1, put(2)), (2, gone(1))], 2, &[2]),
        (&[], vec![(1, put(1)), (2, dead())], 99, &[-1]),
        (&[], vec![(1, put(1)), (2, dead()), (3, gone(1))], 3, &[]),
        // A silent source, before and after the grace.
        (&[1], vec![], 1, &[-1]),
        (&[1], vec![], 99, &[-1]),
        (&[1], vec![(1, put(2))], 99, &[-1, 2]),
        // Leftovers go at the later of Complete and the end of the grace.
        (
            &[1, 2],
            vec![(1, Begin), (1, put(2)), (2, Complete)],
            29,
            &[-1, 2],
        ),
        (
            &[1, 2],
            vec![(1, Begin), (1, put(2)), (2, Complete)],
            30,
            &[2],
        ),
        (&[1, 2], vec![(31, Begin), (31, put(2))], 31, &[-1, 2]),
        (
            &[1, 2],
            vec![(31, Begin), (31, put(2)), (32, Complete)],
            32,
            &[2],
        ),
        (&[1], vec![(2, Complete), (29, put(1))], 30, &[1]),
        // Others go at once with Complete.
        (
            &[],
            vec![(1, put(1)), (2, Begin), (2, put(2)), (3, Complete)],
            3,
            &[2],
        ),
        (
            &[],
            vec![(1, Begin), (1, Complete), (2, put(1)), (3, Complete)],
            3,
            &[1],
        ),
        // A listing that a death cut off says nothing, also after the source came back.
        (&[], vec![(1, put(1)), (2, Begin), (2, dead())], 99, &[-1]),
        (
            &[],
            vec![
                (1, put(1)),
                (2, Begin),
                (2, dead()),
                (3, put(2)),
                (3, Complete),
            ],
            99,
            &[-1, 2],
        ),
        (
            &[],
            vec![
                (1, put(1)),
                (2, dead()),
                (3, Begin),
                (3, put(2)),
                (3, Complete),
            ],
            3,
            &[2],
        ),
        // A source that died after its Complete withdraws nothing at the end of the grace.
        (&[1], vec![(2, Complete), (3, dead())], 99, &[-1]),
        (
            &[1],
            vec![(2, Complete), (3, dead()), (40, Begin), (40, Complete)],
            40,
            &[],
        ),
    ];
    for (i, (restored, events, end, want)) in rows.into_iter().enumerate() {
        let mut intent = intent();
        for n in restored {
            intent.restore(source("files"), web(*n));
        }
        assert_eq!(
            intent.effective_all().filter(|e| e.announce).count(),
            restored.len()
        );
        for (second, event) in events {
            intent.say(second, "files", event);
        }
        intent.handle_timeout(at(end));
        assert_eq!(have(&intent), want, "row {i}");
    }
}

#[test]
fn a_put_of_what_is_known_changes_nothing() {
    let mut intent = intent();
    intent.say(1, "files", put(1));
    assert_eq!(intent.changes().len(), 2);
    assert_eq!(intent.records().len(), 2);
    intent.say(2, "files", put(1));
    intent.say(3, "files", SourceEvent::Dead("lost".into()));
    assert_eq!(have(&intent), [-1]);
    intent.say(4, "files", put(1));
    assert_eq!(have(&intent), [1], "stale no more");
    assert_eq!((intent.changes(), intent.records()), (vec![], vec![]));
}

#[test]
fn summaries_and_settling() {
    let mut intent = intent();
    intent.set_source(
        source("api"),
        SourceConfig {
            grace: Duration::from_secs(10),
        },
    );
    intent.restore(source("files"), web(1));
    intent.restore(source("old"), web(2));
    assert_eq!(intent.poll_timeout(), Some(at(10)));
    intent.say(2, "files", put(3));
    let files = intent
        .sources(at(2))
        .find(|s| s.name.as_str() == "files")
        .unwrap();
    assert_eq!(
        (files.state, files.instances, files.stale),
        (SourceState::Waiting, 2, 1)
    );
    assert_eq!(files.grace_left, Duration::from_secs(28));
    intent.say(3, "files", SourceEvent::Complete);
    intent.say(4, "api", SourceEvent::Dead("lost".into()));
    let states: Vec<_> = intent
        .sources(at(4))
        .map(|s| (s.state, s.last_complete, s.enabled))
        .collect();
    let dead = |reason: &str, s| SourceState::Dead {
        reason: reason.into(),
        since: at(s),
    };
    assert_eq!(states[0], (dead("lost", 4), None, true));
    assert_eq!(states[1], (SourceState::Live, Some(at(3)), true));
    let (SourceState::Dead { reason, .. }, None, false) = &states[2] else {
        panic!("{states:?}")
    };
    assert!(reason.contains("tapway source forget"));
    assert!(!intent.settled(at(29)));
    intent.handle_timeout(at(10));
    assert_eq!(intent.poll_timeout(), Some(at(30)));
    intent.handle_timeout(at(30));
    assert!(intent.settled(at(30)));
    assert_eq!(intent.poll_timeout(), None);
    assert_eq!(
        have(&intent),
        [3, -2],
        "a source that is not configured is never pruned"
    );
}

#[test]
fn forget_is_the_operators_word() {
    let mut intent = intent();
    for n in [1, 2] {
        intent.restore(source("files"), web(n));
        intent.restore(source("old"), web(n + 4));
    }
    intent.say(1, "files", put(2));
    intent.forget(at(2), &source("files"));
    assert_eq!(have(&intent), [2, -5, -6]);
    intent.remove_source(at(3), &source("files"));
    assert_eq!(have(&intent), [-2, -5, -6]);
    intent.say(3, "files", gone(2));
    assert_eq!(
        have(&intent),
        [-2, -5, -6],
        "nobody listens to a disabled source"
    );
    for name in ["files", "old"] {
        intent.forget(at(4), &source(name));
    }
    assert_eq!(have(&intent), []);
    assert_eq!(intent.sources(at(4)).count(), 1);
    let gone = intent
        .records()
        .into_iter()
        .filter(|r| matches!(r, Record::Gone(..)))
        .count();
    assert_eq!(gone, 4);
}

#[test]
fn the_order_survives_a_restart() {
    let clash = |n: u8| {
        one(
            &alloc::format!("web{n}"),
            nic(&alloc::format!("t{n}"), &["10.0.0.1"]),
        )
    };
    let mut intent = intent();
    for n in [3, 1, 2] {
        intent.say(1, "files", SourceEvent::Put(clash(n)));
    }
    let order = intent
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Order(order) => Some(order),
            _ => None,
        });
    let mut order: Vec<OrderRecord> = order.collect();
    // Something nobody comes for, and a number given twice.
    let stray = OrderKey::Instance {
        source: source("x"),
        instance: "y".parse().unwrap(),
    };
    order.push(OrderRecord {
        key: stray.clone(),
        number: 77,
    });
    let again = OrderKey::Instance {
        source: source("files"),
        instance: "web1".parse().unwrap(),
    };
    order.push(OrderRecord {
        key: again,
        number: order[0].number,
    });

    let mut intent = self::intent();
    intent.restore_order(order);
    for n in [1, 2, 3] {
        intent.restore(source("files"), clash(n));
    }
    let conflict = ["nic t3 10.0.0.1/32 | nic t1 10.0.0.1/32 | nic t2 10.0.0.1/32"];
    assert_eq!(intent.conflict_text(), conflict);
    assert_eq!(intent.records(), []);
    intent.say(1, "files", SourceEvent::Put(clash(4)));
    let Some(Record::Order(new)) = intent.records().pop() else {
        panic!("no order")
    };
    assert!(new.number > 77);
    intent.handle_timeout(at(30));
    assert_eq!(intent.records(), [Record::OrderGone(stray)]);
}

#[test]
fn the_first_to_speak_of_a_nic_stays_the_first_after_a_restart() {
    let say = |mac: u8| {
        let mac = Some(tapway_model::Mac::new([2, 0, 0, 0, 0, mac]).unwrap());
        one(
            "web",
            Nic {
                mac,
                ..nic("t0", &["10.0.0.1"])
            },
        )
    };
    let mut intent = intent();
    intent.say(1, "files", SourceEvent::Put(say(1)));
    assert_eq!(
        intent.records().len(),
        2,
        "nothing to decide, nothing to remember"
    );
    intent.say(1, "api", SourceEvent::Put(say(2)));
    let mut order: Vec<OrderRecord> = Vec::new();
    for record in intent.records() {
        if let Record::Order(record) = record {
            order.push(record);
        }
    }
    assert_eq!(order.len(), 2);
    let mut intent = self::intent();
    intent.restore_order(order);
    for (name, mac) in [("api", 2), ("files", 1)] {
        intent.restore(source(name), say(mac));
    }
    assert_eq!(intent.nics().next().unwrap().mac.unwrap().octets()[5], 1);
}

#[test]
fn what_counted_only_while_a_restart_was_under_way_is_first_at_nothing() {
    let blue = || network("blue", Domain::MAIN);
    let first = one(
        "z",
        Nic {
            network: "blue".parse().unwrap(),
            ..nic("t0", &["10.0.0.9"])
        },
    );
    let second = one("a", nic("t0", &["10.0.0.1"]));
    let mut intent = intent();
    intent.set_networks(vec![blue()]);
    intent.put1("files", first.clone());
    intent.put1("files", second.clone());
    let records = intent.records().into_iter();
    let order = records.filter_map(|record| match record {
        Record::Order(order) => Some(order),
        _ => None,
    });
    let order: Vec<OrderRecord> = order.collect();

    let mut intent = self::intent();
    intent.set_networks(vec![blue()]);
    intent.restore_order(order);
    // Until `z` is there, whose network counts, `a` alone speaks of t0.
    intent.restore(source("files"), second);
    intent.restore(source("files"), first);
    intent.put1("files", one("new", nic("t1", &["10.0.0.1"])));
    intent.gone1("files", "z");
    assert_eq!(
        intent.conflict_text(),
        ["nic t1 10.0.0.1/32 | nic t0 10.0.0.1/32"]
    );
}
