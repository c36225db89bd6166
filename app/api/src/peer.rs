//! BGP peers and their sessions.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapway_model::{Family, IfName, PeerName, PolicyName};

/// The body of `PUT /v1/peers/{name}`: a JSON object with the keys of `[peer.NAME]` in the
/// configuration file.
pub type PeerBody = Value;

/// A peer and its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: PeerName,
    /// What defines it.
    pub origin: Origin,
    /// Its address (a link-local one with its interface: `fe80::1%eth0`); absent while an unnumbered peer is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The interface of an unnumbered or link-local peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<IfName>,
    /// The range that made it, for as long as its session lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<PeerName>,
    /// Of a range: how many peers it has made that are still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// Its AS; absent while it is not known (`asn = "external"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Whether we are its route reflector.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub client: bool,
    /// What we are to it (RFC 9234): `provider`, `route-server`, `route-server-client`, `customer` or `peer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The AS that it takes for ours, when it is another one (RFC 7705).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_asn: Option<u32>,
    /// State of the session.
    pub state: SessionState,
    /// Seconds since it is in this state.
    pub state_age_s: u64,
    /// Whether an operator disabled it.
    pub disabled: bool,
    /// Why the last session ended, or the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Policy for what is received.
    pub import: PolicyName,
    /// Policy for what is sent.
    pub export: PolicyName,
    /// The families that are in use; the configured ones while there is no session.
    pub families: Vec<PeerFamily>,
}

/// What defines an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The program.
    BuiltIn,
    /// The configuration file.
    File,
    /// The API.
    Api,
}

/// State of a session (RFC 4271 §8.2.2), or of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Nothing is tried.
    Idle,
    /// A TCP connection is being made.
    Connect,
    /// Waiting for the peer, or for the next attempt.
    Active,
    /// OPEN is sent.
    OpenSent,
    /// OPEN is received and accepted.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
    /// A range: whoever connects from there becomes a peer.
    Listening,
}

/// One family of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFamily {
    /// The family.
    pub family: Family,
    /// Prefixes received.
    pub received: u64,
    /// Of those, accepted by the import policy.
    pub accepted: u64,
    /// The limit, when so many prefixes are received that there is a warning of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_limit: Option<u64>,
    /// Routes sent.
    pub advertised: u64,
    /// Received routes kept from the session before this one (graceful restart).
    pub stale: u64,
    /// Seconds for which those are still kept, beyond the restart time (RFC 9494).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_for_s: Option<u64>,
    /// Whether the peer has sent End-of-RIB.
    pub end_of_rib_received: bool,
    /// Whether End-of-RIB was sent.
    pub end_of_rib_sent: bool,
    /// The next hop that our own routes are sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    /// Why nothing of this family can be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_next_hop: Option<String>,
}

/// A peer, its session and its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerDetail {
    /// The peer.
    #[serde(flatten)]
    pub peer: Peer,
    /// Its session; absent unless established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Its configuration, with every default written out and secrets shown as `***`.
    pub config: Value,
}

/// An established session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// Negotiated hold time in seconds; 0: none.
    pub hold_time_s: u64,
    /// Seconds between our keepalives; 0: none.
    pub keepalive_s: u64,
    /// What both ends can do, in words.
    pub capabilities: Vec<String>,
    /// Messages received in this session.
    pub received: Messages,
    /// Messages sent in this session.
    pub sent: Messages,
    /// Times that a session was established since the start.
    pub established_count: u64,
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// All messages.
    pub total: u64,
    /// UPDATE messages.
    pub updates: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The body of `POST /v1/peers/{name}/reset`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// How; soft when absent.
    #[serde(default)]
    pub kind: ResetKind,
    /// Sent to the peer when the session is ended (RFC 9003); at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a session is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetKind {
    /// The session stays: everything is sent again, and the peer is asked to do so (RFC 2918).
    #[default]
    Soft,
    /// The same, but the peer alone is asked.
    SoftIn,
    /// The same, but everything of ours alone is sent again.
    SoftOut,
    /// The session is ended with Cease, Administrative Reset, and made again.
    Hard,
}

/// The body of `POST /v1/peers/{name}/disable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    /// Sent to the peer with Cease, Administrative Shutdown (RFC 9003); at most 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
