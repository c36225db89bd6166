//! Instances, announcements, conflicts.

use tapway_api::announcement::{AnnouncedTo, Announcement, AnnouncementQuery, Delivery};
use tapway_api::conflict::{Conflict, Party};
use tapway_api::instance::{
    Claim, ClaimState, Instance, InstanceDetail, InstanceQuery, LinkState, MigrationState, Nic,
};
use tapway_api::list::List;
use tapway_bgp::NotSent;
use tapway_fib::Status;
use tapway_intent::{ClaimRef, InstanceView};
use tapway_model::spec::InstanceSpec;
use tapway_model::{
    ClaimKind, IfName, InstanceName, Instant, NetworkName, NicState, Owner, Prefix,
};
use tapway_node::{Blocked, Gate, Node};

use crate::http::ApiReply;
use crate::sliced::Rows;

/// The instances of a query.
pub fn instances(node: &Node, query: &InstanceQuery) -> Rows<InstanceView, Instance> {
    let wanted = node
        .intent()
        .instances()
        .filter(|v| query.source.as_ref().is_none_or(|s| *s == v.source));
    Rows::page(
        query.page().of(wanted),
        |node, view| Some(summary(node, &view)),
        ApiReply::Instances,
    )
}

/// One instance, as every source that knows the name tells it.
pub fn instance(node: &Node, now: Instant, name: &InstanceName) -> Vec<InstanceDetail> {
    node.intent()
        .sources(now)
        .filter_map(|source| node.intent().instance(&source.name, name))
        .map(|view| InstanceDetail {
            instance: summary(node, &view),
            spec: InstanceSpec::from(view.instance.as_ref()),
        })
        .collect()
}

fn summary(node: &Node, view: &InstanceView) -> Instance {
    let nics = view.instance.nics.iter().map(|nic| {
        let owner = Owner::Nic(nic.interface.clone());
        let claim = |kind: ClaimKind| {
            let (owner, network) = (owner.clone(), nic.network.clone());
            move |prefix: &Prefix| claim_view(node, &owner, *prefix, kind, &network)
        };
        let mut claims: Vec<Claim> = Vec::new();
        claims.extend(nic.addresses.iter().map(claim(ClaimKind::Address)));
        claims.extend(nic.routes.iter().map(claim(ClaimKind::Route)));
        claims.extend(nic.anycast.iter().map(claim(ClaimKind::Anycast)));
        claims.extend(
            nic.transparent
                .iter()
                .map(|t| Prefix::host(t.address))
                .map(|p| claim(ClaimKind::Transparent)(&p)),
        );
        claims.extend(
            nic.guest_bgp
                .iter()
                .flat_map(|g| &g.prefixes)
                .map(claim(ClaimKind::GuestBgp)),
        );
        Nic {
            interface: nic.interface.clone(),
            link: link_state(node, &nic.interface),
            mac: nic.mac,
            network: nic.network.clone(),
            state: match nic.state {
                NicState::Running => MigrationState::Running,
                NicState::Arriving => MigrationState::Arriving,
                NicState::Leaving => MigrationState::Leaving,
            },
            tags: nic.tags.clone(),
            claims,
        }
    });
    let own = view.instance.claims.iter().map(|claim| {
        let owner = if claim.by_network {
            Owner::Network(claim.network.clone())
        } else {
            Owner::Host
        };
        Claim {
            next_hop: claim.next_hop,
            ..claim_view(node, &owner, claim.prefix, claim.kind, &claim.network)
        }
    });
    Instance {
        source: view.source.clone(),
        name: view.instance.name.clone(),
        stale: view.stale,
        nics: nics.collect(),
        claims: own.collect(),
    }
}

fn link_state(node: &Node, name: &IfName) -> LinkState {
    match node.fib().link_named(name) {
        None => LinkState::Missing,
        Some(link) if !link.up => LinkState::Down,
        Some(link) if !link.carrier => LinkState::NoCarrier,
        Some(_) => LinkState::Up,
    }
}

fn claim_view(
    node: &Node,
    owner: &Owner,
    prefix: Prefix,
    kind: ClaimKind,
    network: &NetworkName,
) -> Claim {
    let (state, reason) = claim_state(node, owner, prefix, network);
    Claim {
        prefix,
        kind,
        network: network.clone(),
        next_hop: None,
        state,
        reason,
    }
}

