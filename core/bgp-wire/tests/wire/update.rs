//! UPDATEs that are right: families, next hops, the raw block, the end of a RIB.

use tapway_bgp_wire::{
    AttributeCode, AttributeFlags, Community, DecodeContext, NextHop, RawAttributes, Update,
};
use tapway_model::Family;

use crate::bytes::{
    AS_PATH, MP_REACH, NEXT_HOP, NLRI, ORIGIN, attribute, decode, hex, reach, unreach, update,
};

#[test]
fn the_end_of_a_rib() {
    let unreach = |family: &[u8]| attribute(0x80, 15, family);
    let v6 = unreach(&[0, 2, 1]);
    let rows: Vec<(&str, Vec<u8>, Option<Family>)> = vec![
        ("IPv4", update(&[], &[], &[]), Some(Family::Ipv4)),
        ("IPv6", update(&[], &[&v6], &[]), Some(Family::Ipv6)),
        (
            "IPv4, multiprotocol",
            update(&[], &[&unreach(&[0, 1, 1])], &[]),
            Some(Family::Ipv4),
        ),
        (
            "another family",
            update(&[], &[&unreach(&[0, 25, 70])], &[]),
            None,
        ),
        ("with a withdraw", update(&[8, 10], &[&v6], &[]), None),
        (
            "IPv6 withdraw",
            update(&[], &[&unreach(&[0, 2, 1, 0])], &[]),
            None,
        ),
        (
            "with routes",
            update(&[], &[&v6, ORIGIN, AS_PATH, NEXT_HOP], NLRI),
            None,
        ),
        ("only attributes", update(&[], &[ORIGIN], &[]), None),
    ];
    for (name, body, want) in rows {
        let update = decode(&body).unwrap();
        assert_eq!(update.end_of_rib(), want, "{name}");
        assert_eq!(update.faults(), &[], "{name}");
    }
}

#[test]
fn next_hops() {
    let global = "20010db8000000000000000000000001";
    let local = "fe800000000000000000000000000001";
    let zero = "00000000000000000000000000000000";
    let (g, l) = ("2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap());
    for (field, want) in [
        (format!("10 {global}"), NextHop::V6(g)),
        (
            format!("20 {global} {local}"),
            NextHop::V6WithLinkLocal {
                global: g,
                link_local: l,
            },
        ),
        (format!("10 {local}"), NextHop::LinkLocal(l)),
        (format!("20 {zero} {local}"), NextHop::LinkLocal(l)),
        (format!("20 {local} {local}"), NextHop::LinkLocal(l)),
        (format!("20 {global} {zero}"), NextHop::V6(g)),
        (format!("20 {local} {zero}"), NextHop::LinkLocal(l)),
    ] {
        for (family, cx) in [
            ("0002 01", DecodeContext::default()),
            (
                "0001 01",
                DecodeContext {
                    extended_next_hop: true,
                    ..DecodeContext::default()
                },
            ),
        ] {
            let mp = attribute(0x80, 14, &hex(&format!("{family} {field} 00 00")));
            let body = update(&[], &[&mp, ORIGIN, AS_PATH], &[]);
            let update = Update::decode(&body, &cx).unwrap();
            let found = update.reach().next().map(|reach| reach.next_hop);
            assert_eq!(found, Some(want), "{family} {field}");
        }
    }
}

#[test]
fn prefixes_lose_their_trailing_bits() {
    let body = update(
        &[12, 10, 0xff],
        &[ORIGIN, AS_PATH, NEXT_HOP],
        &[0, 1, 0xff, 25, 1, 2, 3, 0xff],
    );
    let update = decode(&body).unwrap();
    assert_eq!(unreach(&update), ["10.240.0.0/12"]);
    let want = ["0.0.0.0/0", "128.0.0.0/1", "1.2.3.128/25"].map(|p| format!("{p} via 192.0.2.1"));
    assert_eq!(reach(&update), want);
}

/// RFC 4271 §6.3: what is no unicast prefix is ignored, and nothing but that.
#[test]
fn prefixes_that_are_not_unicast_are_skipped() {
    let body = update(
        &[8, 239, 4, 0xe0, 3, 0xff],
        &[ORIGIN, AS_PATH, NEXT_HOP],
        &[32, 224, 0, 0, 5, 2, 0xff, 24, 203, 0, 113],
    );
    let decoded = decode(&body).unwrap();
    // 224.0.0.0/3 begins with a multicast address; 192.0.0.0/2 does not, whatever comes behind its bits.
    assert_eq!(unreach(&decoded), Vec::<String>::new());
    let want = ["192.0.0.0/2", "203.0.113.0/24"].map(|p| format!("{p} via 192.0.2.1"));
    assert_eq!(reach(&decoded), want);

    let mapped = "80 00000000000000000000ffffc0000201";
    let inside = "60 00000000000000000000ffff";
    let shorter = "5f 00000000000000000000fffe";
    let (multicast, link_local) = ("10 ff0e", "40 fe80000000000000");
    let good = "30 20010db80001";
    let mp = attribute(
        0x80,
        15,
        &hex(&format!(
            "0002 01 {mapped} {inside} {shorter} {multicast} {link_local} {good}"
        )),
    );
    let body = update(&[], &[&mp], &[]);
    assert_eq!(
        unreach(&decode(&body).unwrap()),
        ["::fffe:0:0/95", "2001:db8:1::/48"]
    );
}

/// Only optional transitive attributes may have the partial flag (RFC 4271 §4.3).
#[test]
fn the_partial_flag_of_others_is_not_passed_on() {
    let origin = attribute(0x60, 1, &[0]);
    let med = attribute(0xa0, 4, &[0, 0, 0, 1]);
    let aggregator = attribute(0xe0, 7, &[0, 0, 0, 9, 1, 1, 1, 1]);
    let body = update(&[], &[&origin, AS_PATH, NEXT_HOP, &med, &aggregator], NLRI);
    let decoded = decode(&body).unwrap();
    assert_eq!(
        decoded.faults(),
        &[],
        "RFC 7606 §3 (c) is about other flags"
    );
    let mut block = Vec::new();
    decoded.attributes().decode().encode(true, &mut block);
    let flags = |code| {
        RawAttributes::new(&block)
            .get(AttributeCode(code))
            .map(|a| a.flags.0)
    };
    assert_eq!([1, 4, 7].map(flags), [0x40, 0x80, 0xe0].map(Some));
}

/// RFC 8092 §3.
#[test]
fn repeated_large_communities_count_once() {
    for many in [3u32, 300] {
        let numbers = (0..many).chain([1, 0]).chain(0..many);
        let value: Vec<u8> = numbers
            .flat_map(|n| [65001, 0, n])
            .flat_map(u32::to_be_bytes)
            .collect();
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        let large = [&[0xd0, 32][..], &len, &value].concat();
        let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &large], NLRI);
        let update = decode(&body).unwrap();
        let attributes = update.attributes().decode();
        let left = attributes.large_communities.iter().map(|c| c.local2);
        assert!(left.eq(0..many), "in their order: {attributes:?}");
        assert_eq!(attributes.as_path.to_string(), "65001", "the rest stays");
        let raw = update.attributes().get(AttributeCode::LARGE_COMMUNITIES);
        assert_eq!(raw.map(|a| a.value.len()), Some(12 * many as usize));
    }
}

