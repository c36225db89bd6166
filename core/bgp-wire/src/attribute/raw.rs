//! A block of attributes as bytes: what a RIB interns.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::{AttributeCode, AttributeFlags, Attributes};
use crate::reader::Reader;

/// One attribute, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its flags, as received.
    pub flags: AttributeFlags,
    /// Its type code.
    pub code: AttributeCode,
    /// Its content.
    pub value: &'a [u8],
}

/// A block of attributes: all of an UPDATE except MP_REACH_NLRI and MP_UNREACH_NLRI, with
/// four-octet AS numbers, each at most once.
///
/// Two equal blocks mean the same attributes, except for the next hop of multiprotocol NLRI, which
/// [`Reach`](crate::Reach) has; so `(bytes, next hop)` is a key to intern by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawAttributes<'a> {
    bytes: &'a [u8],
}

impl<'a> RawAttributes<'a> {
    /// A block that came from [`RawAttributes::bytes`]. Any bytes are safe; those that are no attribute
    /// end the iteration.
    pub const fn new(bytes: &'a [u8]) -> RawAttributes<'a> {
        RawAttributes { bytes }
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The attributes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = RawAttribute<'a>> + use<'a> {
        let mut read = Reader::new(self.bytes);
        core::iter::from_fn(move || RawAttribute::read(&mut read))
    }

    /// The attribute with this code.
    pub fn get(&self, code: AttributeCode) -> Option<RawAttribute<'a>> {
        self.iter().find(|a| a.code == code)
    }

    /// ONLY_TO_CUSTOMER: the AS that it names (RFC 9234 §5).
    pub fn only_to_customer(&self) -> Option<u32> {
        let attribute = self.get(AttributeCode::ONLY_TO_CUSTOMER)?;
        Some(u32::from_be_bytes(attribute.value.try_into().ok()?))
    }

    /// Appends them with exactly this NEXT_HOP, in its place by type code (RFC 4271 §5.1.3), or without any.
    pub fn write_with_next_hop(&self, next_hop: Option<Ipv4Addr>, out: &mut Vec<u8>) {
        let mut next_hop = next_hop;
        let put = |addr: Ipv4Addr, out: &mut Vec<u8>| {
            let code = AttributeCode::NEXT_HOP.0;
            out.extend_from_slice(&[AttributeFlags::TRANSITIVE, code, 4]);
            out.extend_from_slice(&addr.octets());
        };
        let mut rest = self.bytes;
        let mut read = Reader::new(rest);
        while let Some(attribute) = RawAttribute::read(&mut read) {
            let header = 3 + usize::from(attribute.flags.extended_length());
            let (this, after) = rest.split_at(header + attribute.value.len());
            rest = after;
            if attribute.code == AttributeCode::NEXT_HOP {
                continue;
            }
            if attribute.code > AttributeCode::NEXT_HOP
                && let Some(addr) = next_hop.take()
            {
                put(addr, out);
            }
            out.extend_from_slice(this);
        }
        if let Some(addr) = next_hop {
            put(addr, out);
        }
    }

    /// Decodes all of them into values.
    pub fn decode(&self) -> Attributes {
        Attributes::from_raw(*self)
    }
}

impl<'a> RawAttribute<'a> {
    /// Reads one; `None` at the end and when it is cut short.
    pub(crate) fn read(read: &mut Reader<'a>) -> Option<RawAttribute<'a>> {
        let [flags, code] = read.array()?;
        let flags = AttributeFlags(flags);
        let len = match flags.extended_length() {
            true => usize::from(read.u16()?),
            false => usize::from(read.u8()?),
        };
        let value = read.take(len)?;
        Some(RawAttribute {
            flags,
            code: AttributeCode(code),
            value,
        })
    }
}
