//! Claims: "this owner owns this prefix".

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{IfName, NetworkName, Prefix};

/// How a claimed prefix is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// A host address, or a prefix that is on-link at the owner (a /64).
    Address,
    /// A subnet behind the owner.
    Route,
    /// An address that several owners may hold.
    Anycast,
    /// Delivered by address translation; the guest is unaware.
    Transparent,
    /// The guest may announce it.
    GuestBgp,
}

impl ClaimKind {
    /// Whether several owners may hold the same prefix.
    pub const fn may_be_shared(self) -> bool {
        matches!(self, ClaimKind::Anycast | ClaimKind::GuestBgp)
    }
}

impl fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ClaimKind::Address => "address",
            ClaimKind::Route => "route",
            ClaimKind::Anycast => "anycast",
            ClaimKind::Transparent => "transparent",
            ClaimKind::GuestBgp => "guest-bgp",
        })
    }
}

/// Who holds a claim. A NIC is known by its host-side interface, because the kernel knows it so:
/// several sources that name one interface speak of one NIC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The NIC behind this host-side interface.
    Nic(IfName),
    /// A network: its subnet, a NAT address, a forward.
    Network(NetworkName),
    /// The host itself: a service address.
    Host,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Nic(name) => write!(f, "nic {name}"),
            Owner::Network(name) => write!(f, "network {name}"),
            Owner::Host => f.write_str("host"),
        }
    }
}

/// "This owner owns this prefix", in one network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Who.
    pub owner: Owner,
    /// What.
    pub prefix: Prefix,
    /// How.
    pub kind: ClaimKind,
    /// In which network.
    pub network: NetworkName,
    /// Announced with this next hop instead of this router.
    pub next_hop: Option<IpAddr>,
}
