//! Much at once through the API: others are served meanwhile.

use std::collections::BTreeSet;

use serde_json::json;
use tapway_api::list::List;
use tapway_api::route::Route;
use tapway_api::write::Applied;
use tapway_lab::wait_for;

use crate::bed::{Bed, SOON};

const INSTANCES: u32 = 10_000;

#[test]
fn ten_thousand_instances_in_one_request_hold_up_nobody() {
    let bed = Bed::new();
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    // Each is a route in the kernel and an announcement.
    let specs: Vec<_> = (0..INSTANCES)
        .map(|i| {
            let prefix = format!("10.{}.{}.{}/32", i >> 16, (i >> 8) & 255, i & 255);
            json!({
                "name": format!("vm{i}"),
                "claim": [{"owner": "host", "kind": "route", "prefix": prefix}],
            })
        })
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    serde_json::to_writer(&file, &specs).expect("a temporary file");
    let path = file.path().to_string_lossy().into_owned();

    let total = u64::from(INSTANCES) + 1;
    let under_way = |count: &u64| (2..total).contains(count);
    let count = || bed.tapwayd.status().instances;
    let (applied, seen, at_withdraw) = std::thread::scope(|scope| {
        let apply = scope.spawn(|| {
            let applied: Applied = bed.tapwayd.json(&["instance", "apply", "-f", &path]);
            applied
        });
        let mut seen = vec![wait_for(SOON, "the first of them", || {
            let count = count();
            if count > 1 { Ok(count) } else { Err(count) }
        })];
        // A guest that stops meanwhile is withdrawn meanwhile.
        bed.host.link_del("tap0");
        let at_withdraw = wait_for(SOON, "it is withdrawn", || {
            let list: List<Route> =
                bed.router
                    .json(&["route", "list", "--prefix", "203.0.113.1/32"]);
            match list.total {
                0 => Ok(count()),
                more => Err(more),
            }
        });
        while !apply.is_finished() {
            seen.push(count());
        }
        (apply.join().expect("it is applied"), seen, at_withdraw)
    });
    assert_eq!(applied.items.len(), INSTANCES as usize);
    assert!(
        under_way(&at_withdraw),
        "withdrawn at {at_withdraw} instances"
    );
    let different: BTreeSet<&u64> = seen.iter().filter(|count| under_way(count)).collect();
    assert!(different.len() >= 3, "answered in between: {seen:?}");
    assert_eq!(count(), total);

    // In the order in which they were asked for, and whole.
    for name in ["vm0", "vm9999"] {
        let removed = bed.tapwayd.tapway(&["instance", "remove", name]);
        assert_eq!(removed.code, 0, "{removed:?}");
    }
    let list: List<serde_json::Value> = bed.tapwayd.json(&["instance", "list", "--limit", "10000"]);
    assert_eq!((list.items.len(), list.total), (9_999, 9_999));
}
