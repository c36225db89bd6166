//! Claims: wire, announce, withdraw, unwire.

use super::Node;
use crate::action::Level;
use crate::wiring::{self, ClaimId, Gate};
use alloc::format;
use alloc::string::ToString;
use core::net::IpAddr;
use tapway_bgp::{Announcement, AnnouncementId};
use tapway_intent::Effective;
use tapway_model::{Family, Instant};

impl Node {
    /// Works out again what one claim needs, and announces or withdraws it.
    pub(super) fn refresh(&mut self, id: ClaimId, now: Instant) {
        let rules = self.rules();
        let effective = self
            .intent
            .effective(id.0, &id.1)
            .filter(|_| !self.released);
        let Some(effective) = effective else {
            self.withdraw(id, "no source claims it any more", now);
            self.claims.remove(id, &mut self.fib);
            return;
        };
        let wired = wiring::wire(
            &effective,
            self.networks.get(&effective.network),
            &self.fib,
            rules,
        );
        if let Gate::Shut(reason) = &wired.gate {
            let text = format!("{reason}");
            self.withdraw(id, &text, now);
        }
        self.claims.set(id, wired, &mut self.fib);
        if self.claims.is_replaced(&id, &self.fib) {
            self.doubtful.insert(id);
        } else {
            self.gate(id, now);
        }
    }

    /// Announces a claim whose gate is open, withdraws one whose gate is shut.
    pub(super) fn gate(&mut self, id: ClaimId, now: Instant) {
        let Some(state) = self.claims.states.get(&id) else {
            return;
        };
        let open = match &state.gate {
            Gate::Open => true,
            Gate::Kernel(key) => self.fib.in_sync(key),
            Gate::Shut(_) => false,
        };
        if open && !self.stopping {
            if let Some(effective) = self.intent.effective(id.0, &id.1) {
                let announcement = self.announcement(id, &effective);
                let new = state.announced.is_none();
                self.speaker.announce(now, announcement);
                if let Some(state) = self.claims.states.get_mut(&id) {
                    state.announced.get_or_insert(now);
                }
                if new {
                    self.event(
                        Level::Info,
                        "claim.announced",
                        &wiring::subject(&id),
                        "wired and announced".into(),
                    );
                }
            }
        } else if !open {
            self.withdraw(id, "its kernel object is gone", now);
        }
    }

    pub(super) fn withdraw(&mut self, id: ClaimId, reason: &str, now: Instant) {
        let Some(state) = self.claims.states.get_mut(&id) else {
            return;
        };
        if state.announced.take().is_none() {
            return;
        }
        self.speaker.withdraw(
            now,
            &AnnouncementId {
                domain: id.0,
                prefix: id.1,
            },
        );
        self.event(
            Level::Info,
            "claim.withdrawn",
            &wiring::subject(&id),
            reason.to_string(),
        );
    }

    pub(super) fn announcement(&self, id: ClaimId, effective: &Effective) -> Announcement {
        let network = self.networks.get(&effective.network);
        let of_network = network.and_then(|n| match id.1.family() {
            Family::Ipv4 => n.next_hop_v4.map(IpAddr::V4),
            Family::Ipv6 => n.next_hop_v6.map(IpAddr::V6),
        });
        let here = || {
            effective
                .holders
                .iter()
                .filter(|h| wiring::is_here(h.state))
        };
        Announcement {
            id: AnnouncementId {
                domain: id.0,
                prefix: id.1,
            },
            kind: effective.kind,
            network: effective.network.clone(),
            peers: network.and_then(|n| n.peers.clone()).map(Into::into),
            instances: here()
                .flat_map(|h| h.instances.iter().map(|(_, name)| name.clone()))
                .collect(),
            tags: here().flat_map(|h| h.tags.iter().cloned()).collect(),
            next_hop: here().find_map(|h| h.next_hop).or(of_network),
        }
    }
}
