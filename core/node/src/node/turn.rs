//! One turn: every change is carried through intent, kernel and speaker until nothing moves.

use super::Node;
use crate::action::{Action, Level, Record, Report};
use crate::describe::{EBUSY, describe, key_subject, refusal};
use crate::imports::Way;
use crate::wiring::ClaimId;
use alloc::format;
use alloc::vec::Vec;
use tapway_bgp::config::PeerAddress;
use tapway_fib::{Key, LinkChange, Notice};
use tapway_intent::Change;
use tapway_model::{Family, IfName, Instant, Prefix};

/// Prefixes whose received routes are taken to the kernel in one turn.
const IMPORTS: usize = 256;

impl Node {
    /// Carries every change through until nothing moves.
    pub fn turn(&mut self, now: Instant) {
        loop {
            let mut moved = self.take_changes(now);
            moved |= self.take_notices(now);
            if core::mem::take(&mut self.uplinks_dirty) {
                self.update_uplinks(now);
                moved = true;
            }
            moved |= self.take_bgp(now);
            moved |= self.take_next_hops(now);
            if !moved {
                break;
            }
        }
        self.dismiss_ended(now);
        self.take_next_hops(now);
        self.clock = now;
        self.release_imports(now);
        self.take_imports(now);
        while let Some(record) = self.intent.poll_record() {
            self.reports
                .push_back(Report::Record(Record::Intent(record)));
        }
        if !self.settled && self.intent.settled(now) {
            self.settled = true;
            let peers = self.config.peers.values();
            let ranges = peers.filter(|p| {
                matches!(p.address, PeerAddress::Range(_)) && !self.is_range_disabled(&p.name)
            });
            self.speaker.set_ranges(ranges.cloned().collect());
            self.speaker.set_restart_done(now);
            let text = "the grace of every source is over; End-of-RIB may be sent";
            self.event(Level::Info, "start.settled", "tapwayd", text.into());
        }
        if self.settled && !self.pruning && self.all_have_spoken(now) {
            self.pruning = true;
            self.fib.allow_prune();
        }
    }

    /// What nobody claims is only known when every source has said all, or was forgotten: what an earlier
    /// run left in the kernel may be all that is left of a source whose memory was lost.
    fn all_have_spoken(&self, now: Instant) -> bool {
        self.intent.sources(now).all(|source| {
            !source.enabled
                || source.last_complete.is_some()
                || self.forgotten.contains(&source.name)
        })
    }

    pub(super) fn take_changes(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(change) = self.intent.poll_change() {
            moved = true;
            match change {
                Change::Prefix(domain, prefix) => self.refresh((domain, prefix), now),
                Change::Nic(name) => self.refresh_nic(&name),
                // Only what people see changed: conflicts, problems, sources.
                Change::Report => {}
                Change::Networks => {
                    self.refresh_all(now);
                    self.uplinks_dirty = true;
                    self.next_hops.stale = true;
                }
            }
        }
        moved
    }

    /// Looks at all NICs and claims again.
    pub(super) fn refresh_all(&mut self, now: Instant) {
        self.refresh_all_nics();
        let ids: Vec<ClaimId> = self.claims.states.keys().copied().collect();
        for id in ids {
            self.refresh(id, now);
        }
    }

    pub(super) fn take_notices(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(notice) = self.fib.poll_notice() {
            moved = true;
            self.take_notice(notice, now);
        }
        moved
    }

