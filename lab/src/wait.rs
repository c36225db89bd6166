//! Waiting for a condition with a deadline.

use std::fmt;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// A condition did not come true in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    what: String,
    limit: Duration,
    last: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:?} in vain: {}; last seen: {}",
            self.limit, self.what, self.last
        )
    }
}

impl std::error::Error for TimedOut {}

/// Looks at `condition` until it is `Ok`. Its error is what was seen instead.
///
/// # Errors
/// The last state that was seen, when `limit` is over.
pub fn try_wait_for<T, S: fmt::Display>(
    limit: Duration,
    what: impl fmt::Display,
    mut condition: impl FnMut() -> Result<T, S>,
) -> Result<T, TimedOut> {
    let end = Instant::now() + limit;
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => {
                return Err(TimedOut {
                    what: what.to_string(),
                    limit,
                    last: last.to_string(),
                });
            }
            Err(_) => std::thread::park_timeout(POLL),
        }
    }
}

/// Looks at `condition` until it is `Ok`. Its error is what was seen instead.
///
/// # Panics
/// When `limit` is over, with the last state that was seen.
#[track_caller]
pub fn wait_for<T, S: fmt::Display>(
    limit: Duration,
    what: impl fmt::Display,
    condition: impl FnMut() -> Result<T, S>,
) -> T {
    match try_wait_for(limit, what, condition) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_state_is_told() {
        let mut n = 0;
        let error = try_wait_for(Duration::ZERO, "a pigeon", || {
            n += 1;
            Err::<(), _>(format!("{n} crows"))
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 0ns in vain: a pigeon; last seen: 1 crows"
        );
        let three = try_wait_for(Duration::from_secs(60), "three", || {
            n += 1;
            if n == 3 { Ok(n) } else { Err(n) }
        });
        assert_eq!(three, Ok(3));
    }
}
