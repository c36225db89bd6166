//! What can go wrong, and the exit code of each.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tapway_api::ApiError;
use tapway_document::Problem;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Exit code 1: the daemon said no.
    #[error("{0}")]
    Refused(Box<ApiError>),
    /// Exit code 1: the daemon's answer makes no sense here.
    #[error(
        "the daemon's answer to {request} is not understood: {error}; are tapway and tapwayd of one version?"
    )]
    Answer {
        /// Method and path.
        request: String,
        /// Why.
        error: String,
    },
    /// Exit code 2: a file that was given is wrong.
    #[error("{0}")]
    Input(Box<Problem>),
    /// Exit code 2: several files that were given are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Inputs(Vec<Problem>),
    /// Exit code 3.
    #[error("cannot reach the daemon at {}: {error}\n{}", socket.display(), unreachable_remedy(error))]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Exit code 3: it was reached, and went away or does not answer.
    #[error("the daemon at {} {what}; see what it says: journalctl -u tapwayd", socket.display())]
    Lost {
        /// The socket.
        socket: PathBuf,
        /// What happened.
        what: String,
    },
    /// Exit code 1: standard output cannot be written.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
}

impl Failure {
    /// Says on standard error what is wrong and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        match self {
            // Whoever reads us has enough.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Failure::Refused(error) if json => {
                let text = serde_json::to_string(error).unwrap_or_else(|_| error.to_string());
                eprintln!("{text}");
            }
            _ => eprintln!("tapway: {self}"),
        }
        ExitCode::from(self.code())
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Refused(_) | Failure::Answer { .. } | Failure::Output(_) => 1,
            Failure::Input(_) | Failure::Inputs(_) => 2,
            Failure::Unreachable { .. } | Failure::Lost { .. } => 3,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Input(Box::new(problem))
    }
}

fn unreachable_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "Only root and the group of the socket may use it: try sudo."
        }
        _ => {
            "Is it running? `systemctl status tapwayd` tells. Another socket is chosen with --socket PATH or TAPWAY_SOCKET."
        }
    }
}
