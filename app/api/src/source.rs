//! Sources of instances.

use serde::{Deserialize, Serialize};
use tapway_model::SourceName;

/// A source and how it fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// How it fares.
    pub state: SourceState,
    /// Where it reads from: a directory, a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Instances it told of.
    pub instances: u64,
    /// Of those, known from the last run only.
    pub stale_instances: u64,
    /// Problems with what it told.
    pub problems: u64,
    /// Seconds since it last said anything; absent when it has not since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard_s: Option<u64>,
    /// Seconds until its start-up grace ends; absent when over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_left_s: Option<u64>,
    /// Why it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a source fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// It gave a full listing since the start and can be reached.
    Live,
    /// It has not given a full listing yet; what is known of it is of the last run.
    Starting,
    /// It cannot be reached or is not configured any more. What it said stays in effect until
    /// it is back or an operator forgets it.
    Stale,
}
