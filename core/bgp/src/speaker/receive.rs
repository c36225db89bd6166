//! Bytes from a peer: messages, and what they change.
//!
//! RFC 4271 §6 and 9.1, RFC 7606, RFC 4724 §4, RFC 7313 §4. Nothing received is ever sent on.

use alloc::boxed::Box;
use alloc::format;
use core::net::IpAddr;

use tapway_bgp_wire as wire;
use tapway_bgp_wire::{
    Community, DecodeContext, Frame, MAX_LEN, MessageType, NextHop, NlriEntry, RefreshSubtype,
    Update,
};
use tapway_model::{Family, Instant, Prefix};

use super::action::{ConnId, LocalAddresses};
use super::event::{DownReason, Event};
use super::peer::{Cause, Peer, Slot, describe};
use super::shared::Shared;
use crate::config::PeerConfig;
use crate::policy::{
    Context, Modifications, Named, NextHopChange, RouteAttributes, RouteView, Rpki, Way,
};
use crate::rib::adj_in::{Accepted, Path};
use crate::rib::next_hop;
use crate::session::fsm::{self, State};
use crate::session::open::negotiate;
use crate::speaker::answer::Refusal;

/// LOCAL_PREF of routes that have none (RFC 4271 §5.1.5 leaves the value to us; everybody takes this).
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

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
        match (frame.kind(), state) {
            (MessageType::Open, State::OpenSent) => self.open(shared, now, slot, frame.body()),
            (MessageType::Open, _) => {
                self.drive(shared, now, slot, fsm::Event::Open, Cause::Plain);
            }
            (MessageType::Keepalive, _) => {
                self.drive(shared, now, slot, fsm::Event::Keepalive, Cause::Plain);
            }
            (MessageType::Notification, _) => {
                // One that is broken is still the end (RFC 4271 §6.4).
                let notification =
                    wire::Notification::decode(frame.body()).unwrap_or_else(Into::into);
                let reason = DownReason::Received(describe(&notification));
                self.drive(
                    shared,
                    now,
                    slot,
                    fsm::Event::Notification,
                    Cause::Down(reason),
                );
            }
            (MessageType::Update, State::Established) => match Update::decode(frame.body(), &cx) {
                Ok(update) => {
                    if self
                        .drive(shared, now, slot, fsm::Event::Update, Cause::Plain)
                        .deliver
                    {
                        self.update(shared, now, &update);
                    }
                }
                Err(error) => {
                    self.drive(
                        shared,
                        now,
                        slot,
                        fsm::Event::UpdateError,
                        Cause::Fault(error),
                    );
                }
            },
            (MessageType::Update, _) => {
                self.drive(shared, now, slot, fsm::Event::Update, Cause::Plain);
            }
            (MessageType::RouteRefresh, State::Established) => {
                match wire::RouteRefresh::decode(frame.body()) {
                    Ok(refresh) => {
                        if self
                            .drive(shared, now, slot, fsm::Event::Refresh, Cause::Plain)
                            .deliver
                        {
                            self.route_refresh(shared, now, &refresh);
                        }
                    }
                    Err(error) => {
                        self.drive(
                            shared,
                            now,
                            slot,
                            fsm::Event::UpdateError,
                            Cause::Fault(error),
                        );
                    }
                }
            }
            (MessageType::RouteRefresh, _) => {
                self.drive(shared, now, slot, fsm::Event::Refresh, Cause::Plain);
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
            Ok(theirs) => negotiate(&ours, &theirs, &self.config),
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
        let judge = Judge::new(shared, &self.config, self.source);
        let installs = self.config.install.is_some();
        let mut changed = wire::PerFamily::<bool>::default();
        let mut over = None;
        for nlri in update.unreach() {
            let adj_in = &mut self.adj_in[nlri.family()];
            for key in nlri {
                self.history.received.withdrawn += 1;
                changed[nlri.family()] |= adj_in.remove(&key);
            }
        }
        for reach in update.reach() {
            let family = reach.nlri.family();
            let path = self.paths.intern(update.attributes(), reach.next_hop);
            let fault = judge.path(&path);
            let adj_in = &mut self.adj_in[family];
            for key in reach.nlri {
                self.history.received.announced += 1;
                let verdict = match &fault {
                    Some(refusal) => Err(refusal.clone()),
                    None => judge.policy(&key, &path),
                };
                changed[family] |= adj_in.insert(key, path.clone(), verdict);
            }
            if adj_in.len() - adj_in.stale_len() > self.config.prefix_limit as usize {
                over = Some(family);
            }
        }
        for family in Family::ALL {
            shared.installable_changed[family] |= changed[family] && installs;
        }
        if let Some(family) = over {
            return self.over_limit(shared, now, family);
        }
        if let Some(family) = update.end_of_rib() {
            self.end_of_rib(shared, family);
        }
    }

    fn tell_faults(&mut self, shared: &mut Shared, now: Instant, update: &Update<'_>) {
        let Some(fault) = update.faults().first() else {
            return;
        };
        self.history.bad_updates += 1;
        if let Some(suppressed) = self.bad_update_limit.pass(now) {
            let what = fault
                .attribute
                .map(|a| format!("{a}: "))
                .unwrap_or_default();
            let done = match fault.action {
                wire::FaultAction::AttributeDiscard => "the attribute is ignored",
                wire::FaultAction::TreatAsWithdraw => "its routes are withdrawn",
            };
            let text = format!("{what}{}; {done} (RFC 7606)", fault.reason);
            shared.tell(Event::BadUpdate {
                peer: self.config.name.clone(),
                text,
                suppressed,
            });
        }
    }

    fn end_of_rib(&mut self, shared: &mut Shared, family: Family) {
        let adj_in = &mut self.adj_in[family];
        if !adj_in.end_of_rib {
            adj_in.end_of_rib = true;
            shared.tell(Event::EndOfRibReceived {
                peer: self.config.name.clone(),
                family,
            });
            // Whoever waits for the first routes may go on.
            shared.installable_changed[family] |= self.config.install.is_some();
        }
        if !self.adj_in[family].refreshing {
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
                shared.tell(Event::RefreshRequested {
                    peer: self.config.name.clone(),
                    family,
                });
                self.serve_refresh(shared, family);
            }
            RefreshSubtype::Begin => {
                self.begin_refresh(now, family);
            }
            RefreshSubtype::End => {
                if core::mem::take(&mut self.adj_in[family].refreshing) {
                    self.drop_stale(shared, family);
                }
            }
            RefreshSubtype::Unknown(_) => {}
        }
    }

    /// Judges all received routes again: the import policy, or our addresses, changed.
    pub(crate) fn judge_again(&mut self, shared: &mut Shared) {
        self.judge_where(shared, |_| true);
    }

    /// Judges those again whose prefixes are meant.
    pub(crate) fn judge_where(&mut self, shared: &mut Shared, meant: impl Fn(&Prefix) -> bool) {
        for family in Family::ALL {
            let judge = Judge::new(shared, &self.config, self.source);
            let changed = self.adj_in[family].judge(&meant, |key, path| match judge.path(path) {
                Some(refusal) => Err(refusal),
                None => judge.policy(key, path),
            });
            shared.installable_changed[family] |= changed && self.config.install.is_some();
        }
    }
}

