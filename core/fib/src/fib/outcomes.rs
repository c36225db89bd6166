//! What became of our writes.

use alloc::string::String;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use tapway_model::Instant;

use super::{DOUBT, Fib, Flight, trouble};
use crate::bulk::route_key;
use crate::compare::same;
use crate::notice::BatchId;
use crate::slot::{Act, Foreign, SlotId};
use crate::{Address, Key, Notice, Object, Outcome, address_flags};

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EIO: i32 = 5;
const ENXIO: i32 = 6;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EADDRNOTAVAIL: i32 = 99;

/// The first back-off; it doubles with every failure.
const FIRST_RETRY: Duration = Duration::from_millis(50);
pub(super) const LAST_RETRY: Duration = Duration::from_secs(30);

impl Fib {
    /// Takes in what became of a batch, in the order of its changes.
    pub fn handle_outcomes(&mut self, now: Instant, batch: BatchId, outcomes: &[Outcome]) {
        let Some(flight) = self.flights.remove(&batch) else {
            return;
        };
        let unanswered = Outcome::Failed {
            errno: EIO,
            message: Some("the writer gave no answer".into()),
        };
        let outcomes = outcomes.iter().chain(core::iter::repeat(&unanswered));
        match flight {
            Flight::Slots(ids) => {
                for (id, outcome) in ids.into_iter().zip(outcomes) {
                    self.outcome(now, id, outcome);
                }
            }
            Flight::Bulk(keys) => {
                for (key, outcome) in keys.into_iter().zip(outcomes) {
                    self.bulk_outcome(now, key, outcome);
                }
            }
        }
        self.tick(now);
    }

    pub(super) fn outcome(&mut self, now: Instant, id: SlotId, outcome: &Outcome) {
        let Some((act, object)) = self.slots[id].flight.take() else {
            return;
        };
        match (act, outcome) {
            (Act::Remove, Outcome::Done) => self.removed(now, id, &object),
            (Act::Remove, Outcome::Failed { errno, .. }) if is_gone(*errno) => {
                self.removed(now, id, &object);
            }
            (_, Outcome::Done) => self.put(now, id, &object),
            (
                Act::Add,
                Outcome::Failed {
                    errno: EEXIST,
                    message,
                },
            ) => {
                self.exists(now, id, message.as_ref());
            }
            (
                Act::Replace,
                Outcome::Failed {
                    errno: ENOENT | ESRCH,
                    ..
                },
            ) if !matches!(*object, Object::Sysctl(_)) => {
                self.put_have(id, None);
            }
            (Act::Replace, Outcome::Failed { errno: ENOENT, .. })
                if self.slots[id].want.is_none() =>
            {
                // A sysctl to be restored, of an interface that is gone.
                self.put_have(id, None);
            }
            (_, Outcome::Failed { errno, message }) => {
                self.failed(now, id, *errno, message.clone());
            }
        }
        self.unindex(id, Some(&object));
        let key = self.slots[id].key.clone();
        self.settle(id);
        self.settle_siblings(&key);
    }

    fn put(&mut self, now: Instant, id: SlotId, object: &Arc<Object>) {
        let mark = self.scan.mark;
        let slot = &mut self.slots[id];
        slot.was_ours = true;
        slot.doubt_until = Instant::ZERO;
        slot.fresh_until = now + DOUBT;
        if slot.flight_mark == mark {
            slot.seen = mark;
        } else if slot.seen != mark {
            // A scan began since and has not seen it: perhaps it was gone again by then.
            self.scan.want(now);
        }
        if slot.disturbed {
            if slot.foreign == Foreign::Seen {
                self.scan.want(now);
            }
            if slot.have.is_none() || slot.unsure {
                slot.perhaps = Some(Arc::clone(object));
                slot.unsure = false;
                self.put_have(id, None);
            }
            return;
        }
        slot.unsure = false;
        slot.missed = false;
        slot.perhaps = None;
        slot.foreign = Foreign::No;
        if slot.repair && slot.want.as_ref().is_some_and(|want| same(want, object)) {
            slot.repair = false;
            self.notices.push_back(Notice::Repaired(slot.key.clone()));
        }
        self.put_have(id, Some(Arc::clone(object)));
        match &**object {
            Object::Address(address) => self.address_put(address),
            Object::Sysctl(sysctl) => self.sysctl_put(id, &sysctl.path),
            _ => {}
        }
    }

