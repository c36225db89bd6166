//! One BGP connection as a value: state machine, timers, negotiation, bytes that wait.
//!
//! [`Session::fire`] runs the table of [`fsm`] and carries out its effects as far as they concern the
//! connection alone; what others must do (open, close, deliver) comes back as [`Fired`].

pub(crate) mod collision;
pub(crate) mod fsm;
pub(crate) mod open;
pub(crate) mod pace;
pub(crate) mod timers;

use alloc::vec::Vec;
use core::time::Duration;

use tapway_bgp_wire::{ErrorCode, Notification, Open, encode_keepalive};
use tapway_model::Instant;

use crate::config::PeerConfig;
use crate::speaker::action::{ConnId, ConnInfo, LocalAddresses};
use crate::speaker::answer::Counters;
use fsm::{Effect, Event, State, step};
use open::{Negotiated, Ourselves};
use pace::{Backoff, Jitter};
use timers::{Timer, Timers};

/// Hold time until the peer's OPEN is there (RFC 4271 §8.2.2: "a large value").
const OPEN_HOLD: Duration = Duration::from_secs(240);
/// `SendHoldTime` is at least this (RFC 9687 §4.1).
const SEND_HOLD_MIN: Duration = Duration::from_secs(480);
/// Control messages that may wait while the peer does not read.
const CONTROL_MAX: usize = 8192;

/// A connection, opening or open.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    /// Its ends, once open.
    pub(crate) info: Option<ConnInfo>,
    /// Our addresses on its interface, once told.
    pub(crate) addresses: Option<LocalAddresses>,
    /// The start of a message whose end is not there yet.
    pub(crate) partial: Vec<u8>,
    /// Messages other than UPDATE that wait to be written.
    pub(crate) control: Vec<u8>,
    /// The shell still holds bytes of ours that the socket did not take.
    pub(crate) blocked: bool,
    /// The OPEN that we sent.
    pub(crate) our_open: Option<Open>,
    /// The OPEN that came, with its header.
    pub(crate) peer_open: Vec<u8>,
    /// What came of both OPENs.
    pub(crate) negotiated: Option<Negotiated>,
}

impl Connection {
    pub(crate) const fn new(id: ConnId, info: Option<ConnInfo>) -> Connection {
        Connection {
            id,
            info,
            addresses: None,
            partial: Vec::new(),
            control: Vec::new(),
            blocked: false,
            our_open: None,
            peer_open: Vec::new(),
            negotiated: None,
        }
    }
}

/// The state of one connection of a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) state: State,
    pub(crate) timers: Timers,
    pub(crate) conn: Option<Connection>,
    /// Since when it is up.
    pub(crate) established: Option<Instant>,
}

/// What a session needs of its surroundings.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    pub(crate) peer: &'a PeerConfig,
    pub(crate) us: &'a Ourselves,
    pub(crate) jitter: &'a mut Jitter,
    pub(crate) backoff: &'a mut Backoff,
    pub(crate) next_conn: &'a mut u64,
    pub(crate) sent: &'a mut Counters,
}

/// What others have to do after an event.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    /// Close this connection, after these bytes.
    pub(crate) close: Option<(Connection, Vec<u8>)>,
    /// Open this one.
    pub(crate) open: Option<ConnId>,
    /// The NOTIFICATION that is among the bytes.
    pub(crate) notified: Option<Notification>,
    /// The session is up.
    pub(crate) up: bool,
    /// The message is for the RIB.
    pub(crate) deliver: bool,
}

impl Session {
    /// Runs the state machine. `notification` is what [`Effect::SendNotification`] sends.
    pub(crate) fn fire(
        &mut self,
        event: Event,
        notification: Option<Notification>,
        at: &mut Surroundings<'_>,
    ) -> Fired {
        let was = self.state;
        let (next, effects) = step(was, event);
        self.state = next;
        let mut fired = Fired::default();
        let failed = effects.contains(&Effect::CloseTcp)
            && !matches!(event, Event::Stop | Event::CollisionDump);
        if failed {
            at.backoff.fail(at.now, self.established);
        }
        let mut notification = notification.or(match event {
            Event::HoldExpires => Some(Notification::new(ErrorCode::HOLD_TIMER_EXPIRED)),
            Event::SendHoldExpires => Some(Notification::new(ErrorCode::SEND_HOLD_TIMER_EXPIRED)),
            Event::CollisionDump => Some(Notification::new(ErrorCode::CEASE_COLLISION)),
            _ => None,
        });
        for effect in effects {
            match effect {
                Effect::OpenTcp => {
                    let id = ConnId::Outgoing(*at.next_conn);
                    *at.next_conn += 1;
                    self.conn = Some(Connection::new(id, None));
                    fired.open = Some(id);
                }
                Effect::SendFsmError => {
                    let code = match was {
                        State::OpenSent => ErrorCode::FSM_OPEN_SENT,
                        State::OpenConfirm => ErrorCode::FSM_OPEN_CONFIRM,
                        State::Established => ErrorCode::FSM_ESTABLISHED,
                        _ => ErrorCode::FSM,
                    };
                    fired.notified = Some(Notification::new(code));
                }
                Effect::SendNotification => fired.notified = notification.take(),
                Effect::CloseTcp => fired.close = self.close(fired.notified.as_ref(), at),
                Effect::SendOpen => self.send_open(at),
                Effect::SendKeepalive => self.send_keepalive(at.sent),
                Effect::Set(timer) => self.set_timer(*timer, at),
                Effect::SetLongHold => self.timers.set(Timer::Hold, at.now + OPEN_HOLD),
                Effect::ClearTimers => self.timers.clear_all(),
                Effect::Up => {
                    self.established = Some(at.now);
                    fired.up = true;
                }
                Effect::Deliver => fired.deliver = true,
            }
        }
        if next != State::Established {
            self.established = None;
        }
        fired
    }

