//! Where next hops of received routes are (RFC 4271 §9.1.2.1): on a subnet of ours, or behind a route of the kernel.
//!
//! A next hop that is a direct peer, or in the subnet of an interface that carries packets, is near: metric 0, by way of
//! itself. For any other the kernel is asked which route it takes, and the metric is that route's. As in FRR, the default
//! route counts for nothing unless somebody wants it to: it leads everywhere, whether anybody is there or not. Neither do
//! routes of ours: a received route that leads to its own next hop would come and go in turn, and no received route is to
//! lead into a guest.
//!
//! So a next hop is where the kernel would send to it if there were no received routes of ours in it. The kernel names only
//! the route that it takes; when that is a received one, what lies [`behind`] is searched for, every time that there would have been
//! reason to ask. Nothing is worked out from pieces of news: those only say that it is time to ask.

mod behind;
mod events;
mod failures;
mod found;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use tapway_fib::{Fib, IfIndex, Route, RouteKind, RouteList, RouteNews, RouteSearch};
use tapway_model::{Instant, Prefix};

pub(crate) use behind::is_received;
pub(crate) use found::{Near, on_link};
pub use found::{Reached, Unresolved};

use behind::{Behind, Cover, taken};
use events::Told;
use failures::Failing;
use found::reached;

/// From a change in the kernel to the question: what changes at once is asked for once.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// From one round of questions to the next, however much changes meanwhile: this, and more for each question, so that the kernel is
/// asked for a small part of the time.
const REST: Duration = Duration::from_millis(100);
const REST_FOR_EACH: Duration = Duration::from_micros(50);
/// Questions that are asked together; each takes the kernel some microseconds.
const QUESTIONS: usize = 256;
/// Those looked for in a list in one go: each takes some microseconds.
const FOUND: usize = 256;
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
    /// The route that the kernel took when it was last asked, or would have taken; never a received one.
    taken: Option<Taken>,
}

/// A route that the kernel takes.
#[derive(Debug)]
struct Taken {
    route: Route,
    /// It is a claim's.
    claim: bool,
}

