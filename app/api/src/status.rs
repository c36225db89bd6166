//! The daemon at a glance.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The daemon at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// What it is doing.
    pub state: DaemonState,
    /// False when something needs a person: a problem, a conflict, a stale source, a peer that is down.
    pub healthy: bool,
    /// Why it is not healthy; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<String>,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Whether it found kernel state of a former run and kept it.
    pub warm_start: bool,
    /// Whether our routes are announced as the last choice (`tapway drain on`).
    pub draining: bool,
    /// Our AS number.
    pub asn: u32,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Seconds until the start-up grace of the last source ends; absent when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_left_s: Option<u64>,
    /// Instances of all sources.
    pub instances: u64,
    /// Claims of all sources.
    pub claims: u64,
    /// Claims that are announced.
    pub announcements: u64,
    /// Conflicts between claims.
    pub conflicts: u64,
    /// Problems: bad files, refused claims, refused kernel changes.
    pub problems: u64,
    /// Routes received from all peers.
    pub received_routes: u64,
    /// Peers.
    pub peers: PeerCount,
    /// Sources.
    pub sources: SourceCount,
    /// Kernel objects.
    pub kernel: KernelCount,
}

/// What the daemon is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonState {
    /// The kernel is being read for the first time.
    Starting,
    /// Known claims are wired and announced; leftovers of the last run are kept until every source has spoken.
    Grace,
    /// Normal work.
    Running,
    /// Withdrawing and removing what is ours.
    Stopping,
}

/// How many peers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCount {
    /// All.
    pub total: u64,
    /// With an established session.
    pub established: u64,
    /// Disabled by an operator.
    pub disabled: u64,
}

/// How many sources there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    /// All.
    pub total: u64,
    /// That have not spoken since the start, or went silent.
    pub stale: u64,
}

/// How many kernel objects there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCount {
    /// Wanted.
    pub wanted: u64,
    /// Wanted and there.
    pub in_place: u64,
    /// Wanted and refused by the kernel, or hidden by a foreign object.
    pub failed: u64,
}
