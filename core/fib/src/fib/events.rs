//! What the kernel tells of objects.

use alloc::sync::Arc;
use core::time::Duration;

use tapway_model::Instant;

use super::index::legs;
use super::outcomes::LAST_RETRY;
use super::scan::Gone;
use super::{Fib, trouble};
use crate::compare::{NUD_PERMANENT, normal, same};
use crate::slot::{Act, Foreign, SlotId};
use crate::world::Put;
use crate::{Address, KernelEvent, Key, Neighbour, Notice, Object, address_flags};

/// `EBUSY`: somebody undoes our work again and again.
pub(super) const EBUSY: i32 = 16;
/// `EADDRINUSE`: duplicate address detection.
pub(super) const EADDRINUSE: i32 = 98;

/// How often in how long somebody may undo our work before we pause.
pub(super) const PATIENCE: (u32, Duration) = (20, Duration::from_secs(10));
/// The same for sysctls, where two programs may each insist on their value.
const SYSCTL_PATIENCE: (u32, Duration) = (5, Duration::from_secs(60));
/// How long we pause then at first: a command that deletes until nothing is left, as `ip route flush`
/// does, has come to its end by then.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long we pause at most, and always for a sysctl.
const PAUSE: Duration = Duration::from_secs(30);

impl Fib {
    /// Takes in what the kernel told.
    pub fn handle_event(&mut self, now: Instant, event: KernelEvent) {
        self.now = self.now.max(now);
        match event {
            KernelEvent::ScanBegin => self.begin_scan(),
            KernelEvent::ScanEnd => self.end_scan(now),
            KernelEvent::ScanTorn => self.scan.running = false,
            KernelEvent::Overrun => self.overrun(),
            KernelEvent::Link(link) => self.link_present(link),
            KernelEvent::LinkGone(index) => {
                self.scan.note_gone(|| Gone::Link(index));
                self.link_gone(index);
            }
            KernelEvent::Present(object) => self.present(now, normal(object)),
            KernelEvent::Absent(object) => self.absent(now, &normal(object)),
        }
        self.tick(now);
    }

    fn present(&mut self, now: Instant, object: Object) {
        let key = object.key();
        let ours = self.is_ours(&key, &object);
        let mark = self.scan.mark;
        match &object {
            Object::Address(address) => self.address_present(&key, address),
            Object::Route(route) if !ours && route.prefix.len() == 0 => {
                self.scan.note_present(&key, legs(&object));
                if self.world.put_default(route, mark) {
                    let family = route.prefix.family();
                    self.notices
                        .push_back(Notice::ForeignDefaultChanged(family));
                }
            }
            Object::Neighbour(neighbour) => self.neighbour_present(&key, neighbour, ours),
            Object::Sysctl(sysctl) => return self.sysctl_present(now, &key, sysctl),
            _ => {}
        }
        if ours {
            if let Object::Route(route) = &object
                && (self.bulk.confirm(route, mark) || self.rest_left(&key, route))
            {
                return self.scan.note_present(&key, legs(&object));
            }
            self.ours_present(now, &key, object);
        } else if let Some(id) = self.wake(&key) {
            self.foreign_present(now, id, &object);
        }
    }

    /// By its protocol number. Kernels before 5.18 tell none of addresses: there, ours are those that we
    /// know we put.
    fn is_ours(&self, key: &Key, object: &Object) -> bool {
        match object {
            Object::Sysctl(_) => false,
            Object::Address(a) if a.protocol == 0 && !self.tells_protocol => {
                self.slots.get(key).is_some_and(|slot| slot.have.is_some())
            }
            Object::Address(a) => a.protocol == self.protocol,
            Object::Neighbour(n) => n.protocol == self.protocol,
            Object::Rule(r) => r.protocol == self.protocol,
            Object::Route(r) => r.protocol == self.protocol,
        }
    }

    fn address_present(&mut self, key: &Key, address: &Address) {
        self.tells_protocol |= address.protocol == self.protocol;
        self.scan.note_present(key, [address.index].into_iter());
        let was_duplicate = self.world.is_duplicate(&Object::Address(address.clone()));
        match self.world.put_address(address.clone(), self.scan.mark) {
            Put::Same => return,
            Put::New => {}
            Put::Changed(seen) => self.scan.note_changed(seen),
        }
        self.notices
            .push_back(Notice::AddressesChanged(address.index));
        let duplicate = address.flags & address_flags::DADFAILED != 0;
        if duplicate
            && !was_duplicate
            && self.slots.get(key).is_some_and(|slot| slot.want.is_some())
        {
            self.notices.push_back(Notice::Failed {
                key: key.clone(),
                errno: EADDRINUSE,
                message: Some("duplicate address detection found it on another host".into()),
                attempts: 1,
            });
        }
    }

    fn neighbour_present(&mut self, key: &Key, neighbour: &Neighbour, ours: bool) {
        self.scan.note_present(key, [neighbour.index].into_iter());
        if self.world.put_neighbour(neighbour, ours, self.scan.mark) {
            self.notices.push_back(Notice::RouterNeighbour {
                index: neighbour.index,
                addr: neighbour.addr,
                present: neighbour.router,
            });
        }
    }

