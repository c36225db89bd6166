//! Round trips and random damage, with a fixed seed: a failure is the same everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use tapway_bgp_wire::{
    Aggregator, AsPath, AsSegment, AttributeCode, AttributeFlags, Attributes, Community,
    DecodeContext, EncodeContext, ExtendedCommunity, Frame, LargeCommunity, Message, NextHop,
    NlriEntry, Origin, PerFamily, SegmentKind, UnknownAttribute, UpdateBuilder,
};
use tapway_model::Prefix;

use crate::{foreign, targets};

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

fn entries(v6: bool) -> impl Strategy<Value = Vec<NlriEntry>> {
    let entry = (any::<u128>(), 0u8..=128, any::<u32>()).prop_filter_map(
        "no unicast prefix",
        move |(bits, len, path_id)| {
            let prefix = match v6 {
                true => Prefix::truncated(Ipv6Addr::from_bits(bits).into(), len),
                false => Prefix::truncated(Ipv4Addr::from_bits(bits as u32).into(), len % 33),
            };
            let entry = NlriEntry { prefix, path_id };
            let unicast = match prefix.addr() {
                IpAddr::V4(addr) => !addr.is_multicast(),
                IpAddr::V6(addr) => !addr.is_multicast() && !addr.is_unicast_link_local(),
            };
            let mapped = Prefix::new(prefix.addr(), prefix.len()).is_err();
            (unicast && !mapped).then_some(entry)
        },
    );
    vec(entry, 1..600)
}

fn as_path() -> impl Strategy<Value = AsPath> {
    let kind = prop_oneof![3 => Just(SegmentKind::Sequence), 1 => Just(SegmentKind::Set)];
    let asn = prop_oneof![1u32..65536, 65536..=u32::MAX];
    let segment = (kind, vec(asn, 1..20)).prop_map(|(kind, asns)| AsSegment { kind, asns });
    vec(segment, 0..4).prop_map(|segments| AsPath { segments })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let number = || proptest::option::of(any::<u32>());
    let unknown = (36u8..255, vec(any::<u8>(), 0..300)).prop_map(|(code, value)| {
        let long = if value.len() > 255 { 0x10 } else { 0 };
        UnknownAttribute {
            flags: AttributeFlags(0xe0 | long),
            code: AttributeCode(code),
            value,
        }
    });
    let origin = prop_oneof![
        Just(Origin::Igp),
        Just(Origin::Egp),
        Just(Origin::Incomplete)
    ];
    let scalars = (
        origin,
        as_path(),
        number(),
        number(),
        any::<bool>(),
        number(),
        number(),
        number(),
    );
    let lists = (
        vec(any::<u32>().prop_map(Community), 0..80),
        vec(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..40),
        vec(any::<[u32; 3]>(), 0..30),
        vec(any::<[u8; 4]>().prop_map(Ipv4Addr::from), 0..5),
        proptest::option::of(unknown),
    );
    (scalars, lists).prop_map(|(scalars, lists)| {
        let (origin, as_path, med, local_pref, atomic_aggregate, by, originator, otc) = scalars;
        let (communities, extended_communities, large, cluster_list, unknown) = lists;
        let large = large
            .into_iter()
            .map(|[global, local1, local2]| LargeCommunity {
                global,
                local1,
                local2,
            });
        Attributes {
            origin,
            as_path,
            med,
            local_pref,
            atomic_aggregate,
            aggregator: by.map(|asn| Aggregator {
                asn: asn.max(1),
                router_id: Ipv4Addr::LOCALHOST,
            }),
            communities,
            originator_id: originator.map(Ipv4Addr::from_bits),
            cluster_list,
            extended_communities,
            large_communities: large.collect(),
            only_to_customer: otc,
            unknown: unknown.into_iter().collect(),
            ..Attributes::default()
        }
    })
}

/// What is announced is what is read, whatever the session agreed on.
#[test]
fn announcements_round_trip() {
    let session = (
        any::<[bool; 5]>(),
        entries(false),
        entries(true),
        attributes(),
    );
    runner(150)
        .run(
            &session,
            |([four, long, v4_ids, v6_ids, v6_hop], v4, v6, attributes)| {
                let write = EncodeContext {
                    four_octet_asn: four,
                    max_len: if long { 65535 } else { 4096 },
                    add_path: PerFamily {
                        ipv4: v4_ids,
                        ipv6: v6_ids,
                    },
                };
                let read = DecodeContext {
                    four_octet_asn: four,
                    extended_message: long,
                    internal: true,
                    add_path: write.add_path,
                    extended_next_hop: true,
                    ..DecodeContext::default()
                };
                let global = NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
                let classic = NextHop::V4(Ipv4Addr::new(192, 0, 2, 1));
                let mut out = Vec::new();
                let mut builder = UpdateBuilder::new(&mut out, write);
                let v4_hop = if v6_hop { global } else { classic };
                let messages = builder
                    .announce(&attributes, v4_hop, v4.iter().copied())
                    .unwrap()
                    + builder
                        .announce(&attributes, global, v6.iter().copied())
                        .unwrap();
                let mut rest = &out[..];
                let (mut found, mut count) = (Vec::new(), 0);
                while let Some((len, frame)) = Frame::next(rest, write.max_len).unwrap() {
                    let Message::Update(update) = frame.decode(&read).unwrap() else {
                        panic!("not an UPDATE");
                    };
                    prop_assert_eq!(update.faults(), &[]);
                    prop_assert_eq!(&update.attributes().decode(), &attributes);
                    for reach in update.reach() {
                        let v6 = reach.nlri.family() == tapway_model::Family::Ipv6;
                        prop_assert_eq!(reach.next_hop, if v6 { global } else { v4_hop });
                        found.extend(reach.nlri.iter());
                    }
                    rest = &rest[len..];
                    count += 1;
                }
                prop_assert_eq!(count, messages);
                let sent = v4.iter().chain(&v6).map(|entry| {
                    let ids = write.add_path[entry.prefix.family()];
                    NlriEntry {
                        path_id: if ids { entry.path_id } else { 0 },
                        ..*entry
                    }
                });
                prop_assert_eq!(found, sent.collect::<Vec<_>>());
                Ok(())
            },
        )
        .unwrap();
}

/// Damaged recordings of other implementations, in every context.
#[test]
fn damage_is_survived() {
    let recordings: Vec<Vec<u8>> = foreign::messages().map(|(_, bytes)| bytes).collect();
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    let which = any::<prop::sample::Index>();
    runner(20_000)
        .run(
            &(which, any::<u8>(), any::<prop::sample::Index>(), damage),
            |(which, cx, cut, damage)| {
                let mut bytes = which.get(&recordings).clone();
                for (at, byte) in damage {
                    // The header is spared, or most cases would end there.
                    let at = 19 + at.index(bytes.len());
                    if let Some(there) = bytes.get_mut(at) {
                        *there = byte;
                    }
                }
                bytes.insert(0, cx);
                targets::message(&bytes);
                let body = &bytes[20..];
                targets::open(body);
                let with_context = [&[cx], body].concat();
                targets::update(&with_context[..=cut.index(body.len() + 1)]);
                Ok(())
            },
        )
        .unwrap();
}

/// Bytes from nowhere.
#[test]
fn noise_is_survived() {
    runner(20_000)
        .run(&vec(any::<u8>(), 0..200), |bytes| {
            targets::message(&bytes);
            targets::open(&bytes);
            targets::update(&bytes);
            Ok(())
        })
        .unwrap();
}
