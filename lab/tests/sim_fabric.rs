//! Fabrics of two reflectors and many hypervisors under random failures, against a model.
//!
//! `TAPWAY_FABRIC_SEEDS` says how many (50), `TAPWAY_FABRIC_SEED` runs that one alone, and `TAPWAY_FABRIC_HYPERVISORS` says how
//! many hypervisors all of them have (otherwise 200 in one of fifteen, and 20).

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tapway_lab::sim::fabric::{Fabric, REFLECTORS, Size, walk};
use tapway_lab::sim::prefix;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// A few are large; the others have more turmoil for each router.
fn size(seed: u64) -> Size {
    let usual = if seed % 15 == 1 { 200 } else { 20 };
    let hypervisors = setting("TAPWAY_FABRIC_HYPERVISORS").unwrap_or(usual);
    Size {
        hypervisors: usize::try_from(hypervisors).expect("a small number"),
        claims: 50,
        add_paths: seed.is_multiple_of(2),
    }
}

#[test]
fn fabrics_come_to_rest_as_the_model_says() {
    let (first, count) = match setting("TAPWAY_FABRIC_SEED") {
        Some(seed) => (seed, 1),
        None => (1, setting("TAPWAY_FABRIC_SEEDS").unwrap_or(50)),
    };
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(8) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || !failures.lock().unwrap().is_empty() {
                        return;
                    }
                    if let Err(failure) = walk::run(seed, size(seed), 3, 25) {
                        failures.lock().unwrap().push((seed, failure));
                    }
                    let fabrics = seed - first + 1;
                    if fabrics.is_multiple_of(10) && count > 50 {
                        eprintln!("{fabrics} of {count} fabrics");
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{failures:#?}: again with TAPWAY_FABRIC_SEED"
    );
}

/// Two hypervisors share an address, and one of them dies: nobody else is without it for a moment, whatever the reflectors send.
#[test]
fn when_one_of_two_owners_dies_all_others_keep_the_other_path() {
    for add_paths in [false, true] {
        let size = Size {
            hypervisors: 20,
            claims: 5,
            add_paths,
        };
        let mut fabric = Fabric::new(size, 7);
        let shared = prefix("203.255.0.1/32");
        let owners = [REFLECTORS, REFLECTORS + 1];
        owners
            .iter()
            .for_each(|r| fabric.set_claim(*r, shared, true));
        fabric.advance(Duration::from_secs(1));
        let ways = |fabric: &Fabric, router: usize, reflector: usize| {
            let name = format!("r{reflector}").parse().unwrap();
            let speaker = fabric.speaker(router).unwrap();
            let all = speaker.received_at(&name, shared);
            all.into_iter().filter(|r| r.refused.is_none()).count()
        };
        let others = REFLECTORS + 2..REFLECTORS + 20;
        let mut looked = 0;
        fabric.kill(owners[0]);
        // Its routes are kept for a while, and then go.
        fabric.advance_and(Duration::from_secs(100), |fabric, router| {
            if others.contains(&router) {
                let gone = (0..REFLECTORS).find(|r| ways(fabric, router, *r) == 0);
                assert_eq!(gone, None, "r{router}, add-path: {add_paths}");
                looked += 1;
            }
        });
        assert!(looked > 0);
        for (router, reflector) in others.flat_map(|r| [(r, 0), (r, 1)]) {
            // With add-path the other reflector's is a path of its own.
            let paths = if add_paths { 2 } else { 1 };
            assert_eq!(ways(&fabric, router, reflector), paths);
        }
    }
}
