//! Messages out of a byte stream: marker, length, type (RFC 4271 §4.1, 6.1; RFC 8654).

use alloc::format;
use core::fmt;

use crate::{DecodeContext, ErrorCode, Message, NotificationError};

/// The length of a header, and of a KEEPALIVE.
pub const HEADER_LEN: usize = 19;
/// The longest message without RFC 8654.
pub const MAX_LEN: usize = 4096;
/// The longest message with RFC 8654.
pub const MAX_LEN_EXTENDED: usize = 65535;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// OPEN.
    Open,
    /// UPDATE.
    Update,
    /// NOTIFICATION.
    Notification,
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
}

impl MessageType {
    /// The type with this number.
    pub const fn from_code(code: u8) -> Option<MessageType> {
        Some(match code {
            1 => MessageType::Open,
            2 => MessageType::Update,
            3 => MessageType::Notification,
            4 => MessageType::Keepalive,
            5 => MessageType::RouteRefresh,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            MessageType::Open => 1,
            MessageType::Update => 2,
            MessageType::Notification => 3,
            MessageType::Keepalive => 4,
            MessageType::RouteRefresh => 5,
        }
    }

    /// The shortest and the longest message of this type, where `max` is what the session allows.
    const fn lengths(self, max: usize) -> (usize, usize) {
        match self {
            MessageType::Open => (29, MAX_LEN),
            MessageType::Update => (23, max),
            MessageType::Notification => (21, max),
            MessageType::Keepalive => (HEADER_LEN, HEADER_LEN),
            MessageType::RouteRefresh => (23, max),
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            MessageType::Open => "OPEN",
            MessageType::Update => "UPDATE",
            MessageType::Notification => "NOTIFICATION",
            MessageType::Keepalive => "KEEPALIVE",
            MessageType::RouteRefresh => "ROUTE-REFRESH",
        })
    }
}

/// One whole message, not yet decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    kind: MessageType,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first message in `buf` and its length, or `None` while it is not complete.
    ///
    /// `max_len` is [`MAX_LEN`] or, where both sides agreed on it, [`MAX_LEN_EXTENDED`].
    ///
    /// # Errors
    /// When the header is wrong; the header is judged as soon as it is complete.
    pub fn next(
        buf: &'a [u8],
        max_len: usize,
    ) -> Result<Option<(usize, Frame<'a>)>, NotificationError> {
        let Some((header, _)) = buf.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        if header[..16] != [0xff; 16] {
            return Err(NotificationError::new(
                ErrorCode::NOT_SYNCHRONIZED,
                &[],
                "the marker is not all ones",
            ));
        }
        let field = [header[16], header[17]];
        let len = usize::from(u16::from_be_bytes(field));
        let bad_length = |text| NotificationError::new(ErrorCode::BAD_LENGTH, &field, text);
        if !(HEADER_LEN..=max_len).contains(&len) {
            return Err(bad_length(format!(
                "length {len} is not in {HEADER_LEN} to {max_len}"
            )));
        }
        let Some(kind) = MessageType::from_code(header[18]) else {
            return Err(NotificationError::new(
                ErrorCode::BAD_TYPE,
                &header[18..],
                format!("message type {} is unknown", header[18]),
            ));
        };
        let (shortest, longest) = kind.lengths(max_len);
        if !(shortest..=longest).contains(&len) {
            return Err(bad_length(format!(
                "length {len} of {kind} is not in {shortest} to {longest}"
            )));
        }
        Ok(buf.get(..len).map(|bytes| (len, Frame { kind, bytes })))
    }

    /// Its type.
    pub const fn kind(&self) -> MessageType {
        self.kind
    }

    /// The whole message with its header.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Decodes it.
    ///
    /// # Errors
    /// When the session must end.
    pub fn decode(&self, cx: &DecodeContext) -> Result<Message<'a>, NotificationError> {
        Message::decode(self, cx)
    }
}
