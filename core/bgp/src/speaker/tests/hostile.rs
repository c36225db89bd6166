//! A peer made of bytes: wrong, late, random.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use tapway_bgp_wire::{
    AsPath, AsSegment, Attributes, EncodeContext, MessageType, Open, SegmentKind, UpdateBuilder,
};
use tapway_model::{Instant, Prefix};

use super::net::*;
use super::raw::{Raw, from_peer, hop, one};
use crate::config::{PrefixLimit, Reach};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn messages_out_of_place_are_an_error_of_the_state() {
    use MessageType::{Keepalive, Notification as N, Open, RouteRefresh, Update};
    // What came before, what comes, the code that is sent (RFC 6608), or none.
    type Code = Option<(u8, u8)>;
    let rows: [(&[MessageType], MessageType, Code); 10] = [
        (&[], Keepalive, Some((5, 1))),
        (&[], Update, Some((5, 1))),
        (&[], RouteRefresh, Some((5, 1))),
        (&[], N, None),
        (&[Open], Open, Some((5, 2))),
        (&[Open], Update, Some((5, 2))),
        (&[Open], RouteRefresh, Some((5, 2))),
        (&[Open], N, None),
        (&[Open, Keepalive], Open, Some((5, 3))),
        (&[Open, Keepalive], N, None),
    ];
    for (before, message, code) in rows {
        let mut raw = Raw::new(|_| {});
        for kind in before {
            raw.feed(&one(*kind));
        }
        assert!(!raw.closed);
        raw.feed(&one(message));
        assert!(raw.closed, "{before:?} {message}");
        assert_eq!(raw.state(), State::Idle);
        let last = raw
            .messages()
            .pop()
            .filter(|m| m.0 == N)
            .map(|(_, code, sub)| (code, sub));
        assert_eq!(last, code, "{before:?} {message}");
        // What comes after the end is nobody's.
        raw.feed(&one(Keepalive));
        assert_eq!(raw.state(), State::Idle);
    }
}

#[test]
fn the_handshake_byte_by_byte() {
    let mut raw = Raw::new(|_| {});
    let mut all = one(MessageType::Open);
    all.extend(one(MessageType::Keepalive));
    for byte in all {
        raw.feed(&[byte]);
    }
    assert_eq!(raw.state(), State::Established);
    let kinds: Vec<MessageType> = raw.messages().into_iter().map(|m| m.0).collect();
    use MessageType::{Keepalive, Open, Update};
    assert_eq!(kinds, [Open, Keepalive, Update, Update], "both End-of-RIBs");
}

#[test]
fn broken_headers_and_opens() {
    let mut marker = one(MessageType::Keepalive);
    marker[3] = 0;
    let mut length = one(MessageType::Keepalive);
    length[17] = 18;
    let mut kind = one(MessageType::Keepalive);
    kind[18] = 9;
    let mut version = one(MessageType::Open);
    version[19] = 3;
    let mut router_id = one(MessageType::Open);
    router_id[24..28].copy_from_slice(&[0; 4]);
    for (what, bytes, code) in [
        ("marker", marker, (1, 1)),
        ("length", length, (1, 2)),
        ("type", kind, (1, 3)),
        ("version", version, (2, 1)),
        ("identifier", router_id, (2, 3)),
    ] {
        let mut raw = Raw::new(|_| {});
        raw.feed(&bytes);
        let last = raw.messages().pop().map(|(_, code, sub)| (code, sub));
        assert_eq!((raw.closed, last), (true, Some(code)), "{what}");
    }
}

#[test]
fn routes_that_do_not_count() {
    let path = |asns: &[u32]| Attributes {
        as_path: AsPath::sequence(asns),
        ..Attributes::default()
    };
    let set = Attributes {
        as_path: AsPath {
            segments: vec![AsSegment {
                kind: SegmentKind::Set,
                asns: vec![asn(1)],
            }],
        },
        ..Attributes::default()
    };
    let rows = [
        ("fine", from_peer(), hop("198.51.100.2"), None),
        (
            "third party next hop",
            from_peer(),
            hop("198.51.100.9"),
            None,
        ),
        (
            "our AS",
            path(&[asn(1), asn(0)]),
            hop("198.51.100.2"),
            Some(Refusal::AsLoop),
        ),
        (
            "another AS first",
            path(&[65099, asn(1)]),
            hop("198.51.100.2"),
            Some(Refusal::FirstAs),
        ),
        (
            "a set first",
            set,
            hop("198.51.100.2"),
            Some(Refusal::FirstAs),
        ),
        (
            "empty path",
            path(&[]),
            hop("198.51.100.2"),
            Some(Refusal::FirstAs),
        ),
        (
            "our own next hop",
            from_peer(),
            hop("198.51.100.1"),
            Some(Refusal::OwnNextHop),
        ),
    ];
    for (what, attributes, next_hop, refused) in rows {
        let mut raw = Raw::established();
        raw.update(&attributes, next_hop, &["10.0.0.0/8"]);
        assert_eq!(raw.state(), State::Established, "{what}");
        assert_eq!(raw.refusal(), refused, "{what}");
    }
}

