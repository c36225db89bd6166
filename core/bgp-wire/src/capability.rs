//! Capabilities (RFC 5492) as values.

mod set;
mod wire;

use alloc::string::String;
use alloc::vec::Vec;

use crate::AfiSafi;

pub use set::Capabilities;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A family is spoken (1, RFC 4760).
    MultiProtocol(AfiSafi),
    /// ROUTE-REFRESH is understood (2, RFC 2918).
    RouteRefresh,
    /// NLRI of one family may have a next hop of another (5, RFC 8950).
    ExtendedNextHop(Vec<ExtendedNextHop>),
    /// Messages up to 65535 bytes are understood (6, RFC 8654).
    ExtendedMessage,
    /// The sender's role towards us (9, RFC 9234).
    Role(Role),
    /// Graceful restart (64, RFC 4724, RFC 8538).
    GracefulRestart(GracefulRestart),
    /// The sender's AS number, with four octets (65, RFC 6793).
    FourOctetAs(u32),
    /// Path identifiers (69, RFC 7911).
    AddPath(Vec<AddPathFamily>),
    /// Begin and end of a refresh are marked (70, RFC 7313).
    EnhancedRouteRefresh,
    /// Long-lived graceful restart (71, RFC 9494).
    LongLived(Vec<LongLivedFamily>),
    /// Host and domain name (73, draft-walton-bgp-hostname-capability).
    Fqdn {
        /// The host's name; bytes that are not UTF-8 are replaced.
        host: String,
        /// The domain's name, may be empty.
        domain: String,
    },
    /// Any other, or one whose content is wrong.
    Unknown {
        /// Its code.
        code: u8,
        /// Its content.
        value: Vec<u8>,
    },
}

/// One entry of [`Capability::ExtendedNextHop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedNextHop {
    /// The family of the NLRI.
    pub nlri: AfiSafi,
    /// The AFI of the next hop.
    pub next_hop_afi: u16,
}

/// A role (RFC 9234 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The sender is our provider.
    Provider,
    /// The sender is a route server.
    RouteServer,
    /// The sender is a route server's client.
    RouteServerClient,
    /// The sender is our customer.
    Customer,
    /// The sender is a peer.
    Peer,
    /// Not assigned.
    Unknown(u8),
}

/// The content of [`Capability::GracefulRestart`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: the sender has restarted.
    pub restarting: bool,
    /// N: NOTIFICATIONs, too, are followed by graceful restart (RFC 8538).
    pub notification: bool,
    /// How long to keep routes, in seconds; 12 bits.
    pub time: u16,
    /// The families; may be empty.
    pub families: Vec<GracefulFamily>,
}

/// One family of [`GracefulRestart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding went on during the restart.
    pub forwarding: bool,
}

/// One family of [`Capability::AddPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddPathFamily {
    /// The family.
    pub family: AfiSafi,
    /// What the sender can do.
    pub direction: AddPathDirection,
}

/// What the sender of an add-path capability can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddPathDirection {
    /// Receive several paths.
    Receive,
    /// Send several paths.
    Send,
    /// Both.
    Both,
}

/// One family of [`Capability::LongLived`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLivedFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding went on during the restart.
    pub forwarding: bool,
    /// How long stale routes are kept, in seconds; 24 bits.
    pub time: u32,
}

impl AddPathDirection {
    /// Whether its owner receives several paths.
    pub const fn receives(self) -> bool {
        matches!(self, AddPathDirection::Receive | AddPathDirection::Both)
    }

    /// Whether its owner sends several paths.
    pub const fn sends(self) -> bool {
        matches!(self, AddPathDirection::Send | AddPathDirection::Both)
    }
}
