//! The PDUs of the RPKI-to-router protocol, versions 0 (RFC 6810) and 1 (RFC 8210): bytes and values.
//!
//! Nothing is copied and nothing kept. A PDU is read when all of it is there; one that is too long is refused
//! by its header, before its content comes.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use tapway_model::{Prefix, PrefixError};

use crate::config::Timing;
use crate::serial::Serial;
use crate::vrp::Vrp;

/// The newest version that we speak.
pub const VERSION: u8 = 1;
/// Bytes of a header.
pub const HEADER: usize = 8;
/// The longest PDU that is taken. The RFC gives no limit; a router key and an error that quotes it are far below.
pub const MAX_LEN: usize = 65_535;

/// PDU types (RFC 8210 §5, and ASPA of its successor).
mod kind {
    pub(super) const SERIAL_NOTIFY: u8 = 0;
    pub(super) const SERIAL_QUERY: u8 = 1;
    pub(super) const RESET_QUERY: u8 = 2;
    pub(super) const CACHE_RESPONSE: u8 = 3;
    pub(super) const IPV4_PREFIX: u8 = 4;
    pub(super) const IPV6_PREFIX: u8 = 6;
    pub(super) const END_OF_DATA: u8 = 7;
    pub(super) const CACHE_RESET: u8 = 8;
    pub(super) const ROUTER_KEY: u8 = 9;
    pub(super) const ERROR_REPORT: u8 = 10;
    pub(super) const ASPA: u8 = 11;
}

/// Error codes (RFC 8210 §12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// What came cannot be.
    pub const CORRUPT_DATA: ErrorCode = ErrorCode(0);
    /// Something went wrong inside.
    pub const INTERNAL: ErrorCode = ErrorCode(1);
    /// The cache has nothing to tell yet; the only one that is no failure.
    pub const NO_DATA: ErrorCode = ErrorCode(2);
    /// The cache does not take our question.
    pub const INVALID_REQUEST: ErrorCode = ErrorCode(3);
    /// A version that is not spoken.
    pub const UNSUPPORTED_VERSION: ErrorCode = ErrorCode(4);
    /// A PDU type that is not known.
    pub const UNSUPPORTED_PDU: ErrorCode = ErrorCode(5);
    /// A withdrawal of what was not announced.
    pub const UNKNOWN_WITHDRAWAL: ErrorCode = ErrorCode(6);
    /// An announcement of what is announced.
    pub const DUPLICATE: ErrorCode = ErrorCode(7);
    /// Another version than was agreed on.
    pub const UNEXPECTED_VERSION: ErrorCode = ErrorCode(8);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            0 => "corrupt data",
            1 => "internal error",
            2 => "no data available",
            3 => "invalid request",
            4 => "unsupported protocol version",
            5 => "unsupported PDU type",
            6 => "withdrawal of unknown record",
            7 => "duplicate announcement",
            8 => "unexpected protocol version",
            other => return write!(f, "error {other}"),
        };
        f.write_str(text)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self)
    }
}

/// What a PDU says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// There is something new.
    SerialNotify {
        /// The cache's session.
        session: u16,
        /// Up to here.
        serial: Serial,
    },
    /// What came after this? Only a router says it.
    SerialQuery {
        /// The session that the serial is of.
        session: u16,
        /// What the router has.
        serial: Serial,
    },
    /// What is there? Only a router says it.
    ResetQuery,
    /// What was asked for follows.
    CacheResponse {
        /// The cache's session.
        session: u16,
    },
    /// A VRP comes or goes.
    Prefix {
        /// It comes.
        announce: bool,
        /// Absent: of IPv4-mapped addresses, which no route has.
        vrp: Option<Vrp>,
    },
    /// That was all.
    EndOfData {
        /// The cache's session.
        session: u16,
        /// What the router has now.
        serial: Serial,
        /// When to ask again; not in version 0.
        timing: Option<Timing>,
    },
    /// What came after your serial is not known any more: ask for all.
    CacheReset,
    /// A router key, or what a later version knows: nothing for us.
    Ignored,
    /// Something went wrong at the other end.
    ErrorReport {
        /// What.
        code: ErrorCode,
        /// In words.
        text: &'a [u8],
    },
}

/// A PDU and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its protocol version.
    pub version: u8,
    /// What it says; `None`: its version is none of ours.
    pub pdu: Option<Pdu<'a>>,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Bytes that are no PDU: what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code of the Error Report.
    pub code: ErrorCode,
    /// Why.
    pub reason: &'static str,
    /// The bytes were an Error Report, which is not answered.
    pub of_error: bool,
}

