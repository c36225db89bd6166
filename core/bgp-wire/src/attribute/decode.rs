//! A raw block of attributes to values.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::as_path::AsnWidth;
use super::code::OPTIONAL_TRANSITIVE;
use super::{
    Aggregator, AsPath, AttributeCode, Attributes, Community, ExtendedCommunity, LargeCommunity,
    Origin, RawAttribute, RawAttributes, UnknownAttribute,
};
use crate::reader::Reader;

impl Attributes {
    /// Decodes a block. Total: what cannot be decoded, which a block of an
    /// [`Update`](crate::Update) has not, is left out.
    pub(crate) fn from_raw(raw: RawAttributes<'_>) -> Attributes {
        let mut attributes = Attributes::default();
        for attribute in raw.iter() {
            let known = attributes.set(attribute).is_some();
            // Others must not have the flag (RFC 4271 §4.3), and do not pass it on.
            let may_be = attribute.code.flags() == Some(OPTIONAL_TRANSITIVE);
            if known && may_be && attribute.flags.partial() {
                attributes.partial.insert(attribute.code);
            }
        }
        attributes
    }

    /// Takes over one attribute; `None` when it is not known or cannot be decoded.
    fn set(&mut self, attribute: RawAttribute<'_>) -> Option<()> {
        let value = attribute.value;
        match attribute.code {
            AttributeCode::ORIGIN => self.origin = Origin::from_code(*value.first()?)?,
            AttributeCode::AS_PATH => self.as_path = AsPath::decode(value, AsnWidth::Four)?,
            AttributeCode::MED => self.med = Some(number(value)?),
            AttributeCode::LOCAL_PREF => self.local_pref = Some(number(value)?),
            AttributeCode::ATOMIC_AGGREGATE => self.atomic_aggregate = true,
            AttributeCode::AGGREGATOR => {
                self.aggregator = Some(Aggregator::decode(value, AsnWidth::Four)?);
            }
            AttributeCode::COMMUNITIES => {
                self.communities = list(value, |c| Community(u32::from_be_bytes(c)));
            }
            AttributeCode::ORIGINATOR_ID => {
                self.originator_id = Some(Ipv4Addr::from_bits(number(value)?));
            }
            AttributeCode::CLUSTER_LIST => {
                self.cluster_list = list(value, |id: [u8; 4]| Ipv4Addr::from(id));
            }
            AttributeCode::EXTENDED_COMMUNITIES => {
                self.extended_communities = list(value, ExtendedCommunity);
            }
            AttributeCode::LARGE_COMMUNITIES => {
                self.large_communities = list(value, |bytes: [u8; 12]| {
                    let [global, local1, local2] =
                        [0, 4, 8].map(|at| number(&bytes[at..at + 4]).unwrap_or_default());
                    LargeCommunity {
                        global,
                        local1,
                        local2,
                    }
                });
            }
            AttributeCode::ONLY_TO_CUSTOMER => self.only_to_customer = Some(number(value)?),
            code if code.flags().is_none()
                && attribute.flags.optional()
                && attribute.flags.transitive() =>
            {
                self.unknown.push(UnknownAttribute {
                    flags: attribute.flags,
                    code,
                    value: value.to_vec(),
                });
                return None;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Aggregator {
    /// Decodes the content of AGGREGATOR or AS4_AGGREGATOR.
    pub(crate) fn decode(value: &[u8], width: AsnWidth) -> Option<Aggregator> {
        let mut read = Reader::new(value);
        let asn = match width {
            AsnWidth::Two => u32::from(read.u16()?),
            AsnWidth::Four => read.u32()?,
        };
        let router_id = Ipv4Addr::from_bits(read.u32()?);
        read.is_empty().then_some(Aggregator { asn, router_id })
    }

    /// Appends the content of AGGREGATOR or AS4_AGGREGATOR.
    pub(crate) fn encode(&self, width: AsnWidth, out: &mut Vec<u8>) {
        width.write(self.asn, out);
        out.extend_from_slice(&self.router_id.octets());
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn list<const N: usize, T>(value: &[u8], each: impl Fn([u8; N]) -> T) -> Vec<T> {
    value.as_chunks::<N>().0.iter().map(|c| each(*c)).collect()
}
