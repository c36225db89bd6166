//! Bytes from a peer: messages, and what they change.
//!
//! RFC 4271 §6, RFC 7606, RFC 4724 §4, RFC 7313 §4. Which routes count is decided in `judge.rs`.

use alloc::format;
use alloc::string::String;

use tapway_bgp_wire as wire;
use tapway_bgp_wire::{DecodeContext, Frame, MAX_LEN, MessageType, RefreshSubtype, Update};
use tapway_model::{Family, Instant};
use tapway_rib::{MAX_PATHS, Rib};

use super::action::ConnId;
use super::event::{DownReason, Event};
use super::judge::Judge;
use super::monitor::Farewell;
use super::peer::{Cause, Peer, Slot, describe};
use super::shared::Shared;
use crate::session::fsm::{self, State};
use crate::session::open::negotiate;

/// How many times `prefix_limit` stale routes there may be: what a restart left and a refresh began to replace, and what is
/// about to be swept.
const STALE_LIMITS: usize = 3;

impl Peer {
    /// Takes what came over a connection.
    pub(crate) fn data(&mut self, shared: &mut Shared, now: Instant, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self
            .slot(id)
            .and_then(|s| self.session_mut(s))
            .and_then(|s| s.conn.as_mut())
        else {
            return;
        };
        let mut buffer = core::mem::take(&mut conn.partial);
        self.history.received.bytes += bytes.len() as u64;
        let mut rest = if buffer.is_empty() {
            bytes
        } else {
            buffer.extend_from_slice(bytes);
            &buffer
        };
        // The connection may end, or change its slot, with any message.
        while let Some(slot) = self.slot(id) {
            let max = self
                .session_mut(slot)
                .and_then(|s| s.negotiated())
                .map_or(MAX_LEN, |n| n.decode.max_len());
            match Frame::next(rest, max) {
                Ok(Some((len, frame))) => {
                    self.message(shared, now, slot, &frame);
                    rest = rest.get(len..).unwrap_or_default();
                }
                Ok(None) => {
                    if let Some(conn) = self.session_mut(slot).and_then(|s| s.conn.as_mut()) {
                        conn.partial = rest.to_vec();
                    }
                    return;
                }
                Err(error) => {
                    self.drive(
                        shared,
                        now,
                        slot,
                        fsm::Event::HeaderError,
                        Cause::Fault(error),
                    );
                    return;
                }
            }
        }
    }

    fn message(&mut self, shared: &mut Shared, now: Instant, slot: Slot, frame: &Frame<'_>) {
        let received = &mut self.history.received;
        match frame.kind() {
            MessageType::Open => received.open += 1,
            MessageType::Update => received.update += 1,
            MessageType::Notification => received.notification += 1,
            MessageType::Keepalive => received.keepalive += 1,
            MessageType::RouteRefresh => received.refresh += 1,
        }
        let Some(session) = self.session_mut(slot) else {
            return;
        };
        let state = session.state;
        let cx = session
            .negotiated()
            .map_or_else(DecodeContext::default, |n| n.decode);
        let (mut update, mut refresh) = (None, None);
        let (event, cause) = match (frame.kind(), state) {
            (MessageType::Open, State::OpenSent) => {
                if let Some(conn) = &mut session.conn {
                    conn.peer_open = frame.bytes().to_vec();
                }
                return self.open(shared, now, slot, frame.body());
            }
            (MessageType::Open, _) => (fsm::Event::Open, Cause::Plain),
            (MessageType::Keepalive, _) => (fsm::Event::Keepalive, Cause::Plain),
            (MessageType::Notification, _) => {
                // One that is broken is still the end (RFC 4271 §6.4).
                let notification =
                    wire::Notification::decode(frame.body()).unwrap_or_else(Into::into);
                let reason = DownReason::Received(describe(&notification));
                if slot == Slot::Main {
                    self.watch_received(shared, frame, None);
                    self.watch_farewell(|| Farewell::Received(frame.bytes().to_vec()));
                }
                (fsm::Event::Notification, Cause::Down(reason))
            }
            (MessageType::Update, State::Established) => match Update::decode(frame.body(), &cx) {
                Ok(content) => {
                    update = Some(content);
                    (fsm::Event::Update, Cause::Plain)
                }
                Err(error) => (fsm::Event::UpdateError, Cause::Fault(error)),
            },
            (MessageType::Update, _) => (fsm::Event::Update, Cause::Plain),
            (MessageType::RouteRefresh, State::Established) => {
                match wire::RouteRefresh::decode(frame.body()) {
                    Ok(content) => {
                        refresh = Some(content);
                        (fsm::Event::Refresh, Cause::Plain)
                    }
                    Err(error) => (fsm::Event::UpdateError, Cause::Fault(error)),
                }
            }
            (MessageType::RouteRefresh, _) => (fsm::Event::Refresh, Cause::Plain),
        };
        if self.drive(shared, now, slot, event, cause).deliver {
            self.watch_received(shared, frame, update.as_ref());
            if let Some(update) = update {
                self.update(shared, now, &update);
            }
            if let Some(refresh) = refresh {
                self.route_refresh(shared, now, &refresh);
            }
        }
    }

