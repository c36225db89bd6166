//! Attribute type codes and flags (RFC 4271 §4.3), and which flags belong to which code.

use core::fmt;

/// An attribute type code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeCode(pub u8);

/// The flags octet of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeFlags(pub u8);

impl AttributeFlags {
    /// Optional, not well-known.
    pub const OPTIONAL: u8 = 0x80;
    /// Transitive.
    pub const TRANSITIVE: u8 = 0x40;
    /// Passed on by a router that did not know it.
    pub const PARTIAL: u8 = 0x20;
    /// The length has two octets.
    pub const EXTENDED_LENGTH: u8 = 0x10;

    /// Whether it is optional.
    pub const fn optional(self) -> bool {
        self.0 & AttributeFlags::OPTIONAL != 0
    }

    /// Whether it is transitive.
    pub const fn transitive(self) -> bool {
        self.0 & AttributeFlags::TRANSITIVE != 0
    }

    /// Whether a router that did not know it passed it on.
    pub const fn partial(self) -> bool {
        self.0 & AttributeFlags::PARTIAL != 0
    }

    /// Whether its length has two octets.
    pub const fn extended_length(self) -> bool {
        self.0 & AttributeFlags::EXTENDED_LENGTH != 0
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $flags:expr, $text:literal;)+) => {
        impl AttributeCode {
            $(#[doc = concat!($text, ".")]
            pub const $name: AttributeCode = AttributeCode($code);)+

            /// The field-standard name, when the code is known.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)+
                    _ => None,
                }
            }

            /// The optional and transitive flags that a known code must have.
            pub(crate) const fn flags(self) -> Option<u8> {
                match self.0 {
                    $($code => Some($flags),)+
                    _ => None,
                }
            }
        }
    };
}

const WELL_KNOWN: u8 = AttributeFlags::TRANSITIVE;
const OPTIONAL: u8 = AttributeFlags::OPTIONAL;
pub(super) const OPTIONAL_TRANSITIVE: u8 = AttributeFlags::OPTIONAL | AttributeFlags::TRANSITIVE;

codes! {
    ORIGIN = 1, WELL_KNOWN, "ORIGIN";
    AS_PATH = 2, WELL_KNOWN, "AS_PATH";
    NEXT_HOP = 3, WELL_KNOWN, "NEXT_HOP";
    MED = 4, OPTIONAL, "MULTI_EXIT_DISC";
    LOCAL_PREF = 5, WELL_KNOWN, "LOCAL_PREF";
    ATOMIC_AGGREGATE = 6, WELL_KNOWN, "ATOMIC_AGGREGATE";
    AGGREGATOR = 7, OPTIONAL_TRANSITIVE, "AGGREGATOR";
    COMMUNITIES = 8, OPTIONAL_TRANSITIVE, "COMMUNITIES";
    ORIGINATOR_ID = 9, OPTIONAL, "ORIGINATOR_ID";
    CLUSTER_LIST = 10, OPTIONAL, "CLUSTER_LIST";
    MP_REACH_NLRI = 14, OPTIONAL, "MP_REACH_NLRI";
    MP_UNREACH_NLRI = 15, OPTIONAL, "MP_UNREACH_NLRI";
    EXTENDED_COMMUNITIES = 16, OPTIONAL_TRANSITIVE, "EXTENDED_COMMUNITIES";
    AS4_PATH = 17, OPTIONAL_TRANSITIVE, "AS4_PATH";
    AS4_AGGREGATOR = 18, OPTIONAL_TRANSITIVE, "AS4_AGGREGATOR";
    LARGE_COMMUNITIES = 32, OPTIONAL_TRANSITIVE, "LARGE_COMMUNITIES";
    ONLY_TO_CUSTOMER = 35, OPTIONAL_TRANSITIVE, "ONLY_TO_CUSTOMER";
}

impl fmt::Display for AttributeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "attribute {}", self.0),
        }
    }
}

impl fmt::Debug for AttributeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
