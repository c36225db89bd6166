//! What is to be asked: caches and how often. Checked values only.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use tapway_model::CacheName;

/// What a refresh interval may be (RFC 8210 §6).
pub const REFRESH: RangeInclusive<Duration> = seconds(1)..=seconds(86_400);
/// What a retry interval may be (RFC 8210 §6).
pub const RETRY: RangeInclusive<Duration> = seconds(1)..=seconds(7_200);
/// What an expire interval may be (RFC 8210 §6).
pub const EXPIRE: RangeInclusive<Duration> = seconds(600)..=seconds(172_800);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// How often a cache is asked (RFC 8210 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After an answer.
    pub refresh: Duration,
    /// After a question that failed.
    pub retry: Duration,
    /// How long the last answer counts.
    pub expire: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            refresh: seconds(3600),
            retry: seconds(600),
            expire: seconds(7200),
        }
    }
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Its name.
    pub name: CacheName,
    /// Where it is.
    pub server: Server,
    /// Our address towards it.
    pub local_address: Option<IpAddr>,
    /// Caches with the smallest number are used together, the others only while all of those fail.
    pub preference: u8,
    /// In the place of the refresh interval that the cache tells.
    pub refresh: Option<Duration>,
    /// In the place of its retry interval.
    pub retry: Option<Duration>,
    /// In the place of its expire interval.
    pub expire: Option<Duration>,
}

impl CacheConfig {
    /// What holds, with what the cache told. Values outside of what the RFC allows become the nearest ones.
    pub fn timing(&self, told: Option<Timing>) -> Timing {
        let told = told.unwrap_or_default();
        let within = |own: Option<Duration>, told: Duration, allowed: RangeInclusive<Duration>| {
            own.unwrap_or(told).clamp(*allowed.start(), *allowed.end())
        };
        let refresh = within(self.refresh, told.refresh, REFRESH);
        let retry = within(self.retry, told.retry, RETRY);
        // It must be more than both.
        let least = refresh.max(retry) + seconds(1);
        let expire = within(self.expire, told.expire, EXPIRE).max(least);
        Timing {
            refresh,
            retry,
            expire,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        let config = |refresh: Option<u64>, retry: Option<u64>, expire: Option<u64>| CacheConfig {
            name: CacheName::new("a").unwrap(),
            server: Server {
                host: "::1".into(),
                port: 323,
            },
            local_address: None,
            preference: 100,
            refresh: refresh.map(seconds),
            retry: retry.map(seconds),
            expire: expire.map(seconds),
        };
        let plain = config(None, None, None);
        let timing = |all: [u64; 3]| {
            let [refresh, retry, expire] = all.map(seconds);
            Timing {
                refresh,
                retry,
                expire,
            }
        };
        for (config, told, holds) in [
            (&plain, None, [3600, 600, 7200]),
            (&plain, Some([60, 30, 900]), [60, 30, 900]),
            (&plain, Some([0, 0, 0]), [1, 1, 600]),
            (
                &plain,
                Some([u64::from(u32::MAX); 3]),
                [86_400, 7_200, 172_800],
            ),
            (&plain, Some([5000, 10, 600]), [5000, 10, 5001]),
            (
                &config(Some(5), Some(6), Some(700)),
                Some([60, 30, 900]),
                [5, 6, 700],
            ),
        ] {
            assert_eq!(config.timing(told.map(timing)), timing(holds), "{told:?}");
        }
        assert_eq!(alloc::format!("{}", plain.server), "[::1]:323");
    }
}
