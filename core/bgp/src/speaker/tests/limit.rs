//! The prefix limit: the warning before it, and the time after it.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;
use core::time::Duration;

use tapway_bgp_wire::{
    AfiSafi, EncodeContext, MessageType, RefreshSubtype, RouteRefresh, UpdateBuilder,
};
use tapway_model::{Family, Instant, Prefix};

use super::net::*;
use super::raw::{Raw, from_peer, hop, one};
use crate::config::PrefixLimit;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const NEXT_HOP: &str = "198.51.100.2";
/// Cease, Maximum Number of Prefixes Reached, and Cease, Connection Rejected.
const TOO_MANY: (MessageType, u8, u8) = (MessageType::Notification, 6, 1);
const REJECTED: (MessageType, u8, u8) = (MessageType::Notification, 6, 5);

fn prefixes(numbers: Range<u32>) -> impl Iterator<Item = Prefix> {
    numbers.map(|n| Prefix::host(Ipv4Addr::from(0x0a00_0000 + n).into()))
}

fn limited(warning: u8, restart: Option<Duration>) -> Raw {
    let limit = PrefixLimit {
        max: 20,
        warning,
        restart,
    };
    let mut raw = Raw::new(|peer| peer.prefix_limit = limit);
    raw.open(|_| {});
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    raw
}

fn announce(numbers: Range<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&from_peer(), hop(NEXT_HOP), prefixes(numbers))
        .unwrap();
    bytes
}

fn withdraw(numbers: Range<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default()).withdraw(prefixes(numbers));
    bytes
}

/// Takes in bytes a second later; the warnings that come of it, and whether the peer counts as near its limit then.
fn warnings(raw: &mut Raw, bytes: &[u8]) -> (Vec<usize>, bool) {
    raw.now = raw.now + SECOND;
    raw.speaker.handle_data(raw.now, raw.conn, bytes);
    let events = core::iter::from_fn(|| raw.speaker.poll_action());
    let told = events.filter_map(|action| match action {
        Action::Event(Event::NearLimit {
            family,
            routes,
            limit,
            ..
        }) => {
            assert_eq!((family, limit), (Family::Ipv4, 20));
            Some(routes)
        }
        _ => None,
    });
    let told = told.collect();
    let peer = raw.speaker.peer(&name("peer")).unwrap();
    let near = peer.families.iter().map(|f| f.near_limit);
    (told, near.collect::<Vec<_>>() == [true, false])
}

#[test]
fn shares_of_a_limit() {
    for (max, warning, at) in [
        (100_000, 75, 75_000),
        (1, 75, 1),
        (1, 1, 1),
        (10, 75, 8),
        (10, 100, 10),
        (u32::MAX, 100, u32::MAX),
    ] {
        let limit = PrefixLimit {
            max,
            warning,
            restart: None,
        };
        assert_eq!(limit.warn_at(), at, "{max} {warning}");
    }
}

/// 75 % of 20 are 15; the warning is over at 13.
#[test]
fn a_warning_comes_once_and_goes_when_there_is_room_again() {
    let mut raw = limited(75, None);
    for (bytes, told, near) in [
        (announce(0..14), &[][..], false),
        (announce(14..15), &[15], true),
        (announce(15..20), &[], true),
        (withdraw(14..20), &[], true),
        (withdraw(13..14), &[], false),
    ] {
        assert_eq!(warnings(&mut raw, &bytes), (told.into(), near));
    }
    // Again soon: it counts as near, which is seen, but is not told within ten seconds of the last time.
    assert_eq!(warnings(&mut raw, &announce(13..15)), ([].into(), true));
    assert_eq!(warnings(&mut raw, &withdraw(0..15)), ([].into(), false));
    raw.now = raw.now + 10 * SECOND;
    assert_eq!(warnings(&mut raw, &announce(0..20)), ([20].into(), true));
    assert_eq!(raw.state(), State::Established);
}

/// Begin-of-RIB and end of it (RFC 7313 §3.2).
fn refresh(subtype: RefreshSubtype) -> Vec<u8> {
    let mut bytes = Vec::new();
    let family = AfiSafi::from(Family::Ipv4);
    RouteRefresh { family, subtype }.encode(&mut bytes);
    bytes
}

