//! UPDATEs out: packing, layout, limits.

use tapway_bgp_wire::{
    AsPath, Attributes, Community, DecodeContext, EncodeContext, EncodeError, Frame, Message,
    NextHop, NlriEntry, RawAttributes, UpdateBuilder,
};
use tapway_model::{Family, Prefix};

use crate::bytes::{AS_PATH, MP_REACH, NEXT_HOP, NLRI, ORIGIN, attribute, hex, message, update};

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn attributes() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([65001]),
        ..Attributes::default()
    }
}

fn v4() -> NextHop {
    NextHop::V4([192, 0, 2, 1].into())
}

fn v6() -> NextHop {
    NextHop::V6("2001:db8::1".parse().expect("an address"))
}

fn announced(attributes: &Attributes, next_hop: NextHop, prefixes: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    UpdateBuilder::new(&mut out, EncodeContext::default())
        .announce(attributes, next_hop, prefixes.iter().map(|p| prefix(p)))
        .expect("it fits");
    out
}

#[test]
fn ipv4_by_ipv4_is_classic() {
    let bytes = announced(&attributes(), v4(), &["198.51.100.0/24"]);
    assert_eq!(
        bytes,
        message(2, &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI))
    );
}

/// Ours has a length of two octets; otherwise it is the same attribute.
fn mp(code: u8, value: &str) -> Vec<u8> {
    let value = hex(value);
    [
        &[0x90, code, 0, u8::try_from(value.len()).expect("short")],
        &value[..],
    ]
    .concat()
}