    fn open(&mut self, shared: &mut Shared, now: Instant, slot: Slot, body: &[u8]) {
        let Some(conn) = self.session_mut(slot).and_then(|s| s.conn.as_ref()) else {
            return;
        };
        let id = conn.id;
        let Some(ours) = conn.our_open.clone() else {
            return;
        };
        let result = match wire::Open::decode(body) {
            Ok(theirs) => negotiate(&ours, &theirs, &self.config, shared.config.asn),
            Err(error) => Err(error),
        };
        let negotiated = match result {
            Ok(negotiated) => negotiated,
            Err(error) => {
                self.drive(
                    shared,
                    now,
                    slot,
                    fsm::Event::OpenError,
                    Cause::Fault(error),
                );
                return;
            }
        };
        if !self.resolve_collision(shared, now, slot, &negotiated) {
            return;
        }
        let Some(slot) = self.slot(id) else { return };
        if let Some(conn) = self.session_mut(slot).and_then(|s| s.conn.as_mut()) {
            conn.negotiated = Some(negotiated);
        }
        self.drive(shared, now, slot, fsm::Event::Open, Cause::Plain);
    }

    fn update(&mut self, shared: &mut Shared, now: Instant, update: &Update<'_>) {
        self.tell_faults(shared, now, update);
        let Some(source) = self.source else { return };
        for nlri in update.unreach() {
            for entry in nlri {
                self.history.received.withdrawn += 1;
                shared.rib.withdraw(source, entry);
            }
        }
        let ids = self.main.negotiated().map(|n| n.decode.add_path);
        let (mut over, mut crowded) = (None, None);
        let Shared {
            rib,
            config,
            policies,
            vrps,
            ..
        } = shared;
        let judge = Judge::new(config, policies, vrps, &self.config, self.sender);
        for reach in update.reach() {
            let family = reach.nlri.family();
            let ids = ids.is_some_and(|ids| ids[family]);
            let taken = judge.take(rib, source, update.attributes(), reach, ids);
            self.history.received.announced += taken.announced;
            crowded = taken.crowded.or(crowded);
            if self.is_over_limit(rib, family) || self.hoards(rib, family) {
                over = Some(family);
            }
        }
        if let Some(prefix) = crowded {
            self.tell_bad_update(shared, now, || {
                format!("more than {MAX_PATHS} paths of {prefix}; those beyond are not kept")
            });
        }
        if let Some(family) = over {
            return self.over_limit(shared, now, family);
        }
        self.watch_limits(shared, now);
        if let Some(family) = update.end_of_rib() {
            self.end_of_rib(shared, family);
        }
    }

    /// What of the peer's routes counts for its limit: not those of an earlier session, or of before a refresh.
    pub(crate) fn counted(&self, rib: &Rib, family: Family) -> usize {
        let counts = self.counts(rib, family);
        counts.routes - counts.stale
    }

    /// Whether the peer has sent more than it may.
    pub(crate) fn is_over_limit(&self, rib: &Rib, family: Family) -> bool {
        self.counted(rib, family) > self.config.prefix_limit.max as usize
    }

    /// Whether more stale routes are kept than the peer may have sent: refreshes that begin and never end would otherwise let
    /// it send without end.
    fn hoards(&self, rib: &Rib, family: Family) -> bool {
        let most = (self.config.prefix_limit.max as usize).saturating_mul(STALE_LIMITS);
        self.counts(rib, family).stale > most
    }

    fn tell_faults(&mut self, shared: &mut Shared, now: Instant, update: &Update<'_>) {
        let Some(fault) = update.faults().first() else {
            return;
        };
        self.history.bad_updates += 1;
        self.history.treated_as_withdraw += u64::from(update.treated_as_withdraw());
        self.tell_bad_update(shared, now, || {
            let what = fault
                .attribute
                .map(|a| format!("{a}: "))
                .unwrap_or_default();
            let done = match fault.action {
                wire::FaultAction::AttributeDiscard => "the attribute is ignored",
                wire::FaultAction::TreatAsWithdraw => "its routes are withdrawn",
            };
            format!("{what}{}; {done} (RFC 7606)", fault.reason)
        });
    }

    /// Tells what is wrong with what the peer sent, but not of each message of many.
    fn tell_bad_update(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        text: impl FnOnce() -> String,
    ) {
        if let Some(suppressed) = self.bad_update_limit.pass(now) {
            shared.tell(Event::BadUpdate {
                peer: self.config.name.clone(),
                text: text(),
                suppressed,
            });
        }
    }

    fn end_of_rib(&mut self, shared: &mut Shared, family: Family) {
        let inbound = &mut self.inbound[family];
        if !inbound.end_of_rib {
            inbound.end_of_rib = true;
            shared.tell(Event::EndOfRibReceived {
                peer: self.config.name.clone(),
                family,
            });
            // Whoever waits for the first routes may go on.
            shared.first_routes[family] |= self.config.install.is_some();
        }
        if !self.inbound[family].refreshing {
            self.drop_stale(shared, family);
        }
    }

    fn route_refresh(&mut self, shared: &mut Shared, now: Instant, refresh: &wire::RouteRefresh) {
        // One for a family that is not spoken is ignored (RFC 2918 §4).
        let Some(family) = refresh.family.family().filter(|f| self.speaks(*f)) else {
            return;
        };
        match refresh.subtype {
            RefreshSubtype::Request => {
                if !core::mem::replace(&mut self.outbound[family].asked, true) {
                    shared.tell(Event::RefreshRequested {
                        peer: self.config.name.clone(),
                        family,
                    });
                }
            }
            RefreshSubtype::Begin => {
                self.begin_refresh(shared, now, family);
            }
            RefreshSubtype::End => {
                if core::mem::take(&mut self.inbound[family].refreshing) {
                    self.drop_stale(shared, family);
                    self.watch_limits(shared, now);
                }
            }
            RefreshSubtype::Unknown(_) => {}
        }
    }
}
