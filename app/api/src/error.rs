//! The answer when a request was not carried out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of every answer with a status of 400 or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one sentence.
    pub message: String,
    /// Where the wrong text is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A place in a text that a person or program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file; absent for a request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Path of the key: names joined by dots, positions from 0 in brackets (`nic[0].mac`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 400: the body, the query or a name in the path is not what this route takes.
    Malformed,
    /// 403: writing over the read-only listener.
    ReadOnly,
    /// 404: no such route.
    NoSuchRoute,
    /// 404: no such object.
    NotFound,
    /// 405: the route exists, with another method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    SlowRequest,
    /// 409: something else defines the object: the configuration file, or another source.
    Conflict,
    /// 413: the body is larger than 4 MiB.
    TooLarge,
    /// 422: the body is well formed, but a value in it is wrong.
    Invalid,
    /// 500: the daemon could not do it: the disk, the kernel, or a bug.
    Internal,
    /// 503: too many requests wait already; try again after `Retry-After`.
    Overloaded,
    /// 503: no answer within the deadline; a write may still take effect.
    Deadline,
    /// 503: the daemon is stopping.
    Stopping,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            ErrorCode::Malformed => 400,
            ErrorCode::ReadOnly => 403,
            ErrorCode::NoSuchRoute | ErrorCode::NotFound => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::SlowRequest => 408,
            ErrorCode::Conflict => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::Invalid => 422,
            ErrorCode::Internal | ErrorCode::Unknown => 500,
            ErrorCode::Overloaded | ErrorCode::Deadline | ErrorCode::Stopping => 503,
        }
    }
}

impl ApiError {
    /// An error with neither place nor remedy.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError {
            error: ErrorBody {
                code,
                message: message.into(),
                place: None,
                remedy: None,
            },
        }
    }

    /// No object of this kind has this name.
    pub fn not_found(what: &str, name: impl fmt::Display) -> ApiError {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no {what} named \"{name}\""),
        )
        .with_remedy(format!("`tapway {what} list` shows what there is"))
    }

    /// A wrong value at `key`.
    pub fn invalid(key: impl Into<String>, message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorCode::Invalid, message).with_place(Place {
            key: Some(key.into()),
            ..Place::default()
        })
    }

    /// The same error with a place.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> ApiError {
        self.error.place = Some(place);
        self
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> ApiError {
        self.error.remedy = Some(remedy.into());
        self
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.error.place {
            let text = place.to_string();
            if !text.is_empty() {
                write!(f, "{text}: ")?;
            }
        }
        f.write_str(&self.error.message)?;
        if let Some(remedy) = &self.error.remedy {
            write!(f, " ({remedy})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    /// `file:line:column: key`, as far as known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        match (&self.file, self.line) {
            (Some(file), Some(line)) => {
                let column = self.column.map(|c| format!(":{c}")).unwrap_or_default();
                parts.push(format!("{file}:{line}{column}"));
            }
            (Some(file), None) => parts.push(file.clone()),
            (None, Some(line)) => {
                let column = self
                    .column
                    .map(|c| format!(", column {c}"))
                    .unwrap_or_default();
                parts.push(format!("line {line}{column}"));
            }
            (None, None) => {}
        }
        parts.extend(self.key.clone());
        f.write_str(&parts.join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let error = ApiError::new(ErrorCode::Invalid, "\"x\" is not a MAC address")
            .with_place(Place {
                file: Some("web1.toml".into()),
                line: Some(4),
                column: Some(7),
                key: Some("nic[0].mac".into()),
            })
            .with_remedy("write six pairs");
        assert_eq!(
            error.to_string(),
            "web1.toml:4:7: nic[0].mac: \"x\" is not a MAC address (write six pairs)"
        );
    }

    #[test]
    fn a_code_of_a_later_version_is_read() {
        let text = r#"{"error":{"code":"teapot","message":"no coffee","extra":1}}"#;
        let error: ApiError = serde_json::from_str(text).unwrap();
        assert_eq!(error.error.code, ErrorCode::Unknown);
        assert_eq!(error.error.message, "no coffee");
    }
}
