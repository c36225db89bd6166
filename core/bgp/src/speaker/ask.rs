//! Answers about peers and routes.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_bgp_wire::{Attributes, NextHop};
use tapway_model::{Family, Prefix};

use super::action::ListenPeer;
use super::answer::{
    AdvertisedRoute, FamilySummary, Installable, NegotiatedSummary, PeerSummary, ReceivedRoute,
};
use super::peer::Peer;
use crate::config::{Install, InstallChange, Reach};
use crate::policy::{Modifications, NextHopChange};
use crate::rib::adj_in::Path;
use crate::rib::select::{Rank, keep_best};
use crate::session::open::Negotiated;
use crate::session::timers::Timer;

impl Peer {
    /// The peer as it is now.
    pub(crate) fn summary(&self) -> PeerSummary {
        let session = self
            .other
            .as_ref()
            .filter(|o| o.state > self.main.state)
            .unwrap_or(&self.main);
        let timers = &self.main.timers;
        let history = &self.history;
        PeerSummary {
            name: self.config.name.clone(),
            state: self.state(),
            since: history.since,
            established_since: self.main.established,
            disabled: self.disabled,
            disabled_message: self.disabled_message.clone(),
            reachable: self.endpoint.is_some(),
            connection: session.conn.as_ref().and_then(|c| Some((c.id, c.info?))),
            negotiated: session.negotiated().map(negotiated),
            received: history.received,
            sent: history.sent,
            established_count: history.established_count,
            bad_updates: history.bad_updates,
            last_down: history.last_down.clone(),
            last_received: history.last_received.clone(),
            last_sent: history.last_sent.clone(),
            next_attempt: timers
                .get(Timer::IdleHold)
                .or_else(|| timers.get(Timer::ConnectRetry)),
            restarting_until: self.restart_until,
            families: self
                .config
                .families
                .iter()
                .map(|f| self.family(*f))
                .collect(),
        }
    }

    fn family(&self, family: Family) -> FamilySummary {
        let (adj_in, adj_out) = (&self.adj_in[family], &self.adj_out[family]);
        FamilySummary {
            family,
            negotiated: self.speaks(family),
            received: adj_in.len(),
            accepted: adj_in.accepted_len(),
            stale: adj_in.stale_len(),
            advertised: adj_out.len(),
            pending: adj_out.pending(),
            end_of_rib_received: adj_in.end_of_rib,
            end_of_rib_sent: adj_out.end_of_rib,
        }
    }

    /// What it sent.
    pub(crate) fn received(&self) -> impl Iterator<Item = ReceivedRoute> + '_ {
        let add_path = |family| {
            self.main
                .negotiated()
                .is_some_and(|n| n.decode.add_path[family])
        };
        let add_path = [add_path(Family::Ipv4), add_path(Family::Ipv6)];
        Family::ALL
            .into_iter()
            .zip(add_path)
            .flat_map(move |(family, add_path)| {
                self.adj_in[family].iter().map(move |(key, route)| {
                    let attributes = &route.path.attributes;
                    ReceivedRoute {
                        prefix: key.prefix,
                        path_id: add_path.then_some(key.path_id),
                        next_hop: route.path.next_hop,
                        origin: attributes.origin,
                        as_path: attributes.as_path.to_string(),
                        med: attributes.med,
                        local_pref: attributes.local_pref,
                        communities: attributes.communities.iter().map(|c| c.0).collect(),
                        large_communities: attributes.large_communities.clone(),
                        extended_communities: attributes.extended_communities.clone(),
                        refused: route.verdict.as_ref().err().cloned(),
                        stale: route.stale,
                    }
                })
            })
    }

    /// What it sent to one prefix: next hop and attributes.
    pub(crate) fn received_to(
        &self,
        prefix: Prefix,
    ) -> impl Iterator<Item = (NextHop, &Attributes)> {
        self.adj_in[prefix.family()]
            .to(prefix)
            .map(|(_, route)| (route.path.next_hop, &route.path.attributes))
    }

    /// What it was sent.
    pub(crate) fn advertised(&self) -> impl Iterator<Item = AdvertisedRoute> + '_ {
        Family::ALL.into_iter().flat_map(move |family| {
            self.adj_out[family]
                .iter()
                .map(|(prefix, bundle)| AdvertisedRoute {
                    prefix: *prefix,
                    next_hop: bundle.next_hop,
                    origin: bundle.attributes.origin,
                    as_path: bundle.attributes.as_path.to_string(),
                    med: bundle.attributes.med,
                    local_pref: bundle.attributes.local_pref,
                    communities: bundle.attributes.communities.iter().map(|c| c.0).collect(),
                    large_communities: bundle.attributes.large_communities.clone(),
                    extended_communities: bundle.attributes.extended_communities.clone(),
                })
        })
    }

    /// What a listener must know of it; `None` while it cannot come.
    pub(crate) fn listen(&self) -> Option<ListenPeer> {
        let endpoint = self.endpoint.filter(|_| !self.disabled)?;
        let options = self.socket_options();
        Some(ListenPeer {
            peer: self.config.name.clone(),
            remote: endpoint.remote,
            ifindex: endpoint.ifindex,
            md5: options.md5,
            ttl: options.ttl,
            min_ttl: options.min_ttl,
        })
    }

    /// Whether it installs routes of a family and may still send its first ones.
    pub(crate) fn awaits_first_routes(&self, family: Family) -> bool {
        let wanted = self.config.install.is_some()
            && self.config.families.contains(&family)
            && !self.disabled;
        let spoke =
            self.history.established_count > 0 && (!self.established() || !self.speaks(family));
        wanted && self.endpoint.is_some() && !self.adj_in[family].end_of_rib && !spoke
    }

    /// Where a route with this path goes: what is behind `ifindex` is on the session's own link.
    fn towards(&self, path: &Path, change: Option<NextHopChange>) -> (IpAddr, u32) {
        if let Some(NextHopChange::Address(addr)) = change {
            return (addr, 0);
        }
        let on_link = !matches!(self.config.reach, Reach::Multihop(_));
        let known = self.source.ifindex;
        let ifindex = if known != 0 {
            known
        } else {
            self.endpoint.map_or(0, |e| e.ifindex)
        };
        match path.next_hop {
            NextHop::LinkLocal(addr) => (addr.into(), ifindex),
            NextHop::V6WithLinkLocal { link_local, .. } if on_link && ifindex != 0 => {
                (link_local.into(), ifindex)
            }
            other => (other.addr(), if on_link { ifindex } else { 0 }),
        }
    }
}

