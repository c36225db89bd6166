//! Much at once through the API: others are served meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tapway_api::list::List;
use tapway_api::write::Applied;
use tapway_lab::mac_of;

use crate::bed::Bed;

const INSTANCES: u32 = 10_000;

#[test]
fn ten_thousand_instances_in_one_request_hold_up_nobody() {
    let bed = Bed::new();
    let specs: Vec<_> = (0..INSTANCES)
        .map(|i| {
            json!({
                "name": format!("vm{i}"),
                "nic": [{
                    "interface": format!("tap{i}"),
                    "mac": mac_of(i),
                    "addresses": [format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255)],
                }],
            })
        })
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    serde_json::to_writer(&file, &specs).expect("a temporary file");
    let path = file.path().to_string_lossy().into_owned();

    let done = AtomicBool::new(false);
    let (applied, seen) = std::thread::scope(|scope| {
        let apply = scope.spawn(|| {
            let applied: Applied = bed.tapwayd.json(&["instance", "apply", "-f", &path]);
            done.store(true, Ordering::Release);
            applied
        });
        let mut seen = Vec::new();
        while !done.load(Ordering::Acquire) && !apply.is_finished() {
            seen.push(bed.tapwayd.status().instances);
        }
        (apply.join().expect("it is applied"), seen)
    });
    assert_eq!(applied.items.len(), INSTANCES as usize);
    assert!(
        seen.iter()
            .any(|count| (1..u64::from(INSTANCES)).contains(count)),
        "nothing was answered in between: {seen:?}"
    );
    assert_eq!(bed.tapwayd.status().instances, u64::from(INSTANCES));

    // In the order in which they were asked for, and whole.
    for name in ["vm0", "vm9999"] {
        let removed = bed.tapwayd.tapway(&["instance", "remove", name]);
        assert_eq!(removed.code, 0, "{removed:?}");
    }
    let list: List<serde_json::Value> = bed.tapwayd.json(&["instance", "list", "--limit", "10000"]);
    assert_eq!((list.items.len(), list.total), (9_998, 9_998));
}
