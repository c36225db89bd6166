//! What the VRPs say of a route.

use core::fmt;

/// Whether the origin of a route may announce it (RFC 6811 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RpkiState {
    /// A VRP allows it.
    Valid,
    /// VRPs cover it, and none allows it.
    Invalid,
    /// No VRP covers it.
    NotFound,
}

impl RpkiState {
    /// All of them.
    pub const ALL: [RpkiState; 3] = [RpkiState::Valid, RpkiState::Invalid, RpkiState::NotFound];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            RpkiState::Valid => "valid",
            RpkiState::Invalid => "invalid",
            RpkiState::NotFound => "not-found",
        }
    }

    /// The state that a word says.
    pub fn from_word(word: &str) -> Option<RpkiState> {
        RpkiState::ALL
            .into_iter()
            .find(|state| state.word() == word)
    }
}

impl fmt::Display for RpkiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
