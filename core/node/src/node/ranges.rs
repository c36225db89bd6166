//! Peers by range: who connects from one becomes a peer for as long as its session, or what is kept of it, lasts.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tapway_bgp::State;
use tapway_bgp::config::{PeerAddress, PeerConfig, PeerRange};
use tapway_fib::IfIndex;
use tapway_model::{Instant, PeerName};

use super::Node;
use crate::action::Level;
use crate::uplink::{self, Unfit};

/// A range that is full says so once in this time.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Peers that ranges made.
#[derive(Debug, Default)]
pub(crate) struct Ranged {
    pub(super) peers: BTreeMap<PeerName, PeerConfig>,
    /// Those that may be over.
    ended: Vec<PeerName>,
    /// When a range last said that it is full.
    told: BTreeMap<PeerName, Instant>,
}

impl Node {
    /// Somebody connected from `remote`, over the interface `arrived` (0: unknown). When no peer is there and a
    /// range has the address, it becomes a peer. To be called before
    /// [`Node::handle_accepted`].
    pub fn admit(&mut self, now: Instant, remote: SocketAddr, arrived: IfIndex) {
        let addr = remote.ip().to_canonical();
        let scope = match addr {
            core::net::IpAddr::V6(a) if a.is_unicast_link_local() => match self.fib.link(arrived) {
                Some(link) => Some(link.name.clone()),
                None => return,
            },
            _ => None,
        };
        let at = PeerAddress::Ip {
            addr,
            interface: scope,
        };
        if self.peer_configs().any(|peer| peer.address == at) {
            return;
        }
        let Some((template, range)) = self.range_of(&at) else {
            return;
        };
        let (name, limit) = (template.name.clone(), range.limit);
        let members = self.members_of(&name);
        let Some(peer) = member(template, at) else {
            return;
        };
        if members >= limit as usize {
            return self.tell_full(now, name, &peer.name, limit);
        }
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let Ok(endpoint) = uplink::endpoint(&peer, &self.fib, &unfit) else {
            return;
        };
        let name = peer.name.clone();
        self.ranged.peers.insert(name.clone(), peer.clone());
        self.speaker.set_peer(now, peer);
        self.endpoints.insert(name.clone(), Ok(endpoint));
        self.speaker.set_peer_endpoint(now, &name, Some(endpoint));
        self.turn(now);
    }

    /// All peers with their settings: those of the configuration, ranges among them, and those that ranges made.
    pub fn peer_configs(&self) -> impl Iterator<Item = &PeerConfig> {
        self.config.peers.values().chain(self.ranged.peers.values())
    }

    /// The names of all peers that may have a session.
    pub fn peer_names(&self) -> impl Iterator<Item = &PeerName> {
        let peers = self.peer_configs();
        let peers = peers.filter(|peer| !matches!(peer.address, PeerAddress::Range(_)));
        peers.map(|peer| &peer.name)
    }

    /// How many peers a range has made that are still there.
    pub fn members_of(&self, range: &PeerName) -> usize {
        let of_range = |peer: &&PeerConfig| peer.range.as_ref() == Some(range);
        self.ranged.peers.values().filter(of_range).count()
    }

    /// The settings of a peer.
    pub fn peer_config(&self, name: &PeerName) -> Option<&PeerConfig> {
        let made = || self.ranged.peers.get(name);
        self.config.peers.get(name).or_else(made)
    }

    /// The range with the longest prefix that has this address.
    fn range_of(&self, at: &PeerAddress) -> Option<(&PeerConfig, &PeerRange)> {
        let PeerAddress::Ip { addr, .. } = at else {
            return None;
        };
        let ranges = self.config.peers.values().filter_map(|peer| {
            let PeerAddress::Range(range) = &peer.address else {
                return None;
            };
            let has = range.prefixes.iter().filter(|p| p.contains_addr(addr));
            let longest = has.map(|prefix| prefix.len()).max()?;
            (!peer.disabled).then_some((longest, (peer, range)))
        });
        // Of several, the first by name.
        let best = ranges.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map(|(_, found)| found)
    }

    fn tell_full(&mut self, now: Instant, range: PeerName, refused: &PeerName, limit: u32) {
        let told = self.ranged.told.get(&range).copied();
        if told.is_none_or(|told| now.since(told) >= TOLD_AGAIN) {
            let text = format!(
                "{refused} is refused: the range has its {limit} peers; raise range_limit if they are all wanted"
            );
            self.event(Level::Warning, "peer.range-full", range.as_str(), text);
            self.ranged.told.insert(range, now);
        }
    }

    /// A range has other settings, or is gone: those that it made follow.
    pub(super) fn update_range(&mut self, now: Instant, range: &PeerName) {
        let template = self.config.peers.get(range).cloned();
        let members = self.ranged.peers.values();
        let members = members.filter(|peer| peer.range.as_ref() == Some(range));
        let members: Vec<PeerConfig> = members.cloned().collect();
        for peer in members {
            let stays = template.as_ref().filter(|template| {
                let PeerAddress::Range(range) = &template.address else {
                    return false;
                };
                let PeerAddress::Ip { addr, .. } = &peer.address else {
                    return false;
                };
                !template.disabled && range.prefixes.iter().any(|p| p.contains_addr(addr))
            });
            match stays {
                Some(template) => {
                    let peer = PeerConfig {
                        name: peer.name,
                        address: peer.address,
                        range: peer.range,
                        passive: true,
                        ..template.clone()
                    };
                    self.ranged.peers.insert(peer.name.clone(), peer.clone());
                    self.speaker.set_peer(now, peer);
                }
                None => self.dismiss(now, &peer.name),
            }
        }
    }

    /// A session of this peer ended, or what was kept of it is gone.
    pub(super) fn note_ended(&mut self, peer: &PeerName) {
        if self.ranged.peers.contains_key(peer) {
            self.ranged.ended.push(peer.clone());
        }
    }

    /// Forgets peers that ranges made and that are over.
    pub(super) fn dismiss_ended(&mut self, now: Instant) {
        for name in core::mem::take(&mut self.ranged.ended) {
            let over = self.speaker.peer(&name).is_none_or(|peer| {
                let waits = matches!(peer.state, State::Idle | State::Active);
                waits && !peer.disabled && peer.families.iter().all(|f| f.received == 0)
            });
            if over {
                self.dismiss(now, &name);
            }
        }
    }

    fn dismiss(&mut self, now: Instant, name: &PeerName) {
        self.ranged.peers.remove(name);
        self.speaker.remove_peer(now, name);
        self.endpoints.remove(name);
    }
}

/// The peer at `at` that a range makes; `None`: no name can be made of its interface's.
fn member(template: &PeerConfig, at: PeerAddress) -> Option<PeerConfig> {
    let PeerAddress::Ip { addr, interface } = &at else {
        return None;
    };
    let name = match interface {
        None => format!("{}@{addr}", template.name),
        Some(on) => format!("{}@{addr}@{on}", template.name),
    };
    Some(PeerConfig {
        name: PeerName::new(&name).ok()?,
        address: at,
        range: Some(template.name.clone()),
        passive: true,
        ..template.clone()
    })
}
