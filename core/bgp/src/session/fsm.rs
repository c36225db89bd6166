//! The state machine of one connection (RFC 4271 §8), as a table without memory.
//!
//! [`step`] says what an event does in a state: the next state, and effects for the session to carry
//! out. It knows no time, bytes or addresses. Every peer has one machine for its main connection and,
//! while two connections are open, a second one for the other (§6.8).
//!
//! Choices where the RFC leaves some:
//! * `DelayOpenTimer` is not used; `DampPeerOscillations` is on: every way down starts [`Timer::IdleHold`].
//! * A connection that cannot be opened leads to Active, not Idle (§8.2.2, Connect, event 18): so the peer
//!   may connect meanwhile. The retry timer backs off instead.
//! * A connection of the peer is taken in Idle, too, unless the session refuses them for a while.

use core::fmt;

use super::timers::Timer;

/// State of a session (RFC 4271 §8.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Down: by the operator, or until the hold-off after an error is over.
    #[default]
    Idle,
    /// A connection is being opened.
    Connect,
    /// Waiting for the peer to connect, or to try again.
    Active,
    /// Our OPEN is out.
    OpenSent,
    /// The peer's OPEN is fine; its KEEPALIVE is awaited.
    OpenConfirm,
    /// Up.
    Established,
}

impl State {
    /// All, from furthest down to up.
    pub const ALL: [State; 6] = [
        State::Idle,
        State::Connect,
        State::Active,
        State::OpenSent,
        State::OpenConfirm,
        State::Established,
    ];

    /// Whether there is a TCP connection.
    pub const fn connected(self) -> bool {
        matches!(
            self,
            State::OpenSent | State::OpenConfirm | State::Established
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Idle => "Idle",
            State::Connect => "Connect",
            State::Active => "Active",
            State::OpenSent => "OpenSent",
            State::OpenConfirm => "OpenConfirm",
            State::Established => "Established",
        })
    }
}

/// What can happen to a session. The numbers are the RFC's (§8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// 1, 3, 13: start, or the hold-off after an error is over; and connect.
    Start,
    /// 4, 5, 13: likewise, and only wait for the peer.
    StartPassive,
    /// 2: stop, by the operator or because nothing leads to the peer any more.
    Stop,
    /// 8: stop by ourselves, with a NOTIFICATION that is not an error of the peer's (a limit, a reset).
    AutomaticStop,
    /// 9
    ConnectRetryExpires,
    /// 10
    HoldExpires,
    /// 11
    KeepaliveExpires,
    /// RFC 9687 §3.2: event 29.
    SendHoldExpires,
    /// 16: our connection is open.
    Connected,
    /// 17: the peer's connection is open.
    Accepted,
    /// 18: it could not be opened, closed, or broke.
    ConnectionFails,
    /// 19
    Open,
    /// 21: a broken header.
    HeaderError,
    /// 22: an OPEN that we cannot accept.
    OpenError,
    /// 23: the other connection of the two stays.
    CollisionDump,
    /// 24, 25
    Notification,
    /// 26
    Keepalive,
    /// 27
    Update,
    /// 28: an UPDATE that ends the session even under RFC 7606.
    UpdateError,
    /// A ROUTE-REFRESH (RFC 2918).
    Refresh,
}

impl Event {
    /// All of them, for the table test.
    #[cfg(test)]
    pub(crate) const ALL: [Event; 20] = [
        Event::Start,
        Event::StartPassive,
        Event::Stop,
        Event::AutomaticStop,
        Event::ConnectRetryExpires,
        Event::HoldExpires,
        Event::KeepaliveExpires,
        Event::SendHoldExpires,
        Event::Connected,
        Event::Accepted,
        Event::ConnectionFails,
        Event::Open,
        Event::HeaderError,
        Event::OpenError,
        Event::CollisionDump,
        Event::Notification,
        Event::Keepalive,
        Event::Update,
        Event::UpdateError,
        Event::Refresh,
    ];
}

/// What a session has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Open a connection.
    OpenTcp,
    /// Close the connection, or give up opening it.
    CloseTcp,
    /// Send our OPEN.
    SendOpen,
    /// Send a KEEPALIVE.
    SendKeepalive,
    /// Send the NOTIFICATION that belongs to the event, before closing.
    SendNotification,
    /// Send "FSM error" (RFC 6608) with the subcode of the state, before closing.
    SendFsmError,
    /// (Re)start a timer.
    Set(Timer),
    /// The hold timer of OpenSent: 4 minutes.
    SetLongHold,
    /// Stop them all.
    ClearTimers,
    /// The session is up.
    Up,
    /// Hand the message to the RIB.
    Deliver,
}

