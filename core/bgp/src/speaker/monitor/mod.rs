//! What monitors hear of: sessions that come and go, messages as they were received and sent, what import made of routes.
//!
//! [`Speaker::set_monitor`] says what is wanted; then [`Speaker::poll_report`] tells it, in the order in which it happened for
//! each peer and table. What there was before is read page by page (`pages`), and best routes by groups of the RIB
//! (`best`), which keep for a slow reader nothing but bits. While nobody listens nothing is kept here but both OPENs of
//! each session.
//!
//! The words are those of RFC 7854, 8671 and 9069; which bytes go to a collector or a file is not decided here.

mod best;
mod pages;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use tapway_bgp_wire::{
    DecodeContext, EncodeContext, Frame, MessageType, PerFamily, Update, UpdateBuilder,
};
use tapway_model::{Instant, PeerName};
use tapway_rib::{Follow, SourceId};

use super::Speaker;
use super::action::ConnInfo;
use super::event::DownReason;
use super::peer::Peer;
use super::shared::Shared;
use crate::config::PeerAsn;
use crate::session::fsm::State;

pub use best::{Best, BestReader};
pub use pages::{DumpedRoute, InTables, Source};

/// Bytes of reports that may wait to be taken.
const LIMIT: usize = 64 << 20;

/// What is to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Messages as received, and routes of the Adj-RIB-In that went without one.
    pub received: bool,
    /// Routes that import accepted, changed or refused.
    pub imported: bool,
    /// Messages as sent.
    pub sent: bool,
    /// Sessions that come up and end.
    pub sessions: bool,
    /// Changes of sessions' states.
    pub states: bool,
}

impl Wants {
    /// What either wants.
    #[must_use]
    pub const fn and(self, other: Wants) -> Wants {
        Wants {
            received: self.received || other.received,
            imported: self.imported || other.imported,
            sent: self.sent || other.sent,
            sessions: self.sessions || other.sessions,
            states: self.states || other.states,
        }
    }
}

/// One of the tables that a peer has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// What it sent, before import policy.
    Received,
    /// What import policy made of that.
    Imported,
    /// What it was sent, after export policy.
    Sent,
}

/// An established session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoredSession {
    /// The peer.
    pub peer: PeerName,
    /// Its routes in the RIB.
    pub source: SourceId,
    /// Addresses and ports of both sides.
    pub ends: ConnInfo,
    /// The peer's AS.
    pub asn: u32,
    /// Our AS.
    pub local_asn: u32,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// How its messages are read.
    pub decode: DecodeContext,
    /// How ours are written.
    pub encode: EncodeContext,
    /// The OPEN that we sent, with its header.
    pub our_open: Vec<u8>,
    /// The OPEN that the peer sent, with its header.
    pub peer_open: Vec<u8>,
    /// When it was established.
    pub since: Instant,
}

/// How a session ended (RFC 7854 §4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// We sent this NOTIFICATION.
    Sent(Vec<u8>),
    /// The peer sent this NOTIFICATION.
    Received(Vec<u8>),
    /// We closed it without one, because of this event of the state machine (RFC 4271 §8.1); 0: none of them.
    Local(u16),
    /// The peer closed it without one, or the connection broke.
    Remote,
}

/// Something that monitors hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The state of a session changed.
    State {
        /// Whose.
        peer: PeerName,
        /// The peer's AS, as far as it is known.
        asn: Option<u32>,
        /// What it takes for our AS.
        local_asn: u32,
        /// Both sides of the last connection, if there was one.
        ends: Option<ConnInfo>,
        /// From.
        from: State,
        /// To.
        to: State,
    },
    /// A session was established.
    Up(Arc<MonitoredSession>),
    /// It ended.
    Down(Arc<MonitoredSession>, Farewell),
    /// A message came: UPDATE, NOTIFICATION or ROUTE-REFRESH.
    Received {
        /// From whom.
        session: Arc<MonitoredSession>,
        /// All of it.
        message: Vec<u8>,
        /// It was malformed: what was made of it follows as [`Report::Routes`] (RFC 7606).
        faulty: bool,
    },
    /// Routes in UPDATEs written here: with four-octet AS numbers, and path identifiers where the peer sends them.
    Routes {
        /// Whose.
        session: Arc<MonitoredSession>,
        /// Which table changed.
        table: Table,
        /// Whole messages.
        updates: Vec<u8>,
    },
    /// Messages went to the connection: UPDATE and ROUTE-REFRESH.
    Sent {
        /// To whom.
        session: Arc<MonitoredSession>,
        /// Whole messages.
        messages: Vec<u8>,
    },
    /// More happened than there was room for: who needs all of it has to read everything again.
    Lost,
}

