//! What changes sessions at once: another configuration, and resets by the operator.

use tapway_api::config::Checked;
use tapway_api::peer::{Reset as ResetBody, ResetKind};
use tapway_api::{ApiError, ErrorCode};
use tapway_bgp::SoftReset;
use tapway_model::PeerName;
use tapway_node::Reset;

use crate::daemon::{Daemon, now};

impl Daemon {
    /// Reads the configuration again and brings what differs into effect.
    pub(crate) fn reload(&mut self) -> Checked {
        let (checked, change) = self.settings.reload(&self.node);
        if let Some(change) = change {
            let now = now();
            let router_id = change.router.speaker.router_id;
            if router_id != self.node.config().speaker.router_id {
                self.store.remember_router_id(router_id);
            }
            self.node.set_router(now, change.router);
            for name in &change.removed_peers {
                self.node.remove_peer(now, name);
            }
            self.rtr.set(change.caches);
            self.set_monitors(change.collectors, change.mrt);
            self.node.set_policies(now, change.policies);
            self.node.set_networks(now, change.networks);
            for peer in change.peers {
                self.node.set_peer(now, peer);
            }
            for name in &change.removed_policies {
                self.node.remove_policy(now, name);
            }
            self.drain();
        }
        checked
    }

    /// Resets the session of a peer, or those of all that a range made; what was done, in words.
    pub(crate) fn reset_peer(
        &mut self,
        name: &PeerName,
        body: ResetBody,
    ) -> Result<String, ApiError> {
        let how = match body.kind {
            ResetKind::Soft => Reset::Soft(SoftReset::Both),
            ResetKind::SoftIn => Reset::Soft(SoftReset::In),
            ResetKind::SoftOut => Reset::Soft(SoftReset::Out),
            ResetKind::Hard => Reset::Hard(body.message),
        };
        let is_range = self.node.members_of(name) > 0;
        let reset = self.node.reset_peer(now(), name, how);
        let reset = reset.ok_or_else(|| ApiError::not_found("peer", name))?;
        let no_refresh = names(&reset.no_refresh);
        if reset.done.is_empty() && (reset.no_refresh.is_empty() || body.kind == ResetKind::SoftIn)
        {
            return Err(match reset.no_refresh.is_empty() {
                true => ApiError::new(ErrorCode::Conflict, format!("peer {name} has no session"))
                    .with_remedy(format!("`tapway peer show {name}` says why")),
                false => ApiError::new(
                    ErrorCode::Conflict,
                    format!("{no_refresh} cannot be asked for routes: route refresh (RFC 2918) was not offered"),
                )
                .with_remedy(format!("`tapway peer reset {name} --hard` ends the session and makes it again")),
            });
        }
        let mut text = match is_range {
            true => format!("peers {} are reset", names(&reset.done)),
            false => format!("peer {name} is reset"),
        };
        if !reset.no_refresh.is_empty() {
            text = format!(
                "{text}; {no_refresh} cannot be asked for routes, as route refresh (RFC 2918) was not offered: all of ours was sent again"
            );
        }
        if !reset.no_session.is_empty() {
            text = format!("{text}; {} without a session", names(&reset.no_session));
        }
        Ok(text)
    }
}

fn names(all: &[PeerName]) -> String {
    let all: Vec<&str> = all.iter().map(PeerName::as_str).collect();
    all.join(", ")
}
