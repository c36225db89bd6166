//! NOTIFICATION (RFC 4271 §4.5), its shutdown communication (RFC 9003), and Hard Reset (RFC 8538).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::message::{begin, finish};
use crate::{ErrorCode, HEADER_LEN, MAX_LEN, MessageType, NotificationError};

/// A NOTIFICATION, received or to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub error: ErrorCode,
    /// What belongs to it; depends on `error`.
    pub data: Vec<u8>,
}

impl Notification {
    /// One without data.
    pub const fn new(error: ErrorCode) -> Notification {
        Notification {
            error,
            data: Vec::new(),
        }
    }

    /// One that carries a text for the peer's operator (RFC 9003); for Administrative Shutdown and
    /// Administrative Reset. The text is cut at 255 bytes; an empty one is left out.
    pub fn with_message(error: ErrorCode, text: &str) -> Notification {
        let text = &text[..text.floor_char_boundary(255)];
        let mut data = Vec::new();
        if !text.is_empty() {
            data.push(text.len() as u8);
            data.extend_from_slice(text.as_bytes());
        }
        Notification { error, data }
    }

    /// This one in a Hard Reset: the peer must not keep our routes (RFC 8538 §3.1).
    pub fn into_hard_reset(self) -> Notification {
        let mut data = Vec::with_capacity(self.data.len() + 2);
        data.extend_from_slice(&[self.error.code, self.error.subcode]);
        data.extend_from_slice(&self.data);
        Notification {
            error: ErrorCode::CEASE_HARD_RESET,
            data,
        }
    }

    /// What a Hard Reset encloses.
    pub fn enclosed(&self) -> Option<Notification> {
        match (self.error, self.data.as_slice()) {
            (ErrorCode::CEASE_HARD_RESET, &[code, subcode, ref data @ ..]) => Some(Notification {
                error: ErrorCode { code, subcode },
                data: data.to_vec(),
            }),
            _ => None,
        }
    }

    /// The operator's text of an Administrative Shutdown or Reset, also within a Hard Reset. Bytes that are
    /// not UTF-8 and control characters are replaced; `None` without a text or with a wrong length.
    pub fn message(&self) -> Option<String> {
        if let Some(enclosed) = self.enclosed() {
            return match enclosed.error {
                ErrorCode::CEASE_HARD_RESET => None,
                _ => enclosed.message(),
            };
        }
        let carries = matches!(
            self.error,
            ErrorCode::CEASE_ADMIN_SHUTDOWN | ErrorCode::CEASE_ADMIN_RESET
        );
        let (&len, text) = self.data.split_first()?;
        if !carries || len == 0 || usize::from(len) != text.len() {
            return None;
        }
        let printable = |c: char| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        };
        Some(
            String::from_utf8_lossy(text)
                .chars()
                .map(printable)
                .collect(),
        )
    }

    /// Decodes what follows the header.
    ///
    /// # Errors
    /// When it has not even a code and a subcode. Nothing may be sent in return (RFC 4271 §6.4).
    pub fn decode(body: &[u8]) -> Result<Notification, NotificationError> {
        match *body {
            [code, subcode, ref data @ ..] => Ok(Notification {
                error: ErrorCode { code, subcode },
                data: data.to_vec(),
            }),
            _ => Err(NotificationError::new(
                ErrorCode::BAD_LENGTH,
                &[],
                "NOTIFICATION without code and subcode",
            )),
        }
    }

    /// Appends the message; data beyond 4096 bytes of message is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, MessageType::Notification);
        out.extend_from_slice(&[self.error.code, self.error.subcode]);
        out.extend_from_slice(&self.data[..self.data.len().min(MAX_LEN - HEADER_LEN - 2)]);
        finish(out, start);
    }
}

impl From<NotificationError> for Notification {
    fn from(error: NotificationError) -> Notification {
        Notification {
            error: error.code,
            data: error.data,
        }
    }
}

impl From<&NotificationError> for Notification {
    fn from(error: &NotificationError) -> Notification {
        Notification {
            error: error.code,
            data: error.data.clone(),
        }
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        if let Some(text) = self.message() {
            match self.enclosed() {
                Some(enclosed) => write!(f, " ({}): {text:?}", enclosed.error),
                None => write!(f, ": {text:?}"),
            }
        } else if let Some(enclosed) = self.enclosed() {
            write!(f, " ({})", enclosed.error)
        } else if self.data.is_empty() {
            Ok(())
        } else {
            f.write_str(" (data")?;
            for byte in self.data.iter().take(32) {
                write!(f, " {byte:02x}")?;
            }
            f.write_str(if self.data.len() > 32 { " …)" } else { ")" })
        }
    }
}