#[test]
fn both_families_in_one_message() {
    let gone = attribute(0x80, 15, &[0, 2, 1, 16, 0x20, 1]);
    let body = update(
        &[8, 10],
        &[MP_REACH, &gone, ORIGIN, AS_PATH, NEXT_HOP],
        NLRI,
    );
    let update = decode(&body).unwrap();
    assert_eq!(
        reach(&update),
        [
            "198.51.100.0/24 via 192.0.2.1",
            "2001:db8:1::/48 via 2001:db8::1"
        ]
    );
    assert_eq!(unreach(&update), ["10.0.0.0/8", "2001::/16"]);
}

#[test]
fn path_identifiers() {
    let mut cx = DecodeContext::default();
    cx.add_path.ipv4 = true;
    let nlri = [0, 0, 0, 7, 24, 198, 51, 100, 0, 0, 0, 8, 24, 198, 51, 100];
    let body = update(
        &[0, 0, 0, 9, 8, 10],
        &[ORIGIN, AS_PATH, NEXT_HOP, MP_REACH],
        &nlri,
    );
    let update = Update::decode(&body, &cx).unwrap();
    assert_eq!(
        reach(&update),
        [
            "198.51.100.0/24 #7 via 192.0.2.1",
            "198.51.100.0/24 #8 via 192.0.2.1",
            "2001:db8:1::/48 via 2001:db8::1"
        ]
    );
    assert_eq!(unreach(&update), ["10.0.0.0/8 #9"]);
}