    pub(super) fn take_notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            // What somebody removed is put back in the next batch. Only what is not back then is withdrawn:
            // the network need not hear of a route that was away for a tenth of a millisecond.
            Notice::OutOfSync(key) => self.doubtful.extend(self.claims.of_gate(&key)),
            Notice::InSync(key) => {
                for id in self.claims.of_gate(&key) {
                    // One that was in doubt may have to be told with other attributes.
                    if self.doubtful.remove(&id) || !self.claims.is_announced(&id) {
                        self.gate(id, now);
                    }
                }
                if self.forwarding.waits_for(&key) {
                    self.update_forwarding();
                }
            }
            Notice::Repaired(key) => {
                let what = describe(&key, &self.fib);
                let text = match key {
                    Key::Sysctl(_) => {
                        format!("{what} was changed by somebody else and has been set again")
                    }
                    _ => format!("{what} was removed by somebody else and has been put back"),
                };
                self.event(Level::Warning, "kernel.repaired", &key_subject(&key), text);
            }
            Notice::Failed {
                key,
                errno,
                message,
                attempts,
            } => {
                for id in self.claims.of_gate(&key) {
                    if self.doubtful.remove(&id) {
                        self.gate(id, now);
                    }
                }
                // Once, not with every try; a fight with another program with every round of it.
                if attempts <= 1 || errno == EBUSY {
                    let what = describe(&key, &self.fib);
                    let text = refusal(&what, errno, message) + "; it is tried again";
                    self.event(Level::Warning, "kernel.failed", &key_subject(&key), text);
                }
            }
            Notice::Foreign { key } => {
                let text = format!(
                    "somebody else's object is where {} should be; it is left alone",
                    describe(&key, &self.fib)
                );
                self.event(Level::Warning, "kernel.foreign", &key_subject(&key), text);
                for id in self.claims.of_gate(&key) {
                    self.gate(id, now);
                }
            }
            Notice::Link(change) => self.take_link(change, now),
            Notice::AddressesChanged(index) => {
                let matters = self.matters_to_peers(index);
                self.uplinks_dirty |= matters;
                self.next_hops.stale |= matters || self.next_hops.depend_on(index);
                if matters {
                    self.imports_due.extend(self.imports.by_address());
                }
            }
            Notice::RouterNeighbour { index, .. } => {
                self.uplinks_dirty |= self.matters_to_peers(index);
            }
            Notice::ForeignDefaultChanged(family) => {
                self.update_forwarding();
                // It counts, or it is the reason why a next hop does not.
                self.next_hops.ask_all(now);
                // Behind the host's own default is where ours goes.
                self.imports_due.insert(Prefix::default_of(family));
            }
            Notice::SysctlUnknown { path } => self.out.push_back(Action::WatchSysctl(path)),
            Notice::SysctlChanged {
                path,
                old,
                new,
                ours,
            } => {
                let text = format!("net.{} was {old}, now {new}", path.replace('/', "."));
                self.event(Level::Info, "kernel.sysctl", &path, text);
                if ours {
                    self.old_sysctls.insert(path.clone(), old.clone());
                    self.reports
                        .push_back(Report::Record(Record::Sysctl { path, old }));
                }
            }
            Notice::ScanNeeded => self.out.push_back(Action::Scan),
        }
    }

    pub(super) fn take_link(&mut self, change: LinkChange, now: Instant) {
        let mut names: Vec<IfName> = Vec::new();
        let index = match &change {
            LinkChange::Renamed { index, from, to } => {
                names.extend([from.clone(), to.clone()]);
                *index
            }
            LinkChange::Gone { index, name } => {
                names.push(name.clone());
                self.speaker.handle_link_down(now, *index);
                *index
            }
            LinkChange::Down(index) | LinkChange::Carrier(index, false) => {
                names.extend(self.fib.link(*index).map(|l| l.name.clone()));
                self.speaker.handle_link_down(now, *index);
                *index
            }
            LinkChange::New(index) | LinkChange::Up(index) | LinkChange::Carrier(index, true) => {
                names.extend(self.fib.link(*index).map(|l| l.name.clone()));
                *index
            }
            // Neither MTU, MAC nor master changes what is wanted.
            LinkChange::Changed(_) => return,
        };
        self.uplinks_dirty |= self.matters_to_peers(index);
        self.next_hops.stale |= self.next_hops.depend_on(index);
        if names.iter().any(|name| !self.nic_interfaces.contains(name)) {
            self.imports_due.extend(self.imports.by_address());
        }
        for name in names {
            self.uplinks_dirty |= self.is_uplink(&name);
            for id in self.claims.of_interface(&name) {
                self.refresh(id, now);
            }
            self.refresh_nics_on(&name);
        }
    }

    pub(super) fn take_bgp(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(action) = self.speaker.poll_action() {
            moved = true;
            match action {
                // Taken in every turn.
                tapway_bgp::Action::InstallableChanged(_) => {}
                tapway_bgp::Action::Event(event) => self.take_bgp_event(now, &event),
                action
                @ (tapway_bgp::Action::Connect { .. } | tapway_bgp::Action::Close { .. }) => {
                    if let tapway_bgp::Action::Close { conn, .. } = &action {
                        self.conns.remove(conn);
                    }
                    self.out.push_back(Action::Bgp(action));
                }
            }
        }
        moved
    }

    /// Lets go of an earlier run's received routes, once the peers have sent theirs again.
    fn release_imports(&mut self, now: Instant) {
        for family in Family::ALL {
            // What nobody knows the way of yet would be taken out, only to be put back.
            let awaits = self.speaker.awaits_first_routes(family) || self.next_hops.in_doubt();
            let waits = now < self.held_until && awaits;
            if self.imports.holds(family) && !waits {
                let released = self.imports.release(family);
                self.imports_due.extend(released);
            }
        }
    }

    /// Takes changes of received routes to the kernel, so many in a turn that it stays short.
    fn take_imports(&mut self, now: Instant) {
        // What nobody knows the way of yet would be taken out, only to be put back at once.
        if self.next_hops.waits() && !self.stopping {
            return;
        }
        let mut left = IMPORTS;
        while left > 0
            && let Some(prefix) = self.next_import()
        {
            left -= 1;
            self.import(prefix);
        }
        if left < IMPORTS {
            self.take_notices(now);
        }
        self.imports_left = left == 0;
    }

    /// A prefix whose received routes are to be looked at. Held ones wait.
    fn next_import(&mut self) -> Option<Prefix> {
        let held = |family| self.imports.holds(family) && !self.stopping;
        let due = self.imports_due.iter().find(|p| !held(p.family())).copied();
        if let Some(prefix) = due {
            self.imports_due.remove(&prefix);
            return Some(prefix);
        }
        let open = Family::ALL.map(|family| (family, held(family)));
        open.into_iter()
            .filter(|(_, held)| !held)
            .find_map(|(family, _)| self.speaker.take_installable_change(family))
    }

    fn import(&mut self, prefix: Prefix) {
        let routes = if self.stopping {
            Vec::new()
        } else {
            self.speaker.installable_to(prefix)
        };
        if prefix.len() != 0 && !routes.is_empty() {
            // A router for others forwards, even without a guest of its own.
            if self.forwarding.need(&mut self.fib) {
                self.update_forwarding();
            }
        }
        let routes: Option<Vec<Way>> = routes.into_iter().map(|route| self.way(route)).collect();
        // Where one leads is still being searched for: the kernel keeps what it has. The answer counts as a change of the prefix.
        if let Some(routes) = routes {
            self.imports
                .set(prefix, &routes, self.config.protocol, &mut self.fib);
        }
    }
}