impl<'a> Frame<'a> {
    /// The first PDU of `bytes`; `None`: not all of it is there.
    ///
    /// # Errors
    /// When what is there is no PDU.
    pub fn next(bytes: &'a [u8]) -> Result<Option<Frame<'a>>, Fault> {
        let Some((&[version, kind, a, b, l1, l2, l3, l4], _)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let fault = |code, reason| Fault {
            code,
            reason,
            of_error: kind == kind::ERROR_REPORT,
        };
        let corrupt = |reason| fault(ErrorCode::CORRUPT_DATA, reason);
        let len = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
        if len < HEADER {
            return Err(corrupt("a PDU is shorter than its header"));
        }
        if len > MAX_LEN {
            return Err(corrupt("a PDU is longer than 65535 bytes"));
        }
        let known = version <= VERSION;
        let fits = !known || fixed_len(version, kind).is_none_or(|fixed| fixed == len);
        if !fits {
            return Err(corrupt("a PDU has not the length of its type"));
        }
        let Some(bytes) = bytes.get(..len) else {
            return Ok(None);
        };
        let body = bytes.get(HEADER..).unwrap_or_default();
        let session = u16::from_be_bytes([a, b]);
        let pdu = if known {
            Some(read(kind, session, body).map_err(|(code, reason)| fault(code, reason))?)
        } else if kind == kind::ERROR_REPORT {
            // Its form is the same in every version.
            read(kind, session, body).ok()
        } else {
            None
        };
        Ok(Some(Frame {
            version,
            pdu,
            bytes,
        }))
    }

    /// Whether it is a Serial Notify, whatever its version.
    pub fn is_notify(&self) -> bool {
        self.bytes.get(1) == Some(&kind::SERIAL_NOTIFY)
    }
}

/// How long PDUs of a type are, when that is fixed.
const fn fixed_len(version: u8, kind: u8) -> Option<usize> {
    Some(match kind {
        kind::SERIAL_NOTIFY | kind::SERIAL_QUERY => 12,
        kind::RESET_QUERY | kind::CACHE_RESPONSE | kind::CACHE_RESET => 8,
        kind::IPV4_PREFIX => 20,
        kind::IPV6_PREFIX => 32,
        kind::END_OF_DATA if version == 0 => 12,
        kind::END_OF_DATA => 24,
        _ => return None,
    })
}

fn read(kind: u8, session: u16, body: &[u8]) -> Result<Pdu<'_>, (ErrorCode, &'static str)> {
    let short = (ErrorCode::CORRUPT_DATA, "a PDU is too short");
    let number = |at: usize| {
        let bytes = body.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let serial = number(0).map(Serial).ok_or(short);
    Ok(match kind {
        kind::SERIAL_NOTIFY => Pdu::SerialNotify {
            session,
            serial: serial?,
        },
        kind::SERIAL_QUERY => Pdu::SerialQuery {
            session,
            serial: serial?,
        },
        kind::RESET_QUERY => Pdu::ResetQuery,
        kind::CACHE_RESPONSE => Pdu::CacheResponse { session },
        kind::IPV4_PREFIX => {
            let (&[flags, len, max_len, _], rest) = body.split_first_chunk().ok_or(short)?;
            let (addr, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
            let asn = u32::from_be_bytes(*rest.first_chunk().ok_or(short)?);
            prefix(flags, Ipv4Addr::from(*addr).into(), len, max_len, asn)?
        }
        kind::IPV6_PREFIX => {
            let (&[flags, len, max_len, _], rest) = body.split_first_chunk().ok_or(short)?;
            let (addr, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
            let asn = u32::from_be_bytes(*rest.first_chunk().ok_or(short)?);
            prefix(flags, Ipv6Addr::from(*addr).into(), len, max_len, asn)?
        }
        kind::END_OF_DATA => {
            let seconds = |at| number(at).map(|s| Duration::from_secs(s.into()));
            let timing = match (seconds(4), seconds(8), seconds(12)) {
                (Some(refresh), Some(retry), Some(expire)) => Some(Timing {
                    refresh,
                    retry,
                    expire,
                }),
                _ => None,
            };
            Pdu::EndOfData {
                session,
                serial: serial?,
                timing,
            }
        }
        kind::CACHE_RESET => Pdu::CacheReset,
        kind::ROUTER_KEY | kind::ASPA => Pdu::Ignored,
        kind::ERROR_REPORT => {
            let quoted = number(0).ok_or(short)? as usize;
            let rest = body.get(4..).and_then(|b| b.get(quoted..)).ok_or(short)?;
            let (len, text) = rest.split_first_chunk().ok_or(short)?;
            let len = u32::from_be_bytes(*len) as usize;
            Pdu::ErrorReport {
                code: ErrorCode(session),
                text: text.get(..len).ok_or(short)?,
            }
        }
        _ => {
            return Err((
                ErrorCode::UNSUPPORTED_PDU,
                "a PDU has a type that is not known",
            ));
        }
    })
}

fn prefix<'a>(
    flags: u8,
    addr: IpAddr,
    len: u8,
    max_len: u8,
    asn: u32,
) -> Result<Pdu<'a>, (ErrorCode, &'static str)> {
    let corrupt = |reason| (ErrorCode::CORRUPT_DATA, reason);
    let vrp = match Prefix::new(addr, len) {
        Ok(prefix) => {
            let vrp = Vrp::new(prefix, max_len, asn);
            Some(vrp.ok_or(corrupt("a maximum length does not fit to its prefix"))?)
        }
        Err(PrefixError::V4Mapped(_)) => None,
        Err(PrefixError::HostBits { .. }) => {
            return Err(corrupt("a prefix has bits behind its length"));
        }
        Err(_) => return Err(corrupt("a prefix is longer than an address")),
    };
    Ok(Pdu::Prefix {
        announce: flags & 1 == 1,
        vrp,
    })
}

impl Pdu<'_> {
    /// Appends it as bytes of a version. [`Pdu::Ignored`] has none, nor has a prefix without a VRP.
    pub fn write(&self, version: u8, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let (kind, session) = match self {
            Pdu::SerialNotify { session, serial } => {
                body.extend(serial.0.to_be_bytes());
                (kind::SERIAL_NOTIFY, *session)
            }
            Pdu::SerialQuery { session, serial } => {
                body.extend(serial.0.to_be_bytes());
                (kind::SERIAL_QUERY, *session)
            }
            Pdu::ResetQuery => (kind::RESET_QUERY, 0),
            Pdu::CacheResponse { session } => (kind::CACHE_RESPONSE, *session),
            Pdu::Prefix { vrp: None, .. } | Pdu::Ignored => return,
            Pdu::Prefix {
                announce,
                vrp: Some(vrp),
            } => {
                let (len, max_len) = (vrp.prefix().len(), vrp.max_len());
                body.extend([u8::from(*announce), len, max_len, 0]);
                let kind = match vrp.prefix().addr() {
                    IpAddr::V4(addr) => {
                        body.extend(addr.octets());
                        kind::IPV4_PREFIX
                    }
                    IpAddr::V6(addr) => {
                        body.extend(addr.octets());
                        kind::IPV6_PREFIX
                    }
                };
                body.extend(vrp.asn().to_be_bytes());
                (kind, 0)
            }
            Pdu::EndOfData {
                session,
                serial,
                timing,
            } => {
                body.extend(serial.0.to_be_bytes());
                if version > 0 {
                    let timing = timing.unwrap_or_default();
                    for interval in [timing.refresh, timing.retry, timing.expire] {
                        let seconds = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
                        body.extend(seconds.to_be_bytes());
                    }
                }
                (kind::END_OF_DATA, *session)
            }
            Pdu::CacheReset => (kind::CACHE_RESET, 0),
            Pdu::ErrorReport { code, text } => return write_error(version, *code, &[], text, out),
        };
        header(version, kind, session, body.len(), out);
        out.extend(body);
    }
}

/// Appends an Error Report that quotes a PDU, or as much of it as there is room for.
pub fn write_error(version: u8, code: ErrorCode, quoted: &[u8], text: &[u8], out: &mut Vec<u8>) {
    let text = text.get(..text.len().min(1024)).unwrap_or_default();
    let room = MAX_LEN - HEADER - 8 - text.len();
    let quoted = quoted.get(..quoted.len().min(room)).unwrap_or_default();
    header(
        version,
        kind::ERROR_REPORT,
        code.0,
        8 + quoted.len() + text.len(),
        out,
    );
    for part in [quoted, text] {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
}

fn header(version: u8, kind: u8, session: u16, body: usize, out: &mut Vec<u8>) {
    let [a, b] = session.to_be_bytes();
    out.extend([version, kind, a, b]);
    out.extend(((HEADER + body) as u32).to_be_bytes());
}

#[cfg(test)]
mod tests;
