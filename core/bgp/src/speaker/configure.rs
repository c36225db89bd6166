//! Settings that change while sessions are up: what must be reset, and what need not.

use alloc::string::String;

use tapway_bgp_wire::{ErrorCode, Notification, RefreshSubtype, RouteRefresh};
use tapway_model::{Family, Instant};

use super::answer::PeerChange;
use super::event::DownReason;
use super::peer::Peer;
use super::shared::Shared;
use crate::config::PeerConfig;

/// Whether the session cannot go on with the new settings: they are in the OPEN, or in the socket.
fn must_reset(old: &PeerConfig, new: &PeerConfig) -> bool {
    old.address != new.address
        || old.port != new.port
        || old.local_address != new.local_address
        || old.asn != new.asn
        || old.families != new.families
        || old.password != new.password
        || old.hold_time != new.hold_time
        || old.keepalive != new.keepalive
        || old.reach != new.reach
        || old.add_paths.direction() != new.add_paths.direction()
        || old.graceful_restart != new.graceful_restart
        || old.role != new.role
        || old.as_path.local.map(|l| l.asn) != new.as_path.local.map(|l| l.asn)
}

impl Peer {
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
        let reset = must_reset(&self.config, &new);
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

    /// Sends everything again and asks the peer to do so. False: the session is not up.
    pub(crate) fn reset_soft(&mut self) -> bool {
        if !self.established() {
            return false;
        }
        let refresh = self.main.negotiated().is_some_and(|n| n.refresh);
        for family in Family::ALL {
            if !self.speaks(family) {
                continue;
            }
            self.outbound[family].asked = true;
            if refresh {
                let message = RouteRefresh {
                    family: family.into(),
                    subtype: RefreshSubtype::Request,
                };
                self.main.send_refresh(message, &mut self.history.sent);
            }
        }
        true
    }
}