impl Report {
    fn size(&self) -> usize {
        match self {
            Report::Received { message, .. } => message.len(),
            Report::Routes { updates, .. } => updates.len(),
            Report::Sent { messages, .. } => messages.len(),
            _ => 0,
        }
    }
}

/// What waits to be taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitor {
    wants: Wants,
    waiting: VecDeque<Report>,
    bytes: usize,
    best: best::Groups,
}

impl Monitor {
    fn push(&mut self, report: Report) {
        let size = report.size();
        if self.bytes + size > LIMIT {
            if self.waiting.back() != Some(&Report::Lost) {
                self.waiting.push_back(Report::Lost);
            }
            return;
        }
        self.bytes += size;
        self.waiting.push_back(report);
    }

    fn pop(&mut self) -> Option<Report> {
        let report = self.waiting.pop_front()?;
        self.bytes -= report.size();
        Some(report)
    }
}

/// What a peer keeps for monitors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Its session, or the last one.
    session: Option<Arc<MonitoredSession>>,
    /// What was said last on it.
    farewell: Option<Farewell>,
}

impl Speaker {
    /// Says what is to be reported from now on; when that is nothing, what waits goes.
    pub fn set_monitor(&mut self, wants: Wants) {
        let Shared { monitor, rib, .. } = &mut self.shared;
        monitor.wants = wants;
        if wants == Wants::default() {
            monitor.waiting = VecDeque::new();
            monitor.bytes = 0;
        }
        rib.follow(Follow {
            changes: wants.imported,
            sweeps: wants.received,
        });
    }

    /// What is to be reported.
    pub fn monitor(&self) -> Wants {
        self.shared.monitor.wants
    }

    /// What happened next.
    pub fn poll_report(&mut self) -> Option<Report> {
        if let Some(report) = self.shared.monitor.pop() {
            return Some(report);
        }
        if self.shared.rib.take_lost_notes() {
            return Some(Report::Lost);
        }
        self.report_notes();
        self.shared.monitor.pop()
    }

    /// The sessions that are established, by peer.
    pub fn monitored(&self) -> impl Iterator<Item = &Arc<MonitoredSession>> {
        self.peers.values().filter_map(Peer::monitored)
    }
}

/// A peer's tables in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Routes received.
    pub received: PerFamily<usize>,
    /// Prefixes that it was told.
    pub sent: PerFamily<usize>,
    /// UPDATEs that were treated as withdraws, since the peer is there (RFC 7606).
    pub treated_as_withdraw: u64,
}

impl Speaker {
    /// A peer's tables in numbers; zeros when there is no such peer.
    pub fn table_counts(&self, peer: &PeerName) -> TableCounts {
        let Some(peer) = self.peers.get(peer) else {
            return TableCounts::default();
        };
        let rib = &self.shared.rib;
        let told = |family| {
            let member = peer.outbound[family].member;
            member.map_or(0, |member| rib.told_count(member))
        };
        TableCounts {
            received: PerFamily::from_fn(|family| peer.counts(rib, family).routes),
            sent: PerFamily::from_fn(told),
            treated_as_withdraw: peer.history.treated_as_withdraw,
        }
    }
}

impl Peer {
    /// Its session, while it is established.
    pub(super) fn monitored(&self) -> Option<&Arc<MonitoredSession>> {
        let session = self.watched.session.as_ref();
        session.filter(|_| self.established())
    }

