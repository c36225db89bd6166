//! The speaker's events in words.

use alloc::format;
use alloc::string::ToString;

use crate::action::{Event, Level};

/// A speaker's event in words.
pub(crate) fn bgp_event(event: &tapway_bgp::Event) -> Event {
    use tapway_bgp::Event as E;
    let (level, kind, subject, text) = match event {
        E::StateChanged { peer, from, to } => (
            Level::Info,
            "peer.state",
            peer.to_string(),
            format!("{from} -> {to}"),
        ),
        E::Established {
            peer,
            asn,
            router_id,
        } => (
            Level::Info,
            "peer.up",
            peer.to_string(),
            format!("established with AS {asn}, router id {router_id}"),
        ),
        E::Down {
            peer,
            was_established,
            reason,
        } => {
            let level = if *was_established {
                Level::Warning
            } else {
                Level::Info
            };
            (level, "peer.down", peer.to_string(), reason.to_string())
        }
        E::UnknownPeer { remote, suppressed } => (
            Level::Warning,
            "peer.unknown",
            remote.to_string(),
            format!(
                "closed a connection from {remote}, which is no peer ({suppressed} more since the last report)"
            ),
        ),
        E::SecondConnection {
            peer,
            sent,
            suppressed,
        } => (
            Level::Warning,
            "peer.second-connection",
            peer.to_string(),
            format!(
                "closed another connection from its address: sent {sent} ({suppressed} more since the last report)"
            ),
        ),
        E::BadUpdate {
            peer,
            text,
            suppressed,
        } => (
            Level::Warning,
            "peer.bad-update",
            peer.to_string(),
            format!("{text} ({suppressed} more since the last report)"),
        ),
        E::Conflict {
            peer,
            kept,
            refused,
        } => (
            Level::Warning,
            "claim.conflict",
            refused.to_string(),
            format!("{peer} has {kept} already; {refused} is not announced to it"),
        ),
        E::CannotEncode { peer, text } => (
            Level::Warning,
            "peer.cannot-encode",
            peer.to_string(),
            text.clone(),
        ),
        E::EndOfRibSent { peer, family } => (
            Level::Info,
            "peer.end-of-rib",
            peer.to_string(),
            format!("sent End-of-RIB for {family}"),
        ),
        E::EndOfRibReceived { peer, family } => (
            Level::Info,
            "peer.end-of-rib",
            peer.to_string(),
            format!("received End-of-RIB for {family}"),
        ),
        E::StaleKept {
            peer,
            family,
            routes,
        } => (
            Level::Warning,
            "peer.stale",
            peer.to_string(),
            format!("{routes} routes of {family} are kept while it restarts"),
        ),
        E::StaleKeptLong {
            peer,
            family,
            routes,
            time,
        } => (
            Level::Warning,
            "peer.stale",
            peer.to_string(),
            format!(
                "{routes} routes of {family} are kept for {} s more, behind all others (RFC 9494)",
                time.as_secs()
            ),
        ),
        E::StaleRemoved {
            peer,
            family,
            routes,
        } => (
            Level::Info,
            "peer.stale",
            peer.to_string(),
            format!("{routes} stale routes of {family} are gone"),
        ),
        E::NearLimit {
            peer,
            family,
            routes,
            limit,
        } => (
            Level::Warning,
            "peer.prefix-limit",
            peer.to_string(),
            format!(
                "{routes} of at most {limit} prefixes of {family} are received; beyond that the session ends"
            ),
        ),
        E::RefreshRequested { peer, family } => (
            Level::Info,
            "peer.refresh",
            peer.to_string(),
            format!("asked for {family} again"),
        ),
    };
    Event {
        level,
        kind,
        subject,
        text,
    }
}
