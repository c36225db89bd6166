//! UPDATEs out: many prefixes with one set of attributes in as few messages as they fit.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use tapway_model::Family;

use crate::message::{begin, finish};
use crate::nlri::octets;
use crate::{
    AfiSafi, AttributeCode, AttributeFlags, Attributes, EncodeContext, HEADER_LEN, MessageType,
    NextHop, NlriEntry,
};

/// Why routes cannot be encoded. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The attributes leave no room for one prefix.
    #[error(
        "the attributes take {len} bytes and leave no room for a prefix in a message of {max_len}; send fewer communities or a shorter AS path"
    )]
    TooLong {
        /// What the attributes take.
        len: usize,
        /// The longest message of the session.
        max_len: usize,
    },
    /// IPv6 prefixes with an IPv4 next hop.
    #[error("IPv6 prefixes cannot have the IPv4 next hop {0}; give an IPv6 next hop")]
    NextHopFamily(core::net::Ipv4Addr),
}

/// Appends whole UPDATE messages to a buffer of the caller.
///
/// MP_REACH_NLRI and MP_UNREACH_NLRI come first in a message, as RFC 7606 §5.1 asks, and a message never has both
/// routes and withdrawn routes.
#[derive(Debug)]
pub struct UpdateBuilder<'o> {
    out: &'o mut Vec<u8>,
    cx: EncodeContext,
}

impl<'o> UpdateBuilder<'o> {
    /// Appends to `out` for a session.
    pub const fn new(out: &'o mut Vec<u8>, cx: EncodeContext) -> UpdateBuilder<'o> {
        UpdateBuilder { out, cx }
    }

    /// Announces `entries` with `attributes`; returns how many messages that took.
    ///
    /// IPv4 with an IPv4 next hop goes out in the classic fields, everything else in MP_REACH_NLRI. A run of one
    /// family shares messages, so sort by family.
    ///
    /// # Errors
    /// When it cannot be encoded; then nothing is appended.
    pub fn announce<I>(
        &mut self,
        attributes: &Attributes,
        next_hop: NextHop,
        entries: I,
    ) -> Result<usize, EncodeError>
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        let start = self.out.len();
        attributes.encode_with(self.cx.four_octet_asn, Some(next_hop), self.out);
        self.announce_from(start, next_hop, entries)
    }

    /// The same with a block of attributes that [`Attributes::encode_with`] wrote for sessions like this one, with the
    /// same next hop.
    ///
    /// # Errors
    /// When it cannot be encoded; then nothing is appended.
    pub fn announce_block<I>(
        &mut self,
        block: &[u8],
        next_hop: NextHop,
        entries: I,
    ) -> Result<usize, EncodeError>
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        let start = self.out.len();
        self.out.extend_from_slice(block);
        self.announce_from(start, next_hop, entries)
    }

    /// Announces with the block from `start` on, which is copied into the messages and removed in the end.
    fn announce_from<I>(
        &mut self,
        start: usize,
        next_hop: NextHop,
        entries: I,
    ) -> Result<usize, EncodeError>
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        let block = start..self.out.len();
        let run = Run {
            builder: self,
            kind: Kind::Announce {
                next_hop,
                block: block.clone(),
            },
        };
        match run.write(entries) {
            Ok(messages) => {
                self.out.drain(block);
                Ok(messages)
            }
            Err(error) => {
                self.out.truncate(start);
                Err(error)
            }
        }
    }

    /// Withdraws `entries`; returns how many messages that took. IPv4 goes out in the classic field, whatever
    /// next hop it was announced with.
    pub fn withdraw<I>(&mut self, entries: I) -> usize
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        let run = Run {
            builder: self,
            kind: Kind::Withdraw,
        };
        // Without attributes every prefix fits.
        run.write(entries).unwrap_or_default()
    }

    /// Ends the first transfer of a family's routes (RFC 4724 §2).
    pub fn end_of_rib(&mut self, family: Family) {
        let start = begin(self.out, MessageType::Update);
        match family {
            Family::Ipv4 => self.out.extend_from_slice(&[0; 4]),
            Family::Ipv6 => {
                let [high, low, safi] = AfiSafi::from(family).to_bytes();
                let code = AttributeCode::MP_UNREACH_NLRI.0;
                let flags = AttributeFlags::OPTIONAL;
                self.out
                    .extend_from_slice(&[0, 0, 0, 6, flags, code, 3, high, low, safi]);
            }
        }
        finish(self.out, start);
    }
}

/// What a run of messages says about its prefixes.
#[derive(Clone, Debug)]
enum Kind {
    Announce {
        next_hop: NextHop,
        block: Range<usize>,
    },
    Withdraw,
}

/// Messages being written.
struct Run<'b, 'o> {
    builder: &'b mut UpdateBuilder<'o>,
    kind: Kind,
}

/// One message being written: where it and its parts begin.
#[derive(Clone, Copy)]
struct Open {
    family: Family,
    message: usize,
    nlri: usize,
    /// Where prefixes must end.
    limit: usize,
}

