//! A fabric on one virtual clock: two route reflectors, and hypervisors that are clients of both and announce claims.
//!
//! All of them are [`Speaker`]s. They sit on one link, on which bytes take a millisecond and arrive in order; routers die and
//! come back, links and connections are cut. [`walk`] lets that happen at random and compares what everybody has with a model.

mod model;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tapway_bgp::config::{
    AddPaths, DECISION, GracefulRestart, PeerAddress, PeerAsPath, PeerAsn, PeerConfig, PeerNextHop,
    PrefixLimit, Reach, SendPaths, SpeakerConfig,
};
use tapway_bgp::{
    Action, Announcement, AnnouncementId, ConnId, ConnInfo, Endpoint, LocalAddresses, Speaker,
    StartKind, State,
};
use tapway_model::{ClaimKind, Domain, Family, Instant, NetworkName, PeerName, PolicyName, Prefix};

const ASN: u32 = 64612;
const IFINDEX: u32 = 1;
/// How long bytes are under way.
const DELAY: Duration = Duration::from_millis(1);
/// How long routes are kept for a router that is away.
const RESTART: Duration = Duration::from_secs(30);
/// The reflectors are the first routers.
pub const REFLECTORS: usize = 2;

/// How large a fabric is, and what its reflectors send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Hypervisors.
    pub hypervisors: usize,
    /// Claims of each.
    pub claims: usize,
    /// Reflectors send all paths, not the best one (RFC 7911).
    pub add_paths: bool,
}

#[derive(Debug)]
enum Packet {
    Connected(ConnId, ConnInfo),
    Failed(ConnId),
    Accepted(ConnId, ConnInfo),
    Data(ConnId, Vec<u8>),
    Closed(ConnId),
}

/// One of the routers.
struct Router {
    /// `None` while it is dead.
    speaker: Option<Speaker>,
    claims: BTreeSet<Prefix>,
    /// It has a link.
    linked: bool,
    timeout: Option<Instant>,
}

/// The fabric.
pub struct Fabric {
    size: Size,
    seed: u64,
    now: Instant,
    routers: Vec<Router>,
    /// Both ends of each connection.
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    queue: BTreeMap<(Instant, u64), (usize, Packet)>,
    serial: u64,
    /// Routers that may have something to do.
    dirty: BTreeSet<usize>,
}

/// A router's address, which is its identifier as well.
fn address(router: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + router as u32)
}

fn router_at(addr: IpAddr) -> Option<usize> {
    match addr {
        IpAddr::V4(addr) => addr.to_bits().checked_sub(0x0a00_0001).map(|n| n as usize),
        IpAddr::V6(_) => None,
    }
}

fn peer_name(router: usize) -> PeerName {
    PeerName::new(&format!("r{router}")).expect("a plain name")
}

fn at(router: usize) -> SocketAddr {
    (address(router), 179).into()
}

impl Fabric {
    /// A fabric whose sessions are up, with all claims announced.
    pub fn new(size: Size, seed: u64) -> Fabric {
        let router = |number: usize| Router {
            speaker: None,
            claims: match number.checked_sub(REFLECTORS) {
                None => BTreeSet::new(),
                Some(h) => (0..size.claims)
                    .map(|n| claim(h * size.claims + n))
                    .collect(),
            },
            linked: true,
            timeout: None,
        };
        let mut fabric = Fabric {
            size,
            seed,
            now: Instant::from_nanos(1_000_000_000),
            routers: (0..REFLECTORS + size.hypervisors).map(router).collect(),
            ends: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
            dirty: BTreeSet::new(),
        };
        (0..fabric.routers.len()).for_each(|r| fabric.start(r, StartKind::Cold));
        fabric.advance(Duration::from_secs(40));
        fabric
    }

    /// Starts a router.
    pub fn start(&mut self, router: usize, start: StartKind) {
        let now = self.now;
        let config = SpeakerConfig {
            asn: ASN,
            router_id: address(router),
            graceful_restart: None,
            cluster_id: None,
            decision: DECISION,
        };
        let mut speaker = Speaker::new(config, self.seed ^ self.serial, start);
        for peer in self.peers_of(router) {
            speaker.set_peer(now, self.settings(router, peer));
        }
        for prefix in &self.routers[router].claims {
            speaker.announce(now, announcement(*prefix));
        }
        speaker.set_restart_done(now);
        self.routers[router].speaker = Some(speaker);
        self.set_endpoints(router);
        self.dirty.insert(router);
    }

    fn peers_of(&self, router: usize) -> Vec<usize> {
        let all = match router < REFLECTORS {
            true => 0..self.routers.len(),
            false => 0..REFLECTORS,
        };
        all.filter(|peer| *peer != router).collect()
    }

