//! Next hops of received routes: the speaker asks, our addresses or the kernel answer.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::config::Reach;
use tapway_bgp::{Installable, NextHopAnswer, NextHopNews};
use tapway_fib::{
    BatchId, KernelEvent, NextHop, Object, RouteList, RouteNews, RouteSearch, is_link_local,
};
use tapway_model::Instant;

use super::Node;
use crate::action::Level;
use crate::imports::Way;
use crate::next_hops::{Answered, Lookup, Moved, Near, Reached, Unresolved, is_received, on_link};
use crate::subnets::Subnets;
use crate::uplink::Unfit;

impl Node {
    /// Addresses to ask the kernel for, by which route it would send to them; to be answered with [`Node::handle_lookups`]. To
    /// be drained after every input, before [`Node::poll_transmit`] and [`Node::poll_action`]: peers and kernel should not
    /// hear of what only waits for an answer. Before the first question is put, whoever asks must listen to what other
    /// programs do to routes ([`Node::handle_routes`]), as long as [`Node::follows_routes`] says so.
    pub fn poll_lookups(&mut self, now: Instant) -> Option<Vec<IpAddr>> {
        let some = self.next_hops.questions(now);
        (!some.is_empty()).then_some(some)
    }

    /// The kernel's answers.
    pub fn handle_lookups(
        &mut self,
        now: Instant,
        answers: impl IntoIterator<Item = (IpAddr, Lookup)>,
    ) {
        let (mut all, mut sought) = (Vec::new(), Vec::new());
        for (addr, answer) in answers {
            match self.next_hops.answer(now, addr, answer, &self.fib) {
                Answered::Same => {}
                Answered::Sought => sought.push(addr),
                Answered::Moved(moved) => all.push((addr, moved)),
            }
        }
        if !sought.is_empty() {
            self.speaker.seek_next_hops(now, sought);
        }
        self.tell_next_hops(now, all);
        self.turn(now);
    }

    /// Routes to search the kernel's tables for, because received ones of ours hide them; to be answered with
    /// [`Node::handle_found`], at any later time. There is no other search until then. To be asked after every input, like
    /// [`Node::poll_lookups`].
    pub fn poll_search(&mut self, now: Instant) -> Option<RouteSearch> {
        self.next_hops.search(now)
    }

    /// All routes that the search meant, those of ours may be among them; or why it failed.
    pub fn handle_found(&mut self, now: Instant, found: Result<RouteList, String>) {
        let before = self.next_hops.failing().map(|failing| failing.since);
        let moved = self.next_hops.found(now, found);
        match (before, self.unsearched(now)) {
            (None, Some(text)) => {
                self.event(Level::Warning, "next-hop.unsearched", "kernel", text);
            }
            (Some(since), None) => {
                let text = format!(
                    "the kernel's routes were searched again, after {} s",
                    now.since(since).as_secs()
                );
                self.event(Level::Info, "next-hop.searched", "kernel", text);
            }
            _ => {}
        }
        self.tell_next_hops(now, moved);
        self.take_found(now);
        self.turn(now);
    }

    /// What is to be said of searches while they fail.
    pub fn unsearched(&self, now: Instant) -> Option<String> {
        let failing = self.next_hops.failing()?;
        Some(format!(
            "the kernel's routes cannot be searched: {}; {} tries in {} s; next hops that received routes hide stay as they are, new \
             ones count as unreachable, and it is tried again",
            failing.why,
            failing.tries,
            now.since(failing.since).as_secs()
        ))
    }

    /// Takes a part of what was found. While there is more, [`Node::poll_timeout`] says now.
    pub(super) fn take_found(&mut self, now: Instant) {
        if self.next_hops.has_found() {
            let moved = self.next_hops.take_found(&self.fib);
            self.tell_next_hops(now, moved);
        }
    }

    /// Whether it matters what other programs do to routes: some next hop is known by the kernel's.
    pub fn follows_routes(&self) -> bool {
        self.next_hops.asks()
    }

    /// What other programs did to routes; those of ours are passed over.
    pub fn handle_routes(&mut self, now: Instant, news: impl IntoIterator<Item = RouteNews>) {
        for news in news {
            match &news {
                RouteNews::Present(route) | RouteNews::Absent(route)
                    if route.protocol == self.config.protocol => {}
                _ => self.next_hops.heard(now, &news),
            }
        }
        self.clock = now;
    }

    /// What becomes of routes of ours with a batch: next hops in those of claims are asked for again, and those that a received one
    /// hides that goes.
    pub(super) fn note_own_routes(&mut self, now: Instant, batch: BatchId) {
        if !self.next_hops.asks() {
            return;
        }
        for (object, goes) in self.fib.in_flight(batch) {
            match &*object {
                Object::Route(route) if !is_received(route) => {
                    self.next_hops.ask_within(now, route.prefix);
                }
                Object::Route(route) if goes => {
                    self.next_hops.ask_behind(now, route.table, &route.prefix);
                }
                _ => {}
            }
        }
    }

