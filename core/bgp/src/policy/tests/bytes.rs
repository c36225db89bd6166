//! A policy sees the same in received bytes as in decoded attributes.

use alloc::collections::BTreeSet;

use proptest::prelude::*;
use tapway_bgp_wire::{
    DecodeContext, EncodeContext, Frame, Message, Origin, RawAttributes, UpdateBuilder,
};

use super::*;

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let numbers = || proptest::collection::vec(1u32..6, 0..4);
    (
        0..3u8,
        numbers(),
        (any::<Option<u32>>(), any::<Option<u32>>()),
        numbers(),
        numbers(),
        numbers(),
    )
        .prop_map(
            |(origin, path, (med, local_pref), standard, large, extended)| Attributes {
                origin: [Origin::Igp, Origin::Egp, Origin::Incomplete][usize::from(origin)],
                as_path: AsPath::sequence(path),
                med,
                local_pref,
                communities: standard.into_iter().map(Community).collect(),
                large_communities: large
                    .into_iter()
                    .map(|n| LargeCommunity {
                        global: n,
                        local1: n + 1,
                        local2: n + 2,
                    })
                    .collect(),
                extended_communities: extended
                    .into_iter()
                    .map(|n| ExtendedCommunity([0, 2, 0, n as u8, 0, 0, 1, n as u8]))
                    .collect(),
                ..Attributes::default()
            },
        )
}

proptest! {
    #[test]
    fn they_are_the_same(attributes in any_attributes()) {
        let mut out = Vec::new();
        let internal = EncodeContext { four_octet_asn: true, ..EncodeContext::default() };
        UpdateBuilder::new(&mut out, internal)
            .announce(&attributes, hop(), ["10.0.0.0/8".parse::<tapway_model::Prefix>().unwrap()])
            .unwrap();
        let session = DecodeContext { four_octet_asn: true, internal: true, ..DecodeContext::default() };
        let (_, frame) = Frame::next(&out, session.max_len()).unwrap().unwrap();
        let Message::Update(update) = frame.decode(&session).unwrap() else { panic!() };
        let decoded = update.attributes().decode();
        let bytes = RouteAttributes::Bytes(update.attributes());
        let values = RouteAttributes::Values(&decoded);
        prop_assert_eq!(bytes.origin(), values.origin());
        prop_assert_eq!(bytes.med(), values.med());
        prop_assert_eq!(bytes.local_pref(), values.local_pref());
        prop_assert_eq!(bytes.as_path().length(), values.as_path().length());
        prop_assert!(bytes.communities().eq(values.communities()));
        prop_assert!(bytes.large_communities().eq(values.large_communities()));
        let once: BTreeSet<_> = attributes.large_communities.iter().collect();
        prop_assert_eq!(decoded.large_communities.len(), once.len());
        prop_assert!(bytes.extended_communities().eq(values.extended_communities()));
        prop_assert_eq!(decoded.communities.len(), attributes.communities.len());
    }
}

#[test]
fn without_attributes_there_is_nothing() {
    for attributes in [
        RouteAttributes::None,
        RouteAttributes::Bytes(RawAttributes::new(&[])),
        RouteAttributes::Values(&Attributes::default()),
    ] {
        assert_eq!(attributes.origin(), Origin::Igp);
        assert_eq!((attributes.med(), attributes.local_pref()), (None, None));
        assert_eq!(attributes.as_path().length(), 0);
        assert_eq!(attributes.communities().count(), 0);
        assert_eq!(attributes.large_communities().count(), 0);
        assert_eq!(attributes.extended_communities().count(), 0);
    }
}
