//! TOML and JSON texts to typed values.

use serde::de::DeserializeOwned;
use tapway_model::spec::SpecError;
use toml::de::DeTable;

use crate::message::reword;
use crate::place::{key_at, line_and_column, span_of};
use crate::problem::Problem;

/// A TOML text that was read, and the value in it.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t, T> {
    /// The value.
    pub value: T,
    file: &'t str,
    text: &'t str,
}

/// Reads a TOML text. `file` is its name in problems.
///
/// # Errors
/// When the text is not TOML, has a key that `T` does not know, lacks one, or has a value of the
/// wrong type.
pub fn parse<'t, T: DeserializeOwned>(
    file: &'t str,
    text: &'t str,
) -> Result<Document<'t, T>, Problem> {
    match toml::from_str(text) {
        Ok(value) => Ok(Document { value, file, text }),
        Err(error) => Err(placed(file, text, &error, "")),
    }
}

/// A TOML error with its place; in the value at `within` when it says none.
pub(crate) fn placed(file: &str, text: &str, error: &toml::de::Error, within: &str) -> Problem {
    let (reason, remedy) = reword(error.message());
    let mut problem = Problem::new(file, reason).key(within);
    problem.remedy = remedy;
    let Ok(root) = DeTable::parse(text) else {
        return match error.span() {
            Some(span) => problem.at(line_and_column(text, span.start)),
            None => problem,
        };
    };
    let span = error
        .span()
        .or_else(|| span_of(root.get_ref(), within))
        .unwrap_or(0..0);
    if span != root.span()
        && let Some(key) = key_at(root.get_ref(), &span)
    {
        problem = problem.key(key);
    }
    problem.at(line_and_column(text, span.start))
}

/// Reads a JSON text, such as the body of a request. `name` stands for the file in problems.
///
/// # Errors
/// As for [`parse`].
pub fn parse_json<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|error| {
        let whole = error.to_string();
        let message = whole
            .rsplit_once(" at line ")
            .map_or(whole.as_str(), |(message, _)| message);
        let (reason, remedy) = reword(message);
        let cap = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut problem = Problem::new(name, reason);
        problem.remedy = remedy;
        if error.line() > 0 {
            problem = problem.at((cap(error.line()), cap(error.column())));
        }
        problem
    })
}

impl<T> Document<'_, T> {
    /// Line and column, from 1, of a key like `nic[0].addresses[1]`; of the nearest table around it
    /// when it is not written. `None` when not even that is there.
    pub fn locate(&self, key: &str) -> Option<(u32, u32)> {
        let root = DeTable::parse(self.text).ok()?;
        let span = span_of(root.get_ref(), key)?;
        Some(line_and_column(self.text, span.start))
    }

    /// A wrong value of this document as a problem with its place.
    pub fn problem(&self, error: &SpecError) -> Problem {
        let problem = Problem::new(self.file, &error.reason).key(&error.key);
        match self.locate(&error.key) {
            Some(place) => problem.at(place),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests;
