//! Announcements: routes that this router originates.

use serde::{Deserialize, Serialize};
use tapway_model::{ClaimKind, InstanceName, NetworkName, PeerName, Prefix};

use crate::list::Page;

/// Which announcements are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnouncementQuery {
    /// Only this prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// Only of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// At most this many items; 1000 when absent, at most 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Skip this many items first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

impl AnnouncementQuery {
    /// The page that is wanted.
    pub fn page(&self) -> Page {
        Page::new(self.limit, self.offset)
    }
}

/// A route that this router originates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Destination.
    pub prefix: Prefix,
    /// Kind of the claim that caused it.
    pub kind: ClaimKind,
    /// The claim's network.
    pub network: NetworkName,
    /// The claim's owners: `nic tap0`.
    pub owners: Vec<String>,
    /// Their instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceName>,
    /// What each peer got.
    pub peers: Vec<AnnouncedTo>,
    /// Seconds since it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

/// What one peer got of an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedTo {
    /// The peer.
    pub peer: PeerName,
    /// What became of it.
    pub outcome: Delivery,
    /// The next hop that it was sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    /// Why it was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of an announcement on its way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Sent.
    Sent,
    /// About to be sent.
    Queued,
    /// The export policy rejects it.
    Filtered,
    /// The network is not for this peer.
    NotForPeer,
    /// The family is not in the session.
    FamilyNotNegotiated,
    /// No next hop that the peer would accept.
    NoNextHop,
    /// There is no session.
    SessionDown,
}
