//! Sources: what each of them says, and whether it can be believed that it said all.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use tapway_model::{Instance, InstanceName, Instant, SourceName};

/// What a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// A full listing starts.
    Begin,
    /// The instance is there, like this.
    Put(Arc<Instance>),
    /// The instance is gone.
    Gone(InstanceName),
    /// The listing is over: what was not put since the last [`SourceEvent::Begin`] is gone.
    Complete,
    /// The source is lost: its socket closed, its directory vanished. Removes nothing.
    Dead(String),
}

/// How a source is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// How long after the start leftovers of the last run are kept at least.
    pub grace: Duration,
}

impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig {
            grace: Duration::from_secs(30),
        }
    }
}

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It has not said all yet, since the start or since it came back.
    Waiting,
    /// It has said all.
    Live,
    /// It is lost, or not configured any more.
    Dead {
        /// Why.
        reason: String,
        /// Since when.
        since: Instant,
    },
}

/// A source for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSummary {
    /// Its name.
    pub name: SourceName,
    /// Whether it is configured; one that is not is listed while its instances are kept.
    pub enabled: bool,
    /// Where it stands.
    pub state: SourceState,
    /// How many instances it said and did not take back.
    pub instances: usize,
    /// How many of them it has not repeated since it died or since the start.
    pub stale: usize,
    /// When it last said all.
    pub last_complete: Option<Instant>,
    /// How much of the grace is left.
    pub grace_left: Duration,
}

/// One instance as one source says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceView {
    /// The source.
    pub source: SourceName,
    /// The instance.
    pub instance: Arc<Instance>,
    /// Not repeated since the source died or since the start.
    pub stale: bool,
}
