//! More files change at once than the kernel queues notifications.

use std::collections::BTreeSet;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use tapway_api::list::List;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

const FILES: u32 = 10_000;

fn address(n: u32) -> String {
    format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)
}

/// Does this while the daemon stands still, and waits until it has said that notifications were lost.
#[track_caller]
fn overrun(bed: &mut Bed, change: impl FnOnce(&Bed)) {
    let overruns = |bed: &Bed| bed.tapwayd.log().matches("source.overrun").count();
    let before = overruns(bed);
    bed.tapwayd.process().expect("it runs").signal(Signal::STOP);
    change(bed);
    bed.tapwayd.process().expect("it runs").signal(Signal::CONT);
    wait_for(SOON, "the log tells of lost notifications", || {
        match overruns(bed) - before {
            0 => Err("none: is fs.inotify.max_queued_events over 16384?"),
            _ => Ok(()),
        }
    });
}

/// Replaces an instance's file: four notifications.
fn put(bed: &Bed, n: u32, kind: &str) {
    let text = format!(
        "name = \"s{n}\"\n[[claim]]\nowner = \"host\"\nkind = \"{kind}\"\nprefix = \"{}/32\"\n",
        address(n)
    );
    bed.tapwayd.put_text(&format!("s{n}"), &text);
}

/// Waits until the kernel and the router have exactly the addresses of these numbers.
#[track_caller]
fn has_exactly(bed: &Bed, numbers: impl Iterator<Item = u32>) {
    let want: BTreeSet<String> = numbers.map(address).collect();
    wait_for(SOON, format!("{} routes in the kernel", want.len()), || {
        let routes = bed.host.routes("table main proto 112");
        same(&want, routes.iter().filter_map(|r| r.split(' ').nth(1)))
    });
    wait_for(SOON, format!("{} routes at the router", want.len()), || {
        let arguments = ["route", "list", "--received", "host", "--limit", "10000"];
        let list: List<Value> = bed.router.json(&arguments);
        let prefixes = list.items.iter().filter_map(|r| r["prefix"].as_str());
        same(&want, prefixes.map(|p| p.trim_end_matches("/32")))
    });
}

/// Whether these are those wanted, each once; else how many there are.
fn same<'a>(want: &BTreeSet<String>, have: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let have: Vec<&str> = have.collect();
    let all = have.iter().all(|h| want.contains(*h));
    let different: BTreeSet<&&str> = have.iter().collect();
    match all && have.len() == want.len() && different.len() == want.len() {
        true => Ok(()),
        false => Err(format!(
            "{} routes, {} different",
            have.len(),
            different.len()
        )),
    }
}

#[test]
fn ten_thousand_files_come_and_half_go_while_notifications_are_lost() {
    let mut bed = Bed::new();
    let begin = Instant::now();
    overrun(&mut bed, |bed| {
        (0..FILES).for_each(|n| put(bed, n, "route"))
    });
    has_exactly(&bed, 0..FILES);
    println!(
        "10,000 files: wired and announced after {:?}",
        begin.elapsed()
    );
    bed.no_problem();

    // The queue is full before the first file is deleted: nobody hears of any.
    let begin = Instant::now();
    overrun(&mut bed, |bed| {
        (0..FILES)
            .filter(|n| n % 2 == 0)
            .for_each(|n| put(bed, n, "route"));
        let odd = (0..FILES).filter(|n| n % 2 == 1);
        odd.for_each(|n| bed.tapwayd.delete(&format!("s{n}")));
    });
    has_exactly(&bed, (0..FILES).filter(|n| n % 2 == 0));
    println!("5,000 of them deleted: gone after {:?}", begin.elapsed());
    assert_eq!(bed.source("files").instances, u64::from(FILES / 2));
    bed.tapwayd.wait_established(SOON);
    bed.no_problem();
}
