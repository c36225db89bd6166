//! Peers and their sessions.

use tapway_api::list::List;
use tapway_api::peer::{Messages, Origin, Peer, PeerDetail, PeerFamily, Session, SessionState};
use tapway_bgp::config::{PeerAddress, PeerAsn, PeerConfig};
use tapway_bgp::{Counters, NegotiatedSummary, PeerSummary, State};
use tapway_model::{Instant, PeerName};
use tapway_node::Node;

/// All peers.
pub fn peers(node: &Node, now: Instant, origin: impl Fn(&PeerName) -> Origin) -> List<Peer> {
    let items = node.speaker().peers().filter_map(|summary| {
        let config = node.config().peers.get(&summary.name)?;
        Some(peer(node, now, &summary, config, origin(&summary.name)))
    });
    List::whole(items.collect())
}

/// One peer.
pub fn peer(
    node: &Node,
    now: Instant,
    summary: &PeerSummary,
    config: &PeerConfig,
    origin: Origin,
) -> Peer {
    let endpoint = node.endpoint(&summary.name);
    let remote = endpoint
        .and_then(|e| e.as_ref().ok())
        .map(|e| e.remote.ip());
    let (address, interface) = match &config.address {
        PeerAddress::Ip {
            addr,
            interface: None,
        } => (Some(addr.to_string()), None),
        PeerAddress::Ip {
            addr,
            interface: Some(name),
        } => (Some(format!("{addr}%{name}")), Some(name.clone())),
        PeerAddress::Interface(name) => (
            remote.map(|addr| format!("{addr}%{name}")),
            Some(name.clone()),
        ),
    };
    let why_unreachable = endpoint.and_then(|e| e.as_ref().err()).cloned();
    let last_down = summary
        .last_down
        .as_ref()
        .map(|(_, reason)| reason.to_string());
    Peer {
        name: summary.name.clone(),
        origin,
        address,
        interface,
        asn: summary
            .negotiated
            .as_ref()
            .map(|n| n.asn)
            .or(match config.asn {
                PeerAsn::Number(asn) => Some(asn),
                PeerAsn::Internal => Some(node.config().speaker.asn),
                PeerAsn::External => None,
            }),
        state: session_state(summary.state),
        state_age_s: super::age(now, summary.since),
        disabled: summary.disabled,
        last_error: if summary.state == State::Established {
            None
        } else {
            why_unreachable.or(last_down)
        },
        import: config.import.clone(),
        export: config.export.clone(),
        families: summary
            .families
            .iter()
            .filter(|f| f.negotiated || summary.negotiated.is_none())
            .map(|f| PeerFamily {
                family: f.family,
                received: f.received as u64,
                accepted: f.accepted as u64,
                advertised: f.advertised as u64,
                stale: f.stale as u64,
                end_of_rib_received: f.end_of_rib_received,
                end_of_rib_sent: f.end_of_rib_sent,
                next_hop: None,
                no_next_hop: None,
            })
            .collect(),
    }
}

/// One peer with its session and configuration.
pub fn peer_detail(peer: Peer, summary: &PeerSummary, config: serde_json::Value) -> PeerDetail {
    let session = match (&summary.negotiated, &summary.connection) {
        (Some(negotiated), Some((_, ends))) => Some(Session {
            local: ends.local,
            remote: ends.remote,
            router_id: negotiated.router_id,
            hold_time_s: negotiated.hold_time.as_secs(),
            keepalive_s: negotiated.keepalive.as_secs(),
            capabilities: capabilities(negotiated),
            received: messages(&summary.received),
            sent: messages(&summary.sent),
            established_count: summary.established_count,
        }),
        _ => None,
    };
    PeerDetail {
        peer,
        session,
        config,
    }
}

fn capabilities(n: &NegotiatedSummary) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |there: bool, text: &str| {
        if there {
            out.push(text.to_owned());
        }
    };
    say(n.four_octet_as, "4-octet AS");
    say(n.route_refresh, "route refresh");
    say(n.enhanced_refresh, "enhanced route refresh");
    say(n.extended_messages, "extended messages");
    say(n.extended_next_hop, "IPv4 over IPv6 next hops");
    for family in &n.add_path_receive {
        say(true, &format!("add-path receive {family}"));
    }
    if let Some(time) = n.peer_restart_time {
        say(true, &format!("graceful restart {} s", time.as_secs()));
    }
    say(n.notification_restart, "graceful restart on NOTIFICATION");
    out
}

fn messages(counters: &Counters) -> Messages {
    Messages {
        total: counters.messages(),
        updates: counters.update,
        bytes: counters.bytes,
    }
}

fn session_state(state: State) -> SessionState {
    match state {
        State::Idle => SessionState::Idle,
        State::Connect => SessionState::Connect,
        State::Active => SessionState::Active,
        State::OpenSent => SessionState::OpenSent,
        State::OpenConfirm => SessionState::OpenConfirm,
        State::Established => SessionState::Established,
    }
}