fn claim_state(
    node: &Node,
    owner: &Owner,
    prefix: Prefix,
    network: &NetworkName,
) -> (ClaimState, Option<String>) {
    let Some(domain) = node.intent().network(network).map(|n| n.domain) else {
        return (
            ClaimState::Refused,
            Some(format!("network {network} is not configured")),
        );
    };
    let effective = node.intent().effective(domain, &prefix);
    if !effective.is_some_and(|e| e.holders.iter().any(|h| h.owner == *owner)) {
        let coverage = node.intent().covering(&prefix);
        let refused = coverage
            .claims
            .iter()
            .find(|c| c.claim.prefix == prefix && c.claim.owner == *owner);
        return match refused.map(|c| &c.standing) {
            Some(tapway_intent::Standing::Refused { by }) => {
                (ClaimState::Conflict, Some(format!("{by} was first")))
            }
            Some(tapway_intent::Standing::Arriving { behind }) => (
                ClaimState::Waiting,
                Some(format!("arriving, behind {behind}")),
            ),
            _ => (
                ClaimState::Refused,
                coverage.unused.first().map(ToString::to_string),
            ),
        };
    }
    match node.claim(&(domain, prefix)) {
        Some((_, true)) => (ClaimState::Announced, None),
        Some((
            Gate::Shut(reason @ (Blocked::Arriving | Blocked::GuestBgp | Blocked::Transparent)),
            _,
        )) => (ClaimState::Wired, Some(reason.to_string())),
        Some((Gate::Shut(reason), _)) => (ClaimState::Waiting, Some(reason.to_string())),
        Some((Gate::Kernel(key), _)) => match node.fib().status(key) {
            Status::Failed { errno, message, .. } => (
                ClaimState::Failed,
                Some(message.unwrap_or_else(|| errno_text(errno))),
            ),
            Status::Foreign => (
                ClaimState::Failed,
                Some("somebody else's object is in the way".to_owned()),
            ),
            _ => (
                ClaimState::Waiting,
                Some("the kernel has not confirmed it yet".to_owned()),
            ),
        },
        Some((Gate::Open, _)) | None => (ClaimState::Waiting, None),
    }
}

/// The system's words for an error number.
pub(super) fn errno_text(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// What is announced, and to whom.
pub fn announcements(
    node: &Node,
    query: &AnnouncementQuery,
) -> Rows<tapway_bgp::Announcement, Announcement> {
    let wanted = node.speaker().announcements().filter(|a| {
        query.prefix.is_none_or(|p| p == a.id.prefix)
            && query.network.as_ref().is_none_or(|n| *n == a.network)
    });
    let page = query.page().of(wanted);
    let page = List {
        items: page.items.into_iter().cloned().collect(),
        total: page.total,
    };
    Rows::page(
        page,
        |node, announcement| Some(announced(node, announcement)),
        ApiReply::Announcements,
    )
}

fn announced(node: &Node, announcement: tapway_bgp::Announcement) -> Announcement {
    let claim = (announcement.id.domain, announcement.id.prefix);
    let age = node
        .announced_since(&claim)
        .map(|since| super::age(crate::daemon::now(), since));
    let owners = node
        .intent()
        .effective(announcement.id.domain, &announcement.id.prefix)
        .map(|e| e.holders.iter().map(|h| h.owner.to_string()).collect())
        .unwrap_or_default();
    let peers = node
        .peer_names()
        .map(|peer| {
            let (outcome, next_hop, reason) =
                delivery(node.speaker().why_not_sent(peer, &announcement.id));
            AnnouncedTo {
                peer: peer.clone(),
                outcome,
                next_hop,
                reason,
            }
        })
        .collect();
    Announcement {
        prefix: announcement.id.prefix,
        kind: announcement.kind,
        network: announcement.network,
        owners,
        instances: announcement.instances,
        peers,
        age_s: age,
    }
}

fn delivery(answer: NotSent) -> (Delivery, Option<String>, Option<String>) {
    match answer {
        NotSent::Sent(hop) => (Delivery::Sent, Some(hop.to_string()), None),
        NotSent::Pending => (Delivery::Queued, None, None),
        NotSent::NotAnnounced | NotSent::NoSuchPeer => (
            Delivery::Queued,
            None,
            Some("not known to the peer yet".to_owned()),
        ),
        NotSent::SessionDown(state) => (Delivery::SessionDown, None, Some(state.to_string())),
        NotSent::FamilyNotNegotiated(family) => (
            Delivery::FamilyNotNegotiated,
            None,
            Some(family.to_string()),
        ),
        NotSent::NotForPeer(network) => (
            Delivery::NotForPeer,
            None,
            Some(format!("network {network}")),
        ),
        NotSent::Filtered { policy, rule } => {
            let by = rule.map_or_else(
                || "no rule accepts it".to_owned(),
                |r| format!("rule {}", r + 1),
            );
            (
                Delivery::Filtered,
                None,
                Some(format!("policy {policy}, {by}")),
            )
        }
        NotSent::Conflict(kept) => (
            Delivery::Filtered,
            None,
            Some(format!("the peer has {kept} already")),
        ),
        NotSent::NoNextHop(why) => (Delivery::NoNextHop, None, Some(why.to_string())),
    }
}

/// Claims that cannot all be had.
pub fn conflicts(node: &Node) -> List<Conflict> {
    let items = node
        .intent()
        .conflicts()
        .into_iter()
        .map(|conflict| Conflict {
            domain: conflict.domain.to_string(),
            holder: party(&conflict.kept),
            others: conflict.refused.iter().map(party).collect(),
            remedy: "take the prefix away from all but one; the next in order takes over at once"
                .to_owned(),
        });
    List::whole(items.collect())
}

fn party(claim: &ClaimRef) -> Party {
    Party {
        prefix: claim.prefix,
        kind: claim.kind,
        network: claim.network.clone(),
        owner: claim.owner.to_string(),
        instance: claim
            .instances
            .first()
            .map(|(_, instance)| instance.clone()),
        sources: claim
            .instances
            .iter()
            .map(|(source, _)| source.clone())
            .collect(),
    }
}
