//! Which sessions another configuration would end, and why: what to tell before it takes effect.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tapway_bgp::config::{PeerAddress, PeerConfig};
use tapway_model::PeerName;

use super::Node;
use super::admission::{made_by, range_among};
use crate::config::RouterSettings;

/// A session that would not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Whose.
    pub peer: PeerName,
    /// It comes back by itself, with the new settings.
    pub comes_back: bool,
    /// Why, in words.
    pub why: String,
}

impl Node {
    /// The sessions that would end if these were the peers that are written down, and our own settings, in the order of their
    /// names. Nothing is said of peers without a session.
    pub fn foresee(
        &self,
        peers: &BTreeMap<PeerName, PeerConfig>,
        router: &RouterSettings,
    ) -> Vec<Foreseen> {
        let mut all: Vec<Foreseen> = self
            .peer_configs()
            .filter(|old| {
                let summary = self.speaker.peer(&old.name);
                summary.is_some_and(|peer| peer.state.connected())
            })
            .filter_map(|old| {
                let (comes_back, why) = match self.successor(old, peers) {
                    Err(why) => (false, why),
                    Ok(new) => (true, self.reset_for(&new, router)?),
                };
                Some(Foreseen {
                    peer: old.name.clone(),
                    comes_back,
                    why,
                })
            })
            .collect();
        all.sort_by(|a, b| a.peer.cmp(&b.peer));
        all
    }

    /// The settings that a peer would have.
    ///
    /// # Errors
    /// Why it would not have a session any more.
    fn successor(
        &self,
        old: &PeerConfig,
        peers: &BTreeMap<PeerName, PeerConfig>,
    ) -> Result<PeerConfig, String> {
        if let Some(range) = &old.range {
            return self.successor_in(old, range, peers);
        }
        let new = peers.get(&old.name).ok_or("the peer is gone")?;
        if matches!(new.address, PeerAddress::Range(_)) {
            return Err("it becomes a range, and whoever is there must connect to us".to_string());
        }
        if new.disabled && !old.disabled {
            return Err("the peer is disabled".to_string());
        }
        Ok(new.clone())
    }

    /// The same of a member of a range.
    fn successor_in(
        &self,
        old: &PeerConfig,
        range: &PeerName,
        peers: &BTreeMap<PeerName, PeerConfig>,
    ) -> Result<PeerConfig, String> {
        if let Some(written) = self.written_among(peers, &old.address) {
            return Err(format!("peer {} is written down there", written.name));
        }
        let PeerAddress::Ip { addr, .. } = &old.address else {
            return Ok(old.clone());
        };
        let template = match range_among(peers, addr) {
            Some((template, _)) if template.name == *range => template,
            Some((other, _)) => return Err(format!("range {} has its address", other.name)),
            None if peers.contains_key(range) => {
                return Err(format!("range {range} does not have its address any more"));
            }
            None => return Err(format!("range {range} is gone")),
        };
        let was = self.config.peers.get(range);
        if template.disabled && was.is_some_and(|was| !was.disabled) {
            return Err(format!("range {range} is disabled"));
        }
        Ok(made_by(template, old.name.clone(), old.address.clone()))
    }

    /// Why a session would begin anew; `None`: it would go on.
    fn reset_for(&self, new: &PeerConfig, router: &RouterSettings) -> Option<String> {
        let causes = self.speaker.resets(&new.name, new, &router.speaker);
        let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
        (!causes.is_empty()).then(|| causes.join(", "))
    }
}
