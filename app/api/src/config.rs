//! The configuration: what is in effect, where it comes from, and checks of a new one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use tapway_model::PeerName;

use crate::peer::Origin;
use crate::problem::Problem;

/// The configuration that is in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// One section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// `router`, `peer`, `network`, `policy`, `source` or `api`.
    pub kind: String,
    /// Its name, as in `[peer.NAME]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What defines it.
    pub origin: Origin,
    /// Whether it is applied through the API but not in effect, because the file defines that name.
    pub overridden: bool,
    /// Its keys, with every default written out and secrets shown as `***`.
    pub value: Value,
}

/// The body of `POST /v1/config/check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The text of a configuration file; the daemon's own file is read when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What to call the text in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a check or a reload found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The file or the name of the text.
    pub name: String,
    /// Whether the configuration can be used.
    pub ok: bool,
    /// Whether it is in effect now; false for a check.
    pub loaded: bool,
    /// What is wrong with it, or worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What differs from the configuration in effect; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Sessions that a reload ends, before it is done; those that it has ended, after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionEnd>,
    /// Changes that only a restart brings into effect; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
}

/// A session that does not outlive other settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Whose.
    pub peer: PeerName,
    /// Whether it comes back, or not.
    pub end: SessionEndKind,
    /// Why, in words.
    pub why: String,
}

/// What becomes of such a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionEndKind {
    /// It is ended with Cease, Other Configuration Change, and made again with the new settings.
    Reset,
    /// It is ended for good.
    Ended,
}