    /// The kernel's message about it was kept from us: we wrote it ourselves.
    pub(super) fn address_put(&mut self, address: &Address) {
        let mut address = address.clone();
        address.flags |= address_flags::PERMANENT;
        match address.addr {
            IpAddr::V6(_) if address.flags & address_flags::NODAD == 0 => {
                address.flags |= address_flags::TENTATIVE;
            }
            _ => {}
        }
        let (index, addr, len) = (address.index, address.addr, address.len);
        let known = self.world.address(index, addr, len).cloned();
        let new = known.is_none();
        // Marked in any case: a scan that lists addresses before our write does not see it.
        self.world
            .put_address(known.unwrap_or(address), self.scan.mark);
        if new {
            self.notices.push_back(Notice::AddressesChanged(index));
        }
    }

    fn sysctl_put(&mut self, id: SlotId, path: &str) {
        if self.slots[id].want.is_none() {
            self.old_sysctls.remove(path);
        }
    }

    fn removed(&mut self, now: Instant, id: SlotId, object: &Arc<Object>) {
        let slot = &mut self.slots[id];
        slot.doubt_until = now + DOUBT;
        slot.perhaps = None;
        if !slot.bulk || route_key(&slot.key).is_none() {
            self.lingering.push_back((now + DOUBT, id));
        }
        if let Some(trouble) = &mut slot.trouble {
            trouble.attempts = 0;
        }
        if slot.disturbed && slot.have.is_some() {
            return;
        }
        slot.was_ours = false;
        slot.unsure = false;
        self.put_have(id, None);
        if let Object::Address(address) = &**object {
            self.address_gone(address, false);
        }
    }

    /// An addition found something there.
    fn exists(&mut self, now: Instant, id: SlotId, message: Option<&String>) {
        let slot = &mut self.slots[id];
        if slot.unsure && slot.have.is_some() {
            slot.unsure = false;
            if slot.missed {
                self.scan.want(now);
            }
            return;
        }
        if slot.foreign == Foreign::Seen || slot.have.is_some() {
            return;
        }
        if let Key::Neighbour(index, addr) = slot.key {
            if self.world.is_permanent(index, addr) {
                slot.foreign = Foreign::Seen;
            } else {
                slot.overwrite = true;
            }
            return;
        }
        if slot.was_ours {
            slot.unclear = true;
            if let Some(Object::Address(address)) = slot.want.clone().as_deref() {
                // Whoever's it is, the link has an address and keeps its routes.
                self.address_put(address);
            }
            self.scan.want(now);
            return self.back_off(now, id);
        }
        let key = slot.key.clone();
        let own_sibling = |other: &SlotId| {
            let other = &self.slots[*other];
            other.key != key && (other.have.is_some() || other.flight.is_some())
        };
        if self.siblings(&key).iter().any(own_sibling) {
            return self.failed(now, id, EEXIST, message.cloned());
        }
        self.slots[id].foreign = Foreign::Refused;
        self.back_off(now, id);
    }

    fn failed(&mut self, now: Instant, id: SlotId, errno: i32, message: Option<String>) {
        self.back_off(now, id);
        let slot = &mut self.slots[id];
        let (perhaps, unsure) = (slot.perhaps.is_some(), slot.unsure);
        let key = slot.key.clone();
        let trouble = trouble(slot);
        if perhaps || (unsure && trouble.attempts == 1) {
            // It may be there all the while in an older form, or not at all.
            self.scan.want(now);
        }
        trouble.errno = errno;
        trouble.message.clone_from(&message);
        let attempts = trouble.attempts;
        self.notices.push_back(Notice::Failed {
            key,
            errno,
            message,
            attempts,
        });
    }

    fn back_off(&mut self, now: Instant, id: SlotId) {
        let trouble = trouble(&mut self.slots[id]);
        let doubled = FIRST_RETRY * 2u32.saturating_pow(trouble.attempts.min(16));
        trouble.attempts += 1;
        self.wait_until(id, now + doubled.min(LAST_RETRY));
    }
}

/// Whether a removal failed because there is nothing to remove.
pub(super) fn is_gone(errno: i32) -> bool {
    matches!(errno, ENOENT | ESRCH | ENXIO | ENODEV | EADDRNOTAVAIL)
}
