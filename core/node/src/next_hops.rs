//! Where next hops of received routes are (RFC 4271 §9.1.2.1): on a subnet of ours, or behind a route of the kernel.
//!
//! A next hop that is a direct peer, or in the subnet of an interface that carries packets, is near: metric 0, by way of
//! itself. For any other the kernel is asked which route it takes, and the metric is that route's. As in FRR, the default
//! route counts for nothing unless somebody wants it to: it leads everywhere, whether anybody is there or not. Neither do
//! routes of ours: a received route that leads to its own next hop would come and go in turn, and no received route is to
//! lead into a guest.
//!
//! The kernel tells only the route that it takes. When that is a received one of ours, what it took before holds on as long as
//! nobody is heard to change it; see [`Hop::route`].

mod found;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use tapway_fib::{Fib, IfIndex, Route, RouteNews};
use tapway_model::{Instant, Prefix};

pub(crate) use found::{Near, on_link};
pub use found::{Reached, Unresolved};

use found::reached;

/// From a change in the kernel to the question: what changes at once is asked for once.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// From one round of questions to the next, however much changes meanwhile: this, and more for each question, so that the kernel is
/// asked for a small part of the time.
const REST: Duration = Duration::from_millis(100);
const REST_FOR_EACH: Duration = Duration::from_micros(50);
/// Questions that are asked together; each takes the kernel some microseconds.
const QUESTIONS: usize = 256;
/// Changed prefixes that are told apart; when there are more, all next hops are asked for.
const CHANGES: usize = 256;

// linux/errno-base.h and errno.h: how the kernel says that it would not send packets.
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENETUNREACH: i32 = 101;
const EHOSTUNREACH: i32 = 113;

/// What the kernel says of a next hop: the route that it takes; `None`, one that no [`Route`] can tell; or the `errno` with which it
/// refuses.
pub type Lookup = Result<Option<Route>, i32>;

/// One next hop that received routes have.
#[derive(Debug, Default)]
pub(crate) struct Hop {
    /// Where it is; `None`: that is still to be asked.
    pub(crate) found: Option<Result<Reached, Unresolved>>,
    /// The kernel is asked; else our addresses tell.
    asks: bool,
    /// The route that the kernel took when it was last asked; never one of ours. While one of ours hides it the kernel cannot be
    /// asked for it: what others are heard to do to it is done to this one.
    route: Option<Route>,
}

/// Whose the route is that the kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Another program's.
    Foreign,
    /// A claim's of ours.
    Claim,
    /// A received one that we put there.
    Received,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct NextHops {
    hops: BTreeMap<IpAddr, Hop>,
    /// Those of which nothing is known yet: asked before anything else is done.
    unanswered: BTreeSet<IpAddr>,
    /// Those whose route one of ours hides.
    hidden: BTreeSet<IpAddr>,
    /// How many the kernel is asked for.
    asking: usize,
    /// What changed since the last questions.
    changed: BTreeSet<Prefix>,
    all_changed: bool,
    /// Those to ask for in this round.
    due: BTreeSet<IpAddr>,
    /// When the next round is.
    ask_at: Option<Instant>,
    /// Not before: the last round was just now.
    rests_until: Option<Instant>,
    /// Questions of this round.
    asked: u32,
    near: Option<Near>,
    /// The default route counts, too.
    pub(crate) via_default: bool,
    /// Our addresses, links or peers changed since all were looked at.
    pub(crate) stale: bool,
}

/// Where a next hop is now, after a change: where it was before, and where it is.
pub(crate) type Moved = (
    Option<Result<Reached, Unresolved>>,
    Result<Reached, Unresolved>,
);

impl NextHops {
    /// One that received routes have.
    pub(crate) fn get(&self, addr: &IpAddr) -> Option<&Hop> {
        self.hops.get(addr)
    }

    /// All of them.
    pub(crate) fn addrs(&self) -> Vec<IpAddr> {
        self.hops.keys().copied().collect()
    }

    /// Routes have it now. What our addresses tell of it.
    pub(crate) fn track(&mut self, addr: IpAddr, fib: &Fib) -> Option<Moved> {
        self.hops.entry(addr).or_default();
        self.look(addr, fib)
    }

    /// No route has it any more.
    pub(crate) fn forget(&mut self, addr: &IpAddr) {
        if let Some(hop) = self.hops.remove(addr) {
            self.asking -= usize::from(hop.asks);
        }
        self.unanswered.remove(addr);
        self.hidden.remove(addr);
        self.due.remove(addr);
    }

