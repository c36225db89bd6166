//! NLRI: prefixes in received bytes, checked once, then read lazily (RFC 4271 §4.3, RFC 7911, RFC 7606 §5.3).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapway_model::{Family, Prefix};

/// One prefix with its path identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NlriEntry {
    /// The prefix.
    pub prefix: Prefix,
    /// The path identifier (RFC 7911); 0 where the session has none.
    pub path_id: u32,
}

impl From<Prefix> for NlriEntry {
    fn from(prefix: Prefix) -> NlriEntry {
        NlriEntry { prefix, path_id: 0 }
    }
}

/// A run of NLRI of one family in the bytes of a message, known to be well-formed.
///
/// Bits after a prefix's length are ignored, as the RFC says. Prefixes that mean nothing in unicast routing are skipped (RFC 4271
/// §6.3): multicast ones, and of IPv6 link-local and IPv4-mapped ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nlri<'a> {
    bytes: &'a [u8],
    family: Family,
    add_path: bool,
    /// None of them can be one that is skipped.
    ordinary: bool,
}

/// Why bytes are no NLRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NlriError {
    /// A prefix length above the family's.
    PrefixLength,
    /// The last prefix ends after the field.
    Overrun,
}

impl<'a> Nlri<'a> {
    /// Checks `bytes`.
    pub(crate) fn check(
        bytes: &'a [u8],
        family: Family,
        add_path: bool,
    ) -> Result<Nlri<'a>, NlriError> {
        let max = family.bits();
        let before = if add_path { 4 } else { 0 };
        // From these on, a first octet or a length may be of a prefix that is not unicast.
        let (odd_octet, odd_bits) = match family {
            Family::Ipv4 => (224, u8::MAX),
            Family::Ipv6 => (0xfe, 96),
        };
        let mut ordinary = true;
        let mut at = 0;
        while at < bytes.len() {
            let bits = *bytes.get(at + before).ok_or(NlriError::Overrun)?;
            if bits > max {
                return Err(NlriError::PrefixLength);
            }
            let first = bytes.get(at + before + 1).copied().unwrap_or_default();
            ordinary &= first < odd_octet && bits < odd_bits;
            at += before + 1 + octets(bits);
        }
        if at != bytes.len() {
            return Err(NlriError::Overrun);
        }
        Ok(Nlri {
            bytes,
            family,
            add_path,
            ordinary,
        })
    }

    /// None at all.
    pub const fn empty(family: Family) -> Nlri<'a> {
        Nlri {
            bytes: &[],
            family,
            add_path: false,
            ordinary: true,
        }
    }

    /// The family.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes as received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The prefixes, in their order.
    pub const fn iter(&self) -> NlriIter<'a> {
        NlriIter(*self)
    }
}

impl<'a> IntoIterator for Nlri<'a> {
    type Item = NlriEntry;
    type IntoIter = NlriIter<'a>;

    fn into_iter(self) -> NlriIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Nlri<'a> {
    type Item = NlriEntry;
    type IntoIter = NlriIter<'a>;

    fn into_iter(self) -> NlriIter<'a> {
        self.iter()
    }
}

/// Reads the prefixes of an [`Nlri`].
#[derive(Clone, Debug)]
pub struct NlriIter<'a>(Nlri<'a>);

impl Iterator for NlriIter<'_> {
    type Item = NlriEntry;

    #[inline]
    fn next(&mut self) -> Option<NlriEntry> {
        loop {
            let (path_id, bytes) = if self.0.add_path {
                let (id, rest) = self.0.bytes.split_first_chunk()?;
                (u32::from_be_bytes(*id), rest)
            } else {
                (0, self.0.bytes)
            };
            let (&bits, rest) = bytes.split_first()?;
            let (_, after) = rest.split_at_checked(octets(bits))?;
            self.0.bytes = after;
            if self.0.ordinary || is_unicast(self.0.family, bits, rest) {
                let prefix = prefix(self.0.family, bits, rest);
                return Some(NlriEntry { prefix, path_id });
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.0.bytes.len()))
    }
}

/// How many octets hold a prefix of `bits` bits.
pub(crate) const fn octets(bits: u8) -> usize {
    bits.div_ceil(8) as usize
}

/// The prefix of `bits` bits at the start of `bytes`, which may go on behind it.
#[inline]
fn prefix(family: Family, bits: u8, bytes: &[u8]) -> Prefix {
    let addr = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(leading(bytes))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(leading(bytes))),
    };
    Prefix::truncated(addr, bits)
}

/// Whether the prefix there is no multicast one, and of IPv6 no link-local and no IPv4-mapped one.
#[cold]
#[inline(never)]
fn is_unicast(family: Family, bits: u8, bytes: &[u8]) -> bool {
    match prefix(family, bits, bytes).addr() {
        IpAddr::V4(addr) => !addr.is_multicast(),
        IpAddr::V6(addr) => {
            let mapped = bits >= 96 && addr.to_ipv4_mapped().is_some();
            !(mapped || addr.is_multicast() || addr.is_unicast_link_local())
        }
    }
}

/// The first `N` bytes, with zeros for those that are not there. A copy of fixed size where it can be,
/// which is several times as fast.
#[inline]
fn leading<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut all = [0; N];
        for (to, from) in all.iter_mut().zip(bytes) {
            *to = *from;
        }
        all
    })
}
