//! Where peers are now, what to listen on, and which of our addresses sessions use.

use super::Node;
use crate::action::Action;
use crate::subnets::Subnets;
use crate::uplink::{self, Unfit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::config::{PeerAddress, PeerConfig};
use tapway_bgp::{ConnId, Endpoint};
use tapway_fib::IfIndex;
use tapway_model::{IfName, Instant, PeerName};

impl Node {
    /// Where peers are now, what to listen on, and which of our addresses sessions use.
    pub(super) fn update_uplinks(&mut self, now: Instant) {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let subnets = Subnets::of(&self.fib, &unfit);
        let mut changed: Vec<(PeerName, Result<Endpoint, String>)> = Vec::new();
        for peer in self.peer_configs() {
            if matches!(peer.address, PeerAddress::Range(_)) {
                continue;
            }
            let endpoint = self.endpoint_now(peer, &subnets);
            if self.endpoints.get(&peer.name) != Some(&endpoint) {
                changed.push((peer.name.clone(), endpoint));
            }
        }
        self.next_hops.stale |= !changed.is_empty();
        for (name, endpoint) in &changed {
            self.endpoints.insert(name.clone(), endpoint.clone());
        }
        // An unnumbered peer may have been heard where a range has let it in before.
        let unnumbered = |name: &PeerName| {
            let peer = self.config.peers.get(name);
            peer.is_some_and(|peer| matches!(peer.address, PeerAddress::Interface(_)))
        };
        if changed.iter().any(|(name, _)| unnumbered(name)) {
            self.review_members(now);
        }
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let guests = self.guest_interfaces();
        let peers = self
            .config
            .peers
            .iter()
            .map(|(name, peer)| (peer, self.endpoints.get(name).and_then(|e| e.as_ref().ok())));
        let listeners = uplink::listeners(&self.config.listen, peers, &guests, &self.fib, &unfit);
        let advertised = uplink::advertised_on(self.config.peers.values(), &self.fib);
        if listeners != self.listeners {
            self.listeners.clone_from(&listeners);
            self.out.push_back(Action::Listen(listeners));
        }
        if advertised != self.advertised {
            self.advertised.clone_from(&advertised);
            self.out.push_back(Action::Advertise(advertised));
        }
        for (name, endpoint) in changed {
            self.speaker.set_peer_endpoint(now, &name, endpoint.ok());
        }
        self.update_forwarding();
        let conns: Vec<(ConnId, IpAddr, IfIndex)> =
            self.conns.iter().map(|(c, (a, i))| (*c, *a, *i)).collect();
        for (conn, local, ifindex) in conns {
            let addresses = self.local_addresses(local, ifindex);
            self.speaker.set_local_addresses(now, conn, addresses);
        }
    }

    /// Where a peer is now, or why it cannot be reached. Who is there already stays there while that leads to it.
    fn endpoint_now(&self, peer: &PeerConfig, subnets: &Subnets) -> Result<Endpoint, String> {
        let now = uplink::endpoint(peer, &self.fib, subnets);
        let Some(Ok(old)) = self.endpoints.get(&peer.name) else {
            return now;
        };
        let usable = self.fib.link(old.ifindex).filter(|link| link.usable());
        let stays = match (&peer.address, usable) {
            // The kernel forgets neighbours that it does not talk to. One heard once stays the peer's
            // until its link goes.
            (PeerAddress::Interface(on), Some(link)) => now.is_err() && link.name == *on,
            // A member of a range is on the link that it came in on, also when another one has its subnet, too.
            (PeerAddress::Ip { addr, .. }, Some(link)) => {
                peer.range.is_some() && subnets.has(addr, link.index)
            }
            (PeerAddress::Range(_), _) | (_, None) => false,
        };
        if stays { Ok(*old) } else { now }
    }

    /// Turns forwarding on as far as that is safe yet.
    pub(super) fn update_forwarding(&mut self) {
        let on_links = self
            .endpoints
            .values()
            .flatten()
            .filter_map(|e| self.fib.link(e.ifindex));
        let named = self
            .config
            .peers
            .values()
            .filter_map(|peer| match &peer.address {
                PeerAddress::Interface(on)
                | PeerAddress::Ip {
                    interface: Some(on),
                    ..
                } => Some(on),
                PeerAddress::Ip {
                    interface: None, ..
                }
                | PeerAddress::Range(_) => None,
            });
        let guests = self.guest_interfaces();
        let uplinks = on_links.map(|l| &l.name).chain(named);
        let uplinks = uplinks
            .filter(|name| !guests.contains(*name))
            .cloned()
            .collect();
        for path in self.forwarding.update(&uplinks, &mut self.fib) {
            self.out.push_back(Action::WatchSysctl(path));
        }
    }

    pub(super) fn local_addresses(
        &self,
        local: IpAddr,
        ifindex: IfIndex,
    ) -> tapway_bgp::LocalAddresses {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        uplink::local_addresses(local, ifindex, &self.fib, &unfit)
    }

    pub(super) fn guest_interfaces(&self) -> BTreeSet<IfName> {
        let bridges = self.networks.values().filter_map(|n| n.bridge.clone());
        self.nic_interfaces.iter().cloned().chain(bridges).collect()
    }
}
