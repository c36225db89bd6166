//! Tokens of the loop's descriptors: one bit for each kind that there are many of.

/// The netlink monitor.
pub(crate) const MONITOR: u64 = 0;
/// Other threads have something.
pub(crate) const WAKE: u64 = 1;
/// Signals.
pub(crate) const SIGNALS: u64 = 2;
/// What other programs do to routes.
pub(crate) const ROUTES: u64 = 3;
/// Which routes they have around next hops.
pub(crate) const SEARCH: u64 = 4;
/// Listeners: this bit and a number.
pub(crate) const LISTENER: u64 = 1 << 40;
/// Connections: this bit and a number.
pub(crate) const CONNECTION: u64 = 1 << 41;
