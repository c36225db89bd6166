//! A random walk of a fabric, decided by its seed alone: routers die and come back, links and connections are cut, claims come,
//! go and move, several hypervisors share some. From time to time all is mended and comes to rest; then everybody must have
//! what the model says.

use std::collections::BTreeSet;
use std::time::Duration;

use tapway_bgp::StartKind;
use tapway_model::Family;

use super::model::{Model, has};
use super::{Fabric, REFLECTORS, Size, claim, peer_name};
use crate::sim::Dice;

/// Claims that any hypervisor may have, beside its own.
const SHARED: usize = 20;
/// Hypervisors whose routes are compared one by one at a rest; of the others they are counted.
const LOOKED_AT: usize = 4;
/// Longer than hold time, back-off and restart together.
const REST: Duration = Duration::from_secs(400);

/// Walks so many rounds of so many steps.
///
/// # Errors
/// What is not as the model says, and what was done before.
pub fn run(seed: u64, size: Size, rounds: usize, steps: usize) -> Result<(), String> {
    let mut walk = Walk {
        fabric: Fabric::new(size, seed),
        dice: Dice::new(seed),
        trail: Vec::new(),
    };
    walk.check()?;
    for _ in 0..rounds {
        for _ in 0..steps {
            walk.step();
        }
        walk.rest();
        walk.check()?;
    }
    Ok(())
}

struct Walk {
    fabric: Fabric,
    dice: Dice,
    trail: Vec<String>,
}

impl Walk {
    fn step(&mut self) {
        let (size, fabric) = (self.fabric.size, &mut self.fabric);
        let dice = &mut self.dice;
        let hypervisor = REFLECTORS + dice.roll(size.hypervisors as u64) as usize;
        let reflector = dice.roll(REFLECTORS as u64) as usize;
        let router = match dice.once_in(6) {
            true => reflector,
            false => hypervisor,
        };
        let what = match dice.roll(9) {
            0 => {
                fabric.kill(router);
                format!("r{router} dies")
            }
            1 => {
                // Some other one that is dead may be better than this one that may live.
                let dead = (0..fabric.routers.len()).find(|r| fabric.speaker(*r).is_none());
                let router = dead.unwrap_or(router);
                revive(fabric, router, dice.once_in(2));
                format!("r{router} starts")
            }
            2 => {
                fabric.break_connection(hypervisor, reflector);
                format!("the connection of r{hypervisor} and r{reflector} breaks")
            }
            3 => {
                let up = !fabric.routers[hypervisor].linked;
                fabric.set_link(hypervisor, up);
                format!("the link of r{hypervisor} is up: {up}")
            }
            4 | 5 => {
                let own = size.hypervisors * size.claims;
                let prefix = claim(own + dice.roll(SHARED as u64) as usize);
                let there = !fabric.routers[hypervisor].claims.contains(&prefix);
                fabric.set_claim(hypervisor, prefix, there);
                format!("r{hypervisor} shares {prefix}: {there}")
            }
            6 | 7 => {
                // A guest moves: the new owner is there before the old one is gone.
                let all: Vec<_> = fabric.routers[hypervisor].claims.iter().copied().collect();
                let to = REFLECTORS + dice.roll(size.hypervisors as u64) as usize;
                match dice.pick(&all).filter(|_| to != hypervisor) {
                    Some(prefix) => {
                        fabric.set_claim(to, prefix, true);
                        fabric.advance(Duration::from_millis(dice.roll(3)));
                        fabric.set_claim(hypervisor, prefix, false);
                        format!("{prefix} moves from r{hypervisor} to r{to}")
                    }
                    None => "nothing moves".into(),
                }
            }
            _ => {
                let time = Duration::from_millis(1 + dice.roll(60_000));
                fabric.advance(time);
                format!("{time:?} pass")
            }
        };
        self.trail.push(what);
        let pause = Duration::from_millis(self.dice.roll(2_000));
        self.fabric.advance(pause);
    }

    /// Everything is mended.
    fn rest(&mut self) {
        for router in 0..self.fabric.routers.len() {
            if !self.fabric.routers[router].linked {
                self.fabric.set_link(router, true);
            }
            revive(&mut self.fabric, router, true);
        }
        self.fabric.advance(REST);
        self.trail.push("rest".into());
    }

    fn check(&mut self) -> Result<(), String> {
        let model = Model::of(&self.fabric);
        let hypervisors = self.fabric.size.hypervisors as u64;
        let dice = &mut self.dice;
        let looked_at: Vec<usize> = (0..LOOKED_AT)
            .map(|_| REFLECTORS + dice.roll(hypervisors) as usize)
            .collect();
        for hypervisor in REFLECTORS..self.fabric.routers.len() {
            for reflector in 0..REFLECTORS {
                let wrong = match looked_at.contains(&hypervisor) {
                    true => compare(&self.fabric, &model, hypervisor, reflector),
                    false => count(&self.fabric, &model, hypervisor, reflector),
                };
                if let Some(wrong) = wrong {
                    let shown = self.trail.len().saturating_sub(60);
                    return Err(format!("{wrong}\n{}", self.trail[shown..].join("\n")));
                }
            }
        }
        Ok(())
    }
}

/// Starts a router that is dead.
fn revive(fabric: &mut Fabric, router: usize, warm: bool) {
    if fabric.speaker(router).is_none() {
        let preserved = vec![Family::Ipv4];
        fabric.start(
            router,
            match warm {
                true => StartKind::Warm { preserved },
                false => StartKind::Cold,
            },
        );
    }
}

fn compare(fabric: &Fabric, model: &Model, hypervisor: usize, reflector: usize) -> Option<String> {
    let who = format!("r{hypervisor} from r{reflector}");
    if !fabric.is_established(hypervisor, reflector) {
        return Some(format!("{who}: no session"));
    }
    let ((paths, stale), wanted) = (
        has(fabric, hypervisor, reflector),
        model.all(hypervisor, reflector),
    );
    if stale > 0 {
        return Some(format!("{who}: {stale} paths are stale"));
    }
    let counted = wanted.values().map(BTreeSet::len).sum::<usize>();
    assert_eq!(counted, model.count(hypervisor), "the model itself");
    let prefixes = paths.keys().chain(wanted.keys());
    let wrong = prefixes
        .into_iter()
        .find(|p| paths.get(p) != wanted.get(p))?;
    let (has, should) = (paths.get(wrong), wanted.get(wrong));
    Some(format!(
        "{who}: {wrong}: has {has:?}, should have {should:?}"
    ))
}

fn count(fabric: &Fabric, model: &Model, hypervisor: usize, reflector: usize) -> Option<String> {
    let summary = fabric.speaker(hypervisor)?.peer(&peer_name(reflector))?;
    let family = summary.families.first()?;
    let wanted = model.count(hypervisor);
    let right = (family.received, family.stale) == (wanted, 0);
    (!right).then(|| format!("r{hypervisor} from r{reflector}: {family:?}, wanted {wanted}"))
}