    /// Whether some are still to be asked for of which nothing is known.
    pub(crate) fn waits(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Whether changes of other programs' routes matter.
    pub(crate) const fn asks(&self) -> bool {
        self.asking > 0
    }

    pub(crate) fn near(&self) -> Option<&Near> {
        self.near.as_ref()
    }

    /// Whether a change of this interface may change where some next hop is.
    pub(crate) fn depend_on(&self, index: IfIndex) -> bool {
        let by = |hop: &Hop| {
            let route = hop.route.iter();
            route
                .flat_map(|r| &r.next_hops)
                .any(|way| way.index == index)
        };
        let near = self.near.as_ref();
        near.is_some_and(|near| near.interfaces.contains(&index))
            || self.asks() && self.hops.values().any(by)
    }

    pub(crate) fn set_near(&mut self, near: Option<Near>) {
        self.near = near;
    }

    /// Looks again where a next hop is, as far as our addresses and links tell. One that they tell nothing of any more is asked
    /// for, and stays where it was until then.
    pub(crate) fn look(&mut self, addr: IpAddr, fib: &Fib) -> Option<Moved> {
        let near = self.near.as_ref()?.find(&addr, fib);
        let hop = self.hops.get_mut(&addr)?;
        let asks = near.is_none();
        let first = hop.found.is_none() || asks && !hop.asks;
        if asks != hop.asks {
            hop.asks = asks;
            match asks {
                true => self.asking += 1,
                false => self.asking -= 1,
            }
        }
        if let Some(found) = near {
            hop.route = None;
            self.unanswered.remove(&addr);
            self.hidden.remove(&addr);
            return self.settle(addr, found);
        }
        let Some(route) = &hop.route else {
            if first {
                self.unanswered.insert(addr);
            }
            return None;
        };
        let found = reached(&addr, route, fib);
        if self.hidden.contains(&addr) && found.is_err() {
            // With its link the kernel drops it, and does not say so.
            hop.route = None;
        }
        self.settle(addr, found)
    }

    fn settle(&mut self, addr: IpAddr, found: Result<Reached, Unresolved>) -> Option<Moved> {
        let hop = self.hops.get_mut(&addr)?;
        if hop.found.as_ref() == Some(&found) {
            return None;
        }
        let before = hop.found.replace(found.clone());
        Some((before, found))
    }

    /// The kernel's answer; `whose` is its route.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        addr: IpAddr,
        answer: Lookup,
        whose: Whose,
        fib: &Fib,
    ) -> Option<Moved> {
        let hop = self.hops.get_mut(&addr).filter(|hop| hop.asks)?;
        self.unanswered.remove(&addr);
        let was_hidden = self.hidden.remove(&addr);
        let found = match answer {
            Ok(Some(route)) if route.prefix.len() == 0 && !self.via_default => {
                hop.route = None;
                Err(Unresolved::OnlyDefault)
            }
            Ok(Some(route)) if whose == Whose::Claim => {
                hop.route = None;
                Err(Unresolved::Claimed(route.prefix))
            }
            Ok(Some(route)) if whose == Whose::Received => {
                self.hidden.insert(addr);
                match &hop.route {
                    Some(behind) => reached(&addr, behind, fib),
                    None => Err(Unresolved::Received(route.prefix)),
                }
            }
            Ok(Some(route)) => {
                let found = reached(&addr, &route, fib);
                hop.route = Some(route);
                found
            }
            Ok(None) => {
                hop.route = None;
                Err(Unresolved::Unfit)
            }
            Err(errno @ (ENETUNREACH | EHOSTUNREACH | EACCES | EINVAL)) => {
                hop.route = None;
                Err(match errno {
                    ENETUNREACH => Unresolved::NoRoute,
                    _ => Unresolved::Refused,
                })
            }
            Err(errno) => {
                // Nothing is given up because a question was lost.
                let found = hop
                    .found
                    .clone()
                    .unwrap_or(Err(Unresolved::NoAnswer(errno)));
                if was_hidden {
                    self.hidden.insert(addr);
                }
                self.due.insert(addr);
                self.schedule(now);
                found
            }
        };
        self.settle(addr, found)
    }

