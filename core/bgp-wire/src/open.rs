//! OPEN (RFC 4271 §4.2, 6.2; RFC 5492; RFC 6793; RFC 9072).

use alloc::format;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::message::{begin, finish};
use crate::reader::Reader;
use crate::{Capabilities, Capability, ErrorCode, MessageType, NotificationError};

/// Stands in two-octet fields for an AS number that needs four (RFC 6793).
pub const AS_TRANS: u32 = 23456;

const VERSION: u8 = 4;
const PARAMETER_CAPABILITIES: u8 = 2;
const PARAMETER_EXTENDED: u8 = 255;

/// An OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The sender's AS: of the four-octet capability when it is there, else of the fixed field.
    pub asn: u32,
    /// Offered hold time in seconds: 0, or at least 3.
    pub hold_time: u16,
    /// The sender's BGP identifier; not 0.
    pub router_id: Ipv4Addr,
    /// Its capabilities. To send, [`Capability::FourOctetAs`] must be among them where it is wanted.
    pub capabilities: Capabilities,
}

impl Open {
    /// Decodes what follows the header, and refuses what RFC 4271 §6.2 says must be refused whatever
    /// the configuration. Whether the AS is the right one is for the session to say.
    ///
    /// # Errors
    /// When the session must end.
    pub fn decode(body: &[u8]) -> Result<Open, NotificationError> {
        let mut read = Reader::new(body);
        let fixed = (|| Some((read.u8()?, read.u16()?, read.u16()?, read.u32()?)))();
        let Some((version, field_asn, hold_time, router_id)) = fixed else {
            return Err(malformed("it ends within its fixed fields"));
        };
        if version != VERSION {
            return Err(NotificationError::new(
                ErrorCode::UNSUPPORTED_VERSION,
                &u16::from(VERSION).to_be_bytes(),
                format!("the peer speaks BGP version {version}, not 4"),
            ));
        }
        let capabilities = capabilities(read)?;
        let asn = capabilities
            .four_octet_asn()
            .unwrap_or(u32::from(field_asn));
        if asn == 0 {
            // RFC 7607
            return Err(NotificationError::new(
                ErrorCode::BAD_PEER_AS,
                &[],
                "AS 0 is reserved",
            ));
        }
        if matches!(hold_time, 1 | 2) {
            return Err(NotificationError::new(
                ErrorCode::UNACCEPTABLE_HOLD_TIME,
                &[],
                format!("hold time {hold_time} s; it must be 0 or at least 3"),
            ));
        }
        if router_id == 0 {
            return Err(NotificationError::new(
                ErrorCode::BAD_BGP_ID,
                &[],
                "the BGP identifier is 0.0.0.0",
            ));
        }
        Ok(Open {
            asn,
            hold_time,
            router_id: Ipv4Addr::from_bits(router_id),
            capabilities,
        })
    }

    /// Appends the message: all capabilities in one parameter, or, where that would be longer than 255
    /// bytes, with extended length (RFC 9072).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, MessageType::Open);
        out.push(VERSION);
        let field_asn = u16::try_from(self.asn).unwrap_or(AS_TRANS as u16);
        out.extend_from_slice(&field_asn.to_be_bytes());
        out.extend_from_slice(&self.hold_time.to_be_bytes());
        out.extend_from_slice(&self.router_id.octets());
        let mut all = Vec::new();
        for capability in self.capabilities.iter() {
            all.extend_from_slice(&[capability.code(), 0]);
            let value = all.len();
            capability.encode_value(&mut all);
            all[value - 1] = (all.len() - value) as u8;
        }
        if all.is_empty() {
            out.push(0);
        } else if all.len() <= 253 {
            let len = all.len() as u8;
            out.extend_from_slice(&[len + 2, PARAMETER_CAPABILITIES, len]);
        } else {
            let len = all.len() as u16;
            out.extend_from_slice(&[255, PARAMETER_EXTENDED]);
            out.extend_from_slice(&(len + 3).to_be_bytes());
            out.push(PARAMETER_CAPABILITIES);
            out.extend_from_slice(&len.to_be_bytes());
        }
        out.extend_from_slice(&all);
        finish(out, start);
    }
}

fn malformed(text: &'static str) -> NotificationError {
    NotificationError::new(ErrorCode::OPEN, &[], text)
}

/// Reads the optional parameters, from their length field on.
fn capabilities(mut read: Reader<'_>) -> Result<Capabilities, NotificationError> {
    let overrun = || malformed("an optional parameter is longer than the message");
    let len = read.u8().ok_or_else(overrun)?;
    let mut ahead = read;
    // RFC 9072 §2: the length before the marker should be 255, any but 0 must be accepted.
    let extended = len != 0 && ahead.u8() == Some(PARAMETER_EXTENDED);
    let len = if extended {
        read = ahead;
        read.u16().ok_or_else(overrun)?
    } else {
        u16::from(len)
    };
    if read.rest().len() != usize::from(len) {
        return Err(malformed(
            "the length of the optional parameters is not what is left",
        ));
    }
    let mut all = Vec::new();
    while let Some(kind) = read.u8() {
        let len = if extended {
            read.u16()
        } else {
            read.u8().map(u16::from)
        };
        let value = len
            .and_then(|len| read.take(usize::from(len)))
            .ok_or_else(overrun)?;
        if kind != PARAMETER_CAPABILITIES {
            return Err(NotificationError::new(
                ErrorCode::UNSUPPORTED_PARAMETER,
                &[],
                format!("optional parameter {kind} is unknown"),
            ));
        }
        read_capabilities(value, &mut all)?;
    }
    Ok(Capabilities(all))
}

fn read_capabilities(bytes: &[u8], all: &mut Vec<Capability>) -> Result<(), NotificationError> {
    let mut read = Reader::new(bytes);
    while let Some(code) = read.u8() {
        let value = read
            .u8()
            .and_then(|len| read.take(usize::from(len)))
            .ok_or_else(|| malformed("a capability is longer than its parameter"))?;
        let capability = Capability::decode(code, value);
        if let Capability::Unknown { code: 65, .. } = capability {
            return Err(malformed(
                "the four-octet AS number capability has not four bytes",
            ));
        }
        // The same one several times says no more than once (RFC 5492 §4).
        if !all.contains(&capability) {
            all.push(capability);
        }
    }
    Ok(())
}
