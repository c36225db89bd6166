//! Where peers are now, what to listen on, and which of our addresses sessions use.

use super::Node;
use crate::action::Action;
use crate::uplink::{self, Unfit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp::config::PeerAddress;
use tapway_bgp::{ConnId, Endpoint};
use tapway_fib::IfIndex;
use tapway_model::{IfName, Instant, PeerName};

impl Node {
    /// Where peers are now, what to listen on, and which of our addresses sessions use.
    pub(super) fn update_uplinks(&mut self, now: Instant) {
        let unfit = Unfit {
            gateways: &self.gateways,
        };
        let mut changed: Vec<(PeerName, Result<Endpoint, String>)> = Vec::new();
        for peer in self.peer_configs() {
            let name = &peer.name;
            if matches!(peer.address, PeerAddress::Range(_)) {
                continue;
            }
            let mut endpoint = uplink::endpoint(peer, &self.fib, &unfit);
            // The kernel forgets neighbours that it does not talk to. One heard once stays the peer's
            // until its link goes.
            if let (Err(_), Some(Ok(old)), PeerAddress::Interface(on)) =
                (&endpoint, self.endpoints.get(name), &peer.address)
                && self
                    .fib
                    .link_named(on)
                    .is_some_and(|l| l.usable() && l.index == old.ifindex)
            {
                endpoint = Ok(*old);
            }
            if self.endpoints.get(name) != Some(&endpoint) {
                changed.push((name.clone(), endpoint));
            }
        }
        for (name, endpoint) in &changed {
            self.endpoints.insert(name.clone(), endpoint.clone());
        }
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
