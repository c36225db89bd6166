//! The node's state as the API's types. Only translation: nothing is decided here.

mod bmp;
mod claims;
mod explain;
mod kernel;
mod peers;
mod routes;
mod rpki;
mod sources;

pub use bmp::collectors;
pub use claims::{announcements, conflicts, instance, instances};
pub use explain::explanation;
pub use kernel::{kernel, plan};
pub use peers::{peer, peer_detail, peer_problems, peers};
pub use routes::routes;
pub use rpki::{answer as rpki_answer, caches as rpki_caches, state as rpki_state};
pub use sources::{claim_problems, kernel_problems, sources};

use std::time::Duration;

use tapway_model::Instant;

/// Whole seconds from `then` to `now`.
fn age(now: Instant, then: Instant) -> u64 {
    now.since(then).as_secs()
}

/// Whole seconds, `None` for zero.
fn seconds_left(left: Duration) -> Option<u64> {
    (!left.is_zero()).then(|| left.as_secs().max(1))
}
