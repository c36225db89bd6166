//! What happens to a peer by itself, as time passes (RFC 4271 §8.1.3).

use alloc::string::ToString;

use tapway_model::Instant;

use super::event::DownReason;
use super::peer::{Cause, Peer, Slot};
use super::shared::Shared;
use crate::config::Reach;
use crate::session::fsm;
use crate::session::timers::Timer;

impl Peer {
    /// When something happens by itself.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let other = self.other.as_ref().and_then(|o| o.timers.next());
        let stale = self.next_stale_timeout();
        [self.main.timers.next(), other, stale]
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
                self.refused_until = None;
                return self.start(shared, now);
            }
            Timer::ConnectRetry if self.config.passive || self.endpoint.is_none() => return,
            Timer::ConnectRetry => fsm::Event::ConnectRetryExpires,
            Timer::Hold => fsm::Event::HoldExpires,
            Timer::Keepalive => fsm::Event::KeepaliveExpires,
            Timer::SendHold => fsm::Event::SendHoldExpires,
        };
        let reason = DownReason::ConnectFailed(self.no_answer().to_string());
        self.drive(shared, now, slot, event, Cause::Down(reason));
    }

    /// What may be behind silence: a host drops without a word what is not signed with its key (RFC 2385
    /// §4.1), or comes from too far (RFC 5082 §3).
    fn no_answer(&self) -> &'static str {
        match (&self.config.password, self.config.reach) {
            (Some(_), Reach::TtlSecurity) => {
                "no answer; the peer must have the same password, and ttl_security like here"
            }
            (Some(_), _) => "no answer; the peer must have the same password",
            (None, Reach::TtlSecurity) => "no answer; the peer must have ttl_security like here",
            (None, _) => "no answer; if the peer has a password, it must be here too",
        }
    }
}
