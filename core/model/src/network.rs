//! Networks: routing domains for NICs.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{IfName, NetworkName, PeerName, Prefix};

/// The routing domain of a network: the kernel table its routes are in. Networks with the same
/// domain share one address space and may not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(pub u32);

impl Domain {
    /// The kernel's main table (`RT_TABLE_MAIN` in `linux/rtnetlink.h`).
    pub const MAIN: Domain = Domain(254);
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Domain::MAIN => f.write_str("main"),
            Domain(table) => write!(f, "{table}"),
        }
    }
}

/// A routing domain for NICs and what they see in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// Gateway addresses, put on the bridge or on every NIC's host-side interface.
    pub gateway: Vec<IpAddr>,
    /// Claims must be inside one of these; anything goes when empty.
    pub allow: Vec<Prefix>,
    /// The bridge its NICs are on; absent: every NIC is its own routed link.
    pub bridge: Option<IfName>,
    /// Fabric peers that see its claims; all when absent.
    pub peers: Option<Vec<PeerName>>,
    /// The kernel table of its routes.
    pub domain: Domain,
    /// IPv4 next hop of its announcements; this router when absent.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// IPv6 next hop of its announcements; this router when absent.
    pub next_hop_v6: Option<Ipv6Addr>,
}

impl Network {
    /// The gateway addresses of a network that names none: 169.254.0.1 and fe80::1.
    pub fn default_gateway() -> Vec<IpAddr> {
        vec![
            IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        ]
    }

    /// A network with every setting at its default.
    pub fn with_defaults(name: NetworkName) -> Network {
        Network {
            name,
            gateway: Network::default_gateway(),
            allow: Vec::new(),
            bridge: None,
            peers: None,
            domain: Domain::MAIN,
            next_hop_v4: None,
            next_hop_v6: None,
        }
    }

    /// Whether a claim on `prefix` is allowed.
    pub fn allows(&self, prefix: &Prefix) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|a| a.contains(prefix))
    }
}