    /// What a router knows of a peer: reflectors wait for those with higher numbers.
    fn settings(&self, router: usize, peer: usize) -> PeerConfig {
        let client = router < REFLECTORS && peer >= REFLECTORS;
        let several = self.size.add_paths && (client || router >= REFLECTORS);
        PeerConfig {
            name: peer_name(peer),
            address: PeerAddress::Ip {
                addr: address(peer).into(),
                interface: None,
            },
            range: None,
            port: 179,
            local_address: None,
            asn: PeerAsn::Internal,
            families: vec![Family::Ipv4],
            password: None,
            hold_time: Duration::from_secs(90),
            keepalive: None,
            connect_retry: Duration::from_secs(5),
            passive: peer > router,
            reach: Reach::Direct,
            add_paths: AddPaths {
                receive: several && !client,
                send: (several && client).then_some(SendPaths::All),
            },
            next_hop: PeerNextHop::default(),
            client,
            role: None,
            as_path: PeerAsPath::default(),
            import: PolicyName::new("all").expect("a plain name"),
            export: PolicyName::new("claims").expect("a plain name"),
            install: None,
            prefix_limit: PrefixLimit::new(u32::MAX),
            graceful_restart: Some(GracefulRestart {
                time: RESTART,
                notification: false,
                long_lived: None,
            }),
            disabled: false,
        }
    }

    fn set_endpoints(&mut self, router: usize) {
        let (now, linked) = (self.now, self.routers[router].linked);
        for peer in self.peers_of(router) {
            let endpoint = linked.then(|| Endpoint {
                remote: at(peer),
                local: None,
                ifindex: IFINDEX,
            });
            if let Some(speaker) = &mut self.routers[router].speaker {
                speaker.set_peer_endpoint(now, &peer_name(peer), endpoint);
            }
        }
        self.dirty.insert(router);
    }

    /// A router dies without a word; the others see its connections close.
    pub fn kill(&mut self, router: usize) {
        self.routers[router].speaker = None;
        self.routers[router].timeout = None;
        self.queue.retain(|_, (to, _)| *to != router);
        for far in self.drop_ends(router) {
            self.send(far.0, Packet::Closed(far.1));
        }
    }

    /// Takes away all connections of a router. The other ends know nothing of it.
    fn drop_ends(&mut self, router: usize) -> Vec<(usize, ConnId)> {
        let mine = (router, ConnId::Outgoing(0))..(router + 1, ConnId::Outgoing(0));
        let mine: Vec<_> = self
            .ends
            .range(mine)
            .map(|(near, far)| (*near, *far))
            .collect();
        for (near, far) in &mine {
            self.ends.remove(near);
            self.ends.remove(far);
        }
        mine.into_iter().map(|(_, far)| far).collect()
    }

    /// The link of a router goes down, which the others do not see, or comes up.
    pub fn set_link(&mut self, router: usize, up: bool) {
        self.routers[router].linked = up;
        if !up {
            self.drop_ends(router);
            self.queue.retain(|_, (to, _)| *to != router);
            let now = self.now;
            if let Some(speaker) = &mut self.routers[router].speaker {
                speaker.handle_link_down(now, IFINDEX);
            }
        }
        self.set_endpoints(router);
    }

    /// A connection between two routers breaks, and both see it.
    pub fn break_connection(&mut self, router: usize, reflector: usize) {
        let mut between = self
            .ends
            .iter()
            .filter(|(near, far)| near.0 == router && far.0 == reflector);
        let Some((near, far)) = between.next().map(|(near, far)| (*near, *far)) else {
            return;
        };
        for end in [near, far] {
            self.ends.remove(&end);
            self.send(end.0, Packet::Closed(end.1));
        }
    }

    /// A router has a claim from now on, or no longer; it announces or withdraws it while it is alive.
    pub fn set_claim(&mut self, router: usize, prefix: Prefix, there: bool) {
        let now = self.now;
        let Router {
            speaker, claims, ..
        } = &mut self.routers[router];
        let changed = match there {
            true => claims.insert(prefix),
            false => claims.remove(&prefix),
        };
        if let Some(speaker) = speaker.as_mut().filter(|_| changed) {
            match there {
                true => speaker.announce(now, announcement(prefix)),
                false => _ = speaker.withdraw(now, &announcement(prefix).id),
            }
        }
        self.dirty.insert(router);
    }

    /// A router, unless it is dead.
    pub fn speaker(&self, router: usize) -> Option<&Speaker> {
        self.routers[router].speaker.as_ref()
    }

    /// Whether a session between two routers is up, as the first one sees it.
    pub fn is_established(&self, router: usize, peer: usize) -> bool {
        let summary = self.speaker(router).and_then(|s| s.peer(&peer_name(peer)));
        summary.is_some_and(|summary| summary.state == State::Established)
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.advance_and(time, |_, _| ());
    }