    /// A session is up, and its routes have a source.
    pub(super) fn watch_up(&mut self, shared: &mut Shared, now: Instant) {
        let conn = self.main.conn.as_ref();
        let Some((conn, source)) = conn.zip(self.source) else {
            return;
        };
        let Some((negotiated, ends)) = conn.negotiated.as_ref().zip(conn.info) else {
            return;
        };
        let mut our_open = Vec::new();
        if let Some(open) = &conn.our_open {
            open.encode(&mut our_open);
        }
        let session = Arc::new(MonitoredSession {
            peer: self.config.name.clone(),
            source,
            ends,
            asn: negotiated.asn,
            local_asn: conn.our_open.as_ref().map_or(0, |open| open.asn),
            router_id: negotiated.router_id,
            decode: negotiated.decode,
            encode: negotiated.encode,
            our_open,
            peer_open: conn.peer_open.clone(),
            since: now,
        });
        self.watched = Watched {
            session: Some(session.clone()),
            farewell: None,
        };
        if shared.monitor.wants.sessions {
            shared.monitor.push(Report::Up(session));
        }
    }

    /// The NOTIFICATION that ends a session.
    pub(super) fn watch_farewell(&mut self, farewell: impl FnOnce() -> Farewell) {
        if self.watched.session.is_some() {
            self.watched.farewell = Some(farewell());
        }
    }

    /// The established session is over.
    pub(super) fn watch_down(&mut self, shared: &mut Shared, reason: &DownReason) {
        let said = self.watched.farewell.take();
        let farewell = match (said, reason) {
            (Some(said @ Farewell::Sent(_)), DownReason::Sent(_))
            | (Some(said @ Farewell::Received(_)), DownReason::Received(_)) => said,
            (_, DownReason::Closed(_)) => Farewell::Remote,
            (_, DownReason::Administrative) => Farewell::Local(MANUAL_STOP),
            _ => Farewell::Local(0),
        };
        if shared.monitor.wants.sessions
            && let Some(session) = self.watched.session.clone()
        {
            shared.monitor.push(Report::Down(session, farewell));
        }
    }

    /// The state changed.
    pub(super) fn watch_state(&self, shared: &mut Shared, from: State, to: State) {
        if !shared.monitor.wants.states {
            return;
        }
        let last = self.watched.session.as_ref();
        let ends = self.main.conn.as_ref().and_then(|c| c.info);
        let configured = match self.config.asn {
            PeerAsn::Number(asn) => Some(asn),
            PeerAsn::Internal => Some(shared.config.asn),
            PeerAsn::External => None,
        };
        shared.monitor.push(Report::State {
            peer: self.config.name.clone(),
            asn: last.map(|s| s.asn).or(configured),
            local_asn: self.config.our_as(shared.config.asn),
            ends: ends.or(last.map(|s| s.ends)),
            from,
            to,
        });
    }

    /// A message came on the established session; `update` is what was read of it.
    pub(super) fn watch_received(
        &self,
        shared: &mut Shared,
        frame: &Frame<'_>,
        update: Option<&Update<'_>>,
    ) {
        if !shared.monitor.wants.received || frame.kind() == MessageType::Keepalive {
            return;
        }
        let Some(session) = self.monitored() else {
            return;
        };
        let faulty = update.is_some_and(|u| !u.faults().is_empty());
        shared.monitor.push(Report::Received {
            session: session.clone(),
            message: frame.bytes().to_vec(),
            faulty,
        });
        if let Some(update) = update.filter(|_| faulty) {
            shared.monitor.push(Report::Routes {
                session: session.clone(),
                table: Table::Received,
                updates: taken(session, update),
            });
        }
    }

    /// Messages go to the established session.
    pub(super) fn watch_sent(&self, shared: &mut Shared, messages: &[u8]) {
        if shared.monitor.wants.sent
            && !messages.is_empty()
            && let Some(session) = self.monitored()
        {
            shared.monitor.push(Report::Sent {
                session: session.clone(),
                messages: messages.to_vec(),
            });
        }
    }
}

/// ManualStop (RFC 4271 §8.1.2).
const MANUAL_STOP: u16 = 2;

/// What was made of a malformed UPDATE, as UPDATEs (RFC 7606 §2).
fn taken(session: &MonitoredSession, update: &Update<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for unreach in update.unreach() {
        UpdateBuilder::new(&mut out, pages::context(session)).withdraw(*unreach);
    }
    for reach in update.reach() {
        let raw = update.attributes();
        pages::announce(session, raw, reach.next_hop, reach.nlri, &mut out);
    }
    out
}
