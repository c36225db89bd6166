//! What the source is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tapway_model::{Instance, InstanceName};

/// Largest instance file that is read: 1 MiB.
pub const FILE_LIMIT: u64 = 1 << 20;

/// What the source is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory.
    pub path: PathBuf,
    /// What the source said in the last run: stands in for files that are broken now.
    pub remembered: BTreeMap<InstanceName, Arc<Instance>>,
}

impl Config {
    /// Watch this directory, with nothing remembered.
    pub fn new(path: impl Into<PathBuf>) -> Config {
        Config {
            path: path.into(),
            remembered: BTreeMap::new(),
        }
    }
}
