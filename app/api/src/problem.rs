//! Problems: what an operator should mend.

use serde::{Deserialize, Serialize};
use tapway_model::SourceName;

use crate::error::Place;

/// Something that an operator should mend. Everything else runs on meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of thing is wrong.
    pub kind: ProblemKind,
    /// What it is about: a file, a claim, an interface, a peer.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// Where the wrong text is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The source that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A file of a source cannot be read; its last good version stays in effect.
    File,
    /// A claim is refused: outside of what its network allows, or its MAC differs between sources.
    Claim,
    /// A source cannot be reached.
    Source,
    /// The kernel refused a change, or a foreign object is in the way.
    Kernel,
    /// A peer's configuration cannot work.
    Peer,
    /// The configuration file.
    Config,
    /// An RPKI cache.
    Rpki,
    /// A collector of routes.
    Bmp,
    /// Recording of messages to files.
    Mrt,
    /// The state directory: a damaged log, a full disk.
    State,
    /// Anything that this version does not know.
    #[serde(other)]
    Other,
}