impl Taken {
    /// Whether it is another program's, and not in this list. Routes with this protocol number are ours.
    fn is_missing(&self, list: &RouteList, protocol: u8) -> bool {
        let Route {
            table,
            prefix,
            metric,
            ..
        } = self.route;
        let is_it = |r: &Route| r.metric == metric && r.protocol != protocol;
        !self.claim && !list.to(table, prefix).iter().any(is_it)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct NextHops {
    /// The protocol number of routes of ours.
    protocol: u8,
    hops: BTreeMap<IpAddr, Hop>,
    /// Those of which nothing is known yet: asked before anything else is done.
    unanswered: BTreeSet<IpAddr>,
    /// Those that received routes of ours hide.
    behind: Behind,
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
    via_default: bool,
    /// Our addresses, links or peers changed since all were looked at.
    pub(crate) stale: bool,
    /// What was told of those that were lost and found.
    pub(crate) told: Told,
    /// So did only the peers at these addresses.
    peers_changed: BTreeSet<IpAddr>,
}

/// Where a next hop is now, after a change: where it was before, and where it is.
pub(crate) type Moved = (
    Option<Result<Reached, Unresolved>>,
    Result<Reached, Unresolved>,
);

/// What an answer of the kernel says.
#[derive(Debug)]
pub(crate) enum Answered {
    /// Nothing new.
    Same,
    /// Nothing was known of it, and it has to be searched for.
    Sought,
    /// It is somewhere else.
    Moved(Moved),
}

impl From<Option<Moved>> for Answered {
    fn from(moved: Option<Moved>) -> Answered {
        moved.map_or(Answered::Same, Answered::Moved)
    }
}

impl NextHops {
    /// None yet. Routes with this protocol number are ours; `via_default`: the default route counts.
    pub(crate) fn new(protocol: u8, via_default: bool) -> NextHops {
        NextHops {
            protocol,
            via_default,
            ..NextHops::default()
        }
    }

    /// Whether the default route counts from now on. What is known is looked at again, and asked for.
    pub(crate) fn set_via_default(&mut self, counts: bool) {
        self.stale |= self.via_default != counts;
        self.via_default = counts;
    }

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
        self.behind.show(addr);
        self.due.remove(addr);
    }

    /// Whether some are still to be asked for of which nothing is known.
    pub(crate) fn waits(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Whether some are still to be asked or searched for.
    pub(crate) fn in_doubt(&self) -> bool {
        self.waits() || self.behind.waits()
    }

    /// Whether changes of routes matter.
    pub(crate) const fn asks(&self) -> bool {
        self.asking > 0
    }

    pub(crate) fn near(&self) -> Option<&Near> {
        self.near.as_ref()
    }

    /// Whether a change of this interface may change where some next hop is.
    pub(crate) fn depend_on(&self, index: IfIndex) -> bool {
        let by = |hop: &Hop| {
            let taken = hop.taken.iter();
            taken
                .flat_map(|taken| &taken.route.next_hops)
                .any(|way| way.index == index)
        };
        let near = self.near.as_ref();
        near.is_some_and(|near| near.interfaces.contains(&index))
            || self.asks() && self.hops.values().any(by)
    }

    /// A direct peer came on this interface, or left it.
    pub(crate) fn note_peer(&mut self, addr: IpAddr, on: Option<IfIndex>) {
        let Some(near) = &mut self.near else {
            return;
        };
        match on {
            Some(index) => {
                near.peers.insert(addr, index);
                near.interfaces.insert(index);
            }
            None => _ = near.peers.remove(&addr),
        }
        if self.hops.contains_key(&addr) {
            self.peers_changed.insert(addr);
        }
    }

    /// Next hops where peers came or left.
    pub(crate) fn take_peers_changed(&mut self) -> BTreeSet<IpAddr> {
        core::mem::take(&mut self.peers_changed)
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
            hop.taken = None;
            self.unanswered.remove(&addr);
            self.behind.show(&addr);
            return self.settle(addr, found);
        }
        let Some(taken) = &self.get(&addr)?.taken else {
            if first {
                self.unanswered.insert(addr);
            }
            return None;
        };
        let found = self.by(&addr, taken, fib);
        self.settle(addr, found)
    }

    /// Where a next hop is by the route that the kernel takes.
    fn by(&self, addr: &IpAddr, taken: &Taken, fib: &Fib) -> Result<Reached, Unresolved> {
        let Taken { route, claim } = taken;
        if route.prefix.len() == 0 && !self.via_default {
            return Err(Unresolved::OnlyDefault);
        }
        if *claim && route.kind == RouteKind::Unicast {
            return Err(Unresolved::Claimed(route.prefix));
        }
        reached(addr, route, fib)
    }

    fn settle(&mut self, addr: IpAddr, found: Result<Reached, Unresolved>) -> Option<Moved> {
        let hop = self.hops.get_mut(&addr)?;
        self.behind.know(&addr);
        if hop.found.as_ref() == Some(&found) {
            return None;
        }
        let before = hop.found.replace(found.clone());
        Some((before, found))
    }

    /// The kernel takes this route, or none for a reason.
    fn settle_by(
        &mut self,
        addr: IpAddr,
        taken: Result<Taken, Unresolved>,
        fib: &Fib,
    ) -> Option<Moved> {
        let found = match &taken {
            Ok(taken) => self.by(&addr, taken, fib),
            Err(why) => Err(why.clone()),
        };
        self.hops.get_mut(&addr)?.taken = taken.ok();
        self.settle(addr, found)
    }

    /// The kernel's answer.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        addr: IpAddr,
        answer: Lookup,
        fib: &Fib,
    ) -> Answered {
        let Some(hop) = self.hops.get(&addr).filter(|hop| hop.asks) else {
            return Answered::Same;
        };
        let known = hop.found.is_some();
        self.unanswered.remove(&addr);
        let taken = match answer {
            Ok(Some(route)) => {
                let ours = route.protocol == self.protocol;
                let counts = route.prefix.len() != 0 || self.via_default;
                if ours && counts && is_received(&route) {
                    let Route { table, prefix, .. } = route;
                    self.behind.hide(addr, Cover { table, prefix }, !known);
                    // What was known holds until then; of others nothing is said.
                    return match known {
                        true => Answered::Same,
                        false => Answered::Sought,
                    };
                }
                Ok(Taken { route, claim: ours })
            }
            Ok(None) => Err(Unresolved::Unfit),
            Err(ENETUNREACH) => Err(Unresolved::NoRoute),
            Err(EHOSTUNREACH | EACCES | EINVAL) => Err(Unresolved::Refused),
            Err(errno) => {
                // Nothing is given up because a question was lost.
                self.due.insert(addr);
                self.schedule(now);
                return match known {
                    true => Answered::Same,
                    false => self.settle(addr, Err(Unresolved::NoAnswer(errno))).into(),
                };
            }
        };
        self.behind.show(&addr);
        self.settle_by(addr, taken, fib).into()
    }