/// The best equal accepted routes of every prefix and table, over all peers that install any.
pub(crate) fn installable<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    family: Family,
) -> Vec<Installable> {
    let unchanged = Modifications::default();
    let mut candidates: BTreeMap<(Prefix, u32), Vec<(Rank, Installable)>> = BTreeMap::new();
    for peer in peers {
        let Some(install) = &peer.config.install else {
            continue;
        };
        for (key, route, accepted) in peer.adj_in[family].accepted() {
            let attributes = &route.path.attributes;
            let changes = accepted.changes.as_deref().unwrap_or(&unchanged);
            if changes.install.enabled == Some(false) {
                continue;
            }
            let (next_hop, ifindex) = peer.towards(&route.path, changes.next_hop);
            let neighbour_as = attributes.as_path.first();
            let rank = Rank {
                local_pref: accepted.local_pref,
                as_path_length: changes.prepend.len() + attributes.as_path.length(),
                origin: changes.origin.unwrap_or(attributes.origin),
                med: accepted.med,
                neighbour_as,
                external: peer.source.external,
            };
            let install = fitting(install, &changes.install, family);
            let table = install.table;
            let route = Installable {
                prefix: key.prefix,
                peer: peer.config.name.clone(),
                next_hop,
                ifindex,
                install,
                stale: route.stale,
            };
            candidates
                .entry((key.prefix, table))
                .or_default()
                .push((rank, route));
        }
    }
    let mut all: Vec<Installable> = Vec::new();
    for (_, mut routes) in candidates {
        keep_best(&mut routes);
        let mut routes: Vec<Installable> = routes.into_iter().map(|(_, route)| route).collect();
        // Several paths of one peer may have the same next hop.
        routes.sort();
        routes.dedup_by(|a, b| (a.next_hop, a.ifindex) == (b.next_hop, b.ifindex));
        all.append(&mut routes);
    }
    all
}

/// The peer's settings with what the policy changed, without a preferred source of the other family.
fn fitting(install: &Install, change: &InstallChange, family: Family) -> Install {
    let prefsrc = change.prefsrc.or(install.prefsrc);
    Install {
        table: change.table.unwrap_or(install.table),
        metric: change.metric.or(install.metric),
        prefsrc: prefsrc.filter(|a| Family::of(a) == family),
    }
}

fn negotiated(n: &Negotiated) -> NegotiatedSummary {
    let restart = n.restart.as_ref();
    let families =
        |wanted: &dyn Fn(Family) -> bool| Family::ALL.into_iter().filter(|f| wanted(*f)).collect();
    NegotiatedSummary {
        asn: n.asn,
        router_id: n.router_id,
        external: n.external,
        hold_time: n.hold_time,
        keepalive: n.keepalive,
        four_octet_as: n.decode.four_octet_asn,
        route_refresh: n.refresh,
        enhanced_refresh: n.enhanced_refresh,
        extended_messages: n.decode.extended_message,
        extended_next_hop: n.decode.extended_next_hop,
        add_path_receive: families(&|f| n.decode.add_path[f]),
        peer_restart_time: restart.map(|r| r.time),
        peer_restart_families: families(&|f| restart.is_some_and(|r| r.families[f].is_some())),
        notification_restart: restart.is_some_and(|r| r.notification),
        peer_restarted: restart.is_some_and(|r| r.restarted),
    }
}
