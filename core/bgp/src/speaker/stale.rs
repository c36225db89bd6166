//! Received routes whose session is gone: kept while the peer restarts, or forgotten.
//!
//! RFC 4724 §4.2 (the receiving speaker) and RFC 8538 §4. Our own restart is in `shared.rs` (the bits) and in
//! `send.rs` (End-of-RIB).

use core::time::Duration;

use tapway_bgp_wire::PerFamily;
use tapway_model::{Family, Instant};

use super::event::{DownReason, Event};
use super::peer::Peer;
use super::shared::Shared;
use crate::session::open::Negotiated;

/// After the peer is back, or began to send all again: how long to wait for its end marker before what
/// was not heard of goes.
const STALE_MAX: Duration = Duration::from_secs(360);

impl Peer {
    /// An established session is over: routes stay as stale, or go (RFC 4724 §4.2, RFC 8538 §4).
    pub(super) fn lost(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        negotiated: Option<&Negotiated>,
        reason: &DownReason,
    ) {
        let restart = negotiated
            .and_then(|n| n.restart.as_ref())
            .filter(|restart| match reason {
                DownReason::Closed(_) | DownReason::Replaced => true,
                DownReason::Sent(n) | DownReason::Received(n) => restart.notification && !n.hard,
                DownReason::Unreachable
                | DownReason::ConnectFailed(_)
                | DownReason::Administrative => false,
            });
        self.restart_until = None;
        self.stale_until = None;
        self.inbound = PerFamily::default();
        self.outbound_ends(shared);
        let mut kept = false;
        for family in Family::ALL {
            let Some(source) = self.source else { break };
            let counts = shared.rib.counts(source, family);
            // What was not heard of through a whole session goes.
            shared.rib.remove_stale(source, family);
            let routes = counts.routes - counts.stale;
            if routes == 0 {
                continue;
            }
            shared.rib.mark_stale(source, family);
            let Some(restart) = restart.filter(|r| r.families[family].is_some()) else {
                shared.rib.remove_stale(source, family);
                continue;
            };
            kept = true;
            self.restart_until = Some(now + restart.time);
            let peer = self.config.name.clone();
            shared.tell(Event::StaleKept {
                peer,
                family,
                routes,
            });
        }
        if !kept {
            self.forget_routes(shared);
        }
    }

    /// The peer is back: what it did not preserve goes (RFC 4724 §4.2: without the family, or with F clear).
    pub(super) fn back(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        family: Family,
        negotiated: &Negotiated,
    ) {
        let preserved = negotiated
            .restart
            .as_ref()
            .and_then(|r| r.families[family])
            .unwrap_or(false);
        if !preserved {
            self.drop_stale(shared, family);
        } else if self.counts(&shared.rib, family).stale > 0 {
            self.stale_until = Some(now + STALE_MAX);
        }
    }

    /// The peer begins to send all again (RFC 7313 §4).
    pub(super) fn begin_refresh(&mut self, shared: &mut Shared, now: Instant, family: Family) {
        if let Some(source) = self.source {
            shared.rib.mark_stale(source, family);
        }
        self.inbound[family].refreshing = true;
        self.stale_until = Some(now + STALE_MAX);
    }

    /// Ends the wait for the peer, or for its end marker, when it is over.
    pub(super) fn give_up_stale(&mut self, shared: &mut Shared, now: Instant) {
        let due = [self.restart_until, self.stale_until]
            .into_iter()
            .flatten()
            .any(|at| at <= now);
        if !due {
            return;
        }
        self.restart_until = None;
        self.stale_until = None;
        for family in Family::ALL {
            self.inbound[family].refreshing = false;
            self.drop_stale(shared, family);
        }
        if !self.established() {
            // Nothing else is left, so that it need not be counted until it is swept.
            self.forget_routes(shared);
        }
    }

    /// Removes stale routes of a family.
    pub(crate) fn drop_stale(&mut self, shared: &mut Shared, family: Family) {
        let Some(source) = self.source else { return };
        let routes = shared.rib.counts(source, family).stale;
        if shared.rib.remove_stale(source, family) {
            let peer = self.config.name.clone();
            shared.tell(Event::StaleRemoved {
                peer,
                family,
                routes,
            });
        }
    }

    /// The peer's routes are not wanted any more.
    pub(crate) fn forget_routes(&mut self, shared: &mut Shared) {
        self.inbound = PerFamily::default();
        if let Some(source) = self.source.take() {
            shared.rib.remove_source(source);
            shared.sources.remove(&source);
        }
        self.restart_until = None;
        self.stale_until = None;
    }
}