    /// What to search for now.
    pub(crate) fn search(&mut self, now: Instant) -> Option<RouteSearch> {
        self.behind.begin(now)
    }

    /// What was found: all routes around those that were searched for, to be looked at by [`NextHops::take_found`]; or why nothing was,
    /// and what was known holds. Of others something has to be said when that goes on.
    pub(crate) fn found(
        &mut self,
        now: Instant,
        found: Result<RouteList, String>,
    ) -> Vec<(IpAddr, Moved)> {
        self.behind.end(now, found);
        if self.behind.failing().is_none() {
            return Vec::new();
        }
        let unknown: Vec<IpAddr> = self.behind.firsts().collect();
        let fail = |addr| {
            let moved = self.settle(addr, Err(Unresolved::Unsearched))?;
            Some((addr, moved))
        };
        unknown.into_iter().filter_map(fail).collect()
    }

    /// Searches that fail.
    pub(crate) fn failing(&self) -> Option<Failing<'_>> {
        self.behind.failing()
    }

    /// Whether [`NextHops::take_found`] has more.
    pub(crate) fn has_found(&self) -> bool {
        self.behind.has_found()
    }

    /// Where some of those are that were searched for.
    pub(crate) fn take_found(&mut self, fib: &Fib) -> Vec<(IpAddr, Moved)> {
        let (list, some) = self.behind.take_found(FOUND);
        let mut all = Vec::new();
        for (addr, Cover { table, prefix }) in some {
            let taken = taken(&addr, table, &list, self.protocol, fib);
            let Some(hop) = self.get(&addr) else { continue };
            let lacks = match &hop.taken {
                Some(known) => known.is_missing(&list, self.protocol),
                None => hop.found.is_none() && taken.is_none(),
            };
            if !self.behind.believes(addr, lacks) {
                continue;
            }
            let taken = taken.map(|(route, claim)| Taken { route, claim });
            let moved = self.settle_by(addr, taken.ok_or(Unresolved::Received(prefix)), fib);
            all.extend(moved.map(|moved| (addr, moved)));
        }
        self.behind.put_back(list);
        all
    }

    /// What other programs did to a route.
    pub(crate) fn heard(&mut self, now: Instant, news: &RouteNews) {
        match news {
            // Defaults are told by another way, and always.
            RouteNews::Present(route) | RouteNews::Absent(route) if route.prefix.len() == 0 => {}
            RouteNews::Present(route) | RouteNews::Absent(route) => {
                self.ask_within(now, route.prefix);
            }
            RouteNews::Changed | RouteNews::Lost => self.ask_all(now),
        }
    }

    /// A received route of ours to this prefix goes: what it hid the kernel names now.
    pub(crate) fn ask_behind(&mut self, now: Instant, table: u32, prefix: &Prefix) {
        let before = self.due.len();
        self.due.extend(self.behind.hidden_by(table, prefix));
        if self.due.len() > before {
            self.schedule(now);
        }
    }

    /// A route to this prefix is another now, or is gone.
    pub(crate) fn ask_within(&mut self, now: Instant, prefix: Prefix) {
        if self.hops.range(within(&prefix)).next().is_none() {
            return;
        }
        match self.changed.len() < CHANGES {
            true => _ = self.changed.insert(prefix),
            false => self.all_changed = true,
        }
        self.schedule(now);
    }

    /// Anything may be another way now.
    pub(crate) fn ask_all(&mut self, now: Instant) {
        if self.asks() {
            self.all_changed = true;
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

    /// When there is something to ask or to search for. `now` stands for at once.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let search_at = self.behind.poll_timeout(now);
        let ask_at = match self.unanswered.is_empty() {
            false => Some(now),
            true => self.ask_at,
        };
        ask_at.into_iter().chain(search_at).min()
    }
}

/// The addresses of a prefix.
fn within(prefix: &Prefix) -> RangeInclusive<IpAddr> {
    prefix.addr()..=prefix.last_addr()
}
