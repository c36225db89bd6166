//! Things that happened and that people, logs and metrics want to hear of.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use tapway_model::{Family, PeerName};

use crate::own::AnnouncementId;
use crate::session::fsm::State;

/// A NOTIFICATION in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code (RFC 4271 §4.5).
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Sent inside a Hard Reset (RFC 8538); `code` and `subcode` are those inside.
    pub hard: bool,
    /// Code and subcode in words.
    pub text: String,
    /// The operator's message (RFC 9003).
    pub message: Option<String>,
    /// What exactly was wrong, where we sent it because of the peer's message. It is not on the wire.
    pub detail: Option<String>,
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)?;
        if self.hard {
            f.write_str(" (hard reset)")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message:?}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

/// Why a session, or an attempt at one, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// We sent this.
    Sent(Notification),
    /// The peer sent this.
    Received(Notification),
    /// The connection closed or broke.
    Closed(String),
    /// The connection could not be opened.
    ConnectFailed(String),
    /// Nothing leads to the peer now: its link is down, or its link-local address is not known yet.
    Unreachable,
    /// Another connection with the same peer took over.
    Replaced,
    /// The operator said so, before anything was sent.
    Administrative,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::Sent(n) => write!(f, "sent {n}"),
            DownReason::Received(n) => write!(f, "received {n}"),
            DownReason::Closed(why) => write!(f, "connection closed: {why}"),
            DownReason::ConnectFailed(why) => write!(f, "cannot connect: {why}"),
            DownReason::Unreachable => f.write_str("link down, or the peer's address is not known"),
            DownReason::Replaced => f.write_str("replaced by a new connection of the peer"),
            DownReason::Administrative => f.write_str("stopped by the operator"),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session's state changed (of the connection that is furthest).
    StateChanged {
        /// Whose.
        peer: PeerName,
        /// From.
        from: State,
        /// To.
        to: State,
    },
    /// A session is up.
    Established {
        /// With whom.
        peer: PeerName,
        /// Its AS.
        asn: u32,
        /// Its BGP identifier.
        router_id: Ipv4Addr,
    },
    /// A session that was up, or an attempt, ended.
    Down {
        /// With whom.
        peer: PeerName,
        /// It had been established.
        was_established: bool,
        /// Why.
        reason: DownReason,
    },
    /// A connection from an address that is no peer's was closed.
    UnknownPeer {
        /// Where from.
        remote: IpAddr,
        /// How many more were closed since the last such event.
        suppressed: u64,
    },
    /// A connection from a peer's address, beside its first one, was closed for what came on it. The first
    /// did not suffer.
    SecondConnection {
        /// Whose address.
        peer: PeerName,
        /// What was said to that.
        sent: Notification,
        /// How many more there were since the last such event of this peer.
        suppressed: u64,
    },
    /// A malformed UPDATE was survived (RFC 7606).
    BadUpdate {
        /// From whom.
        peer: PeerName,
        /// What was wrong and what was done about it.
        text: String,
        /// How many more there were since the last such event of this peer.
        suppressed: u64,
    },
    /// The same prefix is announced from two domains; the first keeps it.
    Conflict {
        /// Towards whom.
        peer: PeerName,
        /// Announced.
        kept: AnnouncementId,
        /// Not announced.
        refused: AnnouncementId,
    },
    /// Routes cannot be sent to a peer, because they do not fit into a message.
    CannotEncode {
        /// To whom.
        peer: PeerName,
        /// Why, and what to do about it.
        text: String,
    },
    /// End-of-RIB went to the peer.
    EndOfRibSent {
        /// To whom.
        peer: PeerName,
        /// For which family.
        family: Family,
    },
    /// End-of-RIB came from the peer.
    EndOfRibReceived {
        /// From whom.
        peer: PeerName,
        /// For which family.
        family: Family,
    },
    /// The peer went away and is expected back: its routes are kept for now.
    StaleKept {
        /// Whose.
        peer: PeerName,
        /// Of which family.
        family: Family,
        /// How many.
        routes: usize,
    },
    /// The peer is away beyond its restart time: what is left of its routes goes on behind all others (RFC 9494).
    StaleKeptLong {
        /// Whose.
        peer: PeerName,
        /// Of which family.
        family: Family,
        /// How many.
        routes: usize,
        /// For how long.
        time: Duration,
    },
    /// Routes kept from before the peer's restart are gone.
    StaleRemoved {
        /// Whose.
        peer: PeerName,
        /// Of which family.
        family: Family,
        /// How many.
        routes: usize,
    },
    /// The peer is about to send more than it may.
    NearLimit {
        /// Who.
        peer: PeerName,
        /// Of which family.
        family: Family,
        /// How many it has sent.
        routes: usize,
        /// Beyond so many the session ends.
        limit: u32,
    },
    /// The peer asked for all our routes again.
    RefreshRequested {
        /// Who.
        peer: PeerName,
        /// Of which family.
        family: Family,
    },
}
