//! What the node is told: checked values only.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tapway_bgp::config::{PeerConfig, Policy, Seeds, SpeakerConfig};
use tapway_model::{IfName, Network, PeerName, Prefix, SourceName};

/// Where the fabric's speaker listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// On our address on each fabric interface, port 179.
    #[default]
    Auto,
    /// On these addresses.
    On(Vec<SocketAddr>),
    /// Never.
    Never,
}

/// Everything the node is told. What sources, kernel and peers say comes later, by `handle_*`.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// AS, router id, graceful restart.
    pub speaker: SpeakerConfig,
    /// The protocol number that marks our kernel objects.
    pub protocol: u8,
    /// Where to listen.
    pub listen: Listen,
    /// Networks; `default` is added when absent.
    pub networks: Vec<Network>,
    /// Peers.
    pub peers: BTreeMap<PeerName, PeerConfig>,
    /// Policies.
    pub policies: Vec<Policy>,
    /// Enabled sources and the start-up grace of each.
    pub sources: BTreeMap<SourceName, Duration>,
    /// Whether an interface without carrier stops the announcements of its claims.
    pub withdraw_without_carrier: bool,
    /// Whether the default route leads to next hops of received routes.
    pub next_hop_via_default: bool,
    /// Seeds the jitter and the hash tables of the speaker; the only randomness there is.
    pub seeds: Seeds,
}

/// What of our own settings may change while sessions are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSettings {
    /// AS, router id, switches of the decision.
    pub speaker: SpeakerConfig,
    /// Where to listen.
    pub listen: Listen,
    /// Whether an interface without carrier stops the announcements of its claims.
    pub withdraw_without_carrier: bool,
    /// Whether the default route leads to next hops of received routes.
    pub next_hop_via_default: bool,
}

impl NodeConfig {
    /// Those in force.
    pub fn router(&self) -> RouterSettings {
        RouterSettings {
            speaker: self.speaker.clone(),
            listen: self.listen.clone(),
            withdraw_without_carrier: self.withdraw_without_carrier,
            next_hop_via_default: self.next_hop_via_default,
        }
    }
}

/// One socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; the scope of a link-local address is its interface's index.
    pub addr: SocketAddr,
    /// The one interface that its peers are on; what comes in elsewhere is not for it. Absent: peers
    /// several hops away may come in anywhere.
    pub device: Option<IfName>,
    /// The TTL below which the kernel drops what comes in, handshakes included: when every peer that may
    /// come in here has TTL security (RFC 5082, section 3); else 0.
    pub min_ttl: u8,
    /// TCP MD5 keys to put on it.
    pub keys: Vec<PeerKey>,
}

/// A TCP MD5 key for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerKey {
    /// The peer's address, or those of a range.
    pub from: Prefix,
    /// The key.
    pub password: tapway_bgp::config::Secret,
}