#[test]
fn sending_all_again_is_no_reason_to_warn_again() {
    let mut raw = limited(75, None);
    assert_eq!(warnings(&mut raw, &announce(0..16)), ([16].into(), true));
    // Longer ago than warnings are held back for.
    raw.now = raw.now + 30 * SECOND;
    let begin = refresh(RefreshSubtype::Begin);
    assert_eq!(warnings(&mut raw, &begin), ([].into(), true));
    assert_eq!(warnings(&mut raw, &announce(0..16)), ([].into(), true));
    let end = refresh(RefreshSubtype::End);
    assert_eq!(warnings(&mut raw, &end), ([].into(), true));
    // It is over when the peer sends fewer.
    assert_eq!(warnings(&mut raw, &begin), ([].into(), true));
    assert_eq!(warnings(&mut raw, &announce(0..4)), ([].into(), true));
    assert_eq!(warnings(&mut raw, &end), ([].into(), false));
}

#[test]
fn another_limit_warns_at_once_or_no_longer() {
    let mut raw = limited(100, None);
    assert_eq!(warnings(&mut raw, &announce(0..19)), ([].into(), false));
    let mut config = raw.speaker.peer_config(&name("peer")).unwrap().clone();
    for (warning, near) in [(50, true), (100, false)] {
        config.prefix_limit.warning = warning;
        let change = raw.speaker.set_peer(raw.now, config.clone());
        assert_eq!(change, PeerChange::Applied);
        let (told, now_near) = warnings(&mut raw, &[]);
        assert_eq!((told.len(), now_near), (usize::from(near), near));
    }
}

/// Whether the peer is let in.
fn let_in(raw: &mut Raw, at: Instant) -> bool {
    raw.now = at;
    raw.speaker.handle_timeout(at);
    raw.drain();
    raw.accept();
    if raw.closed {
        assert_eq!(raw.messages(), [REJECTED]);
    }
    !raw.closed
}

fn over(raw: &mut Raw) {
    raw.feed(&announce(0..21));
    assert_eq!(raw.messages().pop(), Some(TOO_MANY));
    assert!(raw.closed);
}

#[test]
fn the_restart_timer_decides_when_the_peer_is_let_in() {
    let mut raw = limited(75, Some(600 * SECOND));
    over(&mut raw);
    let end = raw.now + 600 * SECOND;
    let peer = raw.speaker.peer(&name("peer")).unwrap();
    assert_eq!(peer.refused_until, Some(end));
    assert_eq!(peer.next_attempt, Some(end));
    for before in [599, 300, 1] {
        let at = Instant::from_nanos(end.as_nanos() - before * 1_000_000_000);
        assert!(!let_in(&mut raw, at), "{before} s before");
    }
    assert!(let_in(&mut raw, end));
    raw.feed(&one(MessageType::Open));
    raw.keepalive();
    let peer = raw.speaker.peer(&name("peer")).unwrap();
    assert_eq!((peer.state, peer.refused_until), (State::Established, None));
}

#[test]
fn a_link_that_flaps_shortens_no_restart_timer() {
    let mut raw = limited(75, Some(600 * SECOND));
    over(&mut raw);
    let end = raw.now + 600 * SECOND;
    let endpoint = Endpoint {
        remote: at(1, Transport::V4, 179),
        local: None,
        ifindex: IFINDEX,
    };
    for told in [false, true] {
        raw.speaker.handle_link_down(raw.now, IFINDEX);
        if told {
            raw.speaker.set_peer_endpoint(raw.now, &name("peer"), None);
        }
        raw.speaker
            .set_peer_endpoint(raw.now, &name("peer"), Some(endpoint));
        let soon = raw.now + 130 * SECOND;
        assert!(!let_in(&mut raw, soon), "told: {told}");
    }
    assert!(let_in(&mut raw, end));
}

#[test]
fn the_operator_ends_the_wait() {
    for how in [0, 1] {
        let mut raw = limited(75, Some(600 * SECOND));
        over(&mut raw);
        if how == 0 {
            assert!(raw.speaker.reset_hard(raw.now, &name("peer"), None));
        } else {
            let mut config = raw.speaker.peer_config(&name("peer")).unwrap().clone();
            config.prefix_limit.max = 30;
            raw.speaker.set_peer(raw.now, config);
        }
        let now = raw.now;
        assert!(let_in(&mut raw, now), "{how}");
    }
}

/// The peer connects again, and goes over the limit by the connection that it has.
#[test]
fn a_second_connection_is_no_way_around_the_limit() {
    let mut raw = limited(75, None);
    let first = raw.conn;
    raw.now = raw.now + 60 * SECOND;
    raw.keepalive();
    raw.accept();
    assert!(!raw.closed, "the peer may have restarted");
    raw.speaker.handle_data(raw.now, first, &announce(0..21));
    raw.drain();
    assert!(raw.closed);
    assert_eq!(raw.messages().pop(), Some(REJECTED));
    assert_eq!(raw.state(), State::Idle);
    let now = raw.now;
    assert!(!let_in(&mut raw, now));
}