/// What is known of the session that routes came by; it outlives the session as long as the routes do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source {
    /// The peer's AS.
    pub(crate) asn: u32,
    /// It is not ours.
    pub(crate) external: bool,
    /// The interface; 0: unknown.
    pub(crate) ifindex: u32,
    /// Our addresses.
    pub(crate) ours: LocalAddresses,
}

/// What decides whether a received route counts.
struct Judge<'a> {
    shared: &'a Shared,
    config: &'a PeerConfig,
    source: Source,
    import: Named<'a>,
}

impl<'a> Judge<'a> {
    fn new(shared: &'a Shared, config: &'a PeerConfig, source: Source) -> Judge<'a> {
        Judge {
            shared,
            config,
            source,
            import: shared.policies.named(&config.import),
        }
    }

    /// What speaks against all routes with this path.
    fn path(&self, path: &Path) -> Option<Refusal> {
        let us = &self.shared.config;
        let attributes = &path.attributes;
        if attributes.as_path.contains(us.asn) {
            return Some(Refusal::AsLoop);
        }
        if self.source.external && attributes.as_path.first() != Some(self.source.asn) {
            return Some(Refusal::FirstAs);
        }
        if attributes.originator_id == Some(us.router_id)
            || attributes.cluster_list.contains(&us.router_id)
        {
            return Some(Refusal::ReflectionLoop);
        }
        let addr = path.next_hop.addr();
        let nowhere = matches!(path.next_hop, NextHop::LinkLocal(_)) && self.source.ifindex == 0;
        if nowhere || !next_hop::usable(addr) {
            return Some(Refusal::BadNextHop);
        }
        self.is_ours(addr).then_some(Refusal::OwnNextHop)
    }

    fn is_ours(&self, addr: IpAddr) -> bool {
        let ours = &self.source.ours;
        match addr {
            IpAddr::V4(a) => ours.v4 == Some(a),
            IpAddr::V6(a) => [ours.v6_global, ours.v6_link_local].contains(&Some(a)),
        }
    }

    /// What the import policy says.
    fn policy(&self, key: &NlriEntry, path: &Path) -> Result<Accepted, Refusal> {
        let attributes = &path.attributes;
        let mut route = RouteView::received(
            key.prefix,
            &self.config.name,
            path.next_hop,
            RouteAttributes::Values(attributes),
        );
        route.rpki = Rpki::Table(&self.shared.vrps);
        let context = Context {
            way: Way::Import,
            peer: Some(&self.config.name),
            asn: self.shared.config.asn,
        };
        let outcome = self.import.evaluate(&route, &context);
        if !outcome.accepted {
            let (policy, rule) = outcome.rule().unzip();
            return Err(Refusal::Policy {
                policy: policy.unwrap_or(&self.config.import).clone(),
                rule,
            });
        }
        let mut changes = outcome.changes;
        if let Some(NextHopChange::Address(addr)) = changes.next_hop
            && self.is_ours(addr)
        {
            return Err(Refusal::OwnNextHop);
        }
        // Whoever is about to go is the last choice, unless a rule says otherwise (RFC 8326 §4.2).
        let leaves = self.source.external
            && attributes
                .communities
                .contains(&Community::GRACEFUL_SHUTDOWN);
        let given = if leaves {
            Some(0)
        } else {
            attributes.local_pref
        };
        let preference = changes.local_pref.take().or(given);
        Ok(Accepted {
            local_pref: preference.unwrap_or(DEFAULT_LOCAL_PREF),
            med: changes.med.take().or(attributes.med).unwrap_or(0),
            changes: (changes != Modifications::default()).then(|| Box::new(changes)),
        })
    }
}
