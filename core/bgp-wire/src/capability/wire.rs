//! Capabilities to and from bytes.
//!
//! A capability whose content has a wrong length is kept as [`Capability::Unknown`], as if it had not
//! been understood: RFC 5492 asks for no more, and the session stays.

use alloc::string::String;
use alloc::vec::Vec;

use super::{
    AddPathDirection, AddPathFamily, Capability, ExtendedNextHop, GracefulFamily, GracefulRestart,
    LongLivedFamily, Role,
};
use crate::AfiSafi;
use crate::reader::Reader;

impl Capability {
    /// The capability code.
    pub const fn code(&self) -> u8 {
        match self {
            Capability::MultiProtocol(_) => 1,
            Capability::RouteRefresh => 2,
            Capability::ExtendedNextHop(_) => 5,
            Capability::ExtendedMessage => 6,
            Capability::Role(_) => 9,
            Capability::GracefulRestart(_) => 64,
            Capability::FourOctetAs(_) => 65,
            Capability::AddPath(_) => 69,
            Capability::EnhancedRouteRefresh => 70,
            Capability::LongLived(_) => 71,
            Capability::Fqdn { .. } => 73,
            Capability::Unknown { code, .. } => *code,
        }
    }

    /// Decodes the content of one capability.
    pub(crate) fn decode(code: u8, value: &[u8]) -> Capability {
        known(code, value).unwrap_or_else(|| Capability::Unknown {
            code,
            value: value.to_vec(),
        })
    }

    /// Appends the content, without code and length.
    pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
        match self {
            Capability::MultiProtocol(family) => {
                let [high, low, safi] = family.to_bytes();
                out.extend_from_slice(&[high, low, 0, safi]);
            }
            Capability::RouteRefresh
            | Capability::ExtendedMessage
            | Capability::EnhancedRouteRefresh => {}
            Capability::ExtendedNextHop(entries) => {
                for entry in entries {
                    let [high, low, safi] = entry.nlri.to_bytes();
                    out.extend_from_slice(&[high, low, 0, safi]);
                    out.extend_from_slice(&entry.next_hop_afi.to_be_bytes());
                }
            }
            Capability::Role(role) => out.push(role.code()),
            Capability::GracefulRestart(graceful) => {
                let flags =
                    u16::from(graceful.restarting) << 15 | u16::from(graceful.notification) << 14;
                out.extend_from_slice(&(flags | graceful.time.min(0xfff)).to_be_bytes());
                for entry in &graceful.families {
                    out.extend_from_slice(&entry.family.to_bytes());
                    out.push(u8::from(entry.forwarding) << 7);
                }
            }
            Capability::FourOctetAs(asn) => out.extend_from_slice(&asn.to_be_bytes()),
            Capability::AddPath(entries) => {
                for entry in entries {
                    out.extend_from_slice(&entry.family.to_bytes());
                    out.push(entry.direction.code());
                }
            }
            Capability::LongLived(entries) => {
                for entry in entries {
                    out.extend_from_slice(&entry.family.to_bytes());
                    out.push(u8::from(entry.forwarding) << 7);
                    out.extend_from_slice(&entry.time.min(0xff_ffff).to_be_bytes()[1..]);
                }
            }
            Capability::Fqdn { host, domain } => {
                for name in [host, domain] {
                    let name = &name[..name.floor_char_boundary(63)];
                    out.push(name.len() as u8);
                    out.extend_from_slice(name.as_bytes());
                }
            }
            Capability::Unknown { value, .. } => {
                out.extend_from_slice(&value[..value.len().min(255)]);
            }
        }
    }
}

/// The capability if its code is known and its content is well-formed.
fn known(code: u8, value: &[u8]) -> Option<Capability> {
    let mut read = Reader::new(value);
    Some(match code {
        1 => {
            let [high, low, _, safi] = *value else {
                return None;
            };
            Capability::MultiProtocol(AfiSafi::from_bytes([high, low, safi]))
        }
        2 if value.is_empty() => Capability::RouteRefresh,
        5 => Capability::ExtendedNextHop(entries::<6, _>(value, |[high, low, _, safi, a, b]| {
            Some(ExtendedNextHop {
                nlri: AfiSafi::from_bytes([high, low, safi]),
                next_hop_afi: u16::from_be_bytes([a, b]),
            })
        })?),
        6 if value.is_empty() => Capability::ExtendedMessage,
        9 => {
            let [role] = *value else { return None };
            Capability::Role(Role::from_code(role))
        }
        64 => {
            let flags = read.u16()?;
            Capability::GracefulRestart(GracefulRestart {
                restarting: flags & 0x8000 != 0,
                notification: flags & 0x4000 != 0,
                time: flags & 0xfff,
                families: entries(read.rest(), |[high, low, safi, flags]| {
                    Some(GracefulFamily {
                        family: AfiSafi::from_bytes([high, low, safi]),
                        forwarding: flags & 0x80 != 0,
                    })
                })?,
            })
        }
        65 => Capability::FourOctetAs(u32::from_be_bytes(value.try_into().ok()?)),
        // An entry with a direction that is not defined is ignored (RFC 7911 §4).
        69 => Capability::AddPath(entries(value, |[high, low, safi, direction]| {
            Some(AddPathFamily {
                family: AfiSafi::from_bytes([high, low, safi]),
                direction: AddPathDirection::from_code(direction)?,
            })
        })?),
        70 if value.is_empty() => Capability::EnhancedRouteRefresh,
        71 => Capability::LongLived(entries(value, |[high, low, safi, flags, a, b, c]| {
            Some(LongLivedFamily {
                family: AfiSafi::from_bytes([high, low, safi]),
                forwarding: flags & 0x80 != 0,
                time: u32::from_be_bytes([0, a, b, c]),
            })
        })?),
        73 => {
            let mut name = || {
                let len = usize::from(read.u8()?);
                Some(String::from_utf8_lossy(read.take(len)?).into_owned())
            };
            let (host, domain) = (name()?, name()?);
            if !read.is_empty() {
                return None;
            }
            Capability::Fqdn { host, domain }
        }
        _ => return None,
    })
}

/// Fixed-size entries to the end; `None` when a part of one is left over.
fn entries<const N: usize, T>(
    bytes: &[u8],
    entry: impl FnMut([u8; N]) -> Option<T>,
) -> Option<Vec<T>> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    rest.is_empty()
        .then(|| chunks.iter().copied().filter_map(entry).collect())
}

impl AddPathDirection {
    const fn from_code(code: u8) -> Option<AddPathDirection> {
        Some(match code {
            1 => AddPathDirection::Receive,
            2 => AddPathDirection::Send,
            3 => AddPathDirection::Both,
            _ => return None,
        })
    }

    const fn code(self) -> u8 {
        match self {
            AddPathDirection::Receive => 1,
            AddPathDirection::Send => 2,
            AddPathDirection::Both => 3,
        }
    }
}

impl Role {
    const fn from_code(code: u8) -> Role {
        match code {
            0 => Role::Provider,
            1 => Role::RouteServer,
            2 => Role::RouteServerClient,
            3 => Role::Customer,
            4 => Role::Peer,
            other => Role::Unknown(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Role::Provider => 0,
            Role::RouteServer => 1,
            Role::RouteServerClient => 2,
            Role::Customer => 3,
            Role::Peer => 4,
            Role::Unknown(code) => code,
        }
    }
}
