//! Random walks of a whole hypervisor against a reference model.
//!
//! `TAPWAY_WALK_SEEDS` and `TAPWAY_WALK_STEPS` say how many and how long (50 and 2,000), and
//! `TAPWAY_WALK_SEED` walks that one seed alone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tapway_lab::sim::walk::{self, Failure, Tally};

/// What walks of 100,000 steps or more do over 100 times: a walk to nowhere proves nothing.
const MUST_HAPPEN: [&str; 24] = [
    "claim.announced",
    "claim.withdrawn",
    "kernel.repaired",
    "kernel.foreign",
    "peer.up",
    "peer.down",
    "step: put",
    "step: gone",
    "step: listing",
    "step: source dies",
    "step: kill",
    "step: start",
    "step: disk",
    "step: uplink",
    "step: session reset",
    "step: messages lost",
    "step: rest",
    "step: restart unchanged",
    "link: added",
    "link: deleted",
    "link: renamed",
    "link: carrier",
    "link: up or down",
    "prefixes at other routers",
];

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn walks_come_to_rest_as_the_model_says() {
    let steps = usize::try_from(setting("TAPWAY_WALK_STEPS").unwrap_or(2_000)).unwrap();
    let (first, count) = match setting("TAPWAY_WALK_SEED") {
        Some(seed) => (seed, 1),
        None => (1, setting("TAPWAY_WALK_SEEDS").unwrap_or(50)),
    };
    let next = AtomicU64::new(first);
    let (tally, failures) = (
        Mutex::new(Tally::new()),
        Mutex::new(Vec::<Box<Failure>>::new()),
    );
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || !failures.lock().unwrap().is_empty() {
                        return;
                    }
                    match walk::run(seed, steps) {
                        Ok(walked) => {
                            let mut tally = tally.lock().unwrap();
                            let walks = seed - first + 1;
                            if walks.is_multiple_of(50) && count > 50 {
                                eprintln!("{walks} of {count} walks");
                            }
                            for (what, times) in walked {
                                *tally.entry(what).or_insert(0) += times;
                            }
                        }
                        Err(failure) => failures.lock().unwrap().push(failure),
                    }
                }
            });
        }
    });
    for failure in failures.lock().unwrap().iter() {
        let seed = failure.seed;
        println!("{failure}");
        println!(
            "again: TAPWAY_WALK_SEED={seed} TAPWAY_WALK_STEPS={steps} cargo test -p tapway-lab --test sim_walk\n"
        );
    }
    assert!(
        failures.lock().unwrap().is_empty(),
        "a walk failed, see above"
    );
    let tally = tally.into_inner().unwrap();
    println!("{count} walks of {steps} steps from seed {first}:");
    for (what, times) in &tally {
        println!("{times:>10} {what}");
    }
    if count as usize * steps >= 100_000 {
        for what in MUST_HAPPEN {
            assert!(
                tally.get(what).is_some_and(|times| *times > 100),
                "{what} hardly happened"
            );
        }
    }
}
