//! Peers and their sessions.

use tapway_api::list::List;
use tapway_api::peer::{Messages, Origin, Peer, PeerDetail, PeerFamily, Session, SessionState};
use tapway_api::problem::{Problem, ProblemKind};
use tapway_bgp::config::{PeerAddress, PeerAsn, PeerConfig, PeerRange};
use tapway_bgp::{Counters, NegotiatedSummary, PeerSummary, State};
use tapway_model::{Instant, PeerName};
use tapway_node::Node;

/// All peers.
pub fn peers(node: &Node, now: Instant, origin: impl Fn(&PeerName) -> Origin) -> List<Peer> {
    let mut configs: Vec<&PeerConfig> = node.peer_configs().collect();
    configs.sort_by_key(|config| &config.name);
    let items = configs
        .into_iter()
        .filter_map(|config| peer(node, now, config, origin(config.known_as())));
    List::whole(items.collect())
}

/// One peer.
pub fn peer(node: &Node, now: Instant, config: &PeerConfig, origin: Origin) -> Option<Peer> {
    if let PeerAddress::Range(range) = &config.address {
        return Some(of_range(node, config, range, origin));
    }
    let summary = node.speaker().peer(&config.name)?;
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
        PeerAddress::Range(_) => (None, None),
    };
    let why_unreachable = endpoint.and_then(|e| e.as_ref().err()).cloned();
    let last_down = summary
        .last_down
        .as_ref()
        .map(|(_, reason)| reason.to_string());
    Some(Peer {
        name: summary.name.clone(),
        origin,
        address,
        interface,
        range: config.range.clone(),
        members: None,
        asn: summary
            .negotiated
            .as_ref()
            .map(|n| n.asn)
            .or(configured_asn(node, config)),
        client: config.client,
        role: role(config),
        local_asn: config.as_path.local.map(|local| local.asn),
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
                stale_for_s: f.kept_until.map(|until| until.since(now).as_secs()),
                near_limit: f.near_limit.then_some(config.prefix_limit.max.into()),
                end_of_rib_received: f.end_of_rib_received,
                end_of_rib_sent: f.end_of_rib_sent,
                next_hop: None,
                no_next_hop: None,
            })
            .collect(),
    })
}

fn of_range(node: &Node, config: &PeerConfig, range: &PeerRange, origin: Origin) -> Peer {
    let prefixes: Vec<String> = range.prefixes.iter().map(ToString::to_string).collect();
    Peer {
        name: config.name.clone(),
        origin,
        address: Some(prefixes.join(", ")),
        interface: None,
        range: None,
        members: Some(node.members_of(&config.name) as u64),
        asn: configured_asn(node, config),
        client: config.client,
        role: role(config),
        local_asn: config.as_path.local.map(|local| local.asn),
        state: SessionState::Listening,
        state_age_s: 0,
        disabled: node.is_range_disabled(&config.name),
        last_error: None,
        import: config.import.clone(),
        export: config.export.clone(),
        families: Vec::new(),
    }
}

/// What is wrong with what peers send.
pub fn peer_problems(node: &Node, now: Instant) -> Vec<Problem> {
    let problem = |name: &PeerName, message, remedy: &str| Problem {
        kind: ProblemKind::Peer,
        subject: name.to_string(),
        message,
        place: None,
        source: None,
        remedy: Some(remedy.to_owned()),
    };
    let of_peer = |peer: PeerSummary| {
        let limit = node
            .peer_config(&peer.name)
            .map(|config| config.prefix_limit.max);
        let limit = limit.unwrap_or_default();
        let near = peer.families.iter().filter(|family| family.near_limit);
        let near = near.map(|f| {
            let message = format!(
                "{} of at most {limit} prefixes of {} are received; beyond that the session ends",
                f.received - f.stale,
                f.family
            );
            problem(&peer.name, message, "raise prefix_limit if they are wanted")
        });
        let mut all: Vec<Problem> = near.collect();
        all.extend(peer.refused_until.map(|until| {
            let message = format!(
                "it sent more than {limit} prefixes of a family; it is let in again in {} s",
                until.since(now).as_secs()
            );
            let remedy =
                "raise prefix_limit if they are wanted; tapway peer reset --hard lets it in now";
            problem(&peer.name, message, remedy)
        }));
        all
    };
    node.speaker().peers().flat_map(of_peer).collect()
}

fn role(config: &PeerConfig) -> Option<String> {
    config.role.map(|ours| ours.role.to_string())
}

fn configured_asn(node: &Node, config: &PeerConfig) -> Option<u32> {
    match config.asn {
        PeerAsn::Number(asn) => Some(asn),
        PeerAsn::Internal => Some(node.config().speaker.asn),
        PeerAsn::External => None,
    }
}

/// One peer with its session and configuration.
pub fn peer_detail(
    peer: Peer,
    summary: Option<&PeerSummary>,
    config: serde_json::Value,
) -> PeerDetail {
    let connected =
        |summary: &&PeerSummary| Some((summary.negotiated.clone()?, summary.connection?.1));
    let session = match summary.map(|summary| (summary, connected(&summary))) {
        Some((summary, Some((negotiated, ends)))) => Some(Session {
            local: ends.local,
            remote: ends.remote,
            router_id: negotiated.router_id,
            hold_time_s: negotiated.hold_time.as_secs(),
            keepalive_s: negotiated.keepalive.as_secs(),
            capabilities: capabilities(&negotiated),
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
    for family in &n.add_path_send {
        say(true, &format!("add-path send {family}"));
    }
    if let Some(time) = n.peer_restart_time {
        say(true, &format!("graceful restart {} s", time.as_secs()));
    }
    say(n.notification_restart, "graceful restart on NOTIFICATION");
    say(n.role_confirmed, "roles");
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
