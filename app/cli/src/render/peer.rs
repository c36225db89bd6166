//! `tapway peer list` and `show`.

use tapway_api::list::List;
use tapway_api::peer::{Messages, Peer, PeerDetail, PeerFamily, SessionState};

use super::{settings, word};
use crate::human::{bytes, count, duration};
use crate::style::{Style, Tone};
use crate::table::{Cell, Table};

pub(crate) fn list(peers: &List<Peer>, style: Style) -> String {
    let mut table = Table::new(&[
        "PEER",
        "ADDRESS",
        "AS",
        "STATE",
        ">FOR",
        ">RECEIVED",
        ">ACCEPTED",
        ">SENT",
        "NOTE",
    ]);
    for peer in &peers.items {
        let sum = |of: fn(&PeerFamily) -> u64| count(peer.families.iter().map(of).sum());
        let (tone, state) = state(peer);
        table.row([
            (&peer.name).into(),
            address(peer).into(),
            peer.asn.map(|a| a.to_string()).unwrap_or_default().into(),
            Cell::new(tone, state),
            duration(peer.state_age_s).into(),
            sum(|f| f.received).into(),
            sum(|f| f.accepted).into(),
            sum(|f| f.advertised).into(),
            Cell::new(Tone::Warn, note(peer)),
        ]);
    }
    table.render(
        style,
        "No peers. Write a [peer.NAME] section, or use `tapway peer apply`.",
    )
}

pub(crate) fn show(detail: &PeerDetail, style: Style) -> String {
    let peer = &detail.peer;
    let (tone, state) = state(peer);
    let mut lines: Vec<(&str, String)> = vec![(
        "state",
        format!(
            "{} for {}",
            style.paint(tone, &state),
            duration(peer.state_age_s)
        ),
    )];
    if let Some(error) = &peer.last_error {
        lines.push(("last error", error.clone()));
    }
    lines.push(("address", address(peer)));
    if let Some(asn) = peer.asn {
        lines.push(("AS", format!("{asn}{}", relation(peer))));
    }
    lines.push(("defined by", word(peer.origin)));
    lines.push((
        "policies",
        format!("import {}, export {}", peer.import, peer.export),
    ));
    if let Some(session) = &detail.session {
        lines.push((
            "session",
            format!("{} to {}", session.local, session.remote),
        ));
        lines.push(("router id", session.router_id.to_string()));
        lines.push((
            "timers",
            match session.hold_time_s {
                0 => "none".to_owned(),
                hold => format!("hold {hold}s, keepalive {}s", session.keepalive_s),
            },
        ));
        lines.push(("can do", session.capabilities.join(", ")));
        lines.push(("received", messages(session.received)));
        lines.push(("sent", messages(session.sent)));
        lines.push(("sessions", count(session.established_count)));
    }
    let mut out = format!("{}\n", style.paint(Tone::Strong, peer.name.as_str()));
    for (label, text) in lines {
        out.push_str(&format!("  {label:<10}  {text}\n"));
    }
    let mut table = Table::new(&[
        "FAMILY",
        ">RECEIVED",
        ">ACCEPTED",
        ">STALE",
        ">SENT",
        "END-OF-RIB",
        "NEXT HOP",
    ]);
    for family in &peer.families {
        table.row([
            family.family.into(),
            count(family.received).into(),
            count(family.accepted).into(),
            match family.stale_for_s {
                Some(left) => format!("{}, {} left", count(family.stale), duration(left)).into(),
                None => count(family.stale).into(),
            },
            count(family.advertised).into(),
            end_of_rib(family).into(),
            match (&family.no_next_hop, &family.next_hop) {
                (Some(reason), _) => Cell::new(Tone::Bad, format!("none: {reason}")),
                (None, next_hop) => next_hop.as_deref().unwrap_or_default().into(),
            },
        ]);
    }
    for line in table.render(style, "no families").lines() {
        out.push_str(&format!("  {line}\n"));
    }
    out.push_str("  configuration\n");
    out.push_str(&settings("    ", &detail.config));
    out
}

/// What it is to us.
fn relation(peer: &Peer) -> String {
    if peer.client {
        return ", our route reflector client".to_owned();
    }
    let role = peer.role.as_ref();
    let role = role.map(|role| format!(", our role: {role}"));
    let local = peer.local_asn;
    let local = local.map(|asn| format!(", takes us for AS {asn}"));
    role.into_iter().chain(local).collect()
}

fn address(peer: &Peer) -> String {
    match (&peer.address, &peer.interface) {
        (Some(address), Some(interface)) if !address.contains('%') => {
            format!("{address} dev {interface}")
        }
        (Some(address), _) => address.clone(),
        (None, Some(interface)) => format!("not known yet, on {interface}"),
        (None, None) => "any".to_owned(),
    }
}

fn state(peer: &Peer) -> (Tone, String) {
    if peer.disabled {
        return (Tone::Warn, "disabled".to_owned());
    }
    let tone = match peer.state {
        SessionState::Established | SessionState::Listening => Tone::Good,
        _ => Tone::Bad,
    };
    (tone, word(peer.state))
}

fn note(peer: &Peer) -> String {
    if peer.state != SessionState::Established {
        return peer.last_error.clone().unwrap_or_default();
    }
    let broken = peer.families.iter().filter_map(|f| {
        let reason = f.no_next_hop.as_ref()?;
        Some(format!("{} not sent: {reason}", f.family))
    });
    let near = peer.families.iter().filter_map(|f| {
        let limit = count(f.near_limit?);
        Some(format!("{} near its limit of {limit} prefixes", f.family))
    });
    broken.chain(near).collect::<Vec<_>>().join("; ")
}

fn end_of_rib(family: &PeerFamily) -> &'static str {
    match (family.end_of_rib_received, family.end_of_rib_sent) {
        (true, true) => "both",
        (true, false) => "received",
        (false, true) => "sent",
        (false, false) => "none",
    }
}

fn messages(m: Messages) -> String {
    format!(
        "{} messages, {} updates, {}",
        count(m.total),
        count(m.updates),
        bytes(m.bytes)
    )
}
