//! How much a peer may send: a warning before the limit, and what happens beyond it (RFC 4486 §4, RFC 4271 §6.7).

use tapway_bgp_wire as wire;
use tapway_bgp_wire::ErrorCode;
use tapway_model::{Family, Instant};

use super::event::Event;
use super::peer::{Cause, Peer, Slot};
use super::shared::Shared;
use crate::session::fsm;
use crate::session::timers::Timer;

impl Peer {
    /// Warns when the peer comes near its limit. The warning is over when it has a tenth less than where it began, so that it does
    /// not come and go with every route; nor while the peer sends all again, when what it has not sent yet does not count.
    pub(super) fn watch_limits(&mut self, shared: &mut Shared, now: Instant) {
        let limit = self.config.prefix_limit;
        let warn_at = limit.warn_at() as usize;
        for family in Family::ALL {
            let routes = self.counted(&shared.rib, family);
            let was = self.inbound[family].near_limit;
            let goes_on =
                self.inbound[family].refreshing || routes > warn_at - warn_at.div_ceil(10);
            let near = routes >= warn_at || was && goes_on;
            self.inbound[family].near_limit = near;
            if near && !was && self.near_limit_told[family].pass(now).is_some() {
                shared.tell(Event::NearLimit {
                    peer: self.config.name.clone(),
                    family,
                    routes,
                    limit: limit.max,
                });
            }
        }
    }

    /// Ends the session because of what the peer sent, and refuses it for a while.
    pub(crate) fn over_limit(&mut self, shared: &mut Shared, now: Instant, family: Family) {
        let wire::AfiSafi { afi, safi } = family.into();
        let [high, low] = afi.to_be_bytes();
        let [a, b, c, d] = self.config.prefix_limit.max.to_be_bytes();
        // RFC 4486 §4: the family and the limit.
        let data = [high, low, safi, a, b, c, d].to_vec();
        let notification = self.hard(wire::Notification {
            error: ErrorCode::CEASE_MAX_PREFIXES,
            data,
        });
        // A second connection is no way around it.
        let rejected = wire::Notification::new(ErrorCode::CEASE_REJECTED);
        let stop = fsm::Event::Stop;
        self.drive(shared, now, Slot::Other, stop, Cause::Send(rejected));
        let stop = fsm::Event::AutomaticStop;
        self.drive(shared, now, Slot::Main, stop, Cause::Send(notification));
        if let Some(restart) = self.config.prefix_limit.restart {
            self.main.timers.set(Timer::IdleHold, now + restart);
        }
        self.refused_until = self.main.timers.get(Timer::IdleHold);
    }

    /// The way to the peer is there again, or another one. Whoever is to wait for so long as was written waits on; others begin
    /// afresh.
    pub(super) fn start_again(&mut self, shared: &mut Shared, now: Instant) {
        let written = self.config.prefix_limit.restart.is_some();
        match self.refused_until.filter(|at| written && *at > now) {
            Some(at) => self.main.timers.set(Timer::IdleHold, at),
            None => self.restart_now(shared, now),
        }
    }
}