    /// What other programs did to a route.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        news: RouteNews,
        fib: &Fib,
    ) -> Vec<(IpAddr, Moved)> {
        let (route, present) = match news {
            RouteNews::Present(route) => (route, true),
            RouteNews::Absent(route) => (route, false),
            RouteNews::Changed => {
                self.ask_all(now);
                return Vec::new();
            }
            RouteNews::Lost => {
                self.ask_all(now);
                let hidden = self.hidden.iter().copied().collect();
                return self.uncover(hidden, |route| *route = None, fib);
            }
        };
        if route.prefix.len() == 0 || self.hops.range(within(&route.prefix)).next().is_none() {
            return Vec::new();
        }
        let hidden = self.hidden.range(within(&route.prefix)).copied().collect();
        let change = |known: &mut Option<Route>| {
            let key = |r: &Route| (r.table, r.prefix, r.metric);
            let is_it = known
                .as_ref()
                .is_some_and(|known| key(known) == key(&route));
            let better = |known: &Route| {
                known.table == route.table
                    && (route.prefix.len(), known.metric) >= (known.prefix.len(), route.metric)
            };
            match present {
                true if is_it || known.as_ref().is_some_and(better) => *known = Some(route.clone()),
                false if is_it => *known = None,
                _ => {}
            }
        };
        let moved = self.uncover(hidden, change, fib);
        match self.changed.len() < CHANGES {
            true => _ = self.changed.insert(route.prefix),
            false => self.all_changed = true,
        }
        self.schedule(now);
        moved
    }

    /// Something is heard of routes that ours hide.
    fn uncover(
        &mut self,
        hidden: Vec<IpAddr>,
        change: impl Fn(&mut Option<Route>),
        fib: &Fib,
    ) -> Vec<(IpAddr, Moved)> {
        let mut all = Vec::new();
        for addr in hidden {
            let Some(hop) = self.hops.get_mut(&addr) else {
                continue;
            };
            change(&mut hop.route);
            let found = match &hop.route {
                Some(route) => reached(&addr, route, fib),
                None => Err(Unresolved::NoRoute),
            };
            all.extend(self.settle(addr, found).map(|moved| (addr, moved)));
        }
        all
    }

    /// Anything may be another way now.
    pub(crate) fn ask_all(&mut self, now: Instant) {
        if self.asks() {
            self.all_changed = true;
            self.schedule(now);
        }
    }

    /// Something of ours is another in the kernel: what it hid may be seen again.
    pub(crate) fn ask_hidden(&mut self, now: Instant) {
        let hops = &self.hops;
        let unknown = |addr: &&IpAddr| hops.get(*addr).is_some_and(|hop| hop.route.is_none());
        let before = self.due.len();
        self.due.extend(self.hidden.iter().filter(unknown));
        if self.due.len() > before {
            self.schedule(now);
        }
    }

    fn schedule(&mut self, now: Instant) {
        let soon = now + DEBOUNCE;
        let at = self.rests_until.map_or(soon, |at| at.max(soon));
        self.ask_at.get_or_insert(at);
    }

    /// What to ask the kernel now, some at a time.
    pub(crate) fn questions(&mut self, now: Instant) -> Vec<IpAddr> {
        if !self.unanswered.is_empty() {
            return self.unanswered.iter().take(QUESTIONS).copied().collect();
        }
        if self.ask_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let changed = core::mem::take(&mut self.changed);
        let asks = |(addr, hop): (&IpAddr, &Hop)| hop.asks.then_some(*addr);
        if core::mem::take(&mut self.all_changed) {
            self.due.extend(self.hops.iter().filter_map(asks));
        } else {
            for prefix in changed {
                let meant = self.hops.range(within(&prefix));
                self.due.extend(meant.filter_map(asks));
            }
        }
        let some: Vec<IpAddr> = core::iter::from_fn(|| self.due.pop_first())
            .take(QUESTIONS)
            .collect();
        self.asked = self.asked.saturating_add(some.len() as u32);
        if self.due.is_empty() {
            self.ask_at = None;
            let asked = core::mem::take(&mut self.asked);
            self.rests_until = Some(now + REST + REST_FOR_EACH * asked);
        }
        some
    }

    /// When there is something to ask. `now` stands for at once.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.unanswered.is_empty() {
            false => Some(now),
            true => self.ask_at,
        }
    }
}

/// The addresses of a prefix.
fn within(prefix: &Prefix) -> RangeInclusive<IpAddr> {
    prefix.addr()..=prefix.last_addr()
}
