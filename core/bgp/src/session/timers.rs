//! The timers of a session, as a table (RFC 4271 §8.1.3).

use tapway_model::Instant;

/// A timer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// `IdleHoldTimer`: when an attempt after an error may begin.
    IdleHold,
    /// `ConnectRetryTimer`
    ConnectRetry,
    /// `HoldTimer`: when the peer has been silent for too long.
    Hold,
    /// `KeepaliveTimer`
    Keepalive,
    /// `SendHoldTimer` (RFC 9687): when the peer has not read for too long.
    SendHold,
}

impl Timer {
    const ALL: [Timer; 5] = [
        Timer::IdleHold,
        Timer::ConnectRetry,
        Timer::Hold,
        Timer::Keepalive,
        Timer::SendHold,
    ];
}

/// When each timer expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Starts or restarts a timer.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Stops a timer.
    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Stops all.
    pub(crate) fn clear_all(&mut self) {
        self.0 = Default::default();
    }

    /// When a timer expires.
    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    /// When the first expires.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer that has expired, the earliest first.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .filter_map(|t| self.get(t).filter(|at| *at <= now).map(|at| (at, t)))
            .min()
            .map(|(_, t)| t)?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_in_order_and_once() {
        let at = Instant::from_nanos;
        let mut timers = Timers::default();
        timers.set(Timer::Keepalive, at(20));
        timers.set(Timer::Hold, at(10));
        timers.set(Timer::SendHold, at(50));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.expire(at(5)), None);
        assert_eq!(timers.expire(at(30)), Some(Timer::Hold));
        assert_eq!(timers.expire(at(30)), Some(Timer::Keepalive));
        assert_eq!(timers.expire(at(30)), None);
        timers.clear_all();
        assert_eq!(timers.next(), None);
    }
}
