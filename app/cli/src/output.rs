//! Where answers go, and the exit code of an answer.

use std::io::Write;
use std::process::ExitCode;

use crate::failure::Failure;

/// Whether the answer was yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1: no, or unhealthy.
    No,
}

impl Answer {
    /// Yes if `healthy`.
    pub(crate) const fn from_health(healthy: bool) -> Answer {
        if healthy { Answer::Yes } else { Answer::No }
    }

    /// The exit code.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Answer::Yes => 0,
            Answer::No => 1,
        })
    }
}

/// Writes an answer at once, with a newline at the end.
pub(crate) fn print(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    let newline: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
    out.write_all(bytes)
        .and_then(|()| out.write_all(newline))
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
