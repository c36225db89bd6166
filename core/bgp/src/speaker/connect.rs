//! Connections: opened, accepted, lost; where a peer is; two connections with one peer (RFC 4271 §6.8).

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapway_bgp_wire::{ErrorCode, Notification};
use tapway_model::Instant;

use super::action::{Action, ConnId, ConnInfo, Endpoint};
use super::event::{self, DownReason};
use super::peer::{Cause, Peer, Slot};
use super::shared::Shared;
use crate::config::Reach;
use crate::session::collision::{Opener, Rank, survivor};
use crate::session::fsm::{Event, State};
use crate::session::open::Negotiated;
use crate::session::timers::Timer;
use crate::session::{Connection, Session};

/// Until a session is this old, a second connection is more likely a collision than a peer that restarted.
const YOUNG: Duration = Duration::from_secs(5);

impl Peer {
    /// Whether a connection from there is this peer's.
    pub(crate) fn is_at(&self, info: &ConnInfo) -> bool {
        let Some(endpoint) = &self.endpoint else {
            return false;
        };
        let remote = info.remote.ip().to_canonical();
        if remote != endpoint.remote.ip().to_canonical() {
            return false;
        }
        // A link-local address means something only on its link.
        let here = interface(info.remote, info.ifindex);
        let there = interface(endpoint.remote, endpoint.ifindex);
        !is_link_local(remote) || here == 0 || there == 0 || here == there
    }

    /// The connection that was asked for is open.
    pub(crate) fn connected(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConnId,
        info: ConnInfo,
    ) {
        if let Some(conn) = self.main.conn_mut(id) {
            conn.info = Some(info);
            self.drive(shared, now, Slot::Main, Event::Connected, Cause::Plain);
        }
    }

    /// The peer connected.
    pub(crate) fn accept(&mut self, shared: &mut Shared, now: Instant, id: ConnId, info: ConnInfo) {
        if let Some(refusal) = self.refusal(shared, now) {
            let mut farewell = Vec::new();
            refusal.encode(&mut farewell);
            self.history.sent.notification += 1;
            shared
                .actions
                .push_back(Action::Close { conn: id, farewell });
            return;
        }
        shared.conns.insert(id, self.config.name.clone());
        let conn = Connection::new(id, Some(info));
        let slot = if matches!(self.main.state, State::Idle | State::Active) {
            self.main.conn = Some(conn);
            Slot::Main
        } else {
            // A third one: the peer gave the second up.
            self.drive(shared, now, Slot::Other, Event::CollisionDump, Cause::Plain);
            self.other = Some(Session {
                state: State::Active,
                conn: Some(conn),
                ..Session::default()
            });
            Slot::Other
        };
        self.drive(shared, now, slot, Event::Accepted, Cause::Plain);
    }

    /// Tells what was wrong on the connection beside the main one, but not of each of many: whoever can use
    /// the peer's address may open them without end. That one of two connections has to go is no fault.
    pub(crate) fn tell_second_connection(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        sent: event::Notification,
    ) {
        if sent.code == ErrorCode::CEASE.code {
            return;
        }
        if let Some(suppressed) = self.second_connection_limit.pass(now) {
            shared.tell(event::Event::SecondConnection {
                peer: self.config.name.clone(),
                sent,
                suppressed,
            });
        }
    }

    /// Why a connection of the peer is not wanted now.
    fn refusal(&mut self, shared: &Shared, now: Instant) -> Option<Notification> {
        if self.disabled || shared.stopped {
            let message = self.disabled_message.as_deref().unwrap_or("");
            return Some(Notification::with_message(
                ErrorCode::CEASE_ADMIN_SHUTDOWN,
                message,
            ));
        }
        if self.refused_until.is_some() {
            return Some(Notification::new(ErrorCode::CEASE_REJECTED));
        }
        if self.established() && !self.may_be_replaced(now) {
            // If the old one is dead, this makes the peer's host say so.
            self.main.send_keepalive(&mut self.history.sent);
            return Some(Notification::new(ErrorCode::CEASE_COLLISION));
        }
        None
    }

    /// A peer that restarts gracefully may come with a new connection before the old one is known to be
    /// dead (RFC 4724 §4.2).
    fn may_be_replaced(&self, now: Instant) -> bool {
        let old = self
            .main
            .established
            .is_some_and(|since| now.since(since) >= YOUNG);
        old && self.main.negotiated().is_some_and(|n| n.restart.is_some())
    }

