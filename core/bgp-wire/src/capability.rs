//! Capabilities (RFC 5492): the values, their code on the wire, and what a set of them says.
//!
//! A capability whose content has a wrong length is kept as [`Capability::Unknown`], as if it had not
//! been understood: RFC 5492 asks for no more, and the session stays.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use tapway_model::Family;

use crate::AfiSafi;
use crate::reader::Reader;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A family is spoken (1, RFC 4760).
    MultiProtocol(AfiSafi),
    /// ROUTE-REFRESH is understood (2, RFC 2918).
    RouteRefresh,
    /// NLRI of one family may have a next hop of another (5, RFC 8950).
    ExtendedNextHop(Vec<ExtendedNextHop>),
    /// Messages up to 65535 bytes are understood (6, RFC 8654).
    ExtendedMessage,
    /// The sender's role towards us (9, RFC 9234).
    Role(Role),
    /// Graceful restart (64, RFC 4724, RFC 8538).
    GracefulRestart(GracefulRestart),
    /// The sender's AS number, with four octets (65, RFC 6793).
    FourOctetAs(u32),
    /// Path identifiers (69, RFC 7911).
    AddPath(Vec<AddPathFamily>),
    /// Begin and end of a refresh are marked (70, RFC 7313).
    EnhancedRouteRefresh,
    /// Long-lived graceful restart (71, RFC 9494).
    LongLived(Vec<LongLivedFamily>),
    /// Host and domain name (73, draft-walton-bgp-hostname-capability).
    Fqdn {
        /// The host's name; bytes that are not UTF-8 are replaced.
        host: String,
        /// The domain's name, may be empty.
        domain: String,
    },
    /// Any other, or one whose content is wrong.
    Unknown {
        /// Its code.
        code: u8,
        /// Its content.
        value: Vec<u8>,
    },
}

/// One entry of [`Capability::ExtendedNextHop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedNextHop {
    /// The family of the NLRI.
    pub nlri: AfiSafi,
    /// The AFI of the next hop.
    pub next_hop_afi: u16,
}

/// A role (RFC 9234 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The sender is our provider.
    Provider,
    /// The sender is a route server.
    RouteServer,
    /// The sender is a route server's client.
    RouteServerClient,
    /// The sender is our customer.
    Customer,
    /// The sender is a peer.
    Peer,
    /// Not assigned.
    Unknown(u8),
}

/// The content of [`Capability::GracefulRestart`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: the sender has restarted.
    pub restarting: bool,
    /// N: NOTIFICATIONs, too, are followed by graceful restart (RFC 8538).
    pub notification: bool,
    /// How long to keep routes, in seconds; 12 bits.
    pub time: u16,
    /// The families; may be empty.
    pub families: Vec<GracefulFamily>,
}

/// One family of [`GracefulRestart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding went on during the restart.
    pub forwarding: bool,
}

/// One family of [`Capability::AddPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddPathFamily {
    /// The family.
    pub family: AfiSafi,
    /// What the sender can do.
    pub direction: AddPathDirection,
}

/// What the sender of an add-path capability can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddPathDirection {
    /// Receive several paths.
    Receive,
    /// Send several paths.
    Send,
    /// Both.
    Both,
}

/// One family of [`Capability::LongLived`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLivedFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding went on during the restart.
    pub forwarding: bool,
    /// How long stale routes are kept, in seconds; 24 bits.
    pub time: u32,
}

impl AddPathDirection {
    /// Whether its owner receives several paths.
    pub const fn receives(self) -> bool {
        matches!(self, AddPathDirection::Receive | AddPathDirection::Both)
    }

    /// Whether its owner sends several paths.
    pub const fn sends(self) -> bool {
        matches!(self, AddPathDirection::Send | AddPathDirection::Both)
    }

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

/// The capabilities of one OPEN, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub Vec<Capability>);

impl Deref for Capabilities {
    type Target = [Capability];

    fn deref(&self) -> &[Capability] {
        &self.0
    }
}

impl Capabilities {
    /// Whether `family` is spoken. IPv4 unicast is when no family is named at all (RFC 4760 §8).
    pub fn multi_protocol(&self, family: Family) -> bool {
        let mut named = self.iter().filter_map(|c| match c {
            Capability::MultiProtocol(family) => Some(*family),
            _ => None,
        });
        match named.next() {
            None => family == Family::Ipv4,
            Some(first) => first == family.into() || named.any(|f| f == family.into()),
        }
    }

    /// The four-octet AS number.
    pub fn four_octet_asn(&self) -> Option<u32> {
        self.iter().find_map(|c| match c {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        })
    }

    /// Whether ROUTE-REFRESH is understood.
    pub fn route_refresh(&self) -> bool {
        self.contains(&Capability::RouteRefresh)
    }

    /// Whether begin and end of a refresh are marked.
    pub fn enhanced_route_refresh(&self) -> bool {
        self.contains(&Capability::EnhancedRouteRefresh)
    }

    /// Whether messages longer than 4096 bytes are understood.
    pub fn extended_message(&self) -> bool {
        self.contains(&Capability::ExtendedMessage)
    }

    /// Whether IPv4 unicast NLRI may have an IPv6 next hop.
    pub fn extended_next_hop(&self) -> bool {
        let wanted = ExtendedNextHop {
            nlri: AfiSafi::IPV4_UNICAST,
            next_hop_afi: 2,
        };
        self.iter().any(|c| match c {
            Capability::ExtendedNextHop(entries) => entries.contains(&wanted),
            _ => false,
        })
    }

    /// Graceful restart. When it is there several times, the last counts (RFC 4724 §3).
    pub fn graceful_restart(&self) -> Option<&GracefulRestart> {
        self.iter().rev().find_map(|c| match c {
            Capability::GracefulRestart(graceful) => Some(graceful),
            _ => None,
        })
    }

    /// What the sender does with several paths of a prefix in `family`.
    pub fn add_path(&self, family: Family) -> Option<AddPathDirection> {
        self.iter().find_map(|c| match c {
            Capability::AddPath(entries) => {
                let entry = entries.iter().find(|e| e.family == family.into())?;
                Some(entry.direction)
            }
            _ => None,
        })
    }

    /// The long-lived graceful restart time of `family`.
    pub fn long_lived(&self, family: Family) -> Option<LongLivedFamily> {
        self.iter().find_map(|c| match c {
            Capability::LongLived(entries) => {
                entries.iter().find(|e| e.family == family.into()).copied()
            }
            _ => None,
        })
    }

    /// The role. Several that differ are for the caller to refuse (RFC 9234 §4.2).
    pub fn role(&self) -> Option<Role> {
        self.iter().find_map(|c| match c {
            Capability::Role(role) => Some(*role),
            _ => None,
        })
    }
}
