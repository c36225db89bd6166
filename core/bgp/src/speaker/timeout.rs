//! What happens to a peer by itself, as time passes (RFC 4271 §8.1.3).

use alloc::string::ToString;

use tapway_model::Instant;

use super::event::DownReason;
use super::peer::{Cause, Peer, Slot};
use super::shared::Shared;
use crate::session::fsm;
use crate::session::timers::Timer;

impl Peer {
    /// When something happens by itself.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let other = self.other.as_ref().and_then(|o| o.timers.next());
        [
            self.main.timers.next(),
            other,
            self.restart_until,
            self.stale_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets happen what is due.
    pub(crate) fn timeout(&mut self, shared: &mut Shared, now: Instant) {
        for slot in [Slot::Other, Slot::Main] {
            while let Some(timer) = self.session_mut(slot).and_then(|s| s.timers.expire(now)) {
                self.expired(shared, now, slot, timer);
            }
        }
        self.give_up_stale(shared, now);
    }

    fn expired(&mut self, shared: &mut Shared, now: Instant, slot: Slot, timer: Timer) {
        let event = match timer {
            Timer::IdleHold => {
                self.refusing = false;
                return self.start(shared, now);
            }
            Timer::ConnectRetry if self.config.passive || self.endpoint.is_none() => return,
            Timer::ConnectRetry => fsm::Event::ConnectRetryExpires,
            Timer::Hold => fsm::Event::HoldExpires,
            Timer::Keepalive => fsm::Event::KeepaliveExpires,
            Timer::SendHold => fsm::Event::SendHoldExpires,
        };
        let reason = DownReason::ConnectFailed("no answer".to_string());
        self.drive(shared, now, slot, event, Cause::Down(reason));
    }
}
