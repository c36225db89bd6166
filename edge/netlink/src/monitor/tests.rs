//! What only the inside of a monitor shows.

use std::sync::atomic::{AtomicBool, Ordering};

use tapway_fib::{Address, Change, Object, Outcome, Route, RouteKind};
use tapway_sys::netns;

use super::*;
use crate::Writer;

/// The lister's last wake may come after the end of its scan was taken in. A loop that waits for the
/// descriptor must not spin then.
#[test]
fn a_late_wake_is_forgotten() {
    netns::for_test(|| {
        let (mut monitor, mut wait) = opened();
        let now = Instant::from_nanos(1);
        scan(&mut monitor, &mut wait, now);
        monitor.scan.ready().wake();
        assert!(wait(Duration::ZERO));
        monitor.read(now, 256, &mut Vec::new()).expect("read");
        assert!(!wait(Duration::ZERO));
    });
}

/// While somebody else keeps changing what is listed, no list is whole: what is missing from it is not gone.
#[test]
fn a_torn_scan_is_not_taken_for_a_whole_one() {
    const MANY: u16 = 4000;
    netns::for_test(|| {
        let mut writer = Writer::open().expect("writer");
        let put: Vec<Change> = (1..=MANY).map(|n| Change::Add(address(n))).collect();
        for batch in put.chunks(256) {
            assert!(writer.apply(batch).iter().all(|o| *o == Outcome::Done));
        }
        let (mut monitor, mut wait) = opened();
        let mut now = Instant::from_nanos(1);
        let told = scan(&mut monitor, &mut wait, now);
        let addresses = |told: &[KernelEvent]| {
            let is_one = |e: &&KernelEvent| matches!(e, KernelEvent::Present(Object::Address(_)));
            told.iter().filter(is_one).count()
        };
        assert_eq!(addresses(&told), usize::from(MANY));

        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let flapping = address(MANY + 1);
                let flap = [Change::Add(flapping.clone()), Change::Remove(flapping)];
                while !over.load(Ordering::Relaxed) {
                    assert!(writer.apply(&flap).iter().all(|o| *o == Outcome::Done));
                }
            });
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            let mut told = Vec::new();
            while monitor.torn == Some(0) && std::time::Instant::now() < deadline {
                told.clear();
                monitor.request_scan();
                now = now + SCAN_INTERVAL;
                monitor.read(now, 256, &mut told).expect("read");
                while monitor.scanning() {
                    monitor.read(now, 256, &mut told).expect("read");
                    wait(Duration::from_millis(100));
                }
            }
            over.store(true, Ordering::Relaxed);
            assert_eq!(monitor.torn, Some(1), "every list of 4000 was whole");
            assert!(told.contains(&KernelEvent::ScanBegin));
            assert_eq!(told.last(), Some(&KernelEvent::ScanTorn));
            assert!(!told.contains(&KernelEvent::ScanEnd));
        });
        assert!(monitor.scan_wanted, "it is tried again");
        let told = scan(&mut monitor, &mut wait, now + SCAN_INTERVAL);
        assert_eq!(addresses(&told), usize::from(MANY));
        assert_eq!(monitor.torn, Some(0));
    });
}

/// What we write ourselves is not even queued, but while a scan runs; what others write is, with our number, too.
#[test]
fn own_routes_do_not_fill_the_queue() {
    netns::for_test(|| {
        let mut writer = Writer::open().expect("writer");
        let mut twin = Writer::open().expect("writer");
        let (mut monitor, mut wait) = opened_beside(writer.port());
        let now = Instant::from_nanos(1);
        scan(&mut monitor, &mut wait, now);
        let put = |writer: &mut Writer, number| {
            let put = [
                Change::Add(blackhole(number)),
                Change::Remove(blackhole(number)),
            ];
            assert_eq!(writer.apply(&put), [Outcome::Done, Outcome::Done]);
        };
        put(&mut writer, 1);
        assert!(nothing_queued(&mut monitor), "own routes are queued");
        put(&mut twin, 2);
        let mut told = Vec::new();
        monitor.read(now, 256, &mut told).expect("read");
        let twins = [
            KernelEvent::Present(blackhole(2)),
            KernelEvent::Absent(blackhole(2)),
        ];
        assert_eq!(told, twins);

        let now = now + SCAN_INTERVAL;
        monitor.begin_scan(now, &mut told);
        put(&mut writer, 3);
        scan_on(&mut monitor, &mut wait, now, &mut told);
        assert!(
            told.contains(&KernelEvent::Absent(blackhole(3))),
            "{told:?}"
        );
        put(&mut writer, 4);
        assert!(nothing_queued(&mut monitor), "own routes are queued again");
    });
}

fn blackhole(number: u8) -> Object {
    Object::Route(Route {
        table: 254,
        prefix: format!("192.0.2.{number}").parse().expect("prefix"),
        metric: 20,
        kind: RouteKind::Blackhole,
        scope: 0,
        next_hops: Vec::new(),
        prefsrc: None,
        protocol: 112,
    })
}

fn opened() -> (Monitor, impl FnMut(Duration) -> bool) {
    opened_beside(0)
}

/// A monitor, and whether it is readable within some time.
fn opened_beside(port: u32) -> (Monitor, impl FnMut(Duration) -> bool) {
    let monitor = Monitor::open(MonitorConfig::new(112, port)).expect("monitor");
    let mut poller = Poller::new().expect("epoll");
    poller.add(&monitor, 0, Interest::READ).expect("epoll");
    let mut ready = Vec::new();
    let wait = move |limit| {
        poller.wait(Some(limit), &mut ready).expect("epoll");
        !ready.is_empty()
    };
    (monitor, wait)
}

/// What is told up to the end of a whole scan, from its begin.
fn scan(
    monitor: &mut Monitor,
    wait: &mut impl FnMut(Duration) -> bool,
    now: Instant,
) -> Vec<KernelEvent> {
    let mut told = Vec::new();
    scan_on(monitor, wait, now, &mut told);
    let begin = told.iter().rposition(|e| *e == KernelEvent::ScanBegin);
    told.split_off(begin.expect("a begin"))
}

/// Reads to the end of a whole scan.
fn scan_on(
    monitor: &mut Monitor,
    wait: &mut impl FnMut(Duration) -> bool,
    now: Instant,
    told: &mut Vec<KernelEvent>,
) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while told.last() != Some(&KernelEvent::ScanEnd) {
        assert!(
            std::time::Instant::now() < deadline,
            "no scan came to its end"
        );
        monitor.read(now, 256, told).expect("read");
        wait(Duration::from_millis(100));
    }
}

fn nothing_queued(monitor: &mut Monitor) -> bool {
    let got = monitor.socket.recv(&mut monitor.buffer);
    got.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
}

fn address(number: u16) -> Object {
    let [high, low] = number.to_be_bytes();
    Object::Address(Address {
        index: 1,
        addr: [10, 0, high, low].into(),
        len: 32,
        scope: 0,
        flags: 0,
        protocol: 112,
    })
}
