//! What lies behind received routes of ours.
//!
//! Asked for an address, the kernel names the best route only. When that is a received one of ours it hides what matters: all other
//! routes around the address. Nothing but a list of the tables tells those; it is asked for only for such addresses, one list
//! at a time, and seldom where lists are long.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;
use core::time::Duration;

use tapway_fib::{Fib, Route, RouteKind, RouteList, RouteSearch};
use tapway_model::{Domain, Instant, Prefix};

use super::failures::{Failing, Failures};
use super::within;
use crate::wiring::CLAIM_METRIC;

/// From one list to the next at least.
pub(super) const REST: Duration = Duration::from_millis(100);
/// And so many times what the last one took, so that the kernel lists for a twentieth of the time at most.
const REST_FOR_TIME: u32 = 20;
/// But no longer: one that was held up says little of the next.
pub(super) const REST_AT_MOST: Duration = Duration::from_secs(60);
/// Where nothing is known yet of an address, it rests so many times what the last one took instead, and doubles that for each
/// such search in a row: whoever makes up new next hops all the time comes to [`REST_FOR_TIME`], too.
const REST_FOR_FIRST: u32 = 2;

/// `RTN_THROW` in linux/rtnetlink.h: what it covers is in another table.
const THROW: RouteKind = RouteKind::Other(9);

/// Whether a route of ours is a received one: a claim's is known by its metric, or by leading nowhere.
pub(crate) fn is_received(route: &Route) -> bool {
    route.kind == RouteKind::Unicast && route.metric != CLAIM_METRIC
}

/// A received route that the kernel named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) table: u32,
    pub(crate) prefix: Prefix,
}

/// Addresses that received routes of ours hide.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    covers: BTreeMap<IpAddr, Cover>,
    /// Those to search for.
    due: BTreeSet<IpAddr>,
    /// Those that nothing is known of before they were searched for.
    firsts: BTreeSet<IpAddr>,
    /// Those whose route the last list lacked.
    missed: BTreeSet<IpAddr>,
    /// When the search that is under way began, and what it is for.
    running: Option<(Instant, RouteSearch)>,
    /// What the last search found, and those that nobody has looked for in it yet.
    list: RouteList,
    left: BTreeSet<IpAddr>,
    /// What the last one took, and when it was over: no other begins before it has rested.
    last: Option<(Instant, Duration)>,
    failures: Failures,
    /// Searches in a row that did not rest as long as they should, because of addresses that nothing was known of.
    hasty: u32,
}

impl Behind {
    /// The kernel named this route of ours for an address. `first`: nothing is known of it yet.
    pub(crate) fn hide(&mut self, addr: IpAddr, cover: Cover, first: bool) {
        self.covers.insert(addr, cover);
        self.due.insert(addr);
        if first {
            self.firsts.insert(addr);
        }
    }

    /// Those that the kernel named this route for.
    pub(crate) fn hidden_by(&self, table: u32, prefix: &Prefix) -> impl Iterator<Item = IpAddr> {
        let by = Cover {
            table,
            prefix: *prefix,
        };
        let around = self.covers.range(within(prefix));
        around.filter_map(move |(addr, cover)| (*cover == by).then_some(*addr))
    }

    /// Something is known of it now.
    pub(crate) fn know(&mut self, addr: &IpAddr) {
        self.firsts.remove(addr);
    }

    /// The kernel named another, or nobody asks any more.
    pub(crate) fn show(&mut self, addr: &IpAddr) {
        self.covers.remove(addr);
        self.due.remove(addr);
        self.firsts.remove(addr);
        self.missed.remove(addr);
        if self.covers.is_empty() {
            self.failures = Failures::default();
        }
    }

    /// Whether to believe a list that lacks what was there, or has it. One list of IPv6 routes proves nothing: the kernel may leave one
    /// out that stays when one before it goes (`edge/netlink`). Then another is asked for. Nor does any list that began before
    /// there was reason for another; but where nothing is known two of any kind are enough, because something has to be said.
    pub(crate) fn believes(&mut self, addr: IpAddr, lacks: bool) -> bool {
        let outdated = self.due.contains(&addr);
        let first = self.firsts.contains(&addr);
        let again = self.missed.contains(&addr);
        let believes = !lacks || !outdated && (addr.is_ipv4() || again) || first && again;
        match believes {
            true => _ = self.missed.remove(&addr),
            false => {
                self.missed.insert(addr);
                self.due.insert(addr);
            }
        }
        believes
    }

    /// Whether a search is to come or under way.
    pub(crate) fn waits(&self) -> bool {
        !self.due.is_empty() || self.running.is_some() || !self.left.is_empty()
    }