    /// The open or opening connection, if it is this one.
    pub(crate) fn conn_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.conn.as_mut().filter(|c| c.id == id)
    }

    /// What was agreed on; only after both OPENs.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.conn.as_ref()?.negotiated.as_ref()
    }

    /// Queues a KEEPALIVE. While the peer does not read, one is enough.
    pub(crate) fn send_keepalive(&mut self, sent: &mut Counters) {
        if let Some(conn) = &mut self.conn
            && (!conn.blocked || conn.control.is_empty())
            && conn.control.len() < CONTROL_MAX
        {
            encode_keepalive(&mut conn.control);
            sent.keepalive += 1;
        }
    }

    /// Queues a ROUTE-REFRESH. False: too many wait already.
    pub(crate) fn send_refresh(
        &mut self,
        message: tapway_bgp_wire::RouteRefresh,
        sent: &mut Counters,
    ) -> bool {
        match &mut self.conn {
            Some(conn) if conn.control.len() < CONTROL_MAX => {
                message.encode(&mut conn.control);
                sent.refresh += 1;
                true
            }
            _ => false,
        }
    }

    /// The shell holds bytes that the peer does not read: from now on that may last so long (RFC 9687).
    pub(crate) fn set_blocked(&mut self, now: Instant) {
        let Some(conn) = &mut self.conn else { return };
        conn.blocked = true;
        let hold = conn.negotiated.as_ref().map_or(OPEN_HOLD, |n| n.hold_time);
        if hold > Duration::ZERO && self.timers.get(Timer::SendHold).is_none() {
            self.timers
                .set(Timer::SendHold, now + (hold * 2).max(SEND_HOLD_MIN));
        }
    }

    /// The peer reads again.
    pub(crate) fn set_writable(&mut self) {
        if let Some(conn) = &mut self.conn {
            conn.blocked = false;
        }
        self.timers.clear(Timer::SendHold);
    }

    fn send_open(&mut self, at: &mut Surroundings<'_>) {
        let Some(conn) = &mut self.conn else { return };
        let open = open::our_open(at.us, at.peer);
        open.encode(&mut conn.control);
        conn.our_open = Some(open);
        at.sent.open += 1;
    }

    fn close(
        &mut self,
        notification: Option<&Notification>,
        at: &mut Surroundings<'_>,
    ) -> Option<(Connection, Vec<u8>)> {
        let mut conn = self.conn.take()?;
        let mut farewell = core::mem::take(&mut conn.control);
        if let Some(notification) = notification {
            notification.encode(&mut farewell);
            at.sent.notification += 1;
        }
        at.sent.bytes += farewell.len() as u64;
        Some((conn, farewell))
    }

    fn set_timer(&mut self, timer: Timer, at: &mut Surroundings<'_>) {
        let negotiated = self.conn.as_ref().and_then(|c| c.negotiated.as_ref());
        let (hold, keepalive) =
            negotiated.map_or_else(Default::default, |n| (n.hold_time, n.keepalive));
        let time = match timer {
            Timer::IdleHold => at.jitter.shorten(at.backoff.idle_hold()),
            Timer::ConnectRetry => at
                .jitter
                .shorten(at.backoff.connect_retry(at.peer.connect_retry)),
            Timer::Hold => hold,
            Timer::Keepalive => at.jitter.shorten(keepalive),
            Timer::SendHold => return,
        };
        // A negotiated hold time of 0 means no timers (RFC 4271 §4.2).
        if time > Duration::ZERO {
            self.timers.set(timer, at.now + time);
        } else {
            self.timers.clear(timer);
        }
    }
}
