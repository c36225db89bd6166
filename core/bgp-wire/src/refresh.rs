//! ROUTE-REFRESH (RFC 2918) and its subtypes (RFC 7313).

use alloc::format;
use alloc::vec::Vec;

use crate::message::{begin, finish};
use crate::{AfiSafi, ErrorCode, MessageType, NotificationError};

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshSubtype {
    /// Send your routes again.
    Request,
    /// My routes follow again (BoRR).
    Begin,
    /// They have all been sent (EoRR).
    End,
    /// Anything else; to be ignored.
    Unknown(u8),
}

impl RefreshSubtype {
    const fn from_code(code: u8) -> RefreshSubtype {
        match code {
            0 => RefreshSubtype::Request,
            1 => RefreshSubtype::Begin,
            2 => RefreshSubtype::End,
            other => RefreshSubtype::Unknown(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            RefreshSubtype::Request => 0,
            RefreshSubtype::Begin => 1,
            RefreshSubtype::End => 2,
            RefreshSubtype::Unknown(code) => code,
        }
    }
}

/// A ROUTE-REFRESH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// The family it is about.
    pub family: AfiSafi,
    /// What it says.
    pub subtype: RefreshSubtype,
}

impl RouteRefresh {
    /// Decodes what follows the header.
    ///
    /// A request may be longer (RFC 5291 filters, which are never offered); the rest is ignored.
    ///
    /// # Errors
    /// When the length is wrong (RFC 7313 §5); the data is the whole message.
    pub fn decode(body: &[u8]) -> Result<RouteRefresh, NotificationError> {
        let refresh = match *body {
            [high, low, subtype, safi, ..] => RouteRefresh {
                family: AfiSafi::from_bytes([high, low, safi]),
                subtype: RefreshSubtype::from_code(subtype),
            },
            _ => return Err(wrong_length(body)),
        };
        match refresh.subtype {
            RefreshSubtype::Begin | RefreshSubtype::End if body.len() != 4 => {
                Err(wrong_length(body))
            }
            _ => Ok(refresh),
        }
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, MessageType::RouteRefresh);
        let [high, low, safi] = self.family.to_bytes();
        out.extend_from_slice(&[high, low, self.subtype.code(), safi]);
        finish(out, start);
    }
}

fn wrong_length(body: &[u8]) -> NotificationError {
    let mut message = Vec::with_capacity(body.len() + 19);
    let start = begin(&mut message, MessageType::RouteRefresh);
    message.extend_from_slice(body);
    finish(&mut message, start);
    let text = format!(
        "ROUTE-REFRESH has {} bytes after its header instead of 4",
        body.len()
    );
    NotificationError::new(ErrorCode::ROUTE_REFRESH_LENGTH, &message, text)
}
