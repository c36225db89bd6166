//! Peers that never end: what they send is bounded in memory and in words, and what they leave is given back.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{
    AttributeCode, AttributeFlags, Attributes, Capability, Community, EncodeContext, MessageType,
    RefreshSubtype, RouteRefresh, UnknownAttribute, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use super::net::*;
use super::raw::{Raw, from_peer, hop, one};
use crate::config::PrefixLimit;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const NEXT_HOP: &str = "198.51.100.2";

impl Raw {
    /// All work that needs no time.
    fn rest(&mut self) {
        while self.speaker.poll_timeout().is_some_and(|at| at <= self.now) {
            self.speaker.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Prefixes and blocks of attributes that are kept.
    fn kept(&self) -> (usize, usize) {
        let rib = &self.speaker.shared.rib;
        (rib.len(Family::Ipv4), rib.blocks())
    }

    /// What the speaker says for people; the rest is dropped.
    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Event(event) = action {
                events.push(event);
            }
        }
        events
    }
}

/// What is kept when there is nothing: the block of own routes.
const NOTHING: (usize, usize) = (0, 1);

#[test]
fn half_a_message_and_then_silence() {
    let mut raw = Raw::established();
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(
            &from_peer(),
            hop(NEXT_HOP),
            ["203.0.113.0/24".parse::<Prefix>().unwrap()],
        )
        .unwrap();
    raw.feed(&bytes[..bytes.len() / 2]);
    let begin = raw.now;
    while !raw.closed {
        raw.now = raw.now + SECOND;
        raw.speaker.handle_timeout(raw.now);
        raw.drain();
    }
    assert_eq!(raw.now.since(begin), 90 * SECOND, "half a message is none");
    assert_eq!(
        raw.messages().pop(),
        Some((MessageType::Notification, 4, 0))
    );
    // What was left of it is not the beginning of the next connection's bytes.
    raw.now = raw.now + 600 * SECOND;
    raw.speaker.handle_timeout(raw.now);
    raw.accept();
    raw.open(|_| {});
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    assert_eq!(raw.kept(), NOTHING);
}

#[test]
fn a_message_of_65535_octets() {
    let mut raw = Raw::new(|_| {});
    raw.open(|_| {});
    raw.keepalive();
    let mut attributes = from_peer();
    attributes.unknown = vec![UnknownAttribute {
        flags: AttributeFlags(0xd0),
        code: AttributeCode(200),
        value: vec![7; 65_400],
    }];
    let extended = EncodeContext {
        max_len: 65_535,
        ..EncodeContext::default()
    };
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, extended)
        .announce(
            &attributes,
            hop(NEXT_HOP),
            ["203.0.113.0/24".parse::<Prefix>().unwrap()],
        )
        .unwrap();
    assert!(bytes.len() > 65_400);
    // In pieces, as they come from a socket.
    for piece in bytes.chunks(1460) {
        raw.feed(piece);
    }
    assert_eq!(raw.state(), State::Established);
    let (peer, prefix) = (name("peer"), "203.0.113.0/24".parse().unwrap());
    let route = raw.speaker.received_to(&peer, prefix);
    let values: Vec<Vec<u8>> = route
        .flat_map(|(_, a)| a.unknown)
        .map(|a| a.value)
        .collect();
    assert!(values == [vec![7; 65_400]]);
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .withdraw(["203.0.113.0/24".parse::<Prefix>().unwrap()]);
    raw.feed(&bytes);
    raw.rest();
    while raw.speaker.take_installable_change(Family::Ipv4).is_some() {}
    assert_eq!(raw.kept(), NOTHING);
}

#[test]
fn hundreds_of_capabilities_that_nobody_knows() {
    for count in [15, 60, 280] {
        let mut raw = Raw::new(|_| {});
        raw.open(|open| {
            let unknown = (0..count).map(|n| Capability::Unknown {
                code: 200 + (n % 50) as u8,
                value: vec![n as u8; 12],
            });
            open.capabilities.0.extend(unknown);
        });
        raw.keepalive();
        assert_eq!(raw.state(), State::Established, "{count}");
    }
}

/// The default route again and again, each time by other attributes, and gone again.
#[test]
fn floods_of_default_routes() {
    let mut raw = Raw::established();
    let prefix: Prefix = "0.0.0.0/0".parse().unwrap();
    let mut changes = 0;
    for n in 0..20_000u32 {
        let attributes = Attributes {
            communities: vec![Community(n)],
            ..from_peer()
        };
        let mut bytes = Vec::new();
        let mut builder = UpdateBuilder::new(&mut bytes, EncodeContext::default());
        builder
            .announce(&attributes, hop(NEXT_HOP), [prefix])
            .unwrap();
        if n % 3 == 0 {
            builder.withdraw([prefix]);
        }
        // The shell comes to it every hundred messages.
        raw.speaker.handle_data(raw.now, raw.conn, &bytes);
        if n % 100 == 0 {
            let mut waiting = 0;
            while raw.speaker.poll_action().is_some() {
                waiting += 1;
            }
            assert!(waiting <= 1, "{waiting} words for one prefix");
            while raw.speaker.take_installable_change(Family::Ipv4).is_some() {
                changes += 1;
            }
        }
        let (prefixes, blocks) = raw.kept();
        assert!(prefixes <= 1 && blocks <= 3, "{prefixes} {blocks}");
    }
    assert!(changes <= 200);
    assert_eq!(raw.speaker.received(&name("peer")).count(), 1);
}