    /// A connection could not be opened, was closed, or broke. The shell has no use for it any more.
    pub(crate) fn disconnected(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConnId,
        why: &str,
    ) {
        let Some(slot) = self.slot(id) else { return };
        let opening = self
            .session_mut(slot)
            .is_some_and(|s| s.state == State::Connect);
        let reason = if opening {
            DownReason::ConnectFailed(why.to_string())
        } else {
            DownReason::Closed(why.to_string())
        };
        self.drive(
            shared,
            now,
            slot,
            Event::ConnectionFails,
            Cause::Down(reason),
        );
    }

    /// With `negotiated` of the connection in `slot` known: ends the one of two connections that goes.
    /// True: the one in `slot` stays; it may be in the other slot then.
    pub(crate) fn resolve_collision(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        slot: Slot,
        negotiated: &Negotiated,
    ) -> bool {
        let rival = match slot {
            Slot::Main => self.other.as_ref(),
            Slot::Other => Some(&self.main),
        };
        let Some(rival) = rival.filter(|r| r.state.connected()) else {
            return true;
        };
        let rival_slot = if slot == Slot::Main {
            Slot::Other
        } else {
            Slot::Main
        };
        if rival.state == State::Established {
            let reason = Cause::Down(DownReason::Replaced);
            self.drive(shared, now, rival_slot, Event::ConnectionFails, reason);
            return true;
        }
        let rival_opener = rival.conn.as_ref().map(|c| opener(c.id));
        let mine = self
            .session_mut(slot)
            .and_then(|s| s.conn.as_ref())
            .map(|c| opener(c.id));
        let us = Rank {
            router_id: shared.config.router_id,
            asn: negotiated.our_as,
        };
        let peer = Rank {
            router_id: negotiated.router_id,
            asn: negotiated.asn,
        };
        // Of two by the same side, the one that got further just now is the living one.
        let stays = mine == rival_opener || mine == Some(survivor(us, peer));
        let loser = if stays { rival_slot } else { slot };
        self.drive(shared, now, loser, Event::CollisionDump, Cause::Plain);
        stays
    }

    /// Where the peer can be reached now.
    pub(crate) fn set_endpoint(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        endpoint: Option<Endpoint>,
    ) {
        let flapped = core::mem::take(&mut self.link_lost);
        if self.endpoint == endpoint && !(flapped && self.main.state == State::Idle) {
            return;
        }
        let old = core::mem::replace(&mut self.endpoint, endpoint);
        let far = matches!(self.config.reach, Reach::Multihop(_));
        let goes_on = match (&old, &endpoint) {
            (Some(old), Some(new)) => old.remote == new.remote && old.ifindex == new.ifindex,
            _ => far,
        };
        if self.established() && goes_on {
            return;
        }
        if self.main.state != State::Idle || self.other.is_some() {
            self.stop(shared, now, None, DownReason::Unreachable);
        }
        if endpoint.is_none() && !far {
            // Also what is kept of a session that ended before: nothing leads there.
            self.forget_routes(shared);
        }
        self.start_again(shared, now);
    }

    /// Begins afresh, without waiting for what was.
    pub(crate) fn restart_now(&mut self, shared: &mut Shared, now: Instant) {
        self.backoff.forget();
        self.refused_until = None;
        if self.main.state == State::Idle {
            self.main.timers.clear_all();
            self.start(shared, now);
        }
    }

    /// A link is down.
    pub(crate) fn link_down(&mut self, shared: &mut Shared, now: Instant, ifindex: u32) {
        if matches!(self.config.reach, Reach::Multihop(_)) || ifindex == 0 {
            return;
        }
        let by_conn = self
            .main
            .conn
            .as_ref()
            .and_then(|c| c.info)
            .map(|i| i.ifindex);
        let by_endpoint = self.endpoint.map(|e| interface(e.remote, e.ifindex));
        if by_conn != Some(ifindex) && by_endpoint != Some(ifindex) {
            return;
        }
        self.stop(shared, now, None, DownReason::Unreachable);
        self.forget_routes(shared);
        self.link_lost = true;
        if self.endpoint.is_some() {
            // The link may be back before anybody says that the endpoint is gone.
            self.backoff.fail(now, None);
            let wait = shared.jitter.shorten(self.backoff.idle_hold());
            let at = (now + wait).max(self.refused_until.unwrap_or_default());
            self.main.timers.set(Timer::IdleHold, at);
        }
    }
}

fn opener(id: ConnId) -> Opener {
    match id {
        ConnId::Outgoing(_) => Opener::Us,
        ConnId::Incoming(_) => Opener::Peer,
    }
}

/// The interface, of the scope or beside it; 0: unknown.
fn interface(addr: SocketAddr, ifindex: u32) -> u32 {
    match addr {
        SocketAddr::V6(addr) if ifindex == 0 => addr.scope_id(),
        _ => ifindex,
    }
}

fn is_link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(a) if a.is_unicast_link_local())
}
