//! Sysctls: no protocol number marks them, so their old value is told once, to be kept and put back.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use tapway_model::Instant;

use super::Fib;
use super::verdict::Verdict;
use crate::compare::same;
use crate::slot::{Act, Slot, SlotId};
use crate::stage::Stage;
use crate::{Key, Notice, Object, Sysctl};

impl Fib {
    /// The value that a sysctl had before tapway ever changed it, kept from an earlier run of the same
    /// boot. It is put back when the sysctl is unwanted or everything is released.
    pub fn record_old_sysctl(&mut self, path: &str, value: String) {
        self.old_sysctls.insert(path.into(), value);
    }

    pub(super) fn sysctl_present(&mut self, now: Instant, key: &Key, sysctl: &Sysctl) {
        let (id, _) = self.slots.find_or_make(key);
        let object = Arc::new(Object::Sysctl(sysctl.clone()));
        let slot = &mut self.slots[id];
        slot.disturbed = true;
        let before = slot.have.replace(Arc::clone(&object));
        if let Some(want) = slot.want.clone()
            && !same(&want, &object)
        {
            self.sysctl_differs(now, id, &before, sysctl);
        }
        self.settle(id);
    }

    fn sysctl_differs(
        &mut self,
        now: Instant,
        id: SlotId,
        before: &Option<Arc<Object>>,
        found: &Sysctl,
    ) {
        let slot = &self.slots[id];
        let Some(want) = slot.want.clone() else {
            return;
        };
        if !self.old_sysctls.contains_key(&found.path) {
            return self.keep_old(&want, found);
        }
        if let Some(before) = before
            && same(&want, before)
        {
            self.notices.push_back(Notice::SysctlChanged {
                path: found.path.clone(),
                old: value(before).to_string(),
                new: found.value.clone(),
                ours: false,
            });
            self.undone(now, id);
        }
    }

    /// Tells the value found before our first write.
    fn keep_old(&mut self, want: &Object, found: &Sysctl) {
        let (path, old) = (found.path.clone(), found.value.clone());
        self.old_sysctls.insert(path.clone(), old.clone());
        let new = value(want).to_string();
        self.notices.push_back(Notice::SysctlChanged {
            path,
            old,
            new,
            ours: true,
        });
    }

    /// A value that was known before it was wanted otherwise.
    pub(super) fn keep_old_of(&mut self, id: SlotId) {
        let slot = &self.slots[id];
        let (Some(want), Some(have)) = (slot.want.clone(), slot.have.clone()) else {
            return;
        };
        if let Object::Sysctl(found) = &*have
            && !same(&want, &have)
            && !self.old_sysctls.contains_key(&found.path)
        {
            self.keep_old(&want, found);
        }
    }

    /// What somebody else has set since is theirs, and stays.
    pub(super) fn keep_foreign_sysctl(&mut self, id: SlotId, path: &str) {
        let slot = &self.slots[id];
        if let (Some(want), Some(have), None) = (&slot.want, &slot.have, &slot.flight)
            && !same(want, have)
        {
            self.old_sysctls.remove(path);
        }
    }

    pub(super) fn sysctl_absent(&mut self, key: &Key, path: &str) {
        self.old_sysctls.remove(path);
        let Some(id) = self.slots.find(key) else {
            return;
        };
        let slot = &mut self.slots[id];
        slot.have = None;
        slot.disturbed = true;
        if slot.want.is_some() {
            self.notices
                .push_back(Notice::SysctlUnknown { path: path.into() });
        }
        self.settle(id);
    }

    pub(super) fn old_sysctl(&self, path: &str) -> Option<Arc<Object>> {
        let value = self.old_sysctls.get(path)?.clone();
        Some(Arc::new(Object::Sysctl(Sysctl {
            path: path.into(),
            value,
        })))
    }

    pub(super) fn sysctl_verdict(&self, slot: &Slot, path: &str) -> Verdict {
        match (&slot.want, &slot.have) {
            (None, None) => Verdict::Idle,
            (None, Some(have)) => match self.old_sysctl(path) {
                Some(old)
                    if !same(&old, have) && (self.prune || slot.wanted_once) && !slot.waits() =>
                {
                    Verdict::Do(Stage::restore(path), Act::Replace)
                }
                _ => Verdict::Wait,
            },
            (Some(want), Some(have)) if same(want, have) => Verdict::InSync,
            (Some(want), Some(_)) if !slot.waits() => {
                Verdict::Do(Stage::of(Act::Replace, want), Act::Replace)
            }
            (Some(_), _) => Verdict::Wait,
        }
    }

    /// The value of a sysctl, when it was told.
    pub fn sysctl(&self, path: &str) -> Option<&str> {
        let slot = self.slots.get(&Key::Sysctl(path.into()))?;
        slot.have.as_deref().map(value)
    }
}

fn value(object: &Object) -> &str {
    match object {
        Object::Sysctl(sysctl) => &sysctl.value,
        _ => "",
    }
}
