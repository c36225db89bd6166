//! The BGP Monitoring Protocol, version 3 (RFC 7854), with Adj-RIB-Out (RFC 8671) and Loc-RIB (RFC 9069).
//!
//! [`Message`] is one message, to be written and read. [`Session`] is one session with a collector: it is told what the
//! speaker reports, reads what there was before page by page, and appends bytes to a buffer of the caller. Connections,
//! time and the choice of collectors are the caller's.
//!
//! *Left out:* version 4 of the protocol (draft-ietf-grow-bmp-tlv) is no RFC yet. Of the Adj-RIB-Out only the state
//! after policy is told: this speaker keeps none before it that would differ from the Loc-RIB. Of the statistics those of
//! RFC 9972 are not sent.
#![no_std]

extern crate alloc;

mod config;
mod message;
mod session;

pub use config::{BUFFER_MIB, CollectorConfig, RETRY, STATISTICS, Server, Tables};
pub use message::{
    DecodeError, HEADER_LEN, MAX_LEN, Message, MirrorTlv, PeerDown, PeerHeader, PeerUp, Statistic,
    Tlv, tlv,
};
pub use session::{Progress, Session, Time, Us};
