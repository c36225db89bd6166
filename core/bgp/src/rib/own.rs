//! The one set of own routes: what this router announces.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use tapway_model::{ClaimKind, Domain, InstanceName, NetworkName, PeerName, Prefix, Tag};

/// What makes an announcement the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnnouncementId {
    /// The routing domain it comes from.
    pub domain: Domain,
    /// The prefix.
    pub prefix: Prefix,
}

impl fmt::Display for AnnouncementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain == Domain::MAIN {
            write!(f, "{}", self.prefix)
        } else {
            write!(f, "{} (table {})", self.prefix, self.domain)
        }
    }
}

/// A route that this router originates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which.
    pub id: AnnouncementId,
    /// The kind of the claim behind it.
    pub kind: ClaimKind,
    /// The network of the claim.
    pub network: NetworkName,
    /// The peers that see the network; all when absent.
    pub peers: Option<Arc<[PeerName]>>,
    /// The instances whose claim it is.
    pub instances: Vec<InstanceName>,
    /// Their tags.
    pub tags: Vec<Tag>,
    /// The claim's or the network's next hop.
    pub next_hop: Option<IpAddr>,
}
