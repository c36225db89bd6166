//! Router advertisements on unnumbered links, so that peers there learn our link-local address.

use std::collections::BTreeMap;
use std::time::Duration;

use tapway_fib::{Fib, IfIndex};
use tapway_model::Instant;
use tapway_sys::ra::{Advertisement, RaSocket};

/// RFC 4861 §6.2.1 allows 3 s at the fastest; peers wait for the first one.
const INTERVAL: Duration = Duration::from_secs(3);
/// The first ones come fast: the link may have come up on one side only.
const QUICK: Duration = Duration::from_millis(200);
/// How many are quick.
const QUICK_COUNT: u32 = 15;

struct Link {
    socket: Option<RaSocket>,
    sent: u32,
    next: Instant,
}

/// Advertises on a set of links.
#[derive(Default)]
pub struct Advertiser {
    links: BTreeMap<IfIndex, Link>,
}

impl Advertiser {
    /// Advertise on exactly these links from now on.
    pub fn set(&mut self, now: Instant, links: &[IfIndex]) {
        self.links.retain(|index, _| links.contains(index));
        for index in links {
            self.links.entry(*index).or_insert(Link {
                socket: None,
                sent: 0,
                next: now,
            });
        }
    }

    /// When [`Advertiser::send_due`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().map(|link| link.next).min()
    }

    /// Sends what is due.
    pub fn send_due(&mut self, now: Instant, fib: &Fib) {
        for (index, link) in &mut self.links {
            if link.next > now {
                continue;
            }
            link.next = now
                + if link.sent < QUICK_COUNT {
                    QUICK
                } else {
                    INTERVAL
                };
            link.sent = link.sent.saturating_add(1);
            if link.socket.is_none() {
                link.socket = RaSocket::open(*index)
                    .map_err(|error| tracing::debug!(index, %error, "cannot advertise"))
                    .ok();
            }
            let mac = fib.link(*index).and_then(|l| l.mac);
            let advertisement = Advertisement {
                mac,
                ..Advertisement::default()
            };
            let sent = link
                .socket
                .as_ref()
                .map(|socket| socket.send(&advertisement));
            if let Some(Err(error)) = sent {
                // No link-local address yet, or the link has gone: the next one will do.
                tracing::debug!(index, %error, "an advertisement was not sent");
                link.socket = None;
            }
        }
    }
}