    /// Where a next hop of received routes is, or why nothing leads there; `None`: no route has it, or it is not known yet.
    pub fn next_hop(&self, addr: &IpAddr) -> Option<&Result<Reached, Unresolved>> {
        self.next_hops.get(addr)?.found.as_ref()
    }

    /// Takes what the speaker wants to know.
    pub(super) fn take_next_hops(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let mut all = Vec::new();
        while let Some(news) = self.speaker.poll_next_hop() {
            moved = true;
            match news {
                NextHopNews::Track(addr) => {
                    self.learn_near();
                    let found = self.next_hops.track(addr, &self.fib);
                    all.extend(found.map(|moved| (addr, moved)));
                }
                NextHopNews::Forget(addr) => self.next_hops.forget(&addr),
            }
        }
        for addr in self.next_hops.take_peers_changed() {
            self.learn_near();
            let found = self.next_hops.look(addr, &self.fib);
            all.extend(found.map(|moved| (addr, moved)));
        }
        if core::mem::take(&mut self.next_hops.stale) {
            self.next_hops.set_near(None);
            for addr in self.next_hops.addrs() {
                self.learn_near();
                let found = self.next_hops.look(addr, &self.fib);
                all.extend(found.map(|moved| (addr, moved)));
            }
            self.next_hops.ask_all(now);
        }
        moved |= !all.is_empty();
        self.tell_next_hops(now, all);
        moved
    }

    fn tell_next_hops(&mut self, now: Instant, moved: Vec<(IpAddr, Moved)>) {
        if moved.is_empty() {
            return;
        }
        for (addr, moved) in &moved {
            self.tell_hop(now, *addr, moved);
        }
        let ways = |found: &Result<Reached, Unresolved>| found.clone().ok().map(|r| r.ways);
        let answer = |(next_hop, (before, found)): (IpAddr, Moved)| NextHopAnswer {
            next_hop,
            metric: found.as_ref().ok().map(|reached| reached.metric),
            moved: before.is_some_and(|before| ways(&before) != ways(&found)),
        };
        self.speaker
            .set_next_hops(now, moved.into_iter().map(answer));
    }

    /// What our addresses and peers tell of next hops, unless that is known.
    fn learn_near(&mut self) {
        if self.next_hops.near().is_some() {
            return;
        }
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let direct = |name| {
            let peer = self.peer_config(name)?;
            (!matches!(peer.reach, Reach::Multihop(_))).then_some(())
        };
        let peers: BTreeMap<_, _> = self
            .endpoints
            .iter()
            .filter_map(|(name, endpoint)| Some((name, endpoint.as_ref().ok()?)))
            .filter(|(name, endpoint)| endpoint.ifindex != 0 && direct(name).is_some())
            .map(|(_, endpoint)| (endpoint.remote.ip(), endpoint.ifindex))
            .collect();
        let links = self.fib.links().map(|link| link.index);
        let own = links.flat_map(|index| self.fib.addresses(index));
        let subnets = Subnets::of(&self.fib, &unfit);
        let mut interfaces = subnets.interfaces();
        interfaces.extend(peers.values());
        let near = Near {
            own: own.map(|(a, _)| a.addr).collect(),
            subnets,
            peers,
            interfaces,
        };
        self.next_hops.set_near(Some(near));
    }

    /// The kernel's news that ways may depend on, besides those of routes.
    pub(super) fn note_ways(&mut self, now: Instant, event: &KernelEvent) {
        match event {
            KernelEvent::ScanEnd => self.next_hops.ask_all(now),
            KernelEvent::Present(Object::Rule(rule)) | KernelEvent::Absent(Object::Rule(rule))
                if rule.protocol != self.config.protocol =>
            {
                self.next_hops.ask_all(now);
            }
            _ => {}
        }
    }

    /// The ways that packets of a received route take; `None`: its next hop is still being searched for.
    pub(super) fn way(&mut self, route: Installable) -> Option<Way> {
        self.learn_near();
        let (ways, by_address) = self.ways(&route)?;
        Some(Way {
            route,
            ways,
            by_address,
        })
    }

    fn ways(&self, route: &Installable) -> Option<(Vec<NextHop>, bool)> {
        let Some(near) = self.next_hops.near() else {
            return Some((Vec::new(), true));
        };
        let (addr, index) = (route.next_hop, route.ifindex);
        if index != 0 && (is_link_local(&addr) || near.is_on(&addr, index)) {
            return Some(([on_link(index, addr)].into(), false));
        }
        let Some(hop) = self.next_hops.get(&addr) else {
            let index = near.subnets.interface_of(&addr);
            let ways = index.map(|index| on_link(index, addr));
            return Some((ways.into_iter().collect(), true));
        };
        let found = hop.found.as_ref()?;
        let ways = found.as_ref().map(|reached| reached.ways.clone());
        Some((ways.unwrap_or_default(), false))
    }
}
