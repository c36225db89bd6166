//! Instances, their NICs and claims.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tapway_model::spec::InstanceSpec;
use tapway_model::{ClaimKind, IfName, InstanceName, Mac, NetworkName, Prefix, SourceName, Tag};

use crate::list::Page;

/// The body of `PUT /v1/instances/{name}`, and of each item of `POST /v1/instances`: the same shape
/// as a file of the source `files`.
pub type InstanceBody = InstanceSpec;

/// Which instances are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceQuery {
    /// Only of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// At most this many items; 1000 when absent, at most 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Skip this many items first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

impl InstanceQuery {
    /// The page that is wanted.
    pub fn page(&self) -> Page {
        Page::new(self.limit, self.offset)
    }
}

/// An instance and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The source that tells of it.
    pub source: SourceName,
    /// Its name, unique within the source.
    pub name: InstanceName,
    /// Whether it is known from the last run only, because its source has not spoken since.
    pub stale: bool,
    /// Its NICs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<Nic>,
    /// Claims that the host or a network owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// An instance, how it fares, and what its source said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDetail {
    /// How it fares.
    #[serde(flatten)]
    pub instance: Instance,
    /// What its source said.
    pub spec: InstanceSpec,
}

/// A NIC and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Host-side interface.
    pub interface: IfName,
    /// Whether packets can leave through it.
    pub link: LinkState,
    /// The guest's MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Its network.
    pub network: NetworkName,
    /// Where its migration stands.
    pub state: MigrationState,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Its claims.
    pub claims: Vec<Claim>,
}

/// State of a host-side interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// There is no such interface.
    Missing,
    /// Administratively down.
    Down,
    /// Up, without carrier.
    NoCarrier,
    /// Up, with carrier.
    Up,
}

/// Where the migration of a NIC stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationState {
    /// The guest runs here.
    #[default]
    Running,
    /// The guest is about to run here: wired, not announced.
    Arriving,
    /// The guest is about to run elsewhere: wired and announced until it is gone.
    Leaving,
}

/// A claim and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What is claimed.
    pub prefix: Prefix,
    /// How it is used.
    pub kind: ClaimKind,
    /// In which network.
    pub network: NetworkName,
    /// Announced with this next hop instead of this router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<IpAddr>,
    /// How far it got.
    pub state: ClaimState,
    /// Why it got no further; absent when it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a claim got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimState {
    /// In the kernel and announced.
    Announced,
    /// In the kernel, not announced: arriving, or not meant to be announced.
    Wired,
    /// Not in the kernel yet: the interface is missing, or the kernel has not answered.
    Waiting,
    /// Another owner has it.
    Conflict,
    /// Its network does not allow it.
    Refused,
    /// The kernel refused it.
    Failed,
}
