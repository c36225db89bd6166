//! The codes of NOTIFICATION messages, and the error that becomes one.
//!
//! RFC 4271 §6, 4486 (Cease), 6608 (FSM), 7313 (ROUTE-REFRESH), 8538 (Hard Reset), 9384 (BFD Down),
//! 9687 (Send Hold Timer).

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// Error code and subcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode {
    /// The error code.
    pub code: u8,
    /// The subcode; 0: unspecific.
    pub subcode: u8,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $subcode:literal, $text:literal;)+) => {
        impl ErrorCode {
            $(#[doc = concat!("`", $code, "/", $subcode, "`: ", $text, ".")]
            pub const $name: ErrorCode = ErrorCode { code: $code, subcode: $subcode };)+

            /// Every code that has a name.
            pub const NAMED: &[ErrorCode] = &[$(ErrorCode::$name),+];

            /// The name of the pair, when it has one.
            pub const fn name(self) -> Option<&'static str> {
                match (self.code, self.subcode) {
                    $(($code, $subcode) => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    HEADER = 1, 0, "Message Header Error";
    NOT_SYNCHRONIZED = 1, 1, "Message Header Error: Connection Not Synchronized";
    BAD_LENGTH = 1, 2, "Message Header Error: Bad Message Length";
    BAD_TYPE = 1, 3, "Message Header Error: Bad Message Type";
    OPEN = 2, 0, "OPEN Message Error";
    UNSUPPORTED_VERSION = 2, 1, "OPEN Message Error: Unsupported Version Number";
    BAD_PEER_AS = 2, 2, "OPEN Message Error: Bad Peer AS";
    BAD_BGP_ID = 2, 3, "OPEN Message Error: Bad BGP Identifier";
    UNSUPPORTED_PARAMETER = 2, 4, "OPEN Message Error: Unsupported Optional Parameter";
    UNACCEPTABLE_HOLD_TIME = 2, 6, "OPEN Message Error: Unacceptable Hold Time";
    UNSUPPORTED_CAPABILITY = 2, 7, "OPEN Message Error: Unsupported Capability";
    ROLE_MISMATCH = 2, 11, "OPEN Message Error: Role Mismatch";
    UPDATE = 3, 0, "UPDATE Message Error";
    MALFORMED_ATTRIBUTE_LIST = 3, 1, "UPDATE Message Error: Malformed Attribute List";
    UNRECOGNIZED_WELL_KNOWN = 3, 2, "UPDATE Message Error: Unrecognized Well-known Attribute";
    MISSING_WELL_KNOWN = 3, 3, "UPDATE Message Error: Missing Well-known Attribute";
    ATTRIBUTE_FLAGS = 3, 4, "UPDATE Message Error: Attribute Flags Error";
    ATTRIBUTE_LENGTH = 3, 5, "UPDATE Message Error: Attribute Length Error";
    INVALID_ORIGIN = 3, 6, "UPDATE Message Error: Invalid ORIGIN Attribute";
    INVALID_NEXT_HOP = 3, 8, "UPDATE Message Error: Invalid NEXT_HOP Attribute";
    OPTIONAL_ATTRIBUTE = 3, 9, "UPDATE Message Error: Optional Attribute Error";
    INVALID_NETWORK = 3, 10, "UPDATE Message Error: Invalid Network Field";
    MALFORMED_AS_PATH = 3, 11, "UPDATE Message Error: Malformed AS_PATH";
    HOLD_TIMER_EXPIRED = 4, 0, "Hold Timer Expired";
    FSM = 5, 0, "Finite State Machine Error";
    FSM_OPEN_SENT = 5, 1, "Finite State Machine Error: Unexpected Message in OpenSent";
    FSM_OPEN_CONFIRM = 5, 2, "Finite State Machine Error: Unexpected Message in OpenConfirm";
    FSM_ESTABLISHED = 5, 3, "Finite State Machine Error: Unexpected Message in Established";
    CEASE = 6, 0, "Cease";
    CEASE_MAX_PREFIXES = 6, 1, "Cease: Maximum Number of Prefixes Reached";
    CEASE_ADMIN_SHUTDOWN = 6, 2, "Cease: Administrative Shutdown";
    CEASE_DECONFIGURED = 6, 3, "Cease: Peer De-configured";
    CEASE_ADMIN_RESET = 6, 4, "Cease: Administrative Reset";
    CEASE_REJECTED = 6, 5, "Cease: Connection Rejected";
    CEASE_CONFIG_CHANGE = 6, 6, "Cease: Other Configuration Change";
    CEASE_COLLISION = 6, 7, "Cease: Connection Collision Resolution";
    CEASE_OUT_OF_RESOURCES = 6, 8, "Cease: Out of Resources";
    CEASE_HARD_RESET = 6, 9, "Cease: Hard Reset";
    CEASE_BFD_DOWN = 6, 10, "Cease: BFD Down";
    ROUTE_REFRESH = 7, 0, "ROUTE-REFRESH Message Error";
    ROUTE_REFRESH_LENGTH = 7, 1, "ROUTE-REFRESH Message Error: Invalid Message Length";
    SEND_HOLD_TIMER_EXPIRED = 8, 0, "Send Hold Timer Expired";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        let class = ErrorCode {
            code: self.code,
            subcode: 0,
        };
        match class.name() {
            Some(name) => write!(f, "{name}: subcode {}", self.subcode),
            None => write!(f, "error code {} subcode {}", self.code, self.subcode),
        }
    }
}

/// A received message that ends the session, and the NOTIFICATION that tells the peer why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct NotificationError {
    /// Code and subcode to send.
    pub code: ErrorCode,
    /// The data field to send.
    pub data: Vec<u8>,
    /// What was wrong, for people; it is not sent.
    pub text: Cow<'static, str>,
}

impl NotificationError {
    /// An error with a data field.
    pub fn new(code: ErrorCode, data: &[u8], text: impl Into<Cow<'static, str>>) -> Self {
        NotificationError {
            code,
            data: data.to_vec(),
            text: text.into(),
        }
    }
}