/// A peer that sends for ever, never the same.
#[test]
fn what_is_replaced_is_given_back() {
    let mut raw = Raw::established();
    for n in 0..50_000u32 {
        let attributes = Attributes {
            communities: vec![Community(n)],
            ..from_peer()
        };
        let prefix = Prefix::host(Ipv4Addr::from(0xcb00_7100 + n % 100).into());
        let mut bytes = Vec::new();
        UpdateBuilder::new(&mut bytes, EncodeContext::default())
            .announce(&attributes, hop(NEXT_HOP), [prefix])
            .unwrap();
        raw.feed(&bytes);
    }
    assert_eq!(raw.kept(), (100, 101));
    raw.speaker.disable(raw.now, &name("peer"), None);
    raw.rest();
    while raw.speaker.take_installable_change(Family::Ipv4).is_some() {}
    raw.rest();
    assert_eq!(raw.kept(), NOTHING);
}

/// An attribute of a wrong length in each of many messages (RFC 7606): told now and then, with how many were not.
#[test]
fn a_flood_of_malformed_updates_is_told_in_few_words() {
    let mut raw = Raw::established();
    raw.events();
    let mut bytes = Vec::new();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(
            &from_peer(),
            hop(NEXT_HOP),
            ["203.0.113.0/24".parse::<Prefix>().unwrap()],
        )
        .unwrap();
    // ORIGIN is the first attribute: 9 is no origin.
    let at = 19 + 2 + 2 + 3;
    assert_eq!((bytes[at - 2], bytes[at - 1]), (1, 1));
    bytes[at] = 9;
    let mut told = 0;
    let begin = raw.now;
    for n in 0..10_000u32 {
        raw.now = begin + Duration::from_millis(u64::from(n));
        raw.speaker.handle_data(raw.now, raw.conn, &bytes);
        told += raw.events().len();
    }
    assert!((1..=20).contains(&told), "{told} words in ten seconds");
    assert_eq!(raw.state(), State::Established);
    assert_eq!(raw.speaker.received(&name("peer")).count(), 0);
}

/// Over the limit as often as it is let in: it is let in less and less often, and nothing of it is kept.
#[test]
fn a_storm_over_the_prefix_limit() {
    let mut raw = Raw::new(|peer| peer.prefix_limit = PrefixLimit::new(10));
    let mut storms = 0;
    let begin = raw.now;
    while raw.now.since(begin) < 3600 * SECOND {
        raw.accept();
        if !raw.closed {
            raw.feed(&one(MessageType::Open));
        }
        if !raw.closed {
            raw.keepalive();
        }
        if raw.state() == State::Established {
            storms += 1;
            let all = (0..100u32).map(|n| Prefix::host(Ipv4Addr::from(0x0a00_0000 + n).into()));
            let mut bytes = Vec::new();
            UpdateBuilder::new(&mut bytes, EncodeContext::default())
                .announce(&from_peer(), hop(NEXT_HOP), all)
                .unwrap();
            raw.feed(&bytes);
            assert!(raw.closed);
        }
        raw.now = raw.now + SECOND;
        raw.speaker.handle_timeout(raw.now);
        raw.drain();
        raw.rest();
    }
    assert!((3..=80).contains(&storms), "{storms} in an hour");
    while raw.speaker.take_installable_change(Family::Ipv4).is_some() {}
    raw.rest();
    assert_eq!(raw.kept(), NOTHING);
}

/// A refresh that begins again and again, each time with other routes, is no way around the limit: routes that are to be
/// heard of again are kept a few times as often, not without end.
#[test]
fn refreshes_without_end_are_no_way_around_the_prefix_limit() {
    let mut raw = Raw::new(|peer| peer.prefix_limit = PrefixLimit::new(10));
    raw.open(|_| {});
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    let mut begin = Vec::new();
    RouteRefresh {
        family: Family::Ipv4.into(),
        subtype: RefreshSubtype::Begin,
    }
    .encode(&mut begin);
    let mut most = 0;
    for round in 0..100u32 {
        let ten =
            (0..10).map(|n| Prefix::host(Ipv4Addr::from(0x0a00_0000 + round * 10 + n).into()));
        let mut bytes = begin.clone();
        UpdateBuilder::new(&mut bytes, EncodeContext::default())
            .announce(&from_peer(), hop(NEXT_HOP), ten)
            .unwrap();
        raw.feed(&bytes);
        most = most.max(raw.kept().0);
        if raw.closed {
            break;
        }
    }
    assert!(most <= 50, "{most} routes with a limit of 10");
    let (kind, code, subcode) = raw.messages().pop().unwrap();
    assert_eq!((kind, code, subcode), (MessageType::Notification, 6, 1));
}