use Effect::{
    ClearTimers, CloseTcp, Deliver, OpenTcp, SendFsmError, SendKeepalive, SendNotification,
    SendOpen, Set, SetLongHold, Up,
};

const CONNECT: &[Effect] = &[ClearTimers, Set(Timer::ConnectRetry), OpenTcp];
const TRY_AGAIN: &[Effect] = &[CloseTcp, Set(Timer::ConnectRetry), OpenTcp];
const WAIT: &[Effect] = &[ClearTimers];
const OPEN: &[Effect] = &[ClearTimers, SendOpen, SetLongHold];
const DROP: &[Effect] = &[CloseTcp, ClearTimers];
const FAIL: &[Effect] = &[CloseTcp, ClearTimers, Set(Timer::IdleHold)];
const RETRY_LATER: &[Effect] = &[CloseTcp, ClearTimers, Set(Timer::ConnectRetry)];
const NOTIFY_AND_STOP: &[Effect] = &[SendNotification, CloseTcp, ClearTimers];
const NOTIFY_AND_FAIL: &[Effect] = &[
    SendNotification,
    CloseTcp,
    ClearTimers,
    Set(Timer::IdleHold),
];
const FSM_ERROR: &[Effect] = &[SendFsmError, CloseTcp, ClearTimers, Set(Timer::IdleHold)];
const CONFIRM: &[Effect] = &[SendKeepalive, Set(Timer::Hold), Set(Timer::Keepalive)];
const KEEP_ALIVE: &[Effect] = &[SendKeepalive, Set(Timer::Keepalive)];
const NOTHING: &[Effect] = &[];

/// What `event` does in `state`.
pub(crate) const fn step(state: State, event: Event) -> (State, &'static [Effect]) {
    use Event as E;
    use State::{Active, Connect, Established, Idle, OpenConfirm, OpenSent};
    match (state, event) {
        (Idle, E::Start) => (Connect, CONNECT),
        (Idle, E::StartPassive) => (Active, WAIT),
        (Idle, E::Accepted) => (OpenSent, OPEN),
        (Idle, E::Stop) => (Idle, WAIT),
        (Idle, _) => (Idle, NOTHING),

        // Starting what is started does nothing (§8.2.2).
        (_, E::Start | E::StartPassive) => (state, NOTHING),

        (Connect | Active, E::Stop) => (Idle, DROP),
        (Connect, E::ConnectRetryExpires) => (Connect, TRY_AGAIN),
        (Active, E::ConnectRetryExpires) => (Connect, CONNECT),
        (Connect, E::Connected) | (Active, E::Accepted) => (OpenSent, OPEN),
        (Connect, E::ConnectionFails) => (Active, RETRY_LATER),
        // The peer's connection becomes the second machine's; this one goes on connecting.
        (Connect, E::Accepted) => (Connect, NOTHING),
        (Connect | Active, _) => (Idle, FAIL),

        (_, E::Stop) => (Idle, NOTIFY_AND_STOP),
        (_, E::AutomaticStop | E::HoldExpires | E::SendHoldExpires | E::CollisionDump) => {
            (Idle, NOTIFY_AND_FAIL)
        }
        (_, E::HeaderError) => (Idle, NOTIFY_AND_FAIL),
        (_, E::Notification) => (Idle, FAIL),
        (OpenSent, E::ConnectionFails) => (Active, RETRY_LATER),
        (_, E::ConnectionFails) => (Idle, FAIL),

        (OpenSent, E::Open) => (OpenConfirm, CONFIRM),
        (OpenSent | OpenConfirm, E::OpenError) => (Idle, NOTIFY_AND_FAIL),
        (OpenConfirm | Established, E::KeepaliveExpires) => (state, KEEP_ALIVE),
        (OpenConfirm, E::Keepalive) => (Established, &[Set(Timer::Hold), Up]),
        (Established, E::Keepalive) => (Established, &[Set(Timer::Hold)]),
        (Established, E::Update | E::Refresh) => (Established, &[Set(Timer::Hold), Deliver]),
        (Established, E::UpdateError) => (Idle, NOTIFY_AND_FAIL),

        // The other connection's; answered by the peer's second machine.
        (_, E::Connected | E::Accepted) => (state, NOTHING),
        (OpenSent | OpenConfirm | Established, _) => (Idle, FSM_ERROR),
    }
}

#[cfg(test)]
mod tests;
