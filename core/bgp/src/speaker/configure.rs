//! Settings that change while sessions are up: what must be reset, and what need not.

use alloc::string::String;
use alloc::vec::Vec;

use tapway_bgp_wire::{ErrorCode, Notification, RefreshSubtype, RouteRefresh};
use tapway_model::{Family, Instant, PeerName};

use super::Speaker;
use super::answer::{PeerChange, ResetCause, SoftOutcome, SoftReset};
use super::event::DownReason;
use super::peer::Peer;
use super::shared::Shared;
use crate::config::{PeerAddress, PeerAsn, PeerConfig, Reach, SpeakerConfig};

/// The settings with which a session cannot go on once they are others: they are in the OPEN, or in the socket. By the names that they
/// have in a configuration.
fn must_reset(old: &PeerConfig, new: &PeerConfig) -> impl Iterator<Item = &'static str> + use<> {
    let local_asn = |peer: &PeerConfig| peer.as_path.local.map(|l| l.asn);
    let far = |peer: &PeerConfig| matches!(peer.reach, Reach::Multihop(_));
    let rows = [
        (place(new), old.address != new.address),
        ("port", old.port != new.port),
        ("local_address", old.local_address != new.local_address),
        ("asn", old.asn != new.asn),
        ("families", old.families != new.families),
        ("password", old.password != new.password),
        ("hold_time", old.hold_time != new.hold_time),
        ("keepalive", old.keepalive != new.keepalive),
        match far(old) || far(new) {
            true => ("multihop", old.reach != new.reach),
            false => ("ttl_security", old.reach != new.reach),
        },
        (
            "add_paths",
            old.add_paths.direction() != new.add_paths.direction(),
        ),
        (
            "graceful_restart",
            old.graceful_restart != new.graceful_restart,
        ),
        ("role", old.role != new.role),
        ("local_asn", local_asn(old) != local_asn(new)),
    ];
    named(rows)
}

const fn place(peer: &PeerConfig) -> &'static str {
    match peer.address {
        PeerAddress::Ip { .. } => "address",
        PeerAddress::Interface(_) => "interface",
        PeerAddress::Range(_) => "range",
    }
}