#[test]
fn everything_else_is_multiprotocol_and_comes_first() {
    let global = "20010db8000000000000000000000001";
    let local = "fe800000000000000000000000000001";
    let (g, l) = ("2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap());
    let both = NextHop::V6WithLinkLocal {
        global: g,
        link_local: l,
    };
    let rows = [
        (
            v6(),
            "2001:db8:1::/48",
            format!("0002 01 10 {global} 00 30 20010db80001"),
        ),
        (
            both,
            "2001:db8:1::/48",
            format!("0002 01 20 {global} {local} 00 30 20010db80001"),
        ),
        (
            NextHop::LinkLocal(l),
            "::/0",
            format!("0002 01 10 {local} 00 00"),
        ),
        (
            v6(),
            "198.51.100.0/24",
            format!("0001 01 10 {global} 00 18 c63364"),
        ),
        (
            both,
            "198.51.100.1/32",
            format!("0001 01 20 {global} {local} 00 20 c6336401"),
        ),
    ];
    for (next_hop, prefix, value) in rows {
        let bytes = announced(&attributes(), next_hop, &[prefix]);
        let want = update(&[], &[&mp(14, &value), ORIGIN, AS_PATH], &[]);
        assert_eq!(bytes, message(2, &want), "{next_hop} {prefix}");
    }
    assert_eq!(
        MP_REACH[3..],
        mp(14, &format!("0002 01 10 {global} 00 30 20010db80001"))[4..]
    );
}

#[test]
fn withdraws_and_the_end() {
    let mut out = Vec::new();
    let mut builder = UpdateBuilder::new(&mut out, EncodeContext::default());
    let all = ["10.0.0.0/8", "198.51.100.0/24", "2001:db8:1::/48"].map(prefix);
    assert_eq!(builder.withdraw(all), 2);
    builder.end_of_rib(Family::Ipv4);
    builder.end_of_rib(Family::Ipv6);
    assert_eq!(builder.withdraw([] as [Prefix; 0]), 0);
    let want = [
        message(2, &update(&hex("08 0a 18 c63364"), &[], &[])),
        message(2, &update(&[], &[&mp(15, "0002 01 30 20010db80001")], &[])),
        message(2, &[0; 4]),
        message(2, &update(&[], &[&attribute(0x80, 15, &[0, 2, 1])], &[])),
    ];
    assert_eq!(out, want.concat());
}

#[test]
fn what_is_in_the_buffer_stays() {
    let mut out = vec![1, 2, 3];
    let mut builder = UpdateBuilder::new(&mut out, EncodeContext::default());
    builder
        .announce(&attributes(), v4(), [prefix("198.51.100.0/24")])
        .unwrap();
    let too_far = builder.announce(
        &attributes(),
        v4(),
        [prefix("198.51.100.0/24"), prefix("::/0")],
    );
    assert_eq!(
        too_far,
        Err(EncodeError::NextHopFamily([192, 0, 2, 1].into()))
    );
    assert_eq!(
        builder.announce(&attributes(), v4(), [] as [Prefix; 0]),
        Ok(0)
    );
    assert_eq!(out[..3], [1, 2, 3]);
    assert_eq!(
        out[3..],
        announced(&attributes(), v4(), &["198.51.100.0/24"])
    );
}

/// Messages are full: none has room for the next one's first prefix.
#[test]
fn messages_are_filled() {
    let hosts = |family: Family| -> Vec<Prefix> {
        (0u32..3000)
            .map(|n| match family {
                Family::Ipv4 => Prefix::host(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()),
                Family::Ipv6 => Prefix::host(
                    std::net::Ipv6Addr::from_bits(0x2001 << 112 | u128::from(n)).into(),
                ),
            })
            .collect()
    };
    for (family, next_hop, max_len, add_path, want) in [
        // 4096 - 23 - 20 bytes of attributes = 4053 bytes, 5 a prefix
        (Family::Ipv4, v4(), 4096, false, 4),
        (Family::Ipv4, v4(), 4096, true, 7),
        (Family::Ipv4, v4(), 65535, false, 1),
        (Family::Ipv4, v6(), 4096, false, 4),
        (Family::Ipv6, v6(), 4096, false, 13),
        (Family::Ipv6, v6(), 65535, false, 1),
    ] {
        let mut cx = EncodeContext {
            max_len,
            ..EncodeContext::default()
        };
        cx.add_path[family] = add_path;
        let entries: Vec<NlriEntry> = hosts(family)
            .into_iter()
            .zip(1..)
            .map(|(prefix, id)| NlriEntry {
                prefix,
                path_id: if add_path { id } else { 0 },
            })
            .collect();
        let mut out = Vec::new();
        let mut builder = UpdateBuilder::new(&mut out, cx);
        let messages = builder
            .announce(&attributes(), next_hop, entries.iter().copied())
            .unwrap();
        assert_eq!(messages, want, "{family} {max_len}");

        let read = DecodeContext {
            extended_message: max_len > 4096,
            extended_next_hop: true,
            add_path: cx.add_path,
            ..DecodeContext::default()
        };
        let (mut stream, mut found, mut lens) = (&out[..], Vec::new(), Vec::new());
        while let Some((len, frame)) = Frame::next(stream, max_len).unwrap() {
            let Message::Update(update) = frame.decode(&read).unwrap() else {
                panic!("not an UPDATE");
            };
            assert_eq!(update.faults(), &[]);
            assert_eq!(update.attributes().decode(), attributes());
            found.extend(update.reach().flat_map(|reach| reach.nlri.iter()));
            lens.push(len);
            stream = &stream[len..];
        }
        assert_eq!(found, entries);
        let size = usize::from(add_path) * 4 + 1 + usize::from(family.bits()) / 8;
        lens.pop();
        assert!(lens.iter().all(|len| len + size > max_len), "{lens:?}");
    }
}

#[test]
fn a_ready_block_gives_the_same_messages() {
    let hosts = || (0..=255).map(|n| Prefix::host([203, 0, 113, n].into()));
    for (four_octet_asn, next_hop) in [(true, v4()), (false, v4()), (true, v6())] {
        let cx = EncodeContext {
            four_octet_asn,
            max_len: 500,
            ..EncodeContext::default()
        };
        let mut block = Vec::new();
        attributes().encode_with(four_octet_asn, Some(next_hop), &mut block);
        let (mut once, mut ready) = (vec![7], vec![7]);
        let messages = UpdateBuilder::new(&mut once, cx).announce(&attributes(), next_hop, hosts());
        assert_eq!(
            UpdateBuilder::new(&mut ready, cx).announce_block(&block, next_hop, hosts()),
            messages
        );
        assert!(messages.is_ok_and(|n| n > 1));
        assert_eq!(once, ready);
    }
}

#[test]
fn attributes_that_leave_no_room() {
    let mut out = vec![9];
    let of = |count: u32| Attributes {
        communities: (0..count).map(Community).collect(),
        ..attributes()
    };
    let host = [prefix("198.51.100.1")];
    let mut builder = UpdateBuilder::new(&mut out, EncodeContext::default());
    // 4096 - 23 - 20 - 4 of header and 5 of the prefix leaves room for 1011 communities.
    assert_eq!(builder.announce(&of(1011), v4(), host), Ok(1));
    let refused = builder.announce(&of(1012), v4(), host).unwrap_err();
    assert_eq!(
        refused,
        EncodeError::TooLong {
            len: 4072,
            max_len: 4096
        }
    );
    assert!(refused.to_string().contains("send fewer communities"));
    let absurd = builder.announce(&of(40_000), v4(), host);
    assert!(matches!(absurd, Err(EncodeError::TooLong { .. })));
    assert_eq!(out.len(), 1 + 23 + 20 + 4 + 4044 + 5);
}

#[test]
fn long_paths_are_split_into_segments() {
    let path = AsPath::sequence((1..=600).collect::<Vec<u32>>());
    let mut block = Vec::new();
    Attributes {
        as_path: path,
        ..Attributes::default()
    }
    .encode(true, &mut block);
    let decoded = tapway_bgp_wire::RawAttributes::new(&block).decode();
    let counts: Vec<usize> = decoded
        .as_path
        .segments
        .iter()
        .map(|s| s.asns.len())
        .collect();
    assert_eq!(counts, [255, 255, 90]);
    assert_eq!(
        decoded.as_path.iter().collect::<Vec<_>>(),
        (1..=600).collect::<Vec<_>>()
    );
}

#[test]
fn a_next_hop_is_set_in_a_block_and_nothing_else_is_touched() {
    let with = |bytes: &[u8], next_hop: Option<[u8; 4]>| {
        let mut out = Vec::new();
        RawAttributes::new(bytes).write_with_next_hop(next_hop.map(Into::into), &mut out);
        out
    };
    let origin = [0x40, 1, 1, 0];
    // AS_PATH with an extended length that it does not need, and an attribute that nobody knows.
    let path = [0x50, 2, 0, 6, 2, 1, 0, 0, 0xfd, 0xe9];
    let hop = |last| [0x40, 3, 4, 192, 0, 2, last];
    let med = [0x80, 4, 4, 0, 0, 0, 7];
    let unknown = [0xe0, 99, 2, 0xab, 0xcd];
    let all = |hop: &[u8]| [&origin[..], &path, hop, &med, &unknown].concat();
    assert_eq!(with(&all(&[]), Some([192, 0, 2, 1])), all(&hop(1)));
    assert_eq!(with(&all(&hop(9)), Some([192, 0, 2, 1])), all(&hop(1)));
    assert_eq!(with(&all(&hop(9)), None), all(&[]));
    assert_eq!(
        with(&origin, Some([192, 0, 2, 1])),
        [&origin[..], &hop(1)].concat()
    );
    assert_eq!(with(&[], Some([192, 0, 2, 1])), hop(1));
    // What is cut short ends the block.
    assert_eq!(with(&[0x40, 1, 1], None), []);
}
