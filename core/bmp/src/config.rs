//! What is configured of a collector.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use tapway_model::CollectorName;

/// How often statistics may be sent.
pub const STATISTICS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// How long to wait before a collector is connected to again, at first.
pub const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(720);
/// MiB that may wait for a collector.
pub const BUFFER_MIB: RangeInclusive<i64> = 1..=4096;

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Its name.
    pub name: CollectorName,
    /// Where it listens.
    pub server: Server,
    /// The address to connect from.
    pub local_address: Option<IpAddr>,
    /// What it is told.
    pub tables: Tables,
    /// How often statistics are sent; `None`: never.
    pub statistics: Option<Duration>,
    /// How long to wait before it is connected to again, at first (RFC 7854 §3.2).
    pub retry: Duration,
    /// Bytes that may wait for it; with more the session ends, and begins anew.
    pub buffer: usize,
}

/// A name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Which tables a collector is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// What peers sent, as they sent it (RFC 7854 §2, Adj-RIB-In pre-policy).
    pub received: bool,
    /// What import made of it (Adj-RIB-In post-policy).
    pub imported: bool,
    /// What peers were sent (RFC 8671, Adj-RIB-Out post-policy).
    pub sent: bool,
    /// Best routes (RFC 9069, Loc-RIB).
    pub best: bool,
}