fn named<const N: usize>(
    rows: [(&'static str, bool); N],
) -> impl Iterator<Item = &'static str> + use<N> {
    rows.into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
}

impl Speaker {
    /// Changes our own settings. Sessions are reset whose OPENs would be others; routes are decided about, judged and sent again as
    /// far as that matters.
    pub fn set_config(&mut self, now: Instant, config: SpeakerConfig) {
        if self.shared.config == config {
            return;
        }
        let old = self.shared.config.clone();
        let cluster = old.cluster() != config.cluster();
        let asn = old.asn != config.asn;
        self.shared.set_config(config.clone());
        if cluster || asn {
            let Shared { groups, rib, .. } = &mut self.shared;
            groups.export_changed(rib, |key| asn || !key.relation.is_external());
        }
        self.each(now, |peer, shared| {
            if cluster || asn {
                peer.judge_again(shared);
            }
            let mut keys = peer.must_reset_for(&peer.config, &old, &config);
            if keys.next().is_some() {
                let notification = Notification::new(ErrorCode::CEASE_CONFIG_CHANGE);
                peer.stop(shared, now, Some(notification), DownReason::Administrative);
                peer.restart_now(shared, now);
            }
        });
    }

    /// Why the session of a peer would end if its settings became these and ours those. Empty: it would go on, or there is none.
    pub fn resets(
        &self,
        peer: &PeerName,
        new: &PeerConfig,
        own: &SpeakerConfig,
    ) -> Vec<ResetCause> {
        let peer = self.peers.get(peer);
        peer.map_or(Vec::new(), |peer| peer.resets(&self.shared, new, own))
    }
}

impl Peer {
    /// The same for our own settings, with these of the peer. Our AS may change where the peer takes us for another one, as long as
    /// it stays what it is to us.
    fn must_reset_for(
        &self,
        peer: &PeerConfig,
        old: &SpeakerConfig,
        new: &SpeakerConfig,
    ) -> impl Iterator<Item = &'static str> + use<> {
        let seen = |us: u32| (peer.our_as(us), peer.is_internal(us));
        let theirs = self.main.negotiated().map(|n| n.asn);
        let became_ours = peer.asn == PeerAsn::External && theirs == Some(new.asn);
        named([
            ("router_id", old.router_id != new.router_id),
            (
                "asn",
                old.asn != new.asn && (seen(old.asn) != seen(new.asn) || became_ours),
            ),
        ])
    }

    /// Why the session would end if the settings became these. Empty: it would go on, or there is none.
    fn resets(&self, shared: &Shared, new: &PeerConfig, own: &SpeakerConfig) -> Vec<ResetCause> {
        if !self.state().connected() {
            return Vec::new();
        }
        let peer = must_reset(&self.config, new).map(ResetCause::Peer);
        let own = self.must_reset_for(new, &shared.config, own);
        let limit = new.prefix_limit.max;
        let over = Family::ALL.into_iter().find_map(|family| {
            let routes = self.counted(&shared.rib, family);
            (routes > limit as usize).then_some(ResetCause::OverLimit {
                family,
                routes,
                limit,
            })
        });
        let over = over.filter(|_| self.established());
        peer.chain(own.map(ResetCause::Router))
            .chain(over)
            .collect()
    }

    /// Takes over new settings.
    pub(crate) fn set_config(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        new: PeerConfig,
    ) -> PeerChange {
        if self.config == new {
            return PeerChange::Unchanged;
        }
        let reset = must_reset(&self.config, &new).next().is_some();
        let was_up = self.state().connected();
        if reset {
            let notification = Notification::new(ErrorCode::CEASE_CONFIG_CHANGE);
            self.stop(shared, now, Some(notification), DownReason::Administrative);
        }
        let old = core::mem::replace(&mut self.config, new);
        let new = &self.config;
        if old.install != new.install {
            shared.follow_again();
        }
        let restart = old.graceful_restart != new.graceful_restart;
        let as_path = old.as_path != new.as_path;
        if as_path && self.established() {
            self.sender.local = new.as_path.local;
        }
        let (import, export) = (
            old.import != new.import || as_path,
            old.export != new.export
                || old.next_hop != new.next_hop
                || old.add_paths != new.add_paths
                || old.client != new.client
                || as_path,
        );
        if old.address != new.address {
            // Routes of another router are not this one's, and where it is must be told anew.
            self.endpoint = None;
            self.forget_routes(shared);
        }
        if restart {
            self.limit_kept(shared, now);
        }
        if import {
            self.judge_again(shared);
        }
        if old.client != self.config.client {
            self.relate(shared);
        }
        if export {
            self.regroup(shared);
        }
        if old.disabled != self.config.disabled {
            if self.config.disabled {
                self.disable(shared, now, None);
            } else {
                self.enable(shared, now);
            }
        }
        let over = |f: &Family| self.is_over_limit(&shared.rib, *f);
        if self.established()
            && let Some(family) = Family::ALL.into_iter().find(over)
        {
            self.over_limit(shared, now, family);
            return PeerChange::Reset;
        }
        if old.prefix_limit != self.config.prefix_limit {
            // By the new one, not by what the old one led to.
            for family in Family::ALL {
                self.inbound[family].near_limit = false;
            }
            self.watch_limits(shared, now);
        }
        if old.passive != self.config.passive && !self.main.state.connected() {
            // Waiting and connecting are different states.
            self.stop(shared, now, None, DownReason::Administrative);
        }
        self.restart_now(shared, now);
        if reset && was_up {
            PeerChange::Reset
        } else {
            PeerChange::Applied
        }
    }

    /// Takes the session down until it is enabled again.
    pub(crate) fn disable(&mut self, shared: &mut Shared, now: Instant, message: Option<String>) {
        self.shut_down(shared, now, message.as_deref());
        self.disabled = true;
        self.disabled_message = message;
    }

    /// Lets the session come up again.
    pub(crate) fn enable(&mut self, shared: &mut Shared, now: Instant) {
        if core::mem::take(&mut self.disabled) {
            self.disabled_message = None;
            self.restart_now(shared, now);
        }
    }

    /// Ends the session for good: the peer is told that it is on purpose (RFC 9003, RFC 8538 §3).
    pub(crate) fn shut_down(&mut self, shared: &mut Shared, now: Instant, message: Option<&str>) {
        let notification =
            Notification::with_message(ErrorCode::CEASE_ADMIN_SHUTDOWN, message.unwrap_or(""));
        let notification = self.hard(notification);
        self.stop(shared, now, Some(notification), DownReason::Administrative);
        self.forget_routes(shared);
    }

    /// Closes the session; it comes back by itself.
    pub(crate) fn reset_hard(&mut self, shared: &mut Shared, now: Instant, message: Option<&str>) {
        let notification =
            Notification::with_message(ErrorCode::CEASE_ADMIN_RESET, message.unwrap_or(""));
        self.stop(shared, now, Some(notification), DownReason::Administrative);
        self.restart_now(shared, now);
    }

    /// Sends everything again, asks the peer to do so (RFC 2918), or both.
    pub(crate) fn reset_soft(&mut self, way: SoftReset) -> SoftOutcome {
        if !self.established() {
            return SoftOutcome::NoSession;
        }
        let asks = matches!(way, SoftReset::In | SoftReset::Both);
        let sends = matches!(way, SoftReset::Out | SoftReset::Both);
        let refresh = self.main.negotiated().is_some_and(|n| n.refresh);
        for family in Family::ALL {
            if !self.speaks(family) {
                continue;
            }
            self.outbound[family].asked |= sends;
            if asks && refresh {
                let message = RouteRefresh {
                    family: family.into(),
                    subtype: RefreshSubtype::Request,
                };
                self.main.send_refresh(message, &mut self.history.sent);
            }
        }
        match asks && !refresh {
            true => SoftOutcome::NoRefresh,
            false => SoftOutcome::Done,
        }
    }
}
