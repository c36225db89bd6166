//! Scans of the kernel that are torn again and again are told, once, and when it is over.

#![allow(clippy::unwrap_used, reason = "a test")]

mod beginning;

use std::collections::BTreeMap;
use std::time::Duration;

use tapway_fib::KernelEvent::{self, Overrun, ScanBegin, ScanEnd, ScanTorn};
use tapway_fib::sim::Kernel;
use tapway_model::Instant;
use tapway_node::{Level, Node, NodeConfig, Report, Restored, Start};

fn node() -> Node {
    let config = NodeConfig {
        sources: BTreeMap::new(),
        ..beginning::config([])
    };
    let scan = Kernel::new().scan();
    Node::new(at(0), config, Restored::default(), scan, Start::Cold)
}

fn at(second: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(second)
}

/// The events about scans that these kernel events lead to.
fn tell(node: &mut Node, second: u64, events: &[KernelEvent]) -> Vec<(Level, String)> {
    node.handle_kernel(at(second), events.iter().cloned());
    let reports = std::iter::from_fn(|| node.poll_report());
    let events = reports.filter_map(|report| match report {
        Report::Event(e) if e.kind.starts_with("kernel.scan") => Some((e.level, e.text)),
        Report::Event(_) | Report::Record(_) => None,
    });
    events.collect()
}

#[test]
fn scans_that_are_never_whole_are_told_once_and_when_it_is_over() {
    let mut node = node();
    for second in 100..130 {
        assert_eq!(tell(&mut node, second, &[ScanBegin, ScanTorn]), []);
        assert_eq!(node.torn_scans(at(second)), None);
    }
    let told = tell(&mut node, 130, &[ScanBegin]);
    let text = "no scan of the kernel was whole for 30 s, in 30 tries: ";
    assert!(
        told.len() == 1 && told[0].0 == Level::Warning && told[0].1.starts_with(text),
        "{told:?}"
    );
    for second in 131..200 {
        assert_eq!(tell(&mut node, second, &[Overrun, ScanBegin]), []);
    }
    let now = node.torn_scans(at(200)).unwrap();
    assert!(now.contains("for 100 s, in 100 tries"), "{now}");
    let over = "a scan of the kernel was whole again, after 101 s".to_owned();
    assert_eq!(tell(&mut node, 201, &[ScanEnd]), [(Level::Info, over)]);
    assert_eq!(node.torn_scans(at(201)), None);
    // From the beginning.
    assert_eq!(tell(&mut node, 202, &[ScanBegin, ScanTorn]), []);
    assert_eq!(tell(&mut node, 230, &[ScanBegin, ScanTorn]), []);
}

#[test]
fn some_torn_scans_and_a_slow_one_are_no_news() {
    let mut node = node();
    for round in 0..20 {
        let second = 100 * round;
        let torn = [ScanBegin, ScanTorn, ScanBegin, ScanTorn, ScanBegin];
        assert_eq!(tell(&mut node, second, &torn), []);
        // It takes long to list much.
        assert_eq!(tell(&mut node, second + 90, &[ScanEnd]), []);
        assert_eq!(node.torn_scans(at(second + 90)), None);
    }
}
