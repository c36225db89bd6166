//! How long to wait: jitter, and a back-off that grows with every failure in a row.

use core::time::Duration;

use tapway_model::Instant;

/// Pseudo-random numbers from a seed (SplitMix64): the same seed, the same jitter.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 75 to 100 % of `time` (RFC 4271 §10).
    pub(crate) fn shorten(&mut self, time: Duration) -> Duration {
        let quarter = time / 4;
        let part = (quarter.as_nanos().saturating_mul(u128::from(self.next()))) >> 64;
        time - quarter + Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

/// A session that lasted this long was no failure.
const STABLE: Duration = Duration::from_secs(60);
/// The first `IdleHoldTime`.
const IDLE_HOLD: Duration = Duration::from_secs(1);
/// The longest.
const IDLE_HOLD_MAX: Duration = Duration::from_secs(120);
/// `ConnectRetryTime` grows to this many times the configured one.
const CONNECT_RETRY_GROWTH: u32 = 6;

/// Failures in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Another one; `established` says since when the session was up.
    pub(crate) fn fail(&mut self, now: Instant, established: Option<Instant>) {
        if established.is_some_and(|since| now.since(since) >= STABLE) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Something changed that makes the past meaningless: a new address, a link that came up, the operator.
    pub(crate) fn forget(&mut self) {
        self.failures = 0;
    }

    /// `IdleHoldTime`: 1 s, 2 s, 4 s, … 120 s.
    pub(crate) fn idle_hold(&self) -> Duration {
        (IDLE_HOLD * 2u32.pow(self.failures.saturating_sub(1).min(7))).min(IDLE_HOLD_MAX)
    }

    /// `ConnectRetryTime`: as configured for the first two attempts, then doubled.
    pub(crate) fn connect_retry(&self, configured: Duration) -> Duration {
        configured
            * 2u32
                .pow(self.failures.saturating_sub(2).min(3))
                .min(CONNECT_RETRY_GROWTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_forgets() {
        let now = Instant::from_nanos(1_000_000_000_000);
        let mut backoff = Backoff::default();
        let mut seen = alloc::vec::Vec::new();
        for _ in 0..9 {
            backoff.fail(now, None);
            seen.push((
                backoff.idle_hold().as_secs(),
                backoff.connect_retry(Duration::from_secs(5)).as_secs(),
            ));
        }
        assert_eq!(
            seen,
            [
                (1, 5),
                (2, 5),
                (4, 10),
                (8, 20),
                (16, 30),
                (32, 30),
                (64, 30),
                (120, 30),
                (120, 30)
            ]
        );
        backoff.fail(now, Some(Instant::ZERO));
        assert_eq!(backoff.idle_hold(), IDLE_HOLD);
    }

    #[test]
    fn jitter_is_in_range_and_repeats() {
        let (mut a, mut b) = (Jitter::new(7), Jitter::new(7));
        let full = Duration::from_secs(100);
        for _ in 0..1000 {
            let time = a.shorten(full);
            assert!(time >= full * 3 / 4 && time <= full, "{time:?}");
            assert_eq!(time, b.shorten(full));
        }
    }
}