#[test]
fn reflected_loops() {
    let internal = |raw: &mut Raw, attributes: &Attributes| {
        let open = |o: &mut Open| {
            o.asn = asn(0);
            o.capabilities
                .0
                .retain(|c| !matches!(c, tapway_bgp_wire::Capability::FourOctetAs(_)));
            o.capabilities
                .0
                .push(tapway_bgp_wire::Capability::FourOctetAs(asn(0)));
        };
        raw.open(open);
        raw.keepalive();
        assert_eq!(raw.state(), State::Established);
        raw.update(attributes, hop("198.51.100.2"), &["10.0.0.0/8"]);
    };
    let us = Ipv4Addr::new(192, 0, 2, 1);
    let base = Attributes {
        local_pref: Some(100),
        ..Attributes::default()
    };
    let rows = [
        (base.clone(), None),
        (
            Attributes {
                originator_id: Some(us),
                ..base.clone()
            },
            Some(Refusal::OwnOriginator),
        ),
        (
            Attributes {
                originator_id: Some([9, 9, 9, 9].into()),
                cluster_list: vec![us],
                ..base
            },
            Some(Refusal::OwnCluster),
        ),
    ];
    for (attributes, refused) in rows {
        let mut raw = Raw::new(|p| p.asn = config::PeerAsn::Internal);
        internal(&mut raw, &attributes);
        assert_eq!(raw.refusal(), refused);
    }
}

#[test]
fn a_bad_attribute_costs_its_routes_not_the_session() {
    let mut raw = Raw::established();
    raw.update(
        &from_peer(),
        hop("198.51.100.2"),
        &["10.0.0.0/8", "11.0.0.0/8"],
    );
    // ORIGIN with the value 9, for one of the two.
    let mut bytes = Vec::new();
    let prefix: Prefix = "10.0.0.0/8".parse().unwrap();
    UpdateBuilder::new(&mut bytes, EncodeContext::default())
        .announce(&from_peer(), hop("198.51.100.2"), [prefix])
        .unwrap();
    let origin = bytes.windows(4).position(|w| w == [0x40, 1, 1, 0]).unwrap();
    bytes[origin + 3] = 9;
    raw.feed(&bytes);
    assert_eq!(raw.state(), State::Established);
    let left: Vec<_> = raw
        .speaker
        .received(&name("peer"))
        .map(|r| r.prefix)
        .collect();
    assert_eq!(left, ["11.0.0.0/8".parse().unwrap()]);
    assert_eq!(raw.speaker.peer(&name("peer")).unwrap().bad_updates, 1);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut raw = Raw::established();
    raw.speaker
        .announce(raw.now, announcement("203.0.113.1/32"));
    assert!(raw.speaker.poll_transmit(raw.now).is_some());
    raw.speaker.handle_blocked(raw.now, raw.conn);
    let start = raw.now;
    while raw.state() == State::Established {
        raw.now = raw.now + SECOND;
        raw.keepalive();
        raw.speaker.handle_timeout(raw.now);
        assert!(
            raw.speaker.poll_transmit(raw.now).is_none(),
            "nothing is queued for a blocked connection"
        );
        assert!(raw.now.since(start) < 1000 * SECOND);
    }
    raw.drain();
    // 8 minutes, or twice the hold time (RFC 9687 §4.1).
    assert_eq!(raw.now.since(start).as_secs(), 480);
    assert_eq!(
        raw.messages().pop(),
        Some((MessageType::Notification, 8, 0))
    );
}

#[test]
fn two_octet_peers() {
    let mut raw = Raw::new(|_| {});
    raw.open(|open| {
        open.capabilities
            .0
            .retain(|c| !matches!(c, tapway_bgp_wire::Capability::FourOctetAs(_)))
    });
    raw.keepalive();
    assert_eq!(raw.state(), State::Established);
    raw.said.clear();
    raw.speaker
        .announce(raw.now, announcement("203.0.113.1/32"));
    raw.drain();
    let path = [0x40, 2, 4, 2, 1, (asn(0) >> 8) as u8, asn(0) as u8];
    assert!(
        raw.said.windows(path.len()).any(|w| w == path),
        "{:02x?}",
        raw.said
    );
    // What we show is what the peer reads.
    let route = raw.speaker.advertised(&name("peer")).next().unwrap();
    assert_eq!(route.as_path, asn(0).to_string());
}

