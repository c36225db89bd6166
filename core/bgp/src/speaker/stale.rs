//! Received routes whose session is gone: kept while the peer restarts, or forgotten.
//!
//! RFC 4724 §4.2 (the receiving speaker) and RFC 8538 §4. Our own restart is in `shared.rs` (the bits) and in
//! `send.rs` (End-of-RIB).

use core::time::Duration;

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
        for family in Family::ALL {
            self.adj_out[family].clear();
            let adj_in = &mut self.adj_in[family];
            adj_in.end_of_rib = false;
            adj_in.refreshing = false;
            let changed = match restart.filter(|r| r.families[family].is_some()) {
                Some(restart) => {
                    let had = adj_in.accepted_len() > 0;
                    let (_, routes) = adj_in.keep_as_stale();
                    if routes > 0 {
                        self.restart_until = Some(now + restart.time);
                        let peer = self.config.name.clone();
                        shared.tell(Event::StaleKept {
                            peer,
                            family,
                            routes,
                        });
                    }
                    had
                }
                None => adj_in.clear(),
            };
            shared.installable_changed[family] |= changed && self.config.install.is_some();
        }
        if Family::ALL.iter().all(|f| self.adj_in[*f].len() == 0) {
            self.paths.clear();
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
        }
        if self.adj_in[family].stale_len() > 0 {
            self.stale_until = Some(now + STALE_MAX);
        }
    }

    /// The peer begins to send all again (RFC 7313 §4).
    pub(super) fn begin_refresh(&mut self, now: Instant, family: Family) {
        let adj_in = &mut self.adj_in[family];
        adj_in.mark_stale();
        adj_in.refreshing = true;
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
            self.adj_in[family].refreshing = false;
            self.drop_stale(shared, family);
        }
    }

    /// Removes stale routes of a family.
    pub(crate) fn drop_stale(&mut self, shared: &mut Shared, family: Family) {
        let (changed, routes) = self.adj_in[family].remove_stale();
        shared.installable_changed[family] |= changed && self.config.install.is_some();
        if routes > 0 {
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
        for family in Family::ALL {
            let changed = self.adj_in[family].clear();
            shared.installable_changed[family] |= changed && self.config.install.is_some();
        }
        self.paths.clear();
        self.restart_until = None;
        self.stale_until = None;
    }
}
