//! Random walks with routes that peers send: whatever happens on the way, at rest each peer has been told what a model says that it
//! must have been, of each is kept what must be, and when all is gone nothing is left.
//!
//! A peer is what it reads: what was written to it is decoded into a table. Half of the walks have reflector clients, and peers
//! that send and read several paths. `TAPWAY_WALK_SEEDS` and `TAPWAY_WALK_STEPS` say how many walks and how long (300 and 400),
//! and `TAPWAY_WALK_SEED` walks that one seed alone.

extern crate std;

mod check;
mod model;
mod peers;
mod policies;
mod step;
mod world;

use std::env::var;
use std::string::String;

use world::World;

use super::walk::Random;

/// Steps between two comparisons.
const ROUND: usize = 25;

fn setting(name: &str) -> Option<u64> {
    let text: String = var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn walk(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut world = World::new(seed, steps, &mut random);
    for step in 1..=steps {
        world.step(&mut random);
        if step % ROUND == 0 {
            world.check();
        }
    }
    world.check();
    world.end();
}

#[test]
fn each_peer_is_told_what_the_model_says() {
    let steps = setting("TAPWAY_WALK_STEPS").unwrap_or(400) as usize;
    let (first, count) = match setting("TAPWAY_WALK_SEED") {
        Some(seed) => (seed, 1),
        None => (0, setting("TAPWAY_WALK_SEEDS").unwrap_or(300)),
    };
    for seed in first..first + count {
        walk(seed, steps);
    }
}
