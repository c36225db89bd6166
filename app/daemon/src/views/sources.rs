//! Sources and problems.

use tapway_api::list::List;
use tapway_api::problem::{Problem, ProblemKind};
use tapway_api::source::{Source, SourceState};
use tapway_fib::Status;
use tapway_intent::SourceState as Said;
use tapway_model::{Instant, SourceName};
use tapway_node::{Blocked, Gate, Node};

use super::claims::errno_text;

/// All sources.
pub fn sources(
    node: &Node,
    now: Instant,
    place: impl Fn(&SourceName) -> Option<String>,
) -> List<Source> {
    let items = node.intent().sources(now).map(|source| {
        let (state, reason) = match source.state {
            Said::Live => (SourceState::Live, None),
            Said::Waiting => (SourceState::Starting, None),
            Said::Dead { reason, .. } => (SourceState::Stale, Some(reason)),
        };
        Source {
            state,
            place: place(&source.name),
            instances: source.instances as u64,
            stale_instances: source.stale as u64,
            problems: node
                .intent()
                .problems()
                .filter(|p| p.source == source.name)
                .count() as u64,
            last_heard_s: source.last_complete.map(|t| super::age(now, t)),
            grace_left_s: super::seconds_left(source.grace_left),
            reason,
            name: source.name,
        }
    });
    List::whole(items.collect())
}

/// Claims that cannot be used.
pub fn claim_problems(node: &Node) -> impl Iterator<Item = Problem> {
    let refused = node.intent().problems().map(|problem| {
        let text = problem.to_string();
        let (message, remedy) = match text.rsplit_once("; ") {
            Some((message, remedy)) => (message.to_owned(), Some(remedy.to_owned())),
            None => (text, None),
        };
        Problem {
            kind: ProblemKind::Claim,
            subject: problem.instance.to_string(),
            message,
            place: None,
            source: Some(problem.source.clone()),
            remedy,
        }
    });
    let unsupported = node.claims().filter_map(|(id, gate, _)| match gate {
        Gate::Shut(reason @ Blocked::Transparent) => Some(Problem {
            kind: ProblemKind::Claim,
            subject: id.1.to_string(),
            message: format!("{} is neither wired nor announced: {reason}", id.1),
            place: None,
            source: None,
            remedy: Some(
                "give the address to the guest itself, as one of its addresses".to_owned(),
            ),
        }),
        _ => None,
    });
    refused.chain(unsupported)
}

/// Kernel objects that cannot be had.
pub fn kernel_problems(node: &Node) -> impl Iterator<Item = Problem> {
    node.fib().states().filter_map(|(object, status)| {
        let message = match status {
            Status::Failed {
                errno,
                message,
                attempts,
            } => {
                let why = message.unwrap_or_else(|| errno_text(errno));
                format!("the kernel refuses it: {why} (tried {attempts} times)")
            }
            Status::Foreign => "somebody else's object is in its place".to_owned(),
            _ => return None,
        };
        Some(Problem {
            kind: ProblemKind::Kernel,
            subject: tapway_node::describe(&object.key(), node.fib()),
            message,
            place: None,
            source: None,
            remedy: Some("remove what is in the way; tapway goes on by itself".to_owned()),
        })
    })
}
