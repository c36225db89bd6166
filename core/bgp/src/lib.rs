//! The BGP speaker: sessions (RFC 4271), what was received, what is sent, and the policies in between.
//!
//! [`Speaker`] is one value. It owns no socket, clock, file or thread: the shell tells it what happened
//! (`handle_*`), what it should be (`set_*`, `announce`, `withdraw`), and asks what to do (`poll_*`).
//! Answer [`Speaker::poll_next_hop`], if it was asked to ask, with [`Speaker::set_next_hops`];
//! drain [`Speaker::poll_transmit`] and [`Speaker::poll_action`] until both say `None`, then sleep until
//! [`Speaker::poll_timeout`]. The same inputs give the same outputs.
//!
//! * [`config`]: what the speaker is told to be
//! * `role`: what the peer is to us in business, and which routes it may therefore have
//! * `session`: one connection: state machine, timers, collision, negotiation
//! * `own`: own routes and their next hops
//! * [`policy`]: which routes pass, and with which attributes
//! * `speaker`: joins them
//!
//! All routes lie in one [`tapway_rib::Rib`], the own ones as those of [`tapway_rib::SourceId::LOCAL`]. Nothing that a peer
//! sent is ever sent to another peer.
#![no_std]
extern crate alloc;

pub mod config;
mod own;
pub mod policy;
mod role;
mod session;
mod speaker;

pub use own::{Announcement, AnnouncementId};
pub use session::fsm::State;
pub use speaker::Speaker;
pub use speaker::action::{
    Action, ConnId, ConnInfo, ConnectOptions, Endpoint, ListenPeer, LocalAddresses, StartKind,
    Transmit,
};
pub use speaker::answer::{
    AdvertisedRoute, Counters, FamilySummary, Installable, NegotiatedSummary, NotPassed, NotSent,
    PeerChange, PeerSummary, ReceivedRoute, Refusal, ResetCause, SoftOutcome, SoftReset,
};
pub use speaker::event::{DownReason, Event, Notification};
pub use speaker::monitor::{
    Best, BestReader, DumpedRoute, Farewell, InTables, MonitoredSession, Report, Source, Table,
    TableCounts, Wants,
};
pub use speaker::next_hops::{NextHopAnswer, NextHopNews};
pub use tapway_bgp_wire::{
    AsPath, AsSegment, Attributes, Community, ExtendedCommunity, LargeCommunity, NextHop, Origin,
    SegmentKind,
};
pub use tapway_rib::{FARTHEST, SourceId};