#[test]
fn listeners_know_key_and_ttl() {
    let raw = Raw::new(|p| {
        p.password = Some(config::Secret::new("secret".into()));
        p.reach = Reach::TtlSecurity;
    });
    let remote = at(1, Transport::V4, 0).ip();
    let peer = raw.speaker.listen_peer_at(remote, 0).unwrap();
    assert_eq!(peer.md5.as_ref().unwrap().expose(), "secret");
    assert_eq!((peer.ttl, peer.min_ttl), (255, Some(255)));
    assert!(!alloc::format!("{peer:?}").contains("secret"));
    let stranger = at(2, Transport::V4, 0).ip();
    assert_eq!(raw.speaker.listen_peer_at(stranger, 0), None);
    assert_eq!(raw.speaker.listen_peer_at(remote, 12345), None);
}

#[test]
fn silence_names_what_may_be_behind_it() {
    let key = || Some(config::Secret::new("secret".into()));
    for (password, reach, told) in [
        (key(), Reach::Direct, "must have the same password"),
        (key(), Reach::TtlSecurity, "password, and ttl_security"),
        (None, Reach::TtlSecurity, "must have ttl_security"),
        (None, Reach::Direct, "if the peer has a password"),
    ] {
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut speaker = Speaker::new(speaker_config(0), 5, StartKind::Cold);
        let mut peer = peer_config(1, Transport::V4);
        (peer.password, peer.reach) = (password, reach);
        speaker.set_peer(now, peer);
        let endpoint = Endpoint {
            remote: at(1, Transport::V4, 179),
            local: None,
            ifindex: IFINDEX,
        };
        speaker.set_peer_endpoint(now, &name("peer"), Some(endpoint));
        let reason = core::iter::from_fn(|| {
            let mut reason = None;
            while let Some(action) = speaker.poll_action() {
                if let Action::Event(Event::Down { reason: r, .. }) = action {
                    reason = Some(r.to_string());
                }
            }
            now = speaker.poll_timeout().unwrap();
            speaker.handle_timeout(now);
            Some(reason)
        });
        let reason = reason.take(10).flatten().next().unwrap();
        assert!(
            reason.starts_with("cannot connect: no answer") && reason.contains(told),
            "{reason}"
        );
    }
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Mutants of real messages in every state, in pieces of any size, with time passing: no panic, and the
/// speaker is as good as new afterwards.
#[test]
fn random_data() {
    use MessageType::{Keepalive, Notification as N, Open, RouteRefresh, Update};
    for seed in 1..=300u64 {
        let mut random = Random(seed);
        let mut raw = Raw::new(|p| p.prefix_limit = PrefixLimit::new(50));
        for _ in 0..60 {
            if raw.closed || random.below(40) == 0 {
                raw.now = raw.now + Duration::from_millis(random.next() % 200_000);
                raw.speaker.handle_timeout(raw.now);
                raw.drain();
                raw.accept();
            }
            let mut bytes = match random.below(8) {
                0 => one(N),
                1 => one(RouteRefresh),
                2 => (0..random.below(300))
                    .map(|_| random.next() as u8)
                    .collect(),
                3 => one(Update),
                _ if raw.state() < State::OpenConfirm => one(Open),
                _ if raw.state() < State::Established => one(Keepalive),
                _ => {
                    let mut bytes = Vec::new();
                    let prefixes = (0..random.below(40)).map(|_| {
                        Prefix::truncated(
                            Ipv4Addr::from_bits(random.next() as u32).into(),
                            random.next() as u8 % 33,
                        )
                    });
                    let prefixes: Vec<Prefix> = prefixes.collect();
                    let mut builder = UpdateBuilder::new(&mut bytes, EncodeContext::default());
                    builder
                        .announce(&from_peer(), hop("198.51.100.2"), prefixes)
                        .unwrap();
                    bytes
                }
            };
            if random.below(3) == 0 && !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            let cut = random.below(bytes.len() + 1);
            raw.feed(&bytes[..cut]);
            raw.feed(&bytes[cut..]);
            assert!(
                raw.speaker.received(&name("peer")).count() <= 50 + 40,
                "seed {seed}"
            );
        }
        // Time heals.
        raw.now = raw.now + 1000 * SECOND;
        raw.speaker.handle_timeout(raw.now);
        raw.now = raw.now + 1000 * SECOND;
        raw.speaker.handle_timeout(raw.now);
        raw.drain();
        raw.accept();
        raw.open(|_| {});
        raw.keepalive();
        assert_eq!(raw.state(), State::Established, "seed {seed}");
    }
}