    /// The same, and shows each router to which bytes came.
    pub fn advance_and(&mut self, time: Duration, mut look: impl FnMut(&Fabric, usize)) {
        let end = self.now + time;
        loop {
            self.settle();
            let timer = self.routers.iter().filter_map(|r| r.timeout).min();
            let arrival = self.queue.keys().next().map(|(at, _)| *at);
            let next = timer.into_iter().chain(arrival).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry()
                && entry.key().0 <= self.now
            {
                let (router, packet) = entry.remove();
                self.deliver(router, packet);
                look(self, router);
            }
            self.fire_timers();
        }
        self.now = end;
    }

    fn fire_timers(&mut self) {
        let now = self.now;
        for (number, router) in self.routers.iter_mut().enumerate() {
            if router.timeout.is_some_and(|at| at <= now)
                && let Some(speaker) = &mut router.speaker
            {
                speaker.handle_timeout(now);
                self.dirty.insert(number);
            }
        }
    }

    /// Does what routers want done now.
    fn settle(&mut self) {
        while let Some(router) = self.dirty.pop_first() {
            let Some(mut speaker) = self.routers[router].speaker.take() else {
                continue;
            };
            loop {
                if let Some(action) = speaker.poll_action() {
                    self.act(router, action);
                } else if let Some(transmit) = speaker.poll_transmit(self.now) {
                    if let Some((far, conn)) = self.ends.get(&(router, transmit.conn)).copied() {
                        self.send(far, Packet::Data(conn, transmit.bytes));
                    }
                } else {
                    break;
                }
            }
            self.routers[router].timeout = speaker.poll_timeout();
            self.routers[router].speaker = Some(speaker);
        }
    }

    fn act(&mut self, router: usize, action: Action) {
        match action {
            Action::Connect { conn, remote, .. } => self.connect(router, conn, remote),
            Action::Close { conn, farewell } => {
                if let Some((far, id)) = self.ends.remove(&(router, conn)) {
                    self.ends.remove(&(far, id));
                    if !farewell.is_empty() {
                        self.send(far, Packet::Data(id, farewell));
                    }
                    self.send(far, Packet::Closed(id));
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, router: usize, conn: ConnId, remote: SocketAddr) {
        let far = router_at(remote.ip()).filter(|far| *far < self.routers.len());
        let linked = |r: usize| self.routers[r].linked;
        let far = far.filter(|far| linked(*far) && linked(router));
        let Some(far) = far.filter(|far| self.routers[*far].speaker.is_some()) else {
            return self.send(router, Packet::Failed(conn));
        };
        self.serial += 1;
        let accepted = ConnId::Incoming(self.serial);
        self.ends.insert((router, conn), (far, accepted));
        self.ends.insert((far, accepted), (router, conn));
        let info = |local, remote| ConnInfo {
            local: at(local),
            remote: at(remote),
            ifindex: IFINDEX,
        };
        self.send(router, Packet::Connected(conn, info(router, far)));
        self.send(far, Packet::Accepted(accepted, info(far, router)));
    }

    fn send(&mut self, router: usize, packet: Packet) {
        self.serial += 1;
        let key = (self.now + DELAY, self.serial);
        self.queue.insert(key, (router, packet));
    }

    fn deliver(&mut self, router: usize, packet: Packet) {
        let now = self.now;
        let Some(speaker) = &mut self.routers[router].speaker else {
            return;
        };
        let ours = LocalAddresses {
            v4: Some(address(router)),
            ..LocalAddresses::default()
        };
        match packet {
            Packet::Connected(conn, info) => {
                speaker.handle_connected(now, conn, info);
                speaker.set_local_addresses(now, conn, ours);
            }
            Packet::Failed(conn) => speaker.handle_connect_failed(now, conn, "refused"),
            Packet::Accepted(conn, info) => {
                speaker.handle_accepted(now, conn, info);
                speaker.set_local_addresses(now, conn, ours);
            }
            Packet::Data(conn, bytes) => speaker.handle_data(now, conn, &bytes),
            Packet::Closed(conn) => speaker.handle_closed(now, conn, "closed"),
        }
        self.dirty.insert(router);
    }
}

/// The claim of this number, of all hypervisors.
fn claim(number: usize) -> Prefix {
    Prefix::host(Ipv4Addr::from_bits(0xcb00_0000 + number as u32).into())
}

fn announcement(prefix: Prefix) -> Announcement {
    Announcement {
        id: AnnouncementId {
            domain: Domain::MAIN,
            prefix,
        },
        kind: ClaimKind::Address,
        network: NetworkName::new("default").expect("a plain name"),
        peers: None,
        instances: Vec::new(),
        tags: Vec::new(),
        next_hop: None,
    }
}
