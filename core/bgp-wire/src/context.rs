//! What a session has agreed on, as far as the codec must know it.

use crate::{Capabilities, MAX_LEN, MAX_LEN_EXTENDED, PerFamily};

/// How the UPDATEs of a session are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeContext {
    /// AS numbers have four octets (RFC 6793).
    pub four_octet_asn: bool,
    /// Messages may have 65535 bytes (RFC 8654).
    pub extended_message: bool,
    /// The peer is in our AS.
    pub internal: bool,
    /// Families both sides offered. NLRI of others are ignored and reported.
    pub families: PerFamily<bool>,
    /// The peer sends path identifiers (RFC 7911).
    pub add_path: PerFamily<bool>,
    /// IPv4 NLRI may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
    /// The AS that AS_PATH must begin with, when that is to be enforced (RFC 4271 §6.3).
    pub first_as: Option<u32>,
}

/// How the UPDATEs of a session are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeContext {
    /// AS numbers have four octets (RFC 6793).
    pub four_octet_asn: bool,
    /// The longest message: [`MAX_LEN`] or [`MAX_LEN_EXTENDED`].
    pub max_len: usize,
    /// We send path identifiers (RFC 7911).
    pub add_path: PerFamily<bool>,
}

impl DecodeContext {
    /// What follows from both sides' capabilities.
    pub fn negotiated(
        local: &Capabilities,
        remote: &Capabilities,
        internal: bool,
    ) -> DecodeContext {
        DecodeContext {
            four_octet_asn: local.four_octet_asn().is_some() && remote.four_octet_asn().is_some(),
            extended_message: local.extended_message() && remote.extended_message(),
            internal,
            families: PerFamily::from_fn(|f| local.multi_protocol(f) && remote.multi_protocol(f)),
            add_path: PerFamily::from_fn(|f| {
                local.add_path(f).is_some_and(|d| d.receives())
                    && remote.add_path(f).is_some_and(|d| d.sends())
            }),
            extended_next_hop: local.extended_next_hop() && remote.extended_next_hop(),
            first_as: None,
        }
    }

    /// The longest message that may come: for [`Frame::next`](crate::Frame::next).
    pub const fn max_len(&self) -> usize {
        if self.extended_message {
            MAX_LEN_EXTENDED
        } else {
            MAX_LEN
        }
    }
}

impl Default for DecodeContext {
    /// Four-octet AS numbers, both families, external peer, nothing else.
    fn default() -> DecodeContext {
        DecodeContext {
            four_octet_asn: true,
            extended_message: false,
            internal: false,
            families: PerFamily {
                ipv4: true,
                ipv6: true,
            },
            add_path: PerFamily::default(),
            extended_next_hop: false,
            first_as: None,
        }
    }
}

impl EncodeContext {
    /// What follows from both sides' capabilities.
    pub fn negotiated(local: &Capabilities, remote: &Capabilities) -> EncodeContext {
        let read = DecodeContext::negotiated(local, remote, false);
        EncodeContext {
            four_octet_asn: read.four_octet_asn,
            max_len: read.max_len(),
            add_path: PerFamily::from_fn(|f| {
                local.add_path(f).is_some_and(|d| d.sends())
                    && remote.add_path(f).is_some_and(|d| d.receives())
            }),
        }
    }
}

impl Default for EncodeContext {
    /// Four-octet AS numbers, plain messages, no path identifiers.
    fn default() -> EncodeContext {
        EncodeContext {
            four_octet_asn: true,
            max_len: MAX_LEN,
            add_path: PerFamily::default(),
        }
    }
}
