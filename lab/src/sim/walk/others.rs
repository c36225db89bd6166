//! The routers beside the first one: what happens to them, and what they must have been told.

use std::collections::{BTreeMap, BTreeSet};

use tapway_model::Prefix;

use super::{Walk, content};

impl Walk {
    /// A router resets its session, or the operator sends one by another policy.
    pub(super) fn change_others(&mut self) -> String {
        if self.dice.once_in(2) {
            let at = 1 + usize::try_from(self.dice.roll(self.others.len() as u64)).unwrap_or(0);
            self.count("step: session of another router reset");
            self.world.reset_session_of(at);
            return format!("{} resets its session", self.others[at - 1].name);
        }
        let export = self.dice.pick(&content::EXPORTS).unwrap_or("claims");
        self.count("step: other policy");
        self.others[0].export = content::export(export);
        self.world.set_export(0, content::export(export));
        format!("{} is sent {export}", self.others[0].name)
    }

    /// What a router must have at rest while its session is up: prefixes and their MED.
    fn due_at(&self, other: usize) -> BTreeMap<Prefix, BTreeSet<Option<u32>>> {
        let other = &self.others[other];
        let due = self.model.due(&self.world.kernel, other.name.as_str());
        let mut at_router: BTreeMap<Prefix, BTreeSet<Option<u32>>> = BTreeMap::new();
        for id in &due.seen {
            if let Some(med) = content::passes(&other.export, &due.announced[id]) {
                at_router.entry(id.1).or_default().insert(med);
            }
        }
        at_router
    }

    /// Each other router has what it may see, as its policy leaves it, and nothing else.
    pub(super) fn compare_others(&mut self) {
        for other in 0..self.others.len() {
            let (at, name) = (other + 1, self.others[other].name.clone());
            let up = self.world.is_established_with(at);
            if self.world.has_uplink() && !up {
                self.fault(format!("the session with {name} does not come back"));
            }
            let due = match up {
                true => self.due_at(other),
                // By now it has dropped all.
                false => BTreeMap::new(),
            };
            let mut has: BTreeMap<Prefix, BTreeSet<Option<u32>>> = BTreeMap::new();
            for route in self.world.routes_at(at) {
                if route.stale {
                    self.fault(format!("{name} has {} as stale", route.prefix));
                }
                has.entry(route.prefix).or_default().insert(route.med);
            }
            *self.tally.entry("prefixes at other routers").or_insert(0) += due.len() as u64;
            if has != due {
                self.fault(format!("{name} has {has:?}, due: {due:?}"));
            }
        }
    }

    /// Whether some other router has this prefix, and should.
    pub(super) fn is_due_at_another(&self, prefix: &Prefix) -> bool {
        (0..self.others.len()).any(|other| {
            self.world.is_established_with(other + 1) && self.due_at(other).contains_key(prefix)
        })
    }
}
