//! What happened, for people.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use tapway_model::CacheName;

use crate::cache::MAX_RECORDS;
use crate::pdu::ErrorCode;
use crate::serial::Serial;

/// Something happened with a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub cache: CacheName,
    /// What.
    pub kind: EventKind,
}

/// What happened with a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It said all, or what is new.
    Synced {
        /// Up to here.
        serial: Serial,
        /// It said all; else what is new.
        whole: bool,
        /// What came.
        announced: usize,
        /// What went.
        withdrawn: usize,
        /// What it says now.
        total: usize,
    },
    /// It speaks version 0 only.
    OlderVersion,
    /// It began anew: it is asked for all.
    BeganAnew,
    /// It did not answer as it should.
    Failed {
        /// What it did.
        failure: Failure,
        /// When it is asked again.
        again: Duration,
        /// What it said before, which counts on.
        kept: usize,
    },
    /// What it said is too old.
    Expired {
        /// How much that was.
        records: usize,
    },
    /// A cache that is preferred to it is there.
    Rests,
}

impl EventKind {
    /// Whether somebody should look at it.
    pub const fn is_warning(&self) -> bool {
        matches!(self, EventKind::Failed { .. } | EventKind::Expired { .. })
    }

    /// A short name for it.
    pub const fn word(&self) -> &'static str {
        match self {
            EventKind::Synced { .. } => "rpki.synced",
            EventKind::OlderVersion => "rpki.version",
            EventKind::BeganAnew => "rpki.restarted",
            EventKind::Failed { .. } => "rpki.failed",
            EventKind::Expired { .. } => "rpki.expired",
            EventKind::Rests => "rpki.rests",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Synced {
                serial,
                whole: true,
                total,
                ..
            } => write!(f, "it says {total} VRPs, serial {}", serial.0),
            EventKind::Synced {
                serial,
                whole: false,
                announced,
                withdrawn,
                total,
            } => write!(
                f,
                "{announced} VRPs came and {withdrawn} went; it says {total}, serial {}",
                serial.0
            ),
            EventKind::OlderVersion => {
                f.write_str("it speaks version 0 of the protocol (RFC 6810)")
            }
            EventKind::BeganAnew => f.write_str("it began anew and is asked for everything"),
            EventKind::Failed {
                failure,
                again,
                kept,
            } => {
                write!(f, "{failure}; asked again in {} s", again.as_secs().max(1))?;
                if *kept > 0 {
                    write!(
                        f,
                        "; the {kept} VRPs that it said count until they are too old"
                    )?;
                }
                Ok(())
            }
            EventKind::Expired { records } => write!(
                f,
                "it could not be asked for too long: the {records} VRPs that it said do not count any more"
            ),
            EventKind::Rests => f.write_str("not needed: a cache that is preferred to it is there"),
        }
    }
}

/// How a cache failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached.
    Unreachable(String),
    /// The connection ended.
    Closed(String),
    /// It said nothing for too long.
    Silent(&'static str),
    /// It said what cannot be.
    Broken {
        /// What it was told.
        code: ErrorCode,
        /// What was wrong.
        reason: String,
    },
    /// It says more than there is room for.
    TooMuch,
    /// It told an error.
    Told {
        /// Which.
        code: ErrorCode,
        /// In its words.
        text: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Failure::Closed(why) => write!(f, "the connection ended: {why}"),
            Failure::Silent(what) => f.write_str(what),
            Failure::Broken { code, reason } => {
                write!(
                    f,
                    "it sent what cannot be ({code}): {reason}; the connection is closed"
                )
            }
            Failure::TooMuch => write!(
                f,
                "it sent more than {MAX_RECORDS} records; the connection is closed"
            ),
            Failure::Told { code, text } if text.is_empty() => {
                write!(f, "it told an error: {code}")
            }
            Failure::Told { code, text } => write!(f, "it told an error: {code}: {text:?}"),
        }
    }
}
