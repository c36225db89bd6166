//! Time, and what happens with it: packets, the kernel, the disk, and what the node and the router ask for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tapway_bgp::{Action as BgpAction, ConnId, ConnInfo, LocalAddresses};
use tapway_fib::{Change, KernelEvent, Object, Outcome, RouteNews, Sysctl};
use tapway_model::Instant;
use tapway_node::{Action, Node, Report};

use super::{DELAY, HOST_ADDR, Packet, Router, RouterConn, World};

/// What is to be known of an event by whoever must know where the kernel sends packets.
fn route_news(event: &KernelEvent) -> Option<RouteNews> {
    match event {
        KernelEvent::Present(Object::Route(route)) => Some(RouteNews::Present(route.clone())),
        KernelEvent::Absent(Object::Route(route)) => Some(RouteNews::Absent(route.clone())),
        KernelEvent::Overrun => Some(RouteNews::Lost),
        _ => None,
    }
}

impl World {
    /// Lets `time` pass.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.next_moment().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = next.max(self.now + Duration::from_nanos(1));
            self.fire();
        }
        self.now = self.now.max(end);
        self.settle();
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        loop {
            let mut moved = self.drain_host();
            for at in 0..self.routers.len() {
                moved |= self.drain_router(at);
            }
            if !self.disk_stuck {
                while let Some(record) = self.unkept.pop_front() {
                    self.kept.take(record);
                }
            }
            if !moved {
                break;
            }
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let packet = self.packets.keys().next().map(|(at, _)| *at);
        [packet, self.node.as_ref().and_then(Node::poll_timeout)]
            .into_iter()
            .chain(self.routers.iter().map(|r| r.speaker.poll_timeout()))
            .flatten()
            .min()
    }

    fn fire(&mut self) {
        while let Some((&(at, serial), _)) = self.packets.iter().next() {
            if at > self.now {
                break;
            }
            if let Some(packet) = self.packets.remove(&(at, serial)) {
                self.deliver(packet);
            }
            self.settle();
        }
        let now = self.now;
        if let Some(node) = &mut self.node
            && node.poll_timeout().is_some_and(|at| at <= now)
        {
            node.handle_timeout(now);
        }
        for router in &mut self.routers {
            if router.speaker.poll_timeout().is_some_and(|at| at <= now) {
                router.speaker.handle_timeout(now);
            }
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let now = self.now;
        match packet {
            Packet::ToRouter((at, conn), bytes) => {
                self.routers[at].speaker.handle_data(now, conn, &bytes);
            }
            Packet::RouterClosed((at, conn)) => {
                self.routers[at].speaker.handle_closed(now, conn, "closed");
            }
            Packet::ToHost(conn, bytes) => {
                if let Some(node) = &mut self.node {
                    node.handle_data(now, conn, &bytes);
                }
            }
            Packet::HostClosed(conn) => {
                self.watch.closed(Some(conn));
                if let Some(node) = &mut self.node {
                    node.handle_closed(now, conn, "closed");
                }
            }
        }
    }

    fn drain_host(&mut self) -> bool {
        let mut moved = false;
        let Some(mut node) = self.node.take() else {
            return false;
        };
        loop {
            while let Some(asked) = node.poll_lookups(self.now) {
                moved = true;
                let kernel = &self.kernel;
                let answers = asked.into_iter().map(|addr| (addr, kernel.lookup(addr)));
                node.handle_lookups(self.now, answers);
            }
            while let Some(search) = node.poll_search(self.now) {
                moved = true;
                node.handle_found(self.now, Ok(self.kernel.search(&search)));
            }
            while let Some(transmit) = node.poll_transmit(self.now) {
                moved = true;
                let router = self.pairs.get(&transmit.conn);
                let to_first = router.is_some_and(|(at, _)| *at == 0);
                self.watch
                    .sent(&self.kernel, transmit.conn, to_first, &transmit.bytes);
                if let Some(router) = self.pairs.get(&transmit.conn) {
                    self.send(Packet::ToRouter(*router, transmit.bytes));
                }
            }
            if let Some(action) = node.poll_action(self.now) {
                moved = true;
                self.act(&mut node, action);
            } else if let Some(report) = node.poll_report() {
                moved = true;
                match report {
                    Report::Record(record) => self.unkept.push_back(record),
                    Report::Event(event) => self.events.push(event),
                }
            } else if let Some(event) = self.kernel.poll_event() {
                moved = true;
                self.watch.heard(&event);
                let lost = event == KernelEvent::Overrun;
                node.handle_routes(self.now, route_news(&event));
                node.handle_kernel(self.now, [event]);
                if lost {
                    self.scan(&mut node);
                }
            } else {
                break;
            }
        }
        self.node = Some(node);
        moved
    }

    fn act(&mut self, node: &mut Node, action: Action) {
        match action {
            Action::Kernel(batch) => {
                let outcomes: Vec<_> = batch.changes.iter().map(|c| self.apply(c)).collect();
                self.changes.extend(batch.changes);
                node.handle_outcomes(self.now, batch.id, &outcomes);
            }
            Action::Transmit => {}
            Action::Scan => self.scan(node),
            Action::Bgp(BgpAction::Connect { conn, remote, .. }) => {
                self.connect(node, conn, remote);
            }
            Action::Bgp(BgpAction::Close { conn, farewell }) => {
                self.watch.closed(Some(conn));
                if let Some(router) = self.pairs.remove(&conn) {
                    self.send(Packet::ToRouter(router, farewell));
                    self.send(Packet::RouterClosed(router));
                }
            }
            Action::WatchSysctl(path) => {
                if let Some(value) = self.kernel.sysctl(&path).map(str::to_owned) {
                    let event = KernelEvent::Present(Object::Sysctl(Sysctl { path, value }));
                    node.handle_kernel(self.now, [event]);
                }
            }
            Action::Bgp(_) | Action::Listen(_) | Action::Advertise(_) => {}
        }
    }

    fn scan(&mut self, node: &mut Node) {
        node.handle_kernel(self.now, self.kernel.scan());
        self.watch.scanned();
    }

    fn apply(&mut self, change: &Change) -> Outcome {
        self.watch.change(&self.kernel, change);
        let outcome = self.kernel.apply(change);
        if outcome == Outcome::Done {
            self.watch.changed(&self.kernel, change);
        }
        outcome
    }

    fn is_reachable(&self) -> bool {
        let uplink = self.kernel.link(self.eth0);
        uplink.is_some_and(|l| l.up && l.carrier)
    }

    /// The hypervisor calls a router.
    fn connect(&mut self, node: &mut Node, conn: ConnId, remote: SocketAddr) {
        let called = |router: &Router| IpAddr::V4(router.addr) == remote.ip();
        let at = self.routers.iter().position(called);
        let Some(at) = at.filter(|_| self.is_reachable()) else {
            return node.handle_connect_failed(self.now, conn, "no route to host");
        };
        self.serial += 1;
        let theirs = ConnId::Incoming(self.serial);
        self.pairs.insert(conn, (at, theirs));
        let ours = ConnInfo {
            local: SocketAddr::from((HOST_ADDR, 40_000)),
            remote,
            ifindex: self.eth0,
        };
        node.handle_connected(self.now, conn, ours);
        let seen = self.ends_at_router(ours);
        let router = &mut self.routers[at].speaker;
        router.handle_accepted(self.now, theirs, seen);
        self.tell_address(at, theirs);
    }

    /// A router calls the hypervisor.
    fn call(&mut self, at: usize, theirs: ConnId) {
        let now = self.now;
        let ours = ConnInfo {
            local: SocketAddr::from((HOST_ADDR, 179)),
            remote: SocketAddr::from((self.routers[at].addr, 40_000)),
            ifindex: self.eth0,
        };
        let reachable = self.is_reachable();
        let node = self.node.as_mut().filter(|_| reachable);
        let admitted = node.and_then(|node| {
            node.admit(now, ours.remote, ours.ifindex).ok()?;
            Some(node)
        });
        let Some(node) = admitted else {
            let router = &mut self.routers[at].speaker;
            return router.handle_connect_failed(now, theirs, "connection refused");
        };
        self.serial += 1;
        let conn = ConnId::Incoming(self.serial);
        self.pairs.insert(conn, (at, theirs));
        node.handle_accepted(now, conn, ours);
        let seen = self.ends_at_router(ours);
        let router = &mut self.routers[at].speaker;
        router.handle_connected(now, theirs, seen);
        self.tell_address(at, theirs);
    }

    /// The ends of a connection as the router sees them.
    fn ends_at_router(&self, host: ConnInfo) -> ConnInfo {
        ConnInfo {
            local: host.remote,
            remote: host.local,
            ifindex: 1,
        }
    }

    fn tell_address(&mut self, at: usize, conn: ConnId) {
        let router = &mut self.routers[at];
        let addresses = LocalAddresses {
            v4: Some(router.addr),
            v6_global: None,
            v6_link_local: None,
        };
        let speaker = &mut router.speaker;
        speaker.set_local_addresses(self.now, conn, addresses);
    }

    fn drain_router(&mut self, at: usize) -> bool {
        let mut moved = false;
        loop {
            while let Some(transmit) = self.routers[at].speaker.poll_transmit(self.now) {
                moved = true;
                if let Some(host) = self.host_of((at, transmit.conn)) {
                    self.send(Packet::ToHost(host, transmit.bytes));
                }
            }
            let Some(action) = self.routers[at].speaker.poll_action() else {
                break;
            };
            moved = true;
            match action {
                BgpAction::Connect { conn, .. } => self.call(at, conn),
                BgpAction::Close { conn, farewell } => {
                    if let Some(host) = self.host_of((at, conn)) {
                        self.pairs.remove(&host);
                        self.send(Packet::ToHost(host, farewell));
                        self.send(Packet::HostClosed(host));
                    }
                }
                _ => {}
            }
        }
        moved
    }

    fn host_of(&self, router: RouterConn) -> Option<ConnId> {
        let mut pairs = self.pairs.iter();
        pairs.find(|(_, r)| **r == router).map(|(h, _)| *h)
    }

    pub(super) fn send(&mut self, packet: Packet) {
        self.serial += 1;
        self.packets.insert((self.now + DELAY, self.serial), packet);
    }
}
