//! Sessions without four-octet AS numbers: AS4_PATH, AS4_AGGREGATOR, AS_TRANS.

use tapway_bgp_wire::{
    Aggregator, AsPath, AsSegment, Attributes, DecodeContext, EncodeContext, NextHop, SegmentKind,
    Update, UpdateBuilder,
};

use crate::bytes::{NEXT_HOP, NLRI, ORIGIN, attribute, update};

const WIDE: u32 = 4_200_000_001;
const TRANS: u32 = 23456;

fn old() -> DecodeContext {
    DecodeContext {
        four_octet_asn: false,
        ..DecodeContext::default()
    }
}

/// Segments of (type, AS numbers) with two or four octets.
fn path(segments: &[(u8, &[u32])], octets: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, asns) in segments {
        out.extend_from_slice(&[*kind, u8::try_from(asns.len()).expect("short")]);
        for asn in *asns {
            out.extend_from_slice(&asn.to_be_bytes()[4 - octets..]);
        }
    }
    out
}

fn decoded(attributes: &[&[u8]]) -> Attributes {
    let all = [&[ORIGIN, NEXT_HOP], attributes].concat();
    let body = update(&[], &all, NLRI);
    let update = Update::decode(&body, &old()).expect("no reset");
    assert_eq!(update.reach().count(), 1, "{update:?}");
    update.attributes().decode()
}

#[test]
fn paths_are_merged() {
    type Segments<'a> = &'a [(u8, &'a [u32])];
    let rows: &[(&str, Segments<'_>, Segments<'_>, &str)] = &[
        (
            "the same length",
            &[(2, &[1, TRANS, 3])],
            &[(2, &[1, WIDE, 3])],
            "1 4200000001 3",
        ),
        (
            "longer in front",
            &[(2, &[9, 8, TRANS])],
            &[(2, &[WIDE])],
            "9 8 4200000001",
        ),
        (
            "AS4_PATH longer",
            &[(2, &[TRANS])],
            &[(2, &[WIDE, 3])],
            "23456",
        ),
        (
            "a set is one",
            &[(2, &[9]), (1, &[TRANS, 5])],
            &[(1, &[WIDE, 5])],
            "9 {4200000001 5}",
        ),
        (
            "several segments in front",
            &[(2, &[9]), (1, &[7, 8]), (2, &[8, TRANS])],
            &[(2, &[WIDE])],
            "9 {7 8} 8 4200000001",
        ),
        (
            "a set in front",
            &[(1, &[7, 8]), (2, &[TRANS])],
            &[(2, &[WIDE])],
            "{7 8} 4200000001",
        ),
        (
            "confederation in AS4_PATH",
            &[(2, &[1, 2])],
            &[(3, &[7]), (2, &[WIDE])],
            "1 4200000001",
        ),
    ];
    for (name, two, four, want) in rows {
        let as_path = attribute(0x40, 2, &path(two, 2));
        let as4_path = attribute(0xc0, 17, &path(four, 4));
        assert_eq!(
            decoded(&[&as_path, &as4_path]).as_path.to_string(),
            *want,
            "{name}"
        );
        assert_eq!(
            decoded(&[&as4_path, &as_path]).as_path.to_string(),
            *want,
            "{name}, reversed"
        );
    }
}

#[test]
fn a_malformed_as4_path_is_discarded() {
    let as_path = attribute(0x40, 2, &path(&[(2, &[1, TRANS])], 2));
    for bad in [
        &[][..],
        &[2, 0],
        &[2, 1, 0, 0, 0],
        &[9, 1, 0, 0, 0, 1],
        &[2, 1, 0, 0, 0, 0],
        &[2, 1, 0, 0, 0, 1, 2],
    ] {
        let as4_path = attribute(0xc0, 17, bad);
        assert_eq!(
            decoded(&[&as_path, &as4_path]).as_path.to_string(),
            "1 23456",
            "{bad:?}"
        );
    }
}

#[test]
fn aggregators_are_merged() {
    let as_path = attribute(0x40, 2, &path(&[(2, &[1, TRANS])], 2));
    let as4_path = attribute(0xc0, 17, &path(&[(2, &[1, WIDE])], 4));
    let wide = attribute(0xc0, 18, &[&WIDE.to_be_bytes()[..], &[1, 1, 1, 1]].concat());
    let by = |asn, id: [u8; 4]| Aggregator {
        asn,
        router_id: id.into(),
    };

    let trans = attribute(0xc0, 7, &[0x5b, 0xa0, 2, 2, 2, 2]);
    let both = decoded(&[&as_path, &trans, &as4_path, &wide]);
    assert_eq!(both.aggregator, Some(by(WIDE, [1; 4])));
    assert_eq!(both.as_path.to_string(), "1 4200000001");

    let other = attribute(0xc0, 7, &[0, 9, 2, 2, 2, 2]);
    let stale = decoded(&[&as_path, &other, &as4_path, &wide]);
    assert_eq!(
        stale.aggregator,
        Some(by(9, [2; 4])),
        "the AS4 attributes are older"
    );
    assert_eq!(stale.as_path.to_string(), "1 23456");

    let alone = decoded(&[&as_path, &wide]);
    assert_eq!(alone.aggregator, None);
}

#[test]
fn wide_numbers_go_out_beside_as_trans() {
    let attributes = Attributes {
        as_path: AsPath {
            segments: vec![
                AsSegment {
                    kind: SegmentKind::Sequence,
                    asns: vec![65001, WIDE],
                },
                AsSegment {
                    kind: SegmentKind::Set,
                    asns: vec![7, WIDE],
                },
            ],
        },
        aggregator: Some(Aggregator {
            asn: WIDE,
            router_id: [1; 4].into(),
        }),
        ..Attributes::default()
    };
    let mut out = Vec::new();
    let cx = EncodeContext {
        four_octet_asn: false,
        ..EncodeContext::default()
    };
    let next_hop = NextHop::V4([192, 0, 2, 1].into());
    let prefix: tapway_model::Prefix = "198.51.100.0/24".parse().unwrap();
    UpdateBuilder::new(&mut out, cx)
        .announce(&attributes, next_hop, [prefix])
        .unwrap();

    let as_old_peers_see_it = [
        ORIGIN,
        &attribute(0x40, 2, &path(&[(2, &[65001, TRANS]), (1, &[7, TRANS])], 2)),
        NEXT_HOP,
        &attribute(0xc0, 7, &[0x5b, 0xa0, 1, 1, 1, 1]),
        &attribute(0xc0, 17, &path(&[(2, &[65001, WIDE]), (1, &[7, WIDE])], 4)),
        &attribute(0xc0, 18, &[&WIDE.to_be_bytes()[..], &[1; 4]].concat()),
    ];
    assert_eq!(out[19..], update(&[], &as_old_peers_see_it, NLRI));
    let again = Update::decode(&out[19..], &old()).unwrap();
    assert_eq!(again.attributes().decode(), attributes);

    let narrow = Attributes {
        as_path: AsPath::sequence([65001]),
        ..Attributes::default()
    };
    let mut block = Vec::new();
    narrow.encode(false, &mut block);
    assert_eq!(
        block,
        [ORIGIN, &[0x40, 2, 4, 2, 1, 0xfd, 0xe9]].concat(),
        "AS4_PATH only when needed"
    );
}