impl Run<'_, '_> {
    fn write<I>(mut self, entries: I) -> Result<usize, EncodeError>
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        let mut open: Option<Open> = None;
        let mut messages = 0;
        for entry in entries {
            let entry = entry.into();
            let family = entry.prefix.family();
            let add_path = self.builder.cx.add_path[family];
            let len = usize::from(add_path) * 4 + 1 + octets(entry.prefix.len());
            let current = match open {
                Some(current) if current.family == family && self.len() + len <= current.limit => {
                    current
                }
                previous => {
                    if let Some(previous) = previous {
                        self.close(previous);
                    }
                    messages += 1;
                    self.begin(family, len)?
                }
            };
            open = Some(current);
            put_entry(self.builder.out, &entry, add_path);
        }
        if let Some(last) = open {
            self.close(last);
        }
        Ok(messages)
    }

    const fn len(&self) -> usize {
        self.builder.out.len()
    }

    /// Whether the prefixes of `family` go into an MP attribute.
    const fn multiprotocol(&self, family: Family) -> bool {
        match (&self.kind, family) {
            (_, Family::Ipv6) => true,
            (Kind::Announce { next_hop, .. }, Family::Ipv4) => !matches!(next_hop, NextHop::V4(_)),
            (Kind::Withdraw, Family::Ipv4) => false,
        }
    }

    /// Begins a message that has room for `len` bytes of NLRI.
    fn begin(&mut self, family: Family, len: usize) -> Result<Open, EncodeError> {
        let multiprotocol = self.multiprotocol(family);
        let Run {
            builder: UpdateBuilder { out, cx },
            kind,
        } = self;
        let message = begin(out, MessageType::Update);
        // The length of the withdrawn routes, which stays 0 but for classic withdraws.
        out.extend_from_slice(&[0, 0]);
        let (after, block_len) = match kind {
            Kind::Announce { next_hop, block } if multiprotocol => {
                if let (NextHop::V4(addr), Family::Ipv6) = (*next_hop, family) {
                    return Err(EncodeError::NextHopFamily(addr));
                }
                out.extend_from_slice(&[0, 0]);
                mp_attribute(out, AttributeCode::MP_REACH_NLRI, family);
                out.push(next_hop.field_len() as u8);
                next_hop.encode(out);
                out.push(0);
                (block.len(), block.len())
            }
            Kind::Announce { block, .. } => {
                out.extend_from_slice(&(block.len() as u16).to_be_bytes());
                out.extend_from_within(block.clone());
                (0, block.len())
            }
            Kind::Withdraw if multiprotocol => {
                out.extend_from_slice(&[0, 0]);
                mp_attribute(out, AttributeCode::MP_UNREACH_NLRI, family);
                (0, 0)
            }
            // The length of the attributes follows.
            Kind::Withdraw => (2, 0),
        };
        let max_len = cx.max_len;
        let used = out.len() - message + after + len;
        if used > max_len {
            return Err(EncodeError::TooLong {
                len: block_len,
                max_len,
            });
        }
        Ok(Open {
            family,
            message,
            nlri: out.len(),
            limit: message + max_len - after,
        })
    }

    /// Completes a message.
    fn close(&mut self, open: Open) {
        let multiprotocol = self.multiprotocol(open.family);
        let Run {
            builder: UpdateBuilder { out, .. },
            kind,
        } = self;
        let fields = open.message + HEADER_LEN;
        if multiprotocol {
            // Flags, code and length of the MP attribute follow the two length fields.
            let value = fields + 8;
            put_len(out, value - 2, value);
            if let Kind::Announce { block, .. } = kind {
                out.extend_from_within(block.clone());
            }
            put_len(out, fields + 2, fields + 4);
        } else if matches!(kind, Kind::Withdraw) {
            put_len(out, fields, open.nlri);
            out.extend_from_slice(&[0, 0]);
        }
        finish(out, open.message);
    }
}

/// Flags, code, an open length, and the family.
fn mp_attribute(out: &mut Vec<u8>, code: AttributeCode, family: Family) {
    let flags = AttributeFlags::OPTIONAL | AttributeFlags::EXTENDED_LENGTH;
    out.extend_from_slice(&[flags, code.0, 0, 0]);
    out.extend_from_slice(&AfiSafi::from(family).to_bytes());
}

/// Writes at `at` the length of all from `start` on.
fn put_len(out: &mut [u8], at: usize, start: usize) {
    let len = (out.len() - start) as u16;
    out[at..at + 2].copy_from_slice(&len.to_be_bytes());
}

fn put_entry(out: &mut Vec<u8>, entry: &NlriEntry, add_path: bool) {
    if add_path {
        out.extend_from_slice(&entry.path_id.to_be_bytes());
    }
    let bits = entry.prefix.len();
    out.push(bits);
    let end = out.len() + octets(bits);
    // Copies of fixed size are faster than of as many octets as count.
    match entry.prefix.addr() {
        IpAddr::V4(addr) => out.extend_from_slice(&addr.octets()),
        IpAddr::V6(addr) => out.extend_from_slice(&addr.octets()),
    }
    out.truncate(end);
}
