//! Received routes whose session is gone: kept while the peer restarts, or forgotten.
//!
//! RFC 4724 §4.2 (the receiving speaker), RFC 8538 §4 and RFC 9494 §4. Our own restart is in `shared.rs` (the bits) and
//! in `send.rs` (End-of-RIB).

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

/// What happens to stale routes of a family beyond the restart time (RFC 9494).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LongStale {
    /// So long they are kept then; `None`: not at all.
    time: Option<Duration>,
    /// That time has begun, and ends then.
    pub(crate) until: Option<Instant>,
}

impl Peer {
    /// When something happens to stale routes.
    pub(super) fn next_stale_timeout(&self) -> Option<Instant> {
        let long = Family::ALL.map(|family| self.long_lived[family].until);
        let all = long
            .into_iter()
            .chain([self.restart_until, self.stale_until]);
        all.flatten().min()
    }

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
            let mut routes = counts.routes;
            // What is kept long goes on until its time is over (RFC 9494 §4.2).
            if self.long_lived[family].until.is_none() {
                // What was not heard of through a whole session goes.
                shared.rib.remove_stale(source, family);
                routes -= counts.stale;
            }
            if routes == 0 {
                continue;
            }
            if !shared.rib.mark_stale(source, family) {
                // It came back too often without ever sending all: what is stale cannot be told any more.
                return self.forget_routes(shared);
            }
            let Some(restart) = restart.filter(|r| r.keeps(family)) else {
                self.drop_stale(shared, family);
                continue;
            };
            kept = true;
            let peer = self.config.name.clone();
            shared.tell(Event::StaleKept {
                peer,
                family,
                routes,
            });
            self.long_lived[family].time = restart.long_lived[family].map(|long| long.time);
            self.restart_until = Some(now + restart.time);
            if restart.families[family].is_none() {
                self.keep_long(shared, now, family);
            }
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
        let restart = negotiated.restart.as_ref();
        let preserved = match self.long_lived[family].until {
            // RFC 9494 §4.2.
            Some(_) => restart.and_then(|r| Some(r.long_lived[family]?.forwarding)),
            None => restart.and_then(|r| r.families[family]),
        };
        let preserved = preserved.unwrap_or(false);
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
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if !due(self.next_stale_timeout()) {
            return;
        }
        let restart_is_over = due(self.restart_until);
        let back_too_long = due(self.stale_until);
        for family in Family::ALL {
            let long = self.long_lived[family];
            if back_too_long {
                self.inbound[family].refreshing = false;
            }
            let over = back_too_long || due(long.until);
            if over || restart_is_over && !self.keep_long(shared, now, family) {
                self.drop_stale(shared, family);
            }
        }
        if restart_is_over {
            self.restart_until = None;
        }
        if back_too_long {
            self.stale_until = None;
        }
        self.watch_limits(shared, now);
        if !self.established() && self.next_stale_timeout().is_none() {
            // Nothing else is left, so that it need not be counted until it is swept.
            self.forget_routes(shared);
        }
    }

    /// The restart time is over: what is stale goes behind all others, for the time that was agreed on (RFC 9494 §4.2). False:
    /// none was, or nothing is stale.
    fn keep_long(&mut self, shared: &mut Shared, now: Instant, family: Family) -> bool {
        let (Some(source), Some(time)) = (self.source, self.long_lived[family].time) else {
            return false;
        };
        let routes = shared.rib.counts(source, family).stale;
        if routes == 0 {
            return false;
        }
        shared.rib.keep_long(source, family);
        if self.long_lived[family].until.is_none() {
            self.long_lived[family].until = Some(now + time);
            let peer = self.config.name.clone();
            shared.tell(Event::StaleKeptLong {
                peer,
                family,
                routes,
                time,
            });
        }
        true
    }

    /// The settings say anew how long stale routes are kept at most.
    pub(super) fn limit_kept(&mut self, shared: &mut Shared, now: Instant) {
        let most = self.config.graceful_restart.and_then(|r| r.long_lived);
        let before = self.next_stale_timeout();
        for family in Family::ALL {
            let long = &mut self.long_lived[family];
            long.time = long.time.zip(most).map(|(time, most)| time.min(most));
            match (&mut long.until, most) {
                (Some(until), Some(most)) => *until = (*until).min(now + most),
                (Some(_), None) => self.drop_stale(shared, family),
                (None, _) => {}
            }
        }
        if before.is_some() && !self.established() && self.next_stale_timeout().is_none() {
            self.forget_routes(shared);
        }
    }

    /// Removes stale routes of a family.
    pub(crate) fn drop_stale(&mut self, shared: &mut Shared, family: Family) {
        self.long_lived[family] = LongStale::default();
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
        self.long_lived = PerFamily::default();
    }
}
