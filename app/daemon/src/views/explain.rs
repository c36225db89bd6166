//! `explain`.

use tapway_api::explain::{Explanation, Link, LinkState, Stage};
use tapway_node::Verdict;

/// The node's explanation in the API's words.
pub fn explanation(explained: tapway_node::Explanation) -> Explanation {
    let links = explained
        .steps
        .into_iter()
        .map(|step| Link {
            stage: match step.stage {
                tapway_node::Stage::Claim => Stage::Claim,
                tapway_node::Stage::Conflict => Stage::Conflict,
                tapway_node::Stage::Interface => Stage::Interface,
                tapway_node::Stage::KernelRoute => Stage::KernelRoute,
                tapway_node::Stage::Neighbour => Stage::Neighbour,
                tapway_node::Stage::Announcement => Stage::Announcement,
                tapway_node::Stage::Peer => Stage::Peer,
            },
            peer: step.peer,
            state: match step.verdict {
                Verdict::Ok => LinkState::Ok,
                Verdict::Broken => LinkState::Broken,
                Verdict::Warning => LinkState::Warning,
                Verdict::NotApplicable => LinkState::NotApplicable,
                Verdict::Skipped => LinkState::Skipped,
            },
            summary: step.summary,
            detail: step.detail,
            remedy: step.remedy,
        })
        .collect();
    let mut out = Explanation::new(explained.asked, explained.summary, links);
    out.covered_by = explained
        .claimed
        .filter(|claimed| *claimed != explained.asked);
    out.network = explained.network;
    out
}
