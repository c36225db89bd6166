//! What the API applied, and what of it follows the file.

use tapway_bgp::config::{GracefulRestart, PeerConfig};

/// A peer that the API applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiPeer {
    pub(super) config: PeerConfig,
    /// It says nothing of graceful restart: what `[router]` says holds.
    pub(super) follows_restart: bool,
}

impl ApiPeer {
    /// With this default of `graceful_restart`, where the peer has none of its own.
    pub(super) fn with_default(&self, restart: Option<GracefulRestart>) -> ApiPeer {
        let mut peer = self.clone();
        if peer.follows_restart {
            peer.config.graceful_restart = restart;
        }
        peer
    }
}