#[test]
fn the_raw_block_is_borrowed_while_it_is_in_one_piece() {
    let kept = [ORIGIN, AS_PATH].concat();
    let last = attribute(0xc0, 8, &[0xff, 0xff, 0xff, 1]);
    type Row<'a> = (&'a str, Vec<&'a [u8]>, Vec<u8>, bool);
    let rows: [Row<'_>; 4] = [
        (
            "MP_REACH_NLRI first",
            vec![MP_REACH, ORIGIN, AS_PATH],
            kept.clone(),
            true,
        ),
        (
            "MP_REACH_NLRI last",
            vec![ORIGIN, AS_PATH, MP_REACH],
            kept.clone(),
            true,
        ),
        (
            "MP_REACH_NLRI between",
            vec![ORIGIN, AS_PATH, MP_REACH, &last],
            [&kept[..], &last].concat(),
            false,
        ),
        (
            "an attribute that is dropped",
            vec![ORIGIN, &[0x80, 99, 0], AS_PATH, MP_REACH],
            kept.clone(),
            false,
        ),
    ];
    for (name, attributes, want, borrowed) in rows {
        let body = update(&[], &attributes, &[]);
        let update = decode(&body).unwrap();
        let bytes = update.attributes().bytes();
        assert_eq!(bytes, want, "{name}");
        assert_eq!(
            body.as_ptr_range().contains(&bytes.as_ptr()),
            borrowed,
            "{name}"
        );
        assert_eq!(
            RawAttributes::new(bytes).decode(),
            update.attributes().decode()
        );
    }
}

#[test]
fn unknown_transitive_attributes_are_passed_on_bit_for_bit() {
    let unknown = attribute(0xc0, 99, &[1, 2, 3]);
    // With a length of two octets that it would not need.
    let roomy = [0xd0, 100, 0, 1, 9];
    let community = attribute(0xe0, 8, &[0, 1, 0, 2]);
    let body = update(
        &[],
        &[ORIGIN, AS_PATH, NEXT_HOP, &community, &unknown, &roomy],
        NLRI,
    );
    let decoded = decode(&body).unwrap();
    let attributes = decoded.attributes().decode();
    assert_eq!(attributes.communities, [Community(0x0001_0002)]);
    let flags: Vec<AttributeFlags> = attributes.unknown.iter().map(|u| u.flags).collect();
    assert_eq!(flags, [AttributeFlags(0xc0), AttributeFlags(0xd0)]);
    let mut block = Vec::new();
    attributes.encode(true, &mut block);
    let sent = RawAttributes::new(&block);
    let raw = |code| sent.get(AttributeCode(code)).expect("it is sent");
    assert_eq!(
        (raw(99).flags.0, raw(99).value),
        (0xe0, &[1, 2, 3][..]),
        "partial now"
    );
    assert_eq!((raw(100).flags.0, raw(100).value), (0xf0, &[9][..]));
    assert_eq!(raw(8).flags.0, 0xe0, "a partial flag stays");
}

#[test]
fn all_values() {
    let body = update(
        &[],
        &[
            &attribute(0x40, 1, &[1]),
            AS_PATH,
            NEXT_HOP,
            &attribute(0x80, 4, &[0, 0, 0, 50]),
            &attribute(0x40, 5, &[0, 0, 0, 200]),
            &attribute(0x40, 6, &[]),
            &attribute(0xc0, 7, &[0, 0, 0, 9, 1, 2, 3, 4]),
            &attribute(0x80, 9, &[10, 0, 0, 1]),
            &attribute(0x80, 10, &[10, 0, 0, 2, 10, 0, 0, 3]),
            &attribute(0xc0, 16, &[0, 2, 0xfd, 0xe9, 0, 0, 0, 5]),
            &attribute(0xc0, 32, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
            &attribute(0xc0, 35, &[0, 0, 0xfd, 0xe9]),
        ],
        NLRI,
    );
    let cx = DecodeContext {
        internal: true,
        ..DecodeContext::default()
    };
    let update = Update::decode(&body, &cx).unwrap();
    assert_eq!(update.faults(), &[]);
    let a = update.attributes().decode();
    assert_eq!(a.origin.to_string(), "egp");
    assert_eq!(
        (a.as_path.first(), a.as_path.origin(), a.as_path.length()),
        (Some(65001), Some(65001), 1)
    );
    assert_eq!(
        (a.med, a.local_pref, a.only_to_customer),
        (Some(50), Some(200), Some(65001))
    );
    assert!(a.atomic_aggregate);
    assert_eq!(
        a.aggregator.map(|by| (by.asn, by.router_id)),
        Some((9, [1, 2, 3, 4].into()))
    );
    assert_eq!(a.originator_id, Some([10, 0, 0, 1].into()));
    assert_eq!(
        a.cluster_list,
        [[10, 0, 0, 2].into(), [10, 0, 0, 3].into()] as [std::net::Ipv4Addr; 2]
    );
    assert_eq!(a.extended_communities[0].to_string(), "rt:65001:5");
    assert_eq!(a.large_communities[0].to_string(), "1:2:3");
    let mut again = Vec::new();
    a.encode(true, &mut again);
    let without_next_hop: Vec<u8> = update
        .attributes()
        .iter()
        .filter(|raw| raw.code != AttributeCode::NEXT_HOP)
        .flat_map(|raw| attribute(raw.flags.0, raw.code.0, raw.value))
        .collect();
    assert_eq!(again, without_next_hop);
}