    fn ours_present(&mut self, now: Instant, key: &Key, object: Object) {
        self.scan.note_present(key, legs(&object));
        let (id, _) = self.slot_of(key);
        let slot = &mut self.slots[id];
        let changed = !slot.have.as_ref().is_some_and(|have| same(have, &object));
        if changed && (slot.have.is_some() || slot.foreign == Foreign::Seen) {
            self.scan.note_changed(slot.seen);
        }
        let undone = slot.told && slot.want.as_ref().is_some_and(|want| !same(want, &object));
        // After a removal of ours this may be an old message.
        let removing = matches!(slot.flight, Some((Act::Remove, _)));
        slot.unsure |= removing || (slot.have.is_none() && slot.doubt_until > now);
        slot.disturbed = true;
        slot.was_ours = true;
        slot.unclear = false;
        slot.perhaps = None;
        slot.foreign = Foreign::No;
        slot.seen = self.scan.mark;
        let have = match &slot.want {
            Some(want) if **want == object => Arc::clone(want),
            _ => Arc::new(object),
        };
        self.put_have(id, Some(have));
        if undone {
            self.undone(now, id);
        }
        self.settle(id);
    }

    fn foreign_present(&mut self, now: Instant, id: SlotId, object: &Object) {
        let slot = &mut self.slots[id];
        if let Object::Neighbour(n) = object
            && !self.world.is_permanent(n.index, n.addr)
        {
            // A learned neighbour is nobody's. If it took the place of ours, ours follows.
            if slot.have.is_some() {
                slot.disturbed = true;
                slot.overwrite = true;
                self.put_have(id, None);
                self.undone(now, id);
                self.settle(id);
            }
            return;
        }
        self.scan.note_present(&slot.key, legs(object));
        if slot.have.is_some() || slot.flight.is_some() || slot.doubt_until > now {
            // It took the place of ours, or was there before our last write: only a scan can tell.
            self.scan.note_changed(slot.seen);
            self.scan.want(now);
            slot.unclear = true;
        }
        slot.foreign = Foreign::Seen;
        slot.disturbed = true;
        slot.unsure = false;
        slot.seen = self.scan.mark;
        self.put_have(id, None);
        if matches!(object, Object::Route(_)) {
            // IPv4 routes go without a word when their link does.
            self.wait_until(id, now + LAST_RETRY);
        }
        self.settle(id);
    }

    fn absent(&mut self, now: Instant, object: &Object) {
        let key = object.key();
        let ours = self.is_ours(&key, object);
        let slot = self.wake(&key);
        let relevant = match object {
            Object::Route(route) => slot.is_some() || ours || route.prefix.len() == 0,
            Object::Neighbour(n) => slot.is_some() || n.router || n.state & NUD_PERMANENT != 0,
            _ => true,
        };
        if relevant {
            self.scan.note_gone(|| Gone::Key(key.clone()));
        }
        match object {
            Object::Sysctl(sysctl) => return self.sysctl_absent(&key, &sysctl.path),
            Object::Route(route) if !ours && self.world.drop_default(route) => {
                let family = route.prefix.family();
                self.notices
                    .push_back(Notice::ForeignDefaultChanged(family));
            }
            Object::Neighbour(n) if self.world.drop_neighbour(n) => {
                let (index, addr, present) = (n.index, n.addr, false);
                self.notices.push_back(Notice::RouterNeighbour {
                    index,
                    addr,
                    present,
                });
            }
            _ => {}
        }
        if let Some(id) = slot {
            self.slot_absent(now, id, ours);
        }
        if let Object::Address(address) = object {
            // Lines of a scan may still tell of routes that went along.
            self.scan.note_gone(|| Gone::Link(address.index));
            self.address_gone(address, true);
            // Ours may have been put in its place since.
            let have = self.slots.get(&key).and_then(|slot| slot.have.clone());
            if let Some(Object::Address(ours)) = have.as_deref() {
                self.address_put(ours);
            }
        }
    }

    fn slot_absent(&mut self, now: Instant, id: SlotId, ours: bool) {
        self.way_is_free(id);
        let slot = &self.slots[id];
        if ours {
            let had = slot.have.is_some() || slot.flight.is_some();
            self.take_away(id);
            if had {
                self.undone(now, id);
            }
        }
        self.settle(id);
    }

    /// Somebody undid our work. It is put back at once, unless that happens all the time.
    pub(super) fn undone(&mut self, now: Instant, id: SlotId) {
        let slot = &mut self.slots[id];
        let Some(want) = slot.want.clone() else {
            return;
        };
        if legs(&want).any(|index| !self.links.is_up(index)) {
            return;
        }
        slot.repair = true;
        let (times, window) = match slot.key {
            Key::Sysctl(_) => SYSCTL_PATIENCE,
            _ => PATIENCE,
        };
        let trouble = trouble(slot);
        if now.since(trouble.since) >= window {
            trouble.since = now;
            trouble.undone = 0;
        }
        trouble.undone += 1;
        if trouble.undone <= times || trouble.retry_at.is_some() {
            return;
        }
        trouble.errno = EBUSY;
        trouble.message = Some("another program keeps undoing it".into());
        trouble.attempts = trouble.undone;
        let (message, attempts) = (trouble.message.clone(), trouble.attempts);
        let key = slot.key.clone();
        let pause = match key {
            Key::Sysctl(_) => PAUSE,
            _ => FIRST_PAUSE * 2u32.saturating_pow((attempts - times - 1).min(16)),
        };
        self.notices.push_back(Notice::Failed {
            key,
            errno: EBUSY,
            message,
            attempts,
        });
        self.wait_until(id, now + pause.min(PAUSE));
    }
}
