//! Attribute values to a block of bytes.

use alloc::vec::Vec;

use super::as_path::AsnWidth;
use super::{AttributeCode, AttributeFlags, Attributes, NextHop};

impl Attributes {
    /// Appends the block of all attributes, in the order of their codes, unknown ones last.
    ///
    /// With `four_octet_asn` this is a block for [`RawAttributes`](super::RawAttributes); without it, AS4_PATH
    /// and AS4_AGGREGATOR are added where they are needed (RFC 6793 §4.2.2).
    pub fn encode(&self, four_octet_asn: bool, out: &mut Vec<u8>) {
        self.encode_with(four_octet_asn, None, out);
    }

    /// The same with NEXT_HOP when the next hop is of IPv4: what
    /// [`UpdateBuilder::announce_block`](crate::UpdateBuilder::announce_block) takes.
    pub fn encode_with(&self, four_octet_asn: bool, next_hop: Option<NextHop>, out: &mut Vec<u8>) {
        let width = match four_octet_asn {
            true => AsnWidth::Four,
            false => AsnWidth::Two,
        };
        let mut block = Block {
            attributes: self,
            out,
        };
        block.put(AttributeCode::ORIGIN, |out| out.push(self.origin.code()));
        block.put(AttributeCode::AS_PATH, |out| {
            self.as_path.encode(width, out)
        });
        if let Some(NextHop::V4(addr)) = next_hop {
            block.put(AttributeCode::NEXT_HOP, |out| {
                out.extend_from_slice(&addr.octets())
            });
        }
        block.number(AttributeCode::MED, self.med);
        block.number(AttributeCode::LOCAL_PREF, self.local_pref);
        if self.atomic_aggregate {
            block.put(AttributeCode::ATOMIC_AGGREGATE, |_| {});
        }
        if let Some(aggregator) = self.aggregator {
            block.put(AttributeCode::AGGREGATOR, |out| {
                aggregator.encode(width, out)
            });
        }
        block.list(AttributeCode::COMMUNITIES, &self.communities, |c| {
            c.0.to_be_bytes()
        });
        block.number(
            AttributeCode::ORIGINATOR_ID,
            self.originator_id.map(|id| id.to_bits()),
        );
        block.list(AttributeCode::CLUSTER_LIST, &self.cluster_list, |id| {
            id.octets()
        });
        block.list(
            AttributeCode::EXTENDED_COMMUNITIES,
            &self.extended_communities,
            |c| c.0,
        );
        if width == AsnWidth::Two {
            if let Some(path) = self.as_path.as4_path() {
                block.put(AttributeCode::AS4_PATH, |out| {
                    path.encode(AsnWidth::Four, out)
                });
            }
            if let Some(aggregator) = self.aggregator
                && aggregator.asn > u32::from(u16::MAX)
            {
                block.put(AttributeCode::AS4_AGGREGATOR, |out| {
                    aggregator.encode(AsnWidth::Four, out);
                });
            }
        }
        block.list(
            AttributeCode::LARGE_COMMUNITIES,
            &self.large_communities,
            |c| {
                let mut bytes = [0; 12];
                for (to, part) in bytes
                    .chunks_exact_mut(4)
                    .zip([c.global, c.local1, c.local2])
                {
                    to.copy_from_slice(&part.to_be_bytes());
                }
                bytes
            },
        );
        block.number(AttributeCode::ONLY_TO_CUSTOMER, self.only_to_customer);
        for unknown in &self.unknown {
            let flags = unknown.flags.0 | AttributeFlags::PARTIAL;
            put(block.out, flags, unknown.code, |out| {
                out.extend_from_slice(&unknown.value)
            });
        }
    }
}

/// Writes known attributes with the flags that they must have.
struct Block<'a> {
    attributes: &'a Attributes,
    out: &'a mut Vec<u8>,
}

impl Block<'_> {
    fn put(&mut self, code: AttributeCode, value: impl FnOnce(&mut Vec<u8>)) {
        let mut flags = code.flags().unwrap_or_default();
        if self.attributes.partial.contains(code) {
            flags |= AttributeFlags::PARTIAL;
        }
        put(self.out, flags, code, value);
    }

    fn number(&mut self, code: AttributeCode, value: Option<u32>) {
        if let Some(value) = value {
            self.put(code, |out| out.extend_from_slice(&value.to_be_bytes()));
        }
    }

    fn list<const N: usize, T>(
        &mut self,
        code: AttributeCode,
        items: &[T],
        bytes: impl Fn(&T) -> [u8; N],
    ) {
        if !items.is_empty() {
            self.put(code, |out| {
                items
                    .iter()
                    .for_each(|item| out.extend_from_slice(&bytes(item)))
            });
        }
    }
}

/// Appends one attribute; a length above 255 has two octets. A content above 65535 bytes makes the block too long for
/// any message, which the caller finds.
pub(crate) fn put(
    out: &mut Vec<u8>,
    flags: u8,
    code: AttributeCode,
    value: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let wide = flags & AttributeFlags::EXTENDED_LENGTH != 0;
    out.extend_from_slice(&[flags, code.0, 0]);
    if wide {
        out.push(0);
    }
    let content = out.len();
    value(out);
    let len = out.len() - content;
    match (wide, u8::try_from(len)) {
        (false, Ok(len)) => out[content - 1] = len,
        (false, Err(_)) => {
            out[start] |= AttributeFlags::EXTENDED_LENGTH;
            let [high, low] = (len as u16).to_be_bytes();
            out[content - 1] = high;
            out.insert(content, low);
        }
        (true, _) => out[content - 2..content].copy_from_slice(&(len as u16).to_be_bytes()),
    }
}