    /// What to search for now.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<RouteSearch> {
        if self.begins_at(now).is_none_or(|at| at > now) {
            return None;
        }
        self.hasty = match self.rests_until().is_some_and(|at| at > now) {
            true => self.hasty.saturating_add(1),
            false => 0,
        };
        let addrs = core::mem::take(&mut self.due);
        let covers = addrs.iter().filter_map(|addr| self.covers.get(addr));
        // Where the kernel finds nothing in another table it goes on with the main one.
        let tables = covers.map(|cover| cover.table).chain([Domain::MAIN.0]);
        let search = RouteSearch {
            tables: tables.collect(),
            addrs,
        };
        self.running = Some((now, search.clone()));
        Some(search)
    }

    /// A search is over. One that failed is to be done again.
    pub(crate) fn end(&mut self, now: Instant, found: Result<RouteList, String>) {
        let Some((began, search)) = self.running.take() else {
            return;
        };
        self.last = Some((now, now.since(began)));
        match found {
            Ok(list) => {
                (self.list, self.left) = (list, search.addrs);
                self.failures = Failures::default();
            }
            Err(why) => {
                let hidden = |addr: &IpAddr| self.covers.contains_key(addr);
                self.due.extend(search.addrs.into_iter().filter(hidden));
                if !self.covers.is_empty() {
                    self.failures.add(now, why);
                }
            }
        }
    }

    /// Searches that fail, when there are enough to tell.
    pub(crate) fn failing(&self) -> Option<Failing<'_>> {
        self.failures.failing()
    }

    /// Those that nothing is known of before they were searched for.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = IpAddr> {
        self.firsts.iter().copied()
    }

    /// Whether there is something that was found and not looked at.
    pub(crate) fn has_found(&self) -> bool {
        !self.left.is_empty()
    }

    /// Some that were searched for and are still hidden, and the list to look for them in. To be given back.
    pub(crate) fn take_found(&mut self, most: usize) -> (RouteList, Vec<(IpAddr, Cover)>) {
        let some = core::iter::from_fn(|| self.left.pop_first()).take(most);
        let hidden = |addr| Some((addr, *self.covers.get(&addr)?));
        (
            core::mem::take(&mut self.list),
            some.filter_map(hidden).collect(),
        )
    }

    /// Gives the list back, as long as it is needed.
    pub(crate) fn put_back(&mut self, list: RouteList) {
        if self.has_found() {
            self.list = list;
        }
    }

    /// When there is something to do. `now` stands for at once.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.has_found() {
            true => Some(now),
            false => self.begins_at(now),
        }
    }

    /// When the next search is. `now` stands for at once.
    fn begins_at(&self, now: Instant) -> Option<Instant> {
        let idle = self.running.is_none() && !self.has_found() && !self.due.is_empty();
        let at = match self.failures.rest() {
            Some(rest) => self.last.map(|(over, _)| over + rest),
            None if self.firsts.is_empty() => self.rests_until(),
            None => self.rests_until_first(),
        };
        idle.then(|| at.unwrap_or(now))
    }

    /// When the last search has rested.
    fn rests_until(&self) -> Option<Instant> {
        self.rests(REST_FOR_TIME)
    }

    /// When it has rested for addresses that nothing is known of.
    fn rests_until_first(&self) -> Option<Instant> {
        let times = REST_FOR_FIRST.checked_shl(self.hasty.min(8));
        self.rests(times.map_or(REST_FOR_TIME, |times| times.min(REST_FOR_TIME)))
    }

    fn rests(&self, times: u32) -> Option<Instant> {
        let (over, took) = self.last?;
        Some(over + took.saturating_mul(times).clamp(REST, REST_AT_MOST))
    }
}

/// The route that the kernel would take to an address without received ones of ours (`protocol`), among those that were listed; and
/// whether it is a claim's.
pub(crate) fn taken(
    addr: &IpAddr,
    table: u32,
    list: &RouteList,
    protocol: u8,
    fib: &Fib,
) -> Option<(Route, bool)> {
    let main = Some(Domain::MAIN.0).filter(|main| *main != table);
    let mut tables = [table].into_iter().chain(main);
    let in_table = |table| {
        let mut theirs = list.around(table, *addr).filter(|r| r.protocol != protocol);
        let theirs = theirs.find(|r| lives(r, fib));
        let theirs = theirs.map(|r| (Cow::Borrowed(r), false));
        let claims = fib.held_around(table, *addr).filter(|r| !is_received(r));
        let claims = claims.map(|r| (r, true));
        let longest = |r: &(Cow<'_, Route>, bool)| (r.0.prefix.len(), Reverse(r.0.metric));
        let best = theirs.into_iter().chain(claims).max_by_key(longest);
        best.filter(|(r, _)| r.kind != THROW)
    };
    let (route, ours) = tables.find_map(in_table)?;
    Some((route.into_owned(), ours))
}

/// Whether the kernel would take it at all: not one whose links are all down.
fn lives(route: &Route, fib: &Fib) -> bool {
    let up = |index| fib.link(index).is_none_or(|link| link.up);
    route.kind != RouteKind::Unicast || route.next_hops.iter().any(|leg| up(leg.index))
}
