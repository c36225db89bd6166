//! Why a prefix is or is not reachable: the chain from claim to peer.

use serde::{Deserialize, Serialize};
use tapway_model::{NetworkName, PeerName, Prefix};

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// The prefix, or an address in one.
    pub prefix: Prefix,
    /// In this network; the first that claims it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
}

/// The chain from claim to peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The prefix that was asked for.
    pub prefix: Prefix,
    /// The claimed prefix that covers it, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered_by: Option<Prefix>,
    /// The network it is explained in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// One sentence: reachable or not, and why.
    pub verdict: String,
    /// Position in `links` of the first broken one; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_broken: Option<usize>,
    /// The links, in order.
    pub links: Vec<Link>,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Which link.
    pub stage: Stage,
    /// The peer, for [`Stage::Peer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Whether it holds.
    pub state: LinkState,
    /// One sentence.
    pub summary: String,
    /// More, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A link of the chain, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Some source says that somebody owns the prefix.
    Claim,
    /// Nobody else does, and its network allows it.
    Conflict,
    /// The owner's interface is there, up, with carrier.
    Interface,
    /// The kernel's route is there and the best, and forwarding is on.
    KernelRoute,
    /// The kernel knows the owner's MAC.
    Neighbour,
    /// The speaker originates it.
    Announcement,
    /// A peer got it.
    Peer,
}

/// Whether a link of the chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It holds.
    Ok,
    /// It does not: the chain ends here.
    Broken,
    /// It holds, but somebody should look.
    Warning,
    /// There is no such link for this claim.
    NotApplicable,
    /// Not looked at, because an earlier link is broken.
    Skipped,
}

impl Explanation {
    /// Makes an explanation of its links; finds the first broken one.
    pub fn new(prefix: Prefix, verdict: String, links: Vec<Link>) -> Explanation {
        Explanation {
            prefix,
            covered_by: None,
            network: None,
            verdict,
            first_broken: links.iter().position(|l| l.state == LinkState::Broken),
            links,
        }
    }
}
