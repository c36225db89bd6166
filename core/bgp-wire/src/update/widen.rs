//! A block from a peer without four-octet AS numbers, as if it had them (RFC 6793 §4.2.3).

use alloc::vec::Vec;

use crate::attribute::{AsnWidth, put};
use crate::open::AS_TRANS;
use crate::{Aggregator, AsPath, AttributeCode, RawAttributes};

/// Writes AS_PATH and AGGREGATOR with four octets and merges AS4_PATH and AS4_AGGREGATOR into them.
pub(super) fn widen(block: &[u8]) -> Vec<u8> {
    let raw = RawAttributes::new(block);
    let aggregator = raw
        .get(AttributeCode::AGGREGATOR)
        .and_then(|a| Aggregator::decode(a.value, AsnWidth::Two));
    let wide_aggregator = raw
        .get(AttributeCode::AS4_AGGREGATOR)
        .and_then(|a| Aggregator::decode(a.value, AsnWidth::Four));
    // An AGGREGATOR with another AS comes from a router that lost what the AS4 attributes tell.
    let trusted = wide_aggregator.is_none() || aggregator.is_none_or(|a| a.asn == AS_TRANS);
    let aggregator = aggregator.map(|a| wide_aggregator.filter(|_| trusted).unwrap_or(a));
    let as4_path = raw
        .get(AttributeCode::AS4_PATH)
        .filter(|_| trusted)
        .and_then(|a| AsPath::decode(a.value, AsnWidth::Four));

    // Each AS number gets two octets more; a longer AS4_PATH is in the block already.
    let path_len = raw.get(AttributeCode::AS_PATH).map_or(0, |a| a.value.len());
    let mut out = Vec::with_capacity(block.len() + path_len + 16);
    for attribute in raw.iter() {
        let (flags, code) = (attribute.flags.0, attribute.code);
        match code {
            AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR => {}
            AttributeCode::AS_PATH => put(&mut out, flags, code, |out| match &as4_path {
                None => AsPath::widen(attribute.value, out),
                Some(as4_path) => {
                    let path = AsPath::decode(attribute.value, AsnWidth::Two).unwrap_or_default();
                    path.merged(as4_path.clone()).encode(AsnWidth::Four, out);
                }
            }),
            AttributeCode::AGGREGATOR => {
                if let Some(aggregator) = aggregator {
                    put(&mut out, flags, code, |out| {
                        aggregator.encode(AsnWidth::Four, out)
                    });
                }
            }
            _ => put(&mut out, flags, code, |out| {
                out.extend_from_slice(attribute.value)
            }),
        }
    }
    out
}
