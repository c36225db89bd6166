//! The routers of a world: the first one, and others that are called by the hypervisor or call it, as a range lets them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tapway_bgp::config::{PeerAddress, PeerAsn, PeerConfig, PeerRange};
use tapway_bgp::{Endpoint, ReceivedRoute, Speaker, StartKind, State};
use tapway_model::{Instant, PeerName, PolicyName, Prefix};

use super::{
    HOST_ADDR, ROUTER_ADDR, World, WorldConfig, default_route, peer, peer_config, policy,
    speaker_config,
};

/// A router beside the first one. It announces nothing.
#[derive(Clone, Debug)]
pub struct Other {
    /// What networks and policies call it: its name, or that of its range.
    pub name: PeerName,
    /// Its address, on the link of the first router.
    pub addr: Ipv4Addr,
    /// Its AS.
    pub asn: u32,
    /// What the hypervisor sends it.
    pub export: PolicyName,
    /// It calls the hypervisor, from this range; else it is called.
    pub range: Option<Prefix>,
}

#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) speaker: Speaker,
    pub(super) addr: Ipv4Addr,
}

/// All routers, the first one first.
pub(super) fn all(world: &WorldConfig) -> Vec<Router> {
    let others = world.others.iter().map(other);
    [first(world)].into_iter().chain(others).collect()
}

fn first(world: &WorldConfig) -> Router {
    let now = Instant::from_nanos(1_000_000_000);
    let mut router = Router::new(65000, ROUTER_ADDR, world.seed ^ 0x5eed);
    let export = match world.router_announces_default {
        true => "claims",
        false => "none",
    };
    router.meet(export, true);
    if world.router_announces_default {
        router.speaker.announce(now, default_route());
        router.speaker.set_restart_done(now);
    }
    router
}

fn other(other: &Other) -> Router {
    let mut router = Router::new(other.asn, other.addr, other.asn.into());
    router.meet("none", other.range.is_none());
    router
}

impl Router {
    fn new(asn: u32, addr: Ipv4Addr, seed: u64) -> Router {
        Router {
            speaker: Speaker::new(speaker_config(asn, addr), seed, StartKind::Cold),
            addr,
        }
    }

    /// The hypervisor is its peer.
    fn meet(&mut self, export: &str, passive: bool) {
        let now = Instant::from_nanos(1_000_000_000);
        let mut config = peer_config("hv", IpAddr::V4(HOST_ADDR), 64612, passive);
        config.import = policy("all");
        config.export = policy(export);
        config.install = None;
        self.speaker.set_peer(now, config);
        let endpoint = Endpoint {
            remote: SocketAddr::from((HOST_ADDR, 179)),
            local: None,
            ifindex: 1,
        };
        self.speaker
            .set_peer_endpoint(now, &peer("hv"), Some(endpoint));
    }
}

/// The peers in the hypervisor's configuration.
pub(super) fn peers(world: &WorldConfig) -> BTreeMap<PeerName, PeerConfig> {
    let first = peer_config("tor", IpAddr::V4(ROUTER_ADDR), 65000, false);
    let others = world.others.iter().map(settings);
    let all = [first].into_iter().chain(others);
    all.map(|config| (config.name.clone(), config)).collect()
}

fn settings(other: &Other) -> PeerConfig {
    let mut config = peer_config(other.name.as_str(), other.addr.into(), other.asn, false);
    config.import = policy("none");
    config.export = other.export.clone();
    config.install = None;
    if let Some(prefix) = other.range {
        let prefixes = vec![prefix];
        config.address = PeerAddress::Range(PeerRange { prefixes, limit: 3 });
        config.asn = PeerAsn::External;
        config.passive = true;
    }
    config
}

impl World {
    /// The first router resets its session with a NOTIFICATION.
    pub fn reset_session(&mut self) {
        self.reset_session_of(0);
    }

    /// A router resets its session: the first one, or those of [`WorldConfig::others`] from 1.
    pub fn reset_session_of(&mut self, router: usize) {
        let router = &mut self.routers[router].speaker;
        router.reset_hard(self.now, &peer("hv"), None);
        self.settle();
    }

    /// What the first router has from the hypervisor and does not only keep for the restart.
    pub fn fresh(&self) -> BTreeSet<Prefix> {
        let routes = self.routes_at(0);
        let fresh = routes.iter().filter(|r| !r.stale);
        fresh.map(|r| r.prefix).collect()
    }

    /// What the first router has from the hypervisor, stale or not.
    pub fn received(&self) -> BTreeSet<Prefix> {
        self.routes_at(0).iter().map(|r| r.prefix).collect()
    }

    /// What a router has from the hypervisor.
    pub fn routes_at(&self, router: usize) -> Vec<ReceivedRoute> {
        let router = &self.routers[router].speaker;
        router.received(&peer("hv")).collect()
    }

    /// Whether the session with the first router is up.
    pub fn is_established(&self) -> bool {
        self.is_established_with(0)
    }

    /// Whether the session with a router is up.
    pub fn is_established_with(&self, router: usize) -> bool {
        let mut peers = self.routers[router].speaker.peers();
        peers.any(|p| p.state == State::Established)
    }

    /// The operator changes what one of the others is sent; the daemon has it at once, or when it starts.
    pub fn set_export(&mut self, other: usize, export: PolicyName) {
        self.config.others[other].export = export;
        let config = settings(&self.config.others[other]);
        let now = self.now;
        if let Some(node) = &mut self.node {
            node.set_peer(now, config);
        }
        self.settle();
    }
}
