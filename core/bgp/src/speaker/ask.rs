//! Answers about peers.

use core::net::IpAddr;

use tapway_model::Family;
use tapway_rib::Rib;

use super::action::ListenPeer;
use super::answer::{FamilySummary, NegotiatedSummary, PeerSummary};
use super::peer::Peer;
use crate::session::open::Negotiated;
use crate::session::timers::Timer;

impl Peer {
    /// The peer as it is now.
    pub(crate) fn summary(&self, rib: &Rib) -> PeerSummary {
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
            refused_until: self.refused_until,
            restarting_until: self.restart_until,
            families: self
                .config
                .families
                .iter()
                .map(|f| self.family(rib, *f))
                .collect(),
        }
    }

    fn family(&self, rib: &Rib, family: Family) -> FamilySummary {
        let (inbound, outbound) = (&self.inbound[family], &self.outbound[family]);
        let counts = self.counts(rib, family);
        FamilySummary {
            family,
            negotiated: self.speaks(family),
            received: counts.routes,
            accepted: counts.accepted,
            stale: counts.stale,
            kept_until: self.long_lived[family].until,
            near_limit: inbound.near_limit,
            advertised: outbound.member.map_or(0, |m| rib.told_count(m)),
            pending: outbound.member.map_or(0, |m| rib.pending(m)),
            end_of_rib_received: inbound.end_of_rib,
            end_of_rib_sent: outbound.end_of_rib,
        }
    }

    /// What a listener must know of it, when a connection from `remote` over the link `ifindex` is its own.
    pub(crate) fn listen_at(&self, remote: IpAddr, ifindex: u32) -> Option<ListenPeer> {
        let endpoint = self.endpoint.filter(|_| !self.disabled)?;
        let same_link = endpoint.ifindex == ifindex || endpoint.ifindex == 0 || ifindex == 0;
        if endpoint.remote.ip() != remote || !same_link {
            return None;
        }
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

    /// Whether it may still send its first routes after our restart. One that restarted itself waits for us, too, and one
    /// without graceful restart need not say when they are complete (RFC 4724 §4.1).
    pub(crate) fn first_routes_to_come(&self, family: Family) -> bool {
        if self.disabled || !self.config.families.contains(&family) {
            return false;
        }
        if !self.established() {
            return self.history.established_count == 0;
        }
        let restart = self.main.negotiated().and_then(|n| n.restart.as_ref());
        let will_say = restart.is_some_and(|r| !r.restarted);
        will_say && self.speaks(family) && !self.inbound[family].end_of_rib
    }

    /// Whether it installs routes of a family and may still send its first ones.
    pub(crate) fn awaits_first_routes(&self, family: Family) -> bool {
        let wanted = self.config.install.is_some()
            && self.config.families.contains(&family)
            && !self.disabled;
        let spoke =
            self.history.established_count > 0 && (!self.established() || !self.speaks(family));
        wanted && self.endpoint.is_some() && !self.inbound[family].end_of_rib && !spoke
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
        add_path_send: families(&|f| n.encode.add_path[f]),
        peer_restart_time: restart.map(|r| r.time),
        peer_restart_families: families(&|f| restart.is_some_and(|r| r.families[f].is_some())),
        notification_restart: restart.is_some_and(|r| r.notification),
        long_lived: n.long_lived,
        peer_restarted: restart.is_some_and(|r| r.restarted),
        role: n.role,
        role_confirmed: n.role.is_some() && n.peer_role.is_some(),
    }
}
